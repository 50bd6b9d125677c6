//! Lists, counts and searches of events.

use rusqlite::{Connection, Row, named_params};

use super::{StoredEvent, by_seq, from_row};
use crate::domain::event::{EventId, EventType, Tenant};
use crate::domain::pattern::EventPattern;
use crate::domain::several::Several;
use crate::domain::time::Millis;
use crate::store::bounds::Bounds;
use crate::store::error::Result;
use crate::store::index_scan::{self, Found, List, Source};
use crate::store::page::{Cursor, Filter, PAGE_BYTES, Page, PageRequest, Total};
use crate::store::search::{self, Hits, TextSearch};
use crate::store::sql::{self, read_row};
use crate::store::{damage, topic};

#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub tenant: Option<Tenant>,
    pub types: Several<EventPattern>,
    /// Received at or after.
    pub since: Option<Millis>,
    /// Received before.
    pub until: Option<Millis>,
}

/// Returns a page of events, newest first, without tests.
pub fn list(connection: &Connection, filter: &EventFilter, request: &PageRequest) -> Result<Page<StoredEvent>> {
    let list = List {
        select: LIST,
        conditions: &conditions(filter),
        bounds: Bounds::of_page(request).within(connection, ("event", "received_ms"), filter.since, filter.until)?,
        budget: BUDGET,
    };
    index_scan::page(connection, &sources(connection, filter)?, &list, request, |row| from_row(row).map(Some))
}

/// Returns a page of the events stored after one, oldest first, and the number to go on from. The numbers are in the order
/// of the commits, because one thread assigns them and commits, so none appears later below this number.
pub fn following(
    connection: &Connection,
    filter: &EventFilter,
    after: i64,
    limit: u32,
) -> Result<(Vec<StoredEvent>, i64)> {
    // Before the list is read: what comes meanwhile is left for the next page.
    let newest = super::newest(connection)?;
    let request = PageRequest { limit, cursor: Some(Cursor::after(after)) };
    let bounds = Bounds::between(after, newest);
    let list = List {
        select: LIST,
        conditions: &conditions(filter),
        bounds: bounds.within(connection, ("event", "received_ms"), filter.since, filter.until)?,
        budget: BUDGET,
    };
    let sources = sources(connection, filter)?;
    let page = index_scan::page(connection, &sources, &list, &request, |row| from_row(row).map(Some))?;
    Ok((page.rows, page.next.map_or(newest.max(after), Cursor::seq)))
}

/// Counts the events that match a filter, without tests.
pub fn count(connection: &Connection, filter: &EventFilter) -> Result<Total> {
    let bounds = Bounds::between(0, i64::MAX - 1);
    let list = List {
        select: COUNTED,
        conditions: &conditions(filter),
        bounds: bounds.within(connection, ("event", "received_ms"), filter.since, filter.until)?,
        budget: index_scan::COUNTED,
    };
    index_scan::count(connection, &sources(connection, filter)?, &list, |_| Ok(true))
}

/// Event in a list, with a part of its data.
#[derive(Debug, Clone)]
pub struct EventPreview {
    pub seq: i64,
    pub id: EventId,
    pub tenant: Tenant,
    pub event_type: EventType,
    pub created_ms: Millis,
    pub received_ms: Millis,
    /// The first 120 characters of the data, or 120 around the text that was searched for.
    pub data: String,
}

impl Hits<EventPreview> {
    /// Adds events that were found otherwise, newest first, unless they are there already.
    #[must_use]
    pub fn with_older(mut self, found: Vec<EventPreview>) -> Hits<EventPreview> {
        let known: Vec<i64> = self.page.rows.iter().map(|event| event.seq).collect();
        self.page.rows.extend(found.into_iter().filter(|event| !known.contains(&event.seq)));
        self
    }
}

/// Like [`list`], without reading the data as a whole.
pub fn previews(connection: &Connection, filter: &EventFilter, request: &PageRequest) -> Result<Page<EventPreview>> {
    let list = List {
        select: PREVIEWS,
        conditions: &conditions(filter),
        bounds: Bounds::of_page(request).within(connection, ("event", "received_ms"), filter.since, filter.until)?,
        budget: BUDGET,
    };
    let read = |row: &Row<'_>| {
        let beginning = beginning(connection, row.get("seq")?)?;
        preview(row, beginning).map(Some)
    };
    index_scan::page(connection, &sources(connection, filter)?, &list, request, read)
}

fn preview(row: &Row<'_>, data: String) -> rusqlite::Result<EventPreview> {
    Ok(read_row!(row, EventPreview { seq, id, tenant, created_ms, received_ms; event_type: row.get("type")?, data }))
}

/// Returns the beginning of an event's data. Reads no more of it.
pub fn beginning(connection: &Connection, seq: i64) -> rusqlite::Result<String> {
    let blob = connection.blob_open(rusqlite::MAIN_DB, "event", "data", seq, true)?;
    let mut bytes = vec![0; blob.len().min(search::PREVIEW_BYTES)];
    blob.read_at_exact(&mut bytes, 0)?;
    Ok(search::preview(&bytes))
}

/// Returns a page of the events that contain a text in their id, data or previous data, newest first, without tests.
pub fn search(
    connection: &Connection,
    filter: &EventFilter,
    text: &TextSearch,
    request: &PageRequest,
) -> Result<Hits<StoredEvent>> {
    let mut found = matches(connection, filter, text, request)?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for (seq, _) in std::mem::take(&mut found.rows) {
        let Some(event) = damage::skip("event", seq, by_seq(connection, seq))?.flatten() else {
            continue;
        };
        bytes += event.event.data.len() + event.event.previous_data.as_ref().map_or(0, |data| data.len());
        rows.push(event);
        if bytes >= PAGE_BYTES {
            found.next = Some(seq);
            break;
        }
    }
    search::hits(Found { rows, next: found.next }, |seq| received_ms(connection, seq))
}

/// Like [`search()`], with previews.
pub fn search_previews(
    connection: &Connection,
    filter: &EventFilter,
    text: &TextSearch,
    request: &PageRequest,
) -> Result<Hits<EventPreview>> {
    let found = matches(connection, filter, text, request)?;
    let query = "SELECT seq, id, tenant, type, created_ms, received_ms FROM event WHERE seq = ?1";
    let mut rows = Vec::with_capacity(found.rows.len());
    for (seq, excerpt) in found.rows {
        let event = sql::first(connection, query, [seq], |row| preview(row, excerpt));
        rows.extend(damage::skip("event", seq, event)?.flatten());
    }
    search::hits(Found { rows, next: found.next }, |seq| received_ms(connection, seq))
}

/// Returns the numbers of events that contain a text, with excerpts.
fn matches(
    connection: &Connection,
    filter: &EventFilter,
    TextSearch { needle, timer }: &TextSearch,
    request: &PageRequest,
) -> Result<Found<(i64, String)>> {
    let list = List {
        select: SEARCHED,
        conditions: &conditions(filter),
        bounds: Bounds::of_page(request).within(connection, ("event", "received_ms"), filter.since, filter.until)?,
        budget: usize::MAX,
    };
    let Some(source) = sources(connection, filter)?.into_iter().next() else {
        return Ok(Found { rows: Vec::new(), next: None });
    };
    search::along(connection, &source, &list, request.limit, timer, |row| {
        let id = std::str::from_utf8(row.get_ref(1)?.as_bytes()?).unwrap_or_default();
        let previous = row.get_ref(3)?.as_bytes_or_null()?;
        let excerpt = search::excerpt(needle, &[id], row.get_ref(2)?.as_bytes()?, previous);
        excerpt.map(|excerpt| Ok((row.get(0)?, excerpt))).transpose()
    })
}

/// Returns up to `limit` events whose id begins with a text, newest first, without tests. Examines 1,000 entries of the
/// unique index.
pub fn with_id_prefix(
    connection: &Connection,
    tenant: Option<&Tenant>,
    prefix: &str,
    limit: u32,
) -> Result<Vec<EventPreview>> {
    // Ids are ASCII, so those with the prefix are before the prefix with the greatest byte.
    let query = "SELECT event.seq, event.id, event.tenant, event.type, event.created_ms, event.received_ms
                 FROM (SELECT seq, tenant FROM event WHERE id >= :prefix AND id < :prefix || char(127) LIMIT 1000) AS near
                 CROSS JOIN event ON event.seq = near.seq
                 WHERE near.tenant = coalesce(:tenant, near.tenant) AND event.test = 0 LIMIT :limit";
    let params = named_params! {":prefix": prefix, ":tenant": tenant, ":limit": limit};
    let mut found = sql::all(connection, query, params, |row| preview(row, String::new()))?;
    for event in &mut found {
        event.data = beginning(connection, event.seq).unwrap_or_default();
    }
    found.sort_by_key(|event| std::cmp::Reverse(event.seq));
    Ok(found)
}

/// Returns the time of the event with this number, or of the next one.
fn received_ms(connection: &Connection, seq: i64) -> Result<Option<Millis>> {
    let query = "SELECT received_ms FROM event WHERE seq >= ?1 ORDER BY seq LIMIT 1";
    sql::first(connection, query, [seq], |row| row.get(0))
}

/// Counts the events of a type received since a time, up to `most`, without tests. Reads only the index `event_topic`,
/// so the count may include earlier events if the clock was set back.
pub fn count_since(
    connection: &Connection,
    tenant: Option<&Tenant>,
    event_type: &EventType,
    since: Millis,
    most: u32,
) -> Result<u64> {
    let bounds = Bounds::between(0, i64::MAX).within(connection, ("event", "received_ms"), Some(since), None)?;
    let whose = match tenant {
        Some(_) => "tenant = :tenant",
        None => ":tenant IS NULL",
    };
    let query = format!(
        "SELECT count(*) FROM (
             SELECT 1 FROM (SELECT seq FROM topic WHERE type = :type AND {whose} LIMIT :topics) AS t
             CROSS JOIN event e INDEXED BY event_topic ON e.topic_seq = t.seq
             WHERE e.topic_seq IS NOT NULL AND e.seq >= :from LIMIT :most)"
    );
    let params = named_params! {
        ":tenant": tenant,
        ":type": event_type,
        ":topics": TOPICS,
        ":from": bounds.from,
        ":most": most,
    };
    sql::value(connection, &query, params)
}

/// Maximum tenants of a type that a count includes.
const TOPICS: u32 = 1_000;

/// Conditions of a filter on table `event`; tests are excluded.
pub(in crate::store) fn conditions(filter: &EventFilter) -> Filter {
    let mut conditions = Filter::default();
    conditions.and_fixed("event.test = 0");
    conditions.and_some("event.tenant = ?", filter.tenant.clone());
    topic::and_types(&mut conditions, "event.type", &filter.types);
    conditions.and_some("event.received_ms >= ?", filter.since);
    conditions.and_some("event.received_ms < ?", filter.until);
    conditions
}

pub(in crate::store) const LIST: &str =
    "SELECT event.* FROM {numbers} AS wanted CROSS JOIN event ON event.seq = wanted.value";

pub(in crate::store) const COUNTED: &str =
    "SELECT event.seq FROM {numbers} AS wanted CROSS JOIN event ON event.seq = wanted.value";

pub(in crate::store) const PREVIEWS: &str = "SELECT event.seq, event.id, event.tenant, event.type, event.created_ms,
         event.received_ms
     FROM {numbers} AS wanted CROSS JOIN event ON event.seq = wanted.value";

pub(in crate::store) const SEARCHED: &str = "SELECT event.seq, event.id, event.data, event.previous_data
     FROM {numbers} AS wanted CROSS JOIN event ON event.seq = wanted.value";

/// Maximum rows examined per page. Low, because event rows are long.
const BUDGET: usize = 1_000;

/// Sources of the events that match a filter, the shortest first.
pub(in crate::store) fn sources(connection: &Connection, filter: &EventFilter) -> Result<Vec<Source>> {
    if filter.tenant.is_none() && !topic::is_narrow(&filter.types) {
        return Ok(vec![Source::table("event")]);
    }
    let topics = topic::matching(connection, filter.tenant.as_ref(), &filter.types)?;
    Ok(Source::by_number("event", "event_topic", "topic_seq = ?1", topics))
}
