//! The table of statistics, and the counts that webhooks carry. Nothing here reads deliveries or attempts but
//! `oldest_waiting`, which reads one row by index.

use std::collections::HashMap;

use rusqlite::{Connection, Row, named_params};

use super::error::StoreError;
use super::page::Filter;
use super::row;
use super::writer::WriteTx;
use crate::domain::event::Tenant;
use crate::domain::histogram::Histogram;
use crate::domain::time::{DAY, HOUR, MINUTE, Millis};

/// The series of all webhooks together; every other one is a webhook's number.
pub(super) const ALL: i64 = 0;
/// The span of the rows that outcomes are counted in.
pub const FINE: Millis = 5 * MINUTE;
/// Rows that one step of a merge takes at most.
const STEP: usize = 500;
/// How long rows of 5 minutes, hours and days are kept at least.
const KEPT: [(Millis, Millis); 3] = [(FINE, 2 * HOUR), (HOUR, 8 * DAY), (DAY, 32 * DAY)];

/// Whose statistics are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    All,
    /// All webhooks of a tenant, deleted ones included.
    Tenant(Tenant),
    /// The webhook with this number.
    Webhook(i64),
}

/// What happened in a span of time. Tests and challenges are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    pub delivered: u64,
    pub failed: u64,
    /// Attempts that were not the first of their delivery.
    pub retry_attempts: u64,
    /// Attempts that got an answer, whatever it said.
    pub answers: u64,
    /// Milliseconds that those took together.
    pub answer_ms: u64,
    pub histogram: Histogram,
}

/// Deliveries that wait. Tests are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitingCounts {
    pub pending: u64,
    pub retrying: u64,
}

/// Deliveries that finished in one hour.
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

    /// Delivered ÷ (delivered + failed), 0.0 to 1.0; `None` where nothing finished.
    pub fn success_rate(&self) -> Option<f64> {
        let finished = self.delivered + self.failed;
        (finished > 0).then(|| self.delivered as f64 / finished as f64)
    }

    /// Milliseconds; `None` where there was no answer.
    pub fn average_response_ms(&self) -> Option<f64> {
        (self.answers > 0).then(|| self.answer_ms as f64 / self.answers as f64)
    }

    /// Milliseconds, interpolated: see `Histogram` for how exact it is. `None` where there was no answer.
    pub fn p95_response_ms(&self) -> Option<f64> {
        self.histogram.quantile(0.95)
    }
}

/// Adds to the row of a series that the moment belongs to.
pub(super) fn add(connection: &Connection, series: i64, now: Millis, sums: &Sums) -> Result<(), StoreError> {
    merge_into(connection, series, now - now.rem_euclid(FINE), FINE, sums)
}

fn merge_into(
    connection: &Connection,
    series: i64,
    start: Millis,
    span: Millis,
    sums: &Sums,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT delivered, failed, retry_attempts, answers, answer_ms, histogram FROM stats
         WHERE series = :series AND start_ms = :start AND span_ms = :span",
    )?;
    let key = named_params! {":series": series, ":start": start, ":span": span};
    let mut total = row::first(&mut statement, key, sums_of)?.unwrap_or_default();
    total.merge(sums);
    connection
        .prepare_cached(
            "INSERT INTO stats (series, start_ms, span_ms, delivered, failed, retry_attempts, answers, answer_ms, histogram)
             VALUES (:series, :start, :span, :delivered, :failed, :retry_attempts, :answers, :answer_ms, :histogram)
             ON CONFLICT DO UPDATE SET delivered = excluded.delivered, failed = excluded.failed,
                 retry_attempts = excluded.retry_attempts, answers = excluded.answers,
                 answer_ms = excluded.answer_ms, histogram = excluded.histogram",
        )?
        .execute(named_params! {
            ":series": series,
            ":start": start,
            ":span": span,
            ":delivered": total.delivered as i64,
            ":failed": total.failed as i64,
            ":retry_attempts": total.retry_attempts as i64,
            ":answers": total.answers as i64,
            ":answer_ms": total.answer_ms as i64,
            ":histogram": total.histogram.to_bytes(),
        })?;
    Ok(())
}

/// Merges some of what is old into longer spans, and forgets what is older than any window. Whether more is left.
pub fn merge_old(tx: &mut WriteTx<'_>) -> Result<bool, StoreError> {
    let mut left = STEP;
    for (index, (span, kept)) in KEPT.into_iter().enumerate() {
        let longer = KEPT.get(index + 1).map(|(longer, _)| *longer);
        // Whole spans only, so that every window begins at the beginning of a row.
        let unit = longer.unwrap_or(span);
        let before = tx.now_ms() - kept;
        let before = before - before.rem_euclid(unit);
        left -= merge(tx.connection(), span, before, longer, left)?;
    }
    Ok(left == 0)
}

/// Merges up to `limit` rows of a span that began before a time into a longer one, or drops them. How many.
fn merge(
    connection: &Connection,
    span: Millis,
    before: Millis,
    longer: Option<Millis>,
    limit: usize,
) -> Result<usize, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT series, start_ms, delivered, failed, retry_attempts, answers, answer_ms, histogram
         FROM stats INDEXED BY stats_span WHERE span_ms = :span AND start_ms < :before
         ORDER BY start_ms LIMIT :limit",
    )?;
    let params = named_params! {":span": span, ":before": before, ":limit": limit as i64};
    let old = row::collect(&mut statement, params, |row| {
        let (series, start): (i64, Millis) = (row.get("series")?, row.get("start_ms")?);
        Ok((series, start, sums_of(row)?))
    })?;
    let mut delete = connection
        .prepare_cached("DELETE FROM stats WHERE series = :series AND start_ms = :start AND span_ms = :span")?;
    for (series, start, sums) in &old {
        if let Some(longer) = longer {
            let target = start - start.rem_euclid(longer);
            merge_into(connection, *series, target, longer, sums)?;
        }
        delete.execute(named_params! {":series": series, ":start": start, ":span": span})?;
    }
    Ok(old.len())
}

/// What happened from a time on, which should be a whole span: of 5 minutes less than two hours ago, of an hour less
/// than eight days ago, of a day before that.
pub fn since(connection: &Connection, of: &Of, from: Millis) -> Result<Sums, StoreError> {
    let conditions = rows_of(of, from);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT delivered, failed, retry_attempts, answers, answer_ms, histogram FROM stats {}",
        conditions.sql()
    ))?;
    let mut rows = statement.query(conditions.params())?;
    let mut total = Sums::default();
    while let Some(row) = rows.next()? {
        total.merge(&sums_of(row)?);
    }
    Ok(total)
}

/// Deliveries that finished in each hour from a time on, oldest first; hours in which none did are left out. Up to
/// eight days back.
pub fn by_hour(connection: &Connection, of: &Of, from: Millis) -> Result<Vec<Hour>, StoreError> {
    let conditions = rows_of(of, from);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT start_ms - start_ms % {HOUR} AS hour, sum(delivered) AS delivered, sum(failed) AS failed
         FROM stats {} GROUP BY hour HAVING sum(delivered) + sum(failed) > 0 ORDER BY hour",
        conditions.sql()
    ))?;
    row::collect(&mut statement, conditions.params(), hour_of)
}

/// The same for each of some webhooks, by number, in one query. Those in which nothing finished are left out.
pub fn by_hour_of_each(
    connection: &Connection,
    webhooks: &[i64],
    from: Millis,
) -> Result<HashMap<i64, Vec<Hour>>, StoreError> {
    let list = serde_json::to_string(webhooks).expect("numbers are always JSON");
    let mut statement = connection.prepare_cached(&format!(
        "SELECT series, start_ms - start_ms % {HOUR} AS hour, sum(delivered) AS delivered, sum(failed) AS failed
         FROM stats WHERE series IN (SELECT value FROM json_each(:webhooks)) AND start_ms >= :from
         GROUP BY series, hour HAVING sum(delivered) + sum(failed) > 0 ORDER BY series, hour"
    ))?;
    let mut rows = statement.query(named_params! {":webhooks": list, ":from": from})?;
    let mut found: HashMap<i64, Vec<Hour>> = HashMap::new();
    while let Some(row) = rows.next()? {
        found.entry(row.get("series")?).or_default().push(hour_of(row)?);
    }
    Ok(found)
}

/// How many deliveries wait now.
pub fn waiting(connection: &Connection, of: &Of) -> Result<WaitingCounts, StoreError> {
    let conditions = webhooks_of(of);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT coalesce(sum(pending_count), 0) AS pending, coalesce(sum(retrying_count), 0) AS retrying
         FROM webhook w {}",
        conditions.sql()
    ))?;
    let found = row::first(&mut statement, conditions.params(), |row| {
        let (pending, retrying): (i64, i64) = (row.get("pending")?, row.get("retrying")?);
        Ok(WaitingCounts { pending: pending.max(0) as u64, retrying: retrying.max(0) as u64 })
    })?;
    Ok(found.unwrap_or_default())
}

/// Since when the delivery that waits longest has waited: since it was made, or since its series began anew. `None`
/// where none waits. Looks at two rows a webhook at most, by the indexes `delivery_due` and `delivery_webhook_status`.
pub fn oldest_waiting(connection: &Connection, of: &Of) -> Result<Option<Millis>, StoreError> {
    let mut conditions = webhooks_of(of);
    conditions.and_fixed("w.pending_count + w.retrying_count > 0");
    // What is pending is due since it waits. So the first one that is due, and the oldest that retries, tell it all.
    // (The conditions that look needless are those of the partial index.)
    let mut statement = connection.prepare_cached(&format!(
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
    ))?;
    let found = row::first(&mut statement, conditions.params(), |row| Ok(row.get("since")?))?;
    Ok(found.flatten())
}

/// When a delivery to each of some webhooks, by number, last became delivered or failed; those without one left out.
pub fn last_finished(connection: &Connection, webhooks: &[i64]) -> Result<HashMap<i64, Millis>, StoreError> {
    let list = serde_json::to_string(webhooks).expect("numbers are always JSON");
    let mut statement = connection.prepare_cached(
        "SELECT seq, last_finished_ms FROM webhook
         WHERE seq IN (SELECT value FROM json_each(:webhooks)) AND last_finished_ms IS NOT NULL",
    )?;
    let found = row::collect(&mut statement, named_params! {":webhooks": list}, |row| {
        Ok((row.get("seq")?, row.get("last_finished_ms")?))
    })?;
    Ok(found.into_iter().collect())
}

fn rows_of(of: &Of, from: Millis) -> Filter {
    let mut conditions = Filter::default();
    match of {
        Of::All => conditions.and("series = ?", ALL),
        Of::Webhook(seq) => conditions.and("series = ?", *seq),
        Of::Tenant(tenant) => {
            conditions.and("series IN (SELECT seq FROM webhook WHERE tenant = ?)", tenant.as_str().to_owned())
        }
    }
    conditions.and("start_ms >= ?", from);
    conditions
}

fn webhooks_of(of: &Of) -> Filter {
    let mut conditions = Filter::default();
    match of {
        Of::All => {}
        Of::Webhook(seq) => conditions.and("w.seq = ?", *seq),
        Of::Tenant(tenant) => conditions.and("w.tenant = ?", tenant.as_str().to_owned()),
    }
    conditions
}

fn sums_of(row: &Row<'_>) -> Result<Sums, StoreError> {
    let count = |column: &str| row.get::<_, i64>(column).map(|count| count as u64);
    let histogram = row.get_ref("histogram")?.as_blob();
    let histogram = histogram.ok().and_then(Histogram::from_bytes);
    Ok(Sums {
        delivered: count("delivered")?,
        failed: count("failed")?,
        retry_attempts: count("retry_attempts")?,
        answers: count("answers")?,
        answer_ms: count("answer_ms")?,
        histogram: histogram.ok_or_else(|| row::corrupt("histogram"))?,
    })
}

fn hour_of(row: &Row<'_>) -> Result<Hour, StoreError> {
    Ok(Hour {
        start_ms: row.get("hour")?,
        delivered: row.get::<_, i64>("delivered")? as u64,
        failed: row.get::<_, i64>("failed")? as u64,
    })
}
