//! The table of topics. A topic is a (tenant, event type) pair with a number, so one small index serves the filters
//! by either and by both.

use std::collections::BTreeSet;

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::group::WriteTx;
use super::index_scan;
use super::page::Filter;
use super::sql;
use crate::domain::event::{EventType, Tenant};
use crate::domain::pattern::EventPattern;

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

/// Whether some patterns leave types out.
pub(super) fn is_narrow(types: &[EventPattern]) -> bool {
    !types.is_empty() && !types.contains(&EventPattern::All)
}

/// Adds the condition that a type matches one of some patterns. `column` is the type in SQL.
pub(super) fn and_types(conditions: &mut Filter, column: &str, types: &[EventPattern]) {
    if is_narrow(types) {
        // No character of a type is special in GLOB.
        conditions.and_any(&format!("{column} GLOB ?"), types.iter().map(ToString::to_string));
    }
}

/// Returns the topics of a tenant, of some types, or of both, each once; some more than [`index_scan::MOST`] at most. Uses
/// the unique index and `topic_type`.
pub(super) fn matching(connection: &Connection, tenant: Option<&Tenant>, types: &[EventPattern]) -> Result<Vec<i64>> {
    let whose = match tenant {
        Some(_) => "tenant = ?1 AND",
        None => "?1 IS NULL AND",
    };
    let query = format!("SELECT seq FROM topic WHERE {whose} type >= ?2 AND type < ?3 LIMIT {}", index_scan::MOST + 1);
    let everything = [EventPattern::All];
    let mut found = BTreeSet::new();
    for pattern in if is_narrow(types) { types } else { &everything } {
        // The types in question follow each other: a point comes before a slash, and every type before a tilde.
        let (first, end) = match pattern {
            EventPattern::Exact(name) => (name.to_string(), format!("{name}\u{1}")),
            EventPattern::Below(name) => (format!("{name}."), format!("{name}/")),
            EventPattern::All => (String::new(), "~".to_owned()),
        };
        found.extend(sql::all(connection, &query, (tenant, first, end), |row| row.get::<_, i64>(0))?);
        if found.len() > index_scan::MOST {
            break;
        }
    }
    Ok(found.into_iter().collect())
}
