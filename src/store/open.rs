//! Opening the file: pragmas, checks, the pool of readers, and the identity of the file.

use std::fmt::Display;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use super::error::StoreError;
use super::master_key::{self, KeySource, Unlocked};
use super::migrate;
use super::replicator;
use super::seal::{self, MasterKey};
use crate::clock::Clock;

/// SQLite's `application_id` of Hookpost files: `Hook` in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x486f_6f6b;

/// Maximum size of a file that is checked before the start, which takes about 0.1 s. A larger one is checked in the
/// background, so that a backlog of a million does not delay events.
const CHECKED_FIRST_BYTES: u64 = 32 << 20;

/// Connections of pages and API calls that read at the same time at most.
pub(super) const READERS: u32 = 4;
/// Connections for authentication. A lookup by key takes microseconds, so one is always free soon.
pub(super) const AUTH_READERS: u32 = 2;
/// Connections of the delivery engine: one for the lanes, one for workers.
pub(super) const DELIVERY_READERS: u32 = 2;

/// Error of opening a database. The message says what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error(
        "{path}: another Hookpost (process {pid}) is serving this database. Stop it first, or choose another file with --db."
    )]
    Locked { path: PathBuf, pid: String },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} is not a Hookpost database. Choose another file with --db.")]
    Foreign { path: PathBuf },
    #[error("{path} does not exist. Start the server once (hookpost serve), or set the file with --db.")]
    Missing { path: PathBuf },
    #[error(
        "{path} was written by a newer Hookpost (schema {found}; this program supports {known}). Use that version, or a backup."
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{path} has schema {found}; this program needs {known}. Start the server once (hookpost serve) to migrate the file."
    )]
    Older { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{path} is damaged: {detail}. Nothing was changed. Restore a backup, or copy the file and try to recover it with the sqlite3 program."
    )]
    Damaged { path: PathBuf, detail: String },
    #[error(
        "{path} could not be migrated from schema {found} to {known}: {reason}. Nothing was changed. Use the version of Hookpost that made the file, and report this error."
    )]
    NotMigrated { path: PathBuf, found: i64, known: i64, reason: String },
    #[error("{path} must be migrated, and could not be copied before: {cause}. Nothing was changed.")]
    NotCopied { path: PathBuf, cause: String },
    #[error(
        "{path} holds secrets encrypted under the master key {id}, but {origin} has the key {found}. Set HOOKPOST_MASTER_KEY or --master-key-file to the right key, or put its file back beside the database."
    )]
    KeyWrong { path: PathBuf, origin: String, found: String, id: String },
    #[error(
        "{path} holds secrets encrypted under the master key {id}, and the key file {file} does not exist. Put it back, or set HOOKPOST_MASTER_KEY or --master-key-file to the key. A new key could not decrypt them, so none was created."
    )]
    KeyMissing { path: PathBuf, file: PathBuf, id: String },
    #[error("{file}: {detail}")]
    KeyInvalid { file: PathBuf, detail: String },
    #[error(
        "The master key of {path} was rotated. Set {setting} to the key in {new_file}, delete that file, and keep the old key for older backups."
    )]
    KeyRotated { path: PathBuf, setting: String, new_file: PathBuf },
    #[error("the secrets in {path} could not be encrypted: {source}. Run the command again; what is done stays done.")]
    Sealing { path: PathBuf, source: StoreError },
    #[error("{path} cannot be written. Check the owner and permissions of the file and its folder.")]
    ReadOnly { path: PathBuf },
    #[error("{path}: {source}")]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

impl OpenError {
    pub(super) fn damaged(path: &Path, detail: impl Display) -> OpenError {
        OpenError::Damaged { path: path.to_owned(), detail: detail.to_string() }
    }

    pub(super) fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> OpenError {
        let path = path.to_owned();
        move |source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                OpenError::damaged(&path, source)
            }
            Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen) => {
                OpenError::ReadOnly { path: path.clone() }
            }
            _ => OpenError::Sqlite { path: path.clone(), source },
        }
    }
}

/// Returns the path with a suffix: `webhooks.db` and `.lock` make `webhooks.db.lock`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens the file for the process that holds its lock: creates it if missing, checks it, migrates it, and unlocks its
/// secrets.
pub(super) fn for_writing(path: &Path, keys: &KeySource, clock: &Clock) -> Result<(Connection, Unlocked), OpenError> {
    let sqlite = OpenError::sqlite(path);
    let mut is_new = create_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&sqlite)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(&sqlite)?;
    // Until the file is checked, closing it must not write the log into it.
    keep_log_on_close(&connection, true).map_err(&sqlite)?;
    is_new = is_new || is_blank(&connection).map_err(&sqlite)?;
    if is_new {
        // Must come first: it has no effect after the first page is written or WAL is on.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL;").map_err(&sqlite)?;
    } else {
        check(&connection, path)?;
    }
    keep_log_on_close(&connection, false).map_err(&sqlite)?;
    // Stored in the file; the pragmas below belong to the connection.
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(&sqlite)?;
    if !mode.eq_ignore_ascii_case("wal") {
        let detail = format!("the file system does not allow a write-ahead log (journal mode {mode})");
        return Err(OpenError::damaged(path, detail));
    }
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA trusted_schema = OFF;
             PRAGMA mmap_size = 0;
             PRAGMA wal_autocheckpoint = 1000;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA cache_size = -16384;
             PRAGMA temp_store = MEMORY;",
        )
        .map_err(&sqlite)?;
    migrate::run(&connection, path, is_new, clock)?;
    let unlocked = master_key::unlock(&connection, path, keys, is_new)?;
    seal::register(&connection, Some(&unlocked.key)).map_err(&sqlite)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok((connection, unlocked))
}

/// Leaves the log to a replicator, while the connection is open and when it is closed.
pub(super) fn leave_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "wal_autocheckpoint", replicator::MOST_PAGES)?;
    keep_log_on_close(connection, true)
}

/// Opens the file for a command beside a running server. Never migrates, and does not use the master key.
pub(super) fn for_command(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = OpenError::sqlite(path);
    if !path.exists() {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&sqlite)?;
    connection
        .execute_batch(
            "PRAGMA busy_timeout = 5000; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;",
        )
        .map_err(&sqlite)?;
    keep_log_on_close(&connection, true).map_err(&sqlite)?;
    migrate::require_current(&connection, path)?;
    seal::register(&connection, None).map_err(&sqlite)?;
    keep_log_on_close(&connection, false).map_err(&sqlite)?;
    Ok(connection)
}

/// Creates an empty file with mode 0600 if missing. Returns whether the file holds no database yet.
fn create_file(path: &Path) -> Result<bool, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    match fs::metadata(path) {
        // SQLite would delete the log of an empty file.
        Ok(found) if found.len() == 0 => {
            if fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0) {
                Err(OpenError::damaged(path, "it is empty, but its log (-wal) is not"))
            } else {
                Ok(true)
            }
        }
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
            Ok(true)
        }
        Err(error) => Err(io(error)),
    }
}

/// Whether the file holds no data. An interrupted first start leaves a file with only a header.
fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT (SELECT count(*) FROM sqlite_schema) = 0
             AND (SELECT application_id FROM pragma_application_id) = 0
             AND (SELECT user_version FROM pragma_user_version) = 0",
        [],
        |row| row.get(0),
    )
}

fn keep_log_on_close(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(|_| ())
}

/// Refuses a file of another program, of a newer version, or with damage.
fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = OpenError::sqlite(path);
    migrate::require_ours(connection, path)?;
    let size = fs::metadata(path).map(|found| found.len()).unwrap_or(0);
    if size > CHECKED_FIRST_BYTES {
        // Finds a damaged schema, which nothing has read yet.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).map_err(&sqlite)?;
        return Ok(());
    }
    match quick_check(connection).map_err(&sqlite)? {
        None => Ok(()),
        Some(detail) => Err(OpenError::damaged(path, detail)),
    }
}

/// Returns the first fault that SQLite's quick check finds, if any. Reads the whole file.
pub(super) fn quick_check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    verdict(connection, "PRAGMA quick_check(1)")
}

/// Like [`quick_check`], while the file is written: one table with its indexes at a time, each in a snapshot of its own,
/// so that the write-ahead log can be reset in between.
pub(super) fn quick_check_tables(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rootpage")?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for table in tables {
        let fault = verdict(connection, &format!("PRAGMA quick_check(\"{table}\")"))?;
        if fault.is_some() {
            return Ok(fault);
        }
    }
    Ok(None)
}

fn verdict(connection: &Connection, pragma: &str) -> rusqlite::Result<Option<String>> {
    let verdict: String = connection.query_row(pragma, [], |row| row.get(0))?;
    Ok((verdict != "ok").then(|| verdict.replace('\n', " ")))
}

/// Whether the file is too large to be checked before the start.
pub(super) fn is_checked_later(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() > CHECKED_FIRST_BYTES)
}

/// Creates a pool of read-only connections, which open on demand.
pub(super) fn readers(
    path: &Path,
    connections: u32,
    key: &MasterKey,
) -> Result<r2d2::Pool<SqliteConnectionManager>, OpenError> {
    let key = key.clone();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let manager = SqliteConnectionManager::file(path).with_flags(flags).with_init(move |connection| {
        connection.set_prepared_statement_cache_capacity(32);
        seal::register(connection, Some(&key))?;
        connection.execute_batch(
            "PRAGMA busy_timeout = 5000; PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0;
                 PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;",
        )
    });
    r2d2::Pool::builder()
        .max_size(connections)
        .min_idle(Some(0))
        .test_on_check_out(false)
        .max_lifetime(None)
        .idle_timeout(Some(Duration::from_secs(60)))
        .connection_timeout(Duration::from_secs(5))
        .thread_pool(Arc::new(scheduled_thread_pool()))
        .build(manager)
        .map_err(|error| OpenError::Io { path: path.to_owned(), source: io::Error::other(error) })
}

fn scheduled_thread_pool() -> scheduled_thread_pool::ScheduledThreadPool {
    scheduled_thread_pool::ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("readers").build()
}

/// Identity of the opened file. Commits keep succeeding after the file is deleted or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(path: &Path) -> Result<Identity, OpenError> {
        // `metadata`, never `open`: closing a second handle would drop SQLite's locks.
        let found = fs::metadata(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Ok(Identity { device: found.dev(), inode: found.ino() })
    }

    /// Returns an error message if the path no longer leads to the opened file.
    pub(super) fn changed(self, path: &Path) -> Option<String> {
        match Identity::of(path) {
            Ok(now) if now == self => None,
            Ok(_) => Some(format!(
                "{} was replaced by another file while Hookpost was running. Restart Hookpost to use that file.",
                path.display()
            )),
            Err(_) => Some(format!(
                "{} was removed while Hookpost was running. Restore it, or restart with a new file.",
                path.display()
            )),
        }
    }
}
