//! Addresses that a delivery may connect to: resolves the host, checks every address, and caches the result for 30 s.
//! While a name server is slow or silent, addresses checked within the last hour stay in use.
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
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use crate::domain::attempt::FailureCause;
use crate::domain::target::{AllowEntry, OwnInbox, Refusal, TargetPolicy, TargetUrl};
use crate::store::allowed_target::AllowedTargets;

use self::lookups::{LookupJob, Lookups};

mod lookups;
#[cfg(test)]
mod tests;

/// Resolves a host name. May block; an empty list counts as a failure.
pub type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Lists the addresses of this machine's interfaces.
pub type Interfaces = dyn Fn() -> io::Result<Vec<IpAddr>> + Send + Sync;

/// How long checked addresses, and the list of this machine's own, are used without renewal.
const BELIEVED_FOR: Duration = Duration::from_secs(30);

/// How long checked addresses are used while their renewal does not finish.
const SERVED_FOR: Duration = Duration::from_secs(60 * 60);

/// How long the first request after `BELIEVED_FOR` waits for the renewal before it uses the old addresses.
const LOOKUP_PATIENCE: Duration = Duration::from_millis(500);

/// Maximum number of origins in the cache; each takes about 200 bytes.
const MAX_CACHED: usize = 4096;

/// Maximum number of addresses returned: ureq's resolver has room for 16.
const MAX_ADDRESSES: usize = 16;

/// Returns the system's resolver (`getaddrinfo`), with hosts file and search domains.
pub fn system_lookup() -> Arc<Lookup> {
    Arc::new(|host: &str| {
        let addresses = (host, 0).to_socket_addrs()?;
        Ok(addresses.map(|address| address.ip()).collect())
    })
}

/// Returns the system's list of interfaces (`getifaddrs`).
pub fn system_interfaces() -> Arc<Interfaces> {
    Arc::new(|| {
        let interfaces = if_addrs::get_if_addrs()?;
        Ok(interfaces.iter().map(if_addrs::Interface::ip).collect())
    })
}

/// Resolves and checks targets. All workers share one.
pub struct Guard {
    /// Policy of the settings.
    policy: RwLock<TargetPolicy>,
    /// Targets that administrators allow in addition.
    allowed: AllowedTargets,
    inbox: OnceLock<OwnInbox>,
    own: OwnAddresses,
    cache: Mutex<Cache>,
    lookups: Lookups,
}

impl Guard {
    /// `allowed` may change while the guard is in use: each connection is checked against what is allowed then.
    pub fn new(policy: TargetPolicy, allowed: AllowedTargets, lookup: Arc<Lookup>) -> Arc<Guard> {
        Guard::with_interfaces(policy, allowed, lookup, system_interfaces())
    }

    /// Creates a guard with a list of this machine's addresses, for tests.
    pub fn with_interfaces(
        policy: TargetPolicy,
        allowed: AllowedTargets,
        lookup: Arc<Lookup>,
        interfaces: Arc<Interfaces>,
    ) -> Arc<Guard> {
        Arc::new(Guard {
            policy: RwLock::new(policy),
            allowed,
            inbox: OnceLock::new(),
            own: OwnAddresses { interfaces, last: Mutex::new(None) },
            cache: Mutex::new(Cache::new(MAX_CACHED)),
            lookups: Lookups::new(lookup),
        })
    }

    /// Allows the URLs of the built-in inbox, and no others of its origin. Only the first call has an effect.
    pub fn open_inbox(&self, inbox: OwnInbox) {
        let _ = self.inbox.set(inbox);
    }

    /// Returns the entries of the settings.
    pub fn configured(&self) -> Vec<AllowEntry> {
        self.policy().entries().to_vec()
    }

    fn policy(&self) -> RwLockReadGuard<'_, TargetPolicy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the policy of the settings, and forgets what was checked under the former one.
    pub fn set_policy(&self, policy: TargetPolicy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
        // Last: whoever has checked under the former policy has an older list, and keeps nothing.
        self.allowed.renew();
    }

    /// Returns the inbox that a URL belongs to. It has its own key in the cache: the rest of its origin must not become
    /// allowed with it.
    fn inbox_of(&self, url: &TargetUrl) -> Option<&OwnInbox> {
        self.inbox.get().filter(|inbox| inbox.covers(url))
    }

    /// Returns 1 to 16 addresses for connections to a URL, in the resolver's order. Checks all addresses of the host, also
    /// those beyond the sixteenth. Blocks until the name is resolved or the deadline has passed.
    ///
    /// # Errors
    /// `target_blocked` if the policy refuses the target; `dns_failed` if the name has no address, the lookup did not
    /// finish before the deadline, or it could not be started. Errors are not cached.
    pub fn resolve_for(
        &self,
        tenant: &str,
        url: &TargetUrl,
        deadline: Instant,
    ) -> Result<Arc<[SocketAddr]>, FailureCause> {
        self.resolve_for_at(tenant, url, Instant::now(), deadline).map_err(FailureCause::from)
    }

    /// Checks the URL of a new or changed webhook. Accepts a name that does not resolve, since every connection is checked
    /// again. Blocks like [`resolve_for`](Self::resolve_for); the lookup is charged to no tenant, so that changes of
    /// webhooks and deliveries do not wait for each other.
    pub fn check_new(&self, url: &TargetUrl, deadline: Instant) -> Result<(), Refusal> {
        match self.resolve_for_at("", url, Instant::now(), deadline) {
            Ok(_) | Err(Unresolved::Dns(_) | Unresolved::NoThread(_)) => Ok(()),
            Err(Unresolved::Refused(refusal)) => Err(refusal),
        }
    }

    /// `now` is the time for the age of cached results; waits use the real clock.
    fn resolve_for_at(
        &self,
        tenant: &str,
        url: &TargetUrl,
        now: Instant,
        deadline: Instant,
    ) -> Result<Arc<[SocketAddr]>, Unresolved> {
        let inbox = self.inbox_of(url);
        let name = inbox.map_or(url.origin(), OwnInbox::name);
        let allowed = self.allowed.current();
        let cached = lock(&self.cache).get(name, now, &allowed);
        if let Cached::Fresh(addresses) = cached {
            return Ok(addresses);
        }
        let policy = self.policy().with_all(&allowed);
        let policy = inbox.map_or_else(|| policy.clone(), |inbox| inbox.opened(&policy));
        let own = self.own.list(now)?;
        policy.judge_literal(url, &own).map_err(Unresolved::Refused)?;
        // The age of addresses counts from the start of their lookup.
        let (ips, asked): (Arc<[IpAddr]>, Instant) = match (url.address(), cached) {
            (Some(address), _) => (Arc::new([address]), now),
            (None, Cached::Stale(addresses, pending)) => {
                let pending = pending.or_else(|| Some((self.lookups.begin(url.host(), tenant).ok()?, now)));
                let is_new = pending.as_ref().is_some_and(|(_, asked)| *asked == now);
                let until = if is_new { deadline.min(Instant::now() + LOOKUP_PATIENCE) } else { Instant::now() };
                let result = pending.as_ref().and_then(|(job, _)| job.wait(until));
                match (result, pending) {
                    (Some(looked_up), Some((_, asked))) => {
                        lock(&self.cache).set_pending(name, None);
                        (looked_up.map_err(|sentence| Unresolved::Dns(sentence.as_ref().to_owned()))?, asked)
                    }
                    (_, pending) => {
                        lock(&self.cache).set_pending(name, pending);
                        return Ok(addresses);
                    }
                }
            }
            (None, _) => (self.lookups.addresses_of(url.host(), tenant, deadline)?, now),
        };
        policy.judge(url, &ips, &own).map_err(Unresolved::Refused)?;
        let addresses = dialled(&ips, url.port());
        lock(&self.cache).keep(name, Arc::clone(&addresses), asked, &allowed);
        Ok(addresses)
    }
}

/// Converts addresses to the form to connect to: mapped ones to IPv4, as they were checked.
fn dialled(judged: &[IpAddr], port: u16) -> Arc<[SocketAddr]> {
    judged.iter().take(MAX_ADDRESSES).map(|address| SocketAddr::new(address.to_canonical(), port)).collect()
}

/// Reason for having no addresses. Only a refusal is about the URL itself.
#[derive(Debug)]
enum Unresolved {
    Refused(Refusal),
    Dns(String),
    /// No thread was free for the lookup.
    NoThread(String),
}

impl From<Unresolved> for FailureCause {
    fn from(unresolved: Unresolved) -> FailureCause {
        match unresolved {
            Unresolved::Refused(refusal) => FailureCause::TargetBlocked {
                reason: Some(refusal.fact().to_owned()),
                entry: refusal.opened_by().map(ToString::to_string),
            },
            Unresolved::Dns(reason) => FailureCause::LookupFailed { reason },
            Unresolved::NoThread(reason) => FailureCause::LookupUnavailable { reason },
        }
    }
}

/// Checked addresses by origin, since the policy depends on port and scheme.
struct Cache {
    by_origin: HashMap<Box<str>, CachedResolution>,
    capacity: usize,
    /// Allowed targets at the time of the check. Its memory is held, so that no other list gets its address.
    allowed: Arc<[AllowEntry]>,
}

struct CachedResolution {
    addresses: Arc<[SocketAddr]>,
    judged: Instant,
    /// Lookup that will renew the entry, and its start.
    pending: Option<(LookupJob, Instant)>,
}

/// Cached result for an origin.
enum Cached {
    Fresh(Arc<[SocketAddr]>),
    /// Usable while a lookup renews it.
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
        Cache { by_origin: HashMap::new(), capacity, allowed: Arc::new([]) }
    }

    /// Forgets all addresses that were checked when other targets were allowed.
    fn get(&mut self, origin: &str, now: Instant, allowed: &Arc<[AllowEntry]>) -> Cached {
        if !Arc::ptr_eq(&self.allowed, allowed) {
            self.by_origin.clear();
            self.allowed = Arc::clone(allowed);
        }
        match self.by_origin.get(origin) {
            Some(entry) if entry.is_younger(BELIEVED_FOR, now) => Cached::Fresh(Arc::clone(&entry.addresses)),
            Some(entry) if entry.is_younger(SERVED_FOR, now) => {
                Cached::Stale(Arc::clone(&entry.addresses), entry.pending.clone())
            }
            _ => Cached::Nothing,
        }
    }

    /// Keeps addresses, unless other targets are allowed now than when they were checked.
    fn keep(&mut self, origin: &str, addresses: Arc<[SocketAddr]>, now: Instant, allowed: &Arc<[AllowEntry]>) {
        if !Arc::ptr_eq(&self.allowed, allowed) {
            return;
        }
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

    /// Removes expired entries, or else the oldest one. The scan of all entries is cheap compared to a lookup.
    fn make_room(&mut self, now: Instant) {
        if self.by_origin.len() >= self.capacity {
            self.by_origin.retain(|_, entry| entry.is_younger(BELIEVED_FOR, now));
        }
        let oldest = self.by_origin.iter().min_by_key(|entry| entry.1.judged).map(|entry| entry.0.clone());
        if let Some(origin) = oldest.filter(|_| self.by_origin.len() >= self.capacity) {
            self.by_origin.remove(&origin);
        }
    }
}

/// Addresses of this machine's interfaces, read again after 30 s.
struct OwnAddresses {
    interfaces: Arc<Interfaces>,
    /// The last list, and when it was read.
    last: Mutex<Option<(Arc<[IpAddr]>, Instant)>>,
}

impl OwnAddresses {
    /// Returns the list; the last one if reading fails, for lack of file descriptors say. Fails without any list.
    fn list(&self, now: Instant) -> Result<Arc<[IpAddr]>, Unresolved> {
        let mut last = lock(&self.last);
        if let Some((addresses, read)) = &*last
            && now.saturating_duration_since(*read) < BELIEVED_FOR
        {
            return Ok(Arc::clone(addresses));
        }
        match ((self.interfaces)(), &*last) {
            (Ok(addresses), _) => {
                let addresses: Arc<[IpAddr]> = addresses.into();
                *last = Some((Arc::clone(&addresses), now));
                Ok(addresses)
            }
            (Err(_), Some((addresses, _))) => Ok(Arc::clone(addresses)),
            (Err(error), None) => Err(Unresolved::Dns(format!(
                "The target could not be judged, because this machine's own addresses could not be read: {error}"
            ))),
        }
    }
}

/// Locks a mutex, ignoring panics elsewhere: its content is valid after every statement.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl super::http::client::Resolve for Guard {
    fn resolve(&self, url: &str, tenant: &str, deadline: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
        let url: TargetUrl = url.parse().map_err(|error: crate::domain::Invalid| FailureCause::TargetBlocked {
            reason: Some(error.message),
            entry: None,
        })?;
        self.resolve_for(tenant, &url, deadline)
    }
}
