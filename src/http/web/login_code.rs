//! `/login/code`: the second step of a sign-in with two-factor authentication.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

use super::login::{record_failure, retry_after, too_many_attempts};
use crate::auth::throttle::Subject;
use crate::auth::users::UserError;
use crate::auth::{pending, token, two_factor};
use crate::http::App;
use crate::http::error::ApiError;
use crate::http::web::anonymous::Anonymous;
use crate::http::web::cookies::{self, SetCookie};
use crate::http::web::form::AnonymousSubmission;
use crate::http::web::layout::{Bare, Flash};
use crate::http::web::response::{local, see};
use crate::http::web::{PageError, PageResult, Template};
use crate::store::user::User;

#[derive(Template)]
#[template(path = "login_code.html")]
struct LoginCodePage<'a> {
    frame: Bare,
    /// Path to continue at after signing in.
    next: &'a str,
    problem: Option<String>,
}

/// Responds to a right password: leads to this page, and gives no session.
pub(super) fn begin(app: &App, pending: String, base: &str, next: &str) -> HttpResponse {
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    let mut response = see(&format!("{base}/login/code?next={next}"));
    SetCookie::pending(app, pending, pending::LASTS).on(&mut response);
    response
}

/// Returns the visitor's pending sign-in; else, leads to the sign-in page.
fn require_pending(request: &HttpRequest, visitor: &Anonymous) -> Result<(String, User), PageError> {
    let cookie = cookies::pending(request, &visitor.app).unwrap_or_default();
    let user = visitor.app.pending_sign_ins.user(&cookie, visitor.now());
    let user = user.ok_or_else(|| PageError::SignIn { location: format!("{}/login", visitor.base()) })?;
    Ok((cookie, user))
}

/// `GET /login/code`.
pub async fn show(request: HttpRequest, visitor: Anonymous) -> PageResult {
    require_pending(&request, &visitor)?;
    let next = local(visitor.query.text("next")).unwrap_or("/");
    let page = LoginCodePage { frame: visitor.frame("Two-factor authentication"), next, problem: None };
    visitor.show(StatusCode::OK, &page)
}

/// `POST /login/code`.
pub async fn sign_in(request: HttpRequest, form: AnonymousSubmission) -> PageResult {
    let AnonymousSubmission { visitor, fields } = form;
    let (pending, user) = require_pending(&request, &visitor)?;
    let (app, now) = (&visitor.app, visitor.now());
    let next = local(fields.text("next")).unwrap_or("/");
    let again = |status: StatusCode, problem: String| {
        let page = LoginCodePage { frame: visitor.frame("Two-factor authentication"), next, problem: Some(problem) };
        visitor.show(status, &page)
    };
    let address = app.site.client_address(&request);
    let browser = visitor.browser(&request);
    let device = browser.device.as_deref().map(token::hash);
    let (subject, account) = match device {
        Some(hash) if visitor.knows(hash, &user.name).await? => (Subject::Device(hash), None),
        _ => (Subject::Code(user.seq), Some(Subject::Account(&user.name))),
    };
    let wait = app.throttle.wait(subject, address, now);
    if wait > 0 {
        return again(StatusCode::TOO_MANY_REQUESTS, too_many_attempts(wait))
            .map(|response| retry_after(response, wait));
    }
    // Counted before the code is checked: concurrent attempts are all counted.
    app.throttle.failed(subject, address, now);
    let (store, sign_ins) = (app.actions.store.clone(), app.pending_sign_ins.clone());
    let (owner, code) = (user.clone(), fields.text("code").to_owned());
    let signed_in = visitor.run(move || {
        // A wrong code costs no write, and a sign-in that was used up meanwhile has no second session.
        if !store.read(|db| two_factor::is_valid(db, &owner, &code, now))? || !sign_ins.end(&pending) {
            return Ok(None);
        }
        match store.write(move |tx| two_factor::sign_in(tx.connection(), &owner, &code, &browser, tx.now_ms())).wait() {
            Err(UserError::WrongCode | UserError::Unknown(_)) => Ok(None),
            signed_in => signed_in.map(Some),
        }
    });
    let signed_in = signed_in.await.inspect_err(|_| app.throttle.retract(subject, address))?;
    let Some((cookies, codes_left)) = signed_in else {
        record_failure(app, &user.name, address);
        return again(StatusCode::UNPROCESSABLE_ENTITY, ApiError::from(UserError::WrongCode).message().to_owned());
    };
    app.throttle.succeeded(subject, address);
    if let Some(account) = account {
        app.throttle.succeeded(account, address);
    }
    let mut response = see(&format!("{}{next}", visitor.base()));
    SetCookie::signed_in(app, cookies, &mut response);
    SetCookie::pending(app, String::new(), 0).on(&mut response);
    if let Some(left) = codes_left {
        let message = format!("You used a recovery code. {left} left. Your account has a button for new ones.");
        SetCookie::flash(app, Some(&Flash { is_ok: true, message }), false).on(&mut response);
    }
    Ok(response)
}
