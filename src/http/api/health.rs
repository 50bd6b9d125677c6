//! `/healthz` and `/readyz`: for whatever watches the process. Neither needs a key.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use serde::Serialize;

use super::super::App;
use super::super::error::ApiError;
use super::resource;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/healthz").route(web::get().to(alive)));
    config.service(resource("/readyz").route(web::get().to(ready)));
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /healthz`: the process answers.
async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// `GET /readyz`: events are taken and sent.
async fn ready(app: Data<App>) -> Result<HttpResponse, ApiError> {
    if app.is_stopping() {
        return Err(ApiError::unavailable("stopping", "Hookpost is stopping."));
    }
    if let Some(why) = app.actions.store.broken() {
        return Err(ApiError::unavailable("store_unavailable", why));
    }
    Ok(HttpResponse::Ok().json(Health { status: "ready" }))
}
