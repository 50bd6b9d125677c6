//! Name lookups that can be given up: they run on threads of their own, and callers wait with a deadline.
//!
//! `getaddrinfo` cannot be cancelled, so a name server that hangs holds a thread until the system
//! gives up. That is bounded: one lookup a host, 32 threads in all, started on demand and ended when
//! idle. Nothing is remembered here once it was answered.
//!
//! Locking: `Shared::state` may be held while no `Job::answer` is, and the other way round; never both.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Lookup, Unresolved, lock};

/// The most lookups at a time, and so the most threads that DNS can hold.
pub(super) const MAX_THREADS: usize = 32;

/// How long a thread waits for another lookup before it ends.
const IDLE: Duration = Duration::from_secs(10);

pub(super) struct Lookups {
    shared: Arc<Shared>,
}

struct Shared {
    lookup: Arc<Lookup>,
    state: Mutex<State>,
    /// A job was queued, or the owner is gone.
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Job>>,
    /// Every job that is queued or running, by host.
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

/// A lookup under way, or its result.
pub(super) type LookupJob = Arc<Job>;

pub(super) struct Job {
    host: Box<str>,
    answer: Mutex<Option<LookupResult>>,
    answered: Condvar,
}

/// The addresses, or the sentence for the log.
pub(super) type LookupResult = Result<Arc<[IpAddr]>, Arc<str>>;

impl Lookups {
    pub(super) fn new(lookup: Arc<Lookup>) -> Lookups {
        Lookups { shared: Arc::new(Shared { lookup, state: Mutex::default(), work: Condvar::new() }) }
    }

    /// Begins to look up a host, or joins a lookup that is under way, without waiting for it.
    pub(super) fn begin(&self, host: &str) -> io::Result<LookupJob> {
        self.join(host)
    }

    /// Looks up a host, or joins a lookup that is under way, and waits until the deadline. Returns one address or more.
    pub(super) fn addresses_of(&self, host: &str, deadline: Instant) -> Result<Arc<[IpAddr]>, Unresolved> {
        let job = self.join(host).map_err(|error| {
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

    fn join(&self, host: &str) -> io::Result<Arc<Job>> {
        let mut state = self.shared.lock();
        if let Some(flight) = state.flights.get_mut(host) {
            flight.waiters += 1;
            return Ok(Arc::clone(&flight.job));
        }
        // Those who are idle may have been woken for earlier jobs already: count the jobs, not this one alone.
        if state.queue.len() + 1 > state.idle && state.threads < MAX_THREADS {
            match self.spawn() {
                Ok(()) => state.threads += 1,
                // Another thread will come to it, unless there is none.
                Err(error) if state.threads == 0 => return Err(error),
                Err(_) => {}
            }
        }
        let job = Arc::new(Job { host: host.into(), answer: Mutex::new(None), answered: Condvar::new() });
        let flight = Flight { job: Arc::clone(&job), waiters: 1, running: false };
        state.flights.insert(host.into(), flight);
        state.queue.push_back(Arc::clone(&job));
        self.shared.work.notify_one();
        Ok(job)
    }

    fn spawn(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        thread::Builder::new().name("dns".to_owned()).spawn(move || shared.work_off()).map(drop)
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
    /// Sends idle threads home; one that hangs in a lookup follows when that ends.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The life of a helper thread.
    fn work_off(&self) {
        while let Some(job) = self.next() {
            let answer = self.ask(&job.host);
            self.lock().flights.remove(&job.host);
            *lock(&job.answer) = Some(answer);
            job.answered.notify_all();
        }
    }

    /// The next job, or `None` when the thread shall end; it is off the books then.
    fn next(&self) -> Option<Arc<Job>> {
        let mut state = self.lock();
        let mut waited_in_vain = false;
        loop {
            if let Some(job) = state.queue.pop_front() {
                if let Some(flight) = state.flights.get_mut(&job.host) {
                    flight.running = true;
                }
                return Some(job);
            }
            if state.closed || waited_in_vain {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let (woken, wait) = self.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            waited_in_vain = wait.timed_out();
        }
    }

    fn ask(&self, host: &str) -> LookupResult {
        // A panic must not leave the host's flight behind: later callers would wait for it forever.
        match catch_unwind(AssertUnwindSafe(|| (self.lookup)(host))) {
            Ok(Ok(addresses)) if addresses.is_empty() => Err(format!("{host} has no address in DNS.").into()),
            Ok(Ok(addresses)) => Ok(addresses.into()),
            Ok(Err(error)) => Err(format!("{host} could not be resolved: {error}").into()),
            Err(_) => Err(format!("The lookup of {host} failed inside this program.").into()),
        }
    }

    /// Gives up a wait. `true` if the lookup had not even begun, because every thread is taken.
    /// A lookup that nobody waits for any more and that has not begun is forgotten.
    fn leave(&self, job: &Arc<Job>) -> bool {
        let mut state = self.lock();
        let all_taken = state.threads == MAX_THREADS;
        let Some(flight) = state.flights.get_mut(&job.host) else {
            return false;
        };
        // The host may be in its next flight already, which is not ours to leave.
        if !Arc::ptr_eq(&flight.job, job) {
            return false;
        }
        flight.waiters -= 1;
        let begun = flight.running;
        if flight.waiters == 0 && !begun {
            state.flights.remove(&job.host);
            state.queue.retain(|queued| !Arc::ptr_eq(queued, job));
        }
        all_taken && !begun
    }
}

impl Job {
    /// Returns the result, or `None` if there is none at the deadline.
    pub(super) fn wait(&self, deadline: Instant) -> Option<LookupResult> {
        let answer = lock(&self.answer);
        let left = deadline.saturating_duration_since(Instant::now());
        let (answer, _) = self
            .answered
            .wait_timeout_while(answer, left, |answer| answer.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        answer.clone()
    }
}
