//! The table of people who use the pages.

use rusqlite::{Connection, Row, named_params};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::error::StoreError;
use super::row::{self, parsed};
use crate::domain::Invalid;
use crate::domain::time::Millis;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Role>)]
pub enum Role {
    /// Everything.
    Administrator,
    /// Look at everything but secrets, and change nothing.
    Viewer,
}

/// A user as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub seq: i64,
    pub name: String,
    pub role: Role,
    /// The Argon2id hash, in the PHC string format.
    pub password: String,
    pub created_ms: Millis,
    pub last_login_ms: Option<Millis>,
}

/// The user of this name, whatever its case.
pub fn by_name(connection: &Connection, name: &str) -> Result<Option<User>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM user WHERE name = :name")?;
    row::first(&mut statement, named_params! {":name": name}, from_row)
}

/// The user with this number.
pub fn by_seq(connection: &Connection, seq: i64) -> Result<Option<User>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM user WHERE seq = :seq")?;
    row::first(&mut statement, named_params! {":seq": seq}, from_row)
}

/// Every user, by name.
pub fn list(connection: &Connection) -> Result<Vec<User>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM user ORDER BY name")?;
    row::collect(&mut statement, [], from_row)
}

/// How many administrators there are.
pub fn count_administrators(connection: &Connection) -> Result<u64, StoreError> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM user WHERE role = 'administrator'")?
        .query_row([], |row| row.get(0))?;
    Ok(count as u64)
}

/// Whether there is any user.
pub fn any(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM user)")?.query_row([], |row| row.get(0))?)
}

/// Stores a user, unless there is one of that name; their number, or `None` then.
pub fn insert(
    connection: &Connection,
    name: &str,
    role: Role,
    password: &str,
    now: Millis,
) -> Result<Option<i64>, StoreError> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO user (name, role, password, created_ms)
             VALUES (:name, :role, :password, :now) ON CONFLICT (name) DO NOTHING",
        )?
        .execute(named_params! {
            ":name": name,
            ":role": role.into_str(),
            ":password": password,
            ":now": now,
        })?;
    Ok((inserted == 1).then(|| connection.last_insert_rowid()))
}

/// Stores a new password and ends every session of the user.
pub fn set_password(connection: &Connection, seq: i64, password: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE user SET password = :password WHERE seq = :seq")?
        .execute(named_params! {":password": password, ":seq": seq})?;
    super::session::end_all(connection, seq)
}

/// Changes what a user may do.
pub fn set_role(connection: &Connection, seq: i64, role: Role) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE user SET role = :role WHERE seq = :seq")?
        .execute(named_params! {":role": role.into_str(), ":seq": seq})?;
    Ok(())
}

/// Notes when a user last signed in.
pub fn signed_in(connection: &Connection, seq: i64, at: Millis) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE user SET last_login_ms = :at WHERE seq = :seq")?
        .execute(named_params! {":at": at, ":seq": seq})?;
    Ok(())
}

/// Takes a user away, with every session of theirs.
pub fn delete(connection: &Connection, seq: i64) -> Result<(), StoreError> {
    super::session::end_all(connection, seq)?;
    connection.prepare_cached("DELETE FROM user WHERE seq = :seq")?.execute(named_params! {":seq": seq})?;
    Ok(())
}

pub(super) fn from_row(row: &Row<'_>) -> Result<User, StoreError> {
    Ok(User {
        seq: row.get("seq")?,
        name: row.get("name")?,
        role: parsed(row, "role")?,
        password: row.get("password")?,
        created_ms: row.get("created_ms")?,
        last_login_ms: row.get("last_login_ms")?,
    })
}
