//! Users: made at the first run or by a command, signed in by their password.

use thiserror::Error;

use super::{password, session, token};
use crate::actions::Actor;
use crate::actions::audit::AuditEntry;
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::event::Tenant;
use crate::domain::time::{DAY, MINUTE, Millis};
use crate::store::one_time_link;
use crate::store::one_time_link::{LinkKind, OneTimeLink};
use crate::store::user::{self, Role, User};
use crate::store::{Connection, StoreError};

/// How long the link of the first run is good for, in milliseconds.
pub const SETUP_LASTS: Millis = 30 * MINUTE;

/// How long a session lasts that a portal link opens, in milliseconds.
pub const PORTAL_LASTS: Millis = DAY;

/// Why something about users was not done.
#[derive(Debug, Clone, Error)]
pub enum UserError {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is a user of that name.
    #[error("there is a user {0} already")]
    Taken(String),
    #[error("there is no user {0}; \"hookpost users list\" lists them")]
    Unknown(String),
    /// Somebody has to be left who can administer.
    #[error("{0} is the only administrator; make another one first")]
    LastAdministrator(String),
    /// The link was used, has ended, or never was.
    #[error("this link was used, or has ended")]
    LinkEnded,
}

/// Checks a user's name: 1 to 64 bytes, no control characters, no white space around it.
pub fn check_name(name: &str) -> Result<(), Invalid> {
    let is_odd = name.trim() != name || name.contains(char::is_control);
    if name.is_empty() || name.len() > 64 || is_odd {
        return Err(Invalid::new(
            "invalid_name",
            "A name is 1 to 64 bytes, without control characters or spaces around it.",
        )
        .in_field("name"));
    }
    Ok(())
}

/// Makes a user from a password's hash; their number.
pub fn add(
    connection: &Connection,
    actor: &Actor,
    name: &str,
    role: Role,
    password_hash: &str,
    now: Millis,
) -> Result<i64, UserError> {
    check_name(name)?;
    let seq =
        user::insert(connection, name, role, password_hash, now)?.ok_or_else(|| UserError::Taken(name.to_owned()))?;
    let entry = AuditEntry::new(AuditAction::UserAdded, name).with_detail(role);
    actor.audit(connection, now, entry)?;
    Ok(seq)
}

/// The user of this name.
pub fn find(connection: &Connection, name: &str) -> Result<User, UserError> {
    user::by_name(connection, name)?.ok_or_else(|| UserError::Unknown(name.to_owned()))
}

/// Sets a new password, from its hash, and ends every session of the user.
pub fn reset_password(
    connection: &Connection,
    actor: &Actor,
    name: &str,
    password_hash: &str,
    now: Millis,
) -> Result<(), UserError> {
    let user = find(connection, name)?;
    user::set_password(connection, user.seq, password_hash)?;
    actor.audit(connection, now, AuditEntry::new(AuditAction::PasswordReset, user.name))?;
    Ok(())
}

/// A user's own new password, from its hash: every session of theirs ends, and a new one begins for who asks; its
/// cookie.
pub fn change_password(
    connection: &Connection,
    user: &User,
    password_hash: &str,
    now: Millis,
) -> Result<String, UserError> {
    require_unchanged(connection, user)?;
    user::set_password(connection, user.seq, password_hash)?;
    let actor = Actor::Person(user.name.clone());
    actor.audit(connection, now, AuditEntry::new(AuditAction::PasswordChanged, &user.name))?;
    let owner = session::NewOwner::User(user.seq);
    Ok(session::begin(connection, &owner, now, session::LONGEST)?)
}

/// Begins the session of a user who signed in; its cookie.
pub fn sign_in(connection: &Connection, user: &User, now: Millis) -> Result<String, UserError> {
    require_unchanged(connection, user)?;
    user::signed_in(connection, user.seq, now)?;
    let actor = Actor::Person(user.name.clone());
    actor.audit(connection, now, AuditEntry::new(AuditAction::SignedIn, &user.name))?;
    let owner = session::NewOwner::User(user.seq);
    Ok(session::begin(connection, &owner, now, session::LONGEST)?)
}

/// Refuses what was asked for with a password that somebody reset meanwhile.
fn require_unchanged(connection: &Connection, verified: &User) -> Result<(), UserError> {
    match user::by_seq(connection, verified.seq)? {
        Some(now) if now.password == verified.password => Ok(()),
        _ => Err(UserError::Unknown(verified.name.clone())),
    }
}

/// Takes a user away, unless nobody who administers would be left.
pub fn remove(connection: &Connection, actor: &Actor, name: &str, now: Millis) -> Result<(), UserError> {
    let user = find(connection, name)?;
    require_another(connection, &user)?;
    user::delete(connection, user.seq)?;
    actor.audit(connection, now, AuditEntry::new(AuditAction::UserRemoved, user.name))?;
    Ok(())
}

/// Changes what a user may do, unless nobody who administers would be left.
pub fn set_role(connection: &Connection, actor: &Actor, name: &str, role: Role, now: Millis) -> Result<(), UserError> {
    let user = find(connection, name)?;
    if role != Role::Administrator {
        require_another(connection, &user)?;
    }
    user::set_role(connection, user.seq, role)?;
    let entry = AuditEntry::new(AuditAction::RoleChanged, user.name).with_detail(role);
    actor.audit(connection, now, entry)?;
    Ok(())
}

fn require_another(connection: &Connection, user: &User) -> Result<(), UserError> {
    if user.role == Role::Administrator && user::count_administrators(connection)? == 1 {
        return Err(UserError::LastAdministrator(user.name.clone()));
    }
    Ok(())
}

/// Whether these are a user's name and password. Takes the same time for a name that is nobody's; not from a thread
/// that serves requests.
pub fn verify(user: Option<User>, password: &str) -> Option<User> {
    let is_right = password::verify(password, user.as_ref().map(|user| user.password.as_str()));
    user.filter(|_| is_right)
}

/// The token of a new link for the first run, in place of any earlier one; `None` where there is a user already.
pub fn setup_link(connection: &Connection, now: Millis) -> Result<Option<String>, StoreError> {
    if user::any(connection)? {
        return Ok(None);
    }
    one_time_link::delete_kind(connection, LinkKind::Setup)?;
    let link =
        OneTimeLink { kind: LinkKind::Setup, tenant: None, ends_ms: now + SETUP_LASTS, session_ms: session::LONGEST };
    one_time_link(connection, &link).map(Some)
}

/// Stores a link; the token that opens it.
pub fn one_time_link(connection: &Connection, link: &OneTimeLink) -> Result<String, StoreError> {
    let token = token::generate();
    one_time_link::insert(connection, &token::hash(&token), link)?;
    Ok(token)
}

/// The token of a new link that opens the pages of one tenant, until a time and once.
pub fn portal_link(
    connection: &Connection,
    tenant: &Tenant,
    now: Millis,
    ends_ms: Millis,
) -> Result<String, StoreError> {
    one_time_link::delete_expired(connection, now)?;
    let link = OneTimeLink { kind: LinkKind::Portal, tenant: Some(tenant.clone()), ends_ms, session_ms: PORTAL_LASTS };
    one_time_link(connection, &link)
}

/// The administrator of a demo, whose password nobody knows.
pub const DEMO_USER: &str = "demo";

/// The token of a new link that signs in to a demo, once.
pub fn demo_link(connection: &Connection, now: Millis) -> Result<String, StoreError> {
    let link = OneTimeLink {
        kind: LinkKind::Demo,
        tenant: None,
        ends_ms: now + session::LONGEST,
        session_ms: session::LONGEST,
    };
    one_time_link(connection, &link)
}

/// Begins a session of a demo's administrator with the demo's link, which is used up.
pub fn enter_demo(connection: &Connection, token: &str, now: Millis) -> Result<Opened, UserError> {
    let hash = token::hash(token);
    let link = one_time_link::by_hash(connection, &hash, now)?;
    let Some(link) = link.filter(|link| link.kind == LinkKind::Demo) else {
        return Err(UserError::LinkEnded);
    };
    let user = find(connection, DEMO_USER)?;
    one_time_link::delete(connection, &hash)?;
    user::signed_in(connection, user.seq, now)?;
    let owner = session::NewOwner::User(user.seq);
    let cookie = session::begin(connection, &owner, now, link.session_ms)?;
    Ok(Opened { cookie, lasts_ms: link.session_ms })
}

/// Whether a token opens something of this kind now.
pub fn is_link(connection: &Connection, kind: LinkKind, token: &str, now: Millis) -> Result<bool, StoreError> {
    let found = one_time_link::by_hash(connection, &token::hash(token), now)?;
    Ok(found.is_some_and(|link| link.kind == kind))
}

/// A session that a link opened.
#[derive(Debug)]
pub struct Opened {
    /// What its cookie holds.
    pub cookie: String,
    /// In milliseconds.
    pub lasts_ms: Millis,
}

/// Begins a session of a tenant's people with their link, which is used up.
pub fn enter_portal(connection: &Connection, token: &str, now: Millis) -> Result<Opened, UserError> {
    let hash = token::hash(token);
    let link = one_time_link::by_hash(connection, &hash, now)?;
    let Some(OneTimeLink { kind: LinkKind::Portal, tenant: Some(tenant), session_ms: lasts_ms, .. }) = link else {
        return Err(UserError::LinkEnded);
    };
    one_time_link::delete(connection, &hash)?;
    let owner = session::NewOwner::Portal(tenant);
    let cookie = session::begin(connection, &owner, now, lasts_ms)?;
    Ok(Opened { cookie, lasts_ms })
}

/// Whether a token opens the first run's page now.
pub fn is_setup_token(connection: &Connection, token: &str, now: Millis) -> Result<bool, StoreError> {
    let found = one_time_link::by_hash(connection, &token::hash(token), now)?;
    Ok(found.is_some_and(|link| link.kind == LinkKind::Setup) && !user::any(connection)?)
}

/// Makes the first administrator with the link of the first run, which is used up; their session's cookie.
pub fn set_up(
    connection: &Connection,
    setup_token: &str,
    name: &str,
    password_hash: &str,
    now: Millis,
) -> Result<String, UserError> {
    if !is_setup_token(connection, setup_token, now)? {
        return Err(UserError::LinkEnded);
    }
    let actor = Actor::Person(name.to_owned());
    add(connection, &actor, name, Role::Administrator, password_hash, now)?;
    one_time_link::delete_kind(connection, LinkKind::Setup)?;
    sign_in(connection, &find(connection, name)?, now)
}
