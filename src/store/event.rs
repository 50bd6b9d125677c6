//! The table of events.

use rusqlite::{Connection, Row, named_params};

use super::bounds::Bounds;
use super::damage;
use super::error::{Result, StoreError};
use super::group::WriteTx;
use super::index_scan::{self, Found, List, Source};
use super::page::{Filter, PAGE_BYTES, Page, PageRequest, Total};
use super::search::{self, Hits, TextSearch};
use super::sql::{self, read_row, row_params};
use super::topic;
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::domain::pattern::EventPattern;
use crate::domain::several::Several;
use crate::domain::time::Millis;

#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub seq: i64,
    pub event: Event,
    /// Whether a part cannot be read, or the event does not match its checksum. It is never delivered then; `event` has
    /// what can be shown.
    pub damaged: bool,
}

impl StoredEvent {
    /// The event, unless it is damaged.
    pub fn whole(&self) -> Option<&Event> {
        (!self.damaged).then_some(&self.event)
    }
}

#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub tenant: Option<Tenant>,
    pub types: Several<EventPattern>,
    /// Received at or after.
    pub since: Option<Millis>,
    /// Received before.
    pub until: Option<Millis>,
}

pub fn insert(tx: &mut WriteTx<'_>, event: &Event) -> Result<i64> {
    // Lists of events leave tests out.
    let topic_seq = if event.test { None } else { Some(topic::seq_of(tx, &event.tenant, &event.event_type)?) };
    sql::run(
        tx.connection(),
        "INSERT INTO event (id, tenant, type, created_ms, received_ms, test, checksum, data, previous_data, topic_seq)
         VALUES (:id, :tenant, :type, :created_ms, :received_ms, :test, :checksum, :data, :previous_data, :topic_seq)",
        row_params!(event {
            id, tenant, created_ms, received_ms, test, data, previous_data;
            type: event.event_type, checksum: event.checksum(), topic_seq: topic_seq,
        }),
    )?;
    Ok(tx.connection().last_insert_rowid())
}

/// Records that an event was made of another one.
pub fn resent(tx: &WriteTx<'_>, seq: i64, from_seq: i64) -> Result<()> {
    let statement = "UPDATE event SET resent_from_seq = :from WHERE seq = :seq";
    sql::run(tx.connection(), statement, named_params! {":from": from_seq, ":seq": seq})
}

/// Events beside one that a person edited and sent again. Those that were deleted are left out.
#[derive(Debug, Clone, Default)]
pub struct Resends {
    pub from: Option<EventId>,
    /// The newest 20.
    pub to: Vec<EventId>,
}

/// Returns the event that an event was made of, and those made of it.
pub fn resends(connection: &Connection, seq: i64) -> Result<Resends> {
    let query = "SELECT id FROM event WHERE seq = (SELECT resent_from_seq FROM event WHERE seq = :seq)";
    let from = sql::first(connection, query, named_params! {":seq": seq}, |row| row.get("id"))?;
    let query = "SELECT id FROM event WHERE resent_from_seq = :seq ORDER BY seq DESC LIMIT 20";
    let to = sql::all(connection, query, named_params! {":seq": seq}, |row| row.get("id"))?;
    Ok(Resends { from, to })
}

/// Returns a tenant's event.
pub fn get(connection: &Connection, tenant: &Tenant, id: &EventId) -> Result<Option<StoredEvent>> {
    let query = "SELECT * FROM event WHERE id = :id AND tenant = :tenant";
    match sql::first(connection, query, named_params! {":id": id, ":tenant": tenant}, from_row) {
        Err(error) if error.is_damage() => match seq_of(connection, tenant, id)? {
            Some(seq) => salvage(connection, seq, Some(id), error).map(Some),
            None => Err(error),
        },
        found => found,
    }
}

pub fn by_seq(connection: &Connection, seq: i64) -> Result<Option<StoredEvent>> {
    match sql::first(connection, "SELECT * FROM event WHERE seq = :seq", named_params! {":seq": seq}, from_row) {
        Err(error) if error.is_damage() => salvage(connection, seq, None, error).map(Some),
        found => found,
    }
}

/// Returns what can be read of a damaged event. Its tenant and type are those of its deliveries; without one, nothing
/// can be shown, and `error` is returned.
fn salvage(connection: &Connection, seq: i64, id: Option<&EventId>, error: StoreError) -> Result<StoredEvent> {
    damage::report("event", seq, &error);
    let query = "SELECT t.tenant, t.type, d.created_ms FROM delivery d JOIN topic t ON t.seq = d.topic_seq
                 WHERE d.event_seq = :seq LIMIT 1";
    let of_delivery = sql::first(connection, query, named_params! {":seq": seq}, |row| {
        Ok((row.get("tenant")?, row.get("type")?, row.get("created_ms")?))
    })?;
    let Some((tenant, event_type, created_ms)) = of_delivery else {
        return Err(error);
    };
    let id = match id {
        Some(id) => id.clone(),
        None => readable_id(connection, seq),
    };
    let mut event = Event {
        id,
        tenant,
        event_type,
        created_ms,
        received_ms: created_ms,
        data: Box::default(),
        previous_data: None,
        test: false,
    };
    let query = "SELECT data, previous_data, created_ms, received_ms FROM event WHERE seq = :seq";
    let columns = sql::first(connection, query, named_params! {":seq": seq}, |row| {
        Ok((lossy(row, "data")?, lossy(row, "previous_data")?, row.get("created_ms")?, row.get("received_ms")?))
    });
    // A damaged page: the rest is shown without them.
    if let Ok(Some((data, previous_data, created_ms, received_ms))) = columns {
        event.data = data.map(|(text, _)| text).unwrap_or_default();
        event.previous_data = previous_data.map(|(text, _)| text);
        (event.created_ms, event.received_ms) = (created_ms, received_ms);
    }
    Ok(StoredEvent { seq, event, damaged: true })
}

/// Returns the id of a damaged event, or `unreadable`.
pub(super) fn readable_id(connection: &Connection, seq: i64) -> EventId {
    let id = id_of(connection, seq).ok().flatten();
    id.unwrap_or_else(|| "unreadable".parse().expect("a valid event id"))
}

/// Reads a text; bytes that are not UTF-8 are replaced. Returns whether all were.
fn lossy(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<(Box<str>, bool)>> {
    let Some(bytes) = row.get_ref(column)?.as_bytes_or_null()? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(bytes);
    let is_whole = matches!(text, std::borrow::Cow::Borrowed(_));
    Ok(Some((text.into(), is_whole)))
}

/// Returns the tenants that have an event with this id, ordered by name; at most `limit`.
pub fn tenants_with(connection: &Connection, id: &EventId, limit: u32) -> Result<Vec<Tenant>> {
    let query = "SELECT tenant FROM event WHERE id = :id ORDER BY tenant LIMIT :limit";
    sql::all(connection, query, named_params! {":id": id, ":limit": limit}, |row| row.get("tenant"))
}

fn seq_of(connection: &Connection, tenant: &Tenant, id: &EventId) -> Result<Option<i64>> {
    let query = "SELECT seq FROM event WHERE id = :id AND tenant = :tenant";
    sql::first(connection, query, named_params! {":id": id, ":tenant": tenant}, |row| row.get(0))
}

/// Returns the number of a tenant's event with this id, or those of all tenants that have it: 1,001 at most.
pub fn seqs_of(connection: &Connection, tenant: Option<&Tenant>, id: &EventId) -> Result<Vec<i64>> {
    let whose = match tenant {
        Some(_) => "tenant = :tenant",
        None => ":tenant IS NULL",
    };
    let query = format!("SELECT seq FROM event WHERE id = :id AND {whose} LIMIT :limit");
    let params = named_params! {":id": id, ":tenant": tenant, ":limit": index_scan::MOST as u32 + 1};
    sql::all(connection, &query, params, |row| row.get(0))
}

pub fn id_of(connection: &Connection, seq: i64) -> Result<Option<EventId>> {
    sql::first(connection, "SELECT id FROM event WHERE seq = :seq", named_params! {":seq": seq}, |row| row.get("id"))
}

/// Returns the sequence number of the newest event, or 0.
pub fn newest(connection: &Connection) -> Result<i64> {
    sql::value(connection, "SELECT coalesce(max(seq), 0) FROM event", [])
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
pub(super) fn conditions(filter: &EventFilter) -> Filter {
    let mut conditions = Filter::default();
    conditions.and_fixed("event.test = 0");
    conditions.and_some("event.tenant = ?", filter.tenant.clone());
    topic::and_types(&mut conditions, "event.type", &filter.types);
    conditions.and_some("event.received_ms >= ?", filter.since);
    conditions.and_some("event.received_ms < ?", filter.until);
    conditions
}

pub(super) const LIST: &str = "SELECT event.* FROM {numbers} AS wanted CROSS JOIN event ON event.seq = wanted.value";

pub(super) const COUNTED: &str =
    "SELECT event.seq FROM {numbers} AS wanted CROSS JOIN event ON event.seq = wanted.value";

pub(super) const PREVIEWS: &str = "SELECT event.seq, event.id, event.tenant, event.type, event.created_ms,
         event.received_ms
     FROM {numbers} AS wanted CROSS JOIN event ON event.seq = wanted.value";

pub(super) const SEARCHED: &str = "SELECT event.seq, event.id, event.data, event.previous_data
     FROM {numbers} AS wanted CROSS JOIN event ON event.seq = wanted.value";

/// Maximum rows examined per page. Low, because event rows are long.
const BUDGET: usize = 1_000;

/// Sources of the events that match a filter, the shortest first.
pub(super) fn sources(connection: &Connection, filter: &EventFilter) -> Result<Vec<Source>> {
    if filter.tenant.is_none() && !topic::is_narrow(&filter.types) {
        return Ok(vec![Source::table("event")]);
    }
    let topics = topic::matching(connection, filter.tenant.as_ref(), &filter.types)?;
    Ok(Source::by_number("event", "event_topic", "topic_seq = ?1", topics))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    let (data, is_whole) = lossy(row, "data")?.unwrap_or_default();
    let previous = lossy(row, "previous_data")?;
    let is_previous_whole = previous.as_ref().is_none_or(|(_, is_whole)| *is_whole);
    let event = read_row!(row, Event {
        id, tenant, created_ms, received_ms, test;
        event_type: row.get("type")?, data, previous_data: previous.map(|(text, _)| text),
    });
    let is_intact = row.get::<_, i64>("checksum")? == i64::from(event.checksum());
    Ok(StoredEvent { seq: row.get("seq")?, event, damaged: !(is_whole && is_previous_whole && is_intact) })
}

/// Returns the event with this number, or `None` if it is damaged: a part cannot be read, or it does not match its
/// checksum.
pub fn intact(connection: &Connection, seq: i64) -> Result<Option<Event>> {
    match sql::first(connection, "SELECT * FROM event WHERE seq = :seq", named_params! {":seq": seq}, from_row) {
        Ok(stored) => Ok(stored.filter(|stored| !stored.damaged).map(|stored| stored.event)),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}
