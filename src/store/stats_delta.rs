//! Changes of the statistics by the jobs of a group. They are collected in memory and written once per group, within
//! its transaction: one row per webhook and one for all, however many deliveries the group changes.

use std::collections::BTreeMap;

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::sql;
use super::stats::{self, ALL, FINE, Sums};
use crate::domain::delivery::DeliveryStatus;
use crate::domain::time::Millis;

#[derive(Default)]
pub(super) struct StatsDelta {
    /// Changes of the current job, which may still be rolled back.
    job: Vec<(i64, DeltaStep)>,
    group: BTreeMap<i64, Counts>,
}

#[derive(Clone, Copy)]
enum DeltaStep {
    /// A delivery that changed its status; `from` is `None` for a new one.
    Moved {
        from: Option<DeliveryStatus>,
        to: DeliveryStatus,
    },
    Attempted {
        is_retry: bool,
        answer_ms: Option<u64>,
    },
    /// A finished delivery that a person retries.
    Reopened {
        status: DeliveryStatus,
        finished_ms: Millis,
    },
}

#[derive(Default)]
struct Counts {
    pending: i64,
    retrying: i64,
    discarded: u64,
    sums: Sums,
    /// Delivered and failed deliveries that are retried, by the row that counts them.
    reopened: BTreeMap<Millis, (u64, u64)>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Finished {
    pub delivered: u64,
    pub failed: u64,
    pub discarded: u64,
}

impl StatsDelta {
    pub(super) fn moved(&mut self, webhook_seq: i64, from: Option<DeliveryStatus>, to: DeliveryStatus) {
        self.job.push((webhook_seq, DeltaStep::Moved { from, to }));
    }

    /// Counts an attempt with its response time, if there was a response.
    pub(super) fn attempted(&mut self, webhook_seq: i64, is_retry: bool, answer_ms: Option<u64>) {
        self.job.push((webhook_seq, DeltaStep::Attempted { is_retry, answer_ms }));
    }

    /// Takes a delivery out of the counts of the time at which it finished.
    pub(super) fn reopened(&mut self, webhook_seq: i64, status: DeliveryStatus, finished_ms: Millis) {
        self.job.push((webhook_seq, DeltaStep::Reopened { status, finished_ms }));
    }

    pub(super) fn undo_job(&mut self) {
        self.job.clear();
    }

    pub(super) fn end_job(&mut self) {
        for (webhook_seq, change) in self.job.drain(..) {
            self.group.entry(webhook_seq).or_default().add(change);
        }
    }

    /// Writes the group's counts. Returns the numbers of finished deliveries.
    pub(super) fn flush(&mut self, connection: &Connection, now: Millis) -> Result<Finished> {
        let group = std::mem::take(&mut self.group);
        let mut all = Sums::default();
        let mut finished = Finished::default();
        for (webhook_seq, counts) in &group {
            counts.store(connection, *webhook_seq, now)?;
            for (at, (delivered, failed)) in &counts.reopened {
                stats::take_out(connection, *webhook_seq, *at, *delivered, *failed)?;
                stats::take_out(connection, ALL, *at, *delivered, *failed)?;
            }
            finished.delivered += counts.sums.delivered;
            finished.failed += counts.sums.failed;
            finished.discarded += counts.discarded;
            if !counts.sums.is_empty() {
                stats::add(connection, *webhook_seq, now, &counts.sums)?;
                all.merge(&counts.sums);
            }
        }
        if !all.is_empty() {
            stats::add(connection, ALL, now, &all)?;
        }
        Ok(finished)
    }
}

impl Counts {
    fn add(&mut self, change: DeltaStep) {
        match change {
            DeltaStep::Moved { from, to } => {
                if let Some(waiting) = from.and_then(|from| self.waiting(from)) {
                    *waiting -= 1;
                }
                if let Some(waiting) = self.waiting(to) {
                    *waiting += 1;
                }
                match to {
                    DeliveryStatus::Delivered => self.sums.delivered += 1,
                    DeliveryStatus::Failed => self.sums.failed += 1,
                    DeliveryStatus::Discarded => self.discarded += 1,
                    DeliveryStatus::Pending | DeliveryStatus::Retrying => {}
                }
            }
            DeltaStep::Attempted { is_retry, answer_ms } => self.sums.attempted(is_retry, answer_ms),
            DeltaStep::Reopened { status, finished_ms } => {
                let (delivered, failed) = self.reopened.entry(finished_ms - finished_ms.rem_euclid(FINE)).or_default();
                match status {
                    DeliveryStatus::Delivered => *delivered += 1,
                    DeliveryStatus::Failed => *failed += 1,
                    DeliveryStatus::Pending | DeliveryStatus::Retrying | DeliveryStatus::Discarded => {}
                }
            }
        }
    }

    fn waiting(&mut self, status: DeliveryStatus) -> Option<&mut i64> {
        match status {
            DeliveryStatus::Pending => Some(&mut self.pending),
            DeliveryStatus::Retrying => Some(&mut self.retrying),
            DeliveryStatus::Delivered | DeliveryStatus::Failed | DeliveryStatus::Discarded => None,
        }
    }

    fn store(&self, connection: &Connection, seq: i64, now: Millis) -> Result<()> {
        let Sums { delivered, failed, .. } = self.sums;
        if self.pending == 0 && self.retrying == 0 && delivered == 0 && failed == 0 {
            return Ok(());
        }
        let finished = (delivered + failed > 0).then_some(now);
        let succeeded = (delivered > 0).then_some(now);
        sql::run(
            connection,
            "UPDATE webhook SET success_count = success_count + :delivered,
                 pending_count = pending_count + :pending, retrying_count = retrying_count + :retrying,
                 last_finished_ms = coalesce(:finished, last_finished_ms),
                 last_success_ms = coalesce(:succeeded, last_success_ms)
             WHERE seq = :seq",
            named_params! {
                ":delivered": delivered,
                ":pending": self.pending,
                ":retrying": self.retrying,
                ":finished": finished,
                ":succeeded": succeeded,
                ":seq": seq,
            },
        )
    }
}
