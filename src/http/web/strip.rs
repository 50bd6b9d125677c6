//! Strip of the last days of a webhook, and of the last hours: one cell each, which opens the deliveries in it.

use crate::domain::time::{DAY, HOUR, Millis};
use crate::domain::webhook::Webhook;
use crate::http::web::deliveries::filter::finished;
use crate::store::StoreError;
use crate::store::stats::{self, Of, Span};
use crate::text::humanize;

use super::{Connection, Session};

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
    /// Query of the list with the deliveries; `None` if some may have been deleted.
    pub query: Option<String>,
}

impl Strip {
    pub fn read(session: &Session, db: &Connection, webhook: &Webhook) -> Result<Strip, StoreError> {
        let (now, zone) = (session.now(), session.zone());
        let (id, kept_since) = (webhook.id.to_string(), session.kept_since());
        let days = zone.day_starts(now, DAYS);
        let this_hour = now - now.rem_euclid(HOUR);
        let hours: Vec<Millis> = (1 - HOURS..=1).map(|index| this_hour + index * HOUR).collect();
        let quarters = stats::by_quarter(db, &Of::Webhook(webhook.seq), days[0])?;
        Ok(Strip {
            days: cells(&days, &quarters, (&id, kept_since, now), |start| humanize::day(start, zone)),
            hours: cells(&hours, &quarters, (&id, kept_since, now), |start| humanize::date(start, zone)),
        })
    }
}

/// Cells between times. Deliveries that finished before `kept_since` may have been deleted.
fn cells(
    starts: &[Millis],
    quarters: &[Span],
    (webhook, kept_since, now): (&str, Millis, Millis),
    label: impl Fn(Millis) -> String,
) -> Vec<Cell> {
    let cell = |bounds: &[Millis]| {
        let (start_ms, end_ms) = (bounds[0], bounds[1]);
        let mut sum = Span { start_ms, delivered: 0, failed: 0 };
        for quarter in quarters.iter().filter(|quarter| (start_ms..end_ms).contains(&quarter.start_ms)) {
            sum.delivered += quarter.delivered;
            sum.failed += quarter.failed;
        }
        let label = label(start_ms);
        if stats::is_by_day(start_ms, now) {
            // The day of UTC that begins in this one.
            sum.start_ms += (-start_ms).rem_euclid(DAY);
        }
        let end_ms = if stats::is_by_day(start_ms, now) { sum.start_ms + DAY } else { end_ms };
        Cell::of(sum, end_ms, &label, (sum.start_ms >= kept_since).then_some(webhook))
    };
    starts.windows(2).map(cell).collect()
}

impl Cell {
    fn of(span: Span, end_ms: Millis, when: &str, webhook: Option<&str>) -> Cell {
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
        let query = webhook.map(|id| finished(Some(id), "delivered,failed", span.start_ms, Some(end_ms)));
        Cell { status, sign, label, query }
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
            let cell =
                Cell::of(Span { start_ms, delivered, failed }, start_ms + 24 * HOUR, "15 Jan 2026", Some("wh_1"));
            assert_eq!((cell.status, cell.label.as_str()), (status, words));
            let query = "status=delivered%2Cfailed&webhook=wh_1&test=false\
                         &finished_from=2026-01-15T00%3A00%3A00Z&finished_to=2026-01-16T00%3A00%3A00Z";
            assert_eq!(cell.query.as_deref(), Some(query));
        }
    }
}
