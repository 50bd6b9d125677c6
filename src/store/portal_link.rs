//! The table of portal links: each opens the pages of one tenant once, and ends together with the session that it opened.
//! A link's token is never stored, only its hash. A link ends with the API key that made it.

use rusqlite::{Connection, Row, named_params};

use super::error::Result;
use super::page::{Filter, Page, PageRequest};
use super::session::IDLE;
use super::sql::{self, read_row, row_params};
use crate::domain::event::Tenant;
use crate::domain::id::{ApiKeyId, PortalLinkId};
use crate::domain::time::Millis;

/// Links of a tenant at most, with those whose session is open. Beyond it the oldest one ends.
pub const MOST: u32 = 1_000;

/// Link that is unused or whose session is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalLink {
    /// Assigned by the store.
    pub seq: i64,
    pub id: PortalLinkId,
    pub tenant: Tenant,
    /// Person of the tenant, as the application names them.
    pub subject: Option<String>,
    /// API key that made the link.
    pub api_key_seq: i64,
    /// Duration of the session that the link opens, in milliseconds.
    pub session_ms: Millis,
    pub created_ms: Millis,
    /// Start of the session; `None` if the link is unused.
    pub opened_ms: Option<Millis>,
    /// End of the unused link, then of its session.
    pub ends_ms: Millis,
}

/// Link in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedLink {
    pub link: PortalLink,
    pub api_key_id: ApiKeyId,
    pub api_key_name: String,
    /// Last use of the session, to the minute.
    pub seen_ms: Option<Millis>,
}

/// Returns the unused link with this hash, unless it or its key has ended or its tenant is being deleted.
pub fn by_hash(connection: &Connection, hash: &[u8; 32], now: Millis) -> Result<Option<PortalLink>> {
    let query = "SELECT * FROM portal_link WHERE hash = :hash AND ends_ms > :now
                 AND NOT EXISTS (SELECT 1 FROM tenant_deletion WHERE tenant_deletion.tenant = portal_link.tenant)
                 AND EXISTS (SELECT 1 FROM api_key WHERE api_key.seq = api_key_seq AND revoked_ms IS NULL
                             AND (api_key.ends_ms IS NULL OR api_key.ends_ms > :now))";
    sql::first(connection, query, named_params! {":hash": hash, ":now": now}, from_row)
}

pub fn by_id(connection: &Connection, id: PortalLinkId) -> Result<Option<PortalLink>> {
    sql::first(connection, "SELECT * FROM portal_link WHERE id = :id", named_params! {":id": id}, from_row)
}

/// Returns a page of the links that are unused or whose session is open, newest first.
pub fn page(
    connection: &Connection,
    tenant: Option<&Tenant>,
    now: Millis,
    request: &PageRequest,
) -> Result<Page<ListedLink>> {
    let mut conditions = Filter::default();
    conditions.and_some("portal_link.tenant = ?", tenant.cloned());
    live(connection, conditions, now, request)
}

/// Returns the link with this id, if it is unused or its session is open.
pub fn find(connection: &Connection, id: PortalLinkId, now: Millis) -> Result<Option<ListedLink>> {
    let mut conditions = Filter::default();
    conditions.and("portal_link.id = ?", id);
    Ok(live(connection, conditions, now, &PageRequest { limit: 1, cursor: None })?.rows.pop())
}

fn live(
    connection: &Connection,
    mut conditions: Filter,
    now: Millis,
    request: &PageRequest,
) -> Result<Page<ListedLink>> {
    conditions.and("portal_link.ends_ms > ?", now);
    conditions.and("(opened_ms IS NULL OR seen_ms > ?)", now - IDLE);
    let key_works = "EXISTS (SELECT 1 FROM api_key WHERE api_key.seq = api_key_seq AND revoked_ms IS NULL
                             AND (api_key.ends_ms IS NULL OR api_key.ends_ms > ?))";
    conditions.and(key_works, now);
    let select = "SELECT portal_link.*, seen_ms,
                      (SELECT api_key.id FROM api_key WHERE api_key.seq = api_key_seq) AS api_key_id,
                      (SELECT api_key.name FROM api_key WHERE api_key.seq = api_key_seq) AS api_key_name
                  FROM portal_link LEFT JOIN session ON session.portal_link_seq = portal_link.seq";
    let read = |row: &Row<'_>| {
        let link = from_row(row)?;
        Ok(read_row!(row, ListedLink { api_key_id, api_key_name, seen_ms; link: link }))
    };
    Page::read(connection, select, conditions, request, read, |listed| listed.link.seq)
}

/// Stores a link. The oldest ones of the tenant end if there are too many.
pub fn insert(connection: &Connection, hash: &[u8; 32], link: &PortalLink) -> Result<()> {
    let oldest = "DELETE FROM portal_link WHERE seq IN
                  (SELECT seq FROM portal_link WHERE tenant = :tenant ORDER BY seq DESC LIMIT 100 OFFSET :kept)";
    sql::run(connection, oldest, named_params! {":tenant": link.tenant, ":kept": MOST - 1})?;
    sql::run(
        connection,
        "INSERT INTO portal_link (id, hash, tenant, subject, api_key_seq, session_ms, created_ms, ends_ms)
         VALUES (:id, :hash, :tenant, :subject, :api_key_seq, :session_ms, :created_ms, :ends_ms)",
        row_params!(link { id, tenant, subject, api_key_seq, session_ms, created_ms, ends_ms; hash: hash }),
    )
}

/// Records that a link was used. It ends with its session.
pub fn opened(connection: &Connection, seq: i64, now: Millis, ends_ms: Millis) -> Result<()> {
    let statement = "UPDATE portal_link SET hash = NULL, opened_ms = :now, ends_ms = :ends_ms WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":now": now, ":ends_ms": ends_ms, ":seq": seq})
}

/// Deletes a link and its session.
pub fn delete(connection: &Connection, seq: i64) -> Result<()> {
    sql::run(connection, "DELETE FROM portal_link WHERE seq = :seq", named_params! {":seq": seq})
}

/// Deletes links of a tenant and their sessions, up to 250.
pub fn delete_of_tenant(connection: &Connection, tenant: &Tenant) -> Result<usize> {
    let statement = "DELETE FROM portal_link
                     WHERE seq IN (SELECT seq FROM portal_link WHERE tenant = :tenant ORDER BY seq LIMIT 250)";
    sql::change(connection, statement, named_params! {":tenant": tenant})
}

/// Deletes expired links and their sessions, up to 100.
pub fn delete_expired(connection: &Connection, now: Millis) -> Result<()> {
    let statement = "DELETE FROM portal_link
                     WHERE seq IN (SELECT seq FROM portal_link WHERE ends_ms <= :now ORDER BY ends_ms LIMIT 100)";
    sql::run(connection, statement, named_params! {":now": now})
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<PortalLink> {
    Ok(read_row!(row, PortalLink { seq, id, tenant, subject, api_key_seq, session_ms, created_ms, opened_ms, ends_ms }))
}
