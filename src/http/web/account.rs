//! `/account`: the visitor's own sessions and password.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::web::Path;

use super::login::too_many_attempts;
use crate::auth::throttle::Subject;
use crate::auth::users::UserError;
use crate::auth::{password, session, token, users};
use crate::domain::Invalid;
use crate::http::extract::app;
use crate::http::web::anonymous::browser;
use crate::http::web::layout::Flash;
use crate::http::web::{
    FormErrors, Frame, PageError, PageResult, Response, Section, Session, Submission, Template, cookies, problem,
};
use crate::store;
use crate::store::session::ListedSession;
use crate::store::user::{Role, User};

#[derive(Template)]
#[template(path = "account.html")]
pub struct AccountPage {
    frame: Frame,
    name: String,
    role: Role,
    /// Whether the user signs in with a password.
    has_password: bool,
    has_totp: bool,
    sessions: Vec<SessionRow>,
    errors: FormErrors,
}

struct SessionRow {
    id: String,
    /// Whether this is the session that the page is shown in.
    is_own: bool,
    listed: ListedSession,
}

fn account_page(session: &Session, errors: FormErrors) -> Result<AccountPage, PageError> {
    let user = session.require_operator()?;
    session.read(|db| {
        let sessions = store::session::list(db, user.seq, session.now())?.into_iter().map(|listed| SessionRow {
            id: session::id(&listed),
            is_own: session::is_of(&listed, session.cookie()),
            listed,
        });
        Ok(AccountPage {
            frame: session.frame(db, "Your account", Section::None)?,
            name: user.name.clone(),
            role: user.role,
            has_password: user.has_password(),
            has_totp: user.has_totp,
            sessions: sessions.collect(),
            errors,
        })
    })
}

/// `GET /account`.
pub fn show(session: &Session) -> Result<AccountPage, PageError> {
    account_page(session, FormErrors::default())
}

/// `POST /account/sessions/{id}/end`: for viewers too.
pub async fn end_session(form: Submission, id: Path<String>) -> PageResult {
    form.run_as_anybody(move |session, _| {
        let user = session.require_operator()?.clone();
        let (store, actor) = (&session.app.actions.store, session.caller().actor);
        store.write(move |tx| users::end_session(tx.connection(), &actor, &user, &id, tx.now_ms())).wait()?;
        Ok(session.done("/account", "Session ended."))
    })
    .await
}

/// `POST /account/end-other-sessions`: for viewers too.
pub async fn end_other_sessions(request: HttpRequest, form: Submission) -> PageResult {
    let device = cookies::device(&request, app(&request)?);
    form.run_as_anybody(move |session, _| {
        let user = session.require_operator()?.clone();
        let (store, actor, own) = (&session.app.actions.store, session.caller().actor, session.cookie().to_owned());
        let end = store.write(move |tx| {
            users::end_other_sessions(tx.connection(), &actor, &user, &own, device.as_deref(), tx.now_ms())
        });
        end.wait()?;
        Ok(session.done("/account", "Your other sessions have ended."))
    })
    .await
}

/// Runs a check of the visitor's own password. Throttled like a sign-in: an open session must not help to guess it. By the
/// session, because others must not be able to delay it. `field` gets the message of a wait.
pub(super) fn throttled<T>(
    session: &Session,
    address: Option<IpAddr>,
    field: &str,
    check: impl FnOnce() -> Result<T, UserError>,
) -> Result<T, UserError> {
    throttled_by(session, Subject::Device(token::hash(session.cookie())), address, field, check)
}

/// Like [`throttled`], by another subject.
pub(super) fn throttled_by<T>(
    session: &Session,
    own: Subject<'_>,
    address: Option<IpAddr>,
    field: &str,
    check: impl FnOnce() -> Result<T, UserError>,
) -> Result<T, UserError> {
    let (throttle, now) = (&session.app.throttle, session.now());
    let wait = throttle.wait(own, address, now);
    if wait > 0 {
        return Err(Invalid::new("too_many_attempts", too_many_attempts(wait)).in_field(field).into());
    }
    throttle.failed(own, address, now);
    let checked = check();
    match &checked {
        Ok(_) => throttle.succeeded(own, address),
        // Nothing was checked.
        Err(UserError::Store(_)) => throttle.retract(own, address),
        Err(_) => {}
    }
    checked
}

/// Refuses a wrong password of the visitor.
pub(super) fn require_password(user: &User, password: &str, field: &str) -> Result<(), UserError> {
    match users::verify(Some(user.clone()), password) {
        Some(_) => Ok(()),
        None => Err(Invalid::new("wrong_password", "Wrong password.").in_field(field).into()),
    }
}

/// `POST /account/password`: for viewers too. Ends every session of the user and starts a new one in this browser.
pub async fn change_password(request: HttpRequest, form: Submission) -> PageResult {
    let app = app(&request)?;
    let browser = browser(&request, app);
    form.run_as_anybody(move |session, fields| {
        let user = session.require_operator()?.clone();
        let checked =
            throttled(session, session.address(), "old", || require_password(&user, fields.text("old"), "old"));
        if let Err(error) = checked {
            return Ok(Response::again(&account_page(session, problem(error)?.into())?));
        }
        let new = fields.text("password");
        let changed = password::check(new).map_err(UserError::from).and_then(|()| {
            let hash = password::hash(new);
            let store = &session.app.actions.store;
            let change =
                store.write(move |tx| users::change_password(tx.connection(), &user, &hash, &browser, tx.now_ms()));
            change.wait()
        });
        match changed {
            Ok(cookies) => {
                let message = "Password changed. Your other sessions have ended.".to_owned();
                let location = format!("{}/account", session.base());
                Ok(Response::SignedIn(location, Flash { is_ok: true, message }, cookies))
            }
            Err(error) => Ok(Response::again(&account_page(session, problem(error)?.into())?)),
        }
    })
    .await
}
