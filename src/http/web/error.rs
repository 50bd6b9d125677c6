//! Errors of page handlers. The errors themselves are [`ApiError`]s; this file shows them as pages.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use askama::Template;

use crate::http::error::ApiError;
use crate::http::web::layout::{Bare, Shell};
use crate::http::web::response::{html, see};

/// Error response of a page handler.
#[derive(Debug)]
pub enum PageError {
    /// Redirects to the sign-in page.
    SignIn { location: String },
    /// Redirects to another page, such as the one requested before signing in.
    Redirect { location: String },
    /// Shows an error.
    Problem { error: Box<ApiError>, shell: Box<Shell> },
}

impl PageError {
    pub fn not_found(kind: &str) -> PageError {
        ApiError::not_found(format!("There is no such {kind}.")).into()
    }

    pub fn forbidden(message: impl Into<String>) -> PageError {
        ApiError::forbidden(message).into()
    }

    /// Sets the surroundings of the error page. Pages of a [`Session`](super::session::Session) need none.
    #[must_use]
    pub fn within(self, shell: Shell) -> PageError {
        match self {
            PageError::Problem { error, .. } => PageError::Problem { error, shell: Box::new(shell) },
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
        PageError::Problem { error: Box::new(error.into()), shell: Box::default() }
    }
}

/// Error page for a visitor who is not signed in.
#[derive(Template)]
#[template(path = "parts/bare_problem.html")]
struct BareProblem<'a> {
    frame: Bare,
    message: &'a str,
}

/// Heading of an error page.
pub(super) fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "Not allowed",
        404 => "Not found",
        409 => "Not possible now",
        410 => "This link has expired",
        413 => "Too large",
        422 => "Not valid",
        429 => "Too many requests",
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
            PageError::SignIn { location } | PageError::Redirect { location } => see(location),
            PageError::Problem { error, shell } => {
                let Shell { base, portal, parents, display } = (**shell).clone();
                let message = if portal.is_some() { error.tenant_message() } else { error.message() };
                let frame = Bare { base, title: title(error.status()), form_token: String::new(), portal, display };
                let page = BareProblem { frame, message };
                let mut response = html(error.status(), page.render().unwrap_or_default(), &parents);
                add_header(&mut response, error);
                response
            }
        }
    }
}

/// Adds the header of an error to its page, such as `Retry-After`.
pub(super) fn add_header(response: &mut HttpResponse, error: &ApiError) {
    if let Some((name, value)) = error.header()
        && let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value))
    {
        response.headers_mut().insert(name, value);
    }
}
