//! Charts of the deliveries that finished and of the response times, by hour. Each hour leads to its deliveries.

use crate::domain::time::{HOUR, Millis};
use crate::domain::zone::Zone;
use crate::http::web::deliveries::filter::finished;
use crate::store::stats::{Hour, HourLatency};
use crate::text::humanize;

/// Bars from the oldest hour to the newest, without gaps.
pub struct Chart {
    pub bars: Vec<Bar>,
    pub delivered: u64,
    pub failed: u64,
    /// Deliveries of the highest bar.
    pub most: u64,
    /// Longest response time shown; 0 without any.
    pub slowest_ms: u64,
    /// Webhook that the chart is about; `None`: all that the visitor sees.
    webhook: Option<String>,
}

/// One hour. Heights are percentages of the highest bar.
pub struct Bar {
    /// Position from the left, in hours.
    pub x: usize,
    pub start_ms: Millis,
    /// `14:00 UTC`, in the zone of the page.
    pub hour: String,
    pub delivered: u64,
    pub failed: u64,
    pub ok_y: u64,
    pub ok_height: u64,
    pub bad_y: u64,
    pub bad_height: u64,
    pub latency: Option<Latency>,
}

/// Response times of one hour.
pub struct Latency {
    pub p50: String,
    pub p95: String,
    /// Distance from the top, in percent of the height.
    pub p50_y: u64,
    pub p95_y: u64,
}

impl Bar {
    pub fn finished(&self) -> u64 {
        self.delivered + self.failed
    }

    pub fn words(&self) -> String {
        let (delivered, failed) = (humanize::number(self.delivered), humanize::number(self.failed));
        format!("{}: {delivered} delivered, {failed} failed", self.hour)
    }

    pub fn latency_words(&self) -> String {
        let times = self.latency.as_ref().map(|latency| format!("p50 {}, p95 {}", latency.p50, latency.p95));
        format!("{}: {}", self.hour, times.unwrap_or_default())
    }
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
                latency: None,
            }
        };
        Chart {
            bars: (0..=(now - first) / HOUR).map(bar).collect(),
            delivered: hours.iter().map(|hour| hour.delivered).sum(),
            failed: hours.iter().map(|hour| hour.failed).sum(),
            most,
            slowest_ms: 0,
            webhook: None,
        }
    }

    /// Limits the links to a webhook.
    #[must_use]
    pub fn of_webhook(self, id: &str) -> Chart {
        Chart { webhook: Some(id.to_owned()), ..self }
    }

    /// Adds the response times.
    #[must_use]
    pub fn with_latency(mut self, hours: &[HourLatency]) -> Chart {
        let slowest = hours.iter().map(|hour| hour.p95_ms).fold(0.0, f64::max);
        let y = |ms: f64| 100 - (ms * 100.0 / slowest.max(f64::MIN_POSITIVE)).round() as u64;
        let duration = |ms: f64| humanize::duration(ms.round() as Millis);
        for hour in hours {
            if let Some(bar) = self.bars.iter_mut().find(|bar| bar.start_ms == hour.start_ms) {
                bar.latency = Some(Latency {
                    p50: duration(hour.p50_ms),
                    p95: duration(hour.p95_ms),
                    p50_y: y(hour.p50_ms),
                    p95_y: y(hour.p95_ms),
                });
            }
        }
        self.slowest_ms = slowest.round() as u64;
        self
    }

    pub fn has_latency(&self) -> bool {
        self.bars.iter().any(|bar| bar.latency.is_some())
    }

    pub fn slowest(&self) -> String {
        humanize::duration(self.slowest_ms as Millis)
    }

    /// Query of the list with the deliveries of an hour.
    pub fn query(&self, bar: &Bar, statuses: &str) -> String {
        finished(self.webhook.as_deref(), statuses, bar.start_ms, Some(bar.start_ms + HOUR))
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
        assert_eq!(
            chart.query(&chart.bars[4], "failed"),
            "status=failed&test=false&finished_from=1970-01-04T08%3A00%3A00Z&finished_to=1970-01-04T09%3A00%3A00Z"
        );
        let times = HourLatency { start_ms: 80 * HOUR, p50_ms: 20.0, p95_ms: 80.0 };
        let chart = chart.with_latency(&[times]);
        assert_eq!(chart.bars[4].latency_words(), "08:00 UTC: p50 20 ms, p95 80 ms");
        assert_eq!(chart.bars[4].latency.as_ref().map(|latency| (latency.p50_y, latency.p95_y)), Some((75, 0)));
        assert!(
            Chart::of(&[], 0, 0, &Zone::UTC).is_empty() && Chart::of(&[], 0, 0, &Zone::UTC).success_rate().is_none()
        );
    }
}
