//! What a page answers where it cannot do what it was asked for.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use askama::Template;

use super::super::error::ApiError;
use crate::actions::ActionError;
use crate::auth::users::UserError;
use crate::domain::Invalid;
use crate::http::web::layout::Bare;
use crate::http::web::session::SetCookie;
use crate::store::StoreError;

/// Why there is no page.
#[derive(Debug)]
pub enum PageError {
    /// Nobody is signed in; where to go on afterwards.
    SignIn { location: String },
    /// Somewhere else is what was asked for.
    Redirect { location: String },
    /// What the API would answer, in words; on a page below this path.
    Problem { error: Box<ApiError>, base: String },
}

impl PageError {
    pub fn not_found(what: &str) -> PageError {
        ApiError::not_found(format!("There is no such {what}.")).into()
    }

    pub fn forbidden(message: impl Into<String>) -> PageError {
        ApiError::forbidden(message).into()
    }

    /// The same on a page that stands below this path.
    #[must_use]
    pub fn below(self, path: &str) -> PageError {
        match self {
            PageError::Problem { error, .. } => PageError::Problem { error, base: path.to_owned() },
            other => other,
        }
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PageError::SignIn { .. } => f.write_str("sign in first"),
            PageError::Redirect { location } => write!(f, "see {location}"),
            PageError::Problem { error, .. } => error.fmt(f),
        }
    }
}

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> PageError {
        PageError::Problem { error: Box::new(error.into()), base: String::new() }
    }
}

/// What is wrong with a form, and with which field of it.
#[derive(Debug, Clone)]
pub struct Problem {
    pub message: String,
    pub field: Option<String>,
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Problem {
        Problem { message: invalid.message, field: invalid.field }
    }
}

/// What a form can be sent again for, once it is put right; everything else is another page.
pub fn problem(error: ActionError) -> Result<Problem, PageError> {
    match error {
        ActionError::Invalid(invalid) => Ok(invalid.into()),
        ActionError::Conflict { message, field, .. } => Ok(Problem { message, field: field.map(str::to_owned) }),
        ActionError::Forbidden(message) => Ok(Problem { message, field: None }),
        other => Err(other.into()),
    }
}

/// The same for what is wrong with a form about users.
pub fn people_problem(error: UserError) -> Result<Problem, PageError> {
    match error {
        UserError::Invalid(invalid) => Ok(invalid.into()),
        UserError::Taken(name) => {
            Ok(Problem { message: format!("There is a user {name} already."), field: Some("name".to_owned()) })
        }
        UserError::LastAdministrator(name) => {
            Ok(Problem { message: format!("{name} is the only administrator. Make another one first."), field: None })
        }
        other => Err(other.into()),
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        Problem { message: error.to_string(), field: None }
    }
}

/// A page without the frame of somebody who is signed in.
#[derive(Template)]
#[template(path = "parts/bare_problem.html")]
struct BareProblem<'a> {
    bare: Bare,
    message: &'a str,
}

/// A heading for a status.
pub(super) fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "Not allowed",
        404 => "Not found",
        409 => "Not possible now",
        410 => "This link has ended",
        413 => "Too large",
        422 => "Not valid",
        429 => "Too many tries",
        503 => "Not available for now",
        _ => "Something went wrong",
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            PageError::SignIn { .. } | PageError::Redirect { .. } => StatusCode::SEE_OTHER,
            PageError::Problem { error, .. } => error.status(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            PageError::SignIn { location } | PageError::Redirect { location } => see(location, None),
            PageError::Problem { error, base } => {
                let page = BareProblem { bare: Bare::new(base, title(error.status())), message: error.message() };
                html(error.status(), page.render().unwrap_or_default())
            }
        }
    }
}

/// A redirect that makes the browser GET the location; with a cookie.
pub(super) fn see(location: &str, cookie: Option<SetCookie>) -> HttpResponse {
    let mut answer = HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish();
    if let Some(cookie) = cookie {
        cookie.on(&mut answer);
    }
    answer
}

/// A page under the policy that all pages share; nobody may hold it in a frame.
pub(super) fn html(status: StatusCode, text: String) -> HttpResponse {
    html_framed(status, text, &[])
}

/// The same, where these origins may hold it in a frame.
pub(super) fn html_framed(status: StatusCode, text: String, parents: &[String]) -> HttpResponse {
    let parents = match parents {
        [] => "'none'".to_owned(),
        origins => format!("'self' {}", origins.join(" ")),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors {parents}"
    );
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        // Not "no-referrer": under it browsers send "Origin: null" with our own forms, and over plain HTTP nothing
        // else would tell them from another site's.
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .body(text)
}
