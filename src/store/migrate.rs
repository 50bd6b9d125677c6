//! The schema, as append-only steps. `user_version` counts the steps that a file has taken.

use std::path::Path;

use rusqlite::Connection;

use super::open::{APPLICATION_ID, OpenError, beside};
use crate::clock::Clock;
use crate::domain::time::SECOND;

/// Each step in order; a released one is never changed.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_main.sql"),
    include_str!("migrations/0002_profile.sql"),
    include_str!("migrations/0003_batches.sql"),
    include_str!("migrations/0004_event_type.sql"),
    include_str!("migrations/0005_indexes.sql"),
    include_str!("migrations/0006_stats.sql"),
    include_str!("migrations/0008_people.sql"),
    include_str!("migrations/0009_inbox.sql"),
];

const CURRENT: i64 = STEPS.len() as i64;

/// Takes the steps that are missing, in one transaction. Before the first of them a file that holds data is
/// copied to a file beside it.
pub(super) fn run(connection: &Connection, path: &Path, is_new: bool, clock: &Clock) -> Result<(), OpenError> {
    let sqlite = OpenError::sqlite(path);
    let found = version(connection).map_err(&sqlite)?;
    if found == CURRENT {
        return Ok(());
    }
    if !is_new && found > 0 {
        let copy = beside(path, &format!(".before-{CURRENT}-{}", clock.now_ms() / SECOND));
        connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()]).map_err(&sqlite)?;
        log::info!("copied the database to {} before migrating it", copy.display());
    }
    let steps = STEPS[found as usize..].join("\n");
    connection
        .execute_batch(&format!(
            "BEGIN IMMEDIATE;
             {steps}
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {CURRENT};
             COMMIT;"
        ))
        .map_err(|error| {
            // The error is what matters; where there is no transaction left, there is nothing to roll back.
            let _ = connection.execute_batch("ROLLBACK");
            sqlite(error)
        })
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// An empty database in memory with the current schema.
#[cfg(test)]
pub(super) fn in_memory() -> Connection {
    let connection = Connection::open_in_memory().expect("memory can be had");
    connection.execute_batch(&STEPS.join("\n")).expect("the steps fit each other");
    connection
}

/// Refuses a file of another program, and one of a newer version of ours.
pub(super) fn require_ours(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let sqlite = OpenError::sqlite(path);
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(&sqlite)?;
    let found = version(connection).map_err(&sqlite)?;
    if id != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if found > CURRENT {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: CURRENT });
    }
    Ok(found)
}

/// Refuses a file whose schema is not exactly this program's.
pub(super) fn require_current(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = require_ours(connection, path)?;
    if found < CURRENT {
        return Err(OpenError::Older { path: path.to_owned(), found, known: CURRENT });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The step that numbers topics.
    const INDEXES: usize = 4;

    /// Two tenants with an event each, one test, and a clock that was set back by 40 ms.
    const EARLIER: &str = "
        INSERT INTO webhook (seq, id, tenant, url, description, events, profile, secret, state, headers, timeout_s,
            max_in_flight, ordered, standard_headers, created_ms, updated_ms)
        VALUES (1, x'01', 'acme', 'https://example.com/', '', '[]', 'generic', 's', 'active', '[]', 5, 8, 0, 1, 0, 0);
        INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data)
        VALUES (1, 'a', 'acme', 'a.b', 0, 100, 0, 0, '{}'), (2, 'b', 'other', 'a.b', 0, 60, 0, 0, '{}'),
               (3, 'c', 'acme', 'a.c', 0, 90, 1, 0, '{}');
        INSERT INTO delivery (seq, id, event_seq, webhook_seq, status, cause, next_trigger, created_ms)
        VALUES (1, x'01', 1, 1, 'failed', 'event', 'initial', 100), (2, x'02', 3, 1, 'failed', 'test', 'test', 120);";

    #[test]
    fn rows_of_an_earlier_schema_are_numbered_and_the_clock_is_looked_back_on() {
        let connection = Connection::open_in_memory().unwrap();
        let (earlier, later) = STEPS.split_at(INDEXES);
        connection.execute_batch(&earlier.join("\n")).unwrap();
        connection.execute_batch(EARLIER).unwrap();
        connection.execute_batch(&later.join("\n")).unwrap();
        let count = |sql: &str| -> i64 {
            let row = connection.query_row(sql, [], |row| row.get(0));
            row.unwrap()
        };
        let events = "FROM event e JOIN topic t ON t.seq = e.topic_seq
            WHERE t.tenant = e.tenant AND t.type = e.type";
        assert_eq!(count(&format!("SELECT count(*) {events}")), 2);
        assert_eq!(count("SELECT count(*) FROM event WHERE topic_seq IS NULL AND test"), 1);
        let deliveries = "FROM delivery d JOIN event e ON e.seq = d.event_seq JOIN topic t ON t.seq = d.topic_seq
            WHERE t.tenant = e.tenant AND t.type = e.type";
        assert_eq!(count(&format!("SELECT count(*) {deliveries}")), 2);
        assert_eq!(count("SELECT set_back_ms FROM clock"), 40);
    }
}
