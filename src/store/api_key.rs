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
    pub last_used_ms: Option<Millis>,
}

/// Returns the key with this hash, unless it was revoked.
pub fn by_hash(connection: &Connection, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
    let query = "SELECT * FROM api_key WHERE hash = :hash AND revoked_ms IS NULL";
    sql::first(connection, query, named_params! {":hash": hash}, from_row)
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
        "INSERT INTO api_key (id, name, scope, tenant, profile, prefix, rate_limit_per_s, hash, created_ms)
         VALUES (:id, :name, :scope, :tenant, :profile, :prefix, :rate_limit_per_s, :hash, :created_ms)",
        row_params!(key { id, name, scope, tenant, profile, prefix, rate_limit_per_s, hash, created_ms }),
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
        ApiKey { seq, id, name, scope, tenant, profile, prefix, rate_limit_per_s, hash, created_ms, last_used_ms }
    ))
}
