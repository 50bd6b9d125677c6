//! Pairs of a tenant and an event type, numbered, so that one small index serves the filters by either and by both.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::error::StoreError;
use super::index_scan;
use super::row;
use super::writer::WriteTx;
use crate::domain::event::{EventType, Tenant};

/// The number of a pair; a new pair is stored.
pub fn seq_of(tx: &mut WriteTx<'_>, tenant: &Tenant, event_type: &EventType) -> Result<i64, StoreError> {
    if let Some(seq) = tx.directory().topic(tenant, event_type) {
        return Ok(seq);
    }
    let connection = tx.connection();
    let params = named_params! {":tenant": tenant.as_str(), ":type": event_type.as_str()};
    let found: Option<i64> = connection
        .prepare_cached("SELECT seq FROM topic WHERE tenant = :tenant AND type = :type")?
        .query_row(params, |row| row.get(0))
        .optional()?;
    let seq = match found {
        Some(seq) => seq,
        None => {
            connection.prepare_cached("INSERT INTO topic (tenant, type) VALUES (:tenant, :type)")?.execute(params)?;
            connection.last_insert_rowid()
        }
    };
    tx.directory_mut().learn_topic(tenant, event_type, seq);
    Ok(seq)
}

/// The event types that were published, in a tenant or in any, by name; `limit` at most.
pub fn types(connection: &Connection, tenant: Option<&Tenant>, limit: u32) -> Result<Vec<EventType>, StoreError> {
    let sql = match tenant {
        Some(_) => "SELECT type FROM topic WHERE tenant = :tenant ORDER BY type LIMIT :limit",
        None => "SELECT DISTINCT type FROM topic WHERE :tenant IS NULL ORDER BY type LIMIT :limit",
    };
    let mut statement = connection.prepare_cached(sql)?;
    let params = named_params! {":tenant": tenant.map(Tenant::as_str), ":limit": limit};
    row::collect(&mut statement, params, |row| row::parsed(row, "type"))
}

/// The pairs of a tenant, of a type, or of both; no more than tell that a walk would be made of too many ranges.
/// Served by the unique index and by `topic_type`.
pub(super) fn matching(
    connection: &Connection,
    tenant: Option<&Tenant>,
    event_type: Option<&EventType>,
) -> Result<Vec<i64>, StoreError> {
    let params = [tenant.map(Tenant::as_str), event_type.map(EventType::as_str)];
    let condition = match params {
        [Some(_), Some(_)] => "tenant = ?1 AND type = ?2",
        [Some(_), None] => "tenant = ?1 AND ?2 IS NULL",
        [None, _] => "?1 IS NULL AND type = ?2",
    };
    let sql = format!("SELECT seq FROM topic WHERE {condition} LIMIT {}", index_scan::MOST + 1);
    let mut statement = connection.prepare_cached(&sql)?;
    row::collect(&mut statement, params, |row| Ok(row.get(0)?))
}
