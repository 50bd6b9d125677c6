//! The one place that reads the current time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::time::Millis;

/// Tells the time: the machine's, or one that a test sets.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    Machine,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock, in UTC.
    pub fn machine() -> Clock {
        Clock(Source::Machine)
    }

    /// A clock that stands still until it is moved, so that a schedule of hours is tested in milliseconds.
    pub fn manual(now: Millis) -> Clock {
        Clock(Source::Manual(Arc::new(AtomicI64::new(now))))
    }

    /// Milliseconds since 1970, UTC.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now_ms(&self) -> Millis {
        match &self.0 {
            Source::Machine => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => since.as_millis() as Millis,
                Err(before) => -(before.duration().as_millis() as Millis),
            },
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// Moves a manual clock, back too; nothing happens to the machine's.
    pub fn advance(&self, by: Millis) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(by, Ordering::SeqCst);
        }
    }
}
