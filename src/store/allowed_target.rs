//! The table of targets that administrators allow, and all of them in memory.

use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, Row, named_params};

use super::error::Result;
use super::sql::{self, read_row};
use super::{Change, WriteTx};
use crate::domain::target::AllowEntry;
use crate::domain::time::Millis;

/// Entries at most.
pub const MOST: usize = 100;

#[derive(Debug, Clone)]
pub struct AllowedTarget {
    pub entry: AllowEntry,
    /// User who allowed it.
    pub actor: String,
    pub created_ms: Millis,
}

/// Allowed targets as of the last commit. Cheap to clone.
#[derive(Clone)]
pub struct AllowedTargets(Arc<RwLock<Arc<[AllowEntry]>>>);

impl Default for AllowedTargets {
    fn default() -> AllowedTargets {
        AllowedTargets(Arc::new(RwLock::new(Arc::new([]))))
    }
}

impl AllowedTargets {
    pub(super) fn load(connection: &Connection) -> Result<AllowedTargets> {
        Ok(AllowedTargets(Arc::new(RwLock::new(entries(connection)?))))
    }

    /// Returns the entries. The same pointer means that none has changed.
    pub fn current(&self) -> Arc<[AllowEntry]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the list by an equal one with another pointer.
    pub fn renew(&self) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *entries = entries.iter().cloned().collect();
    }

    pub(super) fn apply(&self, change: &Change) {
        if let Change::AllowedTargets(entries) = change {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(entries);
        }
    }
}

fn entries(connection: &Connection) -> Result<Arc<[AllowEntry]>> {
    Ok(list(connection)?.into_iter().map(|allowed| allowed.entry).collect())
}

/// Returns all entries, up to [`MOST`], in alphabetical order.
pub fn list(connection: &Connection) -> Result<Vec<AllowedTarget>> {
    let query = "SELECT entry, actor, created_ms FROM allowed_target ORDER BY entry";
    let read = |row: &Row<'_>| Ok(read_row!(row, AllowedTarget { entry, actor, created_ms }));
    sql::all(connection, query, [], read)
}

/// Stores an entry. Connections may use it from the commit on.
pub fn insert(tx: &mut WriteTx<'_>, entry: &AllowEntry, actor: &str) -> Result<()> {
    let statement = "INSERT INTO allowed_target (entry, actor, created_ms) VALUES (:entry, :actor, :now)";
    sql::run(tx.connection(), statement, named_params! {":entry": entry, ":actor": actor, ":now": tx.now_ms()})?;
    notify(tx)
}

/// Deletes an entry. New connections are refused from the commit on. Returns whether it existed.
pub fn delete(tx: &mut WriteTx<'_>, entry: &AllowEntry) -> Result<bool> {
    let statement = "DELETE FROM allowed_target WHERE entry = :entry";
    let deleted = sql::change(tx.connection(), statement, named_params! {":entry": entry})?;
    notify(tx)?;
    Ok(deleted == 1)
}

fn notify(tx: &mut WriteTx<'_>) -> Result<()> {
    let entries = entries(tx.connection())?;
    tx.notify(Change::AllowedTargets(entries));
    Ok(())
}
