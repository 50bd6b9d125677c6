//! The table of API keys. Keys are never stored, only their hashes.

use rusqlite::{Connection, Row, named_params};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::error::Result;
use super::page::{Filter, Page, PageRequest};
use super::sql::{self, read_row, row_params};
use crate::domain::Invalid;
use crate::domain::event::Tenant;
use crate::domain::id::ApiKeyId;
use crate::domain::time::Millis;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Scope>)]
pub enum Scope {
    /// Publish events, single or in batches.
    Publish,
    /// All GET requests except secrets and backups.
    Read,
    /// Everything.
    Admin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Assigned by the store.
    pub seq: i64,
    pub id: ApiKeyId,
    pub name: String,
    pub scope: Scope,
    /// `None`: all tenants.
    pub tenant: Option<Tenant>,
    /// Default profile of webhooks created with this key.
    pub profile: Option<String>,
    /// First characters of the key, shown to identify it.
    pub prefix: String,
    /// Requests per second; `None`: the server's default.
    pub rate_limit_per_s: Option<u32>,
    pub hash: [u8; 32],
    pub created_ms: Millis,
    /// Display name of the user or program that created the key; `None` if it is older than this field.
    pub created_by: Option<String>,
    /// Number of the user that created the key, while the user exists.
    pub created_by_user: Option<i64>,
    /// Requests with the key are refused from then on; `None`: no end.
    pub ends_ms: Option<Millis>,
    pub last_used_ms: Option<Millis>,
}

impl ApiKey {
    pub fn has_ended(&self, now: Millis) -> bool {
        self.ends_ms.is_some_and(|ends| ends <= now)
    }
}

/// Returns the key with this hash, unless it was revoked or its tenant is being deleted.
pub fn by_hash(connection: &Connection, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
    let query = "SELECT * FROM api_key WHERE hash = :hash AND revoked_ms IS NULL
                     AND NOT EXISTS (SELECT 1 FROM tenant_deletion WHERE tenant_deletion.tenant = api_key.tenant)";
    sql::first(connection, query, named_params! {":hash": hash}, from_row)
}

/// Returns the key with this id, unless it was revoked.
pub fn by_id(connection: &Connection, id: ApiKeyId) -> Result<Option<ApiKey>> {
    let query = "SELECT * FROM api_key WHERE id = :id AND revoked_ms IS NULL";
    sql::first(connection, query, named_params! {":id": id}, from_row)
}

/// Returns the names of the keys that a user created and that still work, newest first.
pub fn names_created_by(connection: &Connection, user_seq: i64, now: Millis) -> Result<Vec<String>> {
    let query = "SELECT name FROM api_key
                 WHERE created_by_user = :user AND revoked_ms IS NULL AND (ends_ms IS NULL OR ends_ms > :now)
                 ORDER BY seq DESC";
    sql::all(connection, query, named_params! {":user": user_seq, ":now": now}, |row| row.get("name"))
}

/// Revokes the keys that a user created.
pub fn revoke_created_by(connection: &Connection, user_seq: i64, now: Millis) -> Result<()> {
    let statement = "UPDATE api_key SET revoked_ms = :now WHERE created_by_user = :user AND revoked_ms IS NULL";
    sql::run(connection, statement, named_params! {":user": user_seq, ":now": now})
}

/// Sets the end of a key.
pub fn end_at(connection: &Connection, seq: i64, ends_ms: Millis) -> Result<()> {
    let statement = "UPDATE api_key SET ends_ms = :ends_ms WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":ends_ms": ends_ms, ":seq": seq})
}

/// Returns all keys that were not revoked, newest first.
pub fn list(connection: &Connection) -> Result<Vec<ApiKey>> {
    sql::all(connection, "SELECT * FROM api_key WHERE revoked_ms IS NULL ORDER BY seq DESC", [], from_row)
}

/// Returns a page of the keys that were not revoked, newest first.
pub fn page(connection: &Connection, request: &PageRequest) -> Result<Page<ApiKey>> {
    let mut conditions = Filter::default();
    conditions.and_fixed("revoked_ms IS NULL");
    Page::read(connection, "SELECT * FROM api_key", conditions, request, from_row, |key| key.seq)
}

/// Stores a key: one short statement, which may run beside a server.
pub fn insert(connection: &Connection, key: &ApiKey) -> Result<()> {
    sql::run(
        connection,
        "INSERT INTO api_key (id, name, scope, tenant, profile, prefix, rate_limit_per_s, hash, created_ms, created_by,
             created_by_user, ends_ms)
         VALUES (:id, :name, :scope, :tenant, :profile, :prefix, :rate_limit_per_s, :hash, :created_ms, :created_by,
             :created_by_user, :ends_ms)",
        row_params!(key {
            id,
            name,
            scope,
            tenant,
            profile,
            prefix,
            rate_limit_per_s,
            hash,
            created_ms,
            created_by,
            created_by_user,
            ends_ms,
        }),
    )
}

/// Revokes a key. Returns its name, or `None` if there is no such key.
pub fn revoke(connection: &Connection, id: ApiKeyId, now: Millis) -> Result<Option<String>> {
    let query = "UPDATE api_key SET revoked_ms = :now WHERE id = :id AND revoked_ms IS NULL RETURNING name";
    sql::first(connection, query, named_params! {":id": id, ":now": now}, |row| row.get("name"))
}

pub fn used(connection: &Connection, seq: i64, at: Millis) -> Result<()> {
    let statement = "UPDATE api_key SET last_used_ms = :at WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":at": at, ":seq": seq})
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    Ok(read_row!(
        row,
        ApiKey {
            seq,
            id,
            name,
            scope,
            tenant,
            profile,
            prefix,
            rate_limit_per_s,
            hash,
            created_ms,
            created_by,
            created_by_user,
            ends_ms,
            last_used_ms,
        }
    ))
}
