//! The thread that wakes lanes at their times and fills them from the table.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::Shared;
use super::lane::{Lane, QUEUE};
use super::record;
use super::state::State;
use crate::domain::time::Millis;
use crate::store::delivery::{DueRows, LeftOut, Order};
use crate::store::{StoreError, damage, delivery};

/// Longest sleep of the scheduler.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long work may be queued while all workers seem busy.
const IMPATIENCE: Duration = Duration::from_millis(2);

pub(super) fn run(shared: &Arc<Shared>) {
    loop {
        let mut state = shared.lock();
        if state.stopping && state.sending() == 0 && state.unrecorded == 0 {
            return;
        }
        let now = shared.clock.now_ms();
        let next_ms = state.wake_due(now);
        state.scheduled(Instant::now());
        shared.rouse(&mut state);
        if let Some((seq, max_bytes)) = state.next_read() {
            read(shared, state, seq, max_bytes);
            continue;
        }
        let until_due = next_ms.map(|next| Duration::from_millis((next - now).max(1) as u64));
        let mut patience = until_due.unwrap_or(PATIENCE).min(PATIENCE);
        if state.has_ready() {
            patience = patience.min(IMPATIENCE);
        }
        drop(shared.wait(&shared.schedule, state, patience));
    }
}

/// Fills a lane from the table. Releases the lock meanwhile.
fn read(shared: &Arc<Shared>, mut state: MutexGuard<'_, State>, seq: i64, max_bytes: usize) {
    let Some(read) = Read::begin(&mut state, seq, shared.clock.now_ms(), max_bytes) else {
        return;
    };
    drop(state);
    let rows = read.rows(shared);
    read.end(shared, rows);
}

/// Read of a lane's due deliveries.
pub(super) struct Read {
    webhook_seq: i64,
    order: Order,
    left_out: LeftOut,
    now: Millis,
    max_bytes: usize,
}

impl Read {
    pub(super) fn begin(state: &mut State, webhook_seq: i64, now: Millis, max_bytes: usize) -> Option<Read> {
        let (order, left_out) = state.lane(webhook_seq).map(Lane::begin_read)?;
        Some(Read { webhook_seq, order, left_out, now, max_bytes })
    }

    pub(super) fn rows(&self, shared: &Shared) -> Result<DueRows, StoreError> {
        let Read { webhook_seq, order, ref left_out, now, max_bytes } = *self;
        shared.store.read_for_delivery(|connection| {
            delivery::due(connection, webhook_seq, order, now, QUEUE, max_bytes, left_out)
        })
    }

    /// Queues the rows. After a failed read, the lane reads again later.
    pub(super) fn end(self, shared: &Arc<Shared>, rows: Result<DueRows, StoreError>) {
        let Read { webhook_seq, now, .. } = self;
        let mut state = shared.lock();
        match rows {
            Ok(rows) => {
                let (damaged, unreadable) = (rows.damaged.clone(), rows.unreadable.clone());
                state.with(webhook_seq, now, |lane| {
                    unreadable.into_iter().for_each(|delivery_seq| lane.set_aside(delivery_seq));
                    lane.end_read(rows);
                });
                shared.rouse(&mut state);
                drop(state);
                shared.give_up(webhook_seq, &damaged);
            }
            Err(error) => {
                state.with(webhook_seq, now, |lane| lane.read_failed(now));
                drop(state);
                if error.is_damage() {
                    damage::report("webhook", webhook_seq, &error);
                } else {
                    log::error!(
                        "deliveries of webhook number {webhook_seq} could not be read, which is repeated: {error}"
                    );
                }
            }
        }
        shared.rest.notify_all();
    }
}

impl Shared {
    /// Makes deliveries that cannot be read dead letters. Those that cannot be changed either are set aside.
    pub(super) fn give_up(&self, webhook_seq: i64, damaged: &[i64]) {
        let write = |seq: &i64| {
            let seq = *seq;
            let job =
                self.store.write(move |tx| -> Result<(), StoreError> { record::give_up_damaged(tx, webhook_seq, seq) });
            (seq, job)
        };
        let jobs: Vec<_> = damaged.iter().map(write).collect();
        for (seq, job) in jobs {
            match job.wait() {
                Ok(()) => {}
                Err(error) if error.is_lasting() => self.set_aside(webhook_seq, seq, &error),
                Err(error) => {
                    log::error!("delivery number {seq} is damaged and could not be given up yet: {error}");
                    let now = self.clock.now_ms();
                    self.lock().with(webhook_seq, now, |lane| lane.read_later(now));
                }
            }
        }
    }

    /// Leaves out a delivery whose row cannot be changed.
    pub(super) fn set_aside(&self, webhook_seq: i64, delivery_seq: i64, error: &StoreError) {
        damage::report("delivery", delivery_seq, error);
        let mut state = self.lock();
        state.with(webhook_seq, self.clock.now_ms(), |lane| lane.set_aside(delivery_seq));
        self.rouse_scheduler(&mut state);
    }
}
