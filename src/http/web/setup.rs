//! `/setup`: the first run, by the link that the server printed. It is closed once there is a user.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;

use super::super::blocking;
use super::super::error::ApiError;
use super::error::{PageError, Problem, see};
use super::page;
use crate::auth::users::UserError;
use crate::auth::{password, session, users};
use crate::domain::Invalid;
use crate::http::web::layout::Bare;
use crate::http::web::session::{Anonymous, FormBody, PageResult, session_cookie};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/setup").route(web::get().to(show)).route(web::post().to(set_up)));
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    bare: Bare,
    token: String,
    name: String,
    problem: Option<Problem>,
    shortest: usize,
}

impl SetupPage {
    fn new(stranger: &Anonymous, token: &str, name: &str, problem: Option<Problem>) -> SetupPage {
        let mut bare = Bare::new(stranger.app.site.base().prefix(), "Set up Hookpost");
        bare.form_token = stranger.form_token();
        SetupPage { bare, token: token.to_owned(), name: name.to_owned(), problem, shortest: password::SHORTEST }
    }

    fn has_problem_in(&self, field: &str) -> bool {
        let problem = self.problem.as_ref();
        problem.is_some_and(|problem| problem.field.as_deref() == Some(field))
    }
}

fn ended(base: &str) -> PageError {
    let error = ApiError::new(
        StatusCode::GONE,
        "link_ended",
        "This link was used, or has ended. Start the server again for a new one, or make a user on its machine: hookpost users add NAME",
    );
    PageError::from(error).below(base)
}

/// `GET /setup?token=…`: shows the form, and uses nothing up.
async fn show(stranger: Anonymous) -> PageResult {
    let app = stranger.app.clone();
    let token = stranger.query.text("token");
    let now = app.actions.clock.now_ms();
    let is_open = app.actions.store.read(|connection| users::is_setup_token(connection, token, now))?;
    if !is_open {
        return Err(ended(app.site.base().prefix()));
    }
    let page = SetupPage::new(&stranger, token, "admin", None);
    stranger.show(StatusCode::OK, &page)
}

/// `POST /setup`: makes the administrator, signs them in, and goes on to the first webhook.
async fn set_up(stranger: Anonymous, form: FormBody) -> PageResult {
    let app = stranger.app.clone();
    let base = app.site.base().prefix();
    form.require_token(&stranger.cookie).map_err(|error| error.below(base))?;
    let token = form.fields.text("token").to_owned();
    let name = form.fields.text("name").trim().to_owned();
    let password = form.fields.text("password").to_owned();
    let checked = users::check_name(&name).and_then(|()| password::check(&password));
    let store = app.actions.store.clone();
    let made = match checked {
        Err(invalid) => Err(invalid.into()),
        Ok(()) => {
            let (token, name) = (token.clone(), name.clone());
            let work = blocking(move || {
                let now = store.read(|connection| users::is_setup_token(connection, &token, 0));
                // Nobody without a link makes the server hash.
                if !now? {
                    return Err(UserError::LinkEnded);
                }
                let hash = password::hash(&password);
                store.write(move |tx| users::set_up(tx.connection(), &token, &name, &hash, tx.now_ms())).wait()
            });
            work.await?
        }
    };
    let cookie = match made {
        Ok(cookie) => cookie,
        Err(UserError::Invalid(invalid)) => return refused(&stranger, &token, &name, invalid),
        Err(UserError::LinkEnded) => return Err(ended(base)),
        Err(other) => return Err(PageError::from(ApiError::from(other)).below(base)),
    };
    let cookie = session_cookie(&app, cookie, session::LONGEST, false);
    Ok(see(&format!("{base}/setup/webhook"), Some(cookie)))
}

fn refused(stranger: &Anonymous, token: &str, name: &str, invalid: Invalid) -> PageResult {
    let page = SetupPage::new(stranger, token, name, Some(invalid.into()));
    stranger.show(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
