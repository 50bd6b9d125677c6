//! The engine: threads around the lanes.
//!
//! The hot path does not poll: the writer hands over what it committed, a worker takes it at once. The table is
//! read only when a lane runs dry or a due time comes. Workers are as few as keep up: one more is woken or
//! started only when those at work wait for their receivers.

mod lane;
pub mod record;
mod scheduler;
mod state;
mod workers;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::endpoint::Endpoint;
use super::sender::{AttemptResult, Sender};
use crate::clock::Clock;
use crate::delivery::engine::state::{Claim, State};
use crate::metrics::Metrics;
use crate::random;
use crate::store::{Change, Observer, Store, StoreError};

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Threads that send at most, 1 to 1,024.
    pub workers: usize,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions { workers: 64 }
    }
}

/// Sends what is due. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

pub(super) struct Shared {
    pub store: Store,
    pub sender: Sender,
    pub clock: Clock,
    pub metrics: Metrics,
    pub options: EngineOptions,
    /// Workers that may use a core at the same time: more only take turns.
    pub on_core: usize,
    state: Mutex<State>,
    /// Workers wait here for something to send.
    pub work: Condvar,
    /// The pacer waits here for something to read or a time to come.
    pub pace: Condvar,
    /// Who waits for the engine to come to rest waits here.
    pub rest: Condvar,
    /// Outcomes that the store could not take; they are handed to it again.
    pub unrecorded: Mutex<Vec<Arc<Unrecorded>>>,
}

/// What came of an attempt, kept until the table has it.
pub(super) struct Unrecorded {
    claim: Claim,
    made: AttemptResult,
    jitter: f64,
}

impl Engine {
    /// Starts the engine over everything that the store knows.
    pub fn start(
        store: Store,
        sender: Sender,
        clock: Clock,
        metrics: Metrics,
        options: EngineOptions,
    ) -> Result<Engine, StoreError> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let shared = Arc::new(Shared {
            store: store.clone(),
            sender,
            clock,
            metrics,
            on_core: (cores * 2).min(options.workers),
            state: Mutex::new(State::new((options.workers / 2).max(1))),
            options,
            work: Condvar::new(),
            pace: Condvar::new(),
            rest: Condvar::new(),
            unrecorded: Mutex::new(Vec::new()),
        });
        let engine = Engine(Arc::clone(&shared));
        store.observe(Arc::new(engine.clone()));
        // Through the writer, so that no webhook made meanwhile is missed or seen twice.
        let loaded = engine.clone();
        let load = store.write(move |tx| -> Result<(), StoreError> {
            for webhook in tx.directory().iter() {
                loaded.put(webhook);
            }
            Ok(())
        });
        load.wait()?;
        scheduler::start(shared).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(engine)
    }

    /// Makes attempts outside the lanes, with the same client: tests.
    pub fn sender(&self) -> &Sender {
        &self.0.sender
    }

    /// Looks at the clock again; for a clock that was moved.
    pub fn nudge(&self) {
        self.0.pace.notify_all();
    }

    /// How many threads send, and how many of them are at a request.
    pub fn workers(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.workers.count, state.sending)
    }

    /// Waits until nothing is under way and nothing is due. `false` after `patience`.
    pub fn wait_until_idle(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.0.lock();
        loop {
            if state.is_idle(self.0.clock.now_ms()) {
                return true;
            }
            // What `is_idle` woke has to be read and sent.
            self.0.pace.notify_all();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.wait(&self.0.rest, state, left.min(Duration::from_millis(50)));
        }
    }

    /// From here on nothing more is sent.
    pub fn begin_stop(&self) {
        self.0.lock().stopping = true;
        self.0.work.notify_all();
        self.0.pace.notify_all();
    }

    /// Sends nothing more, and waits for requests in flight to come back and to be recorded. `false` after `patience`.
    pub fn stop(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.begin_stop();
        let mut state = self.0.lock();
        while state.sending > 0 || state.unrecorded > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.wait(&self.0.rest, state, left);
        }
        true
    }

    fn put(&self, webhook: &Arc<crate::domain::webhook::Webhook>) {
        match self.0.store.profiles().find(&webhook.profile) {
            Some(profile) => {
                let endpoint = Arc::new(Endpoint::new(Arc::clone(webhook), &profile));
                self.0.lock().put(endpoint, self.0.clock.now_ms());
            }
            None => log::error!("{} has the unknown profile {:?}: nothing is sent to it", webhook.id, webhook.profile),
        }
    }
}

impl Observer for Engine {
    fn committed(&self, notices: Vec<Change>) {
        let now = self.0.clock.now_ms();
        // Endpoints are made outside the lock: their keys take a moment to prepare.
        for notice in &notices {
            if let Change::Webhook(webhook) = notice {
                self.put(webhook);
            }
        }
        let mut state = self.0.lock();
        for notice in notices {
            state.notice(notice, now);
        }
        self.0.rouse(&mut state);
        drop(state);
        self.0.rest.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, condition: &Condvar, state: MutexGuard<'a, State>, patience: Duration) -> MutexGuard<'a, State> {
        condition.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Gets a worker to work where there is something to send, and the pacer where there is something to read.
    fn rouse(self: &Arc<Self>, state: &mut State) {
        self.rouse_pacer(state);
        if !state.has_ready() || state.stopping {
            return;
        }
        if state.workers.on_core(Instant::now()) >= self.on_core {
            // Enough are at work; the pacer looks again in a moment, should they turn out to wait.
            self.pace.notify_one();
        } else if state.workers.idle > 0 {
            self.work.notify_one();
        } else if state.workers.count < self.options.workers {
            workers::start(self, state);
        }
    }

    /// Gets the pacer to work where there is something to read, or a time comes before the one that it sleeps for.
    fn rouse_pacer(&self, state: &mut State) {
        if state.has_reads() || std::mem::take(&mut state.sooner) {
            self.pace.notify_one();
        }
    }

    /// Hands an outcome to the writer. One that it cannot take now is kept, and handed over again: the delivery
    /// stays claimed meanwhile, so that nothing is sent twice for a full disk.
    pub(super) fn record(self: &Arc<Self>, outcome: Arc<Unrecorded>) {
        let shared = Arc::clone(self);
        let kept = Arc::clone(&outcome);
        self.store.write_then(
            move |tx| -> Result<(), StoreError> {
                let delivery = &outcome.claim.delivery;
                let endpoint = &outcome.claim.endpoint;
                record::record(tx, endpoint, delivery, &outcome.made, outcome.jitter)
            },
            move |recorded| {
                if let Err(error) = recorded {
                    log::warn!("the outcome of {} could not be stored yet: {error}", kept.claim.delivery.id);
                    shared.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
                }
            },
        );
    }
}

impl Unrecorded {
    fn new(claim: Claim, made: AttemptResult) -> Unrecorded {
        Unrecorded { claim, made, jitter: random::fraction() }
    }
}
