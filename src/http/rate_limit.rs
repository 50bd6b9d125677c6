//! Rate limits in requests per second: of API keys, of all keys and portal sessions of a tenant together, and of
//! inboxes. Responses say how much of each is left, in the headers of draft-ietf-httpapi-ratelimit-headers-10.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::ServiceResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest};

use super::error::ApiError;
use crate::domain::event::Tenant;
use crate::domain::live::Live;
use crate::domain::tenant_limits::TenantLimit;
use crate::domain::time::{Millis, SECOND};
use crate::domain::token_bucket::{Rate, TokenBucket};
use crate::store::api_key::ApiKey;
use crate::text::humanize;

/// Number of buckets from which on full ones are dropped.
const MANY: usize = 1_024;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Rate limit that a request was counted in.
struct Counted {
    name: &'static str,
    rate: Rate,
    /// Requests that are left at once.
    left: u32,
}

impl Counted {
    fn policy(&self) -> String {
        let Rate { per_second, burst } = self.rate;
        format!("\"{}\";q={burst};w={}", self.name, burst.div_ceil(per_second))
    }

    /// Requests that are left, and the seconds until all are there again.
    fn state(&self) -> String {
        let full_s = (self.rate.burst - self.left).div_ceil(self.rate.per_second);
        format!("\"{}\";r={};t={full_s}", self.name, self.left)
    }
}

/// Adds the headers of the rate limits that the request was counted in.
pub(super) fn add_headers<B>(response: &mut ServiceResponse<B>) {
    let headers = response.request().extensions().get::<Vec<Counted>>().map(|counted| {
        let list = |part: fn(&Counted) -> String| counted.iter().map(part).collect::<Vec<_>>().join(", ");
        [(RATE_LIMIT_POLICY, list(Counted::policy)), (RATE_LIMIT, list(Counted::state))]
    });
    for (name, value) in headers.into_iter().flatten() {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
}

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
    /// Counts a request in the bucket of a key, or returns the milliseconds until it can be. `name` is the limit's, in headers.
    pub fn count(
        &self,
        request: &HttpRequest,
        name: &'static str,
        key: &K,
        rate: Rate,
        now: Millis,
    ) -> Result<(), Millis> {
        let taken = self.take(key, rate, now);
        let left = if taken.is_ok() { rate.burst.saturating_sub(self.used(key, now)) } else { 0 };
        let mut extensions = request.extensions_mut();
        let counted = Counted { name, rate, left };
        match extensions.get_mut::<Vec<Counted>>() {
            Some(others) => others.push(counted),
            None => drop(extensions.insert(vec![counted])),
        }
        taken
    }

    /// Takes a token from a bucket, or returns the milliseconds until there is one.
    fn take(&self, key: &K, rate: Rate, now: Millis) -> Result<(), Millis> {
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
    live: Live,
    keys: Buckets<i64>,
    tenants: Buckets<Tenant>,
}

impl RateLimits {
    pub fn new(live: Live) -> RateLimits {
        RateLimits { live, keys: Buckets::default(), tenants: Buckets::default() }
    }

    /// Counts a request of a key, and of its tenant if it has one.
    pub fn take(&self, request: &HttpRequest, key: &ApiKey, now: Millis) -> Result<(), ApiError> {
        if let Some(limit) = key.rate_limit_per_s.or(self.live.get().key_rate_limit) {
            let rate = Rate { per_second: limit, burst: limit };
            self.keys.count(request, "key", &key.seq, rate, now).map_err(|wait| {
                let wait_s = seconds(wait);
                ApiError::rate_limited(format!("Rate limit of this key exceeded. Retry in {wait_s} s."), wait_s)
            })?;
        }
        key.tenant.as_ref().map_or(Ok(()), |tenant| self.take_of(request, tenant, now))
    }

    /// Counts a request of a tenant.
    pub fn take_of(&self, request: &HttpRequest, tenant: &Tenant, now: Millis) -> Result<(), ApiError> {
        let per_second = self.live.get().tenant_limits.requests_per_s;
        let rate = Rate { per_second, burst: per_second };
        self.tenants.count(request, "tenant", tenant, rate, now).map_err(|wait| {
            let wait_s = seconds(wait);
            let most = humanize::counted(per_second.into(), "request");
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
