//! Token bucket: bounds how many requests pass at once and how many per second after that.

use super::time::{Millis, SECOND};

/// Size and refill rate of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens added per second; at least 1.
    pub per_second: u32,
    /// Tokens that a full bucket holds.
    pub burst: u32,
}

impl Rate {
    fn capacity(self) -> i64 {
        i64::from(self.burst) * SECOND
    }

    /// Milliseconds in which an empty bucket fills.
    fn fill_time(self) -> Millis {
        div_ceil(self.capacity(), self.per_second)
    }
}

/// Tokens of one key, as of a time. The rate is an argument, because a key's limit may change.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    /// Thousandths of a token: a rate of n per second adds n of them per millisecond.
    millitokens: i64,
    updated_ms: Millis,
}

impl TokenBucket {
    pub fn full(rate: Rate, now: Millis) -> TokenBucket {
        TokenBucket { millitokens: rate.capacity(), updated_ms: now }
    }

    /// Takes a token, or returns the milliseconds until there is one.
    pub fn take(&mut self, rate: Rate, now: Millis) -> Result<(), Millis> {
        self.refill(rate, now);
        if self.millitokens >= SECOND {
            self.millitokens -= SECOND;
            return Ok(());
        }
        Err(div_ceil(SECOND - self.millitokens, rate.per_second))
    }

    pub fn is_full(self, rate: Rate, now: Millis) -> bool {
        self.used(rate, now) == 0
    }

    /// Returns the number of tokens that are missing, rounded up.
    pub fn used(mut self, rate: Rate, now: Millis) -> u32 {
        self.refill(rate, now);
        div_ceil((rate.capacity() - self.millitokens).max(0), SECOND as u32) as u32
    }

    /// A clock that was set back adds no tokens until it passes the last update again, or restarts from its new time
    /// if it was set back by more than the fill time.
    fn refill(&mut self, rate: Rate, now: Millis) {
        if now < self.updated_ms - rate.fill_time() {
            self.updated_ms = now;
        }
        let elapsed = (now - self.updated_ms).clamp(0, rate.fill_time());
        self.millitokens = (self.millitokens + elapsed * i64::from(rate.per_second)).min(rate.capacity());
        self.updated_ms = self.updated_ms.max(now);
    }
}

/// Divides rounding up; `i64::div_ceil` is unstable. `dividend` must not be negative.
fn div_ceil(dividend: i64, divisor: u32) -> i64 {
    (dividend as u64).div_ceil(u64::from(divisor)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Rate = Rate { per_second: 10, burst: 10 };
    const ONE: Rate = Rate { per_second: 1, burst: 1 };

    #[test]
    fn a_bucket_lets_a_seconds_worth_through_at_once_and_then_its_rate() {
        let mut bucket = TokenBucket::full(TEN, 0);
        assert!((0..10).all(|_| bucket.take(TEN, 0).is_ok()));
        assert_eq!(bucket.take(TEN, 0), Err(100));
        assert_eq!(bucket.take(TEN, 99), Err(1));
        assert_eq!(bucket.take(TEN, 100), Ok(()));
        assert!(!bucket.is_full(TEN, 1_000) && bucket.is_full(TEN, 1_100));
        assert_eq!([100, 101, 1_000, 1_099, 1_100].map(|now| bucket.used(TEN, now)), [10, 10, 1, 1, 0]);
        assert!((0..10).all(|_| bucket.take(TEN, 60_000).is_ok()));
        assert_eq!(bucket.take(TEN, 60_000), Err(100));
    }

    #[test]
    fn a_clock_that_jumps_back_neither_fills_a_bucket_nor_blocks_it_for_long() {
        let mut bucket = TokenBucket::full(ONE, 1_000_000);
        assert_eq!(bucket.take(ONE, 1_000_000), Ok(()));
        assert_eq!(bucket.take(ONE, 999_500), Err(1_000));
        assert_eq!(bucket.take(ONE, 1_000_000), Err(1_000));
        assert_eq!(bucket.take(ONE, 0), Err(1_000));
        assert_eq!(bucket.take(ONE, 1_000), Ok(()));
    }
}
