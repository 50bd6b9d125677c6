//! The table of events.

use rusqlite::{Connection, Row, named_params};

use super::error::StoreError;
use super::index_scan;
use super::page::{Filter, Page, PageRequest};
use super::row::{self, parsed};
use super::topic;
use super::writer::WriteTx;
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::domain::time::Millis;
use crate::store::index_scan::{Bounds, List, Source};

/// An event and the number that the store knows it by.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub seq: i64,
    pub event: Event,
}

/// Which events a list shows.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub tenant: Option<Tenant>,
    pub event_type: Option<EventType>,
    /// Received at or after.
    pub since: Option<Millis>,
    /// Received before.
    pub until: Option<Millis>,
}

/// Stores an event; its sequence number.
pub fn insert(tx: &mut WriteTx<'_>, event: &Event) -> Result<i64, StoreError> {
    // Lists of events leave tests out.
    let topic_seq = if event.test { None } else { Some(topic::seq_of(tx, &event.tenant, &event.event_type)?) };
    tx.connection()
        .prepare_cached(
            "INSERT INTO event (id, tenant, type, created_ms, received_ms, test, checksum, data, previous_data, topic_seq)
             VALUES (:id, :tenant, :type, :created_ms, :received_ms, :test, :checksum, :data, :previous_data, :topic_seq)",
        )?
        .execute(named_params! {
            ":id": event.id.as_str(),
            ":tenant": event.tenant.as_str(),
            ":type": event.event_type.as_str(),
            ":created_ms": event.created_ms,
            ":received_ms": event.received_ms,
            ":test": event.test,
            ":checksum": event.checksum(),
            ":data": &*event.data,
            ":previous_data": event.previous_data.as_deref(),
            ":topic_seq": topic_seq,
        })?;
    Ok(tx.connection().last_insert_rowid())
}

/// The event with this id.
pub fn get(connection: &Connection, id: &EventId) -> Result<Option<StoredEvent>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM event WHERE id = :id")?;
    row::first(&mut statement, named_params! {":id": id.as_str()}, stored)
}

/// The event with this sequence number.
pub fn by_seq(connection: &Connection, seq: i64) -> Result<Option<StoredEvent>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM event WHERE seq = :seq")?;
    row::first(&mut statement, named_params! {":seq": seq}, stored)
}

/// The sequence number of the event with this id.
pub fn seq_of(connection: &Connection, id: &EventId) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT seq FROM event WHERE id = :id")?;
    row::first(&mut statement, named_params! {":id": id.as_str()}, |row| Ok(row.get("seq")?))
}

/// The id of the event with this sequence number.
pub fn id_of(connection: &Connection, seq: i64) -> Result<Option<EventId>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id FROM event WHERE seq = :seq")?;
    row::first(&mut statement, named_params! {":seq": seq}, |row| parsed(row, "id"))
}

/// A page of events, newest first. Test events are left out: they are no news of the application.
pub fn list(
    connection: &Connection,
    filter: &EventFilter,
    request: &PageRequest,
) -> Result<Page<StoredEvent>, StoreError> {
    let list = List {
        select: LIST,
        conditions: &conditions(filter),
        bounds: Bounds::of_page(request).within(connection, ("event", "received_ms"), filter.since, filter.until)?,
        budget: BUDGET,
    };
    let sources = sources(connection, filter)?;
    index_scan::page(connection, &sources, &list, request, |row| stored(row).map(Some))
}

/// How many events of a type came in since a time, counted up to `most`; tests left out. Follows entries of the index
/// `event_topic` alone, so a clock that was set back may let in some that came before.
pub fn count_since(
    connection: &Connection,
    tenant: Option<&Tenant>,
    event_type: &EventType,
    since: Millis,
    most: u32,
) -> Result<u64, StoreError> {
    let request = PageRequest { limit: 1, cursor: None };
    let bounds = Bounds::of_page(&request).within(connection, ("event", "received_ms"), Some(since), None)?;
    let whose = match tenant {
        Some(_) => "tenant = :tenant",
        None => ":tenant IS NULL",
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT count(*) FROM (
             SELECT 1 FROM (SELECT seq FROM topic WHERE type = :type AND {whose} LIMIT :topics) AS t
             CROSS JOIN event e INDEXED BY event_topic ON e.topic_seq = t.seq
             WHERE e.topic_seq IS NOT NULL AND e.seq >= :from LIMIT :most)"
    ))?;
    let params = named_params! {
        ":tenant": tenant.map(Tenant::as_str),
        ":type": event_type.as_str(),
        ":topics": TOPICS,
        ":from": bounds.from,
        ":most": most,
    };
    let count: i64 = statement.query_row(params, |row| row.get(0))?;
    Ok(count as u64)
}

/// Tenants of a type that are looked at for a count at most.
const TOPICS: u32 = 1_000;

/// What a filter asks of an event that is no test.
pub(super) fn conditions(filter: &EventFilter) -> Filter {
    let mut conditions = Filter::default();
    conditions.and_fixed("event.test = 0");
    if let Some(tenant) = &filter.tenant {
        conditions.and("event.tenant = ?", tenant.as_str().to_owned());
    }
    if let Some(event_type) = &filter.event_type {
        conditions.and("event.type = ?", event_type.as_str().to_owned());
    }
    if let Some(since) = filter.since {
        conditions.and("event.received_ms >= ?", since);
    }
    if let Some(until) = filter.until {
        conditions.and("event.received_ms < ?", until);
    }
    conditions
}

pub(super) const LIST: &str = "SELECT event.* FROM {numbers} AS wanted CROSS JOIN event ON event.seq = wanted.value";

/// Rows looked at for a page at most: an event's row is long.
const BUDGET: usize = 1_000;

/// The ways to the events that a filter shows, the shortest first.
pub(super) fn sources(connection: &Connection, filter: &EventFilter) -> Result<Vec<Source>, StoreError> {
    let (tenant, event_type) = (filter.tenant.as_ref(), filter.event_type.as_ref());
    if tenant.is_none() && event_type.is_none() {
        return Ok(vec![Source::table("event")]);
    }
    Ok(Source::by_number("event", "event_topic", "topic_seq = ?1", topic::matching(connection, tenant, event_type)?))
}

fn stored(row: &Row<'_>) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent { seq: row.get("seq")?, event: from_row(row)? })
}

/// Reads an event from a row that holds its columns (the id as `id`, its times as in the table).
fn from_row(row: &Row<'_>) -> Result<Event, StoreError> {
    Ok(Event {
        id: parsed(row, "id")?,
        tenant: parsed(row, "tenant")?,
        event_type: parsed(row, "type")?,
        created_ms: row.get("created_ms")?,
        received_ms: row.get("received_ms")?,
        data: row.get::<_, String>("data")?.into(),
        previous_data: row.get::<_, Option<String>>("previous_data")?.map(Into::into),
        test: row.get("test")?,
    })
}

/// The event with this number, or `None` where its bytes are not those that were stored.
pub fn intact(connection: &Connection, seq: i64) -> Result<Option<Event>, StoreError> {
    let checksum: u32 = connection
        .prepare_cached("SELECT checksum FROM event WHERE seq = :seq")?
        .query_row(named_params! {":seq": seq}, |row| row.get(0))?;
    match by_seq(connection, seq) {
        Ok(Some(stored)) if stored.event.checksum() == checksum => Ok(Some(stored.event)),
        Ok(_) | Err(StoreError::Corrupt(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
