//! Reading the deliveries that a lane sends next.

use std::sync::Arc;

use rusqlite::{Connection, Row, named_params};

use crate::domain::time::Millis;
use crate::store::error::Result;
use crate::store::sql::read_row;
use crate::store::{DueDelivery, event};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By due time.
    Due,
    /// By sequence number, up to the first delivery that is not due. All deliveries of the webhook below `from_seq` are
    /// finished.
    Sequence { from_seq: i64 },
}

/// Due deliveries of a lane.
#[derive(Debug, Default)]
pub struct DueRows {
    /// Numbers of deliveries. Those beyond the limit of bytes come without their event.
    pub rows: Vec<(i64, Option<DueDelivery>)>,
    /// Deliveries whose stored event does not match its checksum.
    pub damaged: Vec<i64>,
    /// Due time of the first delivery that is not due yet.
    pub next_due_ms: Option<Millis>,
    /// Whether more are due than the limits allow.
    pub more: bool,
}

/// Returns the due deliveries of a webhook, up to `limit` rows, without those that `skip` selects. Events are read up to
/// about `max_bytes`; [`load`] reads the others. Uses the indexes `delivery_due` and `delivery_webhook`.
pub fn due(
    connection: &Connection,
    webhook_seq: i64,
    order: Order,
    now: Millis,
    limit: usize,
    max_bytes: usize,
    skip: impl Fn(i64) -> bool,
) -> Result<DueRows> {
    let mut statement = connection.prepare_cached(&due_sql(order))?;
    let mut rows = match order {
        Order::Due => statement.query(named_params! {":webhook": webhook_seq})?,
        Order::Sequence { from_seq } => statement.query(named_params! {":webhook": webhook_seq, ":from": from_seq})?,
    };
    let mut found = DueRows::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get("seq")?;
        // First, because a delivery in flight is due later if the clock was set back meanwhile.
        if skip(seq) {
            continue;
        }
        let due_ms: Millis = row.get("due_ms")?;
        if due_ms > now {
            found.next_due_ms = Some(due_ms);
            break;
        }
        if found.rows.len() >= limit {
            found.more = true;
            break;
        }
        if bytes >= max_bytes {
            found.rows.push((seq, None));
            continue;
        }
        match from_row(connection, row)? {
            Some(delivery) => {
                bytes += delivery.event.size_bytes();
                found.rows.push((seq, Some(delivery)));
            }
            None => found.damaged.push(seq),
        }
    }
    Ok(found)
}

#[derive(Debug)]
pub enum Loaded {
    Due(DueDelivery),
    /// The delivery is finished, or due later.
    NotDue,
    /// The stored event does not match its checksum.
    Damaged,
}

/// Reads a delivery that [`due`] returned without its event.
pub fn load(connection: &Connection, seq: i64, now: Millis) -> Result<Loaded> {
    let sql = format!("SELECT {COLUMNS} FROM delivery d WHERE d.seq = :seq AND d.due_ms <= :now");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {":seq": seq, ":now": now})?;
    match rows.next()? {
        Some(row) => Ok(from_row(connection, row)?.map_or(Loaded::Damaged, Loaded::Due)),
        None => Ok(Loaded::NotDue),
    }
}

/// Returns `None` if the stored event does not match its checksum.
fn from_row(connection: &Connection, row: &Row<'_>) -> Result<Option<DueDelivery>> {
    let Some(event) = event::intact(connection, row.get("event_seq")?)? else {
        return Ok(None);
    };
    Ok(Some(read_row!(row, DueDelivery {
        seq, id, webhook_seq, due_ms, attempt_count;
        event: Arc::new(event),
        trigger: row.get("next_trigger")?,
    })))
}

const COLUMNS: &str = "d.seq, d.id, d.webhook_seq, d.due_ms, d.attempt_count, d.next_trigger, d.event_seq";

pub(in crate::store) fn due_sql(order: Order) -> String {
    match order {
        Order::Due => format!(
            "SELECT {COLUMNS} FROM delivery d INDEXED BY delivery_due
             WHERE d.webhook_seq = :webhook AND d.due_ms IS NOT NULL
             ORDER BY d.due_ms, d.seq"
        ),
        Order::Sequence { .. } => format!(
            "SELECT {COLUMNS} FROM delivery d INDEXED BY delivery_webhook
             WHERE d.webhook_seq = :webhook AND d.seq >= :from AND d.due_ms IS NOT NULL
             ORDER BY d.seq"
        ),
    }
}
