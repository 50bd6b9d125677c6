//! Bars by hour, and the same as a table.

use crate::domain::time::{HOUR, Millis};
use crate::store::stats::Hour;
use crate::text::humanize;

/// One hour of a chart. Heights are of 100.
pub struct Bar {
    pub start_ms: Millis,
    /// `14:00 UTC`
    pub hour: String,
    pub delivered: u64,
    pub failed: u64,
    /// Where the bar begins from the left, in hours.
    pub x: String,
    pub delivered_y: String,
    pub delivered_height: String,
    pub failed_y: String,
    pub failed_height: String,
}

/// Deliveries that finished, hour by hour, without a gap.
pub struct Chart {
    pub bars: Vec<Bar>,
    /// What the highest bar stands for.
    pub most: u64,
    /// What a screen reader says of it.
    pub summary: String,
}

impl Chart {
    /// The hours from `from` to `now`; `found` are those in which something finished.
    pub fn of(found: &[Hour], from: Millis, now: Millis) -> Chart {
        let first = from - from.rem_euclid(HOUR);
        let starts = (0..).map(|index| first + index * HOUR);
        let hours: Vec<Hour> = starts
            .take_while(|start| *start <= now)
            .map(|start_ms| {
                let known = found.iter().find(|hour| hour.start_ms == start_ms);
                known.copied().unwrap_or(Hour { start_ms, delivered: 0, failed: 0 })
            })
            .collect();
        let most = hours.iter().map(|hour| hour.delivered + hour.failed).max();
        let most = most.unwrap_or(0);
        let delivered: u64 = hours.iter().map(|hour| hour.delivered).sum();
        let failed: u64 = hours.iter().map(|hour| hour.failed).sum();
        let bars = hours.iter().enumerate();
        Chart {
            most,
            summary: format!(
                "Deliveries by hour: {} delivered and {} failed in {}, {} in an hour at most",
                humanize::number(delivered),
                humanize::number(failed),
                humanize::counted(hours.len() as u64, "hour"),
                humanize::number(most),
            ),
            bars: bars.map(|(index, hour)| bar(index, hour, most.max(1))).collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.most == 0
    }

    /// The times below the chart: its beginning, its middle and its end.
    pub fn axis(&self) -> impl Iterator<Item = &Bar> {
        let last = self.bars.len().saturating_sub(1);
        [0, last / 2, last].into_iter().filter_map(|index| self.bars.get(index))
    }
}

fn bar(index: usize, hour: &Hour, most: u64) -> Bar {
    // What happened at all is seen, however much more happened in another hour.
    let height = |count: u64| match count {
        0 => 0.0,
        count => (count as f64 / most as f64 * 96.0).max(2.0),
    };
    let (delivered, failed) = (height(hour.delivered), height(hour.failed));
    let text = |number: f64| format!("{number:.2}");
    Bar {
        start_ms: hour.start_ms,
        hour: humanize::clock(hour.start_ms),
        delivered: hour.delivered,
        failed: hour.failed,
        x: text(index as f64 + 0.1),
        delivered_y: text(100.0 - delivered),
        delivered_height: text(delivered),
        failed_y: text(100.0 - delivered - failed),
        failed_height: text(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_every_hour_and_shows_the_least_that_happened() {
        let hour = |start_ms, delivered, failed| Hour { start_ms, delivered, failed };
        let found = [hour(HOUR, 960, 0), hour(2 * HOUR, 0, 1)];
        let chart = Chart::of(&found, 0, 3 * HOUR + 5);
        assert_eq!(chart.bars.len(), 4);
        assert_eq!(chart.most, 960);
        assert_eq!(chart.bars[1].delivered_height, "96.00");
        assert_eq!(chart.bars[2].failed_height, "2.00");
        assert_eq!(chart.bars[3].delivered_height, "0.00");
        assert!(chart.summary.contains("960 delivered and 1 failed in 4 hours"));
        assert!(Chart::of(&[], 0, 0).is_empty());
    }
}
