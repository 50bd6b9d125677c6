//! What finished in each of the last 24 hours, as bars.

use crate::domain::time::{HOUR, Millis};
use crate::store::stats::Hour;
use crate::text::humanize;

/// The bars of a window, oldest first: one for every hour that it touches.
pub struct Bars {
    pub bars: Vec<Bar>,
    pub delivered: u64,
    pub failed: u64,
    /// The most that finished in one hour.
    pub most: u64,
}

/// An hour. Heights are shares of a hundred, of the hour in which most finished.
pub struct Bar {
    /// Where it stands: 0 for the oldest.
    pub x: usize,
    pub start_ms: Millis,
    pub delivered: u64,
    pub failed: u64,
    pub ok_y: u64,
    pub ok_height: u64,
    pub bad_y: u64,
    pub bad_height: u64,
    /// `14:00 UTC: 512 delivered, 3 failed`.
    pub title: String,
}

impl Bars {
    /// From `from`, a whole hour, to the hour of `now`. Hours in which nothing finished may be left out of `hours`.
    pub fn of(hours: &[Hour], from: Millis, now: Millis) -> Bars {
        let slots = (now - from) / HOUR + 1;
        let most = hours.iter().map(|hour| hour.delivered + hour.failed).max();
        let most = most.unwrap_or_default();
        let bar = |x: i64| {
            let start_ms = from + x * HOUR;
            let found = hours.iter().find(|hour| hour.start_ms == start_ms);
            let (delivered, failed) = found.map_or((0, 0), |hour| (hour.delivered, hour.failed));
            let (ok_height, bad_height) = (height(delivered, most), height(failed, most));
            Bar {
                x: x as usize,
                start_ms,
                delivered,
                failed,
                ok_y: 100 - ok_height,
                ok_height,
                bad_y: 100_u64.saturating_sub(ok_height + bad_height),
                bad_height,
                title: format!(
                    "{}: {} delivered, {} failed",
                    humanize::clock(start_ms),
                    humanize::number(delivered),
                    humanize::number(failed)
                ),
            }
        };
        Bars {
            bars: (0..slots).map(bar).collect(),
            delivered: hours.iter().map(|hour| hour.delivered).sum(),
            failed: hours.iter().map(|hour| hour.failed).sum(),
            most,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.delivered + self.failed == 0
    }

    /// What a reader is told who sees no bars.
    pub fn summary(&self) -> String {
        format!(
            "Last 24 hours: {} delivered, {} failed",
            humanize::number(self.delivered),
            humanize::number(self.failed)
        )
    }

    /// `99.2 %`; nothing where nothing finished.
    pub fn success_rate(&self) -> Option<String> {
        humanize::percent(self.delivered, self.delivered + self.failed)
    }

    /// How the rate comes about.
    pub fn formula(&self) -> String {
        formula(self.delivered, self.failed)
    }
}

/// How a success rate comes about.
pub fn formula(delivered: u64, failed: u64) -> String {
    format!(
        "delivered ÷ (delivered + failed) of the deliveries that finished: {} ÷ {}. What still retries is not counted.",
        humanize::number(delivered),
        humanize::number(delivered + failed)
    )
}

/// At least something where there is something, so that one failure beside thousands is seen.
fn height(count: u64, most: u64) -> u64 {
    match count {
        0 => 0,
        _ => (count * 100 / most.max(1)).clamp(4, 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hour_of_the_window_has_a_bar_and_a_single_failure_is_seen() {
        let now = 100 * HOUR + 5;
        let hour = |start_ms, delivered, failed| Hour { start_ms, delivered, failed };
        let hours = [hour(80 * HOUR, 999, 1), hour(100 * HOUR, 500, 0)];
        let bars = Bars::of(&hours, 76 * HOUR, now);
        assert_eq!(bars.bars.len(), 25);
        assert_eq!(bars.bars[4].bad_height, 4);
        assert!(bars.bars[4].ok_y + bars.bars[4].ok_height == 100);
        assert_eq!(bars.bars[24].ok_height, 50);
        assert_eq!(bars.bars[0].ok_height, 0);
        assert_eq!(bars.success_rate().as_deref(), Some("99.9 %"));
        assert!(bars.formula().contains("1,499 ÷ 1,500"));
        assert!(Bars::of(&[], 76 * HOUR, now).success_rate().is_none());
    }
}
