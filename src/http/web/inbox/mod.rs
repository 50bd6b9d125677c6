//! Pages about the built-in inbox. `http::inbox` receives the requests.

mod list;
mod request;

use actix_web::web::{self, ServiceConfig};

use super::page;
use crate::http::web::session::Session;
use crate::store::inbox::Inbox;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/inbox").route(web::get().to(list::show)).route(web::post().to(list::open)));
    // Before `/inbox/{id}`, which matches this path too.
    config.service(page("/inbox/empty").route(web::get().to(list::ask_to_empty)).route(web::post().to(list::empty)));
    config.service(page("/inbox/{id}").route(web::get().to(request::show)));
}

/// URL that receives requests.
pub(super) fn url(session: &Session, inbox: &Inbox) -> String {
    session.app.site.url(&format!("/in/{}", inbox.token))
}
