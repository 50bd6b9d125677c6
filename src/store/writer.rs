//! The writer thread and its group commit.
//!
//! Jobs arrive through a bounded channel. The writer takes all queued jobs, runs each in a savepoint, commits once, passes
//! the changes to the observer, and returns the results. A job that fails or panics is rolled back alone. If the transaction itself
//! fails (disk full, database locked), all jobs of the group fail. A disk error at COMMIT leaves the result unknown: the
//! store is then `broken`, refuses everything, and the process must end. The next start reads the true state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Store;
use super::change::{Change, Observer};
use super::damage;
use super::directory::Directory;
use super::error::{Result, StoreError};
use super::event_type::Schemas;
use super::index_scan;
use super::online_copy::Requested;
use super::open::OpenError;
use super::profile::Profiles;
use super::sql;
use super::stats_delta::StatsDelta;
use crate::clock::Clock;
use crate::domain::time::Millis;
use crate::metrics::Metrics;

/// Maximum queued jobs.
const QUEUE: usize = 4096;
/// Maximum bytes of queued jobs. An idle writer takes a job of any size.
const QUEUE_BYTES: usize = 64 << 20;
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
}

impl<'a> WriteTx<'a> {
    /// Runs jobs of a test on their own connection, without a writer.
    #[cfg(test)]
    pub(super) fn of_test(connection: &'a Connection, directory: &'a mut Directory, now_ms: Millis) -> WriteTx<'a> {
        WriteTx { connection, directory, changes: Vec::new(), now_ms, forgets_set_back: false }
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

    /// Statistics, to count changes as part of this job.
    pub(super) fn stats(&mut self) -> &mut StatsDelta {
        self.directory.stats()
    }

    /// Passes a change to the observer after the commit.
    pub fn notify(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Forgets that the clock was set back, if no row from before is left.
    pub(super) fn forget_set_back(&mut self) -> Result<()> {
        self.forgets_set_back |= index_scan::forget_set_back(self.connection)?;
        Ok(())
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

trait Job: Send {
    /// Runs the job. Returns whether to keep its changes; otherwise they are rolled back.
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool;

    /// Returns the job's result to its caller, after the commit of its group.
    fn finish(self: Box<Self>, group: Result<()>);
}

struct QueuedJob {
    job: Box<dyn Job>,
    /// When the job was queued.
    since: Instant,
    /// Memory that the job holds, as its caller states it; 0 for jobs of little.
    bytes: usize,
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
        let Some(job) = self.job.take() else {
            return false;
        };
        // The caller rolls back everything that the job changed, so nothing half done is seen afterwards.
        let result = catch_unwind(AssertUnwindSafe(|| job(tx))).unwrap_or_else(|_| Err(StoreError::Panicked.into()));
        self.result.insert(result).is_ok()
    }

    fn finish(self: Box<Self>, group: Result<()>) {
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
    /// Bytes of the jobs that are queued or not committed yet.
    queued_bytes: AtomicUsize,
    observer: OnceLock<Arc<dyn Observer>>,
    broken: OnceLock<String>,
    /// Latest time of a commit since it was last asked for.
    latest_ms: AtomicI64,
    thread: Mutex<Option<JoinHandle<()>>>,
    copy: Requested,
}

impl Shared {
    /// Counts the bytes of a job. Returns `false` if there is no room for them.
    fn reserve(&self, bytes: usize) -> bool {
        let counted = self.queued_bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |queued| {
            let sum = queued.saturating_add(bytes);
            (bytes == 0 || queued == 0 || sum <= QUEUE_BYTES).then_some(sum)
        });
        counted.is_ok()
    }

    fn release(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::SeqCst);
    }
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
        let loaded = || -> Result<_> {
            Ok((Directory::load(&connection)?, index_scan::newest_ms(&connection)?, index_scan::set_back(&connection)?))
        };
        let (directory, last_ms, set_back_ms) =
            loaded().map_err(|error| OpenError::Damaged { path, detail: error.to_string() })?;
        let (sender, receiver) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            jobs: Mutex::new(Some(sender)),
            queued_bytes: AtomicUsize::new(0),
            observer: OnceLock::new(),
            broken: OnceLock::new(),
            latest_ms: AtomicI64::new(Millis::MIN),
            thread: Mutex::new(None),
            copy: Requested::default(),
        });
        let started = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                let shared = Arc::clone(&started);
                let run = AssertUnwindSafe(move || {
                    let group = Group {
                        connection: &connection,
                        directory,
                        profiles,
                        schemas,
                        clock,
                        last_ms,
                        furthest_ms: last_ms.saturating_add(set_back_ms),
                        metrics,
                        shared: started,
                    };
                    group.run(&receiver);
                });
                if catch_unwind(run).is_err() {
                    // Closing the connection rolls the group back.
                    Writer { shared }.break_down("a bug in Hookpost ended the writer; please report it with the log");
                }
            })
            .map_err(|source| OpenError::Io { path: "the writer's thread".into(), source })?;
        *lock(&shared.thread) = Some(thread);
        Ok(Writer { shared })
    }

    pub(super) fn observe(&self, observer: Arc<dyn Observer>) {
        // No caller sets a second observer; if one did, the first would stay.
        let _ = self.shared.observer.set(observer);
    }

    /// Sends a job to the thread. A job that cannot be sent finishes with an error.
    fn queue(
        &self,
        job: Box<dyn Job>,
        bytes: usize,
        send: impl FnOnce(&SyncSender<QueuedJob>, QueuedJob) -> Result<(), TrySendError<QueuedJob>>,
    ) {
        if !self.shared.reserve(bytes) {
            job.finish(Err(StoreError::Overloaded));
            return;
        }
        let queued = QueuedJob { job, since: Instant::now(), bytes };
        let sender = lock(&self.shared.jobs).clone();
        let sent = match sender {
            Some(sender) => send(&sender, queued),
            None => Err(TrySendError::Disconnected(queued)),
        };
        let (refused, error) = match sent {
            Ok(()) => return,
            Err(TrySendError::Full(refused)) => (refused, StoreError::Overloaded),
            Err(TrySendError::Disconnected(refused)) => (refused, StoreError::Stopping),
        };
        self.shared.release(refused.bytes);
        refused.job.finish(Err(error));
    }

    pub(super) fn take_latest_ms(&self) -> Millis {
        self.shared.latest_ms.swap(Millis::MIN, Ordering::SeqCst)
    }

    /// Runs a job that changes nothing, after which the thread looks for a requested copy.
    pub(super) fn wake(&self) -> Result<()> {
        let (answer, pending) = oneshot::channel();
        let then = move |result| drop(answer.send(result));
        let job = Some(|_: &mut WriteTx<'_>| -> Result<()> { Ok(()) });
        self.queue(Box::new(Task { job, result: None, then }), 0, |sender, job| sender.try_send(job));
        Pending(pending).wait()
    }

    /// Place for a copy that the thread is to run.
    pub(super) fn requested_copy(&self) -> &Requested {
        &self.shared.copy
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
        drop(lock(&self.shared.jobs).take());
        let thread = lock(&self.shared.thread).take();
        if let Some(thread) = thread {
            // A panic of the writer was already reported.
            let _ = thread.join();
        }
    }
}

impl Store {
    /// Submits a job to the writer, or fails with `Overloaded` if the queue is full. The job runs in a savepoint of a
    /// group's transaction. Its result is returned once the commit is on disk.
    pub fn write<T, E>(&self, job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static) -> Pending<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write_sized(0, job)
    }

    /// Like [`write`](Self::write), for a job that holds this many bytes. The queue is full, too, if its jobs together
    /// hold more than 64 MiB.
    pub fn write_sized<T, E>(
        &self,
        bytes: usize,
        job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Pending<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, pending) = oneshot::channel();
        // The caller may have gone away; the commit stands.
        let then = move |result| drop(answer.send(result));
        let task = Box::new(Task { job: Some(job), result: None, then });
        self.writer.queue(task, bytes, |sender, job| sender.try_send(job));
        Pending(pending)
    }

    /// Submits a job, blocking while the queue is full. Calls `then` on the writer's thread once the job is committed or
    /// has failed.
    pub fn write_then<T, E>(
        &self,
        job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        then: impl FnOnce(Result<T, E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let send =
            |sender: &SyncSender<_>, job| sender.send(job).map_err(|unsent| TrySendError::Disconnected(unsent.0));
        self.writer.queue(Box::new(Task { job: Some(job), result: None, then }), 0, send);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// State of the writer's thread.
struct Group<'a> {
    connection: &'a Connection,
    directory: Directory,
    profiles: Profiles,
    schemas: Schemas,
    clock: Clock,
    /// Time of the last commit, and the latest time at which a row was stored.
    last_ms: Millis,
    furthest_ms: Millis,
    metrics: Metrics,
    shared: Arc<Shared>,
}

impl Group<'_> {
    fn run(mut self, jobs: &Receiver<QueuedJob>) {
        let connection = self.connection;
        let mut group = Vec::with_capacity(GROUP);
        while self.run_group(jobs, &mut group) {
            if let Some(copy) = self.shared.copy.take() {
                copy.run(connection, || self.run_group(jobs, &mut group));
            }
        }
        // Nobody runs it any more, and its caller learns that.
        drop(self.shared.copy.take());
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
                    log::error!("a group of {} jobs failed: {error}", group.len());
                    (Err(error), group.len())
                }
            };
            for job in group.drain(..count) {
                job.finish(result.clone());
            }
        }
        self.shared.release(group_bytes);
        true
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
            index_scan::note_set_back(self.connection, self.furthest_ms.saturating_sub(now_ms))?;
        }
        let mut tx = WriteTx {
            connection: self.connection,
            directory: &mut self.directory,
            changes: Vec::with_capacity(group.len()),
            now_ms,
            forgets_set_back: false,
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
        let finished = tx.directory.flush(tx.connection, tx.now_ms)?;
        if damage::take_page_met() {
            // The transaction cannot be committed.
            return Err(StoreError::Undone);
        }
        let WriteTx { changes, forgets_set_back, .. } = tx;
        if let Err(error) = sql::run(self.connection, "COMMIT", []) {
            if matches!(error, StoreError::Unavailable(_) | StoreError::DamagedPage(_)) {
                self.break_down(&error.to_string());
            }
            return Err(error);
        }
        self.last_ms = now_ms;
        self.furthest_ms = if forgets_set_back { now_ms } else { self.furthest_ms.max(now_ms) };
        self.shared.latest_ms.fetch_max(now_ms, Ordering::SeqCst);
        self.metrics.committed(count);
        self.metrics.finished(finished.delivered, finished.failed, finished.discarded);
        Ok((changes, count))
    }

    fn break_down(&self, reason: &str) {
        Writer { shared: Arc::clone(&self.shared) }.break_down(reason);
    }
}
