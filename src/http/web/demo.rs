//! `/demo`: into the pages of a throw-away database, by the link that `hookpost demo` printed.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;

use super::super::error::ApiError;
use super::error::{PageError, see};
use super::page;
use crate::auth::users;
use crate::auth::users::UserError;
use crate::http::web::layout::Bare;
use crate::http::web::session::{Anonymous, FormBody, PageResult, session_cookie};
use crate::store::one_time_link::LinkKind;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/demo").route(web::get().to(show)).route(web::post().to(enter)));
}

#[derive(Template)]
#[template(path = "demo.html")]
struct DemoPage {
    bare: Bare,
    token: String,
}

fn ended() -> PageError {
    ApiError::new(
        StatusCode::GONE,
        "link_ended",
        "This link was used, or its demo has ended. \"hookpost demo\" begins another one.",
    )
    .into()
}

/// `GET /demo?token=…`: shows a button, and uses nothing up.
async fn show(stranger: Anonymous) -> PageResult {
    let app = stranger.app.clone();
    let token = stranger.query.text("token").to_owned();
    let base = app.site.base().prefix();
    let now = app.actions.clock.now_ms();
    let is_open = app.actions.store.read(|connection| users::is_link(connection, LinkKind::Demo, &token, now))?;
    if !is_open {
        return Err(ended().below(base));
    }
    let mut bare = Bare::new(base, "Demo");
    bare.form_token = stranger.form_token();
    stranger.show(StatusCode::OK, &DemoPage { bare, token })
}

/// `POST /demo`: signs in.
async fn enter(stranger: Anonymous, form: FormBody) -> PageResult {
    let app = stranger.app.clone();
    let base = app.site.base().prefix().to_owned();
    form.require_token(&stranger.cookie).map_err(|error| error.below(&base))?;
    let token = form.fields.text("token").to_owned();
    let opened = app.actions.store.write(move |tx| users::enter_demo(tx.connection(), &token, tx.now_ms()));
    let opened = match opened.committed().await {
        Ok(opened) => opened,
        Err(UserError::LinkEnded) => return Err(ended().below(&base)),
        Err(other) => return Err(PageError::from(ApiError::from(other)).below(&base)),
    };
    let cookie = session_cookie(&app, opened.cookie, opened.lasts_ms, false);
    Ok(see(&format!("{base}/"), Some(cookie)))
}
