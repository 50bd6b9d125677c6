//! The table of events.

mod erase;
pub(super) mod list;

use rusqlite::{Connection, Row, named_params};

use super::error::{Result, StoreError};
use super::group::WriteTx;
use super::sql::{self, read_row, row_params};
use super::used_seq::{self, Numbered};
use super::{damage, index_scan, topic};
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::domain::time::Millis;

pub(super) use erase::hide_if_erased;
pub use erase::{discard_waiting, erase, erase_attempts};
pub use list::{
    EventFilter, EventPreview, beginning, count, count_since, following, list, previews, search, search_previews,
    with_id_prefix,
};
pub(super) use list::{conditions, sources};

#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub seq: i64,
    pub event: Event,
    /// When its data was erased. `data` is `null` since then.
    pub erased_ms: Option<Millis>,
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

pub fn insert(tx: &mut WriteTx<'_>, event: &Event) -> Result<i64> {
    // Lists of events leave tests out.
    let topic_seq = if event.test { None } else { Some(topic::seq_of(tx, &event.tenant, &event.event_type)?) };
    sql::run(
        tx.connection(),
        "INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data, previous_data, topic_seq)
         VALUES (:seq, :id, :tenant, :type, :created_ms, :received_ms, :test, :checksum, :data, :previous_data, :topic_seq)",
        row_params!(event {
            id, tenant, created_ms, received_ms, test, data, previous_data;
            seq: used_seq::next(tx, Numbered::Event)?, type: event.event_type, checksum: event.checksum(), topic_seq: topic_seq,
        }),
    )?;
    if !event.test {
        tx.note_event();
    }
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
    Ok(StoredEvent { seq, event, erased_ms: None, damaged: true })
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

fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    let (data, is_whole) = lossy(row, "data")?.unwrap_or_default();
    let previous = lossy(row, "previous_data")?;
    let is_previous_whole = previous.as_ref().is_none_or(|(_, is_whole)| *is_whole);
    let event = read_row!(row, Event {
        id, tenant, created_ms, received_ms, test;
        event_type: row.get("type")?, data, previous_data: previous.map(|(text, _)| text),
    });
    let is_intact = row.get::<_, i64>("checksum")? == i64::from(event.checksum());
    let damaged = !(is_whole && is_previous_whole && is_intact);
    Ok(StoredEvent { seq: row.get("seq")?, event, erased_ms: row.get("erased_ms")?, damaged })
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

/// Returns the data of a tenant's newest event of a type that is no test, among the last 100 of the type.
pub fn newest_data(connection: &Connection, tenant: &Tenant, event_type: &EventType) -> Result<Option<Box<str>>> {
    let query = "SELECT event.seq
                 FROM (SELECT e.seq FROM topic t CROSS JOIN event e INDEXED BY event_topic ON e.topic_seq = t.seq
                       WHERE t.tenant = :tenant AND t.type = :type ORDER BY e.seq DESC LIMIT 100) AS last
                     CROSS JOIN event ON event.seq = last.seq
                 WHERE event.test = 0 AND event.erased_ms IS NULL LIMIT 1";
    let params = named_params! {":tenant": tenant, ":type": event_type};
    let Some(seq) = sql::first(connection, query, params, |row| row.get("seq"))? else { return Ok(None) };
    Ok(intact(connection, seq)?.map(|event| event.data))
}
