//! The tables of the built-in inboxes: one inbox per tenant, and the requests that it received.

use rusqlite::{Connection, Row, named_params};
use sha2::{Digest as _, Sha256};

use super::error::Result;
use super::page::{Filter, Page, PageRequest};
use super::sql::{self, read_row, row_params};
use super::sql_types::Json;
use crate::domain::event::Tenant;
use crate::domain::id::WebhookId;
use crate::domain::time::Millis;

/// Bytes kept of a request body.
pub const KEPT_BODY: usize = 16 << 10;
/// Bytes of a body shown in a list.
const PREVIEW: usize = 200;
/// Maximum inboxes in a list.
const LISTED: u32 = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    pub seq: i64,
    pub tenant: Tenant,
    /// Last segment of the inbox URL.
    pub token: String,
}

/// Request received by an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRequest {
    /// Assigned by the store.
    pub seq: i64,
    pub at_ms: Millis,
    pub method: String,
    pub query: String,
    /// Empty in lists.
    pub headers: Vec<(String, String)>,
    /// The first 16 KiB; in lists the first 200 bytes.
    pub body: Vec<u8>,
    /// Size of the whole body.
    pub body_bytes: i64,
    pub event_id: Option<String>,
    pub is_verified: bool,
    /// Result of the signature check, as a sentence.
    pub signature_check: String,
    /// Webhook whose secret the signature was checked with.
    pub webhook: Option<WebhookId>,
    pub code: u16,
}

impl InboxRequest {
    /// Approximate memory use in bytes.
    pub fn size_bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        size_of::<InboxRequest>() + self.query.len() + headers + self.body.len()
    }
}

/// Columns of an inbox, open.
pub(super) const INBOX: &str = "seq, tenant, unseal(token, 'inbox.token', tenant) AS token";

/// Returns the value by which an inbox is found. A token is 24 random bytes, which cannot be guessed from it.
fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

pub fn of_tenant(connection: &Connection, tenant: &Tenant) -> Result<Option<Inbox>> {
    let query = format!("SELECT {INBOX} FROM inbox WHERE tenant = :tenant");
    sql::first(connection, &query, named_params! {":tenant": tenant}, inbox_from_row)
}

pub fn by_token(connection: &Connection, token: &str) -> Result<Option<Inbox>> {
    let query = format!("SELECT {INBOX} FROM inbox WHERE token_hash = :hash");
    sql::first(connection, &query, named_params! {":hash": hash(token)}, inbox_from_row)
}

/// Returns the tenants that have an inbox, ordered by name; at most 200.
pub fn tenants(connection: &Connection) -> Result<Vec<Tenant>> {
    let query = "SELECT tenant FROM inbox ORDER BY tenant LIMIT :limit";
    sql::all(connection, query, named_params! {":limit": LISTED}, |row| row.get("tenant"))
}

/// Creates a tenant's inbox with this token, unless the tenant has one.
pub fn open(connection: &Connection, tenant: &Tenant, token: &str, now: Millis) -> Result<()> {
    sql::run(
        connection,
        "INSERT INTO inbox (tenant, token, token_hash, created_ms)
         VALUES (:tenant, seal(:token, 'inbox.token', :tenant), :hash, :now) ON CONFLICT (tenant) DO NOTHING",
        named_params! {":tenant": tenant, ":token": token, ":hash": hash(token), ":now": now},
    )
}

pub fn set_token(connection: &Connection, seq: i64, token: &str) -> Result<()> {
    let statement = "UPDATE inbox SET token = seal(:token, 'inbox.token', tenant), token_hash = :hash WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":token": token, ":hash": hash(token), ":seq": seq})
}

/// Deletes an inbox, which must be empty.
pub fn close(connection: &Connection, seq: i64) -> Result<()> {
    sql::run(connection, "DELETE FROM inbox WHERE seq = :seq", named_params! {":seq": seq})
}

/// Stores a received request and deletes those beyond the newest `kept`. Returns its number.
pub fn insert(connection: &Connection, inbox_seq: i64, request: &InboxRequest, kept: u32) -> Result<i64> {
    sql::run(
        connection,
        "INSERT INTO inbox_request (inbox_seq, at_ms, method, query, headers, body, body_bytes, event_id,
             verified, signature_check, webhook_id, code)
         VALUES (:inbox_seq, :at_ms, :method, :query, seal(:headers, 'inbox_request.headers', :inbox_seq), :body, :body_bytes, :event_id,
             :verified, :signature_check, :webhook_id, :code)",
        row_params!(request {
            at_ms, method, query, body, body_bytes, event_id, signature_check, code;
            inbox_seq: inbox_seq,
            headers: Json(&request.headers),
            verified: request.is_verified,
            webhook_id: request.webhook,
        }),
    )?;
    let seq = connection.last_insert_rowid();
    sql::run(
        connection,
        "DELETE FROM inbox_request
         WHERE inbox_seq = :inbox_seq
           AND seq <= (SELECT seq FROM inbox_request WHERE inbox_seq = :inbox_seq
                       ORDER BY seq DESC LIMIT 1 OFFSET :kept)",
        named_params! {":inbox_seq": inbox_seq, ":kept": kept},
    )?;
    Ok(seq)
}

/// Counts the requests in a tenant's inbox.
pub fn count(connection: &Connection, tenant: &Tenant) -> Result<u64> {
    let query = "SELECT count(*) FROM inbox_request WHERE inbox_seq = (SELECT seq FROM inbox WHERE tenant = :tenant)";
    sql::value(connection, query, named_params! {":tenant": tenant})
}

/// Returns a page of received requests, newest first, with the beginnings of their bodies and without headers.
pub fn page(connection: &Connection, inbox_seq: i64, request: &PageRequest) -> Result<Page<InboxRequest>> {
    let mut conditions = Filter::default();
    conditions.and("inbox_seq = ?", inbox_seq);
    let select = format!(
        "SELECT seq, at_ms, method, query, '[]' AS open_headers, coalesce(substr(body, 1, {PREVIEW}), x'') AS body, body_bytes,
             event_id, verified, signature_check, webhook_id, code
         FROM inbox_request"
    );
    Page::read(connection, &select, conditions, request, request_from_row, |row| row.seq)
}

/// Returns a received request in full, with the tenant of its inbox.
pub fn get(connection: &Connection, seq: i64) -> Result<Option<(Tenant, InboxRequest)>> {
    let query = "SELECT r.*, unseal(r.headers, 'inbox_request.headers', r.inbox_seq) AS open_headers, i.tenant
                 FROM inbox_request r JOIN inbox i ON i.seq = r.inbox_seq WHERE r.seq = :seq";
    sql::first(connection, query, named_params! {":seq": seq}, |row| Ok((row.get("tenant")?, request_from_row(row)?)))
}

/// Returns the last request in an inbox with this event's id, without headers and body.
pub fn last_of_event(connection: &Connection, inbox_seq: i64, event_id: &str) -> Result<Option<InboxRequest>> {
    sql::first(
        connection,
        "SELECT seq, at_ms, method, query, '[]' AS open_headers, x'' AS body, body_bytes, event_id, verified, signature_check,
             webhook_id, code
         FROM inbox_request WHERE inbox_seq = :inbox_seq AND event_id = :event_id ORDER BY seq DESC LIMIT 1",
        named_params! {":inbox_seq": inbox_seq, ":event_id": event_id},
        request_from_row,
    )
}

/// Deletes all requests of an inbox. Returns their number.
pub fn empty(connection: &Connection, inbox_seq: i64) -> Result<usize> {
    let statement = "DELETE FROM inbox_request WHERE inbox_seq = :inbox_seq";
    sql::change(connection, statement, named_params! {":inbox_seq": inbox_seq})
}

fn inbox_from_row(row: &Row<'_>) -> rusqlite::Result<Inbox> {
    Ok(read_row!(row, Inbox { seq, tenant, token }))
}

fn request_from_row(row: &Row<'_>) -> rusqlite::Result<InboxRequest> {
    let Json(headers) = row.get("open_headers")?;
    Ok(read_row!(row, InboxRequest {
        seq, at_ms, method, query, body, body_bytes, event_id, signature_check, code;
        headers,
        is_verified: row.get("verified")?,
        webhook: row.get("webhook_id")?,
    }))
}
