//! A thread that does some work at times of the server's clock, which may be set.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::clock_jumps::Reading;
use crate::domain::time::Millis;
use crate::store::StoreError;

/// Longest wait before the clock, which may have been set, is read again.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// Work by the clock.
pub(super) trait Work: Send + 'static {
    /// Returns when the work is due. Called at each look at the clock, at least once a minute; must be quick.
    fn due_ms(&mut self, now: Reading) -> Millis;

    /// Does the work. After it, a later time is due.
    fn run(&mut self, now: Millis, job: &Shared);
}

/// Runs until it is stopped. Cheap to clone.
#[derive(Clone)]
pub struct ClockJob(Arc<Shared>);

pub(super) struct Shared {
    clock: Clock,
    state: Mutex<State>,
    changed: Condvar,
    is_stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    is_running: bool,
    next_ms: Millis,
}

impl ClockJob {
    pub(super) fn start(name: &str, clock: Clock, mut work: impl Work) -> Result<ClockJob, StoreError> {
        let next_ms = work.due_ms(clock.reading());
        let shared = Arc::new(Shared {
            clock,
            state: Mutex::new(State { is_running: false, next_ms }),
            changed: Condvar::new(),
            is_stopping: Arc::default(),
            thread: Mutex::default(),
        });
        let job = ClockJob(Arc::clone(&shared));
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || shared.run(&mut work));
        let thread = thread.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        *job.0.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(job)
    }

    /// Waits until no run is due. Returns `false` after `patience`.
    pub fn wait_until_idle(&self, patience: Duration) -> bool {
        let is_due = |state: &State| state.is_running || state.next_ms <= self.0.clock.now_ms();
        let state = self.0.lock();
        // The thread may not know that a manual clock was advanced.
        self.0.changed.notify_all();
        !is_due(&self.0.wait_while(state, patience, is_due))
    }

    /// Ends after the current step, and waits for that.
    pub(super) fn stop(&self) {
        let state = self.0.lock();
        self.0.is_stopping.store(true, Ordering::SeqCst);
        self.0.changed.notify_all();
        drop(state);
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The panic handler has already reported a panic.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Set once the job is to end.
    pub(super) fn is_stopping(&self) -> &Arc<AtomicBool> {
        &self.is_stopping
    }

    pub(super) fn goes_on(&self) -> bool {
        !self.is_stopping.load(Ordering::SeqCst)
    }

    /// Rests, unless the job is stopped.
    pub(super) fn rest(&self, time: Duration) {
        drop(self.wait_while(self.lock(), time, |_| self.goes_on()));
    }

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

    fn run(&self, work: &mut impl Work) {
        let mut state = self.lock();
        while self.goes_on() {
            let reading = self.clock.reading();
            let now = reading.wall_ms;
            state.next_ms = work.due_ms(reading);
            if state.next_ms > now {
                let left = Duration::from_millis((state.next_ms - now) as u64).min(CLOCK_CHECK);
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            state.is_running = true;
            drop(state);
            work.run(now, self);
            state = self.lock();
            state.is_running = false;
            state.next_ms = work.due_ms(self.clock.reading());
            self.changed.notify_all();
        }
    }
}
