//! The thread that wakes lanes when a time comes, fills them from the table, and looks after what is rare:
//! outcomes that the disk would not take, sweeps that are not done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use super::record;
use crate::delivery::engine::lane::{Lane, QUEUE};
use crate::delivery::engine::state::State;
use crate::store::{StoreError, delivery, idempotency, stats, sweep, webhook};

/// How long the pacer sleeps at most: it looks after rare things then.
const CHORES: Duration = Duration::from_secs(1);
/// How often what is out of date is cleared away.
const CLEARING: Duration = Duration::from_secs(60);
/// How long work may stand while all workers seem busy.
const IMPATIENCE: Duration = Duration::from_millis(2);
/// Bytes of events that one read brings at most, about.
const READ_BYTES: usize = 1 << 20;

pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<()> {
    std::thread::Builder::new().name("pacer".to_owned()).spawn(move || {
        // All that it knows is in the shared state, so it can begin again where a fault of ours ended it.
        while catch_unwind(AssertUnwindSafe(|| run(&shared))).is_err() {
            log::error!("a fault in Hookpost interrupted the pacer; please report it with the log");
            std::thread::sleep(CHORES);
        }
    })?;
    Ok(())
}

fn run(shared: &Arc<Shared>) {
    let mut chores_at = Instant::now();
    let mut clearing_at = chores_at + CLEARING;
    loop {
        let mut state = shared.lock();
        if state.stopping && state.sending == 0 && state.unrecorded == 0 {
            return;
        }
        let now = shared.clock.now_ms();
        let next_ms = state.wake_due(now);
        shared.rouse(&mut state);
        if let Some(seq) = state.next_read() {
            read(shared, state, seq);
            continue;
        }
        if Instant::now() >= chores_at {
            drop(state);
            chores(shared);
            chores_at = Instant::now() + CHORES;
            if chores_at > clearing_at {
                clear(shared);
                clearing_at = chores_at + CLEARING;
            }
            continue;
        }
        let until_due = next_ms.map(|next| Duration::from_millis((next - now).max(1) as u64));
        let mut patience = until_due.unwrap_or(CHORES).min(CHORES);
        if state.has_ready() {
            patience = patience.min(IMPATIENCE);
        }
        drop(shared.wait(&shared.pace, state, patience));
    }
}

/// Fills a lane from the table, with the lock given back meanwhile.
fn read(shared: &Arc<Shared>, mut state: MutexGuard<'_, State>, seq: i64) {
    let now = shared.clock.now_ms();
    let Some((order, skip)) = state.lane(seq).map(Lane::begin_read) else {
        return;
    };
    drop(state);
    let found = shared.store.read(|connection| {
        delivery::due(connection, seq, order, now, QUEUE, READ_BYTES, |delivery| skip.contains(&delivery))
    });
    let mut state = shared.lock();
    match found {
        Ok(found) => {
            let damaged = found.damaged.clone();
            state.with(seq, now, |lane| lane.end_read(found));
            shared.rouse(&mut state);
            drop(state);
            give_up(shared, seq, &damaged);
        }
        Err(error) => {
            log::error!("what is due could not be read: {error}");
            state.with(seq, now, |lane| lane.read_failed());
            // Not at once: the next chores are soon enough for a database that fails to read.
            drop(shared.wait(&shared.pace, state, CHORES));
            return;
        }
    }
    shared.rest.notify_all();
}

fn chores(shared: &Arc<Shared>) {
    shared.sender.tidy();
    let unrecorded = std::mem::take(&mut *shared.unrecorded.lock().unwrap_or_else(PoisonError::into_inner));
    for outcome in unrecorded {
        shared.record(outcome);
    }
    match shared.store.read(sweep::unfinished) {
        Ok(webhooks) => webhooks.into_iter().for_each(|webhook| go_on(shared, webhook)),
        Err(error) => log::error!("sweeps could not be looked up: {error}"),
    }
}

/// Clears away what is out of date: idempotency keys past their day, secrets past their overlap.
fn clear(shared: &Arc<Shared>) {
    let cleared = shared.store.write(|tx| -> Result<(), StoreError> {
        idempotency::delete_expired(tx)?;
        webhook::delete_old_secrets(tx)
    });
    let merged = cleared.wait().and_then(|()| merge_statistics(shared));
    if let Err(error) = merged {
        log::error!("what is out of date could not be cleared away: {error}");
    }
}

/// Merges old statistics, step by step.
fn merge_statistics(shared: &Arc<Shared>) -> Result<(), StoreError> {
    loop {
        let step = shared.store.write(stats::merge_old);
        if !step.wait()? || shared.lock().stopping {
            return Ok(());
        }
    }
}

/// Does the sweep of a webhook to its end, step by step, so that other writes come in between.
fn go_on(shared: &Arc<Shared>, webhook_seq: i64) {
    loop {
        let step = shared.store.write(move |tx| -> Result<bool, StoreError> { sweep::step(tx, webhook_seq) });
        match step.wait() {
            Ok(true) if !shared.lock().stopping => {}
            Ok(_) => return,
            Err(error) => {
                log::error!("a sweep stopped and will go on in a moment: {error}");
                return;
            }
        }
    }
}

/// Ends deliveries whose stored event is not what was stored: it is never sent.
fn give_up(shared: &Arc<Shared>, webhook_seq: i64, damaged: &[i64]) {
    for delivery_seq in damaged.iter().copied() {
        log::error!("the stored event of delivery number {delivery_seq} is damaged; it is given up");
        let done = shared
            .store
            .write(move |tx| -> Result<(), StoreError> { record::give_up_damaged(tx, webhook_seq, delivery_seq) });
        if let Err(error) = done.wait() {
            log::error!("a damaged delivery could not be given up: {error}");
        }
    }
}
