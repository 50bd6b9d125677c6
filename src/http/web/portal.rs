//! `/portal`: opens the pages of one tenant, by a link that the application requested. These pages are below this path.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::auth::portal as links;
use crate::auth::users::UserError;
use crate::http::App;
use crate::http::web::anonymous::Anonymous;
use crate::http::web::cookies::SetCookie;
use crate::http::web::form::AnonymousSubmission;
use crate::http::web::layout::Bare;
use crate::http::web::response::see;
use crate::http::web::{PageResult, Template};

/// Path of the portal.
pub const PATH: &str = "/portal";

/// Whether a request is for a page of the portal.
pub fn is_portal(request: &HttpRequest) -> bool {
    let rest = request.path().strip_prefix(PATH);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[derive(Template)]
#[template(path = "portal.html")]
struct PortalPage {
    frame: Bare,
    state: LinkState,
}

enum LinkState {
    Usable {
        token: String,
    },
    Expired,
    /// No link was given: the visitor had a session, or came by a bookmark.
    SessionEnded,
}

fn portal_page(visitor: &Anonymous, state: LinkState) -> PageResult {
    let status = if let LinkState::Usable { .. } = state { StatusCode::OK } else { StatusCode::GONE };
    visitor.show(status, &PortalPage { frame: visitor.frame("Webhooks"), state })
}

/// `GET /portal?token=…`: shows a button and does not use the link up, since programs that preview links follow them.
pub async fn show(visitor: Anonymous) -> PageResult {
    let Some(token) = visitor.query.given("token").map(str::to_owned) else {
        return portal_page(&visitor, LinkState::SessionEnded);
    };
    let (wanted, now) = (token.clone(), visitor.now());
    let is_open = visitor.read(move |db| links::is_link(db, &wanted, now)).await?;
    portal_page(&visitor, if is_open { LinkState::Usable { token } } else { LinkState::Expired })
}

/// `POST /portal`: uses the link up and starts its session.
pub async fn enter(form: AnonymousSubmission) -> PageResult {
    let AnonymousSubmission { visitor, fields } = form;
    let token = fields.text("token").to_owned();
    let opened = match visitor.open(token, links::is_link, links::enter).await? {
        Ok(opened) => opened,
        Err(UserError::LinkEnded) => return portal_page(&visitor, LinkState::Expired),
        Err(other) => return Err(visitor.error(other)),
    };
    let mut response = see(&format!("{}/webhooks", visitor.base()));
    SetCookie::session(&visitor.app, opened.cookie, opened.lasts_ms, true).on(&mut response);
    Ok(response)
}

/// `GET /portal/logo`: logo of the application.
pub async fn logo(request: HttpRequest, app: Data<App>) -> PageResult {
    let Some((bytes, media_type)) = &app.live().portal.logo else {
        return Ok(super::unknown_page(&request));
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, *media_type))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        // An SVG that is opened directly runs no script either.
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"))
        .body(bytes.clone()))
}

/// `GET /portal/look.css`: accent colour of the application.
pub async fn style(request: HttpRequest, app: Data<App>) -> PageResult {
    let Some(accent) = &app.live().portal.accent else {
        return Ok(super::unknown_page(&request));
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .body(format!(":root {{ --accent: {accent}; }}\n")))
}
