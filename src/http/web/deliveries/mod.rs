//! The pages about deliveries, one file each.

pub mod attempt;
mod bulk;
pub mod filter;
mod list;
mod retry_discard;
pub mod rows;
mod show;

use actix_web::web::{self, ServiceConfig};

use super::page;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/deliveries").route(web::get().to(list::show)));
    // Before `/deliveries/{id}`, which would take these for an id.
    config.service(page("/deliveries/retry").route(web::get().to(bulk::ask_retry)).route(web::post().to(bulk::retry)));
    config.service(
        page("/deliveries/discard").route(web::get().to(bulk::ask_discard)).route(web::post().to(bulk::discard)),
    );
    config.service(page("/deliveries/{id}").route(web::get().to(show::show)));
    config.service(page("/deliveries/{id}/retry").route(web::post().to(retry_discard::retry)));
    config.service(page("/deliveries/{id}/discard").route(web::post().to(retry_discard::discard)));
    config.service(page("/deliveries/{id}/attempts/{number}/{half}").route(web::get().to(show::download)));
}
