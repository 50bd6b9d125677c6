//! Name lookups on their own threads, so that callers can wait with a deadline.
//!
//! `getaddrinfo` cannot be cancelled: a name server that hangs blocks a thread until the system gives up. The threads
//! are bounded: one lookup per host, 32 threads in total, started on demand and ended when idle. Results are not cached
//! here.
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
    threads: usize,
    idle: usize,
    closed: bool,
}

struct Flight {
    job: Arc<Job>,
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
    pub(super) fn addresses_of(&self, host: &str, deadline: Instant) -> Result<Arc<[IpAddr]>, Unresolved> {
        let job = self.begin(host).map_err(|error| {
            Unresolved::NoThread(format!(
                "{host} was not looked up, because this machine could not start another thread: {error}"
            ))
        })?;
        match job.wait(deadline) {
            Some(Ok(addresses)) => Ok(addresses),
            Some(Err(sentence)) => Err(Unresolved::Dns(sentence.as_ref().to_owned())),
            None if self.shared.leave(&job) => Err(Unresolved::NoThread(format!(
                "{host} was not looked up in time, because all {MAX_THREADS} lookups wait for name servers that do not \
                 answer. Check this machine's DNS."
            ))),
            None => Err(Unresolved::Dns(format!("DNS gave no answer for {host} in time."))),
        }
    }

    /// Starts the lookup of a host, or joins the one in progress, without waiting.
    pub(super) fn begin(&self, host: &str) -> io::Result<LookupJob> {
        let mut state = self.shared.lock();
        if let Some(flight) = state.flights.get_mut(host) {
            flight.waiters += 1;
            return Ok(Arc::clone(&flight.job));
        }
        // Idle threads may already have been woken for earlier jobs, so all queued jobs count.
        if state.queue.len() + 1 > state.idle && state.threads < MAX_THREADS {
            match self.spawn() {
                Ok(()) => state.threads += 1,
                Err(error) if state.threads == 0 => return Err(error),
                // An existing thread will take the job.
                Err(_) => {}
            }
        }
        let job = Arc::new(Job { host: host.into(), result: Mutex::new(None), finished: Condvar::new() });
        let flight = Flight { job: Arc::clone(&job), waiters: 1, running: false };
        state.flights.insert(host.into(), flight);
        state.queue.push_back(Arc::clone(&job));
        self.shared.work.notify_one();
        Ok(job)
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Runs a thread.
    fn run(&self) {
        while let Some(job) = self.next() {
            let result = self.look_up(&job.host);
            self.lock().flights.remove(&job.host);
            *lock(&job.result) = Some(result);
            job.finished.notify_all();
        }
    }

    /// Returns the next job; `None` if the thread must end, which no longer counts then.
    fn next(&self) -> Option<Arc<Job>> {
        let mut state = self.lock();
        let mut timed_out = false;
        loop {
            if let Some(job) = state.queue.pop_front() {
                if let Some(flight) = state.flights.get_mut(&job.host) {
                    flight.running = true;
                }
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
        let all_busy = state.threads == MAX_THREADS;
        // It may already be the host's next lookup, which this caller does not wait for.
        let Some(flight) = state.flights.get_mut(&job.host).filter(|flight| Arc::ptr_eq(&flight.job, job)) else {
            return false;
        };
        flight.waiters -= 1;
        let is_running = flight.running;
        if flight.waiters == 0 && !is_running {
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
