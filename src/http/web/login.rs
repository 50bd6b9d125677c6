//! `/login` and `/logout`.

use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};

use crate::auth::throttle::Subject;
use crate::auth::users::UserError;
use crate::auth::{session, token, users};
use crate::domain::time::SECOND;
use crate::http::error::ApiError;
use crate::http::extract::app;
use crate::http::web::anonymous::Anonymous;
use crate::http::web::cookies::{self, SetCookie};
use crate::http::web::form::AnonymousSubmission;
use crate::http::web::layout::Bare;
use crate::http::web::response::{local, see};
use crate::http::web::{PageError, PageResult, Response, Submission, Template};
use crate::store::session::Owner;
use crate::store::user;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    frame: Bare,
    /// Path to continue at after signing in.
    next: &'a str,
    name: &'a str,
    problem: Option<String>,
    has_users: bool,
}

/// `GET /login`.
pub async fn show(request: HttpRequest, visitor: Anonymous) -> PageResult {
    let next = local(visitor.query.text("next")).unwrap_or("/");
    let (cookie, now) = (cookies::session(&request, &visitor.app, false), visitor.now());
    let (session, has_users) = visitor
        .read(move |db| {
            let session = cookie.map(|cookie| session::authenticate(db, &cookie, now)).transpose()?;
            Ok((session.flatten(), user::any(db)?))
        })
        .await?;
    if session.is_some_and(|session| matches!(session.owner, Owner::User(_))) {
        return Err(PageError::Redirect { location: format!("{}{next}", visitor.base()) });
    }
    let page = LoginPage { frame: visitor.frame("Sign in"), next, name: "", problem: None, has_users };
    visitor.show(StatusCode::OK, &page)
}

/// `POST /login`. The response, and its time, are the same for a wrong password and an unknown name.
pub async fn sign_in(request: HttpRequest, form: AnonymousSubmission) -> PageResult {
    let AnonymousSubmission { visitor, fields } = form;
    let app = &visitor.app;
    let now = visitor.now();
    let name = fields.text("name").trim();
    let next = local(fields.text("next")).unwrap_or("/");
    let again = |status: StatusCode, problem: String| {
        let frame = visitor.frame("Sign in");
        let page = LoginPage { frame, next, name, problem: Some(problem), has_users: true };
        visitor.show(status, &page)
    };
    let address = app.site.client_address(&request);
    let browser = visitor.browser(&request);
    let device = browser.device.as_deref().map(token::hash);
    let subject = match device {
        Some(hash) if visitor.knows(hash, name).await? => Subject::Device(hash),
        _ => Subject::Account(name),
    };
    let wait = app.throttle.wait(subject, address, now);
    if wait > 0 {
        let seconds = (wait + SECOND - 1) / SECOND;
        let mut response = again(StatusCode::TOO_MANY_REQUESTS, too_many_attempts(wait))?;
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
        return Ok(response);
    }
    // Each sign-in holds a thread while it hashes.
    let Ok(_permit) = app.sign_ins.clone().try_acquire_owned() else {
        let busy = "Too many people are signing in. Try again in a moment.";
        return Err(visitor.error(ApiError::unavailable("overloaded", busy)));
    };
    // Counted before the password is checked: concurrent attempts are all counted.
    app.throttle.failed(subject, address, now);
    let (store, wanted, password) = (app.actions.store.clone(), name.to_owned(), fields.text("password").to_owned());
    let cookies = visitor.run(move || {
        let user = store.read(|db| user::by_name(db, &wanted))?;
        let Some(user) = users::verify(user, &password) else {
            return Ok(None);
        };
        match store.write(move |tx| users::sign_in(tx.connection(), &user, &browser, tx.now_ms())).wait() {
            Err(UserError::Unknown(_)) => Ok(None),
            signed_in => signed_in.map(Some),
        }
    });
    let cookies = cookies.await.inspect_err(|_| app.throttle.retract(subject, address))?;
    let Some(cookies) = cookies else {
        log::warn!("a sign-in failed, from {address:?}");
        let wanted = name.to_owned();
        // Not awaited: the response does not depend on it.
        drop(app.actions.store.write(move |tx| users::sign_in_failed(tx.connection(), &wanted, address, tx.now_ms())));
        return again(StatusCode::UNPROCESSABLE_ENTITY, "Wrong name or password.".to_owned());
    };
    app.throttle.succeeded(subject, address);
    let mut response = see(&format!("{}{next}", visitor.base()));
    SetCookie::signed_in(app, cookies, &mut response);
    Ok(response)
}

/// Message of a throttled sign-in.
pub(super) fn too_many_attempts(wait_ms: i64) -> String {
    format!("Too many attempts. Try again in {} s.", (wait_ms + SECOND - 1) / SECOND)
}

/// `POST /logout`: ends the session.
pub async fn sign_out(request: HttpRequest, form: Submission) -> PageResult {
    let app = app(&request)?.clone();
    let is_portal = form.is_portal();
    let cookie = cookies::session(&request, &app, is_portal).unwrap_or_default();
    let path = if is_portal { "/portal" } else { "/login" };
    let location = format!("{}{path}", app.site.base().prefix());
    let ended = form.run_as_anybody(move |session, _| {
        session.app.actions.store.write(move |tx| session::end(tx.connection(), &cookie)).wait()?;
        Ok(Response::To(location, None))
    });
    let mut response = ended.await?;
    SetCookie::session(&app, String::new(), 0, is_portal).on(&mut response);
    Ok(response)
}
