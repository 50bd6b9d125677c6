//! The table of sessions. A session's cookie is never stored, only its hash.

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::sql::{self, read_row};
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
    /// People of one tenant, signed in by a portal link.
    Portal(Tenant),
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
    /// Whether `seen_ms` is more than a minute old.
    pub is_stale: bool,
}

/// Returns the session with this hash, unless it has expired.
pub fn by_hash(connection: &Connection, hash: &[u8; 32], now: Millis) -> Result<Option<Session>> {
    let query = "SELECT user_seq, tenant, ends_ms, seen_ms, by_proxy FROM session
                 WHERE hash = :hash AND ends_ms > :now AND seen_ms > :idle_since";
    let params = named_params! {":hash": hash, ":now": now, ":idle_since": now - IDLE};
    let found = sql::first(connection, query, params, |row| {
        let owner: (Option<i64>, Option<Tenant>) = (row.get("user_seq")?, row.get("tenant")?);
        let times: (Millis, Millis) = (row.get("ends_ms")?, row.get("seen_ms")?);
        Ok((owner, times, row.get("by_proxy")?))
    })?;
    let Some(((user, tenant), (ends_ms, seen_ms), by_proxy)) = found else {
        return Ok(None);
    };
    let owner = match user {
        Some(seq) => user::by_seq(connection, seq)?.map(Owner::User),
        None => tenant.map(Owner::Portal),
    };
    Ok(owner.map(|owner| Session { owner, by_proxy, ends_ms, is_stale: !(0..MINUTE).contains(&(now - seen_ms)) }))
}

pub fn insert(
    connection: &Connection,
    hash: &[u8; 32],
    user_seq: Option<i64>,
    tenant: Option<&Tenant>,
    client: &Client,
    now: Millis,
    ends_ms: Millis,
) -> Result<()> {
    let Client { browser, address, by_proxy } = client;
    sql::run(
        connection,
        "INSERT INTO session (hash, user_seq, tenant, browser, address, by_proxy, created_ms, seen_ms, ends_ms)
         VALUES (:hash, :user_seq, :tenant, :browser, :address, :by_proxy, :now, :now, :ends_ms)",
        named_params! {
            ":hash": hash, ":user_seq": user_seq, ":tenant": tenant, ":browser": browser, ":address": address,
            ":by_proxy": by_proxy, ":now": now, ":ends_ms": ends_ms,
        },
    )
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

pub fn end(connection: &Connection, hash: &[u8; 32]) -> Result<()> {
    sql::run(connection, "DELETE FROM session WHERE hash = :hash", named_params! {":hash": hash})
}

/// Ends the sessions of a user, except one. Returns how many.
pub fn end_others(connection: &Connection, user_seq: i64, kept: Option<&[u8; 32]>) -> Result<usize> {
    let statement = "DELETE FROM session WHERE user_seq = :seq AND hash IS NOT :kept";
    sql::change(connection, statement, named_params! {":seq": user_seq, ":kept": kept})
}

/// Deletes expired sessions, up to 100.
pub fn delete_expired(connection: &Connection, now: Millis) -> Result<()> {
    let statement =
        "DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE ends_ms <= :now ORDER BY ends_ms LIMIT 100)";
    sql::run(connection, statement, named_params! {":now": now})
}
