//! `/account`: one's own password.

use actix_web::HttpRequest;
use actix_web::web::{self, ServiceConfig};
use askama::Template;

use super::error::{PageError, Problem, people_problem};
use super::page;
use crate::auth::users::UserError;
use crate::auth::{password, users};
use crate::domain::time::SECOND;
use crate::http::web::layout::{Flash, Frame, Section};
use crate::http::web::session::{PageResult, Response, Session, Submission};
use crate::store::user::Role;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/account").route(web::get().to(show)));
    config.service(page("/account/password").route(web::post().to(change_password)));
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    name: String,
    role: Role,
    problem: Option<Problem>,
    shortest: usize,
}

impl AccountPage {
    fn of(session: &Session, problem: Option<Problem>) -> Result<AccountPage, PageError> {
        let user = session.require_operator()?;
        Ok(AccountPage {
            frame: session.frame("Your account", Section::None)?,
            name: user.name.clone(),
            role: user.role,
            problem,
            shortest: password::SHORTEST,
        })
    }

    fn problem_in(&self, field: &str) -> Option<&str> {
        let problem = self.problem.as_ref()?;
        (problem.field.as_deref() == Some(field)).then_some(problem.message.as_str())
    }
}

/// `GET /account`.
async fn show(session: Session) -> PageResult {
    session.show(|session| AccountPage::of(session, None)).await
}

/// `POST /account/password`: for viewers too. It ends every session of the user; this browser gets a new one.
async fn change_password(request: HttpRequest, form: Submission) -> PageResult {
    let app = super::session::data(&request)?;
    let address = app.site.client_address(&request);
    form.run_as_anybody(move |session, fields| {
        let user = session.require_operator()?.clone();
        let again = |message: String, field: &str| {
            let field = Some(field.to_owned());
            let problem = Problem { message, field };
            Ok(Response::again(&AccountPage::of(session, Some(problem))?))
        };
        // A session that was left open is no way to guess the password.
        let (throttle, now) = (&session.app.throttle, session.now());
        let wait = throttle.wait(&user.name, address, now);
        if wait > 0 {
            let seconds = (wait + SECOND - 1) / SECOND;
            return again(format!("Too many tries. Try again in {seconds} s."), "old");
        }
        throttle.failed(&user.name, address, now);
        if users::verify(Some(user.clone()), fields.text("old")).is_none() {
            return again("This is not your password.".to_owned(), "old");
        }
        throttle.succeeded(&user.name, address);
        let new = fields.text("password");
        let changed = password::check(new).map_err(UserError::from).and_then(|()| {
            let hash = password::hash(new);
            let change = session
                .app
                .actions
                .store
                .write(move |tx| users::change_password(tx.connection(), &user, &hash, tx.now_ms()));
            change.wait()
        });
        match changed {
            Ok(cookie) => {
                let message = "Your password was changed. Every other session of yours has ended.";
                let flash = Flash { is_ok: true, message: message.to_owned() };
                let location = format!("{}/account", session.base());
                Ok(Response::SignedIn(location, flash, cookie))
            }
            Err(error) => {
                let problem = people_problem(error)?;
                Ok(Response::again(&AccountPage::of(session, Some(problem))?))
            }
        }
    })
    .await
}
