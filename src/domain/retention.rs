//! Retention of deliveries and events.

use super::Invalid;
use super::clock_jumps::ClockJumps;
use super::time::{DAY, Millis};

/// Longest retention in days.
pub const MOST_DAYS: u32 = 36_500;

/// How long finished deliveries are kept. Pending deliveries are never deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    finished_days: Option<u32>,
    failed_days: Option<u32>,
    audit_days: Option<u32>,
}

/// Default days after which entries of the audit log are deleted: a year, and time to look at it.
pub const AUDIT_DAYS: u32 = 400;

/// Deliveries that finished before these times are deleted; `None` keeps them forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoffs {
    /// For delivered and discarded deliveries, tests, and events.
    pub finished_ms: Option<Millis>,
    /// For dead letters. Never later than `finished_ms`.
    pub failed_ms: Option<Millis>,
    /// For entries of the audit log.
    pub audit_ms: Option<Millis>,
}

impl Retention {
    /// Sets the days after which delivered and discarded deliveries are deleted, and those for dead letters; a smaller
    /// number for dead letters counts as the first. 0 keeps forever.
    pub fn new(finished_days: u32, failed_days: u32) -> Retention {
        let limit = |days: u32| (days > 0).then_some(days);
        let (finished_days, failed_days) = (limit(finished_days), limit(failed_days));
        let failed_days = finished_days.zip(failed_days).map(|(a, b)| a.max(b));
        Retention { finished_days, failed_days, audit_days: limit(AUDIT_DAYS) }
    }

    /// Sets the days after which entries of the audit log are deleted. 0 keeps forever.
    #[must_use]
    pub fn with_audit_days(self, days: u32) -> Retention {
        Retention { audit_days: (days > 0).then_some(days), ..self }
    }

    /// Days after which delivered and discarded deliveries are deleted; `None` for never.
    pub fn finished_days(&self) -> Option<u32> {
        self.finished_days
    }

    /// Days after which dead letters are deleted; `None` for never.
    pub fn failed_days(&self) -> Option<u32> {
        self.failed_days
    }

    /// Days after which entries of the audit log are deleted; `None` for never.
    pub fn audit_days(&self) -> Option<u32> {
        self.audit_days
    }

    /// Returns the cutoff times as of `now`.
    pub fn cutoffs(&self, now: Millis) -> Cutoffs {
        self.cutoffs_by(now, |_| 0)
    }

    /// Returns the cutoff times as of `now`, for a clock that jumped: what a jump adds to the age of a row counts only
    /// once its retention has passed since the jump.
    pub fn cutoffs_after_jumps(&self, now: Millis, jumps: &ClockJumps) -> Cutoffs {
        self.cutoffs_by(now, |span| jumps.ahead_within(span))
    }

    fn cutoffs_by(&self, now: Millis, jumped: impl Fn(Millis) -> Millis) -> Cutoffs {
        let before = |days: u32| {
            let span = Millis::from(days) * DAY;
            now.saturating_sub(jumped(span)).saturating_sub(span)
        };
        let (finished_ms, failed_ms) = (self.finished_days.map(before), self.failed_days.map(before));
        Cutoffs {
            finished_ms,
            failed_ms: failed_ms.zip(finished_ms).map(|(failed, finished)| failed.min(finished)),
            audit_ms: self.audit_days.map(before),
        }
    }
}

impl Default for Retention {
    /// 30 days, and 90 for dead letters.
    fn default() -> Retention {
        Retention::new(30, 90)
    }
}

/// Parses a number of days in the form of the command line: `30d`.
pub fn parse_days(text: &str) -> Result<u32, Invalid> {
    text.strip_suffix('d').and_then(|days| days.parse().ok()).filter(|days| (1..=MOST_DAYS).contains(days)).ok_or_else(
        || Invalid::new("invalid_age", format!("An age is a number of days from 1d to {MOST_DAYS}d, such as 30d.")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_stay_as_long_as_everything_else_or_longer() {
        for (finished, failed, wanted) in [
            (30, 90, (Some(30), Some(90))),
            (90, 30, (Some(90), Some(90))),
            (30, 0, (Some(30), None)),
            (0, 90, (None, None)),
            (0, 0, (None, None)),
        ] {
            let retention = Retention::new(finished, failed);
            assert_eq!((retention.finished_days(), retention.failed_days()), wanted);
        }
        let cutoffs = Retention::new(1, 2).cutoffs(3 * DAY);
        assert_eq!(cutoffs.finished_ms, Some(2 * DAY));
        assert_eq!(cutoffs.failed_ms, Some(DAY));
        assert_eq!(cutoffs.audit_ms, Some(3 * DAY - 400 * DAY));
        assert_eq!(Retention::new(0, 0).with_audit_days(1).cutoffs(3 * DAY).audit_ms, Some(2 * DAY));
        assert_eq!(Retention::new(1, 2).with_audit_days(0).audit_days(), None);
    }

    #[test]
    fn an_age_is_a_number_of_days() {
        assert_eq!(parse_days("30d"), Ok(30));
        for bad in ["", "d", "30", "0d", "-1d", "1.5d", "30 d", "36501d", "30h"] {
            assert!(parse_days(bad).is_err(), "{bad}");
        }
    }
}
