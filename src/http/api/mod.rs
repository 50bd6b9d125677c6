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
mod erase;
mod event_types;
pub(super) mod events;
mod feed;
mod health;
mod inbox;
mod incidents;
mod list;
mod merge_patch;
mod openapi;
mod pause;
mod portal_links;
mod profiles;
mod replay;
mod search;
mod secrets;
mod stats;
mod table;
mod tenants;
mod test_events;
mod webhooks;

use std::fmt::Display;

use actix_web::http::header::{self, ContentType};
use actix_web::web::ServiceConfig;
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;

// Names that most resources use.
use super::error::ApiError;
use super::etag::{Etag, Preconditions, Tagged};
use super::extract::{self, Administrator, JsonBody, Reader, require_all_tenants};
use super::reads::Place;
use super::{App, blocking, request_id};
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

/// Like [`respond`], for one resource that can be changed: with its ETag, or with a 304 if the client has this version.
async fn respond_tagged<T: Serialize, R: Tagged, E: Into<ApiError>>(
    app: &App,
    caller: &Caller,
    conditions: Preconditions,
    read: impl FnOnce() -> Result<(R, T), E> + Send + 'static,
) -> ApiResult {
    let make = move || {
        let (resource, value) = read().map_err(Into::into)?;
        let tag = Etag::of(&resource);
        let text = if conditions.is_known(&tag) { None } else { Some(json(&value)?) };
        Ok((tag, text))
    };
    respond_with_tag(app, caller, make).await
}

/// Like [`respond_tagged`], for one resource that is only read: the version is its content.
async fn respond_to_one<T: Serialize, E: Into<ApiError>>(
    app: &App,
    caller: &Caller,
    conditions: Preconditions,
    read: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> ApiResult {
    let make = move || {
        let text = json(&read().map_err(Into::into)?)?;
        let tag = Etag::of_content(&text);
        let is_known = conditions.is_known(&tag);
        Ok((tag, Some(text).filter(|_| !is_known)))
    };
    respond_with_tag(app, caller, make).await
}

/// Responds with a resource, or with a 304 if there is no text.
async fn respond_with_tag(
    app: &App,
    caller: &Caller,
    make: impl FnOnce() -> Result<(Etag, Option<Vec<u8>>), ApiError> + Send + 'static,
) -> ApiResult {
    let place = app.reads.place(caller.tenant.as_ref()).await?;
    let made = blocking(move || {
        let _place = place;
        make()
    });
    let (tag, text) = made.await??;
    Ok(match text {
        Some(text) => HttpResponse::Ok().insert_header(tag.header()).insert_header(ContentType::json()).body(text),
        None => HttpResponse::NotModified().insert_header(tag.header()).finish(),
    })
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(value).map_err(|error| ApiError::internal(&error))
}

/// Begins the response to a creation, with the path of the new resource below `/v1`.
fn created(path: impl Display) -> HttpResponseBuilder {
    let location = format!("{}/v1/{path}", request_id::path_prefix());
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, location));
    response
}

/// Like [`respond`], in a place that the caller has taken.
async fn respond_in<T: Serialize, E: Into<ApiError>>(
    place: Place,
    read: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> ApiResult {
    let made = blocking(move || {
        let _place = place;
        json(&read().map_err(Into::into)?)
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
        pause::routes,
        event_types::routes,
        profiles::routes,
        api_keys::routes,
        portal_links::routes,
        tenants::routes,
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
