//! The tables of the built-in inboxes: one a tenant, and what arrived in each.

use rusqlite::{Connection, Row, named_params};

use super::error::StoreError;
use super::page::{Filter, Page, PageRequest};
use super::row::{self, parsed};
use crate::domain::event::Tenant;
use crate::domain::id::WebhookId;
use crate::domain::time::Millis;

/// Requests that an inbox keeps.
pub const KEPT: i64 = 200;
/// Bytes of a body that are kept.
pub const KEPT_BODY: usize = 16 << 10;
/// Characters of a body that a list shows.
const PREVIEW: usize = 200;
/// Inboxes that a list shows at most.
const LISTED: u32 = 200;

/// A tenant's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    pub seq: i64,
    pub tenant: Tenant,
    /// The end of its URL.
    pub token: String,
}

/// Something that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRequest {
    /// Assigned by the store.
    pub seq: i64,
    pub at_ms: Millis,
    pub method: String,
    pub query: String,
    /// In a list they are left out.
    pub headers: Vec<(String, String)>,
    /// Its beginning; in a list the first 200 bytes.
    pub body: Vec<u8>,
    /// Bytes of the whole body.
    pub body_bytes: i64,
    pub event_id: Option<String>,
    pub is_verified: bool,
    /// Why it is verified, or not: a sentence.
    pub signature_check: String,
    /// Whose secret it was checked with.
    pub webhook: Option<WebhookId>,
    /// What it was answered with.
    pub code: u16,
}

/// The inbox of a tenant, where it was opened.
pub fn of_tenant(connection: &Connection, tenant: &Tenant) -> Result<Option<Inbox>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM inbox WHERE tenant = :tenant")?;
    let params = named_params! {":tenant": tenant.as_str()};
    row::first(&mut statement, params, inbox_from_row)
}

/// The inbox that a URL leads to.
pub fn by_token(connection: &Connection, token: &str) -> Result<Option<Inbox>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM inbox WHERE token = :token")?;
    row::first(&mut statement, named_params! {":token": token}, inbox_from_row)
}

/// The tenants that have an inbox, by name; 200 at most.
pub fn tenants(connection: &Connection) -> Result<Vec<Tenant>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT tenant FROM inbox ORDER BY tenant LIMIT :limit")?;
    row::collect(&mut statement, named_params! {":limit": LISTED}, |row| parsed(row, "tenant"))
}

/// Gives a tenant an inbox under this token, unless it has one.
pub fn open(connection: &Connection, tenant: &Tenant, token: &str, now: Millis) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO inbox (tenant, token, created_ms) VALUES (:tenant, :token, :now)
             ON CONFLICT (tenant) DO NOTHING",
        )?
        .execute(named_params! {":tenant": tenant.as_str(), ":token": token, ":now": now})?;
    Ok(())
}

/// Stores what arrived, and forgets what is beyond the newest 200.
pub fn insert(connection: &Connection, inbox_seq: i64, request: &InboxRequest) -> Result<i64, StoreError> {
    let headers = serde_json::to_string(&request.headers).expect("plain lists are always JSON");
    connection
        .prepare_cached(
            "INSERT INTO inbox_request (inbox_seq, at_ms, method, query, headers, body, body_bytes, event_id,
                 verified, signature_check, webhook_id, code)
             VALUES (:inbox_seq, :at_ms, :method, :query, :headers, :body, :body_bytes, :event_id,
                 :verified, :signature_check, :webhook_id, :code)",
        )?
        .execute(named_params! {
            ":inbox_seq": inbox_seq,
            ":at_ms": request.at_ms,
            ":method": request.method,
            ":query": request.query,
            ":headers": headers,
            ":body": request.body,
            ":body_bytes": request.body_bytes,
            ":event_id": request.event_id,
            ":verified": request.is_verified,
            ":signature_check": request.signature_check,
            ":webhook_id": request.webhook.map(WebhookId::to_bytes),
            ":code": request.code,
        })?;
    let seq = connection.last_insert_rowid();
    connection
        .prepare_cached(
            "DELETE FROM inbox_request
             WHERE inbox_seq = :inbox_seq
               AND seq <= (SELECT seq FROM inbox_request WHERE inbox_seq = :inbox_seq
                           ORDER BY seq DESC LIMIT 1 OFFSET :kept)",
        )?
        .execute(named_params! {":inbox_seq": inbox_seq, ":kept": KEPT})?;
    Ok(seq)
}

/// A page of what arrived, newest first, without headers and with the beginnings of the bodies.
pub fn page(connection: &Connection, inbox_seq: i64, request: &PageRequest) -> Result<Page<InboxRequest>, StoreError> {
    let mut conditions = Filter::default();
    conditions.and("inbox_seq = ?", inbox_seq);
    conditions.below("seq", request);
    let sql = format!(
        "SELECT seq, at_ms, method, query, '[]' AS headers, coalesce(substr(body, 1, {PREVIEW}), x'') AS body, body_bytes,
             event_id, verified, signature_check, webhook_id, code
         FROM inbox_request {} ORDER BY seq DESC LIMIT {}",
        conditions.sql(),
        request.limit + 1
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = row::collect(&mut statement, conditions.params(), request_from_row)?;
    Ok(Page::cut(rows, request, |request| request.seq))
}

/// Something that arrived, in full, and in whose inbox.
pub fn get(connection: &Connection, seq: i64) -> Result<Option<(Tenant, InboxRequest)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT r.*, i.tenant FROM inbox_request r JOIN inbox i ON i.seq = r.inbox_seq WHERE r.seq = :seq",
    )?;
    row::first(&mut statement, named_params! {":seq": seq}, |row| Ok((parsed(row, "tenant")?, request_from_row(row)?)))
}

/// The last request with this event's id that arrived in an inbox, without headers and body.
pub fn last_of_event(
    connection: &Connection,
    inbox_seq: i64,
    event_id: &str,
) -> Result<Option<InboxRequest>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at_ms, method, query, '[]' AS headers, x'' AS body, body_bytes, event_id, verified, signature_check,
             webhook_id, code
         FROM inbox_request WHERE inbox_seq = :inbox_seq AND event_id = :event_id ORDER BY seq DESC LIMIT 1",
    )?;
    let params = named_params! {":inbox_seq": inbox_seq, ":event_id": event_id};
    row::first(&mut statement, params, request_from_row)
}

/// Forgets what arrived; how many there were.
pub fn empty(connection: &Connection, inbox_seq: i64) -> Result<usize, StoreError> {
    let deleted = connection
        .prepare_cached("DELETE FROM inbox_request WHERE inbox_seq = :inbox_seq")?
        .execute(named_params! {":inbox_seq": inbox_seq})?;
    Ok(deleted)
}

fn inbox_from_row(row: &Row<'_>) -> Result<Inbox, StoreError> {
    Ok(Inbox { seq: row.get("seq")?, tenant: parsed(row, "tenant")?, token: row.get("token")? })
}

fn request_from_row(row: &Row<'_>) -> Result<InboxRequest, StoreError> {
    let webhook: Option<[u8; 16]> = row.get("webhook_id")?;
    let headers: String = row.get("headers")?;
    Ok(InboxRequest {
        seq: row.get("seq")?,
        at_ms: row.get("at_ms")?,
        method: row.get("method")?,
        query: row.get("query")?,
        headers: row::json(&headers, "headers")?,
        body: row.get("body")?,
        body_bytes: row.get("body_bytes")?,
        event_id: row.get("event_id")?,
        is_verified: row.get("verified")?,
        signature_check: row.get("signature_check")?,
        webhook: webhook.map(WebhookId::from_bytes),
        code: row.get("code")?,
    })
}
