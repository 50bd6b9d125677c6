//! Pages about profiles, for operators.

mod edit;
mod list;
mod show;

use actix_web::web::{self, ServiceConfig};

use super::page;

pub(super) fn routes(config: &mut ServiceConfig) {
    let (get, post) = (web::get, web::post);
    config.service(page("/profiles").route(get().to(list::show)));
    config.service(page("/profiles/new").route(get().to(edit::blank)).route(post().to(edit::create)));
    config.service(page("/profiles/{name}").route(get().to(show::show)));
    config.service(page("/profiles/{name}/edit").route(get().to(edit::show)).route(post().to(edit::change)));
    config.service(page("/profiles/{name}/delete").route(post().to(edit::delete)));
}
