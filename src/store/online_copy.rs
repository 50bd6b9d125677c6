//! A copy of the database while it is written, by SQLite's online backup API.
//!
//! The copy is read through the writer's own connection, because SQLite carries a change by that connection into the
//! copy, while a change by any other one starts the copy again. A reader with one long snapshot would avoid that, but
//! would keep the write-ahead log from being reset for as long as the copy takes.
//!
//! The caller's thread sets the pace: it orders one step after the other and rests in between. The writer's thread runs
//! each step between two commits, and holds no snapshot from one step to the next.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::backup::BackupError;
use super::error::{Result, StoreError};
use super::part::Part;
use super::writer::Writer;

/// Pages per step: 512 KiB, well under a millisecond with a warm cache.
const STEP: i32 = 128;
/// Steps between two syncs of the copy: 2 MiB. The writer's own sync waits for whatever the disk has to write; with
/// 16 MiB the slowest hundredth of other calls took four times as long.
const SYNC: u32 = 4;
/// Rest after a step, as a multiple of the time that it took, its wait for the writer included.
const REST: u32 = 2;
const LONGEST_REST: Duration = Duration::from_millis(100);
/// How often a copy may start again, which it does after a change by another process, such as a command.
pub(super) const RESTARTS: u32 = 20;

/// Place where a copy waits for the writer's thread.
#[derive(Default)]
pub(super) struct Requested(Mutex<Option<OnlineCopy>>);

/// The writer's side of a copy.
pub(super) struct OnlineCopy {
    to: Connection,
    orders: Receiver<()>,
    reports: Sender<rusqlite::Result<Step>>,
}

/// Result of a step.
#[derive(Clone, Copy)]
struct Step {
    is_done: bool,
    /// Pages of the database that are copied.
    copied: i32,
}

impl Requested {
    pub(super) fn take(&self) -> Option<OnlineCopy> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, copy: OnlineCopy) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
    }
}

impl OnlineCopy {
    /// Runs the copy in the writer's thread: a step after each group of jobs, if one is ordered. Returns once the copy is
    /// complete, has failed or is not wanted any more, or once `run_group` finds that the writer is closed.
    pub(super) fn run(self, source: &Connection, mut run_group: impl FnMut() -> bool) {
        let OnlineCopy { mut to, orders, reports } = self;
        let backup = match Backup::new(source, &mut to) {
            Ok(backup) => backup,
            // A caller that is gone needs no report.
            Err(error) => return drop(reports.send(Err(error))),
        };
        loop {
            match orders.try_recv() {
                Ok(()) => {
                    let step = step(&backup);
                    let goes_on = step.as_ref().is_ok_and(|step| !step.is_done);
                    if reports.send(step).is_err() || !goes_on {
                        return;
                    }
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            if !run_group() {
                return;
            }
        }
    }
}

fn step(backup: &Backup<'_, '_>) -> rusqlite::Result<Step> {
    // A step that meets a lock copies nothing and is ordered again.
    let is_done = backup.step(STEP)? == StepResult::Done;
    let progress = backup.progress();
    Ok(Step { is_done, copied: progress.pagecount - progress.remaining })
}

/// Copies the database through the writer, in steps with rests. Blocks until the copy is complete, or until
/// `is_awaited` is false, or until it had to start again more than `restarts` times.
pub(super) fn copy(
    writer: &Writer,
    part: &Part,
    restarts: u32,
    is_awaited: impl Fn() -> bool,
) -> Result<(), BackupError> {
    let (order, orders) = channel();
    let (reports, report) = channel();
    writer.requested_copy().put(OnlineCopy { to: part.open()?, orders, reports });
    let copied = copy_steps(writer, part, (&order, &report), restarts, is_awaited);
    if copied.is_err() {
        // The writer's side of the copy, with its open file, ends when the thread next looks for an order.
        drop((order, report));
        // On an error the writer is busy, and looks soon, or closed.
        let _ = writer.wake();
    }
    copied
}

fn copy_steps(
    writer: &Writer,
    part: &Part,
    (order, report): (&Sender<()>, &Receiver<rusqlite::Result<Step>>),
    most_restarts: u32,
    is_awaited: impl Fn() -> bool,
) -> Result<(), BackupError> {
    let (mut copied, mut restarts) = (0, 0);
    for number in 1.. {
        if !is_awaited() {
            return Err(BackupError::Unwanted);
        }
        let begin = Instant::now();
        let step = next_step(writer, order, report)?;
        if step.is_done {
            return Ok(());
        }
        if step.copied < copied {
            restarts += 1;
            if restarts > most_restarts {
                return Err(BackupError::Disturbed);
            }
        }
        copied = step.copied;
        if number % SYNC == 0 {
            part.sync()?;
        }
        std::thread::sleep((begin.elapsed() * REST).min(LONGEST_REST));
    }
    Ok(())
}

fn next_step(
    writer: &Writer,
    order: &Sender<()>,
    report: &Receiver<rusqlite::Result<Step>>,
) -> Result<Step, BackupError> {
    // If the writer's side is gone, so is its report.
    let _ = order.send(());
    match writer.wake() {
        // It has jobs enough, and looks for orders between them.
        Ok(()) | Err(StoreError::Overloaded) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(report.recv().map_err(|_| StoreError::Stopping)??)
}
