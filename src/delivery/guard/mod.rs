//! Addresses that a delivery may connect to: resolves the host, judges every address, and keeps the result for 30 s.
//! While a name server is slow or silent, addresses that were judged within the last hour serve on.
//!
//! Owns DNS and the check at connection time; the rules themselves are `domain::target`. It never opens a
//! connection: the client dials the addresses from here and resolves nothing itself, so DNS that changes between check
//! and use (DNS rebinding) has no effect.
//!
//! Locking: the cache, the interface list and the lookups have a mutex each; none is taken while another is held, and
//! none is held while a name is looked up.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::attempt::FailureCause;
use crate::domain::target::{OwnInbox, Refusal, TargetPolicy, TargetUrl};

use self::lookups::{LookupJob, Lookups};

mod lookups;
#[cfg(test)]
mod tests;

/// Finds the addresses of a host name. May block; no address counts as a failure.
pub type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Lists the addresses of this machine's interfaces.
pub type Interfaces = dyn Fn() -> io::Result<Vec<IpAddr>> + Send + Sync;

/// How long judged addresses, and the list of our own addresses, are believed.
const BELIEVED_FOR: Duration = Duration::from_secs(30);

/// How long judged addresses serve while a lookup is under way that does not end.
const SERVED_FOR: Duration = Duration::from_secs(60 * 60);

/// How long the first request after `BELIEVED_FOR` waits for the lookup before it takes the addresses judged before.
const LOOKUP_PATIENCE: Duration = Duration::from_millis(500);

/// Most origins in the cache; each takes some 200 bytes.
const MAX_CACHED: usize = 4096;

/// Most addresses handed over: ureq's resolver has room for 16.
const MAX_ADDRESSES: usize = 16;

/// The machine's own resolver (`getaddrinfo`, through the standard library): hosts file, search domains and all.
pub fn system_lookup() -> Arc<Lookup> {
    Arc::new(|host: &str| {
        let found = (host, 0).to_socket_addrs()?;
        Ok(found.map(|address| address.ip()).collect())
    })
}

/// The machine's own list of interfaces (`getifaddrs`).
pub fn system_interfaces() -> Arc<Interfaces> {
    Arc::new(|| {
        let interfaces = if_addrs::get_if_addrs()?;
        Ok(interfaces.iter().map(if_addrs::Interface::ip).collect())
    })
}

/// Resolves and judges targets. All workers share one.
pub struct Guard {
    policy: TargetPolicy,
    /// The built-in inbox, and the rules for its URLs alone.
    inbox: OnceLock<(OwnInbox, TargetPolicy)>,
    own: OwnAddresses,
    cache: Mutex<Cache>,
    lookups: Lookups,
}

impl Guard {
    /// A guard over this machine's own interface addresses.
    pub fn new(policy: TargetPolicy, lookup: Arc<Lookup>) -> Arc<Guard> {
        Guard::with_interfaces(policy, lookup, system_interfaces())
    }

    /// A guard with another list of this machine's own addresses, for tests.
    pub fn with_interfaces(policy: TargetPolicy, lookup: Arc<Lookup>, interfaces: Arc<Interfaces>) -> Arc<Guard> {
        Arc::new(Guard {
            policy,
            inbox: OnceLock::new(),
            own: OwnAddresses::new(interfaces),
            cache: Mutex::new(Cache::new(MAX_CACHED)),
            lookups: Lookups::new(lookup),
        })
    }

    /// Opens the URLs of the built-in inbox, and nothing else at their origin. Called once the server's address is
    /// known; a second call changes nothing.
    pub fn open_inbox(&self, inbox: OwnInbox) {
        let policy = inbox.opened(&self.policy);
        let _ = self.inbox.set((inbox, policy));
    }

    /// Returns the rules for a URL and its name in the cache. The inbox has a name of its own, so that the rest of its
    /// origin is not opened with it.
    fn rules_for<'a>(&'a self, url: &'a TargetUrl) -> (&'a TargetPolicy, &'a str) {
        match self.inbox.get() {
            Some((inbox, policy)) if inbox.covers(url) => (policy, inbox.name()),
            _ => (&self.policy, url.origin()),
        }
    }

    /// The addresses that a connection to this URL may use, in the resolver's order, 1 to 16 of them.
    ///
    /// Every address of the host is judged, those beyond the sixteenth too. Blocks until the name is resolved or the
    /// deadline has passed.
    ///
    /// # Errors
    /// `target_blocked` if the policy refuses the target; `dns_failed` if the name has no address,
    /// nobody answered before the deadline, or this machine could not ask. No error is remembered.
    pub fn resolve(&self, url: &TargetUrl, deadline: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
        self.resolve_at(url, Instant::now(), deadline).map_err(FailureCause::from)
    }

    /// The check when a webhook is created or changed: may it point there, as far as can be told now?
    ///
    /// A name that does not resolve (yet) is accepted, because every connection is judged again.
    /// Blocks as [`resolve`](Self::resolve) does.
    ///
    /// # Errors
    /// The policy's refusal, and nothing else.
    pub fn check_new(&self, url: &TargetUrl, deadline: Instant) -> Result<(), Refusal> {
        match self.resolve_at(url, Instant::now(), deadline) {
            Ok(_) | Err(Unresolved::Dns(_) | Unresolved::NoThread(_)) => Ok(()),
            Err(Unresolved::Refused(refusal)) => Err(refusal),
        }
    }

    /// `now` decides how old the cache is; waiting goes by the real clock.
    fn resolve_at(&self, url: &TargetUrl, now: Instant, deadline: Instant) -> Result<Arc<[SocketAddr]>, Unresolved> {
        let (policy, name) = self.rules_for(url);
        let cached = lock(&self.cache).get(name, now);
        if let Cached::Fresh(addresses) = cached {
            return Ok(addresses);
        }
        let own = self.own.list(now)?;
        policy.judge_literal(url, &own)?;
        // Addresses are believed from the time before their lookup, so that a slow one is believed no longer.
        let (found, asked): (Arc<[IpAddr]>, Instant) = match (url.address(), cached) {
            (Some(address), _) => (Arc::new([address]), now),
            (None, Cached::Stale(addresses, pending)) => {
                let pending = pending.or_else(|| self.begin_lookup(url.host(), now));
                let is_new = pending.as_ref().is_some_and(|(_, asked)| *asked == now);
                let until = if is_new { deadline.min(Instant::now() + LOOKUP_PATIENCE) } else { Instant::now() };
                let result = pending.as_ref().and_then(|(job, _)| job.wait(until));
                match (result, pending) {
                    (Some(found), Some((_, asked))) => {
                        lock(&self.cache).set_pending(name, None);
                        (found.map_err(|sentence| Unresolved::Dns(sentence.as_ref().to_owned()))?, asked)
                    }
                    (_, under_way) => {
                        lock(&self.cache).set_pending(name, under_way);
                        return Ok(addresses);
                    }
                }
            }
            (None, _) => (self.lookups.addresses_of(url.host(), deadline)?, now),
        };
        policy.judge(url, &found, &own)?;
        let addresses = dialled(&found, url.port());
        lock(&self.cache).keep(name, Arc::clone(&addresses), asked);
        Ok(addresses)
    }

    /// Begins a lookup in the background; `None` if no thread can be had for it.
    fn begin_lookup(&self, host: &str, now: Instant) -> Option<(LookupJob, Instant)> {
        Some((self.lookups.begin(host).ok()?, now))
    }
}

/// Mapped addresses are dialled as the IPv4 address that was judged.
fn dialled(judged: &[IpAddr], port: u16) -> Arc<[SocketAddr]> {
    judged.iter().take(MAX_ADDRESSES).map(|address| SocketAddr::new(address.to_canonical(), port)).collect()
}

/// Why there are no addresses. For `check_new` only a refusal speaks against the URL itself.
#[derive(Debug)]
enum Unresolved {
    Refused(Refusal),
    Dns(String),
    /// No thread was free to ask.
    NoThread(String),
}

impl From<Refusal> for Unresolved {
    fn from(refusal: Refusal) -> Unresolved {
        Unresolved::Refused(refusal)
    }
}

impl From<Unresolved> for FailureCause {
    fn from(unresolved: Unresolved) -> FailureCause {
        match unresolved {
            Unresolved::Refused(refusal) => FailureCause::TargetBlocked { reason: Some(refusal.message().to_owned()) },
            Unresolved::Dns(reason) => FailureCause::LookupFailed { reason },
            Unresolved::NoThread(reason) => FailureCause::LookupUnavailable { reason },
        }
    }
}

/// Judged addresses by origin: the policy looks at the port and the scheme too.
struct Cache {
    by_origin: HashMap<Box<str>, CachedResolution>,
    capacity: usize,
}

struct CachedResolution {
    addresses: Arc<[SocketAddr]>,
    judged: Instant,
    /// The lookup that is to renew it, and when it began.
    pending: Option<(LookupJob, Instant)>,
}

/// Content of the cache for an origin.
enum Cached {
    Fresh(Arc<[SocketAddr]>),
    /// To be looked up again; serves while that is under way.
    Stale(Arc<[SocketAddr]>, Option<(LookupJob, Instant)>),
    Nothing,
}

impl CachedResolution {
    fn is_younger(&self, age: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.judged) < age
    }
}

impl Cache {
    fn new(capacity: usize) -> Cache {
        Cache { by_origin: HashMap::new(), capacity }
    }

    fn get(&self, origin: &str, now: Instant) -> Cached {
        match self.by_origin.get(origin) {
            Some(entry) if entry.is_younger(BELIEVED_FOR, now) => Cached::Fresh(Arc::clone(&entry.addresses)),
            Some(entry) if entry.is_younger(SERVED_FOR, now) => {
                Cached::Stale(Arc::clone(&entry.addresses), entry.pending.clone())
            }
            _ => Cached::Nothing,
        }
    }

    fn keep(&mut self, origin: &str, addresses: Arc<[SocketAddr]>, now: Instant) {
        if !self.by_origin.contains_key(origin) {
            self.make_room(now);
        }
        self.by_origin.insert(origin.into(), CachedResolution { addresses, judged: now, pending: None });
    }

    fn set_pending(&mut self, origin: &str, pending: Option<(LookupJob, Instant)>) {
        if let Some(entry) = self.by_origin.get_mut(origin) {
            entry.pending = pending;
        }
    }

    /// Removes entries that are too old, and the oldest one if that is not enough. Reads the whole table, which costs
    /// little next to the lookup that led here.
    fn make_room(&mut self, now: Instant) {
        if self.by_origin.len() < self.capacity {
            return;
        }
        self.by_origin.retain(|_, entry| entry.is_younger(BELIEVED_FOR, now));
        if self.by_origin.len() < self.capacity {
            return;
        }
        let oldest = self.by_origin.iter().min_by_key(|entry| entry.1.judged);
        if let Some(origin) = oldest.map(|entry| entry.0.clone()) {
            self.by_origin.remove(&origin);
        }
    }
}

/// The addresses of this machine's interfaces, read anew when they are 30 s old.
struct OwnAddresses {
    interfaces: Arc<Interfaces>,
    last: Mutex<Option<Listed>>,
}

struct Listed {
    addresses: Arc<[IpAddr]>,
    read: Instant,
}

impl OwnAddresses {
    fn new(interfaces: Arc<Interfaces>) -> OwnAddresses {
        OwnAddresses { interfaces, last: Mutex::new(None) }
    }

    /// If the list cannot be read (no file descriptor left, say), the last one serves on. Without any, no target can be
    /// judged, and none is called.
    fn list(&self, now: Instant) -> Result<Arc<[IpAddr]>, Unresolved> {
        let mut last = lock(&self.last);
        if let Some(listed) = &*last
            && now.saturating_duration_since(listed.read) < BELIEVED_FOR
        {
            return Ok(Arc::clone(&listed.addresses));
        }
        match ((self.interfaces)(), &*last) {
            (Ok(addresses), _) => {
                let addresses: Arc<[IpAddr]> = addresses.into();
                *last = Some(Listed { addresses: Arc::clone(&addresses), read: now });
                Ok(addresses)
            }
            (Err(_), Some(listed)) => Ok(Arc::clone(&listed.addresses)),
            (Err(error), None) => Err(Unresolved::Dns(format!(
                "The target could not be judged, because this machine's own addresses could not be read: {error}"
            ))),
        }
    }
}

/// Locks a mutex whose content is valid after every statement, so that a panic elsewhere does no harm.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl super::http::client::Resolve for Guard {
    fn resolve(&self, url: &str, deadline: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
        let url: TargetUrl = url
            .parse()
            .map_err(|error: crate::domain::Invalid| FailureCause::TargetBlocked { reason: Some(error.message) })?;
        Guard::resolve(self, &url, deadline)
    }
}
