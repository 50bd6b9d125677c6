//! Reading the deliveries that a lane sends next.
//!
//! The lane's index is followed without the table; each row is then read alone. So a row that cannot be read is known by
//! its number, and does not keep the others from being read.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, named_params};

use crate::domain::delivery::Trigger;
use crate::domain::id::DeliveryId;
use crate::domain::time::Millis;
use crate::store::damage;
use crate::store::error::{Result, StoreError};
use crate::store::sql::{self, read_row};
use crate::store::{DueDelivery, event};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By due time.
    Due,
    /// By sequence number, up to the first delivery that is not due.
    Sequence,
}

/// Deliveries that a read leaves out.
#[derive(Debug, Clone, Default)]
pub struct LeftOut {
    /// In the lane already.
    pub taken: HashSet<i64>,
    /// Rows that can be neither read nor ended.
    pub set_aside: HashSet<i64>,
}

/// Due deliveries of a lane.
#[derive(Debug, Default)]
pub struct DueRows {
    /// Numbers of deliveries. Those beyond the limit of bytes come without their event.
    pub rows: Vec<(i64, Option<DueDelivery>)>,
    /// Deliveries with an invalid value, or whose event is damaged.
    pub damaged: Vec<i64>,
    /// Deliveries on a damaged page, which cannot be changed either.
    pub unreadable: Vec<i64>,
    /// Due time of the first delivery that is not due yet.
    pub next_due_ms: Option<Millis>,
    /// Whether more are due than the limits allow.
    pub more: bool,
}

/// Returns the due deliveries of a webhook, up to `limit` rows. Events are read up to about `max_bytes`; [`load`] reads
/// the others. Uses the indexes `delivery_due` and `delivery_waiting`.
pub fn due(
    connection: &Connection,
    webhook_seq: i64,
    order: Order,
    now: Millis,
    limit: usize,
    max_bytes: usize,
    left_out: &LeftOut,
) -> Result<DueRows> {
    let mut statement = connection.prepare_cached(&due_sql(order))?;
    let mut rows = statement.query(named_params! {":webhook": webhook_seq})?;
    let mut found = DueRows::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get("seq")?;
        // First, because a delivery in flight is due later if the clock was set back meanwhile.
        if left_out.set_aside.contains(&seq) || left_out.taken.contains(&seq) {
            continue;
        }
        let due_ms: Millis = row.get("due_ms")?;
        if due_ms > now {
            found.next_due_ms = Some(due_ms);
            break;
        }
        if found.rows.len() + found.damaged.len() + found.unreadable.len() >= limit {
            found.more = true;
            break;
        }
        if bytes >= max_bytes {
            found.rows.push((seq, None));
            continue;
        }
        match load(connection, seq, now) {
            Ok(Loaded::Due(delivery)) => {
                bytes += delivery.event.size_bytes();
                found.rows.push((seq, Some(delivery)));
            }
            // Ended since the index was read.
            Ok(Loaded::NotDue) => {}
            Ok(Loaded::Damaged) => found.damaged.push(seq),
            Ok(Loaded::Unreadable) => found.unreadable.push(seq),
            Err(error) if error.is_damage() => {
                damage::report("delivery", seq, &error);
                found.unreadable.push(seq);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[derive(Debug)]
pub enum Loaded {
    Due(DueDelivery),
    /// The delivery is finished, or due later.
    NotDue,
    /// The delivery has an invalid value, or its event cannot be read or does not match its checksum.
    Damaged,
    /// The delivery is on a damaged page.
    Unreadable,
}

/// Reads a delivery that is due, with its event.
pub fn load(connection: &Connection, seq: i64, now: Millis) -> Result<Loaded> {
    let query = "SELECT seq, id, webhook_seq, due_ms, attempt_count, next_trigger, event_seq
                 FROM delivery WHERE seq = :seq AND due_ms <= :now";
    let columns = sql::first(connection, query, named_params! {":seq": seq, ":now": now}, |row| {
        Ok(read_row!(row, Columns { id, webhook_seq, due_ms, attempt_count, next_trigger, event_seq }))
    });
    let columns = match columns {
        Ok(None) => return Ok(Loaded::NotDue),
        Ok(Some(columns)) => columns,
        Err(error) if error.is_damage() => {
            damage::report("delivery", seq, &error);
            let is_page = matches!(error, StoreError::DamagedPage(_));
            return Ok(if is_page { Loaded::Unreadable } else { Loaded::Damaged });
        }
        Err(error) => return Err(error),
    };
    let Columns { id, webhook_seq, due_ms, attempt_count, next_trigger: trigger, event_seq } = columns;
    Ok(match event::intact(connection, event_seq)? {
        Some(event) => {
            Loaded::Due(DueDelivery { seq, id, webhook_seq, event: Arc::new(event), due_ms, attempt_count, trigger })
        }
        None => Loaded::Damaged,
    })
}

struct Columns {
    id: DeliveryId,
    webhook_seq: i64,
    due_ms: Millis,
    attempt_count: u32,
    next_trigger: Trigger,
    event_seq: i64,
}

/// Numbers and due times of the deliveries that wait, in the order of a lane, from an index alone.
pub(in crate::store) fn due_sql(order: Order) -> String {
    let (index, columns) = match order {
        Order::Due => ("delivery_due", "d.due_ms, d.seq"),
        Order::Sequence => ("delivery_waiting", "d.seq"),
    };
    format!(
        "SELECT d.seq, d.due_ms FROM delivery d INDEXED BY {index}
         WHERE d.webhook_seq = :webhook AND d.due_ms IS NOT NULL
         ORDER BY {columns}"
    )
}
