//! Runs statements. Each is prepared once per connection and cached.

use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use super::error::Result;

pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Passes each row to `read`, for rows that need not be in memory together.
pub(super) fn each(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        read(row)?;
    }
    Ok(())
}

/// Returns the size of a row's values in bytes.
pub(super) fn row_bytes(row: &Row<'_>) -> rusqlite::Result<usize> {
    let columns = row.as_ref().column_count();
    let size = |column| {
        Ok(match row.get_ref(column)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => size_of::<i64>(),
        })
    };
    (0..columns).map(size).sum()
}

pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>> {
    Ok(connection.prepare_cached(sql)?.query_row(params, read).optional()?)
}

pub(super) fn value<T: FromSql>(connection: &Connection, sql: &str, params: impl Params) -> Result<T> {
    Ok(connection.prepare_cached(sql)?.query_row(params, |row| row.get(0))?)
}

pub(super) fn run(connection: &Connection, sql: &str, params: impl Params) -> Result<()> {
    change(connection, sql, params).map(drop)
}

/// Runs a statement. Returns the number of rows changed.
pub(super) fn change(connection: &Connection, sql: &str, params: impl Params) -> Result<usize> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

/// Has SQLite overwrite what it frees from now on, or no longer.
pub(super) fn overwrite(connection: &Connection, on: bool) -> Result<()> {
    Ok(connection.pragma_update_and_check(None, "secure_delete", on, |_| Ok(()))?)
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

/// Builds named parameters from the fields of a struct. Other parameters follow after `;`, with their values.
macro_rules! row_params {
    ($row:ident { $($field:ident),+ $(,)? $(; $($name:ident: $value:expr),+ $(,)?)? }) => {
        &[
            $((concat!(":", stringify!($field)), &$row.$field as &dyn rusqlite::ToSql),)+
            $($((concat!(":", stringify!($name)), &$value as &dyn rusqlite::ToSql),)+)?
        ] as &[(&str, &dyn rusqlite::ToSql)]
    };
}
pub(super) use row_params;
