//! `/portal`: opens the pages of one tenant, by a link that the application requested.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::auth::users;
use crate::auth::users::UserError;
use crate::http::App;
use crate::http::web::anonymous::Anonymous;
use crate::http::web::cookies::SetCookie;
use crate::http::web::form::AnonymousSubmission;
use crate::http::web::layout::{Bare, Portal};
use crate::http::web::response::see;
use crate::http::web::{PageResult, Template};
use crate::store::one_time_link::LinkKind;

#[derive(Template)]
#[template(path = "portal.html")]
struct PortalPage {
    frame: Bare,
    portal: Portal,
    /// `None` if the link or the session has expired.
    token: Option<String>,
}

/// Responds with the page, which the application may embed.
fn portal_page(visitor: &Anonymous, token: Option<String>) -> PageResult {
    let status = if token.is_some() { StatusCode::OK } else { StatusCode::GONE };
    let portal = Portal::of(&visitor.app.site.portal);
    visitor.show(status, &PortalPage { frame: visitor.frame("Webhooks"), portal, token }, true)
}

/// `GET /portal?token=…`: shows a button and does not use the link up, since programs that preview links follow them.
pub async fn show(visitor: Anonymous) -> PageResult {
    let token = visitor.query.text("token").to_owned();
    let (wanted, now) = (token.clone(), visitor.now());
    let is_open = visitor.read(move |db| users::is_link(db, LinkKind::Portal, &wanted, now)).await?;
    portal_page(&visitor, is_open.then_some(token))
}

/// `POST /portal`: uses the link up and starts its session.
pub async fn enter(form: AnonymousSubmission) -> PageResult {
    let AnonymousSubmission { visitor, fields } = form;
    let app = &visitor.app;
    let token = fields.text("token").to_owned();
    let opened = match visitor.open(LinkKind::Portal, token, users::enter_portal).await? {
        Ok(opened) => opened,
        Err(UserError::LinkEnded) => return portal_page(&visitor, None),
        Err(other) => return Err(visitor.error(other)),
    };
    let mut response = see(&format!("{}/webhooks", visitor.base()));
    SetCookie::session(app, opened.cookie, opened.lasts_ms, true).on(&mut response);
    SetCookie::portal_mark(app, true).on(&mut response);
    Ok(response)
}

/// `GET /portal/logo`: logo of the application.
pub async fn logo(request: HttpRequest, app: Data<App>) -> PageResult {
    let Some((bytes, media_type)) = &app.site.portal.logo else {
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
    let Some(accent) = &app.site.portal.accent else {
        return Ok(super::unknown_page(&request));
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .body(format!(":root {{ --accent: {accent}; }}\n")))
}
