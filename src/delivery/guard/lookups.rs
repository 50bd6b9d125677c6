//! Name lookups on their own threads, so that callers can wait with a deadline.
//!
//! `getaddrinfo` cannot be cancelled: a name server that hangs blocks a thread until the system gives up. The threads
//! are bounded: one lookup per host, 8 threads per tenant and 32 in total, started on demand and ended when idle. Results
//! are not cached here.
//!
//! Locking: `Shared::state` and `Job::result` are never held at the same time.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Lookup, Unresolved, lock};

/// Maximum number of concurrent lookups, and so of threads.
pub(super) const MAX_THREADS: usize = 32;

/// Maximum number of concurrent lookups of one tenant: its names that hang leave the other threads to others.
pub(super) const MAX_PER_TENANT: usize = MAX_THREADS / 4;

/// How long an idle thread waits for a lookup before it ends.
const IDLE: Duration = Duration::from_secs(10);

pub(super) struct Lookups {
    shared: Arc<Shared>,
}

struct Shared {
    lookup: Arc<Lookup>,
    state: Mutex<State>,
    /// Signals a queued job or the end.
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Job>>,
    /// Queued and running lookups by host.
    flights: HashMap<Box<str>, Flight>,
    /// Running lookups by tenant.
    running: HashMap<Box<str>, usize>,
    threads: usize,
    idle: usize,
    closed: bool,
}

struct Flight {
    job: Arc<Job>,
    /// Tenant that the lookup is charged to.
    tenant: Box<str>,
    waiters: usize,
    running: bool,
}

/// Lookup in progress, or its result.
pub(super) type LookupJob = Arc<Job>;

pub(super) struct Job {
    host: Box<str>,
    result: Mutex<Option<LookupResult>>,
    finished: Condvar,
}

/// Addresses, or the error as a sentence for the log.
pub(super) type LookupResult = Result<Arc<[IpAddr]>, Arc<str>>;

impl Lookups {
    pub(super) fn new(lookup: Arc<Lookup>) -> Lookups {
        Lookups { shared: Arc::new(Shared { lookup, state: Mutex::default(), work: Condvar::new() }) }
    }

    /// Looks up a host, or joins its lookup in progress, and waits until the deadline. Returns at least one address.
    pub(super) fn addresses_of(
        &self,
        host: &str,
        tenant: &str,
        deadline: Instant,
    ) -> Result<Arc<[IpAddr]>, Unresolved> {
        let job = self.begin(host, tenant).map_err(|error| {
            Unresolved::NoThread(format!(
                "{host} was not looked up, because this machine could not start another thread: {error}"
            ))
        })?;
        match job.wait(deadline) {
            Some(Ok(addresses)) => Ok(addresses),
            Some(Err(sentence)) => Err(Unresolved::Dns(sentence.as_ref().to_owned())),
            None if self.shared.leave(&job) => Err(Unresolved::NoThread(format!(
                "{host} was not looked up in time, because {MAX_PER_TENANT} lookups of its tenant, or {MAX_THREADS} of all, \
                 wait for name servers that do not answer. Check this machine's DNS."
            ))),
            None => Err(Unresolved::Dns(format!("DNS gave no answer for {host} in time."))),
        }
    }

    /// Starts the lookup of a host, or joins the one in progress, without waiting.
    pub(super) fn begin(&self, host: &str, tenant: &str) -> io::Result<LookupJob> {
        let mut state = self.shared.lock();
        let has_room = state.has_room(tenant);
        if let Some(flight) = state.flights.get_mut(host) {
            flight.waiters += 1;
            if !flight.running && has_room && *flight.tenant != *tenant {
                // It need not wait for the tenant that asked first.
                flight.tenant = tenant.into();
                let job = Arc::clone(&flight.job);
                self.provide_thread(&mut state)?;
                return Ok(job);
            }
            return Ok(Arc::clone(&flight.job));
        }
        if has_room {
            self.provide_thread(&mut state)?;
        }
        let job = Arc::new(Job { host: host.into(), result: Mutex::new(None), finished: Condvar::new() });
        let flight = Flight { job: Arc::clone(&job), tenant: tenant.into(), waiters: 1, running: false };
        state.flights.insert(host.into(), flight);
        state.queue.push_back(Arc::clone(&job));
        Ok(job)
    }

    /// Wakes an idle thread for a job, or starts one. Without room for more, a thread takes the job after its lookup.
    fn provide_thread(&self, state: &mut State) -> io::Result<()> {
        self.shared.work.notify_one();
        // Idle threads may already have been woken for earlier jobs, so all queued jobs count.
        if state.queue.len() + 1 > state.idle && state.threads < MAX_THREADS {
            match self.spawn() {
                Ok(()) => state.threads += 1,
                Err(error) if state.threads == 0 => return Err(error),
                // An existing thread will take the job.
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn spawn(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        thread::Builder::new().name("dns".to_owned()).spawn(move || shared.run()).map(drop)
    }

    #[cfg(test)]
    pub(super) fn waiters(&self, host: &str) -> usize {
        let state = self.shared.lock();
        state.flights.get(host).map_or(0, |flight| flight.waiters)
    }

    #[cfg(test)]
    pub(super) fn threads(&self) -> usize {
        self.shared.lock().threads
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.shared.lock().queue.len()
    }
}

impl Drop for Lookups {
    /// Ends idle threads; a thread that is blocked in a lookup ends afterwards.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl State {
    /// Whether a lookup of this tenant may start.
    fn has_room(&self, tenant: &str) -> bool {
        self.running.get(tenant).is_none_or(|running| *running < MAX_PER_TENANT)
    }

    /// Takes the first queued job whose tenant may start another.
    fn start_next(&mut self) -> Option<Arc<Job>> {
        let may_start = |job: &Arc<Job>| self.flights.get(&job.host).is_none_or(|flight| self.has_room(&flight.tenant));
        let position = self.queue.iter().position(may_start)?;
        let job = self.queue.remove(position)?;
        if let Some(flight) = self.flights.get_mut(&job.host) {
            flight.running = true;
            *self.running.entry(flight.tenant.clone()).or_default() += 1;
        }
        Some(job)
    }

    /// Ends the running lookup of a host.
    fn end(&mut self, host: &str) {
        let Some(flight) = self.flights.remove(host) else {
            return;
        };
        if let Some(running) = self.running.get_mut(&flight.tenant) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&flight.tenant);
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Runs a thread.
    fn run(&self) {
        while let Some(job) = self.next() {
            let result = self.look_up(&job.host);
            self.lock().end(&job.host);
            *lock(&job.result) = Some(result);
            job.finished.notify_all();
        }
    }

    /// Returns the next job; `None` if the thread must end, which no longer counts then.
    fn next(&self) -> Option<Arc<Job>> {
        let mut state = self.lock();
        let mut timed_out = false;
        loop {
            if let Some(job) = state.start_next() {
                return Some(job);
            }
            if state.closed || timed_out {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let (woken, wait) = self.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            timed_out = wait.timed_out();
        }
    }

    fn look_up(&self, host: &str) -> LookupResult {
        // A panic must not leave the host's flight behind: later callers would wait for it until their deadlines.
        match catch_unwind(AssertUnwindSafe(|| (self.lookup)(host))) {
            Ok(Ok(addresses)) if addresses.is_empty() => Err(format!("{host} has no address in DNS.").into()),
            Ok(Ok(addresses)) => Ok(addresses.into()),
            Ok(Err(error)) => Err(format!("{host} could not be resolved: {error}").into()),
            Err(_) => Err(format!("The lookup of {host} failed inside this program.").into()),
        }
    }

    /// Ends a caller's wait, and removes the lookup if it has not started and no other caller waits. Returns whether the
    /// lookup has not started because all threads are busy.
    fn leave(&self, job: &Arc<Job>) -> bool {
        let mut state = self.lock();
        // It may already be the host's next lookup, which this caller does not wait for.
        let Some(flight) = state.flights.get_mut(&job.host).filter(|flight| Arc::ptr_eq(&flight.job, job)) else {
            return false;
        };
        flight.waiters -= 1;
        let is_last = flight.waiters == 0;
        let (is_running, tenant) = (flight.running, flight.tenant.clone());
        let all_busy = state.threads == MAX_THREADS || !state.has_room(&tenant);
        if is_last && !is_running {
            state.flights.remove(&job.host);
            state.queue.retain(|queued| !Arc::ptr_eq(queued, job));
        }
        all_busy && !is_running
    }
}

impl Job {
    /// Returns the result, or `None` if there is none at the deadline.
    pub(super) fn wait(&self, deadline: Instant) -> Option<LookupResult> {
        let result = lock(&self.result);
        let left = deadline.saturating_duration_since(Instant::now());
        let (result, _) = self
            .finished
            .wait_timeout_while(result, left, |result| result.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        result.clone()
    }
}
