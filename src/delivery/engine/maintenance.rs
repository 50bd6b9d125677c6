//! The thread for rare work: outcomes that could not be stored, pending sweeps, deletions of tenants, outdated rows.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use super::state::State;
use crate::domain::clock_jumps::ClockJumps;
use crate::domain::time::{MINUTE, Millis, SECOND};
use crate::store::delivery::ahead;
use crate::store::tenant::deletion::{self, Left};
use crate::store::{
    StoreError, WriteTx, answer, damage, idempotency, incident, pause, retention, stats, sweep, webhook,
};

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// Interval of deleting outdated rows.
const CLEANING: Millis = MINUTE;
/// Interval of looking after incidents.
const TENDING: Millis = 10 * SECOND;
const LONGEST_REST: Duration = Duration::from_millis(200);
/// Webhooks with unfinished sweeps per read.
const LISTED: usize = 1_000;
/// Tenants whose deletion takes turns.
const TURNS: usize = 100;

pub(super) fn run(shared: &Arc<Shared>) {
    // Not the time at which this thread begins, since the clock may have been set meanwhile.
    let mut cleaned_ms = shared.created.wall_ms;
    let mut tended_ms = Millis::MIN;
    let mut positions = HashMap::new();
    let newest_ms = shared.store.read_for_delivery(retention::newest_ms).unwrap_or_else(|error| {
        log::error!("the time of the newest row could not be read, so a clock that was set is noticed later: {error}");
        None
    });
    let mut jumps = ClockJumps::since(newest_ms, shared.created);
    // Also at the start: the clock may have been ahead before it.
    let mut latest_ms = Millis::MAX;
    loop {
        latest_ms = latest_ms.max(shared.store.take_latest_ms());
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
        if let Err(error) = follow_pause(shared) {
            log::error!("a pause of all deliveries could not be looked for: {error}");
        }
        if let Err(error) = sweep_on(shared, &mut positions) {
            log::error!("a sweep stopped and will go on in a moment: {error}");
        }
        if let Err(error) = delete_tenants(shared) {
            log::error!("the deletion of a tenant stopped and will go on in a moment: {error}");
        }
        let reading = shared.clock.reading();
        jumps.observe(reading);
        let now = reading.wall_ms;
        // A clock that was set back does not put it off.
        if !(0..CLEANING).contains(&(now - cleaned_ms)) {
            // Nothing is deleted before its time because the clock jumped ahead.
            clean(shared, now - jumps.ahead_within(stats::LONGEST_KEPT));
            cleaned_ms = now;
        }
        if !(0..TENDING).contains(&now.saturating_sub(tended_ms)) {
            run_steps(shared, now, incident::tend);
            tended_ms = now;
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
            let step = move |tx: &mut WriteTx<'_>| {
                let rows: Vec<i64> = found.rows.into_iter().filter(|seq| !damage::is_known("delivery", *seq)).collect();
                match ahead::bring_back(tx, &rows) {
                    Err(error) if error.is_damage() => rows.iter().try_for_each(|seq| {
                        let changed = ahead::bring_back(tx, &[*seq]);
                        damage::skip("delivery", *seq, changed).map(drop)
                    }),
                    changed => changed.map(drop),
                }
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

/// Follows a pause that a command has begun or ended. The writer reads it again, in the order of all changes of it.
fn follow_pause(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let is_paused = shared.store.read_for_delivery(pause::current)?.is_some();
    // The lock is released before the wait for the writer, which takes it.
    let is_known = shared.lock().is_paused() == is_paused;
    if is_known { Ok(()) } else { shared.store.write(pause::announce).wait() }
}

/// Stores outcomes that could not be stored before.
fn record_again(shared: &Arc<Shared>) {
    let unrecorded = std::mem::take(&mut *shared.unrecorded.lock().unwrap_or_else(PoisonError::into_inner));
    for outcome in unrecorded {
        shared.record(outcome);
    }
}

/// Deletes idempotency keys and answers past their day and secrets past their overlap, and merges old statistics.
fn clean(shared: &Arc<Shared>, now: Millis) {
    for job in [idempotency::delete_expired, answer::delete_expired, webhook::delete_old_secrets, stats::merge_old] {
        if !run_steps(shared, now, job) {
            return;
        }
    }
}

/// Runs a job until nothing remains to do. Returns `false` if it failed.
fn run_steps(shared: &Arc<Shared>, now: Millis, job: fn(&mut WriteTx<'_>, Millis) -> Result<bool, StoreError>) -> bool {
    loop {
        let begin = Instant::now();
        match shared.store.write(move |tx| job(tx, now)).wait() {
            Ok(true) if rest(shared, begin) => {}
            Ok(_) => return true,
            Err(error) => {
                log::error!("a step of the maintenance failed and is repeated later: {error}");
                return false;
            }
        }
    }
}

/// Runs the sweeps of all webhooks, which take turns, for about the time of a pause. `positions` is where each continues.
fn sweep_on(shared: &Arc<Shared>, positions: &mut HashMap<i64, i64>) -> Result<(), StoreError> {
    let begin = Instant::now();
    while begin.elapsed() < PAUSE {
        let mut webhooks = Vec::new();
        loop {
            let last = webhooks.last().copied().unwrap_or(0);
            let found = shared.store.read_for_delivery(|connection| sweep::unfinished(connection, last, LISTED))?;
            webhooks.extend(&found);
            if found.len() < LISTED {
                break;
            }
        }
        positions.retain(|webhook_seq, _| webhooks.binary_search(webhook_seq).is_ok());
        if webhooks.is_empty() {
            break;
        }
        for webhook_seq in webhooks {
            let begin = Instant::now();
            let after = positions.get(&webhook_seq).copied().unwrap_or(0);
            let step = shared.store.write(move |tx| -> Result<_, StoreError> { sweep::step(tx, webhook_seq, after) });
            match step.wait()? {
                Some(next) => positions.insert(webhook_seq, next),
                None => positions.remove(&webhook_seq),
            };
            if !rest(shared, begin) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Deletes tenants, which take turns, for about the time of a pause.
fn delete_tenants(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let begin = Instant::now();
    while begin.elapsed() < PAUSE {
        let tenants = shared.store.read_for_delivery(deletion::running)?;
        let mut goes_on = false;
        for tenant in tenants.into_iter().take(TURNS) {
            let begin = Instant::now();
            let step = shared.store.write(move |tx| -> Result<_, StoreError> { deletion::step(tx, &tenant) });
            goes_on |= step.wait()? == Left::Rows;
            if !rest_longer(shared, begin) {
                return Ok(());
            }
        }
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// Rests after a step that began at this time, which leaves most of the writer's time to other jobs. Returns `false` if
/// the engine stops.
fn rest(shared: &Arc<Shared>, begin: Instant) -> bool {
    rest_for(shared, begin.elapsed() * 2)
}

/// Like [`rest`], as long as retention rests.
fn rest_longer(shared: &Arc<Shared>, begin: Instant) -> bool {
    rest_for(shared, begin.elapsed() * 4)
}

fn rest_for(shared: &Arc<Shared>, rest: Duration) -> bool {
    let state = shared.lock();
    let rest = rest.min(LONGEST_REST);
    let stopping = |state: &mut State| !state.stopping;
    let waited = shared.maintenance.wait_timeout_while(state, rest, stopping);
    !waited.unwrap_or_else(PoisonError::into_inner).0.stopping
}
