//! Sessions. A session ends at its time, after 12 hours without use, or when the user signs out.

use super::token;
use crate::domain::event::Tenant;
use crate::domain::time::{DAY, Millis};
use crate::store::session::{self, Client, ListedSession, Owner, Session};
use crate::store::{Connection, StoreError, device};

/// Maximum duration of a user's session, in milliseconds.
pub const LONGEST: Millis = 14 * DAY;

/// Time that a device is remembered after a sign-in, in milliseconds.
pub const DEVICE_LASTS: Millis = 90 * DAY;

/// Starts a session in the current transaction. Returns its cookie.
pub fn begin(connection: &Connection, owner: &NewOwner, now: Millis, lasts: Millis) -> Result<String, StoreError> {
    session::delete_expired(connection, now)?;
    let token = token::generate();
    let unknown = Client::default();
    let (user, tenant, client) = match owner {
        NewOwner::User(seq, client) => (Some(*seq), None, client),
        NewOwner::Portal(tenant) => (None, Some(tenant), &unknown),
    };
    if let Some(seq) = user {
        session::make_room(connection, seq)?;
    }
    session::insert(connection, &token::hash(&token), user, tenant, client, now, now + lasts)?;
    Ok(token)
}

#[derive(Debug, Clone)]
pub enum NewOwner {
    User(i64, Client),
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

/// Records a use of the session.
pub fn seen(connection: &Connection, cookie: &str, address: &str, now: Millis) -> Result<(), StoreError> {
    session::seen(connection, &token::hash(cookie), address, now)
}

/// Id of a session in lists. Does not reveal the cookie.
pub fn id(session: &ListedSession) -> String {
    hex::encode(&session.hash[..8])
}

pub fn is_of(session: &ListedSession, cookie: &str) -> bool {
    session.hash == token::hash(cookie)
}

/// Remembers a device of a user in place of the one that the browser had. Returns its cookie. A new cookie at each sign-in
/// makes a stolen one useless, and one that somebody else has put into the browser.
pub fn remember_device(
    connection: &Connection,
    user_seq: i64,
    replaced: Option<&str>,
    now: Millis,
) -> Result<String, StoreError> {
    if let Some(cookie) = replaced {
        device::delete(connection, &token::hash(cookie))?;
    }
    let token = token::generate();
    device::insert(connection, &token::hash(&token), user_seq, now, now + DEVICE_LASTS)?;
    Ok(token)
}

/// Returns the display name of a session's owner in the audit log.
pub fn actor(owner: &Owner) -> String {
    match owner {
        Owner::User(user) => user.name.clone(),
        Owner::Portal(tenant) => format!("portal of {tenant}"),
    }
}
