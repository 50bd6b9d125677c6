//! Actions on many rows, in steps so that other writes are not delayed.
//!
//! Completed steps stay: if the server stops or the disk is full, the action fails with an error that says how many rows
//! were changed. It does not resume by itself.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{ActionError, Actions, Result};
use crate::store::{Store, StoreError, WriteTx};

/// Called before each step: returns whether to continue.
pub type GoOn<'a> = &'a dyn Fn() -> bool;

/// Longest rest after a step.
pub(super) const LONGEST_REST: Duration = Duration::from_millis(200);

impl Actions {
    /// Runs one step in the writer. Blocks until its commit, and for a rest of the same duration, in which other jobs run.
    pub(super) fn step<T: Send + 'static>(
        &self,
        go_on: GoOn<'_>,
        job: impl FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let begin = Instant::now();
        let result = run(&self.store, go_on, job);
        std::thread::sleep(begin.elapsed().min(LONGEST_REST));
        result
    }
}

/// Like [`Actions::step`], with only the store.
pub(super) fn run<T: Send + 'static>(
    store: &Store,
    go_on: GoOn<'_>,
    job: impl FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    if !go_on() {
        return Err(StoreError::Stopping.into());
    }
    let (answer, committed) = mpsc::sync_channel(1);
    // The receiver below lives until the result arrives.
    store.write_then(job, move |result| drop(answer.send(result)));
    committed.recv().unwrap_or_else(|_| Err(StoreError::Stopping.into()))
}

/// Adds the number of rows changed by earlier steps to an error.
pub(super) fn after(done: u64, error: ActionError) -> ActionError {
    match error {
        ActionError::Store(cause) if done > 0 => ActionError::Partly { done, cause },
        ActionError::QueueFull { tenant, most, .. } => ActionError::QueueFull { tenant, most, done },
        other => other,
    }
}
