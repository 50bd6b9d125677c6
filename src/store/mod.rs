//! The SQLite file, and all SQL.
//!
//! Owns the file, its lock, its schema and every statement. Contains no retry decisions, sends nothing, and never holds
//! a transaction over anything but its own statements.
//!
//! Locking and durability: **one writer thread** owns the only connection that writes (`writer`). It commits jobs in
//! groups, and returns their results after the commit is on disk (`synchronous=FULL`). Reads use a pool of read-only
//! connections and never wait for the writer (write-ahead log). An `Observer` receives the changes of each commit, in
//! the order of the commits.
//!
//! Secrets are encrypted at rest (`seal`), under a key that is not in the file (`master_key`).
//!
//! Reading order: `open`, `migrate`, `master_key`, `seal`, `writer`, `group`, `directory`, `sql`, `sql_types`, then one file per table.

pub mod allowed_target;
pub mod answer;
pub mod api_key;
pub mod attempt;
pub mod audit;
pub mod backup;
mod backup_socket;
pub mod body_format;
mod bounds;
pub mod bulk;
mod change;
pub mod contact;
pub mod damage;
pub mod dead_letter_counts;
pub mod delivery;
pub mod device;
pub mod diagnosis;
pub mod directory;
mod error;
pub mod event;
pub mod event_type;
pub mod filters;
#[cfg(test)]
#[path = "../../tests/it/support/fixtures.rs"]
mod fixtures;
mod group;
pub mod idempotency;
pub mod inbox;
pub mod incident;
mod index_scan;
#[cfg(test)]
mod job_costs;
mod lock;
pub mod master_key;
pub mod message;
mod migrate;
pub mod one_time_link;
mod online_copy;
mod open;
pub mod operational;
pub mod page;
mod part;
pub mod pause;
#[cfg(test)]
mod plans;
pub mod portal_link;
pub mod profile;
pub mod recovery_code;
mod replicator;
pub mod restore;
pub mod retention;
mod seal;
pub mod search;
pub mod session;
mod sql;
mod sql_types;
pub mod stats;
mod stats_delta;
pub mod sweep;
pub mod telling;
pub mod tenant;
pub mod topic;
mod used_seq;
pub mod user;
pub mod webhook;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub use backup_socket::BackupSocket;
pub use change::{Change, DueDelivery, Observer};
pub use error::{Result, StoreError};
pub use group::WriteTx;
pub use lock::FileLock;
pub use master_key::{KeySource, NeededKey};
pub use open::{OpenError, beside};
pub use part::free_bytes;
pub use rusqlite::Connection;
pub use seal::MasterKey;
pub use writer::Pending;

use crate::clock::Clock;
use crate::domain::time::Millis;
use crate::metrics::Metrics;
use writer::{Snapshots, Writer};

/// Pool of read-only connections.
type Readers = r2d2::Pool<r2d2_sqlite::SqliteConnectionManager>;

/// Open database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    readers: Readers,
    /// Connections for authentication, which long reads of pages and API calls cannot take.
    auth_readers: Readers,
    /// Connections of the delivery engine, which pages and API calls cannot take.
    delivery_readers: Readers,
    writer: Writer,
    profiles: profile::Profiles,
    schemas: event_type::Schemas,
    allowed_targets: allowed_target::AllowedTargets,
    filters: filters::Filters,
    path: Arc<PathBuf>,
    identity: open::Identity,
    is_replicated: bool,
    /// Held while the database is copied.
    copying: Arc<Mutex<()>>,
}

impl Store {
    /// Opens the database for the process that serves it: takes the lock, creates or migrates the file, checks it, and
    /// starts the writer. Never overwrites a damaged file.
    pub fn open(
        path: &Path,
        keys: &KeySource,
        clock: &Clock,
        metrics: &Metrics,
    ) -> Result<(Store, FileLock), OpenError> {
        Store::open_replicated(path, keys, clock, metrics, None)
    }

    /// Like [`open`](Self::open). `is_replicated`: whether a replicator writes the log into the file; looked for if `None`.
    pub fn open_replicated(
        path: &Path,
        keys: &KeySource,
        clock: &Clock,
        metrics: &Metrics,
        is_replicated: Option<bool>,
    ) -> Result<(Store, FileLock), OpenError> {
        let lock = FileLock::take(path)?;
        let (connection, unlocked) = open::for_writing(path, keys, clock)?;
        let is_replicated = is_replicated.unwrap_or_else(|| replicator::is_found(path));
        if is_replicated {
            open::leave_log(&connection).map_err(OpenError::sqlite(path))?;
        }
        let identity = open::Identity::of(path)?;
        part::remove_leftovers(part::folder_of(path));
        let readers = open::readers(path, open::READERS, &unlocked.key)?;
        let auth_readers = open::readers(path, open::AUTH_READERS, &unlocked.key)?;
        let delivery_readers = open::readers(path, open::DELIVERY_READERS, &unlocked.key)?;
        let damaged = |error: StoreError| OpenError::damaged(path, error);
        let profiles = profile::Profiles::load(&connection).map_err(damaged)?;
        let schemas = event_type::Schemas::load(&connection).map_err(damaged)?;
        let allowed_targets = allowed_target::AllowedTargets::load(&connection).map_err(damaged)?;
        let filters = filters::Filters::default();
        let snapshots = Snapshots {
            profiles: profiles.clone(),
            schemas: schemas.clone(),
            filters: filters.clone(),
            allowed_targets: allowed_targets.clone(),
        };
        let writer = Writer::start(connection, is_replicated, snapshots, clock.clone(), metrics.clone())?;
        let path = Arc::new(path.to_owned());
        let copying = Arc::default();
        let store = Store {
            readers,
            auth_readers,
            delivery_readers,
            writer,
            profiles,
            schemas,
            allowed_targets,
            filters,
            path,
            identity,
            is_replicated,
            copying,
        };
        if open::is_checked_later(store.path()) {
            store.check_in_background()?;
        }
        Ok((store, lock))
    }

    /// Checks the file on a thread and connection of its own, and marks the store as broken if the file is damaged.
    fn check_in_background(&self) -> Result<(), OpenError> {
        let store = self.clone();
        let check = move || {
            let path = store.path();
            let checked = backup::read_only(path).and_then(|connection| Ok(open::quick_check_tables(&connection)?));
            match checked {
                Ok(None) => log::info!("checked {}: no faults", path.display()),
                Ok(Some(detail)) => store.writer.break_down(&format!(
                    "{} is damaged: {detail}. Restore a backup, or copy the file and try to recover it with the sqlite3 program.",
                    path.display()
                )),
                Err(error) => log::error!("the database could not be checked: {error}. \"hookpost check\" checks it."),
            }
        };
        std::thread::Builder::new()
            .name("check".to_owned())
            .spawn(check)
            .map(drop)
            .map_err(|source| OpenError::Io { path: self.path().to_owned(), source })
    }

    /// Opens the database beside a running server, for a short statement without encrypted values. The file must exist and
    /// have the current schema.
    pub fn open_for_command(path: &Path) -> Result<Connection, OpenError> {
        open::for_command(path)
    }

    pub fn transaction<T, E: From<StoreError>>(
        connection: &mut Connection,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let behavior = rusqlite::TransactionBehavior::Immediate;
        let transaction = connection.transaction_with_behavior(behavior).map_err(StoreError::from)?;
        let result = work(&transaction)?;
        transaction.commit().map_err(StoreError::from)?;
        Ok(result)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn profiles(&self) -> &profile::Profiles {
        &self.profiles
    }

    pub fn schemas(&self) -> &event_type::Schemas {
        &self.schemas
    }

    pub fn allowed_targets(&self) -> &allowed_target::AllowedTargets {
        &self.allowed_targets
    }

    pub fn filters(&self) -> &filters::Filters {
        &self.filters
    }

    /// Sets the observer of commits. Set once, before the first write that it must see.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.writer.observe(observer);
    }

    /// Runs a read on a connection of the pool. It must be short: a long read keeps the write-ahead log from shrinking.
    /// Waits while all connections of the pool are in use, so it must not run on a thread that serves requests.
    pub fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        read_from(&self.readers, read)
    }

    /// Like [`read`](Self::read), for authentication: one lookup by key, which threads that serve requests may run.
    pub fn read_for_auth<T, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        read_from(&self.auth_readers, read)
    }

    /// Like [`read`](Self::read), for the delivery engine.
    pub fn read_for_delivery<T, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        read_from(&self.delivery_readers, read)
    }

    /// Runs a read within one snapshot: all its statements see the same state. Otherwise like [`Store::read`].
    pub fn snapshot<T, E: From<StoreError>>(&self, read: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction().map_err(StoreError::from)?;
            read(&transaction)
        })
    }

    /// Returns what is marked as changed by each commit with events, and by [`wake_waiting`](Self::wake_waiting).
    pub fn events_committed(&self) -> tokio::sync::watch::Receiver<()> {
        self.writer.events().subscribe()
    }

    /// Wakes those who wait for events.
    pub fn wake_waiting(&self) {
        self.writer.events().send_replace(());
    }

    /// Returns the reason why the store cannot write any more, if so. The process must then end.
    pub fn broken(&self) -> Option<String> {
        self.writer.broken().or_else(|| self.identity.changed(&self.path))
    }

    /// Returns whether the writer has been in one transaction for so long that it will probably never end.
    pub fn is_hung(&self) -> bool {
        self.writer.is_hung()
    }

    /// Returns the latest time of a commit since the last call; the minimum if there was none. It tells whether the clock
    /// was set back meanwhile.
    pub fn take_latest_ms(&self) -> Millis {
        self.writer.take_latest_ms()
    }

    /// Whether the server leaves the write-ahead log to a replicator.
    pub fn is_replicated(&self) -> bool {
        self.is_replicated
    }

    /// Returns the sizes of the database file and its write-ahead log, in bytes.
    pub fn sizes(&self) -> (u64, u64) {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        (bytes(&self.path), bytes(&beside(&self.path, "-wal")))
    }

    /// Returns the free bytes of the disk that holds the database; `None` if unknown.
    pub fn free_bytes(&self) -> Option<u64> {
        part::free_bytes(&self.path)
    }

    /// Finishes the queued jobs and closes the writer's connection.
    pub fn close(&self) {
        self.writer.close();
    }
}

fn read_from<T, E: From<StoreError>>(
    readers: &Readers,
    read: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let connection = readers.get().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    read(&connection)
}
