//! Backups and integrity checks, both beside a running server.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use super::error::Result;
use super::event;
use super::migrate;
use super::open::{OpenError, beside};

#[derive(Debug, Error)]
pub enum BackupError {
    #[error("{0} already exists. A backup never overwrites a file; choose another name.")]
    Exists(PathBuf),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the copy failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// Writes a consistent, compact copy of the database to a new file with mode 0600, while the server keeps running. The
/// file gets its name once it is complete and on disk.
pub fn copy(database: &Path, to: &Path) -> Result<(), BackupError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::Io { path, source }
    };
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let part = beside(to, ".part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(&part)(error)),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(io(&part))?;
    let copied = vacuum(database, &part).and_then(|()| {
        let written = File::open(&part).and_then(|file| file.sync_all());
        written.map_err(io(&part))?;
        fs::rename(&part, to).map_err(io(to))
    });
    if copied.is_err() {
        // If it cannot be removed, the suffix marks it as incomplete.
        let _ = fs::remove_file(&part);
        return copied;
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
}

fn vacuum(database: &Path, to: &Path) -> Result<(), BackupError> {
    let connection = read_only(database)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(())
}

/// Returns the faults of a database, one line each; none if it is sound. Reads everything: pages, references, and the
/// checksum of every event.
pub fn check(database: &Path) -> Result<Vec<String>, BackupError> {
    let connection = read_only(database)?;
    let mut faults: Vec<String> = Vec::new();
    let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
    for line in statement.query_map([], |row| row.get::<_, String>(0))? {
        faults.push(line?);
    }
    faults.retain(|line| line != "ok");
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    for table in statement.query_map([], |row| row.get::<_, String>(0))?.take(20) {
        faults.push(format!("a row of {} refers to a missing row", table?));
    }
    match damaged_events(&connection) {
        Ok(damaged) => faults.extend(damaged),
        Err(error) => faults.push(error.to_string()),
    }
    Ok(faults)
}

/// Returns up to 20 events that do not match their checksums.
fn damaged_events(connection: &Connection) -> Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT seq, id FROM event ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut damaged = Vec::new();
    while damaged.len() < 20
        && let Some(found) = rows.next()?
    {
        if event::intact(connection, found.get("seq")?)?.is_none() {
            let id: String = found.get("id")?;
            damaged.push(format!("the event {id} does not match its checksum"));
        }
    }
    Ok(damaged)
}

fn read_only(database: &Path) -> Result<Connection, BackupError> {
    if !database.exists() {
        return Err(OpenError::Missing { path: database.to_owned() }.into());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite = OpenError::sqlite(database);
    let connection = Connection::open_with_flags(database, flags).map_err(&sqlite)?;
    connection.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA trusted_schema = OFF;").map_err(&sqlite)?;
    migrate::require_ours(&connection, database)?;
    Ok(connection)
}
