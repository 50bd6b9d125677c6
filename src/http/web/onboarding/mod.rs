//! Steps after `/setup`: the first webhook, and a first delivery that is really sent.

mod done;
mod webhook;

use actix_web::web::{self, ServiceConfig};

use super::page;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/setup/webhook").route(web::get().to(webhook::show)).route(web::post().to(webhook::create)));
    config.service(page("/setup/test").route(web::post().to(webhook::test_again)));
    config.service(page("/setup/done").route(web::get().to(done::show)));
    config.service(page("/setup/key").route(web::post().to(done::create_key)));
}
