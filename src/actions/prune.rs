//! Deleting data older than its retention.

use std::time::{Duration, Instant};

use super::ActionError;
use super::batched::{self, GoOn};
use crate::domain::retention::Cutoffs;
use crate::store::retention::{self, Part, Search};
use crate::store::{Connection, Store, StoreError, WriteTx};

/// Numbers of rows that were, or would be, deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Deliveries, with all their attempts.
    pub deliveries: u64,
    /// Events without deliveries.
    pub events: u64,
}

/// Pace of a prune.
pub struct Pace<'a> {
    pub go_on: GoOn<'a>,
    /// Sleeps between two steps, which leaves other jobs most of the writer's time.
    pub rest: &'a dyn Fn(Duration),
}

/// Rest after a step, as a multiple of its duration.
const REST: u32 = 4;
/// Maximum rest.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// Deletes deliveries that finished before the cutoffs, then events without deliveries and deleted webhooks, then shrinks
/// the file. Queued deliveries are never deleted. With `dry_run` it only counts. If it fails, earlier steps stay. Blocks.
pub fn prune(store: &Store, cutoffs: Cutoffs, dry_run: bool, pace: &Pace<'_>) -> Result<Pruned, ActionError> {
    let pruning = Pruning { store, cutoffs, dry_run, pace };
    let deliveries = pruning.all(retention::deliveries, retention::next_deliveries, move |tx, part| {
        retention::delete_deliveries(tx, part, cutoffs)
    })?;
    let events = pruning.all(retention::events, retention::next_events, retention::delete_events)?;
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
    /// Deletes the old rows of one table. Returns their number.
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

    /// Runs one step in the writer, then rests.
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
