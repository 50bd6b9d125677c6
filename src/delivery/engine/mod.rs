//! The delivery engine: threads around the lanes.
//!
//! The hot path does not poll: the writer hands over what it committed, and a worker takes it at once. The table is
//! read only when a lane runs dry or a due time comes. A worker is woken or started only while those at work wait for
//! their receivers, so there are as few as keep up.
//!
//! Locking: `Shared::state` is held for moments, never over a query, a write or a request. The writer's thread takes it
//! in [`Observer::committed`]; nobody who holds it waits for the writer.

mod flights;
mod lane;
mod maintenance;
pub mod record;
mod scheduler;
mod state;
mod turns;
mod workers;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::endpoint::Endpoint;
use super::sender::{AttemptResult, Sender};
use crate::clock::Clock;
use crate::domain::webhook::Webhook;
use crate::metrics::Metrics;
use crate::store::{Change, DueDelivery, Observer, Store, StoreError, webhook};
use state::State;

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Threads that send at most, 1 to 1,024.
    pub workers: usize,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions { workers: 512 }
    }
}

/// Sends deliveries that are due. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

pub(super) struct Shared {
    pub store: Store,
    pub sender: Sender,
    pub clock: Clock,
    pub metrics: Metrics,
    pub options: EngineOptions,
    /// Workers that may use a core at the same time: more would only take turns on it.
    pub on_core: usize,
    state: Mutex<State>,
    /// Workers wait here for something to send.
    pub work: Condvar,
    /// The scheduler waits here for something to read or a time to come.
    pub schedule: Condvar,
    /// The maintenance thread waits here between its rounds.
    pub maintenance: Condvar,
    /// Callers that wait until nothing is under way wait here.
    pub rest: Condvar,
    /// Outcomes that the store could not take. They are handed over again.
    pub unrecorded: Mutex<Vec<Arc<Unrecorded>>>,
}

/// Result of an attempt, kept until the table has it.
pub(super) struct Unrecorded {
    delivery: DueDelivery,
    endpoint: Arc<Endpoint>,
    result: AttemptResult,
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
            state: Mutex::new(State::new(options.workers)),
            options,
            work: Condvar::new(),
            schedule: Condvar::new(),
            maintenance: Condvar::new(),
            rest: Condvar::new(),
            unrecorded: Mutex::new(Vec::new()),
        });
        let engine = Engine(Arc::clone(&shared));
        store.observe(Arc::new(engine.clone()));
        // Through the writer, so that no webhook created meanwhile is missed or seen twice.
        let loaded = engine.clone();
        let load = store.write(move |tx| -> Result<(), StoreError> {
            let retrying = webhook::retrying(tx.connection())?;
            for webhook in tx.directory().iter() {
                // After a restart an endpoint that worked is trusted at once, and one that fails is not.
                let is_proven = tx.directory().successes(webhook.seq) > 0 && !retrying.contains(&webhook.seq);
                loaded.put(webhook, is_proven);
            }
            Ok(())
        });
        load.wait()?;
        let unstarted = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        scheduler::start(Arc::clone(&shared)).map_err(unstarted)?;
        maintenance::start(shared).map_err(unstarted)?;
        Ok(engine)
    }

    /// Sender for attempts outside the lanes: tests and challenges.
    pub fn sender(&self) -> &Sender {
        &self.0.sender
    }

    /// Looks at the clock again after it was moved.
    pub fn nudge(&self) {
        self.0.schedule.notify_all();
    }

    /// Returns the number of threads that send, and how many of them are at a request.
    pub fn workers(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.workers, state.sending())
    }

    /// Waits until nothing is under way and nothing is due. Returns `false` after `patience`.
    pub fn wait_until_idle(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.0.lock();
        loop {
            if state.is_idle(self.0.clock.now_ms()) {
                return true;
            }
            // Lanes that `is_idle` woke have to be read and sent.
            self.0.schedule.notify_all();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.wait(&self.0.rest, state, left.min(Duration::from_millis(50)));
        }
    }

    /// Stops sending. Requests in flight go on.
    pub fn begin_stop(&self) {
        self.0.lock().stopping = true;
        self.0.work.notify_all();
        self.0.schedule.notify_all();
        self.0.maintenance.notify_all();
    }

    /// Stops sending and waits until requests in flight have ended and are recorded. Returns `false` after `patience`.
    pub fn stop(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.begin_stop();
        let mut state = self.0.lock();
        while state.sending() > 0 || state.unrecorded > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.wait(&self.0.rest, state, left);
        }
        true
    }

    fn put(&self, webhook: &Arc<Webhook>, is_proven: bool) {
        match self.0.store.profiles().find(&webhook.profile) {
            Some(profile) => {
                let endpoint = Arc::new(Endpoint::new(Arc::clone(webhook), &profile));
                self.0.lock().put(endpoint, is_proven, self.0.clock.now_ms());
            }
            None => log::error!("{} has the unknown profile {:?}: nothing is sent to it", webhook.id, webhook.profile),
        }
    }
}

impl Observer for Engine {
    fn committed(&self, changes: Vec<Change>) {
        let now = self.0.clock.now_ms();
        // Endpoints are made outside the lock: preparing their keys takes a moment.
        for change in &changes {
            if let Change::Webhook(webhook) = change {
                self.put(webhook, false);
            }
        }
        let mut state = self.0.lock();
        for change in changes {
            state.apply(change, now);
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

    /// Wakes a worker if something can be sent, and the scheduler if something is to be read.
    fn rouse(self: &Arc<Self>, state: &mut State) {
        self.rouse_scheduler(state);
        if !state.has_ready() || state.stopping {
            return;
        }
        if state.on_core(self.clock.now_ms(), Instant::now()) >= self.on_core {
            // Enough are at work. The scheduler looks again in a moment, should they turn out to wait.
            self.schedule.notify_one();
        } else if state.idle_workers > 0 {
            self.work.notify_one();
        } else if state.workers < self.options.workers {
            workers::start(self, state);
        }
    }

    /// Wakes the scheduler if something is to be read, or a time comes before the one that it sleeps for.
    fn rouse_scheduler(&self, state: &mut State) {
        if state.has_reads() || std::mem::take(&mut state.sooner) {
            self.schedule.notify_one();
        }
    }

    /// Hands an outcome to the writer. One that the writer cannot take now is kept and handed over again; the delivery
    /// stays claimed meanwhile, so that a full disk does not make it be sent twice.
    fn record(self: &Arc<Self>, outcome: Arc<Unrecorded>) {
        let shared = Arc::clone(self);
        let kept = Arc::clone(&outcome);
        self.store.write_then(
            move |tx| -> Result<(), StoreError> {
                record::record(tx, &outcome.endpoint, &outcome.delivery, &outcome.result, outcome.jitter)
            },
            move |recorded| {
                if let Err(error) = recorded {
                    log::warn!("the outcome of {} could not be stored yet: {error}", kept.delivery.id);
                    shared.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
                }
            },
        );
    }
}
