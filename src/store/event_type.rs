//! The table of described event types, and their schemas.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, Row, named_params};

use super::error::Result;
use super::page::{Filter, Page, PageRequest};
use super::sql::{self, read_row};
use super::{Change, WriteTx};
use crate::domain::event::{EventType, Tenant};
use crate::domain::schema::Schema;
use crate::domain::time::Millis;

#[derive(Debug, Clone)]
pub struct DescribedType {
    pub seq: i64,
    pub name: EventType,
    pub description: String,
    /// JSON as received.
    pub example: Option<Box<str>>,
    /// JSON as received.
    pub schema: Option<Box<str>>,
    pub created_ms: Millis,
    pub updated_ms: Millis,
}

/// Compiled schemas by event type, as of the last commit. Cheap to clone. Types without a schema take no memory.
#[derive(Clone, Default)]
pub struct Schemas(Arc<RwLock<HashMap<EventType, Arc<Schema>>>>);

impl Schemas {
    pub(super) fn load(connection: &Connection) -> Result<Schemas> {
        let query = "SELECT name, schema FROM event_type WHERE schema IS NOT NULL";
        let read = |row: &Row<'_>| Ok((row.get("name")?, Arc::new(row.get("schema")?)));
        let all = sql::all(connection, query, [], read)?;
        Ok(Schemas(Arc::new(RwLock::new(all.into_iter().collect()))))
    }

    /// Returns the schema of an event type, if it has one.
    pub fn find(&self, name: &EventType) -> Option<Arc<Schema>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn apply(&self, change: &Change) {
        if let Change::EventType { name, schema } = change {
            let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
            match schema {
                Some(schema) => all.insert(name.clone(), Arc::clone(schema)),
                None => all.remove(name),
            };
        }
    }
}

/// Returns the number of described types and the bytes of their schemas, not counting one type.
pub fn usage_without(connection: &Connection, name: &EventType) -> Result<(i64, i64)> {
    let query = "SELECT count(*), coalesce(sum(octet_length(schema)), 0) FROM event_type WHERE name <> :name";
    let usage = sql::first(connection, query, named_params! {":name": name}, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(usage.unwrap_or_default())
}

pub fn get(connection: &Connection, name: &EventType) -> Result<Option<DescribedType>> {
    sql::first(connection, "SELECT * FROM event_type WHERE name = :name", named_params! {":name": name}, from_row)
}

/// Returns the example of an event type, if it has one.
pub fn example(connection: &Connection, name: &EventType) -> Result<Option<Box<str>>> {
    let query = "SELECT example FROM event_type WHERE name = :name";
    let found = sql::first(connection, query, named_params! {":name": name}, |row| row.get("example"))?;
    Ok(found.flatten())
}

/// Described event type in a list, without its example and schema.
#[derive(Debug, Clone)]
pub struct TypeHead {
    pub name: EventType,
    pub description: String,
    pub has_example: bool,
    pub has_schema: bool,
}

pub fn head(connection: &Connection, name: &EventType) -> Result<Option<TypeHead>> {
    let query = "SELECT name, description, example IS NOT NULL AS has_example, schema IS NOT NULL AS has_schema
                 FROM event_type WHERE name = :name";
    sql::first(connection, query, named_params! {":name": name}, head_from_row)
}

/// Returns the newest described types, up to `limit`.
pub fn heads(connection: &Connection, limit: u32) -> Result<Vec<TypeHead>> {
    let query = "SELECT name, description, example IS NOT NULL AS has_example, schema IS NOT NULL AS has_schema
                 FROM event_type ORDER BY seq DESC LIMIT :limit";
    sql::all(connection, query, named_params! {":limit": limit}, head_from_row)
}

pub fn list(connection: &Connection, request: &PageRequest) -> Result<Page<DescribedType>> {
    Page::read(connection, "SELECT * FROM event_type", Filter::default(), request, from_row, |row| row.seq)
}

/// Returns up to `limit` names, in alphabetical order after `after`, of types that are described or were published in
/// a tenant, or in any. Seeks the next name each time, so the cost does not grow with the number of tenants.
pub fn names(connection: &Connection, tenant: Option<&Tenant>, after: &str, limit: u32) -> Result<Vec<EventType>> {
    let whose = match tenant {
        Some(_) => "tenant = :tenant AND",
        None => ":tenant IS NULL AND",
    };
    let query = format!(
        "WITH RECURSIVE seen (name) AS (
             SELECT (SELECT min(type) FROM topic WHERE {whose} type > :after)
             UNION ALL
             SELECT (SELECT min(type) FROM topic WHERE {whose} type > seen.name) FROM seen
             WHERE seen.name IS NOT NULL LIMIT :limit)
         SELECT name FROM (SELECT name FROM event_type WHERE name > :after ORDER BY name LIMIT :limit)
         UNION SELECT name FROM seen WHERE name IS NOT NULL ORDER BY name LIMIT :limit"
    );
    let params = named_params! {":tenant": tenant, ":after": after, ":limit": limit};
    sql::all(connection, &query, params, |row| row.get("name"))
}

/// Whether an event of this type was published in a tenant, or in any.
pub fn was_seen(connection: &Connection, tenant: Option<&Tenant>, name: &EventType) -> Result<bool> {
    let query = match tenant {
        Some(_) => "SELECT EXISTS (SELECT 1 FROM topic WHERE type = ?1 AND tenant = ?2)",
        None => "SELECT EXISTS (SELECT 1 FROM topic WHERE type = ?1 AND ?2 IS NULL)",
    };
    sql::value(connection, query, (name, tenant))
}

/// Stores or replaces the description of a type. Events are checked against its schema from the commit on.
pub fn put(
    tx: &mut WriteTx<'_>,
    name: &EventType,
    description: &str,
    example: Option<&str>,
    schema: Option<Arc<Schema>>,
) -> Result<()> {
    sql::run(
        tx.connection(),
        "INSERT INTO event_type (name, description, example, schema, created_ms, updated_ms)
         VALUES (:name, :description, :example, :schema, :now, :now)
         ON CONFLICT (name) DO UPDATE SET description = excluded.description, example = excluded.example,
             schema = excluded.schema, updated_ms = excluded.updated_ms",
        named_params! {
            ":name": name,
            ":description": description,
            ":example": example,
            ":schema": schema.as_ref().map(|schema| schema.text()),
            ":now": tx.now_ms(),
        },
    )?;
    tx.notify(Change::EventType { name: name.clone(), schema });
    Ok(())
}

/// Deletes the description of a type. Returns whether there was one.
pub fn delete(tx: &mut WriteTx<'_>, name: &EventType) -> Result<bool> {
    let statement = "DELETE FROM event_type WHERE name = :name";
    let deleted = sql::change(tx.connection(), statement, named_params! {":name": name})?;
    tx.notify(Change::EventType { name: name.clone(), schema: None });
    Ok(deleted == 1)
}

fn head_from_row(row: &Row<'_>) -> rusqlite::Result<TypeHead> {
    Ok(read_row!(row, TypeHead { name, description, has_example, has_schema }))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<DescribedType> {
    Ok(read_row!(row, DescribedType { seq, name, description, example, schema, created_ms, updated_ms }))
}
