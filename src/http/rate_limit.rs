//! Rate limits in requests per second: of API keys and of inboxes. A key without a limit costs nothing here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::time::{Millis, SECOND};
use crate::domain::token_bucket::{Rate, TokenBucket};
use crate::store::api_key::ApiKey;

/// Number of buckets from which on full ones are dropped.
const MANY: usize = 1_024;

/// Token buckets by sequence number. Only rows that exist get one, so wrong keys and addresses take no memory. Cheap
/// to clone.
#[derive(Clone, Default)]
pub struct Buckets(Arc<Mutex<HashMap<i64, (Rate, TokenBucket)>>>);

impl Buckets {
    /// Takes a token from the bucket of `seq`, or returns the milliseconds until there is one.
    pub fn take(&self, seq: i64, rate: Rate, now: Millis) -> Result<(), Millis> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MANY && !buckets.contains_key(&seq) {
            buckets.retain(|_, (rate, bucket)| !bucket.is_full(*rate, now));
        }
        let entry = buckets.entry(seq).or_insert_with(|| (rate, TokenBucket::full(rate, now)));
        entry.0 = rate;
        entry.1.take(rate, now)
    }
}

/// Rate limits of API keys. Cheap to clone.
#[derive(Clone, Default)]
pub struct RateLimits {
    /// Requests per second of a key without its own limit; unlimited if `None`.
    default: Option<u32>,
    buckets: Buckets,
}

impl RateLimits {
    pub fn new(default: Option<u32>) -> RateLimits {
        RateLimits { default, buckets: Buckets::default() }
    }

    /// Counts a request of a key, or returns the whole seconds until one is allowed.
    pub fn take(&self, key: &ApiKey, now: Millis) -> Result<(), i64> {
        let Some(limit) = key.rate_limit_per_s.or(self.default) else {
            return Ok(());
        };
        let rate = Rate { per_second: limit, burst: limit };
        self.buckets.take(key.seq, rate, now).map_err(|wait_ms| (wait_ms as u64).div_ceil(SECOND as u64) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_takes_some_at_once_and_then_so_many_a_second() {
        let buckets = Buckets::default();
        let rate = Rate { per_second: 100, burst: 200 };
        let taken = |now| (0..1000).filter(|_| buckets.take(1, rate, now).is_ok()).count();
        assert_eq!(taken(0), 200);
        assert_eq!(taken(9), 0);
        assert_eq!(taken(20), 2);
        assert_eq!(taken(1_020), 100);
        assert_eq!(taken(60_000), 200);
        // If the clock was set back, the bucket continues from the new time.
        assert_eq!(taken(0), 0);
        assert_eq!(taken(1_000), 100);
        assert!(buckets.take(2, rate, 1_000).is_ok());
    }
}
