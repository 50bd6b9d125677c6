//! The table of event types, and the schemas of those that have one.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::error::StoreError;
use super::page::{Filter, Page, PageRequest};
use super::row::{self, parsed};
use super::writer::{Change, WriteTx};
use crate::domain::event::{EventType, Tenant};
use crate::domain::schema::Schema;
use crate::domain::time::Millis;

/// What people said about an event type.
#[derive(Debug, Clone)]
pub struct DescribedType {
    pub seq: i64,
    pub name: EventType,
    pub description: String,
    /// JSON as it was spelled.
    pub example: Option<Box<str>>,
    /// JSON as it was spelled.
    pub schema: Option<Box<str>>,
    pub created_ms: Millis,
    pub updated_ms: Millis,
}

/// The compiled schemas by event type, as of the last commit. Cheap to clone. Types without a schema take no
/// memory.
#[derive(Clone, Default)]
pub struct Schemas(Arc<RwLock<HashMap<EventType, Arc<Schema>>>>);

impl Schemas {
    pub(super) fn load(connection: &Connection) -> Result<Schemas, StoreError> {
        let schemas = Schemas::default();
        let mut statement = connection.prepare("SELECT name, schema FROM event_type WHERE schema IS NOT NULL")?;
        let found = row::collect(&mut statement, [], |row| {
            let text: String = row.get("schema")?;
            let schema = Schema::parse(&text).map_err(|_| row::corrupt("schema"))?;
            Ok((parsed(row, "name")?, Arc::new(schema)))
        })?;
        schemas.write(|all| all.extend(found));
        Ok(schemas)
    }

    /// The schema of an event type, where it has one.
    pub fn find(&self, name: &EventType) -> Option<Arc<Schema>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(name).cloned()
    }

    pub(super) fn apply(&self, notice: &Change) {
        if let Change::EventType { name, schema } = notice {
            self.write(|all| match schema {
                Some(schema) => all.insert(name.clone(), Arc::clone(schema)),
                None => all.remove(name),
            });
        }
    }

    fn write<T>(&self, write: impl FnOnce(&mut HashMap<EventType, Arc<Schema>>) -> T) -> T {
        write(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How many types are described and how many bytes their schemas have in all, one type left out.
pub fn usage_without(connection: &Connection, name: &EventType) -> Result<(i64, i64), StoreError> {
    let usage = connection
        .prepare_cached("SELECT count(*), coalesce(sum(octet_length(schema)), 0) FROM event_type WHERE name <> :name")?
        .query_row(named_params! {":name": name.as_str()}, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(usage)
}

/// The event type of that name.
pub fn get(connection: &Connection, name: &EventType) -> Result<Option<DescribedType>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM event_type WHERE name = :name")?;
    row::first(&mut statement, named_params! {":name": name.as_str()}, from_row)
}

/// The example of an event type, where it has one.
pub fn example(connection: &Connection, name: &EventType) -> Result<Option<Box<str>>, StoreError> {
    let found: Option<Option<String>> = connection
        .prepare_cached("SELECT example FROM event_type WHERE name = :name")?
        .query_row(named_params! {":name": name.as_str()}, |row| row.get(0))
        .optional()?;
    Ok(found.flatten().map(Into::into))
}

/// A page of event types, newest first.
pub fn list(connection: &Connection, request: &PageRequest) -> Result<Page<DescribedType>, StoreError> {
    let mut conditions = Filter::default();
    conditions.below("seq", request);
    let sql = format!("SELECT * FROM event_type {} ORDER BY seq DESC LIMIT {}", conditions.sql(), request.limit + 1);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = row::collect(&mut statement, conditions.params(), from_row)?;
    Ok(Page::cut(rows, request, |row| row.seq))
}

/// Names of types that are described or were seen, in the order of the alphabet, after one of them; those seen of one
/// tenant, or of all. Looks for the next name each time, so that many tenants with the same types cost nothing.
pub fn names(
    connection: &Connection,
    tenant: Option<&Tenant>,
    after: &str,
    limit: u32,
) -> Result<Vec<EventType>, StoreError> {
    let whose = match tenant {
        Some(_) => "tenant = :tenant AND",
        None => ":tenant IS NULL AND",
    };
    let mut statement = connection.prepare_cached(&format!(
        "WITH RECURSIVE seen (name) AS (
             SELECT (SELECT min(type) FROM topic WHERE {whose} type > :after)
             UNION ALL
             SELECT (SELECT min(type) FROM topic WHERE {whose} type > seen.name) FROM seen
             WHERE seen.name IS NOT NULL LIMIT :limit)
         SELECT name FROM (SELECT name FROM event_type WHERE name > :after ORDER BY name LIMIT :limit)
         UNION SELECT name FROM seen WHERE name IS NOT NULL ORDER BY name LIMIT :limit"
    ))?;
    let params = named_params! {
        ":tenant": tenant.map(Tenant::as_str),
        ":after": after,
        ":limit": limit,
    };
    row::collect(&mut statement, params, |row| parsed(row, "name"))
}

/// Whether an event of this type was seen: of one tenant, or of any.
pub fn was_seen(connection: &Connection, tenant: Option<&Tenant>, name: &EventType) -> Result<bool, StoreError> {
    let sql = match tenant {
        Some(_) => "SELECT EXISTS (SELECT 1 FROM topic WHERE type = ?1 AND tenant = ?2)",
        None => "SELECT EXISTS (SELECT 1 FROM topic WHERE type = ?1 AND ?2 IS NULL)",
    };
    let params = (name.as_str(), tenant.map(Tenant::as_str));
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row(params, |row| row.get(0))?)
}

/// Stores what is said about a type, in place of what was said before. Events are held to its schema from the
/// commit on.
pub fn put(
    tx: &mut WriteTx<'_>,
    name: &EventType,
    description: &str,
    example: Option<&str>,
    schema: Option<Arc<Schema>>,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO event_type (name, description, example, schema, created_ms, updated_ms)
             VALUES (:name, :description, :example, :schema, :now, :now)
             ON CONFLICT (name) DO UPDATE SET description = excluded.description, example = excluded.example,
                 schema = excluded.schema, updated_ms = excluded.updated_ms",
        )?
        .execute(named_params! {
            ":name": name.as_str(),
            ":description": description,
            ":example": example,
            ":schema": schema.as_ref().map(|schema| schema.text()),
            ":now": tx.now_ms(),
        })?;
    tx.notify(Change::EventType { name: name.clone(), schema });
    Ok(())
}

/// Forgets what was said about a type. Whether there was anything.
pub fn delete(tx: &mut WriteTx<'_>, name: &EventType) -> Result<bool, StoreError> {
    let deleted = tx
        .connection()
        .prepare_cached("DELETE FROM event_type WHERE name = :name")?
        .execute(named_params! {":name": name.as_str()})?;
    tx.notify(Change::EventType { name: name.clone(), schema: None });
    Ok(deleted == 1)
}

fn from_row(row: &Row<'_>) -> Result<DescribedType, StoreError> {
    let text = |column: &str| -> Result<Option<Box<str>>, StoreError> {
        Ok(row.get::<_, Option<String>>(column)?.map(Into::into))
    };
    Ok(DescribedType {
        seq: row.get("seq")?,
        name: parsed(row, "name")?,
        description: row.get("description")?,
        example: text("example")?,
        schema: text("schema")?,
        created_ms: row.get("created_ms")?,
        updated_ms: row.get("updated_ms")?,
    })
}
