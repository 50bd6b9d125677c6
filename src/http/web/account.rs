//! `/account`: the visitor's own password.

use actix_web::HttpRequest;

use super::login::too_many_attempts;
use crate::auth::users::UserError;
use crate::auth::{password, users};
use crate::domain::Invalid;
use crate::http::extract::app;
use crate::http::web::layout::Flash;
use crate::http::web::{
    FormErrors, Frame, PageError, PageResult, Response, Section, Session, Submission, Template, problem,
};
use crate::store::user::Role;

#[derive(Template)]
#[template(path = "account.html")]
pub struct AccountPage {
    frame: Frame,
    name: String,
    role: Role,
    errors: FormErrors,
}

fn account_page(session: &Session, errors: FormErrors) -> Result<AccountPage, PageError> {
    let user = session.require_operator()?;
    Ok(AccountPage {
        frame: session.read(|db| session.frame(db, "Your account", Section::None))?,
        name: user.name.clone(),
        role: user.role,
        errors,
    })
}

/// `GET /account`.
pub fn show(session: &Session) -> Result<AccountPage, PageError> {
    account_page(session, FormErrors::default())
}

/// `POST /account/password`: for viewers too. Ends every session of the user and starts a new one in this browser.
pub async fn change_password(request: HttpRequest, form: Submission) -> PageResult {
    let address = app(&request)?.site.client_address(&request);
    form.run_as_anybody(move |session, fields| {
        let user = session.require_operator()?.clone();
        let wrong_old = |message: String| {
            let invalid = Invalid::new("wrong_password", message).in_field("old");
            Ok(Response::again(&account_page(session, invalid.into())?))
        };
        // Throttled like a sign-in: an open session must not help to guess the password.
        let (throttle, now) = (&session.app.throttle, session.now());
        let wait = throttle.wait(&user.name, address, now);
        if wait > 0 {
            return wrong_old(too_many_attempts(wait));
        }
        throttle.failed(&user.name, address, now);
        if users::verify(Some(user.clone()), fields.text("old")).is_none() {
            return wrong_old("Wrong password.".to_owned());
        }
        throttle.succeeded(&user.name, address);
        let new = fields.text("password");
        let changed = password::check(new).map_err(UserError::from).and_then(|()| {
            let hash = password::hash(new);
            let store = &session.app.actions.store;
            store.write(move |tx| users::change_password(tx.connection(), &user, &hash, tx.now_ms())).wait()
        });
        match changed {
            Ok(cookie) => {
                let message = "Password changed. Your other sessions have ended.".to_owned();
                let location = format!("{}/account", session.base());
                Ok(Response::SignedIn(location, Flash { is_ok: true, message }, cookie))
            }
            Err(error) => Ok(Response::again(&account_page(session, problem(error)?.into())?)),
        }
    })
    .await
}
