//! Deleting what is older than it is to be kept.

use std::time::{Duration, Instant};

use super::ActionError;
use super::batched;
use crate::actions::batched::GoOn;
use crate::domain::retention::Cutoffs;
use crate::store::retention::{self, Part, Search};
use crate::store::{Connection, Store, StoreError, WriteTx};

/// How much went, or would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Deliveries, with all their attempts.
    pub deliveries: u64,
    /// Events of which no delivery is left.
    pub events: u64,
}

/// How a prune goes about it.
pub struct Pace<'a> {
    pub go_on: GoOn<'a>,
    /// Rests this long between two steps, so that others have most of the writer's time.
    pub rest: &'a dyn Fn(Duration),
}

/// Times as long as a step took that follow it as a rest.
const REST: u32 = 4;
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// Deletes finished deliveries that ended before the cutoffs, then events without deliveries and webhooks that were
/// deleted, then shrinks the file. Nothing that waits for an attempt goes. With `dry_run` it only counts. What a step
/// deleted stays deleted, however it ends. Call it from a thread that may block.
pub fn prune(store: &Store, cutoffs: Cutoffs, dry_run: bool, pace: &Pace<'_>) -> Result<Pruned, ActionError> {
    let pruning = Pruning { store, cutoffs, dry_run, pace };
    let deliveries = pruning.all(retention::deliveries, retention::next_deliveries, move |tx, part| {
        retention::delete_deliveries(tx, part, cutoffs)
    })?;
    let events =
        pruning.all(retention::events, retention::next_events, |tx, part| retention::delete_events(tx, part))?;
    let pruned = Pruned { deliveries, events };
    if dry_run {
        return Ok(pruned);
    }
    while pruning.step(move |tx| retention::delete_webhooks(tx, cutoffs))? > 0 {}
    while pruning.step(retention::shrink_file)? {}
    Ok(pruned)
}

struct Pruning<'a> {
    store: &'a Store,
    cutoffs: Cutoffs,
    dry_run: bool,
    pace: &'a Pace<'a>,
}

type Begin = fn(&Connection, Cutoffs) -> Result<Search, StoreError>;
type Next = fn(&Connection, &mut Search, Cutoffs) -> Result<Option<Vec<Part>>, StoreError>;

impl Pruning<'_> {
    /// Goes through one table. How many rows.
    fn all(
        &self,
        begin: Begin,
        next: Next,
        delete: impl Fn(&mut WriteTx<'_>, &[i64]) -> Result<u64, StoreError> + Copy + Send + 'static,
    ) -> Result<u64, ActionError> {
        let mut search = self.store.read(|connection| begin(connection, self.cutoffs))?;
        let mut done = 0;
        loop {
            if !(self.pace.go_on)() {
                return Err(StoreError::Stopping.into());
            }
            let found = self.store.read(|connection| next(connection, &mut search, self.cutoffs))?;
            let Some(parts) = found else {
                return Ok(done);
            };
            for part in parts {
                done += if self.dry_run { part.len() as u64 } else { self.step(move |tx| delete(tx, &part))? };
            }
        }
    }

    /// Runs one step in the writer, and rests.
    fn step<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ActionError> {
        let begin = Instant::now();
        let done = batched::run(self.store, self.pace.go_on, |tx| Ok(job(tx)?))?;
        (self.pace.rest)((begin.elapsed() * REST).min(LONGEST_REST));
        Ok(done)
    }
}
