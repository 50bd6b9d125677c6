//! `/login`, `/logout`: in and out.

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::super::blocking;
use super::super::error::ApiError;
use super::error::{PageError, see};
use super::page;
use crate::auth::users::UserError;
use crate::auth::{session, users};
use crate::domain::time::SECOND;
use crate::http::web::layout::Bare;
use crate::http::web::session::{
    Anonymous, FormBody, PageResult, Response, Submission, cookie, local, portal_mark, session_cookie,
};
use crate::store::session::Owner;
use crate::store::user;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/login").route(web::get().to(show)).route(web::post().to(sign_in)));
    config.service(page("/logout").route(web::post().to(sign_out)));
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    bare: Bare,
    /// Where to go on afterwards.
    next: String,
    name: String,
    problem: Option<String>,
    /// Whether there is anybody who could sign in.
    has_users: bool,
}

/// `GET /login`.
async fn show(request: HttpRequest, stranger: Anonymous) -> PageResult {
    let app = &stranger.app;
    let now = app.actions.clock.now_ms();
    let next = local(stranger.query.text("next")).unwrap_or("/").to_owned();
    let base = app.site.base().prefix();
    let store = &app.actions.store;
    if let Some(cookie) = cookie(&request, &app.site.cookie())
        && let Some(session) = store.read(|connection| session::authenticate(connection, &cookie, now))?
        && matches!(session.owner, Owner::User(_))
    {
        return Err(PageError::Redirect { location: format!("{base}{next}") });
    }
    let has_users = store.read(user::any)?;
    let page = login_page(&stranger, next, String::new(), None, has_users);
    stranger.show(StatusCode::OK, &page)
}

fn login_page(stranger: &Anonymous, next: String, name: String, problem: Option<String>, has_users: bool) -> LoginPage {
    let mut bare = Bare::new(stranger.app.site.base().prefix(), "Sign in");
    bare.form_token = stranger.form_token();
    LoginPage { bare, next, name, problem, has_users }
}

/// `POST /login`. Takes the same time and says the same for a wrong password and for nobody's name.
async fn sign_in(request: HttpRequest, stranger: Anonymous, form: FormBody) -> PageResult {
    let base = stranger.app.site.base().prefix().to_owned();
    form.require_token(&stranger.cookie).map_err(|error| error.below(&base))?;
    let app = stranger.app.clone();
    let now = app.actions.clock.now_ms();
    let name = form.fields.text("name").trim().to_owned();
    let next = local(form.fields.text("next")).unwrap_or("/").to_owned();
    let address = app.site.client_address(&request);
    let wait = app.throttle.wait(&name, address, now);
    if wait > 0 {
        let seconds = (wait + SECOND - 1) / SECOND;
        let problem = format!("Too many tries. Try again in {seconds} s.");
        let page = login_page(&stranger, next, name, Some(problem), true);
        let mut answer = stranger.show(StatusCode::TOO_MANY_REQUESTS, &page)?;
        answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
        return Ok(answer);
    }
    // Counted before it is looked at: tries at the same moment do not slip through together.
    app.throttle.failed(&name, address, now);
    let password = form.fields.text("password").to_owned();
    let (store, wanted) = (app.actions.store.clone(), name.clone());
    // Each holds a thread while it waits for its turn to hash.
    let Ok(_turn) = app.sign_ins.clone().try_acquire_owned() else {
        let busy = "More people sign in than can be taken. Try again in a moment.";
        return Err(PageError::from(ApiError::unavailable("overloaded", busy)).below(&base));
    };
    let cookie = blocking(move || -> Result<Option<String>, UserError> {
        let user = store.read(|connection| user::by_name(connection, &wanted))?;
        let Some(user) = users::verify(user, &password) else {
            return Ok(None);
        };
        let begun = store.write(move |tx| users::sign_in(tx.connection(), &user, tx.now_ms()));
        match begun.wait() {
            Err(UserError::Unknown(_)) => Ok(None),
            begun => begun.map(Some),
        }
    });
    let Some(cookie) = cookie.await?? else {
        log::warn!("a sign-in failed, from {address:?}");
        let problem = "There is no user of this name with this password.".to_owned();
        let page = login_page(&stranger, next, name, Some(problem), true);
        return stranger.show(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    app.throttle.succeeded(&name, address);
    let cookie = session_cookie(&app, cookie, session::LONGEST, false);
    let mut answer = see(&format!("{base}{next}"), Some(cookie));
    portal_mark(&app, false).on(&mut answer);
    Ok(answer)
}

/// `POST /logout`: ends the session, here and in the database.
async fn sign_out(request: HttpRequest, form: Submission) -> Result<HttpResponse, PageError> {
    let app = super::session::data(&request)?;
    let cookie = cookie(&request, &app.site.cookie()).unwrap_or_default();
    let is_portal = form.is_portal();
    let door = if is_portal { "/portal" } else { "/login" };
    let location = format!("{}{door}", app.site.base().prefix());
    let ended = form.run_as_anybody(move |session, _| {
        let end = session.app.actions.store.write(move |tx| session::end(tx.connection(), &cookie));
        end.wait()?;
        Ok(Response::To(location, None))
    });
    let mut answer = ended.await?;
    session_cookie(&app, String::new(), 0, is_portal).on(&mut answer);
    Ok(answer)
}
