//! The table of links that open something once. A link's token is never stored, only its hash.

use rusqlite::{Connection, named_params};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::row;
use crate::domain::Invalid;
use crate::domain::event::Tenant;
use crate::domain::time::Millis;
use crate::store::error::StoreError;
use crate::store::row::{parsed, parsed_option};

/// What a link opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<LinkKind>)]
pub enum LinkKind {
    /// The page that makes the first administrator.
    Setup,
    /// The pages limited to one tenant.
    Portal,
    /// The pages of a throw-away database.
    Demo,
}

/// A link that was not used yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeLink {
    pub kind: LinkKind,
    /// Of a portal link.
    pub tenant: Option<Tenant>,
    pub ends_ms: Millis,
    /// How long the session that it opens lasts, in milliseconds.
    pub session_ms: Millis,
}

/// The link with this hash, unless it was used or has ended.
pub fn by_hash(connection: &Connection, hash: &[u8; 32], now: Millis) -> Result<Option<OneTimeLink>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM one_time_link WHERE hash = :hash AND ends_ms > :now")?;
    let params = named_params! {":hash": hash, ":now": now};
    row::first(&mut statement, params, |row| {
        Ok(OneTimeLink {
            kind: parsed(row, "kind")?,
            tenant: parsed_option(row, "tenant")?,
            ends_ms: row.get("ends_ms")?,
            session_ms: row.get("session_ms")?,
        })
    })
}

/// Stores a link.
pub fn insert(connection: &Connection, hash: &[u8; 32], link: &OneTimeLink) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO one_time_link (hash, kind, tenant, ends_ms, session_ms)
             VALUES (:hash, :kind, :tenant, :ends_ms, :session_ms)",
        )?
        .execute(named_params! {
            ":hash": hash,
            ":kind": link.kind.into_str(),
            ":tenant": link.tenant.as_ref().map(Tenant::as_str),
            ":ends_ms": link.ends_ms,
            ":session_ms": link.session_ms,
        })?;
    Ok(())
}

/// Uses a link up.
pub fn delete(connection: &Connection, hash: &[u8; 32]) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM one_time_link WHERE hash = :hash")?
        .execute(named_params! {":hash": hash})?;
    Ok(())
}

/// Takes back every link of a kind.
pub fn delete_kind(connection: &Connection, kind: LinkKind) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM one_time_link WHERE kind = :kind")?
        .execute(named_params! {":kind": kind.into_str()})?;
    Ok(())
}

/// Forgets links that have ended.
pub fn forget_ended(connection: &Connection, now: Millis) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM one_time_link WHERE ends_ms <= :now")?
        .execute(named_params! {":now": now})?;
    Ok(())
}
