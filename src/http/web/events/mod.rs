//! Pages about events.

mod list;
mod new;
mod show;

use actix_web::web::{self, ServiceConfig};

use super::page;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/events").route(web::get().to(list::show)));
    // Before `/events/{id}`, which matches this path too.
    config.service(page("/events/new").route(web::get().to(new::show)).route(web::post().to(new::publish)));
    config.service(page("/events/{id}").route(web::get().to(show::show)));
    config.service(page("/events/{id}/replay").route(web::post().to(show::replay)));
    config.service(page("/events/{id}/{part}").route(web::get().to(show::download)));
}
