//! The current time. The only module that reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::clock_jumps::Reading;
use crate::domain::time::Millis;

/// Clock of the machine, or a manual one for tests.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    Machine {
        /// Beginning of the monotonic time.
        begin: Instant,
    },
    Manual(Arc<Manual>),
}

/// Time that work may take, by the monotonic clock.
#[derive(Debug, Clone)]
pub struct Timer {
    clock: Clock,
    ends_ms: Millis,
}

impl Timer {
    pub fn is_over(&self) -> bool {
        self.clock.monotonic_ms() >= self.ends_ms
    }
}

#[derive(Debug)]
struct Manual {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicI64,
}

impl Clock {
    pub fn machine() -> Clock {
        Clock(Source::Machine { begin: Instant::now() })
    }

    /// Returns a clock that only [`advance`](Clock::advance) and [`jump`](Clock::jump) move.
    pub fn manual(now: Millis) -> Clock {
        Clock(Source::Manual(Arc::new(Manual { wall_ms: AtomicI64::new(now), monotonic_ms: AtomicI64::new(0) })))
    }

    /// Returns the milliseconds since 1970, UTC.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now_ms(&self) -> Millis {
        match &self.0 {
            Source::Machine { .. } => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => since.as_millis() as Millis,
                Err(before) => -(before.duration().as_millis() as Millis),
            },
            Source::Manual(now) => now.wall_ms.load(Ordering::SeqCst),
        }
    }

    /// Reads this clock and the monotonic one, which nobody sets.
    pub fn reading(&self) -> Reading {
        Reading { wall_ms: self.now_ms(), monotonic_ms: self.monotonic_ms() }
    }

    fn monotonic_ms(&self) -> Millis {
        match &self.0 {
            Source::Machine { begin } => begin.elapsed().as_millis() as Millis,
            Source::Manual(now) => now.monotonic_ms.load(Ordering::SeqCst),
        }
    }

    /// Starts a timer for work that may take this long.
    pub fn timer(&self, duration: Duration) -> Timer {
        Timer { ends_ms: self.monotonic_ms() + duration.as_millis() as Millis, clock: self.clone() }
    }

    /// Lets time pass on a manual clock, or sets it back if `by` is negative. Has no effect on the machine's clock.
    pub fn advance(&self, by: Millis) {
        if let Source::Manual(now) = &self.0 {
            now.monotonic_ms.fetch_add(by.max(0), Ordering::SeqCst);
        }
        self.jump(by);
    }

    /// Sets a manual clock ahead or back, without time passing.
    pub fn jump(&self, by: Millis) {
        if let Source::Manual(now) = &self.0 {
            now.wall_ms.fetch_add(by, Ordering::SeqCst);
        }
    }
}
