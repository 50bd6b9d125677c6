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
mod metrics;
mod profiles;
mod replay;
mod stats;
mod tests;
mod view;
mod webhooks;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder};

use super::error::ApiError;
use super::request_id::RequestId;

/// Every route of the API.
pub fn routes(config: &mut ServiceConfig) {
    health::routes(config);
    metrics::routes(config);
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
    stats::routes(config);
    // Under both: the reference documents address webhooks in both ways.
    for base in ["/v1", "/api"] {
        tests::routes(config, base);
        replay::webhook_routes(config, base);
        stats::webhook_routes(config, base);
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

/// Runs what may wait (a read, a name server, a receiver) off the threads that serve requests.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, ApiError>
where
    T: Send + 'static,
    E: Into<ApiError> + Send + 'static,
{
    let id = RequestId::current();
    match web::block(move || id.during(work)).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(ApiError::unavailable("stopping", "Hookpost is stopping.")),
    }
}
