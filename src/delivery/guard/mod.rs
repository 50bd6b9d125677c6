//! Which addresses a delivery may connect to: resolves the host, judges every address, keeps the verdict for 30 s.
//!
//! Owns DNS and the judging at connection time; the rules themselves are `domain::target`. It never
//! opens a connection: the client dials what it gets from here and resolves nothing itself, so an
//! answer that changes between check and use (DNS rebinding) has no gap to slip through.
//!
//! Locking: the cache, the interface list and the lookups have a mutex each; none is taken while
//! another is held, and none is held while a name is looked up.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::attempt::FailureCause;
use crate::domain::target::{OwnInbox, Refusal, TargetPolicy, TargetUrl};

use self::lookups::Lookups;

mod lookups;
#[cfg(test)]
mod tests;

/// Finds the addresses of a host name. It may block; an empty answer counts as a failure.
pub type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Lists the addresses of this machine's interfaces.
pub type Interfaces = dyn Fn() -> io::Result<Vec<IpAddr>> + Send + Sync;

/// How long a verdict, and the list of our own addresses, is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(30);

/// The most verdicts that are kept; each takes some 200 bytes.
const MAX_CACHED: usize = 4096;

/// The most addresses handed over: as many as ureq's resolver has room for.
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

/// Resolves and judges targets; one for the whole program, shared by all workers.
pub struct Guard {
    policy: TargetPolicy,
    /// The built-in inbox, and the rules for its URLs alone.
    inbox: OnceLock<(OwnInbox, TargetPolicy)>,
    own: OwnAddresses,
    verdicts: Mutex<Verdicts>,
    lookups: Lookups,
}

impl Guard {
    /// A guard over this machine's own interface addresses.
    pub fn new(policy: TargetPolicy, lookup: Arc<Lookup>) -> Arc<Guard> {
        Guard::with_interfaces(policy, lookup, system_interfaces())
    }

    /// A guard that is told which addresses are this machine's own, for tests and unusual networks.
    pub fn with_interfaces(policy: TargetPolicy, lookup: Arc<Lookup>, interfaces: Arc<Interfaces>) -> Arc<Guard> {
        Arc::new(Guard {
            policy,
            inbox: OnceLock::new(),
            own: OwnAddresses::new(interfaces),
            verdicts: Mutex::new(Verdicts::new(MAX_CACHED)),
            lookups: Lookups::new(lookup),
        })
    }

    /// Lets the URLs of the built-in inbox through, and nothing else at their origin: once it is known where the
    /// server is reached. A second call changes nothing.
    pub fn open_inbox(&self, inbox: OwnInbox) {
        let policy = inbox.opened(&self.policy);
        let _ = self.inbox.set((inbox, policy));
    }

    /// The rules that a URL is judged by, and under which name its verdict is remembered: what the inbox may is
    /// never believed of another path of its origin.
    fn rules_for<'a>(&'a self, url: &'a TargetUrl) -> (&'a TargetPolicy, &'a str) {
        match self.inbox.get() {
            Some((inbox, policy)) if inbox.covers(url) => (policy, inbox.name()),
            _ => (&self.policy, url.origin()),
        }
    }

    /// The addresses that a connection to this URL may use, in the resolver's order, 1 to 16 of them.
    ///
    /// Every address that the host has was judged, those beyond the sixteenth too. A verdict holds
    /// for 30 s and is then made anew. Blocks until the answer is there or the deadline has passed.
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
            Ok(_) | Err(Unresolved::Dns(_)) => Ok(()),
            Err(Unresolved::Refused(refusal)) => Err(refusal),
        }
    }

    /// `now` decides what is believed still; waiting goes by the real clock.
    fn resolve_at(&self, url: &TargetUrl, now: Instant, deadline: Instant) -> Result<Arc<[SocketAddr]>, Unresolved> {
        let (policy, name) = self.rules_for(url);
        let cached = lock(&self.verdicts).get(name, now);
        if let Some(addresses) = cached {
            return Ok(addresses);
        }
        let own = self.own.list(now)?;
        policy.judge_literal(url, &own)?;
        let found: Arc<[IpAddr]> = match url.address() {
            Some(address) => Arc::new([address]),
            None => self.lookups.addresses_of(url.host(), deadline)?,
        };
        policy.judge(url, &found, &own)?;
        let addresses = dialled(&found, url.port());
        // Stamped with the time before the lookup, so that a slow answer is believed no longer than a quick one.
        lock(&self.verdicts).keep(name, Arc::clone(&addresses), now);
        Ok(addresses)
    }
}

/// Mapped addresses are dialled as the IPv4 address that was judged.
fn dialled(judged: &[IpAddr], port: u16) -> Arc<[SocketAddr]> {
    judged.iter().take(MAX_ADDRESSES).map(|address| SocketAddr::new(address.to_canonical(), port)).collect()
}

/// Why there are no addresses. The two differ for `check_new`: only a refusal speaks against the URL itself.
#[derive(Debug)]
enum Unresolved {
    Refused(Refusal),
    Dns(String),
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
        }
    }
}

/// Judged addresses by origin: the policy looks at the port and the scheme too.
struct Verdicts {
    by_origin: HashMap<Box<str>, CachedResolution>,
    capacity: usize,
}

struct CachedResolution {
    addresses: Arc<[SocketAddr]>,
    made: Instant,
}

impl CachedResolution {
    fn holds_at(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.made) < BELIEVED_FOR
    }
}

impl Verdicts {
    fn new(capacity: usize) -> Verdicts {
        Verdicts { by_origin: HashMap::new(), capacity }
    }

    fn get(&self, origin: &str, now: Instant) -> Option<Arc<[SocketAddr]>> {
        let verdict = self.by_origin.get(origin)?;
        verdict.holds_at(now).then(|| Arc::clone(&verdict.addresses))
    }

    fn keep(&mut self, origin: &str, addresses: Arc<[SocketAddr]>, now: Instant) {
        if !self.by_origin.contains_key(origin) {
            self.make_room(now);
        }
        let verdict = CachedResolution { addresses, made: now };
        self.by_origin.insert(origin.into(), verdict);
    }

    /// Drops what is too old, and the oldest if that is not enough. It reads the whole table, which
    /// happens only when the table is full and costs little next to the lookup that led here.
    fn make_room(&mut self, now: Instant) {
        if self.by_origin.len() < self.capacity {
            return;
        }
        self.by_origin.retain(|_, verdict| verdict.holds_at(now));
        if self.by_origin.len() < self.capacity {
            return;
        }
        let oldest = self.by_origin.iter().min_by_key(|entry| entry.1.made);
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

    /// If the list cannot be read (no file descriptor left, say) the last one serves on. Without
    /// any there is no verdict: what cannot be judged is not called.
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

/// What these mutexes guard is valid after every statement, so a panic elsewhere is no reason to stop.
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
