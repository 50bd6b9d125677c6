//! Jumps of the wall clock against the monotonic clock.
//!
//! Retention deletes by age, and a wall clock that jumps makes rows look older than they are. So the age that a jump adds
//! counts only once the program has run for the whole retention since: what was delivered just before a jump is kept as
//! long as if the clock had not jumped, and afterwards retention follows the wall clock again. The time between the
//! newest stored row and a start counts as a jump too, because nothing shows that it has passed: after a year switched
//! off, rows from before are kept for one more retention, and nothing else changes.

use super::time::{MINUTE, Millis};

/// Difference from which on the clocks disagree. Smaller ones are corrections of the clock's rate.
const LEAST: Millis = MINUTE;
/// Maximum number of jumps that are told apart. Older ones count as one, at the latest time of them.
const MOST: usize = 100;

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub wall_ms: Millis,
    pub monotonic_ms: Millis,
}

#[derive(Debug, Clone)]
pub struct ClockJumps {
    last: Reading,
    /// Monotonic time and size of each jump, oldest first; negative for a clock that was set back.
    jumps: Vec<(Millis, Millis)>,
}

impl ClockJumps {
    /// `newest_ms`: time of the newest stored row, if any.
    pub fn since(newest_ms: Option<Millis>, now: Reading) -> ClockJumps {
        let off = newest_ms.map_or(0, |newest| now.wall_ms.saturating_sub(newest));
        let mut jumps = ClockJumps { last: now, jumps: Vec::new() };
        jumps.add(now.monotonic_ms, off);
        jumps
    }

    /// Compares the clocks. Call it at least every few minutes.
    pub fn observe(&mut self, now: Reading) {
        let passed = now.monotonic_ms.saturating_sub(self.last.monotonic_ms);
        let jump = now.wall_ms.saturating_sub(self.last.wall_ms).saturating_sub(passed);
        self.last = now;
        self.add(now.monotonic_ms, jump);
    }

    fn add(&mut self, at: Millis, jump: Millis) {
        if jump.saturating_abs() < LEAST {
            return;
        }
        self.jumps.push((at, jump));
        if self.jumps.len() > MOST {
            let (_, oldest) = self.jumps.remove(0);
            self.jumps[0].1 = self.jumps[0].1.saturating_add(oldest);
        }
    }

    /// Returns the sum of the jumps in the last `span` of running time; 0 if the clock was set back.
    pub fn ahead_within(&self, span: Millis) -> Millis {
        let begin = self.last.monotonic_ms.saturating_sub(span);
        let recent = self.jumps.iter().filter(|(at, _)| *at >= begin);
        recent.fold(0, |sum: Millis, (_, jump)| sum.saturating_add(*jump)).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::{DAY, HOUR};

    fn at(wall_ms: Millis, monotonic_ms: Millis) -> Reading {
        Reading { wall_ms, monotonic_ms }
    }

    #[test]
    fn time_that_passes_on_both_clocks_is_no_jump() {
        let mut jumps = ClockJumps::since(Some(0), at(10, 0));
        for hour in 1..1_000 {
            // A clock that is slow by a second an hour.
            jumps.observe(at(hour * (HOUR - 1_000), hour * HOUR));
        }
        assert_eq!(jumps.ahead_within(30 * DAY), 0);
        assert!(jumps.jumps.is_empty());
    }

    #[test]
    fn a_jump_counts_until_its_span_has_passed() {
        let mut jumps = ClockJumps::since(None, at(0, 0));
        jumps.observe(at(40 * DAY, 0));
        assert_eq!(jumps.ahead_within(30 * DAY), 40 * DAY);
        jumps.observe(at(69 * DAY, 29 * DAY));
        assert_eq!(jumps.ahead_within(30 * DAY), 40 * DAY);
        jumps.observe(at(71 * DAY, 31 * DAY));
        assert_eq!((jumps.ahead_within(30 * DAY), jumps.ahead_within(90 * DAY)), (0, 40 * DAY));
    }

    #[test]
    fn a_year_switched_off_counts_as_a_jump_and_a_corrected_clock_as_none() {
        let year = 365 * DAY;
        let mut jumps = ClockJumps::since(Some(0), at(year, 0));
        assert_eq!(jumps.ahead_within(30 * DAY), year);
        jumps.observe(at(HOUR, HOUR));
        assert_eq!(jumps.ahead_within(30 * DAY), 0);
        jumps.observe(at(HOUR - 10 * year, HOUR));
        assert_eq!(jumps.ahead_within(30 * DAY), 0);
    }

    #[test]
    fn a_clock_that_jumps_all_the_time_takes_bounded_memory() {
        let mut jumps = ClockJumps::since(None, at(0, 0));
        for number in 1..10_000 {
            jumps.observe(at(number * 2 * DAY, number * DAY));
        }
        assert_eq!(jumps.jumps.len(), MOST);
        assert_eq!(jumps.ahead_within(Millis::MAX), 9_999 * DAY);
    }
}
