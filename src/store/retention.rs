//! Deletion of old rows: readers find them in steps, the writer deletes them in steps small enough not to delay other
//! writes. Each step checks its rows again, so a delivery that was retried in the meantime stays.
//!
//! The newest row of each table always stays, so that no sequence number is assigned twice.

use rusqlite::{Connection, Row, named_params};

use super::bounds::Bounds;
use super::damage;
use super::error::Result;
use super::group::WriteTx;
use super::sql;
use super::sql_types::Json;
use crate::domain::retention::Cutoffs;
use crate::domain::time::Millis;

/// Approximate rows that one step deletes, counting attempts.
const STEP: u64 = 250;
/// Maximum sequence numbers that one read examines.
const WINDOW: i64 = 10_000;
/// Maximum pages that one step returns to the file system.
const PAGES: u32 = 200;

/// Condition of the deliveries `d` to delete. A replayed dead letter is deleted together with its replay, so that
/// replaying failed events never finds the one without the other.
pub(super) const EXPIRED: &str = "d.seq < (SELECT max(seq) FROM delivery) AND (
        ((d.status IN ('delivered', 'discarded') OR (d.status = 'failed' AND d.cause = 'test'))
            AND d.finished_ms <= :finished)
        OR (d.status = 'failed' AND d.finished_ms <= :failed)
        OR (d.status = 'failed' AND EXISTS (
            SELECT 1 FROM delivery later
            WHERE later.event_seq = d.event_seq AND later.webhook_seq = d.webhook_seq AND later.seq > d.seq
                AND later.cause <> 'test' AND later.status IN ('delivered', 'discarded')
                AND later.finished_ms <= :finished)))";

/// Parameters `:finished` and `:failed`. `Millis::MIN` matches nothing.
fn before(cutoffs: Cutoffs) -> (Millis, Millis) {
    (cutoffs.finished_ms.unwrap_or(Millis::MIN), cutoffs.failed_ms.unwrap_or(Millis::MIN))
}

/// Table whose old rows are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Deliveries,
    /// Events without deliveries, not counting deliveries to delete.
    Events,
}

/// Search for old rows of a table, through sequence numbers that may be old enough.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    table: Table,
    after: i64,
    below: i64,
}

/// Returns the newest time that a row shows: of an event, a delivery, or the end of one.
pub fn newest_ms(connection: &Connection) -> Result<Option<Millis>> {
    let query = "SELECT max(at_ms) FROM (
                     SELECT (SELECT created_ms FROM delivery ORDER BY seq DESC LIMIT 1) AS at_ms
                     UNION ALL SELECT (SELECT received_ms FROM event ORDER BY seq DESC LIMIT 1)
                     UNION ALL SELECT (SELECT max(last_finished_ms) FROM webhook))";
    sql::value(connection, query, [])
}

/// Rows to delete in one step of the writer.
pub type Part = Vec<i64>;

pub fn search(connection: &Connection, table: Table, cutoffs: Cutoffs) -> Result<Search> {
    let Some(finished) = cutoffs.finished_ms else {
        return Ok(Search { table, after: 0, below: 0 });
    };
    let name = table.name();
    let column = match table {
        Table::Deliveries => "created_ms",
        Table::Events => "received_ms",
    };
    // No row ended before it was created, and dead letters are kept at least as long as the rest.
    let until = Some(finished.saturating_add(1));
    let bounds = Bounds::between(0, i64::MAX).within(connection, (name, column), None, until)?;
    let first: i64 = sql::value(connection, &format!("SELECT coalesce(min(seq), 0) FROM {name}"), [])?;
    Ok(Search { table, after: first - 1, below: bounds.below })
}

/// Returns the next rows to delete, in parts; `None` at the end.
pub fn next(connection: &Connection, search: &mut Search, cutoffs: Cutoffs) -> Result<Option<Vec<Part>>> {
    let query = match search.table {
        Table::Deliveries => format!(
            "SELECT d.seq, 1 + d.attempt_count AS size FROM delivery d NOT INDEXED
             WHERE d.seq > :after AND d.seq < :end AND {EXPIRED} ORDER BY d.seq"
        ),
        Table::Events => format!(
            "SELECT e.seq, 1 AS size FROM event e NOT INDEXED
             WHERE e.seq > :after AND e.seq < :end AND e.seq < (SELECT max(seq) FROM event) AND e.received_ms <= :finished
               AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_seq = e.seq AND NOT ({EXPIRED}))
             ORDER BY e.seq"
        ),
    };
    let after = search.after;
    if after >= search.below.saturating_sub(1) {
        return Ok(None);
    }
    let end = after.saturating_add(WINDOW + 1).min(search.below);
    let found = between(connection, (search.table, &query), (after, end), before(cutoffs))?;
    search.after = end - 1;
    let mut parts: Vec<Part> = Vec::new();
    let mut room = 0;
    for (seq, size) in found {
        if room == 0 {
            parts.push(Vec::new());
            room = STEP;
        }
        if let Some(part) = parts.last_mut() {
            part.push(seq);
        }
        room = room.saturating_sub(size.into());
    }
    Ok(Some(parts))
}

/// Returns the old rows of a span with their sizes. Halves a span with rows that cannot be read, to find the others.
fn between(
    connection: &Connection,
    (table, query): (Table, &str),
    (after, end): (i64, i64),
    (finished, failed): (Millis, Millis),
) -> Result<Vec<(i64, u32)>> {
    let params = named_params! {":after": after, ":end": end, ":finished": finished, ":failed": failed};
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>("seq")?, row.get::<_, u32>("size")?));
    match sql::all(connection, query, params, read) {
        Err(error) if error.is_damage() && end - after > 2 => {
            let middle = after + (end - after) / 2;
            let mut found = between(connection, (table, query), (after, middle + 1), (finished, failed))?;
            found.extend(between(connection, (table, query), (middle, end), (finished, failed))?);
            Ok(found)
        }
        found => Ok(damage::skip(table.name(), after + 1, found)?.unwrap_or_default()),
    }
}

impl Table {
    pub fn name(self) -> &'static str {
        match self {
            Table::Deliveries => "delivery",
            Table::Events => "event",
        }
    }
}

/// Deletes deliveries with their attempts, if they are still to delete. Returns their number.
pub fn delete_deliveries(tx: &mut WriteTx<'_>, part: &[i64], cutoffs: Cutoffs) -> Result<u64> {
    let (finished, failed) = before(cutoffs);
    let deleted = sql::change(
        tx.connection(),
        &format!("DELETE FROM delivery AS d WHERE d.seq IN (SELECT value FROM json_each(:seqs)) AND {EXPIRED}"),
        named_params! {":seqs": Json(part), ":finished": finished, ":failed": failed},
    )?;
    Ok(deleted as u64)
}

/// Deletes events, if they have no deliveries left. Returns their number.
pub fn delete_events(tx: &mut WriteTx<'_>, part: &[i64]) -> Result<u64> {
    let statement = "DELETE FROM event WHERE seq IN (SELECT value FROM json_each(:seqs))
                         AND NOT EXISTS (SELECT 1 FROM delivery WHERE event_seq = event.seq)";
    Ok(sql::change(tx.connection(), statement, named_params! {":seqs": Json(part)})? as u64)
}

/// Deletes webhooks that were deleted by a person long ago and have no deliveries left, among the next ones after a
/// number, in one step. Returns the last number examined; `None` at the end.
pub fn delete_webhooks(tx: &mut WriteTx<'_>, cutoffs: Cutoffs, after: i64) -> Result<Option<i64>> {
    let Some(last) = last_of_step(tx, "webhook INDEXED BY webhook_deleted WHERE deleted_ms IS NOT NULL", after)? else {
        return Ok(None);
    };
    let statement = "DELETE FROM webhook
                     WHERE seq > :after AND seq < min(:last + 1, (SELECT max(seq) FROM webhook))
                         AND deleted_ms <= :finished AND deleted_ms IS NOT NULL AND sweep IS NULL
                         AND NOT EXISTS (SELECT 1 FROM delivery WHERE webhook_seq = webhook.seq)";
    let (finished, _) = before(cutoffs);
    let params = named_params! {":after": after, ":last": last, ":finished": finished};
    sql::run(tx.connection(), statement, params)?;
    for notice in ["certificate_notice", "endpoint_certificate_notice"] {
        let statement = format!(
            "DELETE FROM {notice} WHERE webhook_seq > :after AND webhook_seq <= :last
                 AND NOT EXISTS (SELECT 1 FROM webhook WHERE seq = webhook_seq)"
        );
        sql::run(tx.connection(), &statement, named_params! {":after": after, ":last": last})?;
    }
    Ok(Some(last))
}

/// Returns the last of the next rows that one step examines.
fn last_of_step(tx: &WriteTx<'_>, rows: &str, after: i64) -> Result<Option<i64>> {
    let query = format!("SELECT max(seq) FROM (SELECT seq FROM {rows} AND seq > :after ORDER BY seq LIMIT {STEP})");
    sql::value(tx.connection(), &query, named_params! {":after": after})
}

/// Deletes old entries of the audit log and old requests of inboxes, in one step. Returns their number. Looks at the
/// oldest rows only, since both tables grow in the order of time.
pub fn delete_log_rows(tx: &mut WriteTx<'_>, cutoffs: Cutoffs) -> Result<u64> {
    let mut deleted = 0;
    for (table, cutoff) in [("audit", cutoffs.audit_ms), ("inbox_request", cutoffs.finished_ms)] {
        let cutoff = cutoff.unwrap_or(Millis::MIN);
        let statement = format!(
            "DELETE FROM {table} WHERE at_ms <= :cutoff
                 AND seq < min((SELECT min(seq) FROM {table}) + {STEP}, (SELECT max(seq) FROM {table}))"
        );
        deleted += sql::change(tx.connection(), &statement, named_params! {":cutoff": cutoff})?;
    }
    Ok(deleted as u64)
}

/// Deletes API keys that were revoked or ended before the time of the audit log, in one step. Returns their number.
pub fn delete_api_keys(tx: &mut WriteTx<'_>, cutoffs: Cutoffs) -> Result<u64> {
    let statement = format!(
        "DELETE FROM api_key WHERE seq IN (
             SELECT seq FROM api_key
             WHERE (revoked_ms <= :cutoff OR ends_ms <= :cutoff) AND seq < (SELECT max(seq) FROM api_key)
                 AND NOT EXISTS (SELECT 1 FROM portal_link WHERE api_key_seq = api_key.seq)
             LIMIT {STEP})"
    );
    let cutoff = cutoffs.audit_ms.unwrap_or(Millis::MIN);
    Ok(sql::change(tx.connection(), &statement, named_params! {":cutoff": cutoff})? as u64)
}

/// Deletes incidents that closed before the time of dead letters, with their webhooks and time lines, in one step. Returns
/// the number of rows. An incident with many goes in several steps, itself last.
pub fn delete_incidents(tx: &mut WriteTx<'_>, cutoffs: Cutoffs) -> Result<u64> {
    const PARTS: [&str; 3] = [
        "DELETE FROM incident_entry WHERE seq IN
             (SELECT seq FROM incident_entry WHERE incident_seq = :incident LIMIT :limit)",
        "DELETE FROM incident_webhook WHERE incident_seq = :incident AND webhook_seq IN
             (SELECT webhook_seq FROM incident_webhook WHERE incident_seq = :incident LIMIT :limit)",
        "DELETE FROM incident_mute WHERE incident_seq = :incident AND tenant IN
             (SELECT tenant FROM incident_mute WHERE incident_seq = :incident LIMIT :limit)",
    ];
    let query = "SELECT seq FROM incident INDEXED BY incident_closed
                 WHERE closed_ms IS NOT NULL AND closed_ms <= :cutoff AND seq < (SELECT max(seq) FROM incident)
                 ORDER BY closed_ms LIMIT 1";
    let cutoff = cutoffs.failed_ms.unwrap_or(Millis::MIN);
    let mut deleted = 0;
    while deleted < STEP {
        let found = sql::first(tx.connection(), query, named_params! {":cutoff": cutoff}, |row| row.get::<_, i64>(0))?;
        let Some(incident) = found else { break };
        for part in PARTS {
            let params = named_params! {":incident": incident, ":limit": STEP - deleted.min(STEP)};
            deleted += sql::change(tx.connection(), part, params)? as u64;
        }
        if deleted < STEP {
            let statement = "DELETE FROM incident WHERE seq = :incident";
            deleted += sql::change(tx.connection(), statement, named_params! {":incident": incident})? as u64;
        }
    }
    Ok(deleted)
}

/// Deletes messages that are as old as dead letters may be, in one step. Returns the number of rows. The newest one stays,
/// and those that wait to be sent.
pub fn delete_messages(tx: &mut WriteTx<'_>, cutoffs: Cutoffs) -> Result<u64> {
    let query = "SELECT seq FROM message
                 WHERE seq = (SELECT min(seq) FROM message) AND seq < (SELECT max(seq) FROM message)
                     AND created_ms <= :cutoff AND due_ms IS NULL";
    let cutoff = cutoffs.failed_ms.unwrap_or(Millis::MIN);
    let mut deleted = 0;
    while deleted < STEP {
        let found = sql::first(tx.connection(), query, named_params! {":cutoff": cutoff}, |row| row.get::<_, i64>(0))?;
        let Some(message) = found else { break };
        let key = named_params! {":message": message};
        deleted +=
            sql::change(tx.connection(), "DELETE FROM message_incident WHERE message_seq = :message", key)? as u64;
        deleted += sql::change(tx.connection(), "DELETE FROM message WHERE seq = :message", key)? as u64;
    }
    Ok(deleted)
}

/// Deletes topics without events and deliveries among the next ones after a number, in one step. Returns the last number
/// examined; `None` at the end.
pub fn delete_topics(tx: &mut WriteTx<'_>, after: i64) -> Result<Option<i64>> {
    let Some(last) = last_of_step(tx, "topic WHERE true", after)? else {
        return Ok(None);
    };
    let statement = "DELETE FROM topic WHERE seq > :after AND seq <= :last
                         AND NOT EXISTS (SELECT 1 FROM event WHERE topic_seq = topic.seq AND topic_seq IS NOT NULL)
                         AND NOT EXISTS (SELECT 1 FROM delivery WHERE topic_seq = topic.seq)";
    if sql::change(tx.connection(), statement, named_params! {":after": after, ":last": last})? > 0 {
        tx.directory_mut().forget_topics();
    }
    Ok(Some(last))
}

/// Narrows searches by time, once the rows are gone that were stored before the clock was last set back.
pub fn forget_set_back(tx: &mut WriteTx<'_>) -> Result<()> {
    tx.forget_set_back()
}

/// Returns some free pages to the file system. Returns whether more remain.
pub fn shrink_file(tx: &mut WriteTx<'_>) -> Result<bool> {
    let connection = tx.connection();
    let free_pages = || sql::value::<u32>(connection, "PRAGMA freelist_count", []);
    let before = free_pages()?;
    if before == 0 {
        return Ok(false);
    }
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    // Each row that is read frees a page.
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    let left = free_pages()?;
    // A file without incremental vacuum never shrinks.
    Ok(left > 0 && left < before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::retention::Retention;
    use crate::domain::time::DAY;
    use crate::store::{fixtures, migrate, webhook};

    const ROWS: &str = "
        INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data)
        VALUES (1, 'a', 'acme', 'a.b', 0, 0, 0, 0, '{}'), (2, 'b', 'acme', 'a.b', 0, 0, 0, 0, '{}'),
               (3, 'c', 'acme', 'a.b', 0, 0, 0, 0, '{}');";

    fn database(deliveries: &str) -> Connection {
        let connection = migrate::in_memory();
        webhook::insert_row(&connection, &fixtures::webhook(0, "acme")).unwrap();
        let insert = format!(
            "{ROWS} INSERT INTO delivery
                 (seq, id, event_seq, webhook_seq, status, cause, next_trigger, attempt_count, created_ms, finished_ms)
             {deliveries};"
        );
        connection.execute_batch(&insert).unwrap();
        connection
    }

    /// Returns the deliveries and events to delete after some days, with a retention of 30 and 90 days.
    fn gone(connection: &Connection, days: i64) -> (Vec<Part>, Vec<Part>) {
        let cutoffs = Retention::default().cutoffs(days * DAY);
        let all = |table| {
            let mut search = search(connection, table, cutoffs).unwrap();
            let mut parts = Vec::new();
            while let Some(found) = next(connection, &mut search, cutoffs).unwrap() {
                parts.extend(found);
            }
            parts
        };
        (all(Table::Deliveries), all(Table::Events))
    }

    #[test]
    fn what_waits_never_goes_and_dead_letters_go_last_unless_they_were_replayed() {
        let connection = database(
            "VALUES (1, x'01', 1, 1, 'delivered', 'event', 'initial', 1, 0, 0),
                    (2, x'02', 1, 1, 'discarded', 'event', 'initial', 1, 0, 0),
                    (3, x'03', 1, 1, 'pending', 'event', 'initial', 1, 0, NULL),
                    (4, x'04', 1, 1, 'retrying', 'event', 'initial', 1, 0, NULL),
                    (5, x'05', 3, 1, 'failed', 'event', 'initial', 1, 0, 0),
                    (6, x'06', 1, 1, 'failed', 'test', 'test', 1, 0, 0),
                    (7, x'07', 2, 1, 'failed', 'event', 'initial', 1, 0, 0),
                    (8, x'08', 2, 1, 'delivered', 'replay', 'initial', 1, 0, 0),
                    (9, x'09', 1, 1, 'delivered', 'event', 'initial', 1, 0, 864000000),
                    (10, x'0a', 1, 1, 'delivered', 'event', 'initial', 1, 0, 0)",
        );
        assert_eq!(gone(&connection, 29), (vec![], vec![]));
        let (deliveries, events) = gone(&connection, 31);
        assert_eq!(deliveries, [[1, 2, 6, 7, 8]], "the newest stays");
        assert_eq!(events, [[2]], "and the newest event");
        let (deliveries, _) = gone(&connection, 91);
        assert_eq!(deliveries, [[1, 2, 5, 6, 7, 8, 9]]);
    }

    #[test]
    fn a_part_is_few_rows_with_all_attempts() {
        let connection = database(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25001)
             SELECT i, CAST(printf('%016d', i) AS BLOB), 1, 1, 'delivered', 'event', 'initial', 4, 0, 0 FROM n",
        );
        let (parts, _) = gone(&connection, 31);
        assert!(parts.iter().all(|part| part.len() <= 100));
        let seqs: Vec<i64> = parts.concat();
        assert_eq!(seqs, (1..=25_000).collect::<Vec<_>>());
    }
}
