//! JSON API: one file per resource, with its routes, their descriptions for the specification, its views and handlers.

mod api_keys;
pub(super) mod attempts;
pub(super) mod audit;
mod batch;
mod bulk;
mod certificates;
mod contacts;
pub(super) mod deliveries;
mod docs;
mod event_types;
pub(super) mod events;
mod feed;
mod health;
mod inbox;
mod incidents;
mod list;
mod merge_patch;
mod openapi;
mod portal_links;
mod profiles;
mod replay;
mod search;
mod secrets;
mod stats;
mod table;
mod test_events;
mod webhooks;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::ServiceConfig;
use serde::Serialize;

// Names that most resources use.
use super::error::ApiError;
use super::etag::{Etag, Preconditions, Tagged};
use super::extract::{self, Administrator, JsonBody, Reader, require_all_tenants};
use super::reads::Place;
use super::{App, blocking};
use crate::actions::Caller;
use crate::domain::Invalid;
use crate::store::api_key::Scope;
use openapi::{Call, Codes, schema};
use table::Table;

/// Result of a handler.
type ApiResult = Result<HttpResponse, ApiError>;

/// Responds with what a read for a caller returns, as JSON. Both are made off the threads that serve requests, since
/// either may be large.
async fn respond<T: Serialize, E: Into<ApiError>>(
    app: &App,
    caller: &Caller,
    read: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> ApiResult {
    respond_in(app.reads.place(caller.tenant.as_ref()).await?, read).await
}

/// Like [`respond`], for one resource: with its ETag, or with a 304 if the client has this version.
async fn respond_tagged<T: Serialize, R: Tagged, E: Into<ApiError>>(
    app: &App,
    caller: &Caller,
    conditions: Preconditions,
    read: impl FnOnce() -> Result<(R, T), E> + Send + 'static,
) -> ApiResult {
    let place = app.reads.place(caller.tenant.as_ref()).await?;
    let made = blocking(move || {
        let _place = place;
        let (resource, value) = read().map_err(Into::into)?;
        let text = match conditions.is_known(&resource) {
            true => None,
            false => Some(serde_json::to_vec(&value).map_err(|error| ApiError::internal(&error))?),
        };
        Ok::<_, ApiError>((Etag::of(&resource), text))
    });
    let (tag, text) = made.await??;
    Ok(match text {
        Some(text) => HttpResponse::Ok().insert_header(tag.header()).insert_header(ContentType::json()).body(text),
        None => HttpResponse::NotModified().insert_header(tag.header()).finish(),
    })
}

/// Like [`respond`], in a place that the caller has taken.
async fn respond_in<T: Serialize, E: Into<ApiError>>(
    place: Place,
    read: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> ApiResult {
    let made = blocking(move || {
        let _place = place;
        let value = read().map_err(Into::into)?;
        serde_json::to_vec(&value).map_err(|error| ApiError::internal(&error))
    });
    let text = made.await??;
    Ok(HttpResponse::Ok().insert_header(ContentType::json()).body(text))
}

/// Registers every route of the API.
pub fn routes(config: &mut ServiceConfig) {
    table().serve(config);
}

fn table() -> Table {
    let mut table = Table::default();
    for add_routes in [
        events::routes,
        batch::routes,
        replay::event_routes,
        webhooks::routes,
        test_events::routes,
        replay::webhook_routes,
        stats::webhook_routes,
        incidents::routes,
        contacts::routes,
        deliveries::routes,
        bulk::routes,
        event_types::routes,
        profiles::routes,
        api_keys::routes,
        portal_links::routes,
        inbox::routes,
        audit::routes,
        api_keys::backup_routes,
        stats::routes,
        search::routes,
        health::routes,
        openapi::routes,
        docs::routes,
    ] {
        add_routes(&mut table);
    }
    table
}
