//! The group commit.
//!
//! The writer takes all queued jobs, runs each in a savepoint, commits once, passes the changes to the observer, and returns
//! the results. A job that fails or panics is rolled back alone. If the transaction itself fails (disk full, database
//! locked), all jobs of the group fail. A disk error at COMMIT leaves the result unknown: the store is then `broken`,
//! refuses everything, and the process must end. The next start reads the true state.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use rusqlite::Connection;

use super::bounds;
use super::change::Change;
use super::damage;
use super::directory::Directory;
use super::error::{Result, StoreError};
use super::sql;
use super::writer::{Job, QueuedJob, Shared, Snapshots, Writer};
use crate::clock::Clock;
use crate::domain::time::Millis;
use crate::metrics::Metrics;

/// Maximum jobs per commit.
const GROUP: usize = 1024;
/// Rows after which a commit takes no further job: about 100 milliseconds.
const GROUP_ROWS: u64 = 10_000;
/// Maximum rows that one job may change. Actions on more rows take several jobs.
const JOB_ROWS: u64 = 15_000;

/// Transaction of a job.
pub struct WriteTx<'a> {
    connection: &'a Connection,
    directory: &'a mut Directory,
    changes: Vec<Change>,
    now_ms: Millis,
    forgets_set_back: bool,
    /// Whether an event was inserted that is no test.
    has_events: bool,
    /// Whether an event was erased since the start. Attempts that were under way then are looked at.
    has_erasures: bool,
}

impl<'a> WriteTx<'a> {
    /// Runs jobs of a test on their own connection, without a writer.
    #[cfg(test)]
    pub(super) fn of_test(connection: &'a Connection, directory: &'a mut Directory, now_ms: Millis) -> WriteTx<'a> {
        WriteTx {
            connection,
            directory,
            changes: Vec::new(),
            now_ms,
            forgets_set_back: false,
            has_events: false,
            has_erasures: false,
        }
    }
}

impl WriteTx<'_> {
    pub fn connection(&self) -> &Connection {
        self.connection
    }

    /// All webhooks as of this transaction, without a query.
    pub fn directory(&self) -> &Directory {
        self.directory
    }

    pub(super) fn directory_mut(&mut self) -> &mut Directory {
        self.directory
    }

    /// Passes a change to the observer after the commit.
    pub fn notify(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Has attempts looked at from now on, whether their event was erased.
    pub(super) fn note_erasure(&mut self) {
        self.has_erasures = true;
    }

    pub(super) fn has_erasures(&self) -> bool {
        self.has_erasures
    }

    /// Wakes those who wait for events, after the commit.
    pub(super) fn note_event(&mut self) {
        self.has_events = true;
    }

    /// Forgets that the clock was set back, if no row from before is left.
    pub(super) fn forget_set_back(&mut self) -> Result<()> {
        self.forgets_set_back |= bounds::forget_set_back(self.connection)?;
        Ok(())
    }

    /// Start time of the group.
    pub fn now_ms(&self) -> Millis {
        self.now_ms
    }
}

/// State of the writer's thread.
pub(super) struct Group<'a> {
    pub(super) connection: &'a Connection,
    /// Whether the log is a replicator's.
    pub(super) is_replicated: bool,
    pub(super) directory: Directory,
    pub(super) snapshots: Snapshots,
    pub(super) clock: Clock,
    /// Time of the last commit, and the latest time at which a row was stored.
    pub(super) last_ms: Millis,
    pub(super) furthest_ms: Millis,
    /// Whether an event was erased since the start.
    pub(super) has_erasures: bool,
    pub(super) metrics: Metrics,
    pub(super) shared: Arc<Shared>,
}

impl Group<'_> {
    pub(super) fn run(mut self, jobs: &Receiver<QueuedJob>) {
        let connection = self.connection;
        let mut group = Vec::with_capacity(GROUP);
        while self.run_group(jobs, &mut group) {
            if let Some(copy) = self.shared.copy.take() {
                copy.run(connection, || self.run_group(jobs, &mut group));
            }
        }
        // A requested copy is not made any more. Dropping it ends the wait of its caller with an error.
        drop(self.shared.copy.take());
        if self.is_replicated {
            return;
        }
        // Shortens the log for the next start. A failure only costs time then.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// Waits for a job, and runs all that are queued as one group. Returns `false` once the writer is closed.
    fn run_group(&mut self, jobs: &Receiver<QueuedJob>, group: &mut Vec<Box<dyn Job>>) -> bool {
        let Ok(first) = jobs.recv() else { return false };
        let begins = Instant::now();
        let mut next = Some(first);
        let mut group_bytes = 0;
        while let Some(QueuedJob { job, since, bytes }) = next {
            group_bytes += bytes;
            self.metrics.writer_waited(begins.saturating_duration_since(since));
            group.push(job);
            next = if group.len() < GROUP { jobs.try_recv().ok() } else { None };
        }
        while !group.is_empty() {
            self.shared.set_busy(true);
            let committed = match self.shared.broken.get() {
                Some(reason) => Err(StoreError::Unavailable(reason.clone())),
                None => self.commit(group),
            };
            let (result, count) = match committed {
                Ok((changes, count)) => {
                    self.publish(changes);
                    (Ok(()), count)
                }
                Err(error) => {
                    log::error!("{} writes failed together, and their callers are told: {error}", group.len());
                    (Err(error), group.len())
                }
            };
            if count == group.len() {
                // Before the callers learn of it, so that they find the room that their jobs left.
                self.shared.release(std::mem::take(&mut group_bytes));
            }
            for job in group.drain(..count) {
                job.finish(result.clone());
            }
        }
        self.shared.set_busy(false);
        true
    }

    fn publish(&self, changes: Vec<Change>) {
        for change in &changes {
            self.snapshots.apply(change);
        }
        if let Some(observer) = self.shared.observer.get()
            && !changes.is_empty()
        {
            observer.committed(changes);
        }
    }

    /// Runs the first jobs in one transaction, all unless they change many rows. Returns their changes and their number.
    /// On error nothing is kept, and all jobs have failed.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(Vec<Change>, usize)> {
        let result = self.transaction(group);
        if result.is_err() {
            if !self.connection.is_autocommit() {
                // If this fails, the next BEGIN fails and reports it.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            // The directory holds changes of the failed group.
            match Directory::load(self.connection) {
                Ok(directory) => self.directory = directory,
                Err(error) => self.break_down(&error.to_string()),
            }
        }
        result
    }

    fn transaction(&mut self, group: &mut [Box<dyn Job>]) -> Result<(Vec<Change>, usize)> {
        sql::run(self.connection, "BEGIN IMMEDIATE", [])?;
        let rows_at_begin = self.connection.total_changes();
        damage::take_page_met();
        let now_ms = self.clock.now_ms();
        if now_ms < self.last_ms {
            bounds::note_set_back(self.connection, self.furthest_ms.saturating_sub(now_ms))?;
        }
        let mut tx = WriteTx {
            connection: self.connection,
            directory: &mut self.directory,
            changes: Vec::with_capacity(group.len()),
            now_ms,
            forgets_set_back: false,
            has_events: false,
            has_erasures: self.has_erasures,
        };
        let mut count = 0;
        for job in group.iter_mut() {
            sql::run(tx.connection, "SAVEPOINT job", [])?;
            let rows_before = tx.connection.total_changes();
            let changes_before = tx.changes.len();
            if job.run(&mut tx) {
                tx.changes[changes_before..].iter().for_each(|change| tx.directory.apply(change));
            } else {
                tx.changes.truncate(changes_before);
                tx.directory.undo_job();
                if tx.connection.is_autocommit() {
                    // The error rolled the whole transaction back, as a full disk does.
                    return Err(StoreError::Full);
                }
                sql::run(tx.connection, "ROLLBACK TO job", [])?;
            }
            tx.directory.end_job();
            sql::run(tx.connection, "RELEASE job", [])?;
            count += 1;
            let rows = tx.connection.total_changes();
            debug_assert!(rows - rows_before <= JOB_ROWS, "one job changed {} rows", rows - rows_before);
            if rows - rows_at_begin >= GROUP_ROWS {
                break;
            }
        }
        // Also if the transaction fails: a look too many does no harm.
        self.has_erasures = tx.has_erasures;
        let finished = tx.directory.flush(tx.connection, tx.now_ms)?;
        if damage::take_page_met() {
            // The transaction cannot be committed.
            return Err(StoreError::Undone);
        }
        let WriteTx { changes, forgets_set_back, has_events, .. } = tx;
        if let Err(error) = sql::run(self.connection, "COMMIT", []) {
            if matches!(error, StoreError::Unavailable(_) | StoreError::DamagedPage(_)) {
                self.break_down(&error.to_string());
            }
            return Err(error);
        }
        self.last_ms = now_ms;
        self.furthest_ms = if forgets_set_back { now_ms } else { self.furthest_ms.max(now_ms) };
        self.shared.latest_ms.fetch_max(now_ms, Ordering::SeqCst);
        if has_events {
            self.shared.events.send_replace(());
        }
        self.metrics.committed(count);
        self.metrics.finished(finished.delivered, finished.failed, finished.discarded);
        Ok((changes, count))
    }

    fn break_down(&self, reason: &str) {
        Writer { shared: Arc::clone(&self.shared) }.break_down(reason);
    }
}
