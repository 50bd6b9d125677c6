//! Many rows at a time, for actions that meet a whole list: found in steps by readers, changed in steps by the
//! writer. A read walks along an index, oldest first, and looks at a bounded number of rows, so that none lasts long
//! however rare the matches are: it may find nothing though there is more, and says where to go on.

use rusqlite::{Connection, named_params};

use super::delivery::{self, DeliveryFilter, DeliveryRef};
use super::error::StoreError;
use super::event::{self, EventFilter};
use super::index_scan;
use super::page::Filter;
use super::row::{self, parsed};
use super::writer::WriteTx;
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::event::{EventType, Tenant};
use crate::domain::id::DeliveryId;
use crate::domain::time::Millis;
use crate::store::index_scan::{Bounds, List, Source};

/// Rows that one step of the writer changes at most.
pub const STEP: usize = 500;
/// Rows that one read looks at, at most.
const BUDGET: usize = 20_000;

/// What one read of a scan found, oldest first.
#[derive(Debug, Clone)]
pub struct Found<T> {
    pub rows: Vec<T>,
    /// Where the next read begins: after this sequence number. `None` once everything was looked at.
    pub next: Option<i64>,
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
    let names: Vec<String> = states.iter().map(|state| format!("'{state}'")).collect();
    let mut conditions = delivery::conditions(filter);
    conditions.and_fixed(&format!("d.status IN ({})", names.join(", ")));
    conditions.and_fixed("d.cause <> 'test' AND w.deleted_ms IS NULL");
    let list = List {
        select: DELIVERIES,
        conditions: &conditions,
        bounds: Bounds::between(after, up_to).within(
            connection,
            ("delivery", "created_ms"),
            filter.since,
            filter.until,
        )?,
        budget: BUDGET,
    };
    let source = source(connection, filter, states)?;
    let (rows, next) = index_scan::scan(connection, &source, &list, STEP, |row| Ok(row.get("seq")?))?;
    Ok(Found { rows, next })
}

pub(super) const DELIVERIES: &str =
    "SELECT d.seq FROM {numbers} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value
     CROSS JOIN webhook w ON w.seq = d.webhook_seq";

/// The way to the deliveries of a filter that stand in these states. Where the filter itself leads to what may be
/// most of the table, the states lead to less: few deliveries are not delivered.
pub(super) fn source(
    connection: &Connection,
    filter: &DeliveryFilter,
    states: &[DeliveryStatus],
) -> Result<Source, StoreError> {
    let found = delivery::sources(connection, filter)?.into_iter().next();
    let found = found.filter(|source| !matches!(source.index, None | Some("delivery_topic")));
    if let Some(source) = found {
        return Ok(source);
    }
    if states.contains(&DeliveryStatus::Delivered) {
        return Ok(Source::table("delivery"));
    }
    let states = states.iter().map(|state| state.into_str().to_owned().into());
    Ok(Source::index("delivery", "delivery_status", "status = ?1 AND status <> 'delivered'", states.collect()))
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
    pub fn place(&self) -> DeliveryRef {
        DeliveryRef { seq: self.seq, webhook_seq: self.webhook_seq, status: self.status }
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
    row::first(&mut statement, named_params! {":id": id.to_bytes()}, |row| Ok(row.get(0)?))
}

/// What a replay has to know of an event to decide whether it is meant.
#[derive(Debug, Clone)]
pub struct EventHead {
    pub seq: i64,
    pub event_type: EventType,
}

/// The newest event there is: what a replay begun now goes up to.
pub fn newest_event(connection: &Connection) -> Result<i64, StoreError> {
    let seq = connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM event")?.query_row([], |row| row.get(0))?;
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
    let filter = EventFilter {
        tenant: Some(tenant.clone()),
        event_type: None,
        since: Some(span.since),
        until: Some(span.until),
    };
    let list = List {
        select: EVENTS,
        conditions: &event::conditions(&filter),
        bounds: Bounds::between(after, up_to).within(
            connection,
            ("event", "received_ms"),
            filter.since,
            filter.until,
        )?,
        budget: BUDGET,
    };
    let Some(source) = event::sources(connection, &filter)?.into_iter().next() else {
        return Ok(Found { rows: Vec::new(), next: None });
    };
    let (rows, next) = index_scan::scan(connection, &source, &list, STEP, head)?;
    Ok(Found { rows, next })
}

pub(super) const EVENTS: &str = "SELECT event.seq, event.seq AS event_seq, event.type FROM {numbers} AS wanted
     CROSS JOIN event ON event.seq = wanted.value";

/// Events received in a span whose newest delivery to a webhook failed. Scans deliveries: `after` and `up_to` are
/// sequence numbers of those.
pub fn failed_events(
    connection: &Connection,
    webhook_seq: i64,
    span: Span,
    after: i64,
    up_to: i64,
) -> Result<Found<EventHead>, StoreError> {
    let list = List {
        select: FAILED,
        conditions: &failed_conditions(span),
        // A delivery is no older than its event; it may be younger than the span.
        bounds: Bounds::between(after, up_to).within(connection, ("delivery", "created_ms"), Some(span.since), None)?,
        budget: BUDGET,
    };
    let source = delivery::out_of_line(DeliveryStatus::Failed, vec![webhook_seq.into()]);
    let (rows, next) = index_scan::scan(connection, &source, &list, STEP, head)?;
    Ok(Found { rows, next })
}

pub(super) fn failed_conditions(span: Span) -> Filter {
    let mut conditions = Filter::default();
    conditions.and_fixed("d.status = 'failed' AND d.cause <> 'test'");
    conditions.and("e.received_ms >= ?", span.since);
    conditions.and("e.received_ms < ?", span.until);
    conditions.and_fixed(
        "NOT EXISTS (SELECT 1 FROM delivery later INDEXED BY delivery_event
                     WHERE later.event_seq = d.event_seq AND later.webhook_seq = d.webhook_seq
                       AND later.seq > d.seq AND later.cause <> 'test')",
    );
    conditions
}

pub(super) const FAILED: &str =
    "SELECT d.seq, e.seq AS event_seq, e.type FROM {numbers} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value
     CROSS JOIN event e ON e.seq = d.event_seq";

fn head(row: &rusqlite::Row<'_>) -> Result<EventHead, StoreError> {
    Ok(EventHead { seq: row.get("event_seq")?, event_type: parsed(row, "type")? })
}

/// Stores a further delivery of a stored event, due now, without reading the event. Its sequence number; `None`
/// where the event is no longer stored. It must be no test, which has no topic. Whoever calls it sees to it that the lane reads the table.
pub fn insert_replay(
    tx: &mut WriteTx<'_>,
    event_seq: i64,
    webhook_seq: i64,
    id: DeliveryId,
) -> Result<Option<i64>, StoreError> {
    let inserted = tx
        .connection()
        .prepare_cached(
            "INSERT INTO delivery (id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms, topic_seq)
             SELECT :id, seq, :webhook_seq, 'pending', 'replay', :now, 'initial', :now, topic_seq
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
