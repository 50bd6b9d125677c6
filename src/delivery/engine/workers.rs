//! The threads that send.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Shared, Unrecorded};
use crate::delivery::engine::state::{Claim, State};
use crate::delivery::sender::AttemptResult;
use crate::domain::delivery::Trigger;
use crate::store::DueDelivery;

/// A worker that has had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(10);

/// Starts a worker; `state` is the locked state. Where no thread can be had, those there are go on.
pub(super) fn start(shared: &Arc<Shared>, state: &mut State) {
    let number = state.workers.enter();
    let worker = Arc::clone(shared);
    let spawned = std::thread::Builder::new()
        .name(format!("worker-{number}"))
        .stack_size(512 << 10)
        .spawn(move || run(&worker, number));
    if let Err(error) = spawned {
        state.workers.leave();
        log::warn!("no further worker could be started: {error}");
    }
}

fn measure(shared: &Shared, claim: &Claim, made: &AttemptResult) {
    let millis = |ms: i64| Duration::from_millis(ms.max(0) as u64);
    let DueDelivery { due_ms, attempt_count, trigger, .. } = claim.delivery;
    // A new delivery is due since it was accepted.
    let is_first = attempt_count == 0 && trigger == Trigger::Initial;
    let waited = is_first.then(|| millis(made.attempt.started_ms - due_ms));
    let took = millis(made.attempt.duration_ms);
    shared.metrics.attempted(made.error_code(), took, waited);
}

fn run(shared: &Arc<Shared>, number: usize) {
    let mut state = shared.lock();
    let mut idle_since = None;
    loop {
        if let Some(claim) = state.take(shared.clock.now_ms()) {
            idle_since = None;
            state.workers.begin(number, Instant::now());
            shared.rouse(&mut state);
            drop(state);
            let made = shared.sender.attempt(&claim.endpoint, &claim.delivery);
            measure(shared, &claim, &made);
            state = shared.lock();
            state.workers.end(number);
            state.came_back(&claim, made.error_code(), shared.clock.now_ms());
            drop(state);
            // May wait for the writer, which in turn may wait for the lock.
            shared.record(Arc::new(Unrecorded::new(claim, made)));
            state = shared.lock();
            continue;
        }
        // A lane that a rate limit holds has a time now.
        shared.rouse_pacer(&mut state);
        let since = *idle_since.get_or_insert_with(Instant::now);
        if state.stopping || since.elapsed() >= IDLE {
            state.workers.leave();
            shared.rest.notify_all();
            return;
        }
        state.workers.idle += 1;
        state = shared.wait(&shared.work, state, IDLE);
        state.workers.idle -= 1;
    }
}
