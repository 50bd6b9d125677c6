//! The pages about the built-in inbox, one file each. What takes requests in is `http::inbox`.

mod list;
mod request;

use actix_web::web::{self, ServiceConfig};

use super::page;
use crate::http::web::session::Session;
use crate::store::inbox::Inbox;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/inbox").route(web::get().to(list::show)).route(web::post().to(list::open)));
    // Before `/inbox/{id}`, which would take it for an id.
    config.service(page("/inbox/empty").route(web::get().to(list::ask_to_empty)).route(web::post().to(list::empty)));
    config.service(page("/inbox/{id}").route(web::get().to(request::show)));
}

/// Where an inbox takes requests in.
pub(super) fn url(session: &Session, inbox: &Inbox) -> String {
    session.app.site.url(&format!("/in/{}", inbox.token))
}
