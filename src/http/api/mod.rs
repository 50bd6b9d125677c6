//! The JSON API, one file a resource.

mod api_keys;
mod backup;
mod batch;
mod bulk;
mod deliveries;
mod docs;
mod event_types;
mod events;
mod export;
mod health;
mod list;
mod openapi;
mod profiles;
mod replay;
mod spec;
mod table;
mod tests;
mod view;
mod webhooks;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::error::ApiError;
use table::Table;

/// Every route of the API.
pub fn routes(config: &mut ServiceConfig) {
    table().serve(config);
    config.default_service(web::to(unknown_path));
}

/// Every path and what it takes.
fn table() -> Table {
    let mut table = Table::default();
    let all = &mut table;
    events::routes(all);
    batch::routes(all);
    replay::routes(all);
    // Under both: the reference documents address webhooks in both ways.
    for base in ["/v1", "/api"] {
        webhooks::routes(all, base);
        tests::routes(all, base);
        replay::webhook_routes(all, base);
    }
    deliveries::routes(all);
    bulk::routes(all);
    export::routes(all);
    event_types::routes(all);
    profiles::routes(all);
    api_keys::routes(all);
    backup::routes(all);
    health::routes(all);
    openapi::routes(all);
    docs::routes(all);
    table
}

async fn unknown_path(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::not_found(format!(
        "There is nothing at {}. The API is under /v1.",
        request.path()
    )))
}

/// Runs what may wait (a read, a name server, a receiver) off the threads that serve requests.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, ApiError>
where
    T: Send + 'static,
    E: Into<ApiError> + Send + 'static,
{
    match web::block(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(ApiError::unavailable("stopping", "Hookpost is stopping.")),
    }
}
