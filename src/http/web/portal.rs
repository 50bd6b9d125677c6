//! `/portal`: a tenant's own people come in by a link that the application made, and see what is theirs.

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::super::App;
use super::super::error::ApiError;
use super::error::{PageError, see};
use super::page;
use crate::auth::users;
use crate::auth::users::UserError;
use crate::http::web::layout::{Bare, Portal};
use crate::http::web::session::{Anonymous, FormBody, PageResult, portal_mark, session_cookie};
use crate::store::one_time_link::LinkKind;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/portal").route(web::get().to(show)).route(web::post().to(enter)));
    config.service(page("/portal/logo").route(web::get().to(logo)));
    config.service(page("/portal/look.css").route(web::get().to(look)));
}

#[derive(Template)]
#[template(path = "portal.html")]
struct PortalPage {
    bare: Bare,
    portal: Portal,
    /// `None` where there is nothing to open: the link has ended, or the session has.
    token: Option<String>,
}

impl PortalPage {
    fn of(stranger: &Anonymous, token: Option<&str>) -> PortalPage {
        let look = &stranger.app.site.portal;
        let mut bare = Bare::new(stranger.app.site.base().prefix(), "Webhooks");
        bare.form_token = stranger.form_token();
        PortalPage { bare, portal: Portal::of(look), token: token.map(str::to_owned) }
    }

    /// The page, which the application may hold in a frame.
    fn answer(&self, stranger: &Anonymous) -> PageResult {
        let status = match self.token {
            Some(_) => StatusCode::OK,
            None => StatusCode::GONE,
        };
        stranger.show_portal(status, self)
    }
}

/// `GET /portal?token=…`: shows a button, and uses nothing up: programs that preview links look at them too.
async fn show(stranger: Anonymous) -> PageResult {
    let app = stranger.app.clone();
    let token = stranger.query.text("token");
    let now = app.actions.clock.now_ms();
    let is_open = app.actions.store.read(|connection| users::is_link(connection, LinkKind::Portal, token, now))?;
    PortalPage::of(&stranger, is_open.then_some(token)).answer(&stranger)
}

/// `POST /portal`: uses the link up and begins the session that it opens.
async fn enter(stranger: Anonymous, form: FormBody) -> PageResult {
    let app = stranger.app.clone();
    let base = app.site.base().prefix().to_owned();
    form.require_token(&stranger.cookie).map_err(|error| error.below(&base))?;
    let token = form.fields.text("token").to_owned();
    let opened = app.actions.store.write(move |tx| users::enter_portal(tx.connection(), &token, tx.now_ms()));
    let opened = match opened.committed().await {
        Ok(opened) => opened,
        Err(UserError::LinkEnded) => return PortalPage::of(&stranger, None).answer(&stranger),
        Err(other) => return Err(PageError::from(ApiError::from(other)).below(&base)),
    };
    let cookie = session_cookie(&app, opened.cookie, opened.lasts_ms, true);
    let mut answer = see(&format!("{base}/webhooks"), Some(cookie));
    portal_mark(&app, true).on(&mut answer);
    Ok(answer)
}

/// `GET /portal/logo`: the application's own, as the operator gave it.
async fn logo(request: HttpRequest, app: Data<App>) -> PageResult {
    let Some((bytes, media_type)) = &app.site.portal.logo else {
        return Ok(super::unknown_page(&request));
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, *media_type))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        // An image that is opened by itself runs nothing either.
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"))
        .body(bytes.clone()))
}

/// `GET /portal/look.css`: the application's accent colour.
async fn look(request: HttpRequest, app: Data<App>) -> PageResult {
    let Some(accent) = &app.site.portal.accent else {
        return Ok(super::unknown_page(&request));
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .body(format!(":root {{ --accent: {accent}; }}\n")))
}
