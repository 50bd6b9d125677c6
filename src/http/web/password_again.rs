//! The question for the password before a sensitive change: revealing a secret, keys, users, backups. Users who signed in
//! within the last ten minutes, and those without a password, are not asked.
//!
//! A form may have the field itself ([`FIELD`]). Otherwise the page that asks carries the form's fields, and sends them
//! again together with the password.

use askama::Template;

use super::login::too_many_attempts;
use crate::auth::throttle::Subject;
use crate::auth::{session, token, users};
use crate::domain::Invalid;
use crate::http::web::error::PageError;
use crate::http::web::form::{Fields, FormErrors};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::response::Response;
use crate::http::web::session::Session;
use crate::store::StoreError;
use crate::store::user::User;

/// Field of the visitor's own password.
const FIELD: &str = "own_password";

#[derive(Template)]
#[template(path = "password_again.html")]
struct PasswordAgainPage {
    frame: Frame,
    /// Path of the form, below the server's prefix.
    action: String,
    /// Fields of the form, without passwords.
    fields: Vec<(String, String)>,
    errors: FormErrors,
}

/// Returns the page that asks, unless the visitor confirmed lately or the form has the right password.
pub fn ask(session: &Session, fields: &Fields) -> Result<Option<Response>, PageError> {
    let Some(user) = session.user().filter(|_| !session.is_confirmed) else {
        return Ok(None);
    };
    let typed = fields.text(FIELD);
    let errors = if typed.is_empty() {
        FormErrors::default()
    } else {
        match check(session, user, typed) {
            Ok(()) => {
                let cookie = session.cookie().to_owned();
                let store = &session.app.actions.store;
                store
                    .write(move |tx| -> Result<_, StoreError> {
                        session::confirm(tx.connection(), &cookie, tx.now_ms())
                    })
                    .wait()?;
                return Ok(None);
            }
            Err(message) => Invalid::new("wrong_password", message).in_field(FIELD).into(),
        }
    };
    let is_left_out = |name: &str| name == "form_token" || name.contains("password");
    let page = PasswordAgainPage {
        frame: session.read(|db| session.frame(db, "Confirm your password", Section::None))?,
        action: session.here.clone(),
        fields: fields.without(is_left_out),
        errors,
    };
    Ok(Some(if page.errors.is_empty() { Response::ok(&page) } else { Response::again(&page) }))
}

/// Checks the password of a user who is signed in. Throttled like a sign-in: an open session must not help to guess the
/// password. By the session, because others must not be able to delay it.
pub fn check(session: &Session, user: &User, typed: &str) -> Result<(), String> {
    let (throttle, client, now) = (&session.app.throttle, session.address(), session.now());
    let own = Subject::Device(token::hash(session.cookie()));
    let wait = throttle.wait(own, client, now);
    if wait > 0 {
        return Err(too_many_attempts(wait));
    }
    throttle.failed(own, client, now);
    if users::verify(Some(user.clone()), typed).is_none() {
        return Err("Wrong password.".to_owned());
    }
    throttle.succeeded(own, client);
    Ok(())
}
