//! The delivery engine: threads around the lanes.
//!
//! The hot path does not poll: the writer passes on committed deliveries, and a worker takes them at once. The table is
//! read only when a lane is nearly empty or a due time passes. A worker is woken or started only while the others wait
//! for their receivers, so there are as few workers as suffice.
//!
//! Locking: `Shared::state` is held briefly, never during a query, a write or a request. The writer's thread takes it in
//! [`Observer::committed`], so its holder must not wait for the writer.

mod flights;
mod lane;
mod maintenance;
#[cfg(test)]
mod model;
pub mod record;
mod scheduler;
mod state;
mod turns;
mod workers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::endpoint::Endpoint;
use super::sender::{AttemptResult, Sender};
use crate::clock::Clock;
use crate::domain::clock_jumps::Reading;
use crate::domain::webhook::Webhook;
use crate::metrics::Metrics;
use crate::store::{Change, DueDelivery, Observer, Store, StoreError, pause, webhook};
use state::State;

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Maximum number of worker threads, 1 to 1,024.
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
    /// Time at which the engine was created.
    pub created: Reading,
    pub metrics: Metrics,
    pub options: EngineOptions,
    /// Maximum number of workers that use a core at the same time.
    pub on_core: usize,
    state: Mutex<State>,
    /// Signals deliveries to send, to the workers.
    pub work: Condvar,
    /// Signals reads and timers, to the scheduler.
    pub schedule: Condvar,
    /// Signals the end, to the maintenance thread.
    pub maintenance: Condvar,
    /// Signals progress, to callers that wait until the engine is idle.
    pub rest: Condvar,
    /// Outcomes that could not be stored; the maintenance thread tries again.
    pub unrecorded: Mutex<Vec<Arc<Unrecorded>>>,
}

/// Result of an attempt that is not stored yet.
pub(super) struct Unrecorded {
    delivery: DueDelivery,
    endpoint: Arc<Endpoint>,
    result: AttemptResult,
    jitter: f64,
}

impl Engine {
    /// Returns an engine that knows all webhooks of the store, and sends nothing before [`start`](Engine::start).
    pub fn new(
        store: Store,
        sender: Sender,
        clock: Clock,
        metrics: Metrics,
        options: EngineOptions,
    ) -> Result<Engine, StoreError> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let on_core = (cores * 2).min(options.workers);
        let engine = Engine::without_threads(store.clone(), sender, clock, metrics, options, on_core);
        store.observe(Arc::new(engine.clone()));
        engine.load()?;
        Ok(engine)
    }

    /// Begins to send.
    pub fn start(&self) -> Result<(), StoreError> {
        self.0.start_thread("scheduler", scheduler::run)?;
        self.0.start_thread("maintenance", maintenance::run)
    }

    fn without_threads(
        store: Store,
        sender: Sender,
        clock: Clock,
        metrics: Metrics,
        options: EngineOptions,
        on_core: usize,
    ) -> Engine {
        Engine(Arc::new(Shared {
            store,
            sender,
            created: clock.reading(),
            clock,
            metrics,
            on_core,
            state: Mutex::new(State::new(options.workers)),
            options,
            work: Condvar::new(),
            schedule: Condvar::new(),
            maintenance: Condvar::new(),
            rest: Condvar::new(),
            unrecorded: Mutex::new(Vec::new()),
        }))
    }

    /// Creates a lane for each webhook of the store.
    fn load(&self) -> Result<(), StoreError> {
        let engine = self.clone();
        // Runs in the writer, so that no webhook created meanwhile is missed or loaded twice.
        let load = self.0.store.write(move |tx| -> Result<(), StoreError> {
            let now = engine.0.clock.now_ms();
            let is_paused = pause::current(tx.connection())?.is_some();
            engine.0.lock().set_paused(is_paused, now);
            tx.directory().leaving().for_each(|tenant| engine.0.lock().leave(tenant.clone(), now));
            let retrying = webhook::retrying(tx.connection())?;
            let mut webhooks: Vec<_> = tx.directory().iter().collect();
            // The oldest go first, so that two starts with the same file do the same.
            webhooks.sort_unstable_by_key(|webhook| webhook.seq);
            for webhook in webhooks {
                // After a restart, trust endpoints that worked, except failing ones.
                let is_proven = tx.directory().successes(webhook.seq) > 0 && !retrying.contains(&webhook.seq);
                engine.put(webhook, is_proven);
            }
            Ok(())
        });
        load.wait()
    }

    /// Sender for attempts outside the lanes: tests and challenges.
    pub fn sender(&self) -> &Sender {
        &self.0.sender
    }

    /// Reads the clock again after it was moved.
    pub fn nudge(&self) {
        self.0.schedule.notify_all();
        self.0.maintenance.notify_all();
    }

    /// Returns the number of workers, and of requests in flight.
    pub fn workers(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.workers, state.sending())
    }

    /// Returns whether deliveries that could be sent are sent: the scheduler and the workers are at work.
    pub fn is_flowing(&self) -> bool {
        self.0.lock().is_flowing(Instant::now())
    }

    /// Returns whether all deliveries are paused.
    pub fn is_paused(&self) -> bool {
        self.0.lock().is_paused()
    }

    /// Returns the bytes of events in the queues of all lanes. Requests in flight hold one event each beside them.
    pub fn queued_bytes(&self) -> usize {
        self.0.lock().queued_bytes()
    }

    /// Waits until nothing is in flight and nothing is due. Returns `false` after `patience`.
    pub fn wait_until_idle(&self, patience: Duration) -> bool {
        self.wait_until(patience, |state| {
            let is_idle = state.is_idle(self.0.clock.now_ms());
            if !is_idle {
                // Lanes that `is_idle` woke have to be read and sent.
                self.0.schedule.notify_all();
            }
            is_idle
        })
    }

    fn wait_until(&self, patience: Duration, is_done: impl Fn(&mut State) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.0.lock();
        while !is_done(&mut state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.wait(&self.0.rest, state, left.min(Duration::from_millis(50)));
        }
        true
    }

    /// Stops sending new requests.
    pub fn begin_stop(&self) {
        self.0.lock().stopping = true;
        self.0.work.notify_all();
        self.0.schedule.notify_all();
        self.0.maintenance.notify_all();
    }

    /// Stops sending, and waits until requests in flight are finished and recorded. Returns `false` after `patience`.
    pub fn stop(&self, patience: Duration) -> bool {
        self.begin_stop();
        self.wait_until(patience, |state| state.sending() == 0 && state.unrecorded == 0)
    }

    fn put(&self, webhook: &Arc<Webhook>, is_proven: bool) {
        match self.0.store.profiles().find(&webhook.profile) {
            Some(profile) => {
                let endpoint = Arc::new(Endpoint::new(Arc::clone(webhook), &profile));
                self.0.lock().put(endpoint, is_proven, self.0.clock.now_ms());
            }
            None => log::error!(
                webhook_id:% = webhook.id;
                "there is no profile {:?}, so nothing is sent to the webhook. Give it another profile.", webhook.profile
            ),
        }
    }
}

impl Observer for Engine {
    fn committed(&self, changes: Vec<Change>) {
        let now = self.0.clock.now_ms();
        // Outside the lock, since preparing the keys of an endpoint takes time.
        for change in &changes {
            match change {
                Change::Webhook(webhook) => self.put(webhook, false),
                Change::TenantDeletion { tenant, is_over: false } => self.0.lock().leave(tenant.clone(), now),
                Change::TenantDeletion { tenant, is_over: true } => self.0.lock().end_leaving(tenant),
                _ => {}
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
    /// Starts a thread. All state is in `Shared`, so `run` can start again after a panic.
    fn start_thread(self: &Arc<Self>, name: &'static str, run: fn(&Arc<Shared>)) -> Result<(), StoreError> {
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while catch_unwind(AssertUnwindSafe(|| run(&shared))).is_err() {
                log::error!("a fault in Hookpost interrupted the {name} thread; please report it with the log");
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        thread.map(drop).map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, condition: &Condvar, state: MutexGuard<'a, State>, patience: Duration) -> MutexGuard<'a, State> {
        condition.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes or starts a worker if a lane can send, and the scheduler if a lane needs a read.
    fn rouse(self: &Arc<Self>, state: &mut State) {
        self.rouse_scheduler(state);
        if !state.has_ready() || state.stopping {
            return;
        }
        if state.on_core(self.clock.now_ms(), Instant::now()) >= self.on_core {
            // Enough are busy. The scheduler checks again shortly, in case they wait for receivers.
            self.schedule.notify_one();
        } else if state.idle_workers > 0 {
            self.work.notify_one();
        } else if state.workers < self.options.workers {
            workers::start(self, state);
        }
    }

    /// Wakes the scheduler for reads, or a timer earlier than the one that it sleeps for.
    fn rouse_scheduler(&self, state: &mut State) {
        if state.has_reads() || std::mem::take(&mut state.sooner) {
            self.schedule.notify_one();
        }
    }

    /// Stores an outcome, or keeps it for another try if that fails. The delivery stays claimed meanwhile: a full disk must
    /// not cause a second request.
    fn record(self: &Arc<Self>, outcome: Arc<Unrecorded>) {
        let shared = Arc::clone(self);
        let kept = Arc::clone(&outcome);
        self.store.write_then(
            move |tx| -> Result<(), StoreError> {
                record::record(tx, &outcome.endpoint, &outcome.delivery, &outcome.result, outcome.jitter)
            },
            move |recorded| {
                let delivery = &kept.delivery;
                match recorded {
                    Ok(()) => {}
                    Err(error) if error.is_lasting() => {
                        log::error!(delivery_id:% = delivery.id; "the outcome of an attempt cannot be stored: {error}");
                        shared.lock().forget_unrecorded();
                        shared.set_aside(delivery.webhook_seq, delivery.seq, &error);
                    }
                    Err(error) => {
                        log::warn!(delivery_id:% = delivery.id; "the outcome of an attempt could not be stored yet: {error}");
                        shared.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
                    }
                }
            },
        );
    }
}
