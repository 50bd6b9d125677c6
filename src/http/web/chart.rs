//! Chart of the deliveries that finished, by hour.

use crate::domain::time::{HOUR, Millis};
use crate::domain::zone::Zone;
use crate::store::stats::Hour;
use crate::text::humanize;

/// Bars from the oldest hour to the newest, without gaps.
pub struct Chart {
    pub bars: Vec<Bar>,
    pub delivered: u64,
    pub failed: u64,
    /// Deliveries of the highest bar.
    pub most: u64,
}

/// One hour. Heights are percentages of the highest bar.
pub struct Bar {
    /// Position from the left, in hours.
    pub x: usize,
    pub start_ms: Millis,
    /// `14:00 UTC`, in the zone of the page
    pub hour: String,
    pub delivered: u64,
    pub failed: u64,
    pub ok_y: u64,
    pub ok_height: u64,
    pub bad_y: u64,
    pub bad_height: u64,
}

impl Chart {
    /// `from` and `now` are any times within the first and the last hour. `hours` may lack hours without deliveries.
    pub fn of(hours: &[Hour], from: Millis, now: Millis, zone: &Zone) -> Chart {
        let first = from - from.rem_euclid(HOUR);
        let most = hours.iter().map(|hour| hour.delivered + hour.failed).max().unwrap_or_default();
        let bar = |index: Millis| {
            let start_ms = first + index * HOUR;
            let found = hours.iter().find(|hour| hour.start_ms == start_ms);
            let (delivered, failed) = found.map_or((0, 0), |hour| (hour.delivered, hour.failed));
            let (ok_height, bad_height) = (height(delivered, most), height(failed, most));
            Bar {
                x: index as usize,
                start_ms,
                hour: humanize::clock(start_ms, zone),
                delivered,
                failed,
                ok_y: 100 - ok_height,
                ok_height,
                bad_y: 100_u64.saturating_sub(ok_height + bad_height),
                bad_height,
            }
        };
        Chart {
            bars: (0..=(now - first) / HOUR).map(bar).collect(),
            delivered: hours.iter().map(|hour| hour.delivered).sum(),
            failed: hours.iter().map(|hour| hour.failed).sum(),
            most,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.most == 0
    }

    /// Text for screen readers.
    pub fn summary(&self) -> String {
        let (delivered, failed) = (humanize::number(self.delivered), humanize::number(self.failed));
        format!("Last 24 hours: {delivered} delivered, {failed} failed")
    }

    /// `99.2 %`; `None` if no delivery finished.
    pub fn success_rate(&self) -> Option<String> {
        humanize::percent(self.delivered, self.delivered + self.failed)
    }

    pub fn formula(&self) -> String {
        formula(self.delivered, self.failed)
    }

    /// Hours that label the axis: first, middle, last.
    pub fn axis(&self) -> impl Iterator<Item = &Bar> {
        let last = self.bars.len().saturating_sub(1);
        [0, last / 2, last].into_iter().filter_map(|index| self.bars.get(index))
    }
}

/// Explanation of a success rate.
pub fn formula(delivered: u64, failed: u64) -> String {
    format!(
        "delivered ÷ (delivered + failed) = {} ÷ {}. Deliveries that are still retried are not counted.",
        humanize::number(delivered),
        humanize::number(delivered + failed)
    )
}

/// At least 4 for any delivery: one failure among thousands stays visible.
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
    fn a_chart_has_every_hour_and_shows_the_least_that_happened() {
        let hour = |start_ms, delivered, failed| Hour { start_ms, delivered, failed };
        let found = [hour(80 * HOUR, 999, 1), hour(100 * HOUR, 500, 0)];
        let chart = Chart::of(&found, 76 * HOUR + 5, 100 * HOUR + 5, &Zone::UTC);
        assert_eq!((chart.bars.len(), chart.most), (25, 1_000));
        let bar = |index: usize| {
            let bar = &chart.bars[index];
            (bar.ok_y, bar.ok_height, bar.bad_height)
        };
        assert_eq!(bar(0), (100, 0, 0));
        assert_eq!(bar(4), (1, 99, 4));
        assert_eq!(bar(24), (50, 50, 0));
        assert_eq!(chart.success_rate().as_deref(), Some("99.9 %"));
        assert!(chart.summary().contains("1,499 delivered, 1 failed"));
        assert!(chart.formula().contains("1,499 ÷ 1,500"));
        assert!(
            Chart::of(&[], 0, 0, &Zone::UTC).is_empty() && Chart::of(&[], 0, 0, &Zone::UTC).success_rate().is_none()
        );
    }
}
