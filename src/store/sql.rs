//! Runs statements. Each is prepared once per connection and cached.

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use super::error::StoreError;

/// Returns every row of a query.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Returns the first row of a query, if any.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    Ok(connection.prepare_cached(sql)?.query_row(params, read).optional()?)
}

/// Returns the first column of a query's only row.
pub(super) fn value<T: FromSql>(connection: &Connection, sql: &str, params: impl Params) -> Result<T, StoreError> {
    Ok(connection.prepare_cached(sql)?.query_row(params, |row| row.get(0))?)
}

/// Returns the first column of a query's only row, a count.
pub(super) fn count(connection: &Connection, sql: &str, params: impl Params) -> Result<u64, StoreError> {
    value::<i64>(connection, sql, params).map(|count| count as u64)
}

/// Runs a statement that changes rows. Returns the number of rows changed.
pub(super) fn run(connection: &Connection, sql: &str, params: impl Params) -> Result<usize, StoreError> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

/// Reads a column that holds a count.
pub(super) fn get_count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|count| count as u64)
}

/// Builds a struct from a row, with fields named like their columns. Other fields follow after `;`, with their values.
macro_rules! read_row {
    ($row:ident, $type:ident { $($column:ident),+ $(,)? $(; $($field:ident $(: $value:expr)?),+ $(,)?)? }) => {
        $type {
            $($column: $row.get(stringify!($column))?,)+
            $($($field $(: $value)?,)+)?
        }
    };
}
pub(super) use read_row;
