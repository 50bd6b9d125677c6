//! How many requests a second each API key may make. A key without a limit costs nothing here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::time::{Millis, SECOND};
use crate::store::api_key::ApiKey;

/// Keys in memory from which on those at rest are forgotten.
const MANY: usize = 1_024;

/// A bucket for each key that has a limit: it holds a second's worth of requests, and fills steadily. Only keys that
/// exist have one, so wrong keys take no memory. Cheap to clone.
#[derive(Clone, Default)]
pub struct RateLimits {
    /// Requests a second of a key that says nothing itself; `None`: any number.
    usual: Option<u32>,
    buckets: Arc<Mutex<HashMap<i64, Bucket>>>,
}

/// What is left of a second's worth, in thousandths of a request, as of a time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: i64,
    at: Millis,
    limit: u32,
}

impl RateLimits {
    /// With so many requests a second for each key that says nothing itself.
    pub fn new(usual: Option<u32>) -> RateLimits {
        RateLimits { usual, buckets: Arc::default() }
    }

    /// Takes a request of a key, or says in how many whole seconds there is room for one.
    pub fn take(&self, key: &ApiKey, now: Millis) -> Result<(), i64> {
        let Some(limit) = key.rate_limit_per_s.or(self.usual) else {
            return Ok(());
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MANY && !buckets.contains_key(&key.seq) {
            buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        buckets
            .entry(key.seq)
            .and_modify(|bucket| bucket.fill(limit, now))
            .or_insert_with(|| Bucket::full(limit, now))
            .take()
    }
}

impl Bucket {
    fn full(limit: u32, now: Millis) -> Bucket {
        Bucket { left: i64::from(limit) * SECOND, at: now, limit }
    }

    /// A clock that was set back adds nothing, until it is where it was or further back than a bucket takes to fill.
    fn fill(&mut self, limit: u32, now: Millis) {
        if now < self.at - SECOND {
            self.at = now;
        }
        let full = i64::from(limit) * SECOND;
        let passed = (now - self.at).clamp(0, SECOND);
        self.left = (self.left + passed * i64::from(limit)).min(full);
        self.at = self.at.max(now);
        self.limit = limit;
    }

    fn is_full(&self, now: Millis) -> bool {
        let mut later = *self;
        later.fill(self.limit, now);
        later.left == i64::from(self.limit) * SECOND
    }

    fn take(&mut self) -> Result<(), i64> {
        if self.left >= SECOND {
            self.left -= SECOND;
            return Ok(());
        }
        let missing = SECOND - self.left;
        // A thousandth of a request comes in as many milliseconds as there are seconds between requests.
        let wait_ms = (missing as u64).div_ceil(u64::from(self.limit));
        Err(wait_ms.div_ceil(SECOND as u64) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_a_seconds_worth_through_at_once_and_then_its_rate() {
        let mut bucket = Bucket::full(10, 0);
        assert!((0..10).all(|_| bucket.take().is_ok()));
        assert_eq!(bucket.take(), Err(1));
        bucket.fill(10, 99);
        assert_eq!(bucket.take(), Err(1));
        bucket.fill(10, 100);
        assert_eq!(bucket.take(), Ok(()));
        bucket.fill(10, 60_000);
        assert!((0..10).all(|_| bucket.take().is_ok()));
        assert_eq!(bucket.take(), Err(1));
    }

    #[test]
    fn a_clock_that_jumps_back_neither_fills_a_bucket_nor_blocks_it_for_long() {
        let mut bucket = Bucket::full(1, 1_000_000);
        assert_eq!(bucket.take(), Ok(()));
        bucket.fill(1, 999_500);
        bucket.fill(1, 1_000_000);
        assert_eq!(bucket.take(), Err(1));
        bucket.fill(1, 0);
        assert_eq!(bucket.take(), Err(1));
        bucket.fill(1, 1_000);
        assert_eq!(bucket.take(), Ok(()));
    }
}
