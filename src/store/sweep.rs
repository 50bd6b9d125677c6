//! Resuming or discarding the queued deliveries of a webhook that was resumed or deleted, in steps small enough not to
//! delay other writes. The pending work is stored in the webhook's row, so it continues after a restart.

use rusqlite::{Connection, named_params};

use super::delivery::{self, DeliveryRef};
use super::error::Result;
use super::sql;
use super::webhook;
use super::{Change, WriteTx};
use crate::domain::delivery::DeliveryStatus;
use crate::domain::webhook::{Sweep, Waiting};

/// Maximum deliveries per step. Small in unit tests, so that a sweep takes several steps there too.
const STEP: usize = if cfg!(test) { 3 } else { 500 };

/// Returns the sequence number of the newest delivery, or 0. A new sweep ends there.
pub fn newest(connection: &Connection) -> Result<i64> {
    sql::value(connection, "SELECT coalesce(max(seq), 0) FROM delivery", [])
}

/// Returns the webhooks with an unfinished sweep, including deleted ones.
pub fn unfinished(connection: &Connection) -> Result<Vec<i64>> {
    sql::all(connection, "SELECT seq FROM webhook WHERE sweep IS NOT NULL", [], |row| row.get(0))
}

/// Runs one step. Returns whether more remain. The last step opens the webhook's lane.
pub fn step(tx: &mut WriteTx<'_>, webhook_seq: i64) -> Result<bool> {
    let query = "SELECT sweep, sweep_up_to_seq FROM webhook WHERE seq = :seq AND sweep IS NOT NULL";
    let sweep = sql::first(tx.connection(), query, named_params! {":seq": webhook_seq}, |row| {
        Ok(Sweep { waiting: row.get("sweep")?, up_to_seq: row.get("sweep_up_to_seq")? })
    })?;
    let swept = match sweep {
        None => return Ok(false),
        Some(Sweep { waiting: Waiting::Discard, up_to_seq }) => discard(tx, webhook_seq, up_to_seq)?,
        Some(Sweep { waiting: Waiting::Resume, up_to_seq }) => resume(tx, webhook_seq, up_to_seq)?,
    };
    if swept == STEP {
        return Ok(true);
    }
    let statement = "UPDATE webhook SET sweep = NULL, sweep_up_to_seq = NULL WHERE seq = :seq";
    sql::run(tx.connection(), statement, named_params! {":seq": webhook_seq})?;
    // From the table, because this job may have changed the webhook before.
    if let Some(webhook) = webhook::by_seq(tx.connection(), webhook_seq)? {
        webhook::update(tx, webhook)?;
        tx.notify(Change::Reread { webhook_seq, from_seq: 0 });
    }
    Ok(false)
}

fn discard(tx: &mut WriteTx<'_>, webhook_seq: i64, up_to: i64) -> Result<usize> {
    let query = format!(
        "SELECT seq, status FROM delivery
         WHERE webhook_seq = :webhook AND due_ms IS NOT NULL AND seq <= :up_to LIMIT {STEP}"
    );
    let params = named_params! {":webhook": webhook_seq, ":up_to": up_to};
    let queued = sql::all(tx.connection(), &query, params, |row| {
        Ok(DeliveryRef { seq: row.get("seq")?, webhook_seq, status: row.get("status")? })
    })?;
    for delivery in &queued {
        delivery::discard(tx, *delivery)?;
    }
    Ok(queued.len())
}

/// Starts a new series for the retrying deliveries. Pending ones are at the start of theirs already, and due.
fn resume(tx: &mut WriteTx<'_>, webhook_seq: i64, up_to: i64) -> Result<usize> {
    let statement = format!(
        "UPDATE delivery SET due_ms = :now, series_failures = 0, success_mark = NULL, origin_ms = NULL, panics = 0,
             status = 'pending'
         WHERE seq IN (SELECT seq FROM delivery
                       WHERE webhook_seq = :webhook AND due_ms IS NOT NULL AND seq <= :up_to
                         AND status = 'retrying' LIMIT {STEP})"
    );
    let params = named_params! {":now": tx.now_ms(), ":webhook": webhook_seq, ":up_to": up_to};
    let swept = sql::change(tx.connection(), &statement, params)?;
    tx.stats().moved(webhook_seq, DeliveryStatus::Retrying, DeliveryStatus::Pending, swept);
    Ok(swept)
}
