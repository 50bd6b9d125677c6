//! Rate limits in requests per second: of API keys, of all keys and portal sessions of a tenant together, and of
//! inboxes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::ApiError;
use crate::domain::event::Tenant;
use crate::domain::tenant_limits::{TenantLimit, TenantLimits};
use crate::domain::time::{Millis, SECOND};
use crate::domain::token_bucket::{Rate, TokenBucket};
use crate::store::api_key::ApiKey;
use crate::text::humanize;

/// Number of buckets from which on full ones are dropped.
const MANY: usize = 1_024;

/// Token buckets by what they limit, such as the sequence number of a key. Only what exists gets one, so wrong keys and
/// addresses take no memory. Cheap to clone.
pub struct Buckets<K>(Arc<Mutex<HashMap<K, (Rate, TokenBucket)>>>);

impl<K> Clone for Buckets<K> {
    fn clone(&self) -> Buckets<K> {
        Buckets(Arc::clone(&self.0))
    }
}

impl<K> Default for Buckets<K> {
    fn default() -> Buckets<K> {
        Buckets(Arc::default())
    }
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// Takes a token from a bucket, or returns the milliseconds until there is one.
    pub fn take(&self, key: &K, rate: Rate, now: Millis) -> Result<(), Millis> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, bucket)) = buckets.get_mut(key) {
            *known = rate;
            return bucket.take(rate, now);
        }
        if buckets.len() >= MANY {
            buckets.retain(|_, (rate, bucket)| !bucket.is_full(*rate, now));
        }
        let mut bucket = TokenBucket::full(rate, now);
        let taken = bucket.take(rate, now);
        buckets.insert(key.clone(), (rate, bucket));
        taken
    }

    /// Returns the number of tokens that are missing from a bucket.
    pub fn used(&self, key: &K, now: Millis) -> u32 {
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.get(key).map_or(0, |(rate, bucket)| bucket.used(*rate, now))
    }
}

/// Rate limits of API keys and of tenants. Cheap to clone.
#[derive(Clone)]
pub struct RateLimits {
    /// Requests per second of a key without its own limit; unlimited if `None`.
    default: Option<u32>,
    of_a_tenant: Rate,
    keys: Buckets<i64>,
    tenants: Buckets<Tenant>,
}

impl RateLimits {
    /// `default` is the limit of a key without its own, in requests per second.
    pub fn new(default: Option<u32>, limits: &TenantLimits) -> RateLimits {
        let of_a_tenant = Rate { per_second: limits.requests_per_s, burst: limits.requests_per_s };
        RateLimits { default, of_a_tenant, keys: Buckets::default(), tenants: Buckets::default() }
    }

    /// Counts a request of a key, and of its tenant if it has one.
    pub fn take(&self, key: &ApiKey, now: Millis) -> Result<(), ApiError> {
        if let Some(limit) = key.rate_limit_per_s.or(self.default) {
            let rate = Rate { per_second: limit, burst: limit };
            self.keys.take(&key.seq, rate, now).map_err(|wait| {
                let wait_s = seconds(wait);
                ApiError::rate_limited(format!("Rate limit of this key exceeded. Retry in {wait_s} s."), wait_s)
            })?;
        }
        key.tenant.as_ref().map_or(Ok(()), |tenant| self.take_of(tenant, now))
    }

    /// Counts a request of a tenant.
    pub fn take_of(&self, tenant: &Tenant, now: Millis) -> Result<(), ApiError> {
        self.tenants.take(tenant, self.of_a_tenant, now).map_err(|wait| {
            let wait_s = seconds(wait);
            let most = humanize::counted(self.of_a_tenant.per_second.into(), "request");
            let setting = TenantLimit::RequestsPerS.setting();
            let message = format!(
                "Rate limit of the tenant {tenant} exceeded: the setting {setting} allows all its API keys and portal \
                 sessions together {most} per second. Retry in {wait_s} s."
            );
            ApiError::rate_limited(message, wait_s)
                .with_tenant_message(format!("Too many requests. Retry in {wait_s} s."))
        })
    }

    /// Returns how much of a second's requests a tenant has used up.
    pub fn used_by(&self, tenant: &Tenant, now: Millis) -> u32 {
        self.tenants.used(tenant, now)
    }
}

/// Whole seconds of a wait, rounded up.
fn seconds(wait_ms: Millis) -> i64 {
    (wait_ms as u64).div_ceil(SECOND as u64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_takes_some_at_once_and_then_so_many_a_second() {
        let buckets = Buckets::default();
        let rate = Rate { per_second: 100, burst: 200 };
        let taken = |now| (0..1000).filter(|_| buckets.take(&1, rate, now).is_ok()).count();
        assert_eq!(taken(0), 200);
        assert_eq!(taken(9), 0);
        assert_eq!(taken(20), 2);
        assert_eq!(taken(1_020), 100);
        assert_eq!(taken(60_000), 200);
        // If the clock was set back, the bucket continues from the new time.
        assert_eq!(taken(0), 0);
        assert_eq!(taken(1_000), 100);
        assert!(buckets.take(&2, rate, 1_000).is_ok());
    }
}
