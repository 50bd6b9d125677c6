//! What is old goes: found in steps by readers, deleted in steps by the writer, each small enough that nobody else's
//! write waits long. Every step looks again at what it deletes, so that a delivery that was retried meanwhile stays.
//!
//! The newest row of each table stays, whatever its age: sequence numbers are never given out twice.

use rusqlite::{Connection, Row, named_params};

use super::error::StoreError;
use super::row;
use super::writer::WriteTx;
use crate::domain::retention::Cutoffs;
use crate::domain::time::Millis;
use crate::store::index_scan::Bounds;

/// Rows that one step deletes, a row more or less; a delivery counts with its attempts.
const STEP: u64 = 500;
/// Sequence numbers that one read looks at, at most.
const WINDOW: i64 = 10_000;
/// Pages that one step gives back to the file system, at most.
const PAGES: u32 = 200;

/// What goes of a delivery `d`. A dead letter that was replayed goes with what became of it, so that a replay of what
/// failed never finds the one without the other.
const GONE: &str = "d.seq < (SELECT max(seq) FROM delivery) AND (
        ((d.status IN ('delivered', 'discarded') OR (d.status = 'failed' AND d.cause = 'test'))
            AND d.finished_ms <= :finished)
        OR (d.status = 'failed' AND d.finished_ms <= :failed)
        OR (d.status = 'failed' AND EXISTS (
            SELECT 1 FROM delivery later
            WHERE later.event_seq = d.event_seq AND later.webhook_seq = d.webhook_seq AND later.seq > d.seq
                AND later.cause <> 'test' AND later.status IN ('delivered', 'discarded')
                AND later.finished_ms <= :finished)))";

/// Times as a statement takes them: nothing is as old as the smallest of all.
#[derive(Debug, Clone, Copy)]
struct Before {
    finished: Millis,
    failed: Millis,
}

impl From<Cutoffs> for Before {
    fn from(cutoffs: Cutoffs) -> Before {
        Before {
            finished: cutoffs.finished_ms.unwrap_or(Millis::MIN),
            failed: cutoffs.failed_ms.unwrap_or(Millis::MIN),
        }
    }
}

/// Sequence numbers that may be old enough, and how far a search through them came.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    after: i64,
    below: i64,
}

/// A part of what goes: few enough rows for one step of the writer.
pub type Part = Vec<i64>;

/// The deliveries that may be old enough: none that is younger is looked at.
pub fn deliveries(connection: &Connection, cutoffs: Cutoffs) -> Result<Search, StoreError> {
    search(connection, "delivery", "created_ms", cutoffs)
}

/// The events that may be old enough.
pub fn events(connection: &Connection, cutoffs: Cutoffs) -> Result<Search, StoreError> {
    search(connection, "event", "received_ms", cutoffs)
}

fn search(
    connection: &Connection,
    table: &'static str,
    column: &'static str,
    cutoffs: Cutoffs,
) -> Result<Search, StoreError> {
    let Some(finished) = cutoffs.finished_ms else {
        return Ok(Search { after: 0, below: 0 });
    };
    // Nothing ended before it began, and dead letters do not go before the rest.
    let until = Some(finished.saturating_add(1));
    let bounds = Bounds::between(0, i64::MAX).within(connection, (table, column), None, until)?;
    let first: Option<i64> =
        connection.prepare_cached(&format!("SELECT min(seq) FROM {table}"))?.query_row([], |row| row.get(0))?;
    Ok(Search { after: first.unwrap_or(0) - 1, below: bounds.below })
}

/// The next deliveries that go, in parts; `None` at the end.
pub fn next_deliveries(
    connection: &Connection,
    search: &mut Search,
    cutoffs: Cutoffs,
) -> Result<Option<Vec<Part>>, StoreError> {
    let sql = format!(
        "SELECT d.seq, 1 + d.attempt_count AS size FROM delivery d NOT INDEXED
         WHERE d.seq > :after AND d.seq < :end AND {GONE} ORDER BY d.seq"
    );
    next(connection, search, cutoffs, &sql)
}

/// The next events that go, in parts: those of which no delivery is left, but for such as go too.
pub fn next_events(
    connection: &Connection,
    search: &mut Search,
    cutoffs: Cutoffs,
) -> Result<Option<Vec<Part>>, StoreError> {
    let sql = format!(
        "SELECT e.seq, 1 AS size FROM event e NOT INDEXED
         WHERE e.seq > :after AND e.seq < :end AND e.seq < (SELECT max(seq) FROM event) AND e.received_ms <= :finished
           AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_seq = e.seq AND NOT ({GONE}))
         ORDER BY e.seq"
    );
    next(connection, search, cutoffs, &sql)
}

fn next(
    connection: &Connection,
    search: &mut Search,
    cutoffs: Cutoffs,
    sql: &str,
) -> Result<Option<Vec<Part>>, StoreError> {
    let after = search.after;
    if after >= search.below.saturating_sub(1) {
        return Ok(None);
    }
    let end = after.saturating_add(WINDOW + 1).min(search.below);
    let before = Before::from(cutoffs);
    let params = named_params! {
        ":after": after, ":end": end, ":finished": before.finished, ":failed": before.failed,
    };
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>("seq")?, row.get::<_, u32>("size")?));
    let mut statement = connection.prepare_cached(sql)?;
    let found = row::collect(&mut statement, params, read)?;
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

/// Deletes deliveries with their attempts, as far as they still are to go. How many.
pub fn delete_deliveries(tx: &mut WriteTx<'_>, part: &[i64], cutoffs: Cutoffs) -> Result<u64, StoreError> {
    let before = Before::from(cutoffs);
    let deleted = tx
        .connection()
        .prepare_cached(&format!(
            "DELETE FROM delivery AS d WHERE d.seq IN (SELECT value FROM json_each(:seqs)) AND {GONE}"
        ))?
        .execute(named_params! {
            ":seqs": format!("{part:?}"),
            ":finished": before.finished,
            ":failed": before.failed,
        })?;
    Ok(deleted as u64)
}

/// Deletes events, as far as no delivery is left of them. How many.
pub fn delete_events(tx: &mut WriteTx<'_>, part: &[i64]) -> Result<u64, StoreError> {
    let deleted = tx
        .connection()
        .prepare_cached(
            "DELETE FROM event WHERE seq IN (SELECT value FROM json_each(:seqs))
                 AND NOT EXISTS (SELECT 1 FROM delivery WHERE event_seq = event.seq)",
        )?
        .execute(named_params! {":seqs": format!("{part:?}")})?;
    Ok(deleted as u64)
}

/// Deletes webhooks that people deleted long ago and that no delivery refers to any more. How many.
pub fn delete_webhooks(tx: &mut WriteTx<'_>, cutoffs: Cutoffs) -> Result<u64, StoreError> {
    let deleted = tx
        .connection()
        .prepare_cached(&format!(
            "DELETE FROM webhook WHERE seq IN (
                 SELECT seq FROM webhook w
                 WHERE w.deleted_ms <= :finished AND w.sweep IS NULL AND w.seq < (SELECT max(seq) FROM webhook)
                   AND NOT EXISTS (SELECT 1 FROM delivery WHERE webhook_seq = w.seq)
                 LIMIT {STEP})"
        ))?
        .execute(named_params! {":finished": Before::from(cutoffs).finished})?;
    Ok(deleted as u64)
}

/// Gives some of the pages that nothing is in back to the file system. Whether there are more.
pub fn give_back(tx: &mut WriteTx<'_>) -> Result<bool, StoreError> {
    let free = |connection: &Connection| -> Result<u32, StoreError> {
        let mut statement = connection.prepare_cached("PRAGMA freelist_count")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    };
    let connection = tx.connection();
    let before = free(connection)?;
    if before == 0 {
        return Ok(false);
    }
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    // It goes on with each row that is asked for.
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    let left = free(connection)?;
    // A file of another making may not give anything back.
    Ok(left > 0 && left < before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::retention::Retention;
    use crate::domain::time::DAY;
    use crate::store::migrate;

    /// Deliveries of one event, one in each state that there is and old enough for anything, and a young one.
    const ROWS: &str = "
        INSERT INTO webhook (seq, id, tenant, url, description, events, profile, secret, state, headers, timeout_s,
            max_in_flight, ordered, standard_headers, created_ms, updated_ms)
        VALUES (1, x'01', 'acme', 'https://example.com/', '', '[]', 'generic', 's', 'active', '[]', 5, 8, 0, 1, 0, 0);
        INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data)
        VALUES (1, 'a', 'acme', 'a.b', 0, 0, 0, 0, '{}'), (2, 'b', 'acme', 'a.b', 0, 0, 0, 0, '{}'),
               (3, 'c', 'acme', 'a.b', 0, 0, 0, 0, '{}');";

    fn database(deliveries: &str) -> Connection {
        let connection = migrate::in_memory();
        let insert = format!(
            "{ROWS} INSERT INTO delivery
                 (seq, id, event_seq, webhook_seq, status, cause, next_trigger, attempt_count, created_ms, finished_ms)
             {deliveries};"
        );
        connection.execute_batch(&insert).unwrap();
        connection
    }

    /// What goes with 30 and 90 days, so many days after the first row.
    fn gone(connection: &Connection, days: i64) -> (Vec<Part>, Vec<Part>) {
        let cutoffs = Retention::default().cutoffs(days * DAY);
        type Next = fn(&Connection, &mut Search, Cutoffs) -> Result<Option<Vec<Part>>, StoreError>;
        let all = |mut search: Search, next: Next| {
            let mut parts = Vec::new();
            while let Some(found) = next(connection, &mut search, cutoffs).unwrap() {
                parts.extend(found);
            }
            parts
        };
        let from = deliveries(connection, cutoffs).unwrap();
        let to = events(connection, cutoffs).unwrap();
        (all(from, next_deliveries), all(to, next_events))
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
