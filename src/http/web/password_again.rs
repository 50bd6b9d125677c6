//! The question for the password before a sensitive change: revealing a secret, keys, users, backups. Users who signed in
//! within the last ten minutes, and those without a password, are not asked.
//!
//! A form may have the field itself ([`FIELD`]). Otherwise the page that asks carries the form's fields, and sends them
//! again together with the password.

use askama::Template;

use super::account::{require_password, throttled};
use crate::auth::session;
use crate::http::web::error::PageError;
use crate::http::web::form::{Fields, FormErrors, problem};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::response::Response;
use crate::http::web::session::Session;

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
    let checked = match typed {
        "" => Err(FormErrors::default()),
        typed => {
            let checked = throttled(session, session.address(), FIELD, || require_password(user, typed, FIELD));
            match checked {
                Ok(()) => Ok(()),
                Err(error) => Err(problem(error)?.into()),
            }
        }
    };
    let Err(errors) = checked else {
        let (store, cookie) = (&session.app.actions.store, session.cookie().to_owned());
        let confirmed = store.write(move |tx| session::confirm(tx.connection(), &cookie, tx.now_ms()));
        confirmed.wait()?;
        return Ok(None);
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
