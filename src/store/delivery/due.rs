//! Reading the deliveries that a lane sends next.

use std::sync::Arc;

use rusqlite::{Connection, named_params};

use crate::domain::time::Millis;
use crate::store::error::StoreError;
use crate::store::{DueDelivery, event};

/// Order of a lane.
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
    pub rows: Vec<DueDelivery>,
    /// Deliveries whose stored event does not match its checksum.
    pub damaged: Vec<i64>,
    /// Due time of the first delivery that is not due yet.
    pub next_due_ms: Option<Millis>,
    /// Whether more are due than the limits allow.
    pub more: bool,
}

/// Returns the due deliveries of a webhook, up to `limit` rows and about `max_bytes` of data but at least one row,
/// without those that `skip` selects. Uses the indexes `delivery_due` and `delivery_webhook`.
pub fn due(
    connection: &Connection,
    webhook_seq: i64,
    order: Order,
    now: Millis,
    limit: usize,
    max_bytes: usize,
    skip: impl Fn(i64) -> bool,
) -> Result<DueRows, StoreError> {
    let mut statement = connection.prepare_cached(&due_sql(order))?;
    let mut rows = match order {
        Order::Due => statement.query(named_params! {":webhook": webhook_seq})?,
        Order::Sequence { from_seq } => statement.query(named_params! {":webhook": webhook_seq, ":from": from_seq})?,
    };
    let mut found = DueRows::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let due_ms: Millis = row.get("due_ms")?;
        if due_ms > now {
            found.next_due_ms = Some(due_ms);
            break;
        }
        let seq: i64 = row.get("seq")?;
        if skip(seq) {
            continue;
        }
        if found.rows.len() >= limit || (bytes >= max_bytes && !found.rows.is_empty()) {
            found.more = true;
            break;
        }
        let Some(event) = event::intact(connection, row.get("event_seq")?)? else {
            found.damaged.push(seq);
            continue;
        };
        bytes += event.size_bytes();
        found.rows.push(DueDelivery {
            seq,
            id: row.get("id")?,
            webhook_seq,
            event: Arc::new(event),
            due_ms,
            attempt_count: row.get("attempt_count")?,
            trigger: row.get("next_trigger")?,
        });
    }
    Ok(found)
}

/// Query of a lane, in its order.
pub(in crate::store) fn due_sql(order: Order) -> String {
    const COLUMNS: &str = "d.seq, d.id, d.due_ms, d.attempt_count, d.next_trigger, d.event_seq";
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
