//! Deleting data older than its retention.

use std::time::{Duration, Instant};

use super::batched::{self, GoOn, LONGEST_REST};
use super::{ActionError, Result};
use crate::domain::retention::Cutoffs;
use crate::store::retention::{self, Table};
use crate::store::{Store, StoreError, WriteTx, body_format, damage};

/// Numbers of rows that were, or would be, deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Deliveries, with all their attempts.
    pub deliveries: u64,
    /// Events without deliveries.
    pub events: u64,
}

pub struct Pace<'a> {
    pub go_on: GoOn<'a>,
    /// Sleeps between two steps, which leaves other jobs most of the writer's time.
    pub rest: &'a dyn Fn(Duration),
    /// Is told how many deliveries and events a step deleted.
    pub deleted: &'a dyn Fn(u64),
}

/// Rest after a step, as a multiple of its duration.
const REST: u32 = 4;

/// Deletes deliveries that finished before the cutoffs, then events without deliveries and deleted webhooks, then old
/// entries of the audit log, old requests of inboxes, messages, closed incidents and unused topics, then shrinks the file. Queued deliveries are never deleted. With `dry_run` it only counts. If it fails, earlier steps stay. Blocks.
pub fn prune(store: &Store, cutoffs: Cutoffs, dry_run: bool, pace: &Pace<'_>) -> Result<Pruned> {
    let pruning = Pruning { store, cutoffs, dry_run, pace };
    let deliveries = pruning.all(Table::Deliveries, move |tx, part| retention::delete_deliveries(tx, part, cutoffs))?;
    let events = pruning.all(Table::Events, retention::delete_events)?;
    let pruned = Pruned { deliveries, events };
    if dry_run {
        return Ok(pruned);
    }
    pruning.through(move |tx, after| retention::delete_webhooks(tx, cutoffs, after))?;
    while pruning.step(move |tx| retention::delete_log_rows(tx, cutoffs))? > 0 {}
    while pruning.step(move |tx| retention::delete_api_keys(tx, cutoffs))? > 0 {}
    while pruning.step(move |tx| retention::delete_messages(tx, cutoffs))? > 0 {}
    while pruning.step(move |tx| retention::delete_incidents(tx, cutoffs))? > 0 {}
    pruning.through(retention::delete_topics)?;
    pruning.through(body_format::empty_unused)?;
    pruning.step(retention::forget_set_back)?;
    while pruning.step(retention::shrink_file)? {}
    Ok(pruned)
}

struct Pruning<'a> {
    store: &'a Store,
    cutoffs: Cutoffs,
    dry_run: bool,
    pace: &'a Pace<'a>,
}

impl Pruning<'_> {
    /// Deletes the old rows of one table. Returns their number.
    fn all(
        &self,
        table: Table,
        delete: impl Fn(&mut WriteTx<'_>, &[i64]) -> Result<u64, StoreError> + Copy + Send + 'static,
    ) -> Result<u64> {
        let mut search = self.store.read(|connection| retention::search(connection, table, self.cutoffs))?;
        let mut done = 0;
        loop {
            if !(self.pace.go_on)() {
                return Err(StoreError::Stopping.into());
            }
            let found = self.store.read(|connection| retention::next(connection, &mut search, self.cutoffs))?;
            let Some(parts) = found else {
                return Ok(done);
            };
            for part in parts {
                let deleted = if self.dry_run { part.len() as u64 } else { self.delete(table, part, delete)? };
                (self.pace.deleted)(deleted);
                done += deleted;
            }
        }
    }

    /// Runs the steps that examine a table, each from the number where the one before ended.
    fn through(
        &self,
        step: impl Fn(&mut WriteTx<'_>, i64) -> Result<Option<i64>, StoreError> + Copy + Send + 'static,
    ) -> Result<()> {
        let mut next = Some(0);
        while let Some(after) = next {
            next = self.step(move |tx| step(tx, after))?;
        }
        Ok(())
    }

    /// Deletes rows together; one by one if some cannot be deleted, which are skipped.
    fn delete(
        &self,
        table: Table,
        part: Vec<i64>,
        delete: impl Fn(&mut WriteTx<'_>, &[i64]) -> Result<u64, StoreError> + Copy + Send + 'static,
    ) -> Result<u64> {
        let all = part.clone();
        match self.step(move |tx| delete(tx, &all)) {
            Err(ActionError::Store(error)) if error.is_damage() => {}
            deleted => return deleted,
        }
        let mut done = 0;
        for seq in part {
            match self.step(move |tx| delete(tx, &[seq])) {
                Err(ActionError::Store(error)) if error.is_damage() => damage::report(table.name(), seq, &error),
                deleted => done += deleted?,
            }
        }
        Ok(done)
    }

    /// Runs one step in the writer, then rests.
    fn step<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut WriteTx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        let begin = Instant::now();
        let done = batched::run(self.store, self.pace.go_on, |tx| Ok(job(tx)?))?;
        (self.pace.rest)((begin.elapsed() * REST).min(LONGEST_REST));
        Ok(done)
    }
}
