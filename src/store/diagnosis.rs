//! A look at a database without opening it for writing, beside a running server.

use std::path::Path;

use rusqlite::{Connection, Row};

use super::backup::{BackupError, read_only, size};
use super::error::Result;
use super::migrate;
use super::retention;
use super::sql::{self, read_row};
use crate::domain::time::Millis;

/// State of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Size in bytes, with what is in the write-ahead log only.
    pub bytes: u64,
    /// Version of the schema.
    pub schema: i64,
    /// Version that this program makes of it.
    pub current_schema: i64,
    /// First fault that a quick check found. It reads all pages, but compares no indexes and no checksums of events.
    pub fault: Option<String>,
}

/// Up to when a database is known. Commits are in order, so it has everything that was acknowledged before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Newest event.
    pub event: Option<NewestEvent>,
    /// Latest time of an event, a delivery or the end of an attempt.
    pub changed_ms: Option<Millis>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestEvent {
    pub id: String,
    pub tenant: String,
    /// When it was accepted.
    pub received_ms: Millis,
}

/// Looks at a database. Reads all of it, which takes a while if it is large.
///
/// # Errors
/// If it does not exist, is not ours, or has a newer schema.
pub fn diagnose(database: &Path) -> Result<Diagnosis, BackupError> {
    let connection = read_only(database)?;
    let schema = migrate::require_ours(&connection, database)?;
    // A page that cannot be read at all is an error.
    let checked = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    let verdict = checked.unwrap_or_else(|error| error.to_string());
    Ok(Diagnosis {
        bytes: size(&connection)?,
        schema,
        current_schema: migrate::CURRENT,
        fault: Some(verdict).filter(|verdict| verdict != "ok"),
    })
}

/// Returns up to when a database is known.
pub fn known_until(database: &Path) -> Result<Known, BackupError> {
    Ok(known(&read_only(database)?)?)
}

pub(super) fn known(connection: &Connection) -> Result<Known> {
    let query = "SELECT id, tenant, received_ms FROM event WHERE NOT test ORDER BY seq DESC LIMIT 1";
    let read = |row: &Row<'_>| Ok(read_row!(row, NewestEvent { id, tenant, received_ms }));
    Ok(Known { event: sql::first(connection, query, [], read)?, changed_ms: retention::newest_ms(connection)? })
}
