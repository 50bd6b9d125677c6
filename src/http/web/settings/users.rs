//! `/settings/users`: who may use the pages, and for what.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use super::super::confirm::ConfirmPage;
use super::super::error::{PageError, Problem, people_problem};
use crate::auth::users::PeopleError;
use crate::auth::{password, users};
use crate::domain::Invalid;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{Answer, Done, Submission, Visit};
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
    fn of(visit: &Visit) -> Result<UsersPage, PageError> {
        visit.require_operator()?;
        let store = &visit.app.actions.store;
        Ok(UsersPage {
            frame: visit.frame("Users", Section::Settings)?,
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
    fn of(visit: &Visit, user: User, problem: Option<Problem>) -> Result<UserPage, PageError> {
        let frame = visit.frame(format!("User {}", user.name), Section::Settings)?;
        Ok(UserPage {
            frame,
            is_own: visit.require_operator()?.seq == user.seq,
            user,
            problem,
            roles: ROLES,
            shortest: password::SHORTEST,
        })
    }
}

/// `GET /settings/users`.
pub async fn show(visit: Visit) -> Answer {
    visit.show(UsersPage::of).await
}

/// `GET /settings/users/{seq}`: what can be changed of one.
pub async fn user(visit: Visit, seq: Path<String>) -> Answer {
    visit
        .show(move |visit| {
            visit.require_administrator()?;
            UserPage::of(visit, find(visit, &seq)?, None)
        })
        .await
}

fn find(visit: &Visit, seq: &str) -> Result<User, PageError> {
    let seq: i64 = seq.parse().map_err(|_| PageError::not_found("user"))?;
    let store = &visit.app.actions.store;
    let found = store.read(|connection| user::by_seq(connection, seq))?;
    found.ok_or_else(|| PageError::not_found("user"))
}

/// Does something about users in the writer, and waits for it.
fn write<T: Send + 'static>(
    visit: &Visit,
    work: impl FnOnce(&mut WriteTx<'_>) -> Result<T, PeopleError> + Send + 'static,
) -> Result<T, PeopleError> {
    visit.app.actions.store.write(work).wait()
}

/// `POST /settings/users`.
pub async fn add(form: Submission) -> Answer {
    form.run(|visit, fields| {
        visit.require_administrator()?;
        let name = fields.text("name").trim().to_owned();
        let role = fields.text("role").parse().unwrap_or(Role::Viewer);
        let actor = visit.caller().actor;
        let added = users::check_name(&name)
            .and_then(|()| password::check(fields.text("password")))
            .map_err(PeopleError::from)
            .and_then(|()| {
                let hash = password::hash(fields.text("password"));
                let name = name.clone();
                write(visit, move |tx| users::add(tx.connection(), &actor, &name, role, &hash, tx.now_ms()))
            });
        match added {
            Ok(_) => Ok(visit.done("/settings/users", format!("{name} can sign in now."))),
            Err(error) => Ok(Done::again(&UsersPage {
                problem: Some(people_problem(error)?),
                name,
                role,
                ..UsersPage::of(visit)?
            })),
        }
    })
    .await
}

/// `POST /settings/users/{seq}/role`.
pub async fn set_role(form: Submission, seq: Path<String>) -> Answer {
    form.run(move |visit, fields| {
        visit.require_administrator()?;
        let user = find(visit, &seq)?;
        let role: Result<Role, Invalid> = fields.text("role").parse();
        let (actor, name) = (visit.caller().actor, user.name.clone());
        let changed = role.map_err(PeopleError::from).and_then(|role| {
            write(visit, move |tx| users::set_role(tx.connection(), &actor, &name, role, tx.now_ms()))
        });
        let message = format!("The role of {} was changed.", user.name);
        after(visit, user, changed, message)
    })
    .await
}

/// `POST /settings/users/{seq}/password`: ends every session of the user.
pub async fn reset_password(form: Submission, seq: Path<String>) -> Answer {
    form.run(move |visit, fields| {
        let own = visit.require_administrator()?.seq;
        let user = find(visit, &seq)?;
        if user.seq == own {
            return Ok(visit.refused("/account", "Change your own password here: it asks for the old one."));
        }
        let new = fields.text("password").to_owned();
        let (actor, name) = (visit.caller().actor, user.name.clone());
        let changed = password::check(&new).map_err(PeopleError::from).and_then(|()| {
            let hash = password::hash(&new);
            write(visit, move |tx| users::reset_password(tx.connection(), &actor, &name, &hash, tx.now_ms()))
        });
        let message = format!("{} has a new password, and is signed out everywhere.", user.name);
        after(visit, user, changed, message)
    })
    .await
}

/// `POST /settings/users/{seq}/remove`.
pub async fn remove(form: Submission, seq: Path<String>) -> Answer {
    form.run(move |visit, fields| {
        visit.require_administrator()?;
        let user = find(visit, &seq)?;
        if fields.text("confirmed") != "yes" {
            let frame = visit.frame("Remove a user", Section::Settings)?;
            return Ok(Done::page(
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
        let (actor, name) = (visit.caller().actor, user.name.clone());
        let removed = write(visit, move |tx| users::remove(tx.connection(), &actor, &name, tx.now_ms()));
        let message = format!("{} was removed.", user.name);
        after(visit, user, removed, message)
    })
    .await
}

/// Back to the list with a message, or the same page again with what is wrong.
fn after(visit: &Visit, user: User, done: Result<(), PeopleError>, message: String) -> Result<Done, PageError> {
    match done {
        Ok(()) => Ok(visit.done("/settings/users", message)),
        Err(error) => {
            let problem = people_problem(error)?;
            Ok(Done::again(&UserPage::of(visit, user, Some(problem))?))
        }
    }
}
