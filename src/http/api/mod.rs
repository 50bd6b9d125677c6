//! The JSON API, one file a resource.

mod api_keys;
mod backup;
mod batch;
mod bulk;
mod deliveries;
mod event_types;
mod events;
mod export;
mod health;
mod list;
mod profiles;
mod replay;
mod tests;
pub(super) mod view;
mod webhooks;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder};

use super::blocking;
use super::error::ApiError;

/// Every route of the API.
pub fn routes(config: &mut ServiceConfig) {
    health::routes(config);
    // Before `/v1/events/{id}`, which would take it for an id.
    batch::routes(config);
    events::routes(config);
    replay::routes(config);
    // Before `/v1/deliveries/{id}`, for the same reason.
    bulk::routes(config);
    deliveries::routes(config);
    export::routes(config);
    profiles::routes(config);
    backup::routes(config);
    api_keys::routes(config);
    event_types::routes(config);
    // Under both: the reference documents address webhooks in both ways.
    for base in ["/v1", "/api"] {
        tests::routes(config, base);
        replay::webhook_routes(config, base);
        webhooks::routes(config, base);
    }
}

/// For a path that exists with a method that it does not take.
async fn wrong_method(request: HttpRequest) -> impl Responder {
    Err::<HttpResponse, _>(ApiError::new(
        actix_web::http::StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} takes no {}.", request.path(), request.method()),
    ))
}

/// A resource whose further methods are a 405 in the API's form.
fn resource(path: &str) -> actix_web::Resource {
    web::resource(path.to_owned()).default_service(web::to(wrong_method))
}
