//! The schema, as append-only migrations. `user_version` is the number of migrations that a file has.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::backup;
use super::open::{APPLICATION_ID, OpenError, beside};
use super::part::folder_of;
use crate::clock::Clock;
use crate::domain::time::SECOND;

/// Migrations, in order. A released one is never changed.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_waiting.sql"),
    include_str!("migrations/0003_same_response.sql"),
    include_str!("migrations/0004_set_back.sql"),
    include_str!("migrations/0005_event_ids.sql"),
    include_str!("migrations/0006_keys_and_audit.sql"),
    include_str!("migrations/0007_sealed.sql"),
    include_str!("migrations/0008_sign_in.sql"),
    include_str!("migrations/0009_portal.sql"),
    include_str!("migrations/0010_shape.sql"),
    include_str!("migrations/0011_incident.sql"),
    include_str!("migrations/0012_contact.sql"),
    include_str!("migrations/0013_allowed_target.sql"),
    include_str!("migrations/0014_resend.sql"),
    include_str!("migrations/0015_operator_in_portal.sql"),
    include_str!("migrations/0016_certificate.sql"),
    include_str!("migrations/0017_external_id.sql"),
    include_str!("migrations/0018_answer_and_erasure.sql"),
    include_str!("migrations/0019_pause.sql"),
    include_str!("migrations/0020_tenant_deletion.sql"),
];

pub(super) const CURRENT: i64 = STEPS.len() as i64;

/// Versions of the schema of whose migration a copy is kept.
const COPIES: usize = 3;

/// Runs the missing migrations in one transaction. A file with data is first copied to a file beside it.
pub(super) fn run(connection: &Connection, path: &Path, is_new: bool, clock: &Clock) -> Result<(), OpenError> {
    let sqlite = OpenError::sqlite(path);
    let found = version(connection).map_err(&sqlite)?;
    if found == CURRENT {
        return Ok(());
    }
    if !is_new && found > 0 {
        let copy = beside(path, &format!(".before-{CURRENT}-{}", clock.now_ms() / SECOND));
        backup::copy_snapshot(connection, &copy)
            .map_err(|cause| OpenError::NotCopied { path: path.to_owned(), cause: cause.to_string() })?;
        log::info!("copied the database to {} before migrating it", copy.display());
        remove_old_copies(path, &copy);
    }
    let steps = STEPS[found as usize..].join("\n");
    // Replacing a table would delete the rows that refer to it. The setting cannot be changed within a transaction.
    connection
        .execute_batch(&format!(
            "PRAGMA foreign_keys = OFF;
             BEGIN IMMEDIATE;
             {steps}
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {CURRENT};
             COMMIT;
             PRAGMA foreign_keys = ON;"
        ))
        .map_err(|error| {
            // The first error matters. Without a transaction there is nothing to roll back.
            let _ = connection.execute_batch("ROLLBACK");
            match error {
                // Its text has the statements of all migrations.
                rusqlite::Error::SqlInputError { msg, .. } => {
                    OpenError::NotMigrated { path: path.to_owned(), found, known: CURRENT, reason: msg }
                }
                error => sqlite(error),
            }
        })
}

/// Removes copies that earlier migrations left: all but the newest of each of [`COPIES`] versions. The copy just made stays,
/// and is the one of its version, so a migration that fails at each start leaves one.
fn remove_old_copies(path: &Path, made: &Path) {
    let Ok(entries) = fs::read_dir(folder_of(path)) else { return };
    let prefix = beside(path, ".before-");
    let Some(prefix) = prefix.file_name().and_then(OsStr::to_str) else { return };
    let mut found: Vec<((i64, bool, i64), PathBuf)> = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let parts = name.to_str().and_then(|name| name.strip_prefix(prefix)?.split_once('-'));
        let Some((version, second)) = parts else { continue };
        if let (Ok(version), Ok(second)) = (version.parse(), second.parse()) {
            let copy = entry.path();
            found.push(((version, copy.file_name() == made.file_name(), second), copy));
        }
    }
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    let mut kept: Vec<i64> = Vec::new();
    for ((version, _, _), copy) in found {
        if kept.len() < COPIES && !kept.contains(&version) {
            kept.push(version);
            continue;
        }
        match fs::remove_file(&copy) {
            Ok(()) => log::info!("removed {}, a copy of an earlier migration", copy.display()),
            Err(error) => log::warn!("{}, a copy of an earlier migration, stays: {error}", copy.display()),
        }
    }
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Creates an empty database in memory with the current schema.
#[cfg(test)]
pub(super) fn in_memory() -> Connection {
    let connection = Connection::open_in_memory().expect("memory is available");
    connection.execute_batch(&STEPS.join("\n")).expect("the migrations are valid");
    let key = "00".repeat(32).parse().expect("64 digits");
    super::seal::register(&connection, Some(&key)).expect("functions can be added");
    connection
}

/// Refuses a file of another program or of a newer version. Returns the schema version.
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

/// Refuses a file whose schema is not the current one.
pub(super) fn require_current(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = require_ours(connection, path)?;
    if found < CURRENT {
        return Err(OpenError::Older { path: path.to_owned(), found, known: CURRENT });
    }
    Ok(())
}
