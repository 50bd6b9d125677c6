//! Pages about deliveries.

pub mod attempt;
mod bulk;
pub mod filter;
mod list;
pub mod rows;
mod show;

use actix_web::web::{self, ServiceConfig};

use super::page;
use crate::actions::delivery::bulk::BulkAction;

pub(super) fn routes(config: &mut ServiceConfig) {
    let (get, post) = (web::get, web::post);
    config.service(page("/deliveries").route(get().to(list::show)));
    // Before `/deliveries/{id}`, which matches these paths too.
    for (path, action) in [("/deliveries/retry", BulkAction::Retry), ("/deliveries/discard", BulkAction::Discard)] {
        let bulk = page(path).route(get().to(move |session| bulk::ask(session, action)));
        config.service(bulk.route(post().to(move |submission| bulk::submit(submission, action))));
    }
    config.service(page("/deliveries/{id}").route(get().to(show::show)));
    config.service(page("/deliveries/{id}/retry").route(post().to(show::retry)));
    config.service(page("/deliveries/{id}/discard").route(post().to(show::discard)));
    config.service(page("/deliveries/{id}/attempts/{number}/{half}").route(get().to(show::download)));
}
