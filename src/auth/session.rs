//! Sessions. A session ends at its time, after 12 hours without use, or when the user signs out.

use super::token;
use crate::domain::event::Tenant;
use crate::domain::time::{DAY, MINUTE, Millis};
use crate::store::session::{self, Client, ListedSession, NewSession, Owner, PortalVisitor, Session};
use crate::store::{Connection, StoreError, device};

/// Maximum duration of a user's session, in milliseconds.
pub const LONGEST: Millis = 14 * DAY;

/// Time that a device is remembered after a sign-in, in milliseconds.
pub const DEVICE_LASTS: Millis = 90 * DAY;

/// Time after typing the password in which it is not asked for again.
const CONFIRMED: Millis = 10 * MINUTE;

/// Starts a session in the current transaction. Returns its cookie.
pub fn begin(connection: &Connection, owner: &NewOwner, now: Millis, lasts: Millis) -> Result<String, StoreError> {
    session::delete_expired(connection, now)?;
    let token = token::generate();
    let ends_ms = now + lasts;
    let mut new = NewSession::new(ends_ms);
    match owner {
        NewOwner::User(seq, client) => {
            new.user_seq = Some(*seq);
            if !client.by_proxy {
                new.confirmed_until_ms = now + CONFIRMED;
            }
            new.client = client.clone();
        }
        NewOwner::UserWithoutPassword(seq) => new.user_seq = Some(*seq),
        NewOwner::Portal { tenant, link_seq } => {
            new.tenant = Some(tenant);
            new.portal_link_seq = Some(*link_seq);
        }
        NewOwner::Operator { tenant, user_seq } => {
            new.tenant = Some(tenant);
            new.opened_by_seq = Some(*user_seq);
        }
    }
    if let Some(seq) = new.user_seq {
        session::make_room(connection, seq)?;
    }
    session::insert(connection, &token::hash(&token), &new, now)?;
    Ok(token)
}

#[derive(Debug, Clone)]
pub enum NewOwner {
    /// User who typed the password just now, or was signed in by a proxy.
    User(i64, Client),
    /// User with no password to type, who is never asked for one.
    UserWithoutPassword(i64),
    Portal {
        tenant: Tenant,
        link_seq: i64,
    },
    /// User who opens the portal as a tenant.
    Operator {
        tenant: Tenant,
        user_seq: i64,
    },
}

/// Whether the visitor typed the password within the last ten minutes, or has none to type here.
pub fn is_confirmed(session: &Session, now: Millis) -> bool {
    now < session.confirmed_until_ms
}

/// Records that the user typed the password again.
pub fn confirm(connection: &Connection, cookie: &str, now: Millis) -> Result<(), StoreError> {
    session::confirmed(connection, &token::hash(cookie), now + CONFIRMED)
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
        Owner::Portal(PortalVisitor { tenant, operator: Some(name), .. }) => {
            format!("portal of {tenant}, opened by {name}")
        }
        Owner::Portal(PortalVisitor { tenant, subject: None, .. }) => format!("portal of {tenant}"),
        // The tenant comes first, so that no subject passes for a user.
        Owner::Portal(PortalVisitor { tenant, subject: Some(subject), .. }) => format!("portal of {tenant}: {subject}"),
    }
}
