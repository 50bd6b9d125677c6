//! Ways to compose a body, so that the log shows what was sent though no body is stored.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::row;
use crate::profile::BodyFormat;
use crate::store::error::StoreError;
use crate::store::writer::WriteTx;

/// The number of a form's definition; a new definition is stored.
pub fn seq_of(tx: &mut WriteTx<'_>, definition: &str) -> Result<i64, StoreError> {
    let connection = tx.connection();
    let found: Option<i64> = connection
        .prepare_cached("SELECT seq FROM body_format WHERE definition = :definition")?
        .query_row(named_params! {":definition": definition}, |row| row.get(0))
        .optional()?;
    if let Some(seq) = found {
        return Ok(seq);
    }
    connection
        .prepare_cached("INSERT INTO body_format (definition) VALUES (:definition)")?
        .execute(named_params! {":definition": definition})?;
    Ok(connection.last_insert_rowid())
}

/// The form that an attempt's body was composed with.
pub fn get(connection: &Connection, seq: i64) -> Result<BodyFormat, StoreError> {
    let definition: String = connection
        .prepare_cached("SELECT definition FROM body_format WHERE seq = :seq")?
        .query_row(named_params! {":seq": seq}, |row| row.get(0))?;
    BodyFormat::from_definition(&definition).map_err(|_| row::corrupt("definition"))
}
