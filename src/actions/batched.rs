//! Actions that meet many rows: done in steps, so that nobody else's write waits for all of them.
//!
//! What is done stays done: a server that stops in between, or a disk that is full, ends the action with an error
//! that says how far it came. None is taken up again by itself.

use std::sync::mpsc;

use super::{ActionError, Actions};
use crate::store::{Store, StoreError, WriteTx};

/// Whether an action may begin another step; asked before each.
pub type GoOn<'a> = &'a dyn Fn() -> bool;

impl Actions {
    /// Runs one step in the writer, waiting for room and for its commit. From a thread that may block.
    pub(super) fn step<T: Send + 'static>(
        &self,
        go_on: GoOn<'_>,
        job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, ActionError> + Send + 'static,
    ) -> Result<T, ActionError> {
        run(&self.store, go_on, job)
    }
}

/// The same without the rest of what actions work with.
pub(super) fn run<T: Send + 'static>(
    store: &Store,
    go_on: GoOn<'_>,
    job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, ActionError> + Send + 'static,
) -> Result<T, ActionError> {
    if !go_on() {
        return Err(StoreError::Stopping.into());
    }
    let (answer, committed) = mpsc::sync_channel(1);
    // Who waits for the answer is here until it comes.
    store.write_then(job, move |result| drop(answer.send(result)));
    committed.recv().unwrap_or_else(|_| Err(StoreError::Stopping.into()))
}

/// An error after some steps: it says how many rows they changed.
pub(super) fn after(done: u64, error: ActionError) -> ActionError {
    match error {
        ActionError::Store(cause) if done > 0 => ActionError::Partly { done, cause },
        other => other,
    }
}
