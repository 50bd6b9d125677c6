//! One SQLite file, and the only SQL.
//!
//! Owns: the file, its lock, its schema, every statement. Never does: decide what follows an attempt, send
//! anything, or hold a transaction over anything but its own statements.
//!
//! Locking and durability: **one writer thread** owns the only connection that writes (`writer`); it commits
//! jobs in groups and answers them after the commit is on disk (`synchronous=FULL`). Reads go through a pool
//! of read-only connections and never wait for the writer (write-ahead log). What a commit changed is handed
//! to an `Observer` in the order of the commits.
//!
//! Reading order: `open`, `migrate`, `writer`, `directory`, then one file per table.

pub mod api_key;
pub mod attempt;
pub mod audit;
pub mod backup;
pub mod body_format;
pub mod bulk;
pub mod dead_letter_counts;
pub mod delivery;
pub mod directory;
mod error;
pub mod event;
pub mod event_type;
pub mod idempotency;
pub mod inbox;
mod index_scan;
mod lock;
mod migrate;
pub mod one_time_link;
mod open;
pub mod page;
#[cfg(test)]
mod plans;
pub mod profile;
pub mod retention;
mod row;
pub mod session;
pub mod stats;
mod stats_delta;
pub mod sweep;
pub mod topic;
pub mod user;
pub mod webhook;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::StoreError;
pub use lock::FileLock;
pub use open::{OpenError, beside};
pub use rusqlite::Connection;
pub use writer::{Change, DueDelivery, Observer, Pending, WriteTx};

use crate::clock::Clock;
use crate::metrics::Metrics;
use writer::Writer;

/// The open database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    readers: r2d2::Pool<r2d2_sqlite::SqliteConnectionManager>,
    writer: Writer,
    profiles: profile::Profiles,
    schemas: event_type::Schemas,
    path: Arc<PathBuf>,
    identity: open::Identity,
}

impl Store {
    /// Opens the database for the one process that serves it: takes the lock, makes or migrates the file,
    /// checks it, and starts the writer. Never starts anew over a damaged file.
    pub fn open(path: &Path, clock: &Clock, metrics: &Metrics) -> Result<(Store, FileLock), OpenError> {
        let lock = FileLock::take(path)?;
        let connection = open::for_writing(path, clock)?;
        let identity = open::Identity::of(path)?;
        let readers = open::readers(path)?;
        let damaged = |error: StoreError| OpenError::Damaged { path: path.to_owned(), detail: error.to_string() };
        let profiles = profile::Profiles::load(&connection).map_err(damaged)?;
        let schemas = event_type::Schemas::load(&connection).map_err(damaged)?;
        let writer = Writer::start(connection, profiles.clone(), schemas.clone(), clock.clone(), metrics.clone())?;
        let path = Arc::new(path.to_owned());
        let store = Store { readers, writer, profiles, schemas, path, identity };
        if open::is_checked_later(store.path()) {
            store.check_meanwhile()?;
        }
        Ok((store, lock))
    }

    /// Checks the file on a thread of its own; a damaged one is `broken` then.
    fn check_meanwhile(&self) -> Result<(), OpenError> {
        let store = self.clone();
        let check = move || {
            let found = store.read(|connection| Ok::<_, StoreError>(open::quick_check(connection)?));
            match found {
                Ok(None) => log::info!("{} was checked and is sound", store.path().display()),
                Ok(Some(detail)) => store.writer.break_down(&format!(
                    "{} is damaged: {detail}. Restore a backup, or copy the file away and try to recover it with the sqlite3 program.",
                    store.path().display()
                )),
                Err(error) => log::error!("the database could not be checked: {error}"),
            }
        };
        std::thread::Builder::new()
            .name("check".to_owned())
            .spawn(check)
            .map(drop)
            .map_err(|source| OpenError::Io { path: self.path().to_owned(), source })
    }

    /// Opens the database beside a running server, for one short statement. It must exist and be current.
    pub fn open_for_command(path: &Path) -> Result<Connection, OpenError> {
        open::for_command(path)
    }

    /// Runs a command's statements in one transaction: all of them count, or none does.
    pub fn together<T, E: From<StoreError>>(
        connection: &mut Connection,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let behavior = rusqlite::TransactionBehavior::Immediate;
        let transaction = connection.transaction_with_behavior(behavior).map_err(StoreError::from)?;
        let done = work(&transaction)?;
        transaction.commit().map_err(StoreError::from)?;
        Ok(done)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every profile by name.
    pub fn profiles(&self) -> &profile::Profiles {
        &self.profiles
    }

    /// The schemas of event types.
    pub fn schemas(&self) -> &event_type::Schemas {
        &self.schemas
    }

    /// Who is told what each commit changed. Set once, before the first write that matters to it.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.writer.observe(observer);
    }

    /// Runs a read on a connection of the pool. Short ones only: a long read keeps the log from shrinking.
    pub fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let connection = self.readers.get().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        read(&connection)
    }

    /// Reads within one snapshot: every statement of `read` sees the same state. Like [`Store::read`] otherwise.
    pub fn snapshot<T, E: From<StoreError>>(&self, read: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction().map_err(StoreError::from)?;
            read(&transaction)
        })
    }

    /// Hands a job to the writer without waiting for room: `Overloaded` where too many wait. The job runs in a
    /// savepoint of a group's transaction; its answer comes once the commit is on disk.
    pub fn write<T, E>(&self, job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static) -> Pending<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.submit(job)
    }

    /// Hands over a job, waiting for room, and calls back from the writer's thread once it is committed or failed.
    pub fn write_then<T, E>(
        &self,
        job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        then: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.submit_then(job, then);
    }

    /// Why the store can take nothing more, if so: the process has to end.
    pub fn broken(&self) -> Option<String> {
        self.writer.broken().or_else(|| self.identity.changed(&self.path))
    }

    /// Bytes of the database's file and of its write-ahead log.
    pub fn sizes(&self) -> (u64, u64) {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        (bytes(&self.path), bytes(&beside(&self.path, "-wal")))
    }

    /// Bytes that are free for this program on the disk that holds the database; `None` where nobody can tell.
    pub fn free_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&*self.path).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Finishes what was handed over and closes the writer's connection.
    pub fn close(&self) {
        self.writer.close();
    }
}
