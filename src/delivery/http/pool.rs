//! Connections that wait for the next request to the same endpoint.
//!
//! The HTTP library has a pool of its own, which we leave empty: it walks over all idle connections several times a
//! request while it holds its lock, it keeps two buffers with every idle connection, and it hands out a connection
//! whose address is no longer one that the target may have. Here a connection is only a socket and its TLS state,
//! and the newest one of an endpoint is taken first. The lock is held for map operations only, never over a system
//! call other than the closing of dropped sockets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::uri::Authority;

use crate::delivery::http::connection::ReceiverConnection;

/// How long a connection is kept idle. Servers close theirs after 5 s (Node.js) to 75 s (nginx).
const IDLE_FOR: Duration = Duration::from_secs(60);

/// How often all endpoints are looked through for connections that waited too long.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Which connections are alike: the same scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolKey {
    pub tls: bool,
    pub authority: Authority,
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
    /// Keeps `limit` connections at most, over all endpoints.
    pub fn new(limit: usize) -> Pool {
        let kept = Kept { links: HashMap::new(), count: 0, swept: Instant::now() };
        Pool { limit, kept: Mutex::new(kept) }
    }

    /// A connection to one of `addresses` that is still open as far as this machine knows.
    pub fn take(&self, endpoint: &PoolKey, addresses: &[SocketAddr]) -> Option<ReceiverConnection> {
        loop {
            let mut waiting = self.lock().take_newest(endpoint)?;
            let usable = waiting.since.elapsed() < IDLE_FOR
                && addresses.contains(&waiting.link.peer())
                && waiting.link.is_quiet();
            if usable {
                return Some(waiting.link);
            }
        }
    }

    /// Keeps a connection; the one that waited longest goes when there are too many.
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

    /// Closes the connections that waited too long.
    pub fn sweep(&self) {
        self.lock().sweep(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic under the lock can at worst have lost a connection.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.lock().count
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
        let oldest = self
            .links
            .iter()
            .filter_map(|(endpoint, list)| Some((list.first()?.since, endpoint)))
            .min_by_key(|(since, _)| *since)
            .map(|(_, endpoint)| endpoint.clone());
        let Some(endpoint) = oldest else { return };
        if let Some(list) = self.links.get_mut(&endpoint) {
            list.remove(0);
            self.count -= 1;
            if list.is_empty() {
                self.links.remove(&endpoint);
            }
        }
    }

    fn sweep(&mut self, now: Instant) {
        self.swept = now;
        for list in self.links.values_mut() {
            list.retain(|waiting| now.duration_since(waiting.since) < IDLE_FOR);
        }
        self.links.retain(|_, list| !list.is_empty());
        self.count = self.links.values().map(Vec::len).sum();
    }
}
