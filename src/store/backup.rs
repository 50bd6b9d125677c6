//! Backups and integrity checks, both beside a running server.

use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, TryLockError};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use super::Store;
use super::backup_socket;
use super::error::{Result, StoreError};
use super::event;
use super::migrate;
use super::online_copy;
use super::open::{self, OpenError, beside};
use super::part::{Part, folder_of, io_error};

/// Pages of a step within one snapshot, after which the copy is synced and rests for as long: 4 MiB.
const STEP: i32 = 1024;
const LONGEST_REST: Duration = Duration::from_millis(200);
/// Virtual instructions, or steps of the check of pages, between two looks at the time.
const PROGRESS: i32 = 1_000;
/// Time of a check after which it rests.
const CHECKED: Duration = Duration::from_millis(5);
/// Rest of a check, as a multiple of the time that it worked.
const CHECK_REST: u32 = 2;
/// Longest check of a copy. At a third of one core it reads hundreds of gigabytes.
const CHECK_LIMIT: Duration = Duration::from_secs(3600);
/// Rest after a step that met a lock.
const LOCKED: Duration = Duration::from_millis(10);

#[derive(Debug, Error)]
pub enum BackupError {
    #[error("{0} already exists. A backup never overwrites a file; choose another name.")]
    Exists(PathBuf),
    #[error("Another backup is being made. Try again when it has ended.")]
    Running,
    #[error("The client disconnected before the copy was complete.")]
    Unwanted,
    #[error(
        "{folder} has {free} free, and a copy of the database needs {wanted}. Free some space, or copy to another disk."
    )]
    NoRoom { folder: PathBuf, free: String, wanted: String },
    #[error("Other programs changed the database again and again during the copy. Try again when they have ended.")]
    Disturbed,
    #[error("The copy could not be checked within an hour, so it was not kept.")]
    Unchecked,
    /// Message of a server that made the copy.
    #[error("{0}")]
    Server(String),
    #[error("The server stopped during the copy. Try again.")]
    Interrupted,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the copy failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// Is told how much of some work is done, and how much there is.
pub type Report<'a> = &'a dyn Fn(u64, u64);

/// Writes a consistent copy of the database to a new file with mode 0600. The file gets its name once it is complete and
/// on disk. `report` is told the bytes.
///
/// A running server makes the copy. Without one it is made from one snapshot.
pub fn copy(database: &Path, to: &Path, report: Report<'_>) -> Result<(), BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    part_of(database, folder_of(to), report)?.name(to)
}

/// Like [`copy`], into a file without a name beside the database.
pub fn copy_unnamed(database: &Path, report: Report<'_>) -> Result<File, BackupError> {
    let mut file = part_of(database, folder_of(database), report)?.unnamed()?;
    file.rewind().map_err(io_error(database))?;
    Ok(file)
}

/// Returns a complete copy in a folder, without a name.
fn part_of(database: &Path, folder: &Path, report: Report<'_>) -> Result<Part, BackupError> {
    let source = read_only(database)?;
    backup_socket::fetch(database, folder, report).unwrap_or_else(|| part_of_snapshot(&source, folder, report))
}

/// Like [`copy`], from an open connection.
pub(super) fn copy_snapshot(source: &Connection, to: &Path) -> Result<(), BackupError> {
    part_of_snapshot(source, folder_of(to), &|_, _| {})?.name(to)
}

/// Returns a complete copy of one snapshot in a folder, without a name.
pub(super) fn part_of_snapshot(source: &Connection, folder: &Path, report: Report<'_>) -> Result<Part, BackupError> {
    let snapshot = source.unchecked_transaction()?;
    let bytes = size(&snapshot)?;
    let part = Part::create(folder, bytes)?;
    let mut copy = part.open()?;
    let backup = Backup::new(&snapshot, &mut copy)?;
    loop {
        let begin = Instant::now();
        match backup.step(STEP)? {
            StepResult::Done => break,
            StepResult::More => {
                part.sync()?;
                let progress = backup.progress();
                let left = u64::try_from(progress.remaining).unwrap_or_default();
                let pages = u64::try_from(progress.pagecount).unwrap_or_default().max(1);
                report(bytes.saturating_sub(bytes / pages * left), bytes);
                std::thread::sleep(begin.elapsed().min(LONGEST_REST));
            }
            _ => std::thread::sleep(LOCKED),
        }
    }
    drop(backup);
    drop(copy);
    Ok(part)
}

impl Store {
    /// Copies the database into a new file, as [`backup`](Store::backup) does. The file gets its name once it is complete,
    /// checked and on disk. Fails with [`BackupError::Unwanted`] once `is_stopping`.
    pub fn backup_to(&self, to: &Path, is_stopping: &Arc<AtomicBool>) -> Result<(), BackupError> {
        if to.exists() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let part = self.copy_online(folder_of(to), || !is_stopping.load(Ordering::SeqCst))?;
        verify(&part.reopen()?, to, is_stopping)?;
        part.name(to)
    }

    /// Copies the database into a file without a name, while it is written, beside it on the same disk. The copy is
    /// made in steps between the writer's commits and keeps no snapshot. Blocks. One at a time: a second call fails. Ends
    /// before the next step once `is_awaited` is false.
    pub fn backup(&self, is_awaited: impl Fn() -> bool) -> Result<File, BackupError> {
        self.copy_online(folder_of(self.path()), is_awaited)?.unnamed()
    }

    fn copy_online(&self, folder: &Path, is_awaited: impl Fn() -> bool) -> Result<Part, BackupError> {
        let _alone = match self.copying.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(BackupError::Running),
        };
        let bytes = self.read(|connection| size(connection).map_err(StoreError::from))?;
        let part = Part::create(folder, bytes)?;
        online_copy::copy(&self.writer, &part, is_awaited)?;
        Ok(part)
    }
}

/// Checks a complete copy: its schema and all of its pages. Most of the time it rests, so the server keeps its cores.
fn verify(copy: &Connection, to: &Path, is_stopping: &Arc<AtomicBool>) -> Result<(), BackupError> {
    migrate::require_current(copy, to)?;
    let (begin, stopping) = (Instant::now(), Arc::clone(is_stopping));
    let mut worked_since = begin;
    copy.progress_handler(
        PROGRESS,
        Some(move || {
            let worked = worked_since.elapsed();
            if worked >= CHECKED {
                std::thread::sleep((worked * CHECK_REST).min(LONGEST_REST));
                worked_since = Instant::now();
            }
            stopping.load(Ordering::SeqCst) || begin.elapsed() > CHECK_LIMIT
        }),
    )?;
    match open::quick_check(copy) {
        Ok(None) => Ok(()),
        Ok(Some(detail)) => Err(OpenError::damaged(to, detail).into()),
        Err(_) if is_stopping.load(Ordering::SeqCst) => Err(BackupError::Unwanted),
        Err(_) if begin.elapsed() > CHECK_LIMIT => Err(BackupError::Unchecked),
        Err(error) => Err(OpenError::damaged(to, error).into()),
    }
}

/// Returns the size of the database in bytes, with what is in the write-ahead log only.
pub(super) fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    connection.query_row(query, [], |row| row.get(0))
}

/// Returns the faults of a database, one line each; none if it is sound. Reads everything: pages, references, and the
/// checksum of every event. `report` is told the events whose checksums are compared, after the rest.
pub fn check(database: &Path, report: Report<'_>) -> Result<Vec<String>, BackupError> {
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
    match damaged_events(&connection, report) {
        Ok(damaged) => faults.extend(damaged),
        Err(error) => faults.push(error.to_string()),
    }
    Ok(faults)
}

/// Returns up to 20 events that do not match their checksums.
fn damaged_events(connection: &Connection, report: Report<'_>) -> Result<Vec<String>> {
    let all = connection.query_row("SELECT coalesce(max(seq), 0) FROM event", [], |row| row.get(0))?;
    let mut statement = connection.prepare("SELECT seq, id FROM event ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut damaged = Vec::new();
    while damaged.len() < 20
        && let Some(found) = rows.next()?
    {
        let seq: i64 = found.get("seq")?;
        report(seq.unsigned_abs(), all);
        if event::intact(connection, seq)?.is_none() {
            let id: String = found.get("id")?;
            damaged.push(format!("the event {id} does not match its checksum"));
        }
    }
    Ok(damaged)
}

pub(super) fn read_only(database: &Path) -> Result<Connection, BackupError> {
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

/// Like [`read_only`], for a copy. One without a log is never written, so its folder gets no log and need not be writable.
pub(super) fn read_copy(file: &Path) -> Result<Connection, BackupError> {
    let has_log = fs::metadata(beside(file, "-wal")).is_ok_and(|log| log.len() > 0);
    if has_log || !file.exists() {
        return read_only(file);
    }
    let path = url::Url::from_file_path(std::path::absolute(file).map_err(io_error(file))?);
    let Ok(path) = path else { return read_only(file) };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection =
        Connection::open_with_flags(format!("{path}?immutable=1"), flags).map_err(OpenError::sqlite(file))?;
    connection.execute_batch("PRAGMA trusted_schema = OFF;").map_err(OpenError::sqlite(file))?;
    migrate::require_ours(&connection, file)?;
    Ok(connection)
}
