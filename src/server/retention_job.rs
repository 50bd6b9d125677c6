//! Retention while the server runs: a thread that deletes old deliveries and events every hour, by the server's clock.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::actions::prune::{Pace, prune};
use crate::actions::{ActionError, Actions};
use crate::domain::clock_jumps::ClockJumps;
use crate::domain::retention::Cutoffs;
use crate::domain::time::{HOUR, MINUTE, Millis};
use crate::store::{StoreError, retention};

/// Time from the start to the first run. By then overdue deliveries have been sent, and a clock that was wrong at the
/// start has been set.
const AFTER_START: Millis = 10 * MINUTE;
const INTERVAL: Millis = HOUR;
/// Longest wait before the clock, which may have been set, is read again.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// Deletes in the background until it is stopped. Cheap to clone.
#[derive(Clone)]
pub struct RetentionJob(Arc<Shared>);

struct Shared {
    actions: Actions,
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    is_stopping: bool,
    is_running: bool,
    next_ms: Millis,
    jumps: ClockJumps,
}

impl RetentionJob {
    pub(super) fn start(actions: Actions) -> Result<RetentionJob, StoreError> {
        let now = actions.clock.reading();
        let newest_ms = actions.store.read(retention::newest_ms)?;
        let next_ms = now.wall_ms + AFTER_START;
        let jumps = ClockJumps::since(newest_ms, now);
        let state = Mutex::new(State { is_stopping: false, is_running: false, next_ms, jumps });
        let shared = Arc::new(Shared { actions, state, changed: Condvar::new(), thread: Mutex::default() });
        let job = RetentionJob(Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("retention".to_owned()).spawn(move || shared.run());
        let thread = thread.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        *job.0.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(job)
    }

    /// Waits until no run is due. Returns `false` after `patience`.
    pub fn wait_until_idle(&self, patience: Duration) -> bool {
        let is_due = |state: &State| state.is_running || state.next_ms <= self.0.actions.clock.now_ms();
        let state = self.0.lock();
        // The thread may not know that a manual clock was advanced.
        self.0.changed.notify_all();
        !is_due(&self.0.wait_while(state, patience, is_due))
    }

    /// Ends after the current step, and waits for that.
    pub(super) fn stop(&self) {
        self.0.lock().is_stopping = true;
        self.0.changed.notify_all();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The panic handler has already reported a panic.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while<'a>(
        &self,
        state: MutexGuard<'a, State>,
        patience: Duration,
        condition: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let result = self.changed.wait_timeout_while(state, patience, |state| condition(state));
        result.unwrap_or_else(PoisonError::into_inner).0
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.is_stopping {
            let reading = self.actions.clock.reading();
            let now = reading.wall_ms;
            state.jumps.observe(reading);
            // Never later than the interval, even if the clock was set back.
            state.next_ms = state.next_ms.min(now + INTERVAL);
            if state.next_ms > now {
                let left = Duration::from_millis((state.next_ms - now) as u64).min(CLOCK_CHECK);
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            state.is_running = true;
            let cutoffs = self.actions.live.get().retention.cutoffs_after_jumps(now, &state.jumps);
            drop(state);
            self.prune(cutoffs);
            state = self.lock();
            state.is_running = false;
            state.next_ms = now + INTERVAL;
            self.changed.notify_all();
        }
    }

    fn prune(&self, cutoffs: Cutoffs) {
        let pace = Pace { go_on: &|| !self.lock().is_stopping, rest: &|time| self.pause(time), deleted: &|_| {} };
        match prune(&self.actions.store, cutoffs, false, &pace) {
            Ok(pruned) if pruned.deliveries + pruned.events > 0 => {
                log::info!("retention deleted {} deliveries and {} events", pruned.deliveries, pruned.events);
            }
            Ok(_) | Err(ActionError::Store(StoreError::Stopping)) => {}
            Err(error) => log::error!("retention failed and is retried in an hour: {error}"),
        }
    }

    fn pause(&self, time: Duration) {
        drop(self.wait_while(self.lock(), time, |state| !state.is_stopping));
    }
}
