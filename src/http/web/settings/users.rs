//! `/settings/users`: users and their roles.

use crate::auth::users::UserError;
use crate::auth::{password, two_factor, users};
use crate::domain::Invalid;
use crate::http::web::confirm::Choice;
use crate::http::web::{Confirm, Fields, FormErrors, Frame, PageError, Response, Section, Session, Template, problem};
use crate::store::user::{self, Role, User};
use crate::store::{WriteTx, api_key};

/// Roles and their permissions.
const ROLES: [(Role, &str); 3] = [
    (Role::Administrator, "full access"),
    (Role::Operator, "webhooks, deliveries and secrets; no changes of API keys and users, no backups"),
    (Role::Viewer, "read everything except secrets; no changes"),
];

/// Options for the API keys of a removed user, as [`users::LeftKeys`] spells them.
const LEFT_KEYS: [(&str, &str, &str); 2] = [
    ("keep", "Keep", "applications go on working; rotate the keys if the user may still have them"),
    ("revoke", "Revoke", "requests with these keys are rejected at once"),
];
/// Maximum keys that a question names.
const MAX_NAMED: usize = 10;

#[derive(Template)]
#[template(path = "settings/users.html")]
pub struct UsersPage {
    frame: Frame,
    users: Vec<User>,
    /// Typed name and role of the new user.
    name: String,
    role: Role,
    errors: FormErrors,
    roles: [(Role, &'static str); 3],
}

#[derive(Template)]
#[template(path = "settings/user.html")]
pub struct UserPage {
    frame: Frame,
    user: User,
    /// Whether the visitor is this user.
    is_own: bool,
    errors: FormErrors,
    roles: [(Role, &'static str); 3],
}

/// `GET /settings/users`.
pub fn show(session: &Session) -> Result<UsersPage, PageError> {
    session.require_operator()?;
    session.read(|db| {
        Ok(UsersPage {
            frame: session.frame(db, "Users", Section::Settings)?,
            users: user::list(db)?,
            name: String::new(),
            role: Role::Viewer,
            errors: FormErrors::default(),
            roles: ROLES,
        })
    })
}

fn user_page(session: &Session, user: User, errors: FormErrors) -> Result<UserPage, PageError> {
    Ok(UserPage {
        frame: session.read(|db| session.frame(db, format!("User {}", user.name), Section::Settings))?,
        is_own: session.require_operator()?.seq == user.seq,
        user,
        errors,
        roles: ROLES,
    })
}

/// `GET /settings/users/{seq}`.
pub fn user(session: &Session, seq: &str) -> Result<UserPage, PageError> {
    session.require_administrator()?;
    user_page(session, find(session, seq)?, FormErrors::default())
}

fn find(session: &Session, seq: &str) -> Result<User, PageError> {
    let seq: i64 = seq.parse().map_err(|_| PageError::not_found("user"))?;
    session.read(|db| user::by_seq(db, seq)?.ok_or_else(|| PageError::not_found("user")))
}

/// Runs a change of users in the writer and waits for its commit.
fn write<T: Send + 'static>(
    session: &Session,
    work: impl FnOnce(&mut WriteTx<'_>) -> Result<T, UserError> + Send + 'static,
) -> Result<T, UserError> {
    session.app.actions.store.write(work).wait()
}

/// `POST /settings/users`.
pub fn add(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let name = fields.text("name").trim().to_owned();
    let role = fields.text("role").parse().unwrap_or(Role::Viewer);
    let actor = session.caller().actor;
    let added = users::check_name(&name)
        .and_then(|()| password::check(fields.text("password")))
        .map_err(UserError::from)
        .and_then(|()| {
            let hash = password::hash(fields.text("password"));
            let name = name.clone();
            write(session, move |tx| users::add(tx.connection(), &actor, &name, role, &hash, tx.now_ms()))
        });
    match added {
        Ok(_) => Ok(session.done("/settings/users", format!("{name} can sign in now."))),
        Err(error) => {
            let errors = problem(error)?.into();
            Ok(Response::again(&UsersPage { errors, name, role, ..show(session)? }))
        }
    }
}

/// `POST /settings/users/{seq}/role`.
pub fn set_role(session: &Session, fields: &Fields, seq: &str) -> Result<Response, PageError> {
    let user = find(session, seq)?;
    let role: Result<Role, Invalid> = fields.text("role").parse();
    let (actor, name) = (session.caller().actor, user.name.clone());
    let changed = role
        .map_err(UserError::from)
        .and_then(|role| write(session, move |tx| users::set_role(tx.connection(), &actor, &name, role, tx.now_ms())));
    let message = format!("Role of {} changed.", user.name);
    after(session, user, changed, message)
}

/// `POST /settings/users/{seq}/password`: also ends every session of the user.
pub fn reset_password(session: &Session, fields: &Fields, seq: &str) -> Result<Response, PageError> {
    let own = session.require_administrator()?.seq;
    let user = find(session, seq)?;
    if user.seq == own {
        return Ok(session.refused("/account", "Change your own password here. You need your current password."));
    }
    let new = fields.text("password").to_owned();
    let (actor, name) = (session.caller().actor, user.name.clone());
    let changed = password::check(&new).map_err(UserError::from).and_then(|()| {
        let hash = password::hash(&new);
        write(session, move |tx| users::reset_password(tx.connection(), &actor, &name, &hash, tx.now_ms()))
    });
    let message = format!("Password of {} reset. Their sessions have ended.", user.name);
    after(session, user, changed, message)
}

/// `POST /settings/users/{seq}/reset-two-factor`: for a user who has lost their phone. Also ends every session of theirs.
pub fn reset_two_factor(session: &Session, fields: &Fields, seq: &str) -> Result<Response, PageError> {
    let own = session.require_administrator()?.seq;
    let user = find(session, seq)?;
    if user.seq == own {
        return Ok(session.refused("/account/two-factor", "Turn off your own two-factor authentication here."));
    }
    if fields.text("confirmed") != "yes" {
        return Confirm {
            heading: format!("Reset two-factor authentication of {}?", user.name),
            effect: "This user is signed out everywhere and can then sign in with the password only.".to_owned(),
            action: Some(format!("/settings/users/{}/reset-two-factor", user.seq)),
            back: format!("/settings/users/{}", user.seq),
            button: "Reset".to_owned(),
            is_danger: true,
            ..Confirm::default()
        }
        .show(session, Section::Settings);
    }
    let (actor, name) = (session.caller().actor, user.name.clone());
    let reset = write(session, move |tx| two_factor::reset(tx.connection(), &actor, &name, tx.now_ms()));
    let message = format!("Two-factor authentication of {} reset. Their sessions have ended.", user.name);
    after(session, user, reset, message)
}

/// `POST /settings/users/{seq}/remove`.
pub fn remove(session: &Session, fields: &Fields, seq: &str) -> Result<Response, PageError> {
    let user = find(session, seq)?;
    if fields.text("confirmed") != "yes" {
        let keys = session.read(|db| Ok(api_key::names_created_by(db, user.seq, session.now())?))?;
        return Confirm {
            heading: format!("Remove {}?", user.name),
            choice: (!keys.is_empty()).then(|| Choice {
                name: "keys",
                legend: format!("API keys that {} created: {}", user.name, named(&keys)),
                options: &LEFT_KEYS,
            }),
            effect: "This user is signed out everywhere and can't sign in again.".to_owned(),
            action: Some(format!("/settings/users/{}/remove", user.seq)),
            back: format!("/settings/users/{}", user.seq),
            button: "Remove user".to_owned(),
            is_danger: true,
            ..Confirm::default()
        }
        .show(session, Section::Settings);
    }
    let (actor, name) = (session.caller().actor, user.name.clone());
    let keys = fields.text("keys").parse().unwrap_or_default();
    let removed = write(session, move |tx| users::remove(tx.connection(), &actor, &name, keys, tx.now_ms()));
    let message = format!("{} removed.", user.name);
    after(session, user, removed, message)
}

/// Returns the first names of a list, and the number of the others.
fn named(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(MAX_NAMED).map(String::as_str).collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Redirects to the list, or shows the user's page with the error.
fn after(session: &Session, user: User, result: Result<(), UserError>, message: String) -> Result<Response, PageError> {
    match result {
        Ok(()) => Ok(session.done("/settings/users", message)),
        Err(error) => Ok(Response::again(&user_page(session, user, problem(error)?.into())?)),
    }
}
