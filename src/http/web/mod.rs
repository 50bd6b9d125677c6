//! Pages for browsers. Each works without a script: links, GET forms for filters, a redirect after each change. One file
//! per page, with its template under `templates/` by the same name.
//!
//! Owns: HTML, cookies, form tokens. Never does: decide what the API decides; every change is one of `actions`, or of
//! `auth` for users. Reads go to the store's queries, within one snapshot per page (`Session::read`).

mod account;
mod assets;
mod chart;
mod confirm;
mod cookies;
mod date_field;
mod deliveries;
mod demo;
mod error;
mod event_types;
mod events;
mod failed;
mod form;
mod inbox;
mod layout;
mod login;
mod onboarding;
mod overview;
mod pager;
mod portal;
mod profiles;
mod session;
mod settings;
mod setup;
mod webhooks;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};

use error::PageError;

/// Every route of the pages.
pub fn routes(config: &mut ServiceConfig) {
    assets::routes(config);
    demo::routes(config);
    onboarding::routes(config);
    inbox::routes(config);
    login::routes(config);
    portal::routes(config);
    overview::routes(config);
    setup::routes(config);
    deliveries::routes(config);
    failed::routes(config);
    events::routes(config);
    settings::routes(config);
    account::routes(config);
    event_types::routes(config);
    profiles::routes(config);
    webhooks::routes(config);
}

/// Resource of a page, to which `web::get` and `web::post` are added.
fn page(path: &str) -> actix_web::Resource {
    web::resource(path.to_owned())
}

/// 404 page, within the frame if the visitor is signed in.
pub fn unknown_page(request: &HttpRequest) -> HttpResponse {
    if let Ok(session) = session::Session::of(request) {
        return session.unknown();
    }
    let base = session::data(request).map(|app| app.site.base().prefix().to_owned());
    PageError::not_found("page").below(&base.unwrap_or_default()).error_response()
}
