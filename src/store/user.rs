//! The table of users: the people who sign in to the pages.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, named_params};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::error::Result;
use super::sql::{self, read_row};
use super::{device, session};
use crate::domain::Invalid;
use crate::domain::time::Millis;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Role>)]
pub enum Role {
    /// Everything.
    Administrator,
    /// Everything except API keys, users, portal sessions and backups.
    Operator,
    /// See everything except secrets; change nothing.
    Viewer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub seq: i64,
    pub name: String,
    pub role: Role,
    /// Argon2id hash in the PHC string format; empty for a user that only a proxy signs in.
    pub password: String,
    /// Whether sign-ins need a code of the user's authenticator app.
    pub has_totp: bool,
    pub created_ms: Millis,
    pub last_login_ms: Option<Millis>,
}

impl User {
    pub fn has_password(&self) -> bool {
        !self.password.is_empty()
    }
}

/// Returns the user with this name, ignoring case.
pub fn by_name(connection: &Connection, name: &str) -> Result<Option<User>> {
    sql::first(connection, "SELECT * FROM user WHERE name = :name", named_params! {":name": name}, from_row)
}

pub fn by_seq(connection: &Connection, seq: i64) -> Result<Option<User>> {
    sql::first(connection, "SELECT * FROM user WHERE seq = :seq", named_params! {":seq": seq}, from_row)
}

/// Returns all users, ordered by name.
pub fn list(connection: &Connection) -> Result<Vec<User>> {
    sql::all(connection, "SELECT * FROM user ORDER BY name", [], from_row)
}

pub fn count_administrators(connection: &Connection) -> Result<u64> {
    sql::value(connection, "SELECT count(*) FROM user WHERE role = 'administrator'", [])
}

pub fn any(connection: &Connection) -> Result<bool> {
    sql::value(connection, "SELECT EXISTS (SELECT 1 FROM user)", [])
}

/// Stores a user. Returns the user's number, or `None` if the name is taken.
pub fn insert(connection: &Connection, name: &str, role: Role, password: &str, now: Millis) -> Result<Option<i64>> {
    let inserted = sql::change(
        connection,
        "INSERT INTO user (name, role, password, created_ms)
         VALUES (:name, :role, :password, :now) ON CONFLICT (name) DO NOTHING",
        named_params! {":name": name, ":role": role, ":password": password, ":now": now},
    )?;
    Ok((inserted == 1).then(|| connection.last_insert_rowid()))
}

/// Stores a new password, ends all sessions of the user, and removes their devices.
pub fn set_password(connection: &Connection, seq: i64, password: &str) -> Result<()> {
    let statement = "UPDATE user SET password = :password WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":password": password, ":seq": seq})?;
    end_everywhere(connection, seq)
}

/// Ends all sessions of a user and removes their devices.
pub fn end_everywhere(connection: &Connection, seq: i64) -> Result<()> {
    session::end_others(connection, seq, None)?;
    device::delete_others(connection, seq, None)
}

pub fn set_role(connection: &Connection, seq: i64, role: Role) -> Result<()> {
    let statement = "UPDATE user SET role = :role WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":role": role, ":seq": seq})
}

/// Secret of a user's authenticator app.
pub struct StoredTotp {
    pub secret: Vec<u8>,
    /// Time step of the last code used.
    pub last_step: i64,
}

/// Returns the secret of a user's authenticator app, unless two-factor authentication is off. Only this function reads the
/// secret, and only [`set_totp`] writes it.
pub fn totp(connection: &Connection, seq: i64) -> Result<Option<StoredTotp>> {
    let query = "SELECT unseal(totp_secret, 'user.totp_secret', seq) AS totp_secret, totp_step
                 FROM user WHERE seq = :seq AND totp_secret IS NOT NULL";
    sql::first(connection, query, named_params! {":seq": seq}, |row| {
        Ok(StoredTotp { secret: row.get("totp_secret")?, last_step: row.get("totp_step")? })
    })
}

/// Stores the secret of a user's authenticator app with the time step of the code that confirmed it, or removes it.
pub fn set_totp(connection: &Connection, seq: i64, secret: Option<&[u8]>, step: i64) -> Result<()> {
    let statement = "UPDATE user SET totp_secret = seal(:secret, 'user.totp_secret', seq), totp_step = :step
                     WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":secret": secret, ":step": step, ":seq": seq})
}

pub fn set_totp_step(connection: &Connection, seq: i64, step: i64) -> Result<()> {
    let statement = "UPDATE user SET totp_step = :step WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":step": step, ":seq": seq})
}

pub fn signed_in(connection: &Connection, seq: i64, at: Millis) -> Result<()> {
    let statement = "UPDATE user SET last_login_ms = :at WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":at": at, ":seq": seq})
}

/// Deletes a user with their sessions, devices and recovery codes.
pub fn delete(connection: &Connection, seq: i64) -> Result<()> {
    end_everywhere(connection, seq)?;
    sql::run(connection, "DELETE FROM user WHERE seq = :seq", named_params! {":seq": seq})
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<User> {
    let has_totp = row.get_ref("totp_secret")? != ValueRef::Null;
    Ok(read_row!(row, User { seq, name, role, password, created_ms, last_login_ms; has_totp }))
}
