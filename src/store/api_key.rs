//! The table of API keys. The keys themselves are never stored, only their hash.

use rusqlite::{Connection, Row, named_params};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::error::StoreError;
use super::page::{Filter, Page, PageRequest};
use super::row::{self, parsed, parsed_option};
use crate::domain::Invalid;
use crate::domain::event::Tenant;
use crate::domain::id::ApiKeyId;
use crate::domain::time::Millis;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Scope>)]
pub enum Scope {
    /// Publish events, singly and in batches.
    Publish,
    /// Every GET but secrets and backups.
    Read,
    /// Everything.
    Admin,
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub seq: i64,
    pub id: ApiKeyId,
    pub name: String,
    pub scope: Scope,
    /// `None`: for all tenants.
    pub tenant: Option<Tenant>,
    /// The profile of webhooks made with it, where the request names none.
    pub profile: Option<String>,
    /// The first characters, by which people know it.
    pub prefix: String,
    /// Requests a second, in place of the server's usual limit.
    pub rate_limit_per_s: Option<u32>,
    pub created_ms: Millis,
    pub last_used_ms: Option<Millis>,
}

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    pub id: ApiKeyId,
    pub name: String,
    pub scope: Scope,
    pub tenant: Option<Tenant>,
    pub profile: Option<String>,
    pub prefix: String,
    pub rate_limit_per_s: Option<u32>,
    pub hash: [u8; 32],
    pub created_ms: Millis,
}

/// The key with this hash, unless it was revoked.
pub fn by_hash(connection: &Connection, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM api_key WHERE hash = :hash AND revoked_ms IS NULL")?;
    row::first(&mut statement, named_params! {":hash": hash}, from_row)
}

/// Every key that was not revoked, newest first.
pub fn list(connection: &Connection) -> Result<Vec<ApiKey>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM api_key WHERE revoked_ms IS NULL ORDER BY seq DESC")?;
    row::collect(&mut statement, [], from_row)
}

/// A page of the keys that were not revoked, newest first.
pub fn page(connection: &Connection, request: &PageRequest) -> Result<Page<ApiKey>, StoreError> {
    let mut conditions = Filter::default();
    conditions.and_fixed("revoked_ms IS NULL");
    conditions.below("seq", request);
    let sql = format!("SELECT * FROM api_key {} ORDER BY seq DESC LIMIT {}", conditions.sql(), request.limit + 1);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = row::collect(&mut statement, conditions.params(), from_row)?;
    Ok(Page::cut(rows, request, |key| key.seq))
}

/// Stores a key: one short transaction, beside a running server too.
pub fn insert(connection: &Connection, key: &NewApiKey) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO api_key (id, name, scope, tenant, profile, prefix, rate_limit_per_s, hash, created_ms)
             VALUES (:id, :name, :scope, :tenant, :profile, :prefix, :rate_limit_per_s, :hash, :created_ms)",
        )?
        .execute(named_params! {
            ":id": key.id.to_bytes(),
            ":name": key.name,
            ":scope": key.scope.into_str(),
            ":tenant": key.tenant.as_ref().map(Tenant::as_str),
            ":profile": key.profile,
            ":prefix": key.prefix,
            ":rate_limit_per_s": key.rate_limit_per_s,
            ":hash": key.hash,
            ":created_ms": key.created_ms,
        })?;
    Ok(())
}

/// Takes a key out of use. Its name; `None` where there is no such key.
pub fn revoke(connection: &Connection, id: ApiKeyId, now: Millis) -> Result<Option<String>, StoreError> {
    let mut statement = connection
        .prepare_cached("UPDATE api_key SET revoked_ms = :now WHERE id = :id AND revoked_ms IS NULL RETURNING name")?;
    let params = named_params! {":id": id.to_bytes(), ":now": now};
    row::first(&mut statement, params, |row| Ok(row.get("name")?))
}

/// Notes when a key was last used.
pub fn used(connection: &Connection, seq: i64, at: Millis) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE api_key SET last_used_ms = :at WHERE seq = :seq")?
        .execute(named_params! {":at": at, ":seq": seq})?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        seq: row.get("seq")?,
        id: ApiKeyId::from_bytes(row.get("id")?),
        name: row.get("name")?,
        scope: parsed(row, "scope")?,
        tenant: parsed_option(row, "tenant")?,
        profile: row.get("profile")?,
        prefix: row.get("prefix")?,
        rate_limit_per_s: row.get("rate_limit_per_s")?,
        created_ms: row.get("created_ms")?,
        last_used_ms: row.get("last_used_ms")?,
    })
}
