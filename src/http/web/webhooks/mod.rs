//! The pages about webhooks, one file each.

mod list;

use actix_web::web::{self, ServiceConfig};

use super::page;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/webhooks").route(web::get().to(list::show)));
}
