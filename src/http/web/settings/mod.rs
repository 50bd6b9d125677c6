//! Pages under Settings, one file each. Operators may read them; administrators may change them.

mod audit;
mod data;
mod keys;
mod users;

use actix_web::web::{self, ServiceConfig};

use super::error::PageError;
use super::page;
use crate::http::web::session::{PageResult, Session};

pub(super) fn routes(config: &mut ServiceConfig) {
    let (get, post) = (web::get, web::post);
    config.service(page("/settings").route(get().to(start)));
    config.service(page("/settings/keys").route(get().to(keys::show)).route(post().to(keys::create)));
    config.service(page("/settings/keys/{id}/revoke").route(post().to(keys::revoke)));
    config.service(page("/settings/users").route(get().to(users::show)).route(post().to(users::add)));
    config.service(page("/settings/users/{seq}").route(get().to(users::user)));
    config.service(page("/settings/users/{seq}/role").route(post().to(users::set_role)));
    config.service(page("/settings/users/{seq}/password").route(post().to(users::reset_password)));
    config.service(page("/settings/users/{seq}/remove").route(post().to(users::remove)));
    config.service(page("/settings/data").route(get().to(data::show)));
    config.service(page("/settings/data/backup").route(post().to(data::backup)));
    config.service(page("/settings/audit").route(get().to(audit::show)));
}

/// `GET /settings`: redirects to the first page.
async fn start(session: Session) -> PageResult {
    session.require_operator().map_err(|error| error.below(session.base()))?;
    Err(PageError::Redirect { location: format!("{}/settings/keys", session.base()) })
}
