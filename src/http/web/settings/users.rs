//! `/settings/users`: who may use the pages, and for what.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use super::super::confirm::ConfirmPage;
use super::super::error::{PageError, Problem, people_problem};
use crate::auth::users::UserError;
use crate::auth::{password, users};
use crate::domain::Invalid;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session, Submission};
use crate::store::WriteTx;
use crate::store::user::{self, Role, User};

/// The roles, and what each may do.
const ROLES: [(Role, &str); 2] =
    [(Role::Administrator, "everything"), (Role::Viewer, "looks at everything but secrets, and changes nothing")];

#[derive(Template)]
#[template(path = "settings/users.html")]
struct UsersPage {
    frame: Frame,
    users: Vec<User>,
    /// What was typed as the new user's name and role.
    name: String,
    role: Role,
    problem: Option<Problem>,
    roles: [(Role, &'static str); 2],
    shortest: usize,
}

#[derive(Template)]
#[template(path = "settings/user.html")]
struct UserPage {
    frame: Frame,
    user: User,
    /// Whether it is the visitor.
    is_own: bool,
    problem: Option<Problem>,
    roles: [(Role, &'static str); 2],
    shortest: usize,
}

impl UsersPage {
    fn of(session: &Session) -> Result<UsersPage, PageError> {
        session.require_operator()?;
        let store = &session.app.actions.store;
        Ok(UsersPage {
            frame: session.frame("Users", Section::Settings)?,
            users: store.read(user::list)?,
            name: String::new(),
            role: Role::Viewer,
            problem: None,
            roles: ROLES,
            shortest: password::SHORTEST,
        })
    }

    fn problem_in(&self, field: &str) -> Option<&str> {
        let problem = self.problem.as_ref()?;
        (problem.field.as_deref() == Some(field)).then_some(problem.message.as_str())
    }
}

impl UserPage {
    fn of(session: &Session, user: User, problem: Option<Problem>) -> Result<UserPage, PageError> {
        let frame = session.frame(format!("User {}", user.name), Section::Settings)?;
        Ok(UserPage {
            frame,
            is_own: session.require_operator()?.seq == user.seq,
            user,
            problem,
            roles: ROLES,
            shortest: password::SHORTEST,
        })
    }
}

/// `GET /settings/users`.
pub async fn show(session: Session) -> PageResult {
    session.show(UsersPage::of).await
}

/// `GET /settings/users/{seq}`: what can be changed of one.
pub async fn user(session: Session, seq: Path<String>) -> PageResult {
    session
        .show(move |session| {
            session.require_administrator()?;
            UserPage::of(session, find(session, &seq)?, None)
        })
        .await
}

fn find(session: &Session, seq: &str) -> Result<User, PageError> {
    let seq: i64 = seq.parse().map_err(|_| PageError::not_found("user"))?;
    let store = &session.app.actions.store;
    let found = store.read(|connection| user::by_seq(connection, seq))?;
    found.ok_or_else(|| PageError::not_found("user"))
}

/// Does something about users in the writer, and waits for it.
fn write<T: Send + 'static>(
    session: &Session,
    work: impl FnOnce(&mut WriteTx<'_>) -> Result<T, UserError> + Send + 'static,
) -> Result<T, UserError> {
    session.app.actions.store.write(work).wait()
}

/// `POST /settings/users`.
pub async fn add(form: Submission) -> PageResult {
    form.run(|session, fields| {
        session.require_administrator()?;
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
            Err(error) => Ok(Response::again(&UsersPage {
                problem: Some(people_problem(error)?),
                name,
                role,
                ..UsersPage::of(session)?
            })),
        }
    })
    .await
}

/// `POST /settings/users/{seq}/role`.
pub async fn set_role(form: Submission, seq: Path<String>) -> PageResult {
    form.run(move |session, fields| {
        session.require_administrator()?;
        let user = find(session, &seq)?;
        let role: Result<Role, Invalid> = fields.text("role").parse();
        let (actor, name) = (session.caller().actor, user.name.clone());
        let changed = role.map_err(UserError::from).and_then(|role| {
            write(session, move |tx| users::set_role(tx.connection(), &actor, &name, role, tx.now_ms()))
        });
        let message = format!("The role of {} was changed.", user.name);
        after(session, user, changed, message)
    })
    .await
}

/// `POST /settings/users/{seq}/password`: ends every session of the user.
pub async fn reset_password(form: Submission, seq: Path<String>) -> PageResult {
    form.run(move |session, fields| {
        let own = session.require_administrator()?.seq;
        let user = find(session, &seq)?;
        if user.seq == own {
            return Ok(session.refused("/account", "Change your own password here: it asks for the old one."));
        }
        let new = fields.text("password").to_owned();
        let (actor, name) = (session.caller().actor, user.name.clone());
        let changed = password::check(&new).map_err(UserError::from).and_then(|()| {
            let hash = password::hash(&new);
            write(session, move |tx| users::reset_password(tx.connection(), &actor, &name, &hash, tx.now_ms()))
        });
        let message = format!("{} has a new password, and is signed out everywhere.", user.name);
        after(session, user, changed, message)
    })
    .await
}

/// `POST /settings/users/{seq}/remove`.
pub async fn remove(form: Submission, seq: Path<String>) -> PageResult {
    form.run(move |session, fields| {
        session.require_administrator()?;
        let user = find(session, &seq)?;
        if fields.text("confirmed") != "yes" {
            let frame = session.frame("Remove a user", Section::Settings)?;
            return Ok(Response::page(
                StatusCode::OK,
                &ConfirmPage {
                    frame,
                    heading: format!("Remove {}?", user.name),
                    effect: "They are signed out everywhere, and can sign in no more.".to_owned(),
                    action: Some(format!("/settings/users/{}/remove", user.seq)),
                    back: format!("/settings/users/{}", user.seq),
                    button: "Remove user".to_owned(),
                    is_danger: true,
                    facts: Vec::new(),
                    fields: Vec::new(),
                },
            ));
        }
        let (actor, name) = (session.caller().actor, user.name.clone());
        let removed = write(session, move |tx| users::remove(tx.connection(), &actor, &name, tx.now_ms()));
        let message = format!("{} was removed.", user.name);
        after(session, user, removed, message)
    })
    .await
}

/// Back to the list with a message, or the same page again with what is wrong.
fn after(session: &Session, user: User, done: Result<(), UserError>, message: String) -> Result<Response, PageError> {
    match done {
        Ok(()) => Ok(session.done("/settings/users", message)),
        Err(error) => {
            let problem = people_problem(error)?;
            Ok(Response::again(&UserPage::of(session, user, Some(problem))?))
        }
    }
}
