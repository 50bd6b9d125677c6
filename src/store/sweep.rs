//! Resuming or discarding the queued deliveries of a webhook that was resumed or deleted, in steps small enough not to
//! delay other writes. The pending work is stored in the webhook's row, so it continues after a restart.

use rusqlite::{Connection, named_params};

use super::delivery::{self, DeliveryRef};
use super::error::Result;
use super::sql;
use super::webhook;
use super::{Change, WriteTx, damage};
use crate::domain::webhook::{Sweep, Waiting, Webhook};

/// Maximum deliveries that one step changes: about a millisecond of the writer's time. Small in unit tests, so that a sweep
/// takes several steps there too.
const STEP: usize = if cfg!(test) { 3 } else { 100 };

/// Returns the sequence number of the newest delivery, or 0. A new sweep ends there.
pub fn newest(connection: &Connection) -> Result<i64> {
    sql::value(connection, "SELECT coalesce(max(seq), 0) FROM delivery", [])
}

/// Returns up to `limit` webhooks with an unfinished sweep after `after`, including deleted ones.
pub fn unfinished(connection: &Connection, after: i64, limit: usize) -> Result<Vec<i64>> {
    let query = "SELECT seq FROM webhook WHERE sweep IS NOT NULL AND seq > :after ORDER BY seq LIMIT :limit";
    sql::all(connection, query, named_params! {":after": after, ":limit": limit}, |row| row.get(0))
}

/// Sets the sweep of a webhook that is resumed; the caller stores it.
pub fn begin(connection: &Connection, webhook: &mut Webhook, waiting: Waiting) -> Result<()> {
    // While a discard is unfinished nothing is sent, so newer deliveries have no retries to resume: the discard goes on,
    // and its end opens the lane.
    let is_discarding = webhook.sweep.is_some_and(|sweep| sweep.waiting == Waiting::Discard);
    if !(is_discarding && waiting == Waiting::Resume) {
        webhook.sweep = Some(Sweep { waiting, up_to_seq: newest(connection)? });
    }
    Ok(())
}

/// Runs one step, from the deliveries after `after` on. Returns where to continue, or `None` after the last step, which
/// opens the webhook's lane.
pub fn step(tx: &mut WriteTx<'_>, webhook_seq: i64, after: i64) -> Result<Option<i64>> {
    let query = "SELECT sweep, sweep_up_to_seq FROM webhook WHERE seq = :seq AND sweep IS NOT NULL";
    let sweep = sql::first(tx.connection(), query, named_params! {":seq": webhook_seq}, |row| {
        Ok(Sweep { waiting: row.get("sweep")?, up_to_seq: row.get("sweep_up_to_seq")? })
    })?;
    let Some(Sweep { waiting, up_to_seq }) = sweep else {
        return Ok(None);
    };
    let params = named_params! {":webhook": webhook_seq, ":after": after, ":up_to": up_to_seq};
    let seqs: Vec<i64> = sql::all(tx.connection(), &step_sql(waiting), params, |row| row.get("seq"))?;
    for seq in seqs.iter().filter(|seq| !damage::is_known("delivery", **seq)) {
        damage::skip("delivery", *seq, change(tx, webhook_seq, *seq, waiting))?;
    }
    if seqs.len() == STEP {
        return Ok(seqs.last().copied());
    }
    let statement = "UPDATE webhook SET sweep = NULL, sweep_up_to_seq = NULL WHERE seq = :seq";
    sql::run(tx.connection(), statement, named_params! {":seq": webhook_seq})?;
    // From the table, because this job may have changed the webhook before.
    if let Some(webhook) = webhook::by_seq(tx.connection(), webhook_seq)? {
        webhook::update(tx, webhook)?;
        tx.notify(Change::Reread { webhook_seq });
    }
    Ok(None)
}

fn change(tx: &mut WriteTx<'_>, webhook_seq: i64, seq: i64, waiting: Waiting) -> Result<()> {
    let query = "SELECT status FROM delivery WHERE seq = :seq";
    let status = sql::value(tx.connection(), query, named_params! {":seq": seq})?;
    let delivery = DeliveryRef { seq, webhook_seq, status };
    match waiting {
        Waiting::Discard => delivery::discard(tx, delivery),
        Waiting::Resume => delivery::resume(tx, delivery),
    }
}

/// Reads by the indexes that leave out finished deliveries, so a step costs the same after any history. Pending deliveries
/// are at the start of their series and due, so a resumed webhook only changes those that are retrying.
pub(super) fn step_sql(waiting: Waiting) -> String {
    let (index, condition) = match waiting {
        Waiting::Discard => ("delivery_waiting", "due_ms IS NOT NULL"),
        Waiting::Resume => {
            ("delivery_webhook_status", "status = 'retrying' AND status <> 'delivered' AND status <> 'pending'")
        }
    };
    format!(
        "SELECT seq FROM delivery INDEXED BY {index}
         WHERE webhook_seq = :webhook AND {condition} AND seq > :after AND seq <= :up_to ORDER BY seq LIMIT {STEP}"
    )
}
