//! Retention while the server runs: a thread that prunes once an hour, by the server's clock.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::actions::prune::{Pace, prune};
use crate::actions::{ActionError, Actions};
use crate::domain::time::{HOUR, MINUTE, Millis};
use crate::store::StoreError;

/// The first prune comes so long after the start: whatever waited is on its way then, and a machine that started with
/// a wrong clock has the right one.
const AFTER_START: Millis = 10 * MINUTE;
/// The time from the end of a prune to the next one.
const EVERY: Millis = HOUR;
/// How long the clock is not looked at, at most: it may be set.
const LOOK: Duration = Duration::from_secs(60);

/// Prunes in the background until it is stopped. Cheap to clone.
#[derive(Clone)]
pub struct RetentionJob(Arc<Shared>);

struct Shared {
    actions: Actions,
    state: Mutex<State>,
    /// The thread waits here.
    wake: Condvar,
    /// Who waits for the thread waits here.
    rest: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    stopping: bool,
    is_at_work: bool,
    next_ms: Millis,
}

impl RetentionJob {
    pub(super) fn start(actions: Actions) -> io::Result<RetentionJob> {
        let state = State { stopping: false, is_at_work: false, next_ms: actions.clock.now_ms() + AFTER_START };
        let retention_job = RetentionJob(Arc::new(Shared {
            actions,
            state: Mutex::new(state),
            wake: Condvar::new(),
            rest: Condvar::new(),
            thread: Mutex::new(None),
        }));
        let shared = Arc::clone(&retention_job.0);
        let thread = std::thread::Builder::new().name("upkeep".to_owned()).spawn(move || shared.run())?;
        *retention_job.0.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(retention_job)
    }

    /// Waits until what is to be pruned by now is. `false` after `patience`.
    pub fn wait_until_idle(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.0.lock();
        while state.is_at_work || state.next_ms <= self.0.actions.clock.now_ms() {
            self.0.wake.notify_all();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = wait(&self.0.rest, state, left);
        }
        true
    }

    /// Begins no further step, and waits for the one at hand.
    pub(super) fn stop(&self) {
        self.0.lock().stopping = true;
        self.0.wake.notify_all();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.stopping {
            let now = self.actions.clock.now_ms();
            // Of a clock that was set back, no more than the usual time is waited for.
            state.next_ms = state.next_ms.min(now + EVERY);
            if state.next_ms > now {
                let left = Duration::from_millis((state.next_ms - now) as u64);
                state = wait(&self.wake, state, left.min(LOOK));
                continue;
            }
            state.is_at_work = true;
            drop(state);
            self.prune(now);
            state = self.lock();
            state.is_at_work = false;
            state.next_ms = now + EVERY;
            self.rest.notify_all();
        }
    }

    fn prune(&self, now: Millis) {
        let pace = Pace { go_on: &|| !self.lock().stopping, rest: &|time| self.pause(time) };
        let cutoffs = self.actions.retention.cutoffs(now);
        match prune(&self.actions.store, cutoffs, false, &pace) {
            Ok(pruned) if pruned.deliveries + pruned.events > 0 => log::info!(
                "{} deliveries and {} events were older than they are kept, and went",
                pruned.deliveries,
                pruned.events
            ),
            Ok(_) | Err(ActionError::Store(StoreError::Stopping)) => {}
            Err(error) => {
                log::error!("what is older than it is kept could not be deleted, and will be tried in an hour: {error}")
            }
        }
    }

    fn pause(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let mut state = self.lock();
        while !state.stopping {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = wait(&self.wake, state, left);
        }
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>, patience: Duration) -> MutexGuard<'a, State> {
    condition.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0
}
