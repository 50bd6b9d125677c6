//! The table of one-time links. A link's token is never stored, only its hash.

use rusqlite::{Connection, named_params};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::error::Result;
use super::sql::{self, read_row, row_params};
use crate::domain::Invalid;
use crate::domain::time::Millis;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<LinkKind>)]
pub enum LinkKind {
    /// Opens the page that adds the first administrator.
    Setup,
    /// Opens the pages of a demo database.
    Demo,
}

/// Link that was not used yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeLink {
    pub kind: LinkKind,
    pub ends_ms: Millis,
    /// Duration of the session that the link opens, in milliseconds.
    pub session_ms: Millis,
}

/// Returns the link with this hash, unless it was used or has expired.
pub fn by_hash(connection: &Connection, hash: &[u8; 32], now: Millis) -> Result<Option<OneTimeLink>> {
    let query = "SELECT * FROM one_time_link WHERE hash = :hash AND ends_ms > :now";
    sql::first(connection, query, named_params! {":hash": hash, ":now": now}, |row| {
        Ok(read_row!(row, OneTimeLink { kind, ends_ms, session_ms }))
    })
}

pub fn insert(connection: &Connection, hash: &[u8; 32], link: &OneTimeLink) -> Result<()> {
    sql::run(
        connection,
        "INSERT INTO one_time_link (hash, kind, ends_ms, session_ms) VALUES (:hash, :kind, :ends_ms, :session_ms)",
        row_params!(link { kind, ends_ms, session_ms; hash: hash }),
    )
}

/// Deletes a link, which was used.
pub fn delete(connection: &Connection, hash: &[u8; 32]) -> Result<()> {
    sql::run(connection, "DELETE FROM one_time_link WHERE hash = :hash", named_params! {":hash": hash})
}

pub fn delete_kind(connection: &Connection, kind: LinkKind) -> Result<()> {
    sql::run(connection, "DELETE FROM one_time_link WHERE kind = :kind", named_params! {":kind": kind})
}
