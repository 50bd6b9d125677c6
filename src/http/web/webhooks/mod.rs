//! Pages about webhooks, one file each. `header` and `form` are shared.

mod delete;
mod edit;
mod form;
mod header;
mod list;
mod metrics;
mod replay;
mod secret;
mod show;
mod state;
mod test;

pub(super) use form::known_profiles;

use actix_web::web::{self, ServiceConfig};

use super::page;

pub(super) fn routes(config: &mut ServiceConfig) {
    let (get, post) = (web::get, web::post);
    config.service(page("/webhooks").route(get().to(list::show)));
    config.service(page("/webhooks/new").route(get().to(edit::blank)).route(post().to(edit::create)));
    config.service(page("/webhooks/{id}").route(get().to(show::deliveries)));
    config.service(page("/webhooks/{id}/metrics").route(get().to(metrics::show)));
    config.service(page("/webhooks/{id}/settings").route(get().to(show::settings)));
    config.service(page("/webhooks/{id}/edit").route(get().to(edit::show)).route(post().to(edit::change)));
    config.service(page("/webhooks/{id}/test").route(get().to(test::show)).route(post().to(test::send)));
    config.service(page("/webhooks/{id}/secret").route(get().to(secret::show)).route(post().to(secret::reveal)));
    config.service(page("/webhooks/{id}/secret/rotate").route(post().to(secret::rotate)));
    config.service(page("/webhooks/{id}/pause").route(post().to(state::pause)));
    config.service(page("/webhooks/{id}/resume").route(get().to(state::ask)).route(post().to(state::resume)));
    config.service(page("/webhooks/{id}/verify").route(post().to(state::verify)));
    config.service(page("/webhooks/{id}/replay").route(get().to(replay::show)).route(post().to(replay::replay)));
    config.service(page("/webhooks/{id}/delete").route(get().to(delete::ask)).route(post().to(delete::delete)));
}
