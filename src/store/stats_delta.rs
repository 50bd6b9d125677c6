//! What the jobs of a group change in the statistics, collected in memory and written once a group: a row a webhook
//! and one for all of them, however many deliveries the group holds. It is part of the group's transaction, so it is
//! true to the deliveries after any crash.

use std::collections::BTreeMap;

use rusqlite::{Connection, named_params};

use super::stats;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::time::Millis;
use crate::store::error::StoreError;
use crate::store::stats::{ALL, Sums};

/// Counts of the group at hand.
#[derive(Default)]
pub(super) struct Tally {
    /// Of the job at hand, which may still be rolled back.
    job: Vec<(i64, DeltaStep)>,
    group: BTreeMap<i64, Counts>,
}

/// A change of one webhook.
#[derive(Clone, Copy)]
enum DeltaStep {
    /// So many deliveries went from one status to another; `None` before they were made.
    Moved {
        from: Option<DeliveryStatus>,
        to: DeliveryStatus,
        count: i64,
    },
    Attempted {
        is_retry: bool,
        answer_ms: Option<u64>,
    },
}

/// What a group changes for one webhook.
#[derive(Default)]
struct Counts {
    pending: i64,
    retrying: i64,
    discarded: u64,
    sums: Sums,
}

/// Deliveries that a group finished.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Finished {
    pub delivered: u64,
    pub failed: u64,
    pub discarded: u64,
}

impl Tally {
    /// A delivery that was made and waits.
    pub(super) fn made(&mut self, webhook_seq: i64) {
        let change = DeltaStep::Moved { from: None, to: DeliveryStatus::Pending, count: 1 };
        self.job.push((webhook_seq, change));
    }

    /// Deliveries, no tests, whose status changed.
    pub(super) fn moved(&mut self, webhook_seq: i64, from: DeliveryStatus, to: DeliveryStatus, count: usize) {
        let change = DeltaStep::Moved { from: Some(from), to, count: count as i64 };
        self.job.push((webhook_seq, change));
    }

    /// An attempt of a delivery, no test, and how long its answer took, where there was one.
    pub(super) fn attempted(&mut self, webhook_seq: i64, is_retry: bool, answer_ms: Option<u64>) {
        let change = DeltaStep::Attempted { is_retry, answer_ms };
        self.job.push((webhook_seq, change));
    }

    pub(super) fn undo_job(&mut self) {
        self.job.clear();
    }

    pub(super) fn end_job(&mut self) {
        for (webhook_seq, change) in self.job.drain(..) {
            self.group.entry(webhook_seq).or_default().add(change);
        }
    }

    /// Writes the group's counts; what it finished.
    pub(super) fn flush(&mut self, connection: &Connection, now: Millis) -> Result<Finished, StoreError> {
        let group = std::mem::take(&mut self.group);
        let mut all = Sums::default();
        let mut finished = Finished::default();
        for (webhook_seq, counts) in &group {
            counts.store(connection, *webhook_seq, now)?;
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
            DeltaStep::Moved { from, to, count } => {
                if let Some(waiting) = from.and_then(|from| self.waiting(from)) {
                    *waiting -= count;
                }
                if let Some(waiting) = self.waiting(to) {
                    *waiting += count;
                }
                match to {
                    DeliveryStatus::Delivered => self.sums.delivered += count as u64,
                    DeliveryStatus::Failed => self.sums.failed += count as u64,
                    DeliveryStatus::Discarded => self.discarded += count as u64,
                    DeliveryStatus::Pending | DeliveryStatus::Retrying => {}
                }
            }
            DeltaStep::Attempted { is_retry, answer_ms } => self.sums.attempted(is_retry, answer_ms),
        }
    }

    fn waiting(&mut self, status: DeliveryStatus) -> Option<&mut i64> {
        match status {
            DeliveryStatus::Pending => Some(&mut self.pending),
            DeliveryStatus::Retrying => Some(&mut self.retrying),
            DeliveryStatus::Delivered | DeliveryStatus::Failed | DeliveryStatus::Discarded => None,
        }
    }

    fn store(&self, connection: &Connection, seq: i64, now: Millis) -> Result<(), StoreError> {
        let Sums { delivered, failed, .. } = self.sums;
        if self.pending == 0 && self.retrying == 0 && delivered == 0 && failed == 0 {
            return Ok(());
        }
        let finished = (delivered + failed > 0).then_some(now);
        connection
            .prepare_cached(
                "UPDATE webhook SET success_count = success_count + :delivered,
                     pending_count = pending_count + :pending, retrying_count = retrying_count + :retrying,
                     last_finished_ms = coalesce(:finished, last_finished_ms)
                 WHERE seq = :seq",
            )?
            .execute(named_params! {
                ":delivered": delivered as i64,
                ":pending": self.pending,
                ":retrying": self.retrying,
                ":finished": finished,
                ":seq": seq,
            })?;
        Ok(())
    }
}
