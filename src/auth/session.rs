//! Sessions: signed in until they end, are not used for half a day, or somebody signs out.

use super::token;
use crate::domain::event::Tenant;
use crate::domain::time::{DAY, Millis};
use crate::store::session::{self, Owner, Session};
use crate::store::{Connection, StoreError};

/// How long a user's session lasts at most, in milliseconds.
pub const LONGEST: Millis = 14 * DAY;

/// Begins a session in the transaction at hand; what its cookie holds.
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

/// Whose session begins.
#[derive(Debug, Clone)]
pub enum NewOwner {
    User(i64),
    Portal(Tenant),
}

/// The session of a cookie, unless it has ended. Looked up each time, so that an end counts at once, everywhere.
pub fn authenticate(connection: &Connection, cookie: &str, now: Millis) -> Result<Option<Session>, StoreError> {
    session::by_hash(connection, &token::hash(cookie), now)
}

/// Ends the session of a cookie.
pub fn end(connection: &Connection, cookie: &str) -> Result<(), StoreError> {
    session::end(connection, &token::hash(cookie))
}

/// Notes that the session of a cookie is used.
pub fn seen(connection: &Connection, cookie: &str, now: Millis) -> Result<(), StoreError> {
    session::seen(connection, &token::hash(cookie), now)
}

/// Who somebody is, in the words of the audit list.
pub fn actor(owner: &Owner) -> String {
    match owner {
        Owner::User(user) => user.name.clone(),
        Owner::Portal(tenant) => format!("portal of {tenant}"),
    }
}
