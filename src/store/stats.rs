//! The table of statistics, and the counters in the webhooks' rows. Reads no deliveries or attempts, except
//! `oldest_waiting`, which reads two rows per webhook by index.

use std::collections::HashMap;

use rusqlite::{Connection, Row, named_params};

use super::error::Result;
use super::group::WriteTx;
use super::page::Filter;
use super::sql::{self, read_row, row_params};
use super::sql_types::Json;
use crate::domain::event::Tenant;
use crate::domain::histogram::Histogram;
use crate::domain::time::{DAY, HOUR, MINUTE, Millis};

/// Series of all webhooks together. Every other series is a webhook's number.
pub(super) const ALL: i64 = 0;
/// Span of the rows in which outcomes are counted first.
pub const FINE: Millis = 5 * MINUTE;
/// Maximum rows that one step merges.
const STEP: usize = 500;
/// Spans of rows with the minimum time they are kept.
const KEPT: [(Millis, Millis); 3] = [(FINE, 2 * HOUR), (HOUR, 8 * DAY), (DAY, LONGEST_KEPT)];
/// How long statistics are kept.
pub const LONGEST_KEPT: Millis = 32 * DAY;

/// Scope of statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    All,
    /// All webhooks of a tenant, including deleted ones.
    Tenant(Tenant),
    /// The webhook with this number.
    Webhook(i64),
}

/// Deliveries and attempts in a span of time, without tests and challenges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    pub delivered: u64,
    pub failed: u64,
    /// Attempts after the first of their delivery.
    pub retry_attempts: u64,
    /// Attempts that received a response of any status.
    pub answers: u64,
    /// Sum of their response times in milliseconds.
    pub answer_ms: u64,
    pub histogram: Histogram,
}

/// Queued deliveries, without tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitingCounts {
    pub pending: u64,
    pub retrying: u64,
}

/// Deliveries finished in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    pub start_ms: Millis,
    pub delivered: u64,
    pub failed: u64,
}

impl Sums {
    pub(super) fn attempted(&mut self, is_retry: bool, answer_ms: Option<u64>) {
        self.retry_attempts += u64::from(is_retry);
        if let Some(ms) = answer_ms {
            self.answers += 1;
            self.answer_ms += ms;
            self.histogram.add(ms);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.delivered + self.failed + self.retry_attempts + self.answers == 0
    }

    pub(super) fn merge(&mut self, other: &Sums) {
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.retry_attempts += other.retry_attempts;
        self.answers += other.answers;
        self.answer_ms += other.answer_ms;
        self.histogram.merge(&other.histogram);
    }

    /// Returns delivered ÷ (delivered + failed), 0.0 to 1.0; `None` if nothing finished.
    pub fn success_rate(&self) -> Option<f64> {
        let finished = self.delivered + self.failed;
        (finished > 0).then(|| self.delivered as f64 / finished as f64)
    }

    /// Returns the average response time in milliseconds; `None` without responses.
    pub fn average_response_ms(&self) -> Option<f64> {
        (self.answers > 0).then(|| self.answer_ms as f64 / self.answers as f64)
    }

    /// Returns the 95th percentile of the response times in milliseconds, interpolated (see [`Histogram`] for its
    /// accuracy); `None` without responses.
    pub fn p95_response_ms(&self) -> Option<f64> {
        self.histogram.quantile(0.95)
    }
}

/// Adds to the row of a series that contains a time.
pub(super) fn add(connection: &Connection, series: i64, now: Millis, sums: &Sums) -> Result<()> {
    merge_into(connection, series, now - now.rem_euclid(FINE), FINE, sums)
}

/// Takes deliveries that finished at a time out of the row that counts them, because a person retried them.
pub(super) fn take_out(connection: &Connection, series: i64, at: Millis, delivered: u64, failed: u64) -> Result<()> {
    let statement = "UPDATE stats SET delivered = max(delivered - :delivered, 0), failed = max(failed - :failed, 0)
                     WHERE series = :series AND start_ms = :start AND span_ms = :span";
    // While rows are merged, those of several spans exist. The shortest one counts the time.
    for (span, _) in KEPT {
        let start = at - at.rem_euclid(span);
        let params = named_params! {
            ":delivered": delivered, ":failed": failed, ":series": series, ":start": start, ":span": span,
        };
        if sql::change(connection, statement, params)? == 1 {
            break;
        }
    }
    Ok(())
}

fn merge_into(connection: &Connection, series: i64, start: Millis, span: Millis, sums: &Sums) -> Result<()> {
    let query = "SELECT delivered, failed, retry_attempts, answers, answer_ms, histogram FROM stats
                 WHERE series = :series AND start_ms = :start AND span_ms = :span";
    let key = named_params! {":series": series, ":start": start, ":span": span};
    let mut total = sql::first(connection, query, key, sums_of)?.unwrap_or_default();
    total.merge(sums);
    sql::run(
        connection,
        "INSERT INTO stats (series, start_ms, span_ms, delivered, failed, retry_attempts, answers, answer_ms, histogram)
         VALUES (:series, :start, :span, :delivered, :failed, :retry_attempts, :answers, :answer_ms, :histogram)
         ON CONFLICT DO UPDATE SET delivered = excluded.delivered, failed = excluded.failed,
             retry_attempts = excluded.retry_attempts, answers = excluded.answers,
             answer_ms = excluded.answer_ms, histogram = excluded.histogram",
        row_params!(total {
            delivered, failed, retry_attempts, answers, answer_ms;
            series: series, start: start, span: span, histogram: total.histogram.to_bytes(),
        }),
    )
}

/// Merges old rows into longer spans, and deletes those older than any window, in one step. Returns whether more remain.
pub fn merge_old(tx: &mut WriteTx<'_>, now: Millis) -> Result<bool> {
    let mut left = STEP;
    for (index, (span, kept)) in KEPT.into_iter().enumerate() {
        let longer = KEPT.get(index + 1).map(|(longer, _)| *longer);
        // Whole longer spans only: every window starts at the start of a row.
        let before = now - kept;
        let before = before - before.rem_euclid(longer.unwrap_or(span));
        left -= merge(tx.connection(), span, before, longer, left)?;
    }
    Ok(left == 0)
}

/// Merges up to `limit` rows of a span that start before a time into a longer span, or deletes them. Returns their
/// number.
fn merge(connection: &Connection, span: Millis, before: Millis, longer: Option<Millis>, limit: usize) -> Result<usize> {
    let query = "SELECT series, start_ms, delivered, failed, retry_attempts, answers, answer_ms, histogram
                 FROM stats INDEXED BY stats_span WHERE span_ms = :span AND start_ms < :before
                 ORDER BY start_ms LIMIT :limit";
    let params = named_params! {":span": span, ":before": before, ":limit": limit};
    let read = |row: &Row<'_>| Ok((row.get("series")?, row.get("start_ms")?, sums_of(row)?));
    let old: Vec<(i64, Millis, Sums)> = sql::all(connection, query, params, read)?;
    for (series, start, sums) in &old {
        if let Some(longer) = longer {
            merge_into(connection, *series, start - start.rem_euclid(longer), longer, sums)?;
        }
        let statement = "DELETE FROM stats WHERE series = :series AND start_ms = :start AND span_ms = :span";
        sql::run(connection, statement, named_params! {":series": series, ":start": start, ":span": span})?;
    }
    Ok(old.len())
}

/// Returns the sums since a time. It should start a whole span: of 5 minutes up to two hours ago, of an hour up to eight
/// days ago, of a day before that.
pub fn since(connection: &Connection, of: &Of, from: Millis) -> Result<Sums> {
    let conditions = rows_of(of, from);
    let query = format!(
        "SELECT delivered, failed, retry_attempts, answers, answer_ms, histogram FROM stats {}",
        conditions.sql()
    );
    let mut total = Sums::default();
    sql::each(connection, &query, conditions.params(), |row| {
        total.merge(&sums_of(row)?);
        Ok(())
    })?;
    Ok(total)
}

/// Deliveries finished in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start_ms: Millis,
    pub delivered: u64,
    pub failed: u64,
}

/// Returns the deliveries finished since a time, oldest first, by the quarter of an hour in which the middle of their row
/// is: every zone is quarters of an hour from UTC, so each row belongs to the day that has the larger part of it. Rows have
/// an hour up to eight days back, and a day before that. Quarters without any are left out.
pub fn by_quarter(connection: &Connection, of: &Of, from: Millis) -> Result<Vec<Span>> {
    const QUARTER: Millis = 15 * MINUTE;
    // A row that starts before the time may have its middle after it.
    let conditions = rows_of(of, from - DAY);
    let query = format!(
        "SELECT start_ms + span_ms / 2 - (start_ms + span_ms / 2) % {QUARTER} AS start_ms, sum(delivered) AS delivered, sum(failed) AS failed
         FROM stats {} GROUP BY 1 HAVING sum(delivered) + sum(failed) > 0 ORDER BY 1",
        conditions.sql()
    );
    let read = |row: &Row<'_>| Ok(read_row!(row, Span { start_ms, delivered, failed }));
    sql::all(connection, &query, conditions.params(), read)
}

/// Returns the deliveries finished in each hour since a time, oldest first, up to eight days back. Hours without any are
/// left out.
pub fn by_hour(connection: &Connection, of: &Of, from: Millis) -> Result<Vec<Hour>> {
    let conditions = rows_of(of, from);
    let query = format!(
        "SELECT start_ms - start_ms % {HOUR} AS hour, sum(delivered) AS delivered, sum(failed) AS failed
         FROM stats {} GROUP BY hour HAVING sum(delivered) + sum(failed) > 0 ORDER BY hour",
        conditions.sql()
    );
    sql::all(connection, &query, conditions.params(), hour_of)
}

/// Like [`by_hour`], for each of some webhooks in one query. Webhooks without any are left out.
pub fn by_hour_of_each(connection: &Connection, webhooks: &[i64], from: Millis) -> Result<HashMap<i64, Vec<Hour>>> {
    let query = format!(
        "SELECT series, start_ms - start_ms % {HOUR} AS hour, sum(delivered) AS delivered, sum(failed) AS failed
         FROM stats WHERE series IN (SELECT value FROM json_each(:webhooks)) AND start_ms >= :from
         GROUP BY series, hour HAVING sum(delivered) + sum(failed) > 0 ORDER BY series, hour"
    );
    let params = named_params! {":webhooks": Json(webhooks), ":from": from};
    let mut hours: HashMap<i64, Vec<Hour>> = HashMap::new();
    for (series, hour) in sql::all(connection, &query, params, |row| Ok((row.get("series")?, hour_of(row)?)))? {
        hours.entry(series).or_default().push(hour);
    }
    Ok(hours)
}

/// Returns the deliveries of each webhook that failed for good in a span of time, without those that had none. The span
/// should begin and end with an hour, up to eight days back.
pub fn failed_between(connection: &Connection, from: Millis, to: Millis) -> Result<Vec<(i64, u64)>> {
    let query = "SELECT series, sum(failed) AS failed FROM stats INDEXED BY stats_span
                 WHERE span_ms IN (300000, 3600000) AND start_ms >= :from AND start_ms < :to AND series <> 0
                 GROUP BY series HAVING sum(failed) > 0";
    let params = named_params! {":from": from, ":to": to};
    sql::all(connection, query, params, |row| Ok((row.get("series")?, row.get("failed")?)))
}

pub fn waiting(connection: &Connection, of: &Of) -> Result<WaitingCounts> {
    let conditions = webhooks_of(of);
    let query = format!(
        "SELECT max(coalesce(sum(pending_count), 0), 0) AS pending, max(coalesce(sum(retrying_count), 0), 0) AS retrying
         FROM webhook w {}",
        conditions.sql()
    );
    let counts = sql::first(connection, &query, conditions.params(), |row| {
        Ok(read_row!(row, WaitingCounts { pending, retrying }))
    })?;
    Ok(counts.unwrap_or_default())
}

/// Returns the time since which the oldest queued delivery has waited: its creation, or the start of its new series.
/// `None` if none is queued. Reads at most two rows per webhook, by the indexes `delivery_due` and
/// `delivery_webhook_status`.
pub fn oldest_waiting(connection: &Connection, of: &Of) -> Result<Option<Millis>> {
    let mut conditions = webhooks_of(of);
    conditions.and_fixed("w.pending_count + w.retrying_count > 0");
    // A pending delivery is due since it has waited, so the first one due and the oldest one retrying are enough.
    // (The redundant conditions are those of the partial index.)
    let query = format!(
        "SELECT min(
             (SELECT CASE d.status WHEN 'pending' THEN d.due_ms ELSE d.created_ms END
              FROM delivery d INDEXED BY delivery_due WHERE d.webhook_seq = w.seq AND d.due_ms IS NOT NULL
              ORDER BY d.due_ms, d.seq LIMIT 1),
             CASE WHEN w.retrying_count = 0 THEN {MAX} ELSE coalesce(
                 (SELECT d.created_ms FROM delivery d
                  WHERE d.webhook_seq = w.seq AND d.status = 'retrying' AND d.status <> 'delivered' AND d.status <> 'pending'
                  ORDER BY d.seq LIMIT 1), {MAX}) END) AS since
         FROM webhook w {} ORDER BY since IS NULL, since LIMIT 1",
        conditions.sql(),
        MAX = Millis::MAX,
    );
    Ok(sql::first(connection, &query, conditions.params(), |row| row.get("since"))?.flatten())
}

/// Returns the last time at which a delivery to each of some webhooks became delivered or failed. Webhooks without one
/// are left out.
pub fn last_finished(connection: &Connection, webhooks: &[i64]) -> Result<HashMap<i64, Millis>> {
    let query = "SELECT seq, last_finished_ms FROM webhook
                 WHERE seq IN (SELECT value FROM json_each(:webhooks)) AND last_finished_ms IS NOT NULL";
    let params = named_params! {":webhooks": Json(webhooks)};
    let times = sql::all(connection, query, params, |row| Ok((row.get("seq")?, row.get("last_finished_ms")?)))?;
    Ok(times.into_iter().collect())
}

fn rows_of(of: &Of, from: Millis) -> Filter {
    let mut conditions = Filter::default();
    match of {
        Of::All => conditions.and("series = ?", ALL),
        Of::Webhook(seq) => conditions.and("series = ?", *seq),
        Of::Tenant(tenant) => conditions.and("series IN (SELECT seq FROM webhook WHERE tenant = ?)", tenant.clone()),
    }
    conditions.and("start_ms >= ?", from);
    conditions
}

fn webhooks_of(of: &Of) -> Filter {
    let mut conditions = Filter::default();
    match of {
        Of::All => {}
        Of::Webhook(seq) => conditions.and("w.seq = ?", *seq),
        Of::Tenant(tenant) => conditions.and("w.tenant = ?", tenant.clone()),
    }
    conditions
}

fn sums_of(row: &Row<'_>) -> rusqlite::Result<Sums> {
    Ok(read_row!(row, Sums { delivered, failed, retry_attempts, answers, answer_ms, histogram }))
}

fn hour_of(row: &Row<'_>) -> rusqlite::Result<Hour> {
    Ok(read_row!(row, Hour { delivered, failed; start_ms: row.get("hour")? }))
}
