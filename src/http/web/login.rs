//! `/login` and `/logout`.

use std::net::IpAddr;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};

use crate::auth::throttle::Subject;
use crate::auth::users::{SignedIn, UserError};
use crate::auth::{session, token, users};
use crate::domain::time::{Millis, SECOND};
use crate::http::App;
use crate::http::error::ApiError;
use crate::http::extract::app;
use crate::http::site::ProxyUser;
use crate::http::web::anonymous::Anonymous;
use crate::http::web::cookies::{self, SetCookie};
use crate::http::web::form::AnonymousSubmission;
use crate::http::web::layout::Bare;
use crate::http::web::login_code;
use crate::http::web::response::{local, see};
use crate::http::web::session::goes_on;
use crate::http::web::{PageError, PageResult, Response, Submission, Template};
use crate::store::session::{Owner, Session};
use crate::store::user;

/// Parameter of the page after signing out.
const SIGNED_OUT: &str = "signed_out";

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    frame: Bare,
    /// Path to continue at after signing in.
    next: &'a str,
    name: &'a str,
    problem: Option<String>,
    has_users: bool,
    /// User who signed out here, and whom the sign-in proxy still names.
    signed_out: Option<&'a str>,
}

/// `GET /login`. Signs in the user whom a trusted proxy names, except after signing out.
pub async fn show(request: HttpRequest, visitor: Anonymous) -> PageResult {
    let next = local(visitor.query.text("next")).unwrap_or("/");
    let proxy_user = visitor.app.site.proxy_user(&request).map_err(|invalid| visitor.error(invalid))?;
    let (cookie, now) = (cookies::session(&request, &visitor.app, false), visitor.now());
    let (session, has_users) = visitor
        .read(move |db| {
            let session = cookie.map(|cookie| session::authenticate(db, &cookie, now)).transpose()?;
            Ok((session.flatten(), user::any(db)?))
        })
        .await?;
    let is_signed_in =
        |session: Session| matches!(session.owner, Owner::User(_)) && goes_on(&session, proxy_user.as_ref());
    if session.is_some_and(is_signed_in) {
        return Err(PageError::Redirect { location: format!("{}{next}", visitor.base()) });
    }
    let has_signed_out = visitor.query.has(SIGNED_OUT);
    if let Some(named) = proxy_user.clone().filter(|_| !has_signed_out) {
        return sign_in_by_proxy(&request, &visitor, named, next).await;
    }
    let signed_out = proxy_user.as_ref().map(|named| named.name.as_str());
    let page = LoginPage { frame: visitor.frame("Sign in"), next, name: "", problem: None, has_users, signed_out };
    visitor.show(StatusCode::OK, &page)
}

async fn sign_in_by_proxy(request: &HttpRequest, visitor: &Anonymous, named: ProxyUser, next: &str) -> PageResult {
    let mut browser = visitor.browser(request);
    browser.client.by_proxy = true;
    let store = visitor.app.actions.store.clone();
    let sign_in = visitor.run(move || {
        let ProxyUser { name, role } = named;
        store.write(move |tx| users::sign_in_by_proxy(tx.connection(), &name, role, &browser, tx.now_ms())).wait()
    });
    let cookies = sign_in.await?;
    let mut response = see(&format!("{}{next}", visitor.base()));
    SetCookie::signed_in(&visitor.app, cookies, &mut response);
    Ok(response)
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
        let page = LoginPage { frame, next, name, problem: Some(problem), has_users: true, signed_out: None };
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
        return again(StatusCode::TOO_MANY_REQUESTS, too_many_attempts(wait))
            .map(|response| retry_after(response, wait));
    }
    // Each sign-in holds a thread while it hashes.
    let Ok(_permit) = app.sign_ins.clone().try_acquire_owned() else {
        let busy = "Too many people are signing in. Try again in a moment.";
        return Err(visitor.error(ApiError::unavailable("overloaded", busy)));
    };
    // Counted before the password is checked: concurrent attempts are all counted.
    app.throttle.failed(subject, address, now);
    let (store, wanted, password) = (app.actions.store.clone(), name.to_owned(), fields.text("password").to_owned());
    let pending = app.pending_sign_ins.clone();
    let verified = visitor.run(move || {
        let user = store.read(|db| user::by_name(db, &wanted))?;
        let Some(user) = users::verify(user, &password) else {
            return Ok(None);
        };
        if user.has_totp {
            return Ok(Some(Verified::AwaitsCode(pending.begin(user, now))));
        }
        match store.write(move |tx| users::sign_in(tx.connection(), &user, &browser, tx.now_ms())).wait() {
            Err(UserError::Unknown(_)) => Ok(None),
            signed_in => signed_in.map(|cookies| Some(Verified::SignedIn(cookies))),
        }
    });
    let verified = verified.await.inspect_err(|_| app.throttle.retract(subject, address))?;
    let cookies = match verified {
        Some(Verified::SignedIn(cookies)) => cookies,
        Some(Verified::AwaitsCode(pending)) => {
            // Earlier failures count on until the code is right too.
            app.throttle.retract(subject, address);
            return Ok(login_code::begin(app, pending, &visitor.base(), next));
        }
        None => {
            record_failure(app, name, address);
            return again(StatusCode::UNPROCESSABLE_ENTITY, "Wrong name or password.".to_owned());
        }
    };
    app.throttle.succeeded(subject, address);
    let mut response = see(&format!("{}{next}", visitor.base()));
    SetCookie::signed_in(app, cookies, &mut response);
    Ok(response)
}

/// Records a failed sign-in.
pub(super) fn record_failure(app: &App, name: &str, address: Option<IpAddr>) {
    let from = address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_string());
    log::warn!("a sign-in failed, from {from}");
    let name = name.to_owned();
    // Not awaited: the response does not depend on it.
    drop(app.actions.store.write(move |tx| users::sign_in_failed(tx.connection(), &name, address, tx.now_ms())));
}

/// Result of a right password.
enum Verified {
    SignedIn(SignedIn),
    /// Cookie of the second step.
    AwaitsCode(String),
}

/// Adds the wait of a throttled sign-in to its response.
pub(super) fn retry_after(mut response: HttpResponse, wait_ms: Millis) -> HttpResponse {
    let seconds = header::HeaderValue::from((wait_ms + SECOND - 1) / SECOND);
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

/// Message of a throttled sign-in.
pub(super) fn too_many_attempts(wait_ms: Millis) -> String {
    format!("Too many attempts. Try again in {} s.", (wait_ms + SECOND - 1) / SECOND)
}

/// `POST /logout`: ends the session.
pub async fn sign_out(request: HttpRequest, form: Submission) -> PageResult {
    let app = app(&request)?.clone();
    let is_portal = form.is_portal();
    let cookie = cookies::session(&request, &app, is_portal).unwrap_or_default();
    let path = if is_portal {
        "/portal".to_owned()
    } else if form.is_by_proxy() {
        // Without the parameter, the page would sign the user in again.
        format!("/login?{SIGNED_OUT}=")
    } else {
        "/login".to_owned()
    };
    let location = format!("{}{path}", app.site.base().prefix());
    let ended = form.run_as_anybody(move |session, _| {
        session.app.actions.store.write(move |tx| session::end(tx.connection(), &cookie)).wait()?;
        Ok(Response::To(location, None))
    });
    let mut response = ended.await?;
    SetCookie::session(&app, String::new(), 0, is_portal).on(&mut response);
    Ok(response)
}
