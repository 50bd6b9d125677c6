//! The table of recovery codes. A code is never stored, only its hash.

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::sql;

/// Whether a user has this code. It is still unused then.
pub fn exists(connection: &Connection, user_seq: i64, hash: &[u8; 32]) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM recovery_code WHERE user_seq = :seq AND hash = :hash)";
    sql::value(connection, query, named_params! {":seq": user_seq, ":hash": hash})
}

pub fn count(connection: &Connection, user_seq: i64) -> Result<u64> {
    sql::value(connection, "SELECT count(*) FROM recovery_code WHERE user_seq = :seq", named_params! {":seq": user_seq})
}

/// Deletes a code, which was used.
pub fn delete(connection: &Connection, user_seq: i64, hash: &[u8; 32]) -> Result<()> {
    let statement = "DELETE FROM recovery_code WHERE user_seq = :seq AND hash = :hash";
    sql::run(connection, statement, named_params! {":seq": user_seq, ":hash": hash})
}

/// Replaces the codes of a user.
pub fn replace(connection: &Connection, user_seq: i64, hashes: &[[u8; 32]]) -> Result<()> {
    let statement = "DELETE FROM recovery_code WHERE user_seq = :seq";
    sql::run(connection, statement, named_params! {":seq": user_seq})?;
    for hash in hashes {
        let statement = "INSERT INTO recovery_code (user_seq, hash) VALUES (:seq, :hash)";
        sql::run(connection, statement, named_params! {":seq": user_seq, ":hash": hash})?;
    }
    Ok(())
}
