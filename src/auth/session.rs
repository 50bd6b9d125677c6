//! Sessions. A session ends at its time, after 12 hours without use, or when the user signs out.

use super::token;
use crate::domain::event::Tenant;
use crate::domain::time::{DAY, Millis};
use crate::store::session::{self, Owner, Session};
use crate::store::{Connection, StoreError};

/// Maximum duration of a user's session, in milliseconds.
pub const LONGEST: Millis = 14 * DAY;

/// Starts a session in the current transaction. Returns its cookie.
pub fn begin(connection: &Connection, owner: &NewOwner, now: Millis, lasts: Millis) -> Result<String, StoreError> {
    session::delete_expired(connection, now)?;
    let token = token::generate();
    let (user, tenant) = match owner {
        NewOwner::User(seq) => (Some(*seq), None),
        NewOwner::Portal(tenant) => (None, Some(tenant)),
    };
    session::insert(connection, &token::hash(&token), user, tenant, now, now + lasts)?;
    Ok(token)
}

#[derive(Debug, Clone)]
pub enum NewOwner {
    User(i64),
    Portal(Tenant),
}

/// Returns the session of a cookie, unless it has ended. Reads the table each time, so that ending a session takes effect
/// at once.
pub fn authenticate(connection: &Connection, cookie: &str, now: Millis) -> Result<Option<Session>, StoreError> {
    session::by_hash(connection, &token::hash(cookie), now)
}

pub fn end(connection: &Connection, cookie: &str) -> Result<(), StoreError> {
    session::end(connection, &token::hash(cookie))
}

pub fn seen(connection: &Connection, cookie: &str, now: Millis) -> Result<(), StoreError> {
    session::seen(connection, &token::hash(cookie), now)
}

/// Returns the display name of a session's owner in the audit log.
pub fn actor(owner: &Owner) -> String {
    match owner {
        Owner::User(user) => user.name.clone(),
        Owner::Portal(tenant) => format!("portal of {tenant}"),
    }
}
