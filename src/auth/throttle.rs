//! Sign-in delays that grow with each failure, per account and per address. Kept in memory, so a restart clears them.
//!
//! Anybody can delay an account by its name. A browser that has signed in to it before is therefore delayed by its own
//! failures instead ([`Subject::Device`]), which also bounds the guesses of somebody who has stolen its cookie.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::time::{HOUR, MINUTE, Millis, SECOND};

/// Failures without a delay.
const FREE: u32 = 4;
/// Maximum delay of an account. Short, because it also delays the owner.
const LONGEST_ACCOUNT: Millis = MINUTE;
/// Maximum delay of an address, a device, or the codes of a user.
const LONGEST_OWN: Millis = 15 * MINUTE;
/// Time after which failures are forgotten.
const MEMORY: Millis = HOUR;
/// Maximum accounts and addresses kept. The oldest are dropped first.
const ENTRIES: usize = 10_000;

/// Failed sign-ins by account and address. Cheap to clone.
#[derive(Clone, Default)]
pub struct Throttle(Arc<Mutex<HashMap<Who, Failures>>>);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Who {
    Account(String),
    Device([u8; 32]),
    Code(i64),
    Address(IpAddr),
}

/// Subject of a sign-in's delay, beside its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// Name of an account, from an unknown browser.
    Account(&'a str),
    /// Hash of the cookie of a device or a session that belongs to the account.
    Device([u8; 32]),
    /// Number of a user whose password was right, and whose code is awaited, from an unknown browser or in a session.
    Code(i64),
}

impl<'a, T: AsRef<str> + ?Sized> From<&'a T> for Subject<'a> {
    fn from(name: &'a T) -> Subject<'a> {
        Subject::Account(name.as_ref())
    }
}

struct Failures {
    count: u32,
    last_ms: Millis,
}

impl Throttle {
    /// Returns the delay before a sign-in to this account from this address, in milliseconds.
    pub fn wait<'a>(&self, subject: impl Into<Subject<'a>>, address: Option<IpAddr>, now: Millis) -> Millis {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = keys(subject.into(), address)
            .into_iter()
            .map(|(who, longest)| failures.get(&who).map_or(0, |failures| failures.wait(longest, now)));
        waits.max().unwrap_or(0)
    }

    pub fn failed<'a>(&self, subject: impl Into<Subject<'a>>, address: Option<IpAddr>, now: Millis) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (who, _) in keys(subject.into(), address) {
            let entry = failures.entry(who).or_insert(Failures { count: 0, last_ms: now });
            if now - entry.last_ms > MEMORY {
                entry.count = 0;
            }
            entry.count = entry.count.saturating_add(1);
            entry.last_ms = now;
        }
        if failures.len() > ENTRIES {
            failures.retain(|_, failures| now - failures.last_ms <= MEMORY);
        }
        while failures.len() > ENTRIES {
            let oldest = failures.iter().min_by_key(|(_, failures)| failures.last_ms);
            let Some(oldest) = oldest.map(|(who, _)| who.clone()) else {
                break;
            };
            failures.remove(&oldest);
        }
    }

    /// Takes back a failure: the password was not checked.
    pub fn retract<'a>(&self, subject: impl Into<Subject<'a>>, address: Option<IpAddr>) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (who, _) in keys(subject.into(), address) {
            if let Some(failures) = failures.get_mut(&who) {
                failures.count = failures.count.saturating_sub(1);
            }
        }
    }

    /// Clears the failures of an account or a device after a sign-in, and as many of its address. Those of an address with
    /// other accounts stay: somebody with an account could else guess the passwords of others without a delay.
    pub fn succeeded<'a>(&self, subject: impl Into<Subject<'a>>, address: Option<IpAddr>) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut forgiven = None;
        for (who, _) in keys(subject.into(), address) {
            match forgiven {
                None => forgiven = Some(failures.remove(&who).map_or(0, |failures| failures.count)),
                Some(count) => {
                    if let Some(failures) = failures.get_mut(&who) {
                        failures.count = failures.count.saturating_sub(count);
                    }
                }
            }
        }
    }
}

impl Failures {
    /// Returns the delay: one second after the free failures, doubled with each further one.
    fn wait(&self, longest: Millis, now: Millis) -> Millis {
        let Some(beyond) = self.count.checked_sub(FREE) else {
            return 0;
        };
        let delay = (SECOND << beyond.min(20)).min(longest);
        // If the clock was set back, the wait must not exceed the delay.
        (self.last_ms + delay - now).clamp(0, delay)
    }
}

fn keys(subject: Subject<'_>, address: Option<IpAddr>) -> Vec<(Who, Millis)> {
    let subject = match subject {
        // Names over 64 bytes share one entry: no user has such a name, and storing them would waste memory.
        Subject::Account(name) if name.len() > 64 => (Who::Account(String::new()), LONGEST_ACCOUNT),
        Subject::Account(name) => (Who::Account(name.to_lowercase()), LONGEST_ACCOUNT),
        Subject::Device(hash) => (Who::Device(hash), LONGEST_OWN),
        Subject::Code(user) => (Who::Code(user), LONGEST_OWN),
    };
    let address = address.map(|address| (Who::Address(network(address)), LONGEST_OWN));
    [subject].into_iter().chain(address).collect()
}

/// Returns a client's network: its IPv4 address, or the first 64 bits of its IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_each_failure_and_has_a_limit() {
        let throttle = Throttle::default();
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        let mut waits = Vec::new();
        for _ in 0..16 {
            waits.push(throttle.wait("anna", None, 0));
            throttle.failed("anna", address, 0);
        }
        assert_eq!(waits[..4], [0; 4]);
        assert_eq!(waits[4..8], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(throttle.wait("ANNA", None, 0), LONGEST_ACCOUNT);
        assert_eq!(throttle.wait("ben", address, 0), LONGEST_OWN);
        assert_eq!(throttle.wait("ben", None, 0), 0);
        assert_eq!(throttle.wait("anna", None, LONGEST_ACCOUNT), 0);
        throttle.succeeded("anna", address);
        assert_eq!(throttle.wait("anna", address, 0), 0);
    }

    #[test]
    fn a_sign_in_forgives_an_address_its_failures_with_that_account_alone() {
        let throttle = Throttle::default();
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        for guessed in 0..8 {
            throttle.failed(&format!("user {guessed}"), address, 0);
        }
        throttle.failed("mallory", address, 0);
        throttle.succeeded("mallory", address);
        assert_eq!(throttle.wait("mallory", None, 0), 0);
        throttle.succeeded("mallory", address);
        assert!(throttle.wait("anna", address, 0) > 0);
    }

    #[test]
    fn a_device_waits_for_its_own_failures_alone() {
        let throttle = Throttle::default();
        let device = Subject::Device([1; 32]);
        for _ in 0..16 {
            throttle.failed("anna", None, 0);
        }
        assert_eq!(throttle.wait(device, None, 0), 0);
        for _ in 0..16 {
            throttle.failed(device, None, 0);
        }
        assert_eq!(throttle.wait(device, None, 0), LONGEST_OWN);
        assert_eq!(throttle.wait(Subject::Device([2; 32]), None, 0), 0);
        throttle.succeeded(device, None);
        assert_eq!(throttle.wait(device, None, 0), 0);
        assert_eq!(throttle.wait("anna", None, 0), LONGEST_ACCOUNT, "the owner's sign-in gives others no new tries");
    }

    #[test]
    fn all_addresses_of_a_client_under_ipv6_are_one() {
        let throttle = Throttle::default();
        for n in 0..5 {
            let address = format!("2001:db8:1:2::{n}").parse().ok();
            throttle.failed(&format!("user-{n}"), address, 0);
        }
        let wait = |text: &str| throttle.wait("anna", text.parse().ok(), 0);
        assert_eq!(wait("2001:db8:1:2:ffff::1"), 2_000);
        assert_eq!(wait("2001:db8:1:3::1"), 0);
    }

    #[test]
    fn memory_is_bounded_whatever_names_are_tried() {
        let throttle = Throttle::default();
        for n in 0..ENTRIES as i64 + 50 {
            throttle.failed(&format!("user-{n}"), None, n);
        }
        assert_eq!(throttle.0.lock().unwrap().len(), ENTRIES);
    }
}
