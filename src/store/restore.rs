//! Putting a copy in the place of a database.
//!
//! The copy is written to a file under construction on the same disk, checked there, and renamed over the database, so a
//! kill leaves either the old file or the new one. The old file keeps a second name (a hard link) before, and its log is
//! written into it: SQLite would take a log that stays for one of the new file.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, named_params};
use thiserror::Error;

use super::backup::{self, BackupError, Report};
use super::diagnosis::{self, Known};
use super::error::StoreError;
use super::lock::FileLock;
use super::master_key::{self, KeySource, NeededKey};
use super::migrate;
use super::open::{self, OpenError, beside};
use super::part::{self, Part, folder_of};
use super::pause;
use super::sql;
use crate::clock::Clock;
use crate::domain::time::{Millis, compact, rfc3339_seconds};

/// Part of the name of a replaced database. The time follows.
const KEPT: &str = ".before-restore-";
/// Rows between two reports.
const REPORTED: u64 = 1_000;

#[derive(Debug, Error)]
pub enum RestoreError {
    #[error("{0} is the database itself. Name the copy to restore.")]
    Itself(PathBuf),
    #[error("{path} is damaged: {detail}. Nothing was changed. Restore an older copy.")]
    Damaged { path: PathBuf, detail: String },
    #[error(
        "{database} is newer than {file}: its last change was at {newest}, that of the copy {known}. What happened in between would be \
         missing. --force restores the copy nevertheless, and keeps the present file beside it."
    )]
    Newer { database: PathBuf, file: PathBuf, newest: String, known: String },
    #[error(
        "{database} cannot be read, so nobody knows whether it is newer than the copy: {cause}. --force restores the copy \
         nevertheless, and keeps the present file beside it."
    )]
    Unreadable { database: PathBuf, cause: String },
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

impl From<rusqlite::Error> for RestoreError {
    fn from(error: rusqlite::Error) -> RestoreError {
        RestoreError::Store(error.into())
    }
}

/// A copy, the database that it replaces, and the conditions.
pub struct Restore<'a> {
    pub database: &'a Path,
    /// Copy to restore.
    pub file: &'a Path,
    pub keys: &'a KeySource,
    /// Whether to replace a database that is newer or cannot be read.
    pub force: bool,
    /// Reason of a pause of all deliveries that begins with the restored database.
    pub pause: Option<&'a str>,
}

/// A database that was restored.
#[derive(Debug)]
pub struct Restored {
    pub known: Known,
    /// Deliveries that wait for an attempt, and so are sent.
    pub queued: u64,
    pub replaced: Option<Replaced>,
    pub key: NeededKey,
    pub is_paused: bool,
}

/// The file that was in the place of the restored one.
#[derive(Debug)]
pub struct Replaced {
    /// Its name now.
    pub kept: PathBuf,
    /// `None` if it could not be read.
    pub found: Option<Found>,
}

/// Facts of the replaced file about the time after the copy.
#[derive(Debug)]
pub struct Found {
    /// Deliveries that wait in the copy, and were delivered, failed or discarded since.
    pub finished: u64,
    /// Of these, those that were delivered, and so are sent again.
    pub delivered: u64,
    /// Events that the copy does not have.
    pub missing_events: u64,
}

impl Restore<'_> {
    /// Puts the copy in the place of the database, which no server may have open. `copied` is told bytes, and `compared` deliveries.
    pub fn run(&self, clock: &Clock, copied: Report<'_>, compared: Report<'_>) -> Result<Restored, RestoreError> {
        let Restore { database, file, .. } = *self;
        if is_same(database, file) {
            return Err(RestoreError::Itself(file.to_owned()));
        }
        let source = backup::read_copy(file)?;
        let _lock = FileLock::take(database)?;
        undo_interrupted(database)?;
        let known = diagnosis::known(&source)?;
        let old = self.old(&known)?;
        let part = backup::part_of_snapshot(&source, folder_of(database), copied)?;
        drop(source);
        let copy = part.reopen()?;
        let sound = open::quick_check(&copy).map_err(|error| error.to_string());
        if let Ok(Some(detail)) | Err(detail) = sound {
            return Err(RestoreError::Damaged { path: file.to_owned(), detail });
        }
        if let Some(reason) = self.pause {
            // The table of the pause may be newer than the copy.
            migrate::run(&copy, part.path(), true, clock)?;
            pause::begin(&copy, clock.now_ms(), "command line", reason)?;
        }
        let queued = sql::value(&copy, "SELECT count(*) FROM delivery WHERE due_ms IS NOT NULL", [])?;
        let found = old.as_ref().map(|old| compare(&copy, old, queued, compared)).transpose();
        let key = master_key::needed(&copy, database, self.keys)?;
        drop((copy, old));
        let kept = self.put_in_place(part, clock.now_ms())?;
        let found = found.unwrap_or_else(|error| {
            log::warn!("the replaced file could not be compared with the copy: {error}");
            None
        });
        let replaced = kept.map(|kept| Replaced { kept, found });
        Ok(Restored { known, queued, replaced, key, is_paused: self.pause.is_some() })
    }

    /// Opens the present database, if it can be read. Refuses to replace it if it is newer, unless that is forced.
    fn old(&self, known: &Known) -> Result<Option<Connection>, RestoreError> {
        let database = self.database.to_owned();
        let is_empty = |path: &Path| fs::metadata(path).map_or(true, |found| found.len() == 0);
        if is_empty(&database) && is_empty(&beside(&database, "-wal")) {
            return Ok(None);
        }
        let opened = backup::read_only(&database).and_then(|old| Ok((diagnosis::known(&old)?, old)));
        match opened {
            Err(BackupError::Open(error @ OpenError::Foreign { .. })) => Err(error.into()),
            Err(_) if self.force => Ok(None),
            Err(cause) => Err(RestoreError::Unreadable { database, cause: cause.to_string() }),
            Ok((of_old, _)) if of_old.changed_ms > known.changed_ms && !self.force => Err(RestoreError::Newer {
                database,
                file: self.file.to_owned(),
                newest: of_old.changed_ms.map(rfc3339_seconds).unwrap_or_default(),
                known: known
                    .changed_ms
                    .map_or_else(|| "is unknown".to_owned(), |at| format!("at {}", rfc3339_seconds(at))),
            }),
            Ok((_, old)) => Ok(Some(old)),
        }
    }

    /// Gives the complete copy the name of the database. Returns the new name of the file that had it.
    fn put_in_place(&self, part: Part, now: Millis) -> Result<Option<PathBuf>, RestoreError> {
        let database = self.database;
        let log = beside(database, "-wal");
        if let Err(error) = fold_log(database) {
            log::warn!("{} stays beside the replaced file: {error}", log.display());
        }
        let kept = free_name(&beside(database, &format!("{KEPT}{}", compact(now))));
        let exists = database.exists();
        if exists {
            fs::set_permissions(database, Permissions::from_mode(0o600)).map_err(io_error(database))?;
            fs::hard_link(database, &kept).map_err(io_error(&kept))?;
        }
        match fs::metadata(&log) {
            Ok(found) if found.len() > 0 => {
                fs::set_permissions(&log, Permissions::from_mode(0o600)).map_err(io_error(&log))?;
                fs::rename(&log, beside(&kept, "-wal")).map_err(io_error(&log))?;
            }
            Ok(_) => fs::remove_file(&log).map_err(io_error(&log))?,
            Err(_) => {}
        }
        let index = beside(database, "-shm");
        match fs::remove_file(&index) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(&index)(error)),
            _ => {}
        }
        part::sync_folder(folder_of(database))?;
        part.name(database)?;
        Ok(exists.then_some(kept))
    }
}

/// Returns a name that neither a file nor its log has, for a second restore within one second too.
fn free_name(wanted: &Path) -> PathBuf {
    let is_free = |path: &PathBuf| !path.exists() && !beside(path, "-wal").exists();
    let others = (2..).map(|number: u32| beside(wanted, &format!("-{number}")));
    [wanted.to_owned()].into_iter().chain(others).find(is_free).unwrap_or_else(|| wanted.to_owned())
}

/// Writes the log of a database into it. The caller holds the lock, so nobody else writes.
fn fold_log(database: &Path) -> Result<(), RestoreError> {
    if !beside(database, "-wal").exists() || !database.exists() {
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    migrate::require_ours(&connection, database)?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    match busy {
        0 => connection.close().map_err(|(_, error)| error.into()),
        _ => Err(StoreError::Unavailable("another program is reading the database".to_owned()).into()),
    }
}

/// Takes back what a restore did before it was killed: the second name of a file that is still the database.
fn undo_interrupted(database: &Path) -> Result<(), RestoreError> {
    let (Ok(present), Ok(entries)) = (fs::metadata(database), fs::read_dir(folder_of(database))) else {
        return Ok(());
    };
    let Some(prefix) = database.file_name().and_then(|name| Some(format!("{}{KEPT}", name.to_str()?))) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_kept = entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix));
        let is_present = |found: fs::Metadata| (found.dev(), found.ino()) == (present.dev(), present.ino());
        if is_kept && entry.metadata().is_ok_and(is_present) {
            let (log, kept_log) = (beside(database, "-wal"), beside(&path, "-wal"));
            if kept_log.exists() && !log.exists() {
                fs::rename(&kept_log, &log).map_err(io_error(&kept_log))?;
            }
            fs::remove_file(&path).map_err(io_error(&path))?;
        }
    }
    Ok(())
}

/// Finds out what became of the copy's queued deliveries in the replaced file, and how many events are missing.
fn compare(copy: &Connection, old: &Connection, queued: u64, report: Report<'_>) -> Result<Found, StoreError> {
    let mut lookup = old.prepare("SELECT status FROM delivery WHERE seq = :seq AND id = :id AND due_ms IS NULL")?;
    let (mut finished, mut delivered, mut done) = (0, 0, 0);
    let query = "SELECT seq, id FROM delivery WHERE due_ms IS NOT NULL";
    sql::each(copy, query, [], |row| {
        let (seq, id): (i64, Vec<u8>) = (row.get("seq")?, row.get("id")?);
        let mut rows = lookup.query(named_params! {":seq": seq, ":id": id})?;
        if let Some(row) = rows.next()? {
            finished += 1;
            delivered += u64::from(row.get::<_, String>("status")? == "delivered");
        }
        done += 1;
        if done % REPORTED == 0 {
            report(done, queued);
        }
        Ok(())
    })?;
    let newest = "SELECT coalesce(max(seq), 0) FROM event";
    let (of_copy, of_old): (i64, i64) = (sql::value(copy, newest, [])?, sql::value(old, newest, [])?);
    Ok(Found { finished, delivered, missing_events: u64::try_from(of_old - of_copy).unwrap_or_default() })
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Io { path, source }
}
