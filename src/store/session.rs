//! The table of sessions. A session's cookie is never stored, only its hash.

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::sql;
use super::user::{self, User};
use crate::domain::event::Tenant;
use crate::domain::time::{HOUR, MINUTE, Millis};

/// A session expires when unused for this long.
const IDLE: Millis = 12 * HOUR;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    User(User),
    /// People of one tenant, signed in by a portal link.
    Portal(Tenant),
}

/// Session that has not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub owner: Owner,
    pub ends_ms: Millis,
    /// Whether `seen_ms` is more than a minute old.
    pub is_stale: bool,
}

/// Returns the session with this hash, unless it has expired.
pub fn by_hash(connection: &Connection, hash: &[u8; 32], now: Millis) -> Result<Option<Session>> {
    let query = "SELECT user_seq, tenant, ends_ms, seen_ms FROM session
                 WHERE hash = :hash AND ends_ms > :now AND seen_ms > :idle_since";
    let params = named_params! {":hash": hash, ":now": now, ":idle_since": now - IDLE};
    let found = sql::first(connection, query, params, |row| {
        let owner: (Option<i64>, Option<Tenant>) = (row.get("user_seq")?, row.get("tenant")?);
        let times: (Millis, Millis) = (row.get("ends_ms")?, row.get("seen_ms")?);
        Ok((owner, times))
    })?;
    let Some(((user, tenant), (ends_ms, seen_ms))) = found else {
        return Ok(None);
    };
    let owner = match user {
        Some(seq) => user::by_seq(connection, seq)?.map(Owner::User),
        None => tenant.map(Owner::Portal),
    };
    Ok(owner.map(|owner| Session { owner, ends_ms, is_stale: !(0..MINUTE).contains(&(now - seen_ms)) }))
}

pub fn insert(
    connection: &Connection,
    hash: &[u8; 32],
    user_seq: Option<i64>,
    tenant: Option<&Tenant>,
    now: Millis,
    ends_ms: Millis,
) -> Result<()> {
    sql::run(
        connection,
        "INSERT INTO session (hash, user_seq, tenant, created_ms, seen_ms, ends_ms)
         VALUES (:hash, :user_seq, :tenant, :now, :now, :ends_ms)",
        named_params! {":hash": hash, ":user_seq": user_seq, ":tenant": tenant, ":now": now, ":ends_ms": ends_ms},
    )
}

pub fn seen(connection: &Connection, hash: &[u8; 32], now: Millis) -> Result<()> {
    let statement = "UPDATE session SET seen_ms = :now WHERE hash = :hash";
    sql::run(connection, statement, named_params! {":hash": hash, ":now": now})
}

pub fn end(connection: &Connection, hash: &[u8; 32]) -> Result<()> {
    sql::run(connection, "DELETE FROM session WHERE hash = :hash", named_params! {":hash": hash})
}

pub fn end_all(connection: &Connection, user_seq: i64) -> Result<()> {
    sql::run(connection, "DELETE FROM session WHERE user_seq = :seq", named_params! {":seq": user_seq})
}

/// Deletes expired sessions, up to 100.
pub fn delete_expired(connection: &Connection, now: Millis) -> Result<()> {
    let statement =
        "DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE ends_ms <= :now ORDER BY ends_ms LIMIT 100)";
    sql::run(connection, statement, named_params! {":now": now})
}
