//! The engine and the store of one seed, and the steps of their threads.

use std::collections::VecDeque;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Trace;
use super::book::Book;
use super::random::Random;
use super::receivers::{Mood, Reply, Stub};
use crate::actions::backups::Backups;
use crate::actions::{Actions, Caller};
use crate::clock::Clock;
use crate::delivery::engine::scheduler::Read;
use crate::delivery::engine::state::Claim;
use crate::delivery::engine::{Engine, EngineOptions, Shared, Unrecorded, workers};
use crate::delivery::mail::Mailer;
use crate::delivery::sender::{AttemptResult, Sender};
use crate::delivery::{Guard, Transport};
use crate::domain::live::Live;
use crate::domain::target::TargetPolicy;
use crate::domain::time::{DAY, HOUR, Millis};
use crate::metrics::Metrics;
use crate::store::allowed_target::AllowedTargets;
use crate::store::delivery::DueRows;
use crate::store::{Change, DueDelivery, FileLock, KeySource, Observer, Store, StoreError, beside, sweep};

/// 2026-01-15T10:00:00Z.
const BEGIN: Millis = 1_768_471_200_000;
/// Rounds after which a world that does not come to rest is stuck.
const PATIENCE: usize = 5_000;

/// Request in flight.
pub(super) struct Flight {
    pub claim: Claim,
    pub delivery: DueDelivery,
    result: AttemptResult,
    started: Millis,
}

/// Stage of the scheduler's read.
enum Reading {
    Begun(Read),
    Done(Read, Result<DueRows, StoreError>),
}

/// Keeps the changes of a commit until the model applies them. The next commit comes after that, as with the writer's
/// thread; reads and requests may come before.
#[derive(Default)]
struct Held(Mutex<VecDeque<Vec<Change>>>);

impl Observer for Held {
    fn committed(&self, changes: Vec<Change>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(changes);
    }
}

impl Held {
    fn next(&self) -> Option<Vec<Change>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

pub(super) struct World {
    pub random: Random,
    pub book: Book,
    pub flights: Vec<Flight>,
    pub outcomes: Vec<Arc<Unrecorded>>,
    pub workers: usize,
    pub hosts: i64,
    pub actions: Actions,
    trace: Trace,
    reading: Option<Reading>,
    held: Arc<Held>,
    stub: Arc<Stub>,
    clock: Clock,
    /// Monotonic time.
    begin: Instant,
    pub passed: Millis,
    /// Latest time that the clock has shown, and the sum of the times that it was set back by.
    pub latest_ms: Millis,
    pub set_back: Millis,
    is_calm: bool,
    files: u32,
    _lock: FileLock,
    // Last, so that it is removed after everything that uses it.
    folder: TempDir,
}

impl World {
    pub(super) fn new(seed: u64, trace: Trace) -> World {
        let mut random = Random::new(seed);
        let folder = folder();
        let path = folder.path().join("0.db");
        fs::write(&path, empty_database()).unwrap();
        let (clock, held, stub) = (Clock::manual(BEGIN), Arc::default(), Arc::default());
        let workers = random.pick(&[1, 2, 2, 3, 4, 8]);
        let hosts = random.pick(&[1, 1, 2]);
        let (actions, lock) = open(&path, &clock, &held, &stub, workers);
        World {
            book: Book::default(),
            flights: Vec::new(),
            outcomes: Vec::new(),
            workers,
            hosts,
            actions,
            trace,
            reading: None,
            held,
            stub,
            clock,
            // Ahead of the machine's time, by which the engine's own calls would otherwise make requests older.
            begin: Instant::now() + Duration::from_secs(24 * 60 * 60),
            passed: 0,
            latest_ms: BEGIN,
            set_back: 0,
            is_calm: false,
            files: 0,
            _lock: lock,
            folder,
            random,
        }
    }

    pub(super) fn close(self) {
        self.actions.store.close();
    }

    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        self.trace.borrow_mut().push(format!("{:>9} {}", self.passed, line()));
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.actions.engine.0)
    }

    pub(super) fn now(&self) -> Millis {
        self.clock.now_ms()
    }

    fn instant(&self) -> Instant {
        self.begin + Duration::from_millis(self.passed as u64)
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, by: Millis) {
        self.passed += by;
        self.clock.advance(by);
        self.latest_ms = self.latest_ms.max(self.now());
    }

    /// Sets the clock, which is not time that passes.
    pub(super) fn set_clock(&mut self, by: Millis) {
        self.note(|| format!("clock {by:+}"));
        self.clock.advance(by);
        self.latest_ms = self.latest_ms.max(self.now());
        self.set_back += (-by).max(0);
        self.book.recent.clear();
    }

    /// Whether the engine was told of everything that is committed.
    pub(super) fn is_told(&self) -> bool {
        self.held.is_empty()
    }

    /// Tells the engine what was committed.
    pub(super) fn tell(&mut self) {
        while let Some(changes) = self.held.next() {
            self.actions.engine.committed(changes);
        }
    }

    /// Runs an action that writes. Its caller says which transitions of deliveries it may cause.
    pub(super) fn act<T>(&mut self, act: impl FnOnce(&Actions, &Caller) -> T) -> T {
        self.tell();
        let result = act(&self.actions, &Caller::default());
        self.tell_at_times();
        result
    }

    fn tell_at_times(&mut self) {
        if self.random.chance(70) {
            self.tell();
        }
    }

    /// Takes and sends a delivery, as a worker does. Returns whether there was one.
    pub(super) fn take(&mut self) -> bool {
        if self.flights.len() >= self.workers {
            return false;
        }
        let shared = self.shared();
        let claim = shared.lock().take(self.now(), self.instant());
        let Some(mut claim) = claim else {
            return false;
        };
        let Some(delivery) = workers::delivery_of(&shared, &mut claim) else {
            self.note(|| format!("release {}", claim.hint.seq));
            drop(workers::release(&shared, &claim, None, self.instant()));
            return true;
        };
        self.check_take(&claim, &delivery);
        let mood = self.book.moods.get(&delivery.webhook_seq).copied().unwrap_or(Mood::Good);
        let reply = if self.is_calm { Reply::Status(200, None) } else { mood.reply(&mut self.random) };
        self.note(|| format!("send {} to {}: {reply:?}", delivery.seq, delivery.webhook_seq));
        self.stub.set(reply);
        let result = workers::send(&shared, &claim, &delivery).expect("the attempts can be read");
        if result.is_attempt() {
            self.book.attempts_of(delivery.seq).sent += 1;
        }
        self.flights.push(Flight { claim, delivery, result, started: self.passed });
        true
    }

    /// Ends a request, as a worker does.
    pub(super) fn come_back(&mut self, index: usize) {
        let Flight { claim, delivery, mut result, started } = self.flights.remove(index);
        self.note(|| format!("back {}", delivery.seq));
        let shared = self.shared();
        if !result.is_attempt() {
            drop(workers::release(&shared, &claim, Some(workers::MACHINE_PAUSE), self.instant()));
            return;
        }
        result.attempt.duration_ms = self.passed - started;
        result.ended_ms = self.now();
        let jitter = self.random.fraction();
        let outcome = workers::came_back(&shared, &claim, delivery, result, jitter, self.instant());
        self.outcomes.push(outcome);
    }

    /// Records an outcome, as a worker and the writer do.
    pub(super) fn record(&mut self, index: usize) {
        self.tell();
        let outcome = self.outcomes.remove(index);
        self.note(|| format!("record {}", outcome.delivery.seq));
        self.shared().record(Arc::clone(&outcome));
        // The writer has finished the outcome when it has finished this.
        self.actions.store.write(|_| Ok::<_, StoreError>(())).wait().unwrap();
        self.check_record(&outcome);
        self.tell_at_times();
    }

    /// Does the next part of the scheduler's work. Returns whether there was any.
    pub(super) fn schedule(&mut self) -> bool {
        let shared = self.shared();
        match self.reading.take() {
            Some(Reading::Begun(read)) => {
                let rows = read.rows(&shared);
                let found = rows.iter().flat_map(|rows| &rows.rows);
                let found: Vec<_> = found.map(|(seq, delivery)| (seq, delivery.is_some())).collect();
                self.note(|| format!("rows {found:?}"));
                self.reading = Some(Reading::Done(read, rows));
            }
            Some(Reading::Done(read, rows)) => {
                assert!(rows.is_ok(), "the read failed");
                read.end(&shared, rows);
            }
            None => {
                let mut state = shared.lock();
                state.wake_due(self.now());
                let Some((webhook_seq, max_bytes)) = state.next_read() else {
                    return false;
                };
                // A lane reads only numbers if the queues of all lanes are full.
                let max_bytes = if self.random.chance(30) { 0 } else { max_bytes };
                let read = Read::begin(&mut state, webhook_seq, self.now(), max_bytes);
                drop(state);
                self.note(|| format!("read {webhook_seq}"));
                self.reading = read.map(Reading::Begun);
            }
        }
        true
    }

    /// Runs a step of each unfinished sweep, as the maintenance thread does. Returns whether there was any.
    pub(super) fn sweep(&mut self) -> bool {
        let unfinished = self.actions.store.read(|connection| sweep::unfinished(connection, 0, 100)).unwrap();
        for webhook_seq in &unfinished {
            let seq = *webhook_seq;
            self.note(|| format!("sweep {seq}"));
            let step = |actions: &Actions| actions.store.write(move |tx| sweep::step(tx, seq, 0)).wait().map(drop);
            self.act(|actions, _| step(actions)).unwrap();
            self.check_changes("sweep", true, true, false);
        }
        !unfinished.is_empty()
    }

    /// Ends the process and starts another with the files as they are.
    pub(super) fn crash(&mut self) {
        self.note(|| "crash".to_owned());
        let sent = self.flights.iter().filter(|flight| flight.result.is_attempt()).map(|flight| flight.delivery.seq);
        for seq in sent.chain(self.outcomes.iter().map(|outcome| outcome.delivery.seq)) {
            self.book.attempts.entry(seq).or_default().lost += 1;
        }
        self.flights.clear();
        self.outcomes.clear();
        self.reading = None;
        while self.held.next().is_some() {}
        self.book.recent.clear();
        let old = self.path();
        self.files += 1;
        let new = self.path();
        fs::copy(&old, &new).unwrap();
        fs::copy(beside(&old, "-wal"), beside(&new, "-wal")).unwrap();
        let (actions, lock) = open(&new, &self.clock, &self.held, &self.stub, self.workers);
        std::mem::replace(&mut self.actions, actions).store.close();
        self._lock = lock;
        self.check_changes("crash", false, false, false);
        self.check_counts();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.files))
    }

    /// Runs all threads until nothing is left to do. All receivers respond with 200, and time passes as far as needed.
    pub(super) fn calm(&mut self) {
        self.is_calm = true;
        self.note(|| "calm".to_owned());
        let begin = self.passed;
        for _ in 0..PATIENCE {
            self.tell();
            let mut is_busy = self.sweep();
            while self.schedule() {
                is_busy = true;
            }
            while self.take() {
                is_busy = true;
            }
            while !self.flights.is_empty() {
                self.come_back(0);
                is_busy = true;
            }
            while !self.outcomes.is_empty() {
                self.record(0);
                is_busy = true;
            }
            if is_busy || !self.is_told() {
                continue;
            }
            let next = self.shared().lock().wake_due(self.now());
            self.check_nothing_is_overdue(next);
            match next {
                Some(time) => self.advance(time - self.now()),
                None => {
                    let longest = DAY + HOUR + self.set_back;
                    let waited = self.passed - begin;
                    assert!(
                        waited <= longest,
                        "it took {waited} ms until everything ended; {longest} ms is the longest"
                    );
                    return;
                }
            }
        }
        panic!("the engine does not come to rest");
    }
}

/// A folder in memory if there is one.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.unwrap()
}

/// Key of the database, whatever folder it is copied to.
fn key() -> KeySource {
    KeySource::Given { key: "00".repeat(32).parse().unwrap(), setting: "the test".to_owned() }
}

/// A new database, which takes a while to make.
fn empty_database() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = folder();
        let path = folder.path().join("empty.db");
        let (store, _lock) = Store::open(&path, &key(), &Clock::manual(BEGIN), &Metrics::new()).unwrap();
        store.close();
        fs::read(&path).unwrap()
    })
}

fn open(path: &Path, clock: &Clock, held: &Arc<Held>, stub: &Arc<Stub>, workers: usize) -> (Actions, FileLock) {
    let metrics = Metrics::new();
    let (store, lock) = Store::open(path, &key(), clock, &metrics).unwrap();
    let sender = Sender::new(Arc::clone(stub) as Arc<dyn Transport>, clock.clone());
    // No request may keep a core busy, so the engine starts no worker.
    let engine = Engine::without_threads(store.clone(), sender, clock.clone(), metrics, EngineOptions { workers }, 0);
    store.observe(Arc::clone(held) as Arc<dyn Observer>);
    engine.load().unwrap();
    let no_names = Arc::new(|_: &str| Ok(Vec::<IpAddr>::new()));
    let guard = Guard::with_interfaces(
        TargetPolicy::default(),
        AllowedTargets::default(),
        no_names,
        Arc::new(|| Ok(Vec::new())),
    );
    let (clock, default_profile, live) = (clock.clone(), "generic".into(), Live::default());
    let mailer = Mailer::none();
    let backups = Backups::none();
    let actions = Actions { store, engine, guard, mailer, backups, clock, default_profile, live };
    (actions, lock)
}
