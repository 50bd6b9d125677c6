//! A look at a database without opening it for writing, beside a running server.

use std::path::Path;

use super::backup::{BackupError, read_only, size};
use super::migrate;

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
