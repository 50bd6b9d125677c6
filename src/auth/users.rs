//! Users: created at the first run or by a command, signed in with a password.

use std::net::IpAddr;

use strum::EnumString;
use thiserror::Error;

use super::session::{self, NewOwner};
use super::{password, token};
use crate::actions::Actor;
use crate::actions::audit::AuditEntry;
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::time::{MINUTE, Millis};
use crate::store::api_key;
use crate::store::one_time_link::{self, LinkKind, OneTimeLink};
use crate::store::session::Client;
use crate::store::user::{self, Role, User};
use crate::store::{self, Connection, StoreError, device};
use crate::text::humanize;

/// Validity of the setup link, in milliseconds.
pub const SETUP_LASTS: Millis = 30 * MINUTE;

pub type Result<T, E = UserError> = std::result::Result<T, E>;

#[derive(Debug, Clone, Error)]
pub enum UserError {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the user {0} already exists")]
    Taken(String),
    #[error("there is no user {0}; \"hookpost users list\" lists them")]
    Unknown(String),
    /// At least one administrator must remain.
    #[error("{0} is the only administrator; add another one first")]
    LastAdministrator(String),
    /// The code of the second factor is wrong or was used.
    #[error("wrong code")]
    WrongCode,
    /// The link was used, has expired, or never existed.
    #[error("this link was used or has expired")]
    LinkEnded,
}

/// Checks a user's name: 1 to 64 bytes, no control characters, no white space at its ends.
pub fn check_name(name: &str) -> Result<(), Invalid> {
    let is_odd = name.trim() != name || name.contains(char::is_control);
    if name.is_empty() || name.len() > 64 || is_odd {
        return Err(Invalid::new(
            "invalid_name",
            "The name must have 1 to 64 bytes, no control characters, and no spaces at its ends.",
        )
        .in_field("name"));
    }
    Ok(())
}

/// Adds a user with the hash of their password. Returns the user's number.
pub fn add(connection: &Connection, actor: &Actor, name: &str, role: Role, hash: &str, now: Millis) -> Result<i64> {
    check_name(name)?;
    let seq = user::insert(connection, name, role, hash, now)?.ok_or_else(|| UserError::Taken(name.to_owned()))?;
    let entry = AuditEntry::new(AuditAction::UserAdded, name).with_detail(role);
    actor.audit(connection, now, entry)?;
    Ok(seq)
}

pub fn find(connection: &Connection, name: &str) -> Result<User> {
    user::by_name(connection, name)?.ok_or_else(|| UserError::Unknown(name.to_owned()))
}

/// Browser that signs in.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    pub client: Client,
    /// Cookie by which earlier sign-ins with this browser are known.
    pub device: Option<String>,
    /// Cookie of the session that it has, which ends with the next sign-in.
    pub session: Option<String>,
}

impl Browser {
    /// Actor of a user with this browser.
    pub(super) fn actor(&self, name: &str) -> Actor {
        Actor::Person(name.to_owned()).at(self.client.address.parse().ok())
    }
}

/// Cookies of a user who signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub session: String,
    pub device: String,
}

/// Sets a new password, given its hash, ends all sessions of the user, and removes their devices.
pub fn reset_password(connection: &Connection, actor: &Actor, name: &str, hash: &str, now: Millis) -> Result<()> {
    let user = find(connection, name)?;
    user::set_password(connection, user.seq, hash)?;
    actor.audit(connection, now, AuditEntry::new(AuditAction::PasswordReset, user.name))?;
    Ok(())
}

/// Changes a user's own password, given its hash. Ends all their sessions, removes their devices, and starts a new session.
pub fn change_password(
    connection: &Connection,
    user: &User,
    hash: &str,
    browser: &Browser,
    now: Millis,
) -> Result<SignedIn> {
    require_unchanged(connection, user)?;
    user::set_password(connection, user.seq, hash)?;
    begin_session(connection, user, AuditAction::PasswordChanged, browser, now)
}

/// Starts the session of a user who signed in.
pub fn sign_in(connection: &Connection, user: &User, browser: &Browser, now: Millis) -> Result<SignedIn> {
    require_unchanged(connection, user)?;
    user::signed_in(connection, user.seq, now)?;
    begin_session(connection, user, AuditAction::SignedIn, browser, now)
}

/// Starts the session of a user whom a trusted proxy has signed in. Adds the user at the first time, as a viewer unless the
/// proxy sends a role; a role that the proxy sends is the user's from then on.
pub fn sign_in_by_proxy(
    connection: &Connection,
    name: &str,
    role: Option<Role>,
    browser: &Browser,
    now: Millis,
) -> Result<SignedIn> {
    let proxy = browser.actor("sign-in proxy");
    match (user::by_name(connection, name)?, role) {
        (None, role) => {
            // No password matches an empty hash.
            add(connection, &proxy, name, role.unwrap_or(Role::Viewer), "", now)?;
        }
        (Some(user), Some(role)) if user.role != role => {
            user::set_role(connection, user.seq, role)?;
            let entry = AuditEntry::new(AuditAction::RoleChanged, user.name).with_detail(role);
            proxy.audit(connection, now, entry)?;
        }
        (Some(_), _) => {}
    }
    let user = find(connection, name)?;
    user::signed_in(connection, user.seq, now)?;
    begin_session(connection, &user, AuditAction::SignedIn, browser, now)
}

/// Ends one session of a user, by its id in the list. An unknown one has ended already.
pub fn end_session(connection: &Connection, actor: &Actor, user: &User, id: &str, now: Millis) -> Result<()> {
    let sessions = store::session::list(connection, user.seq, now)?;
    if let Some(found) = sessions.iter().find(|found| session::id(found) == id) {
        store::session::end(connection, &found.hash)?;
        let Client { browser, address, .. } = &found.client;
        let entry = AuditEntry::new(AuditAction::SessionEnded, &user.name).with_detail(format!("{browser}, {address}"));
        actor.audit(connection, now, entry)?;
    }
    Ok(())
}

/// Ends the sessions of a user except the one with this cookie, and removes their devices except this one.
pub fn end_other_sessions(
    connection: &Connection,
    actor: &Actor,
    user: &User,
    kept: &str,
    kept_device: Option<&str>,
    now: Millis,
) -> Result<()> {
    let ended = store::session::end_others(connection, user.seq, Some(&token::hash(kept)))?;
    device::delete_others(connection, user.seq, kept_device.map(token::hash).as_ref())?;
    let entry = AuditEntry::new(AuditAction::OtherSessionsEnded, &user.name).with_detail(ended);
    actor.audit(connection, now, entry)?;
    Ok(())
}

/// Records a failed sign-in. A name of nobody is not kept: it may be a password that was typed into the wrong field.
pub fn sign_in_failed(
    connection: &Connection,
    name: &str,
    address: Option<IpAddr>,
    now: Millis,
) -> Result<(), StoreError> {
    let user = user::by_name(connection, name)?;
    let subject = user.map_or_else(|| "unknown".to_owned(), |user| user.name);
    Actor::Stranger.at(address).audit_repeated(connection, now, AuditEntry::new(AuditAction::SignInFailed, subject))
}

/// Refuses a user whose password or second factor was changed since the password was verified.
pub(super) fn require_unchanged(connection: &Connection, verified: &User) -> Result<()> {
    match user::by_seq(connection, verified.seq)? {
        Some(now) if now.password == verified.password && now.has_totp == verified.has_totp => Ok(()),
        _ => Err(UserError::Unknown(verified.name.clone())),
    }
}

fn begin_session(
    connection: &Connection,
    user: &User,
    action: AuditAction,
    browser: &Browser,
    now: Millis,
) -> Result<SignedIn> {
    browser.actor(&user.name).audit(connection, now, AuditEntry::new(action, &user.name))?;
    if let Some(before) = &browser.session {
        session::end(connection, before)?;
    }
    let owner = NewOwner::User(user.seq, browser.client.clone());
    Ok(SignedIn {
        session: session::begin(connection, &owner, now, session::LONGEST)?,
        device: session::remember_device(connection, user.seq, browser.device.as_deref(), now)?,
    })
}

/// Fate of the API keys that a removed user created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum LeftKeys {
    /// They go on working: applications use them.
    #[default]
    Keep,
    Revoke,
}

/// Removes a user, unless they are the only administrator.
pub fn remove(connection: &Connection, actor: &Actor, name: &str, keys: LeftKeys, now: Millis) -> Result<()> {
    let user = find(connection, name)?;
    require_another(connection, &user)?;
    let count = api_key::names_created_by(connection, user.seq, now)?.len();
    let detail = match keys {
        _ if count == 0 => String::new(),
        LeftKeys::Keep => format!("{} kept", humanize::counted(count as u64, "API key")),
        LeftKeys::Revoke => {
            api_key::revoke_created_by(connection, user.seq, now)?;
            format!("{} revoked", humanize::counted(count as u64, "API key"))
        }
    };
    user::delete(connection, user.seq)?;
    actor.audit(connection, now, AuditEntry::new(AuditAction::UserRemoved, user.name).with_detail(detail))?;
    Ok(())
}

/// Changes the role of a user, unless they are the only administrator.
pub fn set_role(connection: &Connection, actor: &Actor, name: &str, role: Role, now: Millis) -> Result<()> {
    let user = find(connection, name)?;
    if role != Role::Administrator {
        require_another(connection, &user)?;
    }
    user::set_role(connection, user.seq, role)?;
    let entry = AuditEntry::new(AuditAction::RoleChanged, user.name).with_detail(role);
    actor.audit(connection, now, entry)?;
    Ok(())
}

fn require_another(connection: &Connection, user: &User) -> Result<()> {
    if user.role == Role::Administrator && user::count_administrators(connection)? == 1 {
        return Err(UserError::LastAdministrator(user.name.clone()));
    }
    Ok(())
}

/// Returns the user if the password is right. Takes the same time for an unknown user. Do not call it on a thread that
/// serves requests.
pub fn verify(user: Option<User>, password: &str) -> Option<User> {
    let is_right = password::verify(password, user.as_ref().map(|user| user.password.as_str()));
    user.filter(|_| is_right)
}

/// Creates the setup link of the first run, replacing any earlier one. Returns its token, or `None` if there is a user.
pub fn setup_link(connection: &Connection, now: Millis) -> Result<Option<String>, StoreError> {
    if user::any(connection)? {
        return Ok(None);
    }
    one_time_link::delete_kind(connection, LinkKind::Setup)?;
    one_time_link(connection, LinkKind::Setup, now + SETUP_LASTS).map(Some)
}

fn one_time_link(connection: &Connection, kind: LinkKind, ends_ms: Millis) -> Result<String, StoreError> {
    let token = token::generate();
    let link = OneTimeLink { kind, ends_ms, session_ms: session::LONGEST };
    one_time_link::insert(connection, &token::hash(&token), &link)?;
    Ok(token)
}

/// Administrator of a demo, whose password is random.
pub const DEMO_USER: &str = "demo";

/// Creates a link that signs in to a demo once. Returns its token.
pub fn demo_link(connection: &Connection, now: Millis) -> Result<String, StoreError> {
    one_time_link(connection, LinkKind::Demo, now + session::LONGEST)
}

/// Starts a session of a demo's administrator by the demo's link, which is then deleted.
pub fn enter_demo(connection: &Connection, token: &str, now: Millis) -> Result<Opened> {
    let link = use_link(connection, LinkKind::Demo, token, now)?;
    let user = find(connection, DEMO_USER)?;
    user::signed_in(connection, user.seq, now)?;
    let lasts_ms = link.session_ms;
    let cookie = session::begin(connection, &NewOwner::UserWithoutPassword(user.seq), now, lasts_ms)?;
    Ok(Opened { cookie, lasts_ms })
}

pub fn is_demo_link(connection: &Connection, token: &str, now: Millis) -> Result<bool, StoreError> {
    is_link(connection, LinkKind::Demo, token, now)
}

fn is_link(connection: &Connection, kind: LinkKind, token: &str, now: Millis) -> Result<bool, StoreError> {
    let found = one_time_link::by_hash(connection, &token::hash(token), now)?;
    Ok(found.is_some_and(|link| link.kind == kind))
}

/// Deletes a valid link of this kind, and returns it.
fn use_link(connection: &Connection, kind: LinkKind, token: &str, now: Millis) -> Result<OneTimeLink> {
    let hash = token::hash(token);
    let link = one_time_link::by_hash(connection, &hash, now)?.filter(|link| link.kind == kind);
    let link = link.ok_or(UserError::LinkEnded)?;
    one_time_link::delete(connection, &hash)?;
    Ok(link)
}

/// Session of a link.
#[derive(Debug)]
pub struct Opened {
    pub cookie: String,
    pub lasts_ms: Millis,
}

pub fn is_setup_token(connection: &Connection, token: &str, now: Millis) -> Result<bool, StoreError> {
    Ok(is_link(connection, LinkKind::Setup, token, now)? && !user::any(connection)?)
}

/// Adds the first administrator by the setup link, which is then deleted, and starts their session.
pub fn set_up(
    connection: &Connection,
    token: &str,
    name: &str,
    hash: &str,
    browser: &Browser,
    now: Millis,
) -> Result<SignedIn> {
    if !is_setup_token(connection, token, now)? {
        return Err(UserError::LinkEnded);
    }
    add(connection, &browser.actor(name), name, Role::Administrator, hash, now)?;
    one_time_link::delete_kind(connection, LinkKind::Setup)?;
    sign_in(connection, &find(connection, name)?, browser, now)
}
