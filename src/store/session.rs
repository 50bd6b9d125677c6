//! The table of sessions. A session's cookie is never stored, only its hash.

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::sql::{self, read_row, row_params};
use super::user::{self, User};
use crate::domain::event::Tenant;
use crate::domain::time::{HOUR, MINUTE, Millis};

/// A session expires when unused for this long.
pub const IDLE: Millis = 12 * HOUR;

/// Sessions of a user at most.
const MOST: u32 = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    User(User),
    Portal(PortalVisitor),
}

/// Person of one tenant who opened a portal link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalVisitor {
    pub tenant: Tenant,
    /// Person of the tenant, as the application names them.
    pub subject: Option<String>,
    /// User who opened the portal as the tenant.
    pub operator: Option<String>,
}

/// Client that a session is used with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// Browser and system in words, such as `Firefox on Linux`.
    pub browser: String,
    pub address: String,
    /// Whether a proxy's header signed the user in.
    pub by_proxy: bool,
}

/// Session in the list of its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    pub hash: [u8; 32],
    pub client: Client,
    pub created_ms: Millis,
    pub seen_ms: Millis,
}

/// Session that has not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub owner: Owner,
    /// Whether a proxy's header signed the user in.
    pub by_proxy: bool,
    pub ends_ms: Millis,
    /// Until then the user need not type the password again.
    pub confirmed_until_ms: Millis,
    /// Whether `seen_ms` is more than a minute old.
    pub is_stale: bool,
}

/// Session to store. Of a user, or of a tenant with its portal link.
pub struct NewSession<'a> {
    pub user_seq: Option<i64>,
    pub tenant: Option<&'a Tenant>,
    pub portal_link_seq: Option<i64>,
    /// User who opened the portal as the tenant.
    pub opened_by_seq: Option<i64>,
    pub client: Client,
    pub ends_ms: Millis,
    pub confirmed_until_ms: Millis,
}

impl NewSession<'_> {
    /// Session of nobody yet, who is not asked for a password.
    pub fn new(ends_ms: Millis) -> Self {
        let client = Client::default();
        let nobody = None;
        NewSession {
            user_seq: nobody,
            tenant: None,
            portal_link_seq: None,
            opened_by_seq: nobody,
            client,
            ends_ms,
            confirmed_until_ms: ends_ms,
        }
    }
}

/// Returns the session with this hash, unless it has expired. A portal session ends with the API key of its link, when the
/// user who opened it may change nothing any more, or when its tenant is being deleted.
pub fn by_hash(connection: &Connection, hash: &[u8; 32], now: Millis) -> Result<Option<Session>> {
    let query = "SELECT user_seq, session.tenant, session.ends_ms, seen_ms, by_proxy, confirmed_until_ms, subject,
                     opener.name AS operator
                 FROM session LEFT JOIN portal_link ON portal_link.seq = portal_link_seq
                 LEFT JOIN user opener ON opener.seq = opened_by_seq AND opener.role <> 'viewer'
                 WHERE session.hash = :hash AND session.ends_ms > :now AND seen_ms > :idle_since
                 AND NOT EXISTS (SELECT 1 FROM tenant_deletion WHERE tenant_deletion.tenant = session.tenant)
                 AND (user_seq IS NOT NULL OR opener.seq IS NOT NULL
                      OR EXISTS (SELECT 1 FROM api_key WHERE api_key.seq = api_key_seq AND revoked_ms IS NULL
                                 AND (api_key.ends_ms IS NULL OR api_key.ends_ms > :now)))";
    let params = named_params! {":hash": hash, ":now": now, ":idle_since": now - IDLE};
    let found = sql::first(connection, query, params, |row| {
        let owner: (Option<i64>, Option<Tenant>, Option<String>, Option<String>) =
            (row.get("user_seq")?, row.get("tenant")?, row.get("subject")?, row.get("operator")?);
        let times: (Millis, Millis, Millis) =
            (row.get("ends_ms")?, row.get("seen_ms")?, row.get("confirmed_until_ms")?);
        Ok((owner, times, row.get("by_proxy")?))
    })?;
    let Some(((user, tenant, subject, operator), (ends_ms, seen_ms, confirmed_until_ms), by_proxy)) = found else {
        return Ok(None);
    };
    let owner = match user {
        Some(seq) => user::by_seq(connection, seq)?.map(Owner::User),
        None => tenant.map(|tenant| Owner::Portal(PortalVisitor { tenant, subject, operator })),
    };
    let is_stale = !(0..MINUTE).contains(&(now - seen_ms));
    Ok(owner.map(|owner| Session { owner, by_proxy, ends_ms, confirmed_until_ms, is_stale }))
}

pub fn insert(connection: &Connection, hash: &[u8; 32], new: &NewSession<'_>, now: Millis) -> Result<()> {
    let Client { browser, address, by_proxy } = &new.client;
    sql::run(
        connection,
        "INSERT INTO session (hash, user_seq, tenant, portal_link_seq, opened_by_seq, browser, address, by_proxy, created_ms, seen_ms,
                              ends_ms, confirmed_until_ms)
         VALUES (:hash, :user_seq, :tenant, :portal_link_seq, :opened_by_seq, :browser, :address, :by_proxy, :now, :now,
                 :ends_ms, :confirmed_until_ms)",
        row_params!(new {
            user_seq, tenant, portal_link_seq, opened_by_seq, ends_ms, confirmed_until_ms;
            hash: hash, browser: browser, address: address, by_proxy: by_proxy, now: now
        }),
    )
}

/// Records that the user typed the password again.
pub fn confirmed(connection: &Connection, hash: &[u8; 32], until_ms: Millis) -> Result<()> {
    let statement = "UPDATE session SET confirmed_until_ms = :until_ms WHERE hash = :hash";
    sql::run(connection, statement, named_params! {":until_ms": until_ms, ":hash": hash})
}

/// Ends sessions of a user, the longest unused first, until there is room for one more.
pub fn make_room(connection: &Connection, user_seq: i64) -> Result<()> {
    let statement = "DELETE FROM session WHERE hash IN (
                        SELECT hash FROM session WHERE user_seq = :seq ORDER BY seen_ms DESC LIMIT -1 OFFSET :kept)";
    sql::run(connection, statement, named_params! {":seq": user_seq, ":kept": MOST - 1})
}

/// Returns the sessions of a user, last used first.
pub fn list(connection: &Connection, user_seq: i64, now: Millis) -> Result<Vec<ListedSession>> {
    let query = "SELECT hash, browser, address, by_proxy, created_ms, seen_ms FROM session
                 WHERE user_seq = :seq AND ends_ms > :now AND seen_ms > :idle_since ORDER BY seen_ms DESC, hash";
    let params = named_params! {":seq": user_seq, ":now": now, ":idle_since": now - IDLE};
    sql::all(connection, query, params, |row| {
        let client = read_row!(row, Client { browser, address, by_proxy });
        Ok(read_row!(row, ListedSession { hash, created_ms, seen_ms; client }))
    })
}

/// Records a use of the session.
pub fn seen(connection: &Connection, hash: &[u8; 32], address: &str, now: Millis) -> Result<()> {
    let statement = "UPDATE session SET seen_ms = :now, address = :address WHERE hash = :hash";
    sql::run(connection, statement, named_params! {":hash": hash, ":address": address, ":now": now})
}

/// Deletes a session, and the portal link that opened it.
pub fn end(connection: &Connection, hash: &[u8; 32]) -> Result<()> {
    let link = "DELETE FROM portal_link WHERE seq = (SELECT portal_link_seq FROM session WHERE hash = :hash)";
    sql::run(connection, link, named_params! {":hash": hash})?;
    sql::run(connection, "DELETE FROM session WHERE hash = :hash", named_params! {":hash": hash})
}

/// Ends the sessions of a user, except one, and those of the portal that the user opened. Returns how many.
pub fn end_others(connection: &Connection, user_seq: i64, kept: Option<&[u8; 32]>) -> Result<usize> {
    let statement = "DELETE FROM session WHERE (user_seq = :seq OR opened_by_seq = :seq) AND hash IS NOT :kept";
    sql::change(connection, statement, named_params! {":seq": user_seq, ":kept": kept})
}

/// Deletes expired sessions, up to 100.
pub fn delete_expired(connection: &Connection, now: Millis) -> Result<()> {
    let statement =
        "DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE ends_ms <= :now ORDER BY ends_ms LIMIT 100)";
    sql::run(connection, statement, named_params! {":now": now})
}
