//! The writer thread and its group commit.
//!
//! Jobs arrive through a bounded channel. The writer takes all queued jobs, runs each in a savepoint, commits once, passes
//! the changes to the observer, and returns the results. A failed job is rolled back alone. If the transaction itself
//! fails (disk full, database locked), all jobs of the group fail. A disk error at COMMIT leaves the result unknown: the
//! store is then `broken`, refuses everything, and the process must end. The next start reads the true state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::change::{Change, Observer};
use super::directory::Directory;
use super::error::StoreError;
use super::event_type::Schemas;
use super::index_scan;
use super::open::OpenError;
use super::profile::Profiles;
use super::sql;
use super::stats_delta::StatsDelta;
use crate::clock::Clock;
use crate::domain::time::Millis;
use crate::metrics::Metrics;

/// Maximum queued jobs.
const QUEUE: usize = 4096;
/// Maximum jobs per commit.
const GROUP: usize = 1024;

/// Transaction of a job.
pub struct WriteTx<'a> {
    connection: &'a Connection,
    directory: &'a mut Directory,
    changes: Vec<Change>,
    now_ms: Millis,
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

    /// Statistics, to count changes as part of this job.
    pub(super) fn stats(&mut self) -> &mut StatsDelta {
        self.directory.stats()
    }

    /// Passes a change to the observer after the commit.
    pub fn notify(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Start time of the group.
    pub fn now_ms(&self) -> Millis {
        self.now_ms
    }
}

/// Result of a job, available once it is committed.
pub struct Pending<T, E>(oneshot::Receiver<Result<T, E>>);

impl<T, E: From<StoreError>> Pending<T, E> {
    /// Blocks until the commit.
    pub fn wait(self) -> Result<T, E> {
        self.0.blocking_recv().unwrap_or_else(|_| Err(StoreError::Stopping.into()))
    }

    /// Waits for the commit.
    pub async fn committed(self) -> Result<T, E> {
        self.0.await.unwrap_or_else(|_| Err(StoreError::Stopping.into()))
    }
}

/// Job of the writer.
trait Job: Send {
    /// Runs the job. Returns whether to keep its changes; otherwise they are rolled back.
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool;

    /// Returns the job's result to its caller, after the commit of its group.
    fn finish(self: Box<Self>, group: Result<(), StoreError>);
}

/// Job with the time at which it was queued.
struct QueuedJob {
    job: Box<dyn Job>,
    since: Instant,
}

impl QueuedJob {
    fn now(job: Box<dyn Job>) -> QueuedJob {
        QueuedJob { job, since: Instant::now() }
    }
}

struct Task<F, T, E, D> {
    job: Option<F>,
    result: Option<Result<T, E>>,
    then: D,
}

impl<F, T, E, D> Job for Task<F, T, E, D>
where
    F: FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send,
    D: FnOnce(Result<T, E>) + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool {
        let result = match self.job.take() {
            Some(job) => job(tx),
            None => Err(StoreError::Stopping.into()),
        };
        self.result.insert(result).is_ok()
    }

    fn finish(self: Box<Self>, group: Result<(), StoreError>) {
        let Task { result, then, .. } = *self;
        then(match (group, result) {
            (Ok(()), Some(result)) => result,
            // A job that failed keeps its own error.
            (Err(_), Some(Err(error))) => Err(error),
            (Err(error), _) => Err(error.into()),
            (Ok(()), None) => Err(StoreError::Stopping.into()),
        });
    }
}

/// Handle of the writer's thread. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    jobs: Mutex<Option<SyncSender<QueuedJob>>>,
    observer: OnceLock<Arc<dyn Observer>>,
    broken: OnceLock<String>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        profiles: Profiles,
        schemas: Schemas,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Writer, OpenError> {
        let path = connection.path().unwrap_or_default().into();
        let loaded = || -> Result<_, StoreError> {
            Ok((Directory::load(&connection)?, index_scan::furthest(&connection)?, index_scan::set_back(&connection)?))
        };
        let (directory, furthest_ms, set_back_ms) =
            loaded().map_err(|error| OpenError::Damaged { path, detail: error.to_string() })?;
        let (sender, receiver) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            jobs: Mutex::new(Some(sender)),
            observer: OnceLock::new(),
            broken: OnceLock::new(),
            thread: Mutex::new(None),
        });
        let group = Group {
            connection,
            directory,
            profiles,
            schemas,
            clock,
            furthest_ms,
            set_back_ms,
            metrics,
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                let shared = Arc::clone(&group.shared);
                let run = AssertUnwindSafe(move || group.run(&receiver));
                if catch_unwind(run).is_err() {
                    // Closing the connection rolls the group back.
                    Writer { shared }.break_down("a bug in Hookpost ended the writer; please report it with the log");
                }
            })
            .map_err(|source| OpenError::Io { path: "the writer's thread".into(), source })?;
        *shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(Writer { shared })
    }

    pub(super) fn observe(&self, observer: Arc<dyn Observer>) {
        // No caller sets a second observer; if one did, the first would stay.
        let _ = self.shared.observer.set(observer);
    }

    pub(super) fn submit<T, E>(
        &self,
        job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Pending<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, pending) = oneshot::channel();
        let task = task(job, move |result| {
            // The caller may have gone away; the commit stands.
            let _ = answer.send(result);
        });
        let refused = match self.sender() {
            None => Some((task, StoreError::Stopping)),
            Some(sender) => match sender.try_send(QueuedJob::now(task)) {
                Ok(()) => None,
                Err(TrySendError::Full(task)) => Some((task.job, StoreError::Overloaded)),
                Err(TrySendError::Disconnected(task)) => Some((task.job, StoreError::Stopping)),
            },
        };
        if let Some((task, error)) = refused {
            task.finish(Err(error));
        }
        Pending(pending)
    }

    pub(super) fn submit_then<T, E>(
        &self,
        job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        then: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let task = task(job, then);
        let refused = match self.sender() {
            None => Some(task),
            Some(sender) => {
                let sent = sender.send(QueuedJob::now(task));
                sent.err().map(|unsent| unsent.0.job)
            }
        };
        if let Some(task) = refused {
            task.finish(Err(StoreError::Stopping));
        }
    }

    fn sender(&self) -> Option<SyncSender<QueuedJob>> {
        self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn broken(&self) -> Option<String> {
        self.shared.broken.get().cloned()
    }

    /// Refuses all further jobs, for this reason.
    pub(super) fn break_down(&self, reason: &str) {
        log::error!("the database cannot be written any more: {reason}");
        // The first reason stays.
        let _ = self.shared.broken.set(reason.to_owned());
    }

    /// Refuses new jobs, finishes the queued ones, and ends the thread.
    pub(super) fn close(&self) {
        let jobs = self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(jobs);
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the writer was already reported.
            let _ = thread.join();
        }
    }
}

fn task<T, E>(
    job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    then: impl FnOnce(Result<T, E>) + Send + 'static,
) -> Box<dyn Job>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    Box::new(Task { job: Some(job), result: None, then })
}

/// State of the writer's thread.
struct Group {
    connection: Connection,
    directory: Directory,
    profiles: Profiles,
    schemas: Schemas,
    clock: Clock,
    /// Latest time at which a row was stored, and the furthest that the clock was set back.
    furthest_ms: Millis,
    set_back_ms: Millis,
    metrics: Metrics,
    shared: Arc<Shared>,
}

impl Group {
    fn run(mut self, jobs: &Receiver<QueuedJob>) {
        let mut group = Vec::with_capacity(GROUP);
        while let Ok(first) = jobs.recv() {
            let begins = Instant::now();
            let mut next = Some(first);
            while let Some(QueuedJob { job, since }) = next {
                self.metrics.writer_waited(begins.saturating_duration_since(since));
                group.push(job);
                next = if group.len() < GROUP { jobs.try_recv().ok() } else { None };
            }
            let committed = match self.shared.broken.get() {
                Some(reason) => Err(StoreError::Unavailable(reason.clone())),
                None => self.commit(&mut group),
            };
            let result = committed.map(|changes| self.publish(changes)).inspect_err(|error| {
                log::error!("a group of {} jobs failed: {error}", group.len());
            });
            for job in group.drain(..) {
                job.finish(result.clone());
            }
        }
        // Shortens the log for the next start. A failure only costs time then.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    fn publish(&self, changes: Vec<Change>) {
        for change in &changes {
            self.profiles.apply(change);
            self.schemas.apply(change);
        }
        if let Some(observer) = self.shared.observer.get()
            && !changes.is_empty()
        {
            observer.committed(changes);
        }
    }

    /// Runs all jobs in one transaction. On error nothing of the group is kept.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<Vec<Change>, StoreError> {
        let result = self.transaction(group);
        if result.is_err() {
            if !self.connection.is_autocommit() {
                // If this fails, the next BEGIN fails and reports it.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            // The directory holds changes of the failed group.
            match Directory::load(&self.connection) {
                Ok(directory) => self.directory = directory,
                Err(error) => self.break_down(&error.to_string()),
            }
        }
        result
    }

    fn transaction(&mut self, group: &mut [Box<dyn Job>]) -> Result<Vec<Change>, StoreError> {
        sql::run(&self.connection, "BEGIN IMMEDIATE", [])?;
        let now_ms = self.clock.now_ms();
        let set_back_ms = self.furthest_ms.saturating_sub(now_ms);
        if set_back_ms > self.set_back_ms {
            index_scan::note_set_back(&self.connection, set_back_ms)?;
        }
        let mut tx = WriteTx {
            connection: &self.connection,
            directory: &mut self.directory,
            changes: Vec::with_capacity(group.len()),
            now_ms,
        };
        for job in group.iter_mut() {
            sql::run(tx.connection, "SAVEPOINT job", [])?;
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
        }
        let finished = tx.directory.flush(tx.connection, tx.now_ms)?;
        let changes = tx.changes;
        if let Err(error) = sql::run(&self.connection, "COMMIT", []) {
            if matches!(error, StoreError::Unavailable(_) | StoreError::Corrupt(_)) {
                self.break_down(&error.to_string());
            }
            return Err(error);
        }
        self.furthest_ms = self.furthest_ms.max(now_ms);
        self.set_back_ms = self.set_back_ms.max(set_back_ms);
        self.metrics.committed(group.len());
        self.metrics.finished(finished.delivered, finished.failed, finished.discarded);
        Ok(changes)
    }

    fn break_down(&self, reason: &str) {
        Writer { shared: Arc::clone(&self.shared) }.break_down(reason);
    }
}
