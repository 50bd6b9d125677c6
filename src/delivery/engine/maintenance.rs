//! The thread for rare work: outcomes that could not be stored, pending sweeps, outdated rows.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use crate::domain::time::Millis;
use crate::store::delivery::ahead;
use crate::store::{StoreError, WriteTx, damage, idempotency, stats, sweep, webhook};

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// Interval of deleting outdated rows.
const CLEANING: Duration = Duration::from_secs(60);

pub(super) fn run(shared: &Arc<Shared>) {
    let mut cleaned_at = Instant::now();
    // Also at the start: the clock may have been ahead before it.
    let mut latest_ms = Millis::MAX;
    loop {
        let now = shared.clock.now_ms();
        if now < latest_ms.saturating_sub(ahead::LEAST) {
            match bring_back(shared) {
                Ok(()) => latest_ms = now,
                Err(error) => {
                    log::error!("due times that lie ahead could not be corrected: {error}");
                    if error.is_lasting() {
                        latest_ms = now;
                    }
                }
            }
        }
        latest_ms = latest_ms.max(now);
        shared.sender.tidy();
        record_again(shared);
        match shared.store.read_for_delivery(sweep::unfinished) {
            Ok(webhooks) => webhooks.into_iter().for_each(|webhook| finish_sweep(shared, webhook)),
            Err(error) => log::error!("sweeps could not be looked up: {error}"),
        }
        if cleaned_at.elapsed() >= CLEANING {
            clean(shared);
            cleaned_at = Instant::now();
        }
        let state = shared.lock();
        if state.stopping && state.sending() == 0 && state.unrecorded == 0 {
            return;
        }
        drop(shared.wait(&shared.maintenance, state, PAUSE));
    }
}

/// Corrects the due times of deliveries that were stored while the clock was ahead, and has all lanes read the table
/// again: their timers are of that clock too.
fn bring_back(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let now = shared.clock.now_ms();
    let (mut after, mut changed) = (Some(0), 0);
    while let Some(from) = after {
        let begin = Instant::now();
        let found = shared.store.read_for_delivery(|connection| ahead::ahead(connection, now, from))?;
        after = found.next;
        if !found.rows.is_empty() {
            changed += found.rows.len();
            let step = move |tx: &mut WriteTx<'_>| match ahead::bring_back(tx, &found.rows) {
                Err(error) if error.is_damage() => found.rows.iter().try_for_each(|seq| {
                    let changed = ahead::bring_back(tx, &[*seq]);
                    damage::skip("delivery", *seq, changed).map(drop)
                }),
                changed => changed.map(drop),
            };
            shared.store.write(step).wait()?;
        }
        let state = shared.lock();
        if state.stopping {
            return Ok(());
        }
        if after.is_some() {
            drop(shared.wait(&shared.maintenance, state, begin.elapsed()));
        }
    }
    if changed > 0 {
        log::warn!("the clock was ahead when {changed} waiting deliveries were stored; their waits count from now");
    }
    shared.lock().reread_all(now);
    shared.schedule.notify_all();
    Ok(())
}

/// Stores outcomes that could not be stored before.
fn record_again(shared: &Arc<Shared>) {
    let unrecorded = std::mem::take(&mut *shared.unrecorded.lock().unwrap_or_else(PoisonError::into_inner));
    for outcome in unrecorded {
        shared.record(outcome);
    }
}

/// Deletes idempotency keys past their day and secrets past their overlap, and merges old statistics.
fn clean(shared: &Arc<Shared>) {
    let deleted = shared.store.write(|tx| -> Result<(), StoreError> {
        idempotency::delete_expired(tx)?;
        webhook::delete_old_secrets(tx)
    });
    let merged = deleted.wait().and_then(|()| merge_statistics(shared));
    if let Err(error) = merged {
        log::error!("rows that are out of date could not be deleted: {error}");
    }
}

fn merge_statistics(shared: &Arc<Shared>) -> Result<(), StoreError> {
    loop {
        let step = shared.store.write(stats::merge_old);
        if !step.wait()? || shared.lock().stopping {
            return Ok(());
        }
    }
}

/// Finishes the sweep of a webhook in steps, to let other writes in between.
fn finish_sweep(shared: &Arc<Shared>, webhook_seq: i64) {
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
