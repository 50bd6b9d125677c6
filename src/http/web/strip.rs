//! Strip of the last days of a webhook, and of the last hours: one cell each, which opens the deliveries in it.

use crate::domain::time::{DAY, HOUR, Millis};
use crate::http::web::date_field;
use crate::store::StoreError;
use crate::store::stats::{self, Of, Span};
use crate::text::humanize;

use super::Connection;

const DAYS: i64 = 30;
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
    pub fn read(db: &Connection, webhook_seq: i64, webhook: &str, now: Millis) -> Result<Strip, StoreError> {
        let of = Of::Webhook(webhook_seq);
        let cells = |length: Millis, count: i64| -> Result<Vec<Cell>, StoreError> {
            let first = (now.div_euclid(length) - count + 1) * length;
            let spans = stats::by_span(db, &of, first, length)?;
            let cell = |index: i64| {
                let start_ms = first + index * length;
                let found = spans.iter().find(|span| span.start_ms == start_ms);
                Cell::of(found.copied().unwrap_or(Span { start_ms, delivered: 0, failed: 0 }), length, webhook)
            };
            Ok((0..count).map(cell).collect())
        };
        Ok(Strip { days: cells(DAY, DAYS)?, hours: cells(HOUR, HOURS)? })
    }
}

impl Cell {
    fn of(span: Span, length: Millis, webhook: &str) -> Cell {
        let (status, sign) = match (span.delivered, span.failed) {
            (0, 0) => ("none", "·"),
            (_, 0) => ("ok", "✓"),
            (0, _) => ("failed", "✕"),
            _ => ("warn", "!"),
        };
        let when = match length {
            DAY => humanize::day(span.start_ms),
            _ => humanize::date(span.start_ms),
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
        query.append_pair("from", &date_field::format(span.start_ms));
        query.append_pair("to", &date_field::format(span.start_ms + length));
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
            let cell = Cell::of(Span { start_ms: 1_768_435_200_000, delivered, failed }, DAY, "wh_1");
            assert_eq!((cell.status, cell.label.as_str()), (status, words));
            assert_eq!(cell.query, "webhook=wh_1&from=2026-01-15T00%3A00%3A00&to=2026-01-16T00%3A00%3A00");
        }
    }
}
