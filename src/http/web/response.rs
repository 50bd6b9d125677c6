//! The response to the visit of a page.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use askama::Template;

use crate::auth::users::{Opened, SignedIn};
use crate::http::App;
use crate::http::backup::BackupCopy;
use crate::http::error::ApiError;
use crate::http::web::cookies::SetCookie;
use crate::http::web::error::PageError;
use crate::http::web::layout::Flash;

/// Result of a page handler.
pub type PageResult = Result<HttpResponse, PageError>;

/// Response of a page's work, before it becomes HTTP.
pub enum Response {
    Page(StatusCode, String),
    /// A redirect, with a message for the next page.
    To(String, Option<Flash>),
    /// A redirect, with a message and the cookies of a new session.
    SignedIn(String, Flash, SignedIn),
    /// A redirect into the portal, with the cookie of a new session there.
    InPortal(String, Opened),
    /// A copy of the database.
    Backup(BackupCopy),
    /// A download.
    File {
        media_type: &'static str,
        name: String,
        bytes: Vec<u8>,
    },
}

impl Response {
    pub fn page(status: StatusCode, page: &impl Template) -> Response {
        match page.render() {
            Ok(text) => Response::Page(status, text),
            Err(error) => {
                let error = ApiError::internal(&error);
                Response::Page(error.status(), error.message().to_owned())
            }
        }
    }

    pub fn ok(page: &impl Template) -> Response {
        Response::page(StatusCode::OK, page)
    }

    /// A form with its errors, as a 422.
    pub fn again(page: &impl Template) -> Response {
        Response::page(StatusCode::UNPROCESSABLE_ENTITY, page)
    }

    pub(super) fn into_http(self, app: &App, is_portal: bool) -> HttpResponse {
        match self {
            Response::Page(status, text) => html(status, text, &parents(app, is_portal)),
            Response::To(location, flash) => {
                let mut response = see(&location);
                if let Some(flash) = &flash {
                    SetCookie::flash(app, Some(flash), is_portal).on(&mut response);
                }
                response
            }
            Response::InPortal(location, opened) => {
                let mut response = see(&location);
                SetCookie::session(app, opened.cookie, opened.lasts_ms, true).on(&mut response);
                response
            }
            Response::SignedIn(location, flash, cookies) => {
                let mut response = see(&location);
                SetCookie::flash(app, Some(&flash), is_portal).on(&mut response);
                SetCookie::signed_in(app, cookies, &mut response);
                response
            }
            Response::Backup(copied) => copied.stream(app),
            Response::File { media_type, name, bytes } => HttpResponse::Ok()
                .insert_header((header::CONTENT_TYPE, media_type))
                .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
                .body(bytes),
        }
    }
}

/// Returns `path` if it is a path of this server: one slash first, and nothing that a browser takes for another host.
pub fn local(path: &str) -> Option<&str> {
    let is_odd = |c: char| c.is_control() || c == '\\';
    (path.starts_with('/') && !path.starts_with("//") && !path.contains(is_odd)).then_some(path)
}

/// Origins that may frame a page.
pub(super) fn parents(app: &App, is_portal: bool) -> Vec<String> {
    if is_portal && app.site.is_embedded() { app.live().portal.origins.clone() } else { Vec::new() }
}

/// A redirect that the browser follows with GET.
pub(super) fn see(location: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish()
}

/// An HTML response under the policy of all pages; only `parents` may frame the page.
pub(super) fn html(status: StatusCode, text: String, parents: &[String]) -> HttpResponse {
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
        // Under "no-referrer", browsers send "Origin: null" with the pages' own forms, and over plain HTTP no other
        // header distinguishes those forms from another site's.
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .body(text)
}
