//! Strip of the last days of a webhook, and of the last hours: one cell each, which opens the deliveries in it.

use crate::domain::time::{HOUR, Millis, rfc3339_seconds};
use crate::domain::zone::Zone;
use crate::store::StoreError;
use crate::store::stats::{self, Of, Span};
use crate::text::humanize;

use super::Connection;

const DAYS: u32 = 30;
const HOURS: i64 = 24;

pub struct Strip {
    pub days: Vec<Cell>,
    pub hours: Vec<Cell>,
}

/// A day or an hour.
pub struct Cell {
    /// Colour: `ok`, `warn`, `failed`, or `none`.
    pub status: &'static str,
    /// Sign, so that colour is not all that tells.
    pub sign: &'static str,
    /// Events of the cell in words.
    pub label: String,
    /// Query of the list with the deliveries.
    pub query: String,
}

impl Strip {
    pub fn read(
        db: &Connection,
        webhook_seq: i64,
        webhook: &str,
        now: Millis,
        zone: &Zone,
    ) -> Result<Strip, StoreError> {
        let days = zone.day_starts(now, DAYS);
        let this_hour = now - now.rem_euclid(HOUR);
        let hours: Vec<Millis> = (1 - HOURS..=1).map(|index| this_hour + index * HOUR).collect();
        let quarters = stats::by_quarter(db, &Of::Webhook(webhook_seq), days[0])?;
        Ok(Strip {
            days: cells(&days, &quarters, webhook, |start| humanize::day(start, zone)),
            hours: cells(&hours, &quarters, webhook, |start| humanize::date(start, zone)),
        })
    }
}

/// Cells between times.
fn cells(starts: &[Millis], quarters: &[Span], webhook: &str, label: impl Fn(Millis) -> String) -> Vec<Cell> {
    let cell = |bounds: &[Millis]| {
        let (start_ms, end_ms) = (bounds[0], bounds[1]);
        let mut sum = Span { start_ms, delivered: 0, failed: 0 };
        for quarter in quarters.iter().filter(|quarter| (start_ms..end_ms).contains(&quarter.start_ms)) {
            sum.delivered += quarter.delivered;
            sum.failed += quarter.failed;
        }
        Cell::of(sum, end_ms, &label(start_ms), webhook)
    };
    starts.windows(2).map(cell).collect()
}

impl Cell {
    fn of(span: Span, end_ms: Millis, when: &str, webhook: &str) -> Cell {
        let (status, sign) = match (span.delivered, span.failed) {
            (0, 0) => ("none", "·"),
            (_, 0) => ("ok", "✓"),
            (0, _) => ("failed", "✕"),
            _ => ("warn", "!"),
        };
        let label = match status {
            "none" => format!("{when}: no deliveries finished"),
            _ => {
                format!(
                    "{when}: {} delivered, {} failed",
                    humanize::number(span.delivered),
                    humanize::number(span.failed)
                )
            }
        };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("webhook", webhook);
        query.append_pair("from", &rfc3339_seconds(span.start_ms));
        query.append_pair("to", &rfc3339_seconds(end_ms));
        Cell { status, sign, label, query: query.finish() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_tells_what_happened_by_a_sign_and_in_words() {
        for (delivered, failed, status, words) in [
            (0, 0, "none", "15 Jan 2026: no deliveries finished"),
            (1_234, 0, "ok", "15 Jan 2026: 1,234 delivered, 0 failed"),
            (0, 2, "failed", "15 Jan 2026: 0 delivered, 2 failed"),
            (1, 1, "warn", "15 Jan 2026: 1 delivered, 1 failed"),
        ] {
            let start_ms = 1_768_435_200_000;
            let cell = Cell::of(Span { start_ms, delivered, failed }, start_ms + 24 * HOUR, "15 Jan 2026", "wh_1");
            assert_eq!((cell.status, cell.label.as_str()), (status, words));
            assert_eq!(cell.query, "webhook=wh_1&from=2026-01-15T00%3A00%3A00Z&to=2026-01-16T00%3A00%3A00Z");
        }
    }
}
