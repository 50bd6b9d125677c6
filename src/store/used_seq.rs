//! Sequence numbers that are not assigned again although their rows are gone.
//!
//! SQLite assigns the largest number of a table plus one. Cursors, lanes and requests in flight know rows by their numbers,
//! so the number of a deleted row must not become that of another. Retention keeps the newest row of each table; the deletion
//! of a tenant notes the number instead.

use std::collections::HashMap;

use rusqlite::{Connection, named_params};
use strum::{EnumIter, IntoEnumIterator as _, IntoStaticStr};

use super::error::Result;
use super::group::WriteTx;
use super::sql;

/// Tables whose newest row can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub(super) enum Numbered {
    Delivery,
    Event,
    Incident,
    Message,
    Webhook,
}

impl Numbered {
    fn newest(self, connection: &Connection) -> Result<i64> {
        sql::value(connection, &format!("SELECT coalesce(max(seq), 0) FROM {}", self.into_str()), [])
    }
}

/// Returns the noted numbers.
pub(super) fn load(connection: &Connection) -> Result<HashMap<Numbered, i64>> {
    let mut found = HashMap::new();
    for table in Numbered::iter() {
        let query = "SELECT seq FROM used_seq WHERE name = :name";
        let seq = sql::first(connection, query, named_params! {":name": table.into_str()}, |row| row.get(0))?;
        found.extend(seq.map(|seq| (table, seq)));
    }
    Ok(found)
}

/// Returns the number of the next row; `None` if SQLite may assign it, as it does unless a newest row was deleted.
pub(super) fn next(tx: &WriteTx<'_>, table: Numbered) -> Result<Option<i64>> {
    match tx.directory().used_seq(table) {
        Some(used) => Ok(Some(used.max(table.newest(tx.connection())?) + 1)),
        None => Ok(None),
    }
}

/// Notes the number of the newest row if it is among those that are about to be deleted.
pub(super) fn keep(tx: &mut WriteTx<'_>, table: Numbered, seqs: &[i64]) -> Result<()> {
    let newest = table.newest(tx.connection())?;
    if !seqs.contains(&newest) {
        return Ok(());
    }
    let used = tx.directory().used_seq(table).unwrap_or_default().max(newest);
    let statement = "INSERT INTO used_seq (name, seq) VALUES (:name, :seq) ON CONFLICT DO UPDATE SET seq = :seq";
    sql::run(tx.connection(), statement, named_params! {":name": table.into_str(), ":seq": used})?;
    tx.directory_mut().set_used_seq(table, used);
    Ok(())
}
