//! `/v1/event-types`. All tenants share them: a key of any tenant reads them, only one of all tenants changes them.

use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Administrator, JsonBody, Reader, require_all_tenants};
use super::{blocking, list, resource};
use crate::actions::event_types::TypeDescription;
use crate::domain::event::EventType;
use crate::domain::time::rfc3339;
use crate::store::event_type::{self, DescribedType};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/v1/event-types").route(web::get().to(index)));
    config.service(
        resource("/v1/event-types/{name}")
            .route(web::get().to(show))
            .route(web::put().to(put))
            .route(web::delete().to(delete)),
    );
}

/// An event type as the API shows it.
#[derive(Serialize)]
struct EventTypeView {
    name: String,
    description: String,
    example: Option<Box<RawValue>>,
    schema: Option<Box<RawValue>>,
    created_at: String,
    updated_at: String,
}

fn view(described: DescribedType) -> EventTypeView {
    let raw = |text: Box<str>| RawValue::from_string(text.into()).ok();
    EventTypeView {
        name: described.name.as_str().to_owned(),
        description: described.description,
        example: described.example.and_then(raw),
        schema: described.schema.and_then(raw),
        created_at: rfc3339(described.created_ms),
        updated_at: rfc3339(described.updated_ms),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /v1/event-types`.
async fn index(
    app: Data<App>,
    request: HttpRequest,
    Reader(_): Reader,
) -> Result<HttpResponse, ApiError> {
    let query: ListQuery = extract::query(&request)?;
    let page = list::page(query.limit.as_deref(), query.cursor.as_deref())?;
    let store = app.actions.store.clone();
    let found = blocking(move || store.read(|connection| event_type::list(connection, &page)));
    Ok(list::show(found.await?, view))
}

/// `GET /v1/event-types/{name}`.
async fn show(
    app: Data<App>,
    Reader(_): Reader,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let name = known(&name)?;
    let actions = app.actions.clone();
    let found = blocking(move || actions.event_type(&name)).await?;
    Ok(HttpResponse::Ok().json(view(found)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventTypeBody<'a> {
    /// The name in the path, where it is given.
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(borrow, default)]
    example: Option<&'a RawValue>,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
}

/// `PUT /v1/event-types/{name}`: everything that is said about it; what is left out, or null, is taken away.
async fn put(
    app: Data<App>,
    Administrator(caller): Administrator,
    name: Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    require_all_tenants(&caller)?;
    let body: EventTypeBody<'_> = extract::parse(body.bytes())?;
    let name: EventType = name.parse()?;
    if body.name.is_some_and(|inner| inner != name.as_str()) {
        return Err(ApiError::invalid(
            "name_differs",
            "The name in the body is another one than that in the path.",
        )
        .in_field("name"));
    }
    let given = |raw: Option<&RawValue>| raw.map(|raw| Box::from(raw.get()));
    let new = TypeDescription {
        name,
        description: body.description,
        example: given(body.example),
        schema: given(body.schema),
    };
    let actions = app.actions.clone();
    let stored = blocking(move || actions.put_event_type(&caller, new)?.wait());
    let (described, existed) = stored.await?;
    Ok(match existed {
        true => HttpResponse::Ok().json(view(described)),
        false => HttpResponse::Created().json(view(described)),
    })
}

/// `DELETE /v1/event-types/{name}`.
async fn delete(
    app: Data<App>,
    Administrator(caller): Administrator,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    require_all_tenants(&caller)?;
    let name = known(&name)?;
    app.actions
        .delete_event_type(&caller, name)
        .committed()
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The name in a path; one that no type can have names nothing.
fn known(name: &str) -> Result<EventType, ApiError> {
    name.parse()
        .map_err(|_| ApiError::not_found("There is no such event type."))
}
