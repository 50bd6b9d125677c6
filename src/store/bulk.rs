//! Scans for actions on many rows: readers find the rows in steps, the writer changes them in steps. Each read examines
//! a bounded number of rows along an index, oldest first. It may find nothing although more rows follow; its `next` says
//! where to continue.

use rusqlite::{Connection, Row, named_params};

use super::bounds::Bounds;
use super::delivery::{self, DeliveryFilter, DeliveryRef};
use super::error::Result;
use super::event::{self, EventFilter};
pub use super::index_scan::Found;
use super::index_scan::{self, List, Source};
use super::page::Filter;
use super::sql::{self, read_row};
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::event::{EventType, Tenant};
use crate::domain::time::Millis;

/// Maximum rows that one step of the writer changes: about a millisecond of its time.
pub const STEP: usize = 100;
/// Maximum rows that one read examines.
const BUDGET: usize = 20_000;

/// Returns the sequence numbers of the deliveries after `after` and up to `up_to` that match a filter and are in one of
/// the states, without tests and without those of deleted webhooks.
pub fn deliveries(
    connection: &Connection,
    filter: &DeliveryFilter,
    states: &[DeliveryStatus],
    after: i64,
    up_to: i64,
) -> Result<Found<i64>> {
    let names: Vec<String> = states.iter().map(|state| format!("'{state}'")).collect();
    let mut conditions = delivery::conditions(filter);
    conditions.and_fixed(&format!("d.status IN ({})", names.join(", ")));
    conditions.and_fixed("d.cause <> 'test' AND w.deleted_ms IS NULL");
    let bounds = Bounds::between(after, up_to);
    let list = List {
        select: DELIVERIES,
        conditions: &conditions,
        bounds: filter.within(bounds, connection)?,
        budget: BUDGET,
    };
    let source = source(connection, filter, states)?;
    index_scan::scan(connection, &source, &list, STEP, |row| row.get("seq"))
}

pub(super) const DELIVERIES: &str =
    "SELECT d.seq FROM {numbers} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value
     CROSS JOIN webhook w ON w.seq = d.webhook_seq";

/// Returns the source of the deliveries that match a filter in these states. If the filter selects most of the table,
/// the index of states is shorter: most deliveries are delivered, which that index leaves out.
pub(super) fn source(connection: &Connection, filter: &DeliveryFilter, states: &[DeliveryStatus]) -> Result<Source> {
    let is_waiting = |state: &DeliveryStatus| matches!(state, DeliveryStatus::Pending | DeliveryStatus::Retrying);
    if !filter.webhooks.is_empty() && filter.event.is_none() && states.iter().all(is_waiting) {
        return delivery::waiting_at(connection, &filter.webhooks);
    }
    let source = delivery::sources(connection, filter)?.into_iter().next();
    if let Some(source) = source.filter(|source| !matches!(source.index, None | Some("delivery_topic"))) {
        return Ok(source);
    }
    if states.contains(&DeliveryStatus::Delivered) {
        return Ok(Source::table("delivery"));
    }
    let states = states.iter().map(|state| state.to_string().into());
    Ok(Source::index("delivery", "delivery_status", "status = ?1 AND status <> 'delivered'", states.collect()))
}

/// Current state of a delivery that is to be changed.
#[derive(Debug, Clone)]
pub struct Standing {
    pub seq: i64,
    pub webhook_seq: i64,
    pub status: DeliveryStatus,
    pub cause: Cause,
    pub tenant: Tenant,
    pub is_orphan: bool,
    /// Whether the data of its event was erased.
    pub is_erased: bool,
}

impl Standing {
    pub fn reference(&self) -> DeliveryRef {
        DeliveryRef { seq: self.seq, webhook_seq: self.webhook_seq, status: self.status }
    }
}

pub fn standing(connection: &Connection, seq: i64) -> Result<Option<Standing>> {
    // The webhook has the tenant too, and the event may be damaged.
    let query = "SELECT d.seq, d.webhook_seq, d.status, d.cause, w.tenant, w.deleted_ms IS NOT NULL AS is_orphan,
                     coalesce((SELECT e.erased_ms FROM event e WHERE e.seq = d.event_seq), 0) > 0 AS is_erased
                 FROM delivery d JOIN webhook w ON w.seq = d.webhook_seq
                 WHERE d.seq = :seq";
    sql::first(connection, query, named_params! {":seq": seq}, |row| {
        Ok(read_row!(row, Standing { seq, webhook_seq, status, cause, tenant, is_orphan, is_erased }))
    })
}

/// Number and type of an event, by which a replay selects it.
#[derive(Debug, Clone)]
pub struct EventHead {
    pub seq: i64,
    pub event_type: EventType,
}

/// Span of time in which events were received: from `since`, before `until`.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub since: Millis,
    pub until: Millis,
}

/// Returns the events of a tenant received in a span, without tests.
pub fn events(
    connection: &Connection,
    tenant: &Tenant,
    span: Span,
    after: i64,
    up_to: i64,
) -> Result<Found<EventHead>> {
    let (since, until) = (Some(span.since), Some(span.until));
    let filter = EventFilter { tenant: Some(tenant.clone()), since, until, ..EventFilter::default() };
    let mut conditions = event::conditions(&filter);
    conditions.and_fixed("event.erased_ms IS NULL");
    let list = List {
        select: EVENTS,
        conditions: &conditions,
        bounds: Bounds::between(after, up_to).within(connection, ("event", "received_ms"), since, until)?,
        budget: BUDGET,
    };
    let Some(source) = event::sources(connection, &filter)?.into_iter().next() else {
        return Ok(Found { rows: Vec::new(), next: None });
    };
    index_scan::scan(connection, &source, &list, STEP, head)
}

pub(super) const EVENTS: &str = "SELECT event.seq, event.seq AS event_seq, event.type FROM {numbers} AS wanted
     CROSS JOIN event ON event.seq = wanted.value";

/// Returns the events received in a span whose newest delivery to a webhook failed. `after` and `up_to` are sequence
/// numbers of deliveries.
pub fn failed_events(
    connection: &Connection,
    webhook_seq: i64,
    span: Span,
    after: i64,
    up_to: i64,
) -> Result<Found<EventHead>> {
    let list = List {
        select: FAILED,
        conditions: &failed_conditions(span),
        // A delivery is at least as young as its event, and may be younger than the span.
        bounds: Bounds::between(after, up_to).within(connection, ("delivery", "created_ms"), Some(span.since), None)?,
        budget: BUDGET,
    };
    let source = delivery::failing_at(DeliveryStatus::Failed, vec![webhook_seq.into()]);
    index_scan::scan(connection, &source, &list, STEP, head)
}

pub(super) fn failed_conditions(span: Span) -> Filter {
    let mut conditions = Filter::default();
    conditions.and_fixed("d.status = 'failed' AND d.cause <> 'test'");
    conditions.and("e.received_ms >= ?", span.since);
    conditions.and("e.received_ms < ?", span.until);
    conditions.and_fixed("e.erased_ms IS NULL");
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

fn head(row: &Row<'_>) -> rusqlite::Result<EventHead> {
    Ok(EventHead { seq: row.get("event_seq")?, event_type: row.get("type")? })
}
