//! The pause of all deliveries, which outlasts restarts.

use rusqlite::{Connection, Row, named_params};

use super::error::Result;
use super::sql::{self, read_row};
use super::{Change, WriteTx};
use crate::domain::time::Millis;

/// Longest reason in characters.
pub const MAX_REASON_CHARS: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub since_ms: Millis,
    /// Display name of the user or program that paused.
    pub actor: String,
    pub reason: String,
}

/// Returns the pause, if deliveries are paused.
pub fn current(connection: &Connection) -> Result<Option<Pause>> {
    let read = |row: &Row<'_>| Ok(read_row!(row, Pause { since_ms, actor, reason }));
    sql::first(connection, "SELECT since_ms, actor, reason FROM pause", [], read)
}

/// Begins a pause, or changes the reason of one that lasts. The server follows once [`announce`] is called.
pub fn begin(connection: &Connection, now: Millis, actor: &str, reason: &str) -> Result<()> {
    let statement = "INSERT INTO pause (id, since_ms, actor, reason) VALUES (1, :now, :actor, :reason)
                     ON CONFLICT DO UPDATE SET actor = :actor, reason = :reason";
    sql::run(connection, statement, named_params! {":now": now, ":actor": actor, ":reason": reason})
}

/// Ends the pause. Returns whether there was one. Otherwise like [`begin`].
pub fn end(connection: &Connection) -> Result<bool> {
    Ok(sql::change(connection, "DELETE FROM pause", [])? == 1)
}

/// Has the delivery engine follow what the table says.
pub fn announce(tx: &mut WriteTx<'_>) -> Result<()> {
    let is_paused = current(tx.connection())?.is_some();
    tx.notify(Change::Paused(is_paused));
    Ok(())
}
