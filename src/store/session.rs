//! The table of sessions: who is signed in. What a cookie holds is never stored, only its hash.

use rusqlite::{Connection, named_params};

use super::error::StoreError;
use super::row;
use super::user::{self, User};
use crate::domain::event::Tenant;
use crate::domain::time::{HOUR, MINUTE, Millis};

/// A session ends when it was not used for this long.
pub const IDLE: Millis = 12 * HOUR;

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    User(User),
    /// The people of one tenant, who came by a portal link.
    Portal(Tenant),
}

/// A session that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub owner: Owner,
    pub ends_ms: Millis,
    /// Whether its last use has to be noted again.
    pub is_stale: bool,
}

/// The session with this hash, unless it has ended.
pub fn by_hash(connection: &Connection, hash: &[u8; 32], now: Millis) -> Result<Option<Session>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT user_seq, tenant, ends_ms, seen_ms FROM session
         WHERE hash = :hash AND ends_ms > :now AND seen_ms > :idle_since",
    )?;
    let params = named_params! {":hash": hash, ":now": now, ":idle_since": now - IDLE};
    let found = row::first(&mut statement, params, |row| {
        let user: Option<i64> = row.get("user_seq")?;
        let tenant: Option<Tenant> = row::parsed_option(row, "tenant")?;
        let seen: Millis = row.get("seen_ms")?;
        Ok((user, tenant, row.get("ends_ms")?, seen))
    })?;
    let Some((user, tenant, ends_ms, seen)) = found else {
        return Ok(None);
    };
    let owner = match (user, tenant) {
        (Some(seq), _) => user::by_seq(connection, seq)?.map(Owner::User),
        (None, tenant) => tenant.map(Owner::Portal),
    };
    Ok(owner.map(|owner| Session { owner, ends_ms, is_stale: !(0..MINUTE).contains(&(now - seen)) }))
}

/// Stores a session.
pub fn insert(
    connection: &Connection,
    hash: &[u8; 32],
    user_seq: Option<i64>,
    tenant: Option<&Tenant>,
    now: Millis,
    ends_ms: Millis,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO session (hash, user_seq, tenant, created_ms, seen_ms, ends_ms)
             VALUES (:hash, :user_seq, :tenant, :now, :now, :ends_ms)",
        )?
        .execute(named_params! {
            ":hash": hash,
            ":user_seq": user_seq,
            ":tenant": tenant.map(Tenant::as_str),
            ":now": now,
            ":ends_ms": ends_ms,
        })?;
    Ok(())
}

/// Notes that a session was used.
pub fn seen(connection: &Connection, hash: &[u8; 32], now: Millis) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE session SET seen_ms = :now WHERE hash = :hash")?
        .execute(named_params! {":hash": hash, ":now": now})?;
    Ok(())
}

/// Ends one session.
pub fn end(connection: &Connection, hash: &[u8; 32]) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM session WHERE hash = :hash")?.execute(named_params! {":hash": hash})?;
    Ok(())
}

/// Ends every session of a user.
pub fn end_all(connection: &Connection, user_seq: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM session WHERE user_seq = :seq")?
        .execute(named_params! {":seq": user_seq})?;
    Ok(())
}

/// Forgets sessions that have ended.
pub fn forget_ended(connection: &Connection, now: Millis) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM session WHERE ends_ms <= :now")?.execute(named_params! {":now": now})?;
    Ok(())
}
