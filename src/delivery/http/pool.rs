//! Idle connections, kept for the next request to the same endpoint.
//!
//! The HTTP library's own pool stays empty: under its lock it walks over all idle connections several times per request,
//! it keeps two buffers per idle connection, and it reuses connections to addresses that are no longer allowed. Here a
//! connection is only a socket and its TLS state, and the newest of an endpoint is taken first. The lock is held for map
//! operations only, never over a system call other than closing dropped sockets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::uri::Authority;

use crate::delivery::http::connection::ReceiverConnection;
use crate::domain::tls::TlsId;

/// Longest idle time of a connection. Servers close theirs after 5 s (Node.js) to 75 s (nginx).
const IDLE_FOR: Duration = Duration::from_secs(60);

/// Longest life of a connection. A new one shows the endpoint's certificate again.
const LIVES_FOR: Duration = Duration::from_secs(60 * 60);

/// Interval of the sweep over all endpoints.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Scheme, host, port and certificates that interchangeable connections share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolKey {
    pub tls: bool,
    pub authority: Authority,
    /// `None` with the common certificates only.
    pub identity: Option<TlsId>,
}

/// The idle connections of all endpoints.
#[derive(Debug)]
pub struct Pool {
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// Oldest first; no list is empty.
    links: HashMap<PoolKey, Vec<IdleConnection>>,
    count: usize,
    swept: Instant,
}

#[derive(Debug)]
struct IdleConnection {
    link: ReceiverConnection,
    since: Instant,
}

impl Pool {
    /// Creates a pool of at most `limit` connections over all endpoints.
    pub fn new(limit: usize) -> Pool {
        let kept = Kept { links: HashMap::new(), count: 0, swept: Instant::now() };
        Pool { limit, kept: Mutex::new(kept) }
    }

    /// Takes a connection to one of `addresses` that is still open as far as this machine knows.
    pub fn take(&self, endpoint: &PoolKey, addresses: &[SocketAddr]) -> Option<ReceiverConnection> {
        loop {
            let mut newest = self.lock().take_newest(endpoint)?;
            let usable = newest.since.elapsed() < IDLE_FOR
                && newest.link.age() < LIVES_FOR
                && addresses.contains(&newest.link.peer())
                && newest.link.is_quiet();
            if usable {
                return Some(newest.link);
            }
        }
    }

    /// Keeps a connection; drops the one that was idle longest if there are too many.
    pub fn put(&self, endpoint: PoolKey, link: ReceiverConnection) {
        let now = Instant::now();
        let mut kept = self.lock();
        kept.links.entry(endpoint).or_default().push(IdleConnection { link, since: now });
        kept.count += 1;
        if kept.count > self.limit {
            kept.drop_oldest();
        }
        if now.duration_since(kept.swept) > SWEEP_EVERY {
            kept.sweep(now);
        }
    }

    /// Closes the connections that were idle for too long.
    pub fn sweep(&self) {
        self.lock().sweep(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic under the lock can at worst have lost a connection.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn take_newest(&mut self, endpoint: &PoolKey) -> Option<IdleConnection> {
        let list = self.links.get_mut(endpoint)?;
        let newest = list.pop()?;
        if list.is_empty() {
            self.links.remove(endpoint);
        }
        self.count -= 1;
        Some(newest)
    }

    fn drop_oldest(&mut self) {
        let Some(list) = self.links.values_mut().min_by_key(|list| list[0].since) else {
            return;
        };
        list.remove(0);
        self.count -= 1;
        if list.is_empty() {
            self.links.retain(|_, list| !list.is_empty());
        }
    }

    fn sweep(&mut self, now: Instant) {
        self.swept = now;
        for list in self.links.values_mut() {
            list.retain(|idle| now.duration_since(idle.since) < IDLE_FOR);
        }
        self.links.retain(|_, list| !list.is_empty());
        self.count = self.links.values().map(Vec::len).sum();
    }
}
