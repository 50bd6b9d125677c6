//! The table of topics. A topic is a (tenant, event type) pair with a number, so one small index serves the filters
//! by either and by both.

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::group::WriteTx;
use super::index_scan;
use super::sql;
use crate::domain::event::{EventType, Tenant};

/// Returns the id of the (tenant, type) pair, inserting it if it is new.
pub fn seq_of(tx: &mut WriteTx<'_>, tenant: &Tenant, event_type: &EventType) -> Result<i64> {
    if let Some(seq) = tx.directory().topic(tenant, event_type) {
        return Ok(seq);
    }
    let connection = tx.connection();
    let params = named_params! {":tenant": tenant, ":type": event_type};
    let query = "SELECT seq FROM topic WHERE tenant = :tenant AND type = :type";
    let seq = match sql::first(connection, query, params, |row| row.get(0))? {
        Some(seq) => seq,
        None => {
            sql::run(connection, "INSERT INTO topic (tenant, type) VALUES (:tenant, :type)", params)?;
            connection.last_insert_rowid()
        }
    };
    tx.directory_mut().cache_topic(tenant, event_type, seq);
    Ok(seq)
}

/// Returns the event types published in a tenant, or in any, ordered by name; at most `limit`.
pub fn types(connection: &Connection, tenant: Option<&Tenant>, limit: u32) -> Result<Vec<EventType>> {
    let query = match tenant {
        Some(_) => "SELECT type FROM topic WHERE tenant = :tenant ORDER BY type LIMIT :limit",
        None => "SELECT DISTINCT type FROM topic WHERE :tenant IS NULL ORDER BY type LIMIT :limit",
    };
    sql::all(connection, query, named_params! {":tenant": tenant, ":limit": limit}, |row| row.get("type"))
}

/// Returns up to `limit` tenants with webhooks or published events, in alphabetical order after `after`. Seeks the next
/// name each time, so the cost does not grow with the rows of a tenant.
pub fn tenants(connection: &Connection, after: &str, limit: u32) -> Result<Vec<Tenant>> {
    let query = "WITH RECURSIVE
             published (name) AS (
                 SELECT (SELECT min(tenant) FROM topic WHERE tenant > :after)
                 UNION ALL
                 SELECT (SELECT min(tenant) FROM topic WHERE tenant > published.name) FROM published
                 WHERE published.name IS NOT NULL LIMIT :limit),
             subscribed (name) AS (
                 SELECT (SELECT min(tenant) FROM webhook WHERE tenant > :after)
                 UNION ALL
                 SELECT (SELECT min(tenant) FROM webhook WHERE tenant > subscribed.name) FROM subscribed
                 WHERE subscribed.name IS NOT NULL LIMIT :limit)
         SELECT name FROM published WHERE name IS NOT NULL
         UNION SELECT name FROM subscribed WHERE name IS NOT NULL ORDER BY name LIMIT :limit";
    sql::all(connection, query, named_params! {":after": after, ":limit": limit}, |row| row.get("name"))
}

/// Returns the topics of a tenant, of a type, or of both; one more than [`index_scan::MOST`] at most. Uses the unique
/// index and `topic_type`.
pub(super) fn matching(
    connection: &Connection,
    tenant: Option<&Tenant>,
    event_type: Option<&EventType>,
) -> Result<Vec<i64>> {
    let condition = match (tenant, event_type) {
        (Some(_), Some(_)) => "tenant = ?1 AND type = ?2",
        (Some(_), None) => "tenant = ?1 AND ?2 IS NULL",
        (None, _) => "?1 IS NULL AND type = ?2",
    };
    let query = format!("SELECT seq FROM topic WHERE {condition} LIMIT {}", index_scan::MOST + 1);
    sql::all(connection, &query, (tenant, event_type), |row| row.get(0))
}
