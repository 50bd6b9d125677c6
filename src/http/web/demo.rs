//! `/demo`: signs in to a throw-away database, by the link that `hookpost demo` prints.

use actix_web::http::StatusCode;

use crate::auth::users;
use crate::auth::users::UserError;
use crate::http::error::ApiError;
use crate::http::web::anonymous::Anonymous;
use crate::http::web::cookies::SetCookie;
use crate::http::web::form::AnonymousSubmission;
use crate::http::web::layout::Bare;
use crate::http::web::response::see;
use crate::http::web::{PageError, PageResult, Template};

#[derive(Template)]
#[template(path = "demo.html")]
struct DemoPage {
    frame: Bare,
    token: String,
}

fn expired(visitor: &Anonymous) -> PageError {
    let message = "This link has expired. Run \"hookpost demo\" again for a new one.";
    visitor.error(ApiError::new(StatusCode::GONE, "link_ended", message))
}

/// `GET /demo?token=…`: shows a button and does not use the link up.
pub async fn show(visitor: Anonymous) -> PageResult {
    let token = visitor.query.text("token").to_owned();
    let (wanted, now) = (token.clone(), visitor.now());
    if !visitor.read(move |db| users::is_demo_link(db, &wanted, now)).await? {
        return Err(expired(&visitor));
    }
    visitor.show(StatusCode::OK, &DemoPage { frame: visitor.frame("Demo"), token })
}

/// `POST /demo`: signs in.
pub async fn enter(form: AnonymousSubmission) -> PageResult {
    let AnonymousSubmission { visitor, fields } = form;
    let token = fields.text("token").to_owned();
    let opened = match visitor.open(token, users::is_demo_link, users::enter_demo).await? {
        Ok(opened) => opened,
        Err(UserError::LinkEnded) => return Err(expired(&visitor)),
        Err(other) => return Err(visitor.error(other)),
    };
    let mut response = see(&format!("{}/", visitor.base()));
    SetCookie::session(&visitor.app, opened.cookie, opened.lasts_ms, false).on(&mut response);
    Ok(response)
}
