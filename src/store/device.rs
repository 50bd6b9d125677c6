//! The table of devices: browsers that a user has signed in with. A device's cookie is never stored, only its hash.

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::sql;
use crate::domain::time::Millis;

/// Devices of a user at most. The one that ends first is removed.
const MOST: u32 = 10;

/// Whether the user with this name, ignoring case, has signed in with this device.
pub fn is_known(connection: &Connection, hash: &[u8; 32], name: &str, now: Millis) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM device JOIN user ON user.seq = device.user_seq
                                WHERE device.hash = :hash AND device.ends_ms > :now AND user.name = :name)";
    sql::value(connection, query, named_params! {":hash": hash, ":now": now, ":name": name})
}

/// Stores a device of a user. Removes the user's expired ones, and more if there are too many.
pub fn insert(connection: &Connection, hash: &[u8; 32], user_seq: i64, now: Millis, ends_ms: Millis) -> Result<()> {
    let statement = "DELETE FROM device WHERE user_seq = :seq AND (ends_ms <= :now OR hash IN (
                        SELECT hash FROM device WHERE user_seq = :seq ORDER BY ends_ms DESC LIMIT -1 OFFSET :kept))";
    sql::run(connection, statement, named_params! {":seq": user_seq, ":now": now, ":kept": MOST - 1})?;
    let statement = "INSERT INTO device (hash, user_seq, ends_ms) VALUES (:hash, :seq, :ends_ms)";
    sql::run(connection, statement, named_params! {":hash": hash, ":seq": user_seq, ":ends_ms": ends_ms})
}

/// Removes a device.
pub fn delete(connection: &Connection, hash: &[u8; 32]) -> Result<()> {
    sql::run(connection, "DELETE FROM device WHERE hash = :hash", named_params! {":hash": hash})
}

/// Removes the devices of a user, except one.
pub fn delete_others(connection: &Connection, user_seq: i64, kept: Option<&[u8; 32]>) -> Result<()> {
    let statement = "DELETE FROM device WHERE user_seq = :seq AND hash IS NOT :kept";
    sql::run(connection, statement, named_params! {":seq": user_seq, ":kept": kept})
}
