//! The one thread that writes, and its group commit.
//!
//! Jobs come over a bounded channel. The writer takes all that wait, runs each in a savepoint, commits once,
//! then tells the observer what changed and answers every job. A job that fails is rolled back alone. Where
//! the transaction itself fails (disk full, held by another program) every job of the group failed, and each
//! waiter is told so. An error of the disk at COMMIT leaves the outcome unknown: the store is then `broken`,
//! everything is refused, and the process has to end; what it finds at the next start is the truth.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::directory::Directory;
use super::error::StoreError;
use super::event_type::Schemas;
use super::index_scan;
use super::open::OpenError;
use super::profile::Profiles;
use crate::clock::Clock;
use crate::domain::delivery::Trigger;
use crate::domain::event::{Event, EventType};
use crate::domain::id::DeliveryId;
use crate::domain::schema::Schema;
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::metrics::Metrics;
use crate::profile::Profile;

/// Jobs that wait at most.
const QUEUE: usize = 4096;
/// Jobs of one commit at most.
const GROUP: usize = 1024;

/// What a commit changed, for who sends deliveries.
#[derive(Debug, Clone)]
pub enum Change {
    /// A delivery is due now.
    Due(DueDelivery),
    /// An attempt was recorded; the next one is due at the time, or there is none.
    Recorded { webhook_seq: i64, delivery_seq: i64, next_due_ms: Option<Millis> },
    /// A delivery is no longer to be sent.
    Withdrawn { webhook_seq: i64, delivery_seq: i64 },
    /// What is due for the webhook has to be read from the table again, deliveries from this number on.
    Reread { webhook_seq: i64, from_seq: i64 },
    /// A webhook was made or changed.
    Webhook(Arc<Webhook>),
    /// A webhook was deleted.
    WebhookGone { webhook_seq: i64 },
    /// A custom profile was made or changed; webhooks that use it follow as `Webhook`.
    Profile(Arc<Profile>),
    /// A custom profile was deleted.
    ProfileGone { name: String },
    /// An event type was described, changed or forgotten; the schema that it has from here on.
    EventType { name: EventType, schema: Option<Arc<Schema>> },
}

/// A delivery whose first attempt is due.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    pub seq: i64,
    pub id: DeliveryId,
    pub webhook_seq: i64,
    pub event: Arc<Event>,
    pub due_ms: Millis,
    pub attempt_count: u32,
    pub trigger: Trigger,
}

/// Who is told what each commit changed, in order, from the writer's thread: it must not wait for the writer.
pub trait Observer: Send + Sync {
    fn committed(&self, notices: Vec<Change>);
}

/// The transaction that a job runs in.
pub struct WriteTx<'a> {
    connection: &'a Connection,
    directory: &'a mut Directory,
    notices: Vec<Change>,
    now_ms: Millis,
}

impl WriteTx<'_> {
    pub fn connection(&self) -> &Connection {
        self.connection
    }

    /// Every webhook as of this transaction, without a query.
    pub fn directory(&self) -> &Directory {
        self.directory
    }

    pub(super) fn directory_mut(&mut self) -> &mut Directory {
        self.directory
    }

    /// Says what changed, for after the commit.
    pub fn notify(&mut self, notice: Change) {
        self.notices.push(notice);
    }

    /// The time at which the group began.
    pub fn now_ms(&self) -> Millis {
        self.now_ms
    }
}

/// An answer that comes once the job is committed.
pub struct Pending<T, E>(oneshot::Receiver<Result<T, E>>);

impl<T, E: From<StoreError>> Pending<T, E> {
    /// Waits for the commit; from a thread that may block.
    pub fn wait(self) -> Result<T, E> {
        self.0.blocking_recv().unwrap_or_else(|_| Err(StoreError::Stopping.into()))
    }

    /// Waits for the commit.
    pub async fn committed(self) -> Result<T, E> {
        self.0.await.unwrap_or_else(|_| Err(StoreError::Stopping.into()))
    }
}

/// A job in the queue: first run, then told how the commit went.
trait Job: Send {
    fn run(&mut self, tx: &mut WriteTx<'_>) -> Ran;
    fn done(self: Box<Self>, group: Result<(), StoreError>);
}

/// A job in the queue, and since when it is there.
struct QueuedJob {
    job: Box<dyn Job>,
    since: Instant,
}

impl QueuedJob {
    fn now(job: Box<dyn Job>) -> QueuedJob {
        QueuedJob { job, since: Instant::now() }
    }
}

/// How a job went before the commit.
enum Ran {
    /// It wants to be kept.
    Kept,
    /// It failed; what it wrote is rolled back.
    RolledBack,
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
    fn run(&mut self, tx: &mut WriteTx<'_>) -> Ran {
        let result = match self.job.take() {
            Some(job) => job(tx),
            None => Err(StoreError::Stopping.into()),
        };
        let ran = if result.is_ok() { Ran::Kept } else { Ran::RolledBack };
        self.result = Some(result);
        ran
    }

    fn done(self: Box<Self>, group: Result<(), StoreError>) {
        let Task { result, then, .. } = *self;
        then(match (group, result) {
            (Ok(()), Some(result)) => result,
            // A job that failed by itself keeps its own reason.
            (Err(_), Some(Err(error))) => Err(error),
            (Err(error), _) => Err(error.into()),
            (Ok(()), None) => Err(StoreError::Stopping.into()),
        });
    }
}

/// The way to the writer's thread. Cheap to clone.
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
                    // What the panicking group wrote is rolled back as its connection closes.
                    Writer { shared }.break_down("a fault in Hookpost ended the writer; please report it with the log");
                }
            })
            .map_err(|source| OpenError::Io { path: "the writer's thread".into(), source })?;
        *shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(Writer { shared })
    }

    pub(super) fn observe(&self, observer: Arc<dyn Observer>) {
        // A second observer is a fault of the program that no caller makes; the first one stays.
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
            // Who asked may have gone away; the commit stands all the same.
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
        if let Some((task, why)) = refused {
            task.done(Err(why));
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
            task.done(Err(StoreError::Stopping));
        }
    }

    fn sender(&self) -> Option<SyncSender<QueuedJob>> {
        self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn broken(&self) -> Option<String> {
        self.shared.broken.get().cloned()
    }

    /// Refuses everything from here on, for this reason.
    pub(super) fn break_down(&self, why: &str) {
        log::error!("the database cannot be written any more: {why}");
        // The first reason is the one that counts.
        let _ = self.shared.broken.set(why.to_owned());
    }

    /// Takes no more jobs, finishes those that wait, and ends the thread.
    pub(super) fn close(&self) {
        let jobs = self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(jobs);
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the writer was reported when it happened.
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

/// The writer's thread.
struct Group {
    connection: Connection,
    directory: Directory,
    profiles: Profiles,
    schemas: Schemas,
    clock: Clock,
    /// The latest time that a row was stored at, and how far the clock was set back at most.
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
            let outcome = match self.shared.broken.get() {
                Some(why) => Err(StoreError::Unavailable(why.clone())),
                None => self.commit(&mut group),
            };
            let told = match outcome {
                Ok(notices) => {
                    for notice in &notices {
                        self.profiles.apply(notice);
                        self.schemas.apply(notice);
                    }
                    if let Some(observer) = self.shared.observer.get()
                        && !notices.is_empty()
                    {
                        observer.committed(notices);
                    }
                    Ok(())
                }
                Err(error) => {
                    log::error!("a group of {} changes failed: {error}", group.len());
                    Err(error)
                }
            };
            for job in group.drain(..) {
                job.done(told.clone());
            }
        }
        // Leaves a short log behind for the next start; a failure costs time then, nothing else.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// Runs every job in one transaction. `Err` means that nothing of the group is kept.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<Vec<Change>, StoreError> {
        let outcome = self.transaction(group);
        if outcome.is_err() {
            if !self.connection.is_autocommit() {
                // An error here leaves the transaction to the next BEGIN, which then fails and says so.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            // What jobs of the failed group put into the directory is not in the table.
            match Directory::load(&self.connection) {
                Ok(directory) => self.directory = directory,
                Err(error) => self.break_down(&error.to_string()),
            }
        }
        outcome
    }

    fn transaction(&mut self, group: &mut [Box<dyn Job>]) -> Result<Vec<Change>, StoreError> {
        self.execute("BEGIN IMMEDIATE")?;
        let now_ms = self.clock.now_ms();
        let set_back_ms = self.furthest_ms.saturating_sub(now_ms);
        if set_back_ms > self.set_back_ms {
            index_scan::note_set_back(&self.connection, set_back_ms)?;
        }
        let mut tx = WriteTx {
            connection: &self.connection,
            directory: &mut self.directory,
            notices: Vec::with_capacity(group.len()),
            now_ms,
        };
        for job in group.iter_mut() {
            execute(tx.connection, "SAVEPOINT job")?;
            let said_before = tx.notices.len();
            match job.run(&mut tx) {
                Ran::Kept => {
                    let said = tx.notices[said_before..].iter();
                    said.for_each(|notice| tx.directory.apply(notice));
                }
                Ran::RolledBack => {
                    tx.notices.truncate(said_before);
                    tx.directory.undo_job();
                    if tx.connection.is_autocommit() {
                        // The error took the whole transaction with it, as a full disk does.
                        return Err(StoreError::Full);
                    }
                    execute(tx.connection, "ROLLBACK TO job")?;
                }
            }
            tx.directory.end_job();
            execute(tx.connection, "RELEASE job")?;
        }
        let finished = tx.directory.flush(tx.connection, tx.now_ms)?;
        let notices = tx.notices;
        if let Err(error) = execute(&self.connection, "COMMIT") {
            if matches!(error, StoreError::Unavailable(_) | StoreError::Corrupt(_)) {
                self.break_down(&error.to_string());
            }
            return Err(error);
        }
        self.furthest_ms = self.furthest_ms.max(now_ms);
        self.set_back_ms = self.set_back_ms.max(set_back_ms);
        self.metrics.committed(group.len());
        self.metrics.finished(finished.delivered, finished.failed, finished.discarded);
        Ok(notices)
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        execute(&self.connection, sql)
    }

    fn break_down(&self, why: &str) {
        let shared = Arc::clone(&self.shared);
        Writer { shared }.break_down(why);
    }
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
