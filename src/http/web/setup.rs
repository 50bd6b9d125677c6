//! `/setup`: creates the first administrator, by the link that the server prints. Closed once there is a user.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use crate::auth::users::UserError;
use crate::auth::{password, users};
use crate::http::blocking;
use crate::http::error::ApiError;
use crate::http::web::anonymous::Anonymous;
use crate::http::web::cookies::SetCookie;
use crate::http::web::form::AnonymousSubmission;
use crate::http::web::layout::Bare;
use crate::http::web::response::see;
use crate::http::web::{FormErrors, PageError, PageResult, Template};

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage<'a> {
    frame: Bare,
    token: &'a str,
    name: &'a str,
    errors: FormErrors,
}

fn setup_page<'a>(visitor: &Anonymous, token: &'a str, name: &'a str, errors: FormErrors) -> SetupPage<'a> {
    SetupPage { frame: visitor.frame("Set up Hookpost"), token, name, errors }
}

fn expired(visitor: &Anonymous) -> PageError {
    let message = "This link has expired. Restart the server for a new one, or create a user on its machine: hookpost users add NAME";
    visitor.error(ApiError::new(StatusCode::GONE, "link_ended", message))
}

/// `GET /setup?token=…`: shows the form and does not use the link up.
pub async fn show(visitor: Anonymous) -> PageResult {
    let token = visitor.query.text("token").to_owned();
    let (wanted, now) = (token.clone(), visitor.now());
    if !visitor.read(move |db| users::is_setup_token(db, &wanted, now)).await? {
        return Err(expired(&visitor));
    }
    visitor.show(StatusCode::OK, &setup_page(&visitor, &token, "admin", FormErrors::default()))
}

/// `POST /setup`: creates the administrator, signs them in, and continues with the first webhook.
pub async fn set_up(request: HttpRequest, form: AnonymousSubmission) -> PageResult {
    let AnonymousSubmission { visitor, fields } = form;
    let store = visitor.app.actions.store.clone();
    let browser = visitor.browser(&request);
    let text = |name: &str| fields.text(name).trim().to_owned();
    let (token, name, password) = (text("token"), text("name"), fields.text("password").to_owned());
    let created = blocking(move || {
        users::check_name(&name)?;
        password::check(&password)?;
        // Hashing is expensive: only a valid link may request it.
        if !store.read(|db| users::is_setup_token(db, &token, 0))? {
            return Err(UserError::LinkEnded);
        }
        let hash = password::hash(&password);
        store.write(move |tx| users::set_up(tx.connection(), &token, &name, &hash, &browser, tx.now_ms())).wait()
    });
    match created.await.map_err(|error| visitor.error(error))? {
        Ok(cookies) => {
            let mut response = see(&format!("{}/setup/webhook", visitor.base()));
            SetCookie::signed_in(&visitor.app, cookies, &mut response);
            Ok(response)
        }
        Err(UserError::Invalid(invalid)) => {
            let page = setup_page(&visitor, fields.text("token"), fields.text("name"), invalid.into());
            visitor.show(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(UserError::LinkEnded) => Err(expired(&visitor)),
        Err(other) => Err(visitor.error(other)),
    }
}
