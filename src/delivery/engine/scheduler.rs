//! The thread that wakes lanes at their times and fills them from the table.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::Shared;
use super::lane::{Lane, QUEUE};
use super::record;
use super::state::State;
use crate::domain::time::Millis;
use crate::store::delivery::{DueRows, Order};
use crate::store::{StoreError, delivery};

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
    if !read.end(shared, rows) {
        // A failed read is not repeated at once.
        drop(shared.wait(&shared.schedule, shared.lock(), PATIENCE));
    }
}

/// Read of a lane's due deliveries.
pub(super) struct Read {
    webhook_seq: i64,
    order: Order,
    skip: HashSet<i64>,
    now: Millis,
    max_bytes: usize,
}

impl Read {
    pub(super) fn begin(state: &mut State, webhook_seq: i64, now: Millis, max_bytes: usize) -> Option<Read> {
        let (order, skip) = state.lane(webhook_seq).map(Lane::begin_read)?;
        Some(Read { webhook_seq, order, skip, now, max_bytes })
    }

    pub(super) fn rows(&self, shared: &Shared) -> Result<DueRows, StoreError> {
        let Read { webhook_seq, order, now, max_bytes, .. } = *self;
        shared.store.read_for_delivery(|connection| {
            delivery::due(connection, webhook_seq, order, now, QUEUE, max_bytes, |seq| self.skip.contains(&seq))
        })
    }

    /// Queues the rows. Returns `false` if the read failed.
    pub(super) fn end(self, shared: &Arc<Shared>, rows: Result<DueRows, StoreError>) -> bool {
        let mut state = shared.lock();
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                log::error!("deliveries that are due could not be read: {error}");
                state.with(self.webhook_seq, self.now, Lane::read_failed);
                return false;
            }
        };
        let damaged = rows.damaged.clone();
        state.with(self.webhook_seq, self.now, |lane| lane.end_read(rows));
        shared.rouse(&mut state);
        drop(state);
        for delivery_seq in damaged {
            shared.give_up(self.webhook_seq, delivery_seq);
        }
        shared.rest.notify_all();
        true
    }
}

impl Shared {
    /// Makes a delivery with a damaged event a dead letter.
    pub(super) fn give_up(&self, webhook_seq: i64, delivery_seq: i64) {
        log::error!("the stored event of delivery number {delivery_seq} is damaged; the delivery is given up");
        let ended: Result<(), StoreError> =
            self.store.write(move |tx| record::give_up_damaged(tx, webhook_seq, delivery_seq)).wait();
        if let Err(error) = ended {
            log::error!("a damaged delivery could not be given up: {error}");
        }
    }
}
