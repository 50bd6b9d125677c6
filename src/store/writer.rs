//! The writer thread and its queue, bounded in jobs and bytes. `group` commits what is queued.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::Store;
use super::allowed_target::AllowedTargets;
use super::bounds;
use super::change::{Change, Observer};
use super::directory::Directory;
use super::error::{Result, StoreError};
use super::event_type::Schemas;
use super::filters::Filters;
use super::group::{Group, WriteTx};
use super::online_copy::Requested;
use super::open::OpenError;
use super::profile::Profiles;
use crate::clock::Clock;
use crate::domain::time::Millis;
use crate::metrics::Metrics;

/// Maximum queued jobs.
const QUEUE: usize = 4096;
/// Maximum bytes of queued jobs. An idle writer takes a job of any size.
const QUEUE_BYTES: usize = 64 << 20;
/// Time after which a transaction hangs. The largest takes a part of a second.
const HUNG: Duration = Duration::from_secs(10);

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

pub(super) trait Job: Send {
    /// Runs the job. Returns whether to keep its changes; otherwise they are rolled back.
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool;

    /// Returns the job's result to its caller, after the commit of its group.
    fn finish(self: Box<Self>, group: Result<()>);
}

pub(super) struct QueuedJob {
    pub(super) job: Box<dyn Job>,
    /// When the job was queued.
    pub(super) since: Instant,
    /// Memory that the job holds, as its caller states it; 0 for jobs of little.
    pub(super) bytes: usize,
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

/// State in memory that commits change and other threads read.
pub(super) struct Snapshots {
    pub(super) profiles: Profiles,
    pub(super) schemas: Schemas,
    pub(super) filters: Filters,
    pub(super) allowed_targets: AllowedTargets,
}

impl Snapshots {
    pub(super) fn apply(&self, change: &Change) {
        self.profiles.apply(change);
        self.schemas.apply(change);
        self.filters.apply(change);
        self.allowed_targets.apply(change);
    }
}

/// Handle of the writer's thread. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    jobs: Mutex<Option<SyncSender<QueuedJob>>>,
    /// Bytes of the jobs that are queued or not committed yet.
    queued_bytes: AtomicUsize,
    pub(super) observer: OnceLock<Arc<dyn Observer>>,
    pub(super) broken: OnceLock<String>,
    /// When the transaction began that runs now.
    pub(super) busy_since: Mutex<Option<Instant>>,
    /// Latest time of a commit since it was last asked for.
    pub(super) latest_ms: AtomicI64,
    /// Marked as changed by each commit with events.
    pub(super) events: watch::Sender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
    pub(super) copy: Requested,
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

    pub(super) fn set_busy(&self, is_busy: bool) {
        *lock(&self.busy_since) = is_busy.then(Instant::now);
    }

    pub(super) fn release(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::SeqCst);
    }
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        is_replicated: bool,
        snapshots: Snapshots,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Writer, OpenError> {
        let path = connection.path().unwrap_or_default().into();
        let loaded = || -> Result<_> {
            Ok((Directory::load(&connection)?, bounds::newest_ms(&connection)?, bounds::set_back(&connection)?))
        };
        let (directory, last_ms, set_back_ms) =
            loaded().map_err(|error| OpenError::Damaged { path, detail: error.to_string() })?;
        snapshots.filters.fill(directory.iter());
        let (sender, receiver) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            jobs: Mutex::new(Some(sender)),
            queued_bytes: AtomicUsize::new(0),
            observer: OnceLock::new(),
            broken: OnceLock::new(),
            busy_since: Mutex::default(),
            latest_ms: AtomicI64::new(Millis::MIN),
            events: watch::Sender::new(()),
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
                        is_replicated,
                        directory,
                        snapshots,
                        clock,
                        last_ms,
                        furthest_ms: last_ms.saturating_add(set_back_ms),
                        has_erasures: false,
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

    pub(super) fn events(&self) -> &watch::Sender<()> {
        &self.shared.events
    }

    /// Place for a copy that the thread is to run.
    pub(super) fn requested_copy(&self) -> &Requested {
        &self.shared.copy
    }

    pub(super) fn broken(&self) -> Option<String> {
        self.shared.broken.get().cloned()
    }

    /// Returns whether a transaction takes so long that it will probably never end.
    pub(super) fn is_hung(&self) -> bool {
        lock(&self.shared.busy_since).is_some_and(|since| since.elapsed() >= HUNG)
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
