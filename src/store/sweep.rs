//! What waited for a webhook that comes back, or goes: resumed or discarded, in steps small enough that
//! nobody else's write waits long. What is left to do stands in the webhook's row, so it goes on after a restart.

use rusqlite::{Connection, named_params};

use super::delivery::{self, DeliveryRef};
use super::error::StoreError;
use super::row;
use super::webhook;
use super::writer::{Change, WriteTx};
use crate::domain::delivery::DeliveryStatus;
use crate::domain::webhook::{Sweep, Waiting};

/// Rows of one step.
const STEP: usize = 500;

/// The newest delivery there is: what a sweep begun now goes up to.
pub fn newest(connection: &Connection) -> Result<i64, StoreError> {
    let seq =
        connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM delivery")?.query_row([], |row| row.get(0))?;
    Ok(seq)
}

/// Webhooks with a sweep that is not done, deleted ones included.
pub fn unfinished(connection: &Connection) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT seq FROM webhook WHERE sweep IS NOT NULL")?;
    row::collect(&mut statement, [], |row| Ok(row.get(0)?))
}

/// Does one step. Whether more is left. The last step opens the webhook's lane.
pub fn step(tx: &mut WriteTx<'_>, webhook_seq: i64) -> Result<bool, StoreError> {
    let Some(sweep) = pending(tx.connection(), webhook_seq)? else {
        return Ok(false);
    };
    let swept = match sweep.waiting {
        Waiting::Discard => discard(tx, webhook_seq, sweep.up_to_seq)?,
        Waiting::Resume => resume(tx, webhook_seq, sweep.up_to_seq)?,
    };
    if swept == STEP {
        return Ok(true);
    }
    tx.connection()
        .prepare_cached("UPDATE webhook SET sweep = NULL, sweep_up_to_seq = NULL WHERE seq = :seq")?
        .execute(named_params! {":seq": webhook_seq})?;
    // From the table: the job at hand may have changed the webhook just before.
    if let Some(webhook) = webhook::by_seq(tx.connection(), webhook_seq)? {
        webhook::update(tx, webhook)?;
        tx.notify(Change::Reread { webhook_seq, from_seq: 0 });
    }
    Ok(false)
}

fn pending(connection: &Connection, webhook_seq: i64) -> Result<Option<Sweep>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT sweep, sweep_up_to_seq FROM webhook WHERE seq = :seq AND sweep IS NOT NULL")?;
    row::first(&mut statement, named_params! {":seq": webhook_seq}, |row| {
        Ok(Sweep { waiting: row::parsed(row, "sweep")?, up_to_seq: row.get("sweep_up_to_seq")? })
    })
}

fn discard(tx: &mut WriteTx<'_>, webhook_seq: i64, up_to: i64) -> Result<usize, StoreError> {
    let params = named_params! {":webhook": webhook_seq, ":up_to": up_to};
    let mut statement = tx.connection().prepare_cached(&format!(
        "SELECT seq, status FROM delivery
         WHERE webhook_seq = :webhook AND due_ms IS NOT NULL AND seq <= :up_to LIMIT {STEP}"
    ))?;
    let found = row::collect(&mut statement, params, |row| {
        Ok(DeliveryRef { seq: row.get("seq")?, webhook_seq, status: row::parsed(row, "status")? })
    })?;
    drop(statement);
    for place in &found {
        delivery::discard(tx, *place)?;
    }
    Ok(found.len())
}

/// Gives those that had failed attempts a fresh series. What never was attempted is fresh already, and is due.
fn resume(tx: &mut WriteTx<'_>, webhook_seq: i64, up_to: i64) -> Result<usize, StoreError> {
    let swept = tx
        .connection()
        .prepare_cached(&format!(
            "UPDATE delivery SET due_ms = :now, series_failures = 0, success_mark = NULL, origin_ms = NULL, panics = 0,
                 status = 'pending'
             WHERE seq IN (SELECT seq FROM delivery
                           WHERE webhook_seq = :webhook AND due_ms IS NOT NULL AND seq <= :up_to
                             AND status = 'retrying' LIMIT {STEP})"
        ))?
        .execute(named_params! {":now": tx.now_ms(), ":webhook": webhook_seq, ":up_to": up_to})?;
    let (from, to) = (DeliveryStatus::Retrying, DeliveryStatus::Pending);
    tx.directory_mut().tally().moved(webhook_seq, from, to, swept);
    Ok(swept)
}
