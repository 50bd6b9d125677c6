//! Pages about event types.

mod edit;
mod list;
mod show;

use actix_web::web::{self, ServiceConfig};

use super::page;

pub(super) fn routes(config: &mut ServiceConfig) {
    let (get, post) = (web::get, web::post);
    config.service(page("/event-types").route(get().to(list::show)));
    // Outside `/event-types/`, where a type may be named "new".
    config.service(page("/new-event-type").route(get().to(edit::blank)).route(post().to(edit::create)));
    config.service(page("/event-types/{name}").route(get().to(show::show)));
    config.service(page("/event-types/{name}/edit").route(get().to(edit::show)).route(post().to(edit::change)));
    config.service(page("/event-types/{name}/delete").route(post().to(edit::delete)));
}
