//! Many rows at a time, for actions that meet a whole list: found in steps by readers, changed in steps by the
//! writer. A step looks at a bounded number of rows, so no read transaction lasts long, however rare the matches.

use rusqlite::{Connection, named_params};

use super::delivery::{DeliveryFilter, Place, conditions_of};
use super::error::StoreError;
use super::row::{self, parsed};
use super::writer::WriteTx;
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::event::{EventType, Tenant};
use crate::domain::id::DeliveryId;
use crate::domain::time::Millis;

/// Rows that one step of the writer changes at most.
pub const STEP: usize = 500;
/// Sequence numbers that one read looks at, at most.
const WINDOW: i64 = 20_000;

/// What one read of a scan found, oldest first.
#[derive(Debug, Clone)]
pub struct Found<T> {
    pub rows: Vec<T>,
    /// Where the next read begins: after this sequence number. `None` once everything was looked at.
    pub next: Option<i64>,
}

impl<T> Found<T> {
    /// Of rows of a window, cut at a limit; `last` is where a cut one ended.
    fn in_window(rows: Vec<T>, window: Window, last: impl Fn(&T) -> i64) -> Found<T> {
        let next = match rows.last() {
            Some(row) if rows.len() >= STEP => Some(last(row)),
            _ => Some(window.end),
        };
        Found {
            rows,
            next: next.filter(|next| *next < window.up_to),
        }
    }
}

/// Sequence numbers to be looked at: above `after`, and up to `up_to` in all.
#[derive(Debug, Clone, Copy)]
struct Window {
    end: i64,
    up_to: i64,
}

impl Window {
    fn after(after: i64, up_to: i64) -> Window {
        Window {
            end: after.saturating_add(WINDOW).min(up_to),
            up_to,
        }
    }
}

/// Deliveries above `after` and up to `up_to` that a filter meets and that stand in one of these states: their
/// sequence numbers. Those of deleted webhooks and tests are left out.
pub fn deliveries(
    connection: &Connection,
    filter: &DeliveryFilter,
    states: &[DeliveryStatus],
    after: i64,
    up_to: i64,
) -> Result<Found<i64>, StoreError> {
    let window = Window::after(after, up_to);
    let states: Vec<String> = states.iter().map(|state| format!("'{state}'")).collect();
    let mut conditions = conditions_of(filter);
    conditions.and_fixed(&format!("d.status IN ({})", states.join(", ")));
    conditions.and_fixed("d.cause <> 'test' AND w.deleted_ms IS NULL");
    conditions.and("d.seq > ?", after);
    conditions.and("d.seq <= ?", window.end);
    let sql = format!(
        "SELECT d.seq FROM delivery d JOIN event e ON e.seq = d.event_seq JOIN webhook w ON w.seq = d.webhook_seq
         {} ORDER BY d.seq LIMIT {STEP}",
        conditions.sql()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = row::collect(&mut statement, conditions.params(), |row| Ok(row.get(0)?))?;
    Ok(Found::in_window(rows, window, |seq| *seq))
}

/// How a delivery stands, for who changes it.
#[derive(Debug, Clone)]
pub struct Standing {
    pub seq: i64,
    pub webhook_seq: i64,
    pub status: DeliveryStatus,
    pub cause: Cause,
    pub tenant: Tenant,
    /// Whether its webhook was deleted.
    pub is_orphan: bool,
}

impl Standing {
    pub fn place(&self) -> Place {
        Place {
            seq: self.seq,
            webhook_seq: self.webhook_seq,
            status: self.status,
        }
    }
}

/// How the delivery with this sequence number stands.
pub fn standing(connection: &Connection, seq: i64) -> Result<Option<Standing>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.seq, d.webhook_seq, d.status, d.cause, e.tenant, w.deleted_ms IS NOT NULL AS is_orphan
         FROM delivery d JOIN event e ON e.seq = d.event_seq JOIN webhook w ON w.seq = d.webhook_seq
         WHERE d.seq = :seq",
    )?;
    row::first(&mut statement, named_params! {":seq": seq}, |row| {
        Ok(Standing {
            seq: row.get("seq")?,
            webhook_seq: row.get("webhook_seq")?,
            status: parsed(row, "status")?,
            cause: parsed(row, "cause")?,
            tenant: parsed(row, "tenant")?,
            is_orphan: row.get("is_orphan")?,
        })
    })
}

/// The sequence number of the delivery with this id.
pub fn seq_of(connection: &Connection, id: DeliveryId) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT seq FROM delivery WHERE id = :id")?;
    row::first(
        &mut statement,
        named_params! {":id": id.to_bytes()},
        |row| Ok(row.get(0)?),
    )
}

/// What a replay has to know of an event to decide whether it is meant.
#[derive(Debug, Clone)]
pub struct EventHead {
    pub seq: i64,
    pub event_type: EventType,
    /// Where the scan found it: its own number, or that of a delivery of it.
    at: i64,
}

/// The newest event there is: what a replay begun now goes up to.
pub fn newest_event(connection: &Connection) -> Result<i64, StoreError> {
    let seq = connection
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM event")?
        .query_row([], |row| row.get(0))?;
    Ok(seq)
}

/// Times at which events were received: from `since` on, before `until`.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub since: Millis,
    pub until: Millis,
}

/// Events of a tenant that were received in a span, tests left out.
pub fn events(
    connection: &Connection,
    tenant: &Tenant,
    span: Span,
    after: i64,
    up_to: i64,
) -> Result<Found<EventHead>, StoreError> {
    let window = Window::after(after, up_to);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT seq, type, seq AS at FROM event
         WHERE seq > :after AND seq <= :end AND tenant = :tenant AND test = 0
           AND received_ms >= :since AND received_ms < :until
         ORDER BY seq LIMIT {STEP}"
    ))?;
    let params = named_params! {
        ":after": after,
        ":end": window.end,
        ":tenant": tenant.as_str(),
        ":since": span.since,
        ":until": span.until,
    };
    let rows = row::collect(&mut statement, params, head)?;
    Ok(Found::in_window(rows, window, |head| head.at))
}

/// Events received in a span whose newest delivery to a webhook failed. Scans deliveries: `after` and `up_to` are
/// sequence numbers of those. Served by the index `delivery_webhook`.
pub fn failed_events(
    connection: &Connection,
    webhook_seq: i64,
    span: Span,
    after: i64,
    up_to: i64,
) -> Result<Found<EventHead>, StoreError> {
    let window = Window::after(after, up_to);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT e.seq, e.type, d.seq AS at FROM delivery d JOIN event e ON e.seq = d.event_seq
         WHERE d.webhook_seq = :webhook AND d.seq > :after AND d.seq <= :end
           AND d.status = 'failed' AND d.cause <> 'test'
           AND e.received_ms >= :since AND e.received_ms < :until
           AND NOT EXISTS (SELECT 1 FROM delivery later
                           WHERE later.event_seq = d.event_seq AND later.webhook_seq = d.webhook_seq
                             AND later.seq > d.seq AND later.cause <> 'test')
         ORDER BY d.seq LIMIT {STEP}"
    ))?;
    let params = named_params! {
        ":webhook": webhook_seq,
        ":after": after,
        ":end": window.end,
        ":since": span.since,
        ":until": span.until,
    };
    let rows = row::collect(&mut statement, params, head)?;
    Ok(Found::in_window(rows, window, |head| head.at))
}

fn head(row: &rusqlite::Row<'_>) -> Result<EventHead, StoreError> {
    Ok(EventHead {
        seq: row.get("seq")?,
        event_type: parsed(row, "type")?,
        at: row.get("at")?,
    })
}

/// Stores a further delivery of a stored event, due now, without reading the event. Its sequence number; `None`
/// where the event is no longer stored. Whoever calls it sees to it that the lane reads the table.
pub fn insert_replay(
    tx: &mut WriteTx<'_>,
    event_seq: i64,
    webhook_seq: i64,
    id: DeliveryId,
) -> Result<Option<i64>, StoreError> {
    let inserted = tx
        .connection()
        .prepare_cached(
            "INSERT INTO delivery (id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms)
             SELECT :id, seq, :webhook_seq, 'pending', 'replay', :now, 'initial', :now
             FROM event WHERE seq = :event_seq",
        )?
        .execute(named_params! {
            ":id": id.to_bytes(),
            ":event_seq": event_seq,
            ":webhook_seq": webhook_seq,
            ":now": tx.now_ms(),
        })?;
    if inserted == 0 {
        return Ok(None);
    }
    tx.directory_mut().tally().made(webhook_seq);
    Ok(Some(tx.connection().last_insert_rowid()))
}
