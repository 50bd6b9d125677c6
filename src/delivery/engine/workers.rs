//! The worker threads, which send.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::state::{Claim, State};
use super::{Shared, Unrecorded};
use crate::delivery::sender::{AttemptResult, FormerFormat};
use crate::domain::delivery::Trigger;
use crate::domain::time::Millis;
use crate::profile::BodyFormat;
use crate::random;
use crate::store::delivery::{self, Loaded};
use crate::store::{DueDelivery, StoreError, body_format, damage};

/// How long a worker without work waits before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// Pause of a lane after this machine had no thread to look up its name with, or no file descriptor to connect with.
pub(super) const MACHINE_PAUSE: Millis = 1_000;

/// Starts a worker. If no thread can be started, the existing ones go on.
pub(super) fn start(shared: &Arc<Shared>, state: &mut State) {
    state.workers += 1;
    let worker = Arc::clone(shared);
    let spawned =
        std::thread::Builder::new().name("worker".to_owned()).stack_size(512 << 10).spawn(move || run(&worker));
    if let Err(error) = spawned {
        state.workers -= 1;
        log::warn!(
            "no further worker could be started, so fewer requests are sent at a time: {error}. Check the limit of threads of this user."
        );
    }
}

fn run(shared: &Arc<Shared>) {
    let mut state = shared.lock();
    let mut idle_since = None;
    loop {
        if let Some(claim) = state.take(shared.clock.now_ms(), Instant::now()) {
            idle_since = None;
            shared.rouse(&mut state);
            drop(state);
            state = attempt(shared, claim);
            continue;
        }
        // A lane under a rate limit may have set a timer.
        shared.rouse_scheduler(&mut state);
        let since = *idle_since.get_or_insert_with(Instant::now);
        if state.stopping || since.elapsed() >= IDLE {
            state.workers -= 1;
            shared.rest.notify_all();
            return;
        }
        state.idle_workers += 1;
        state = shared.wait(&shared.work, state, IDLE);
        state.idle_workers -= 1;
    }
}

/// Sends a claimed delivery and passes its outcome to the writer. Returns the locked state.
fn attempt(shared: &Arc<Shared>, mut claim: Claim) -> MutexGuard<'_, State> {
    let Some(delivery) = delivery_of(shared, &mut claim) else {
        return release(shared, &claim, None, Instant::now());
    };
    let Some(result) = send(shared, &claim, &delivery) else {
        return release(shared, &claim, Some(MACHINE_PAUSE), Instant::now());
    };
    if !result.is_attempt() {
        return release(shared, &claim, Some(MACHINE_PAUSE), Instant::now());
    }
    let outcome = came_back(shared, &claim, delivery, result, random::fraction(), Instant::now());
    // May wait for the writer, which in turn may wait for the lock.
    shared.record(outcome);
    shared.lock()
}

/// Makes an attempt. `None` if the format of the earlier attempts could not be read.
pub(super) fn send(shared: &Shared, claim: &Claim, delivery: &DueDelivery) -> Option<AttemptResult> {
    match former_format(shared, claim, delivery) {
        Ok(former) => Some(shared.sender.attempt(&claim.endpoint, delivery, former.as_ref())),
        Err(error) => {
            log::error!(delivery_id:% = delivery.id; "its earlier attempts could not be read, so nothing was sent: {error}");
            None
        }
    }
}

/// Returns the format of the delivery's earlier attempts, if the webhook or its profile was given another one since: all
/// attempts of a delivery send the same body.
fn former_format(shared: &Shared, claim: &Claim, delivery: &DueDelivery) -> Result<Option<FormerFormat>, StoreError> {
    if delivery.attempt_count == 0 {
        return Ok(None);
    }
    let read = shared.store.read_for_delivery(|connection| body_format::of_first_attempt(connection, delivery.seq));
    let definition = match read {
        Err(error) if error.is_damage() => {
            damage::report("attempt", delivery.seq, &error);
            None
        }
        read => read?,
    };
    let definition = definition.filter(|definition| **definition != **claim.endpoint.body_format_definition());
    Ok(definition.and_then(|definition| {
        // A template that this version of the program refuses cannot be sent again.
        let format = BodyFormat::from_definition(&definition).ok()?;
        Some(FormerFormat { format, definition: definition.into() })
    }))
}

/// Returns the delivery of a claim. `None` if it must not be sent any more, or cannot be read.
pub(super) fn delivery_of(shared: &Arc<Shared>, claim: &mut Claim) -> Option<DueDelivery> {
    claim.hint.delivery.take().or_else(|| load(shared, claim))
}

/// Gives back a delivery that was not attempted.
pub(super) fn release<'a>(
    shared: &'a Arc<Shared>,
    claim: &Claim,
    pause: Option<Millis>,
    instant: Instant,
) -> MutexGuard<'a, State> {
    let now = shared.clock.now_ms();
    let mut state = shared.lock();
    state.release(claim, pause.map(|pause| now + pause), now, instant);
    shared.rest.notify_all();
    state
}

/// Ends a request. Returns its outcome, which is to be recorded.
pub(super) fn came_back(
    shared: &Arc<Shared>,
    claim: &Claim,
    delivery: DueDelivery,
    result: AttemptResult,
    jitter: f64,
    instant: Instant,
) -> Arc<Unrecorded> {
    measure(shared, &delivery, &result);
    shared.lock().came_back(claim, result.error_code(), shared.clock.now_ms(), instant);
    let endpoint = Arc::clone(&claim.endpoint);
    Arc::new(Unrecorded { delivery, endpoint, result, jitter })
}

/// Reads a delivery that was queued by its number only. `None` if it must not be sent any more, or cannot be read.
fn load(shared: &Arc<Shared>, claim: &Claim) -> Option<DueDelivery> {
    let (seq, now) = (claim.hint.seq, shared.clock.now_ms());
    match shared.store.read_for_delivery(|connection| delivery::load(connection, seq, now)) {
        Ok(Loaded::Due(delivery)) => return Some(delivery),
        Ok(Loaded::NotDue) => {}
        Ok(Loaded::Unreadable) => {
            let now = shared.clock.now_ms();
            shared.lock().with(claim.endpoint.webhook.seq, now, |lane| lane.set_aside(seq));
        }
        Ok(Loaded::Damaged) => shared.give_up(claim.endpoint.webhook.seq, &[seq]),
        Err(error) => log::error!("delivery number {seq} could not be read: {error}"),
    }
    None
}

fn measure(shared: &Shared, delivery: &DueDelivery, result: &AttemptResult) {
    let millis = |ms: i64| Duration::from_millis(ms.max(0) as u64);
    // A new delivery is due when it is accepted.
    let is_first = delivery.attempt_count == 0 && delivery.trigger == Trigger::Initial;
    let waited = is_first.then(|| millis(result.attempt.started_ms - delivery.due_ms));
    shared.metrics.attempted(result.error_code(), millis(result.attempt.duration_ms), waited);
}
