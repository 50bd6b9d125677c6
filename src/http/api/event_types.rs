//! `/v1/event-types`. All tenants share them: a key of any tenant reads them, only one of all tenants changes them.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Administrator, JsonBody, Reader, require_all_tenants};
use super::table::Table;
use super::{blocking, list};
use crate::actions::event_types::{MAX_DESCRIPTION, TypeDescription};
use crate::domain::event::EventType;
use crate::domain::time::rfc3339;
use crate::http::api::openapi::{Call, schema};
use crate::store::api_key::Scope;
use crate::store::event_type::{self, DescribedType};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/event-types").get(index, describe_index);
    table.at("/v1/event-types/{name}").get(show, describe_show).put(put, describe_put).delete(delete, describe_delete);
}

const EXAMPLE: &str = r#"{"name": "order.paid", "description": "An order was paid.", "example": {"id": 1001},
    "schema": {"type": "object", "required": ["id"]}, "created_at": "2026-01-15T10:00:00.000Z",
    "updated_at": "2026-01-15T10:00:00.000Z"}"#;

fn describe_index(call: &mut Call<'_>) {
    call.named("list_event_types", "List described event types")
        .of("Event types")
        .needs(Scope::Read)
        .pages::<ListQuery>()
        .answers::<list::ListResponse<EventTypeView>>(200, "A page of them.", r#"{"data": [], "next_cursor": null}"#);
}

fn describe_show(call: &mut Call<'_>) {
    call.named("show_event_type", "Show an event type")
        .of("Event types")
        .needs(Scope::Read)
        .path::<schema::EventTypeName>("name", "The event type.")
        .answers::<EventTypeView>(200, "What is said about it.", EXAMPLE);
}

fn describe_put(call: &mut Call<'_>) {
    call.named("put_event_type", "Describe an event type")
        .of("Event types")
        .says("Everything that is said about it: what is left out, or null, is taken away. Events of the type are held to its schema from here on. For keys of all tenants.")
        .needs(Scope::Admin)
        .path::<schema::EventTypeName>("name", "The event type.")
        .takes::<EventTypeBody<'_>>(r#"{"description": "An order was paid.", "example": {"id": 1001}, "schema": {"type": "object", "required": ["id"]}}"#)
        .answers::<EventTypeView>(200, "It was described before.", EXAMPLE)
        .answers::<EventTypeView>(201, "It was not.", EXAMPLE)
        .fails(409, &["too_many_event_types"])
        .fails(422, &["invalid_event_type", "name_differs", "invalid_description", "invalid_example", "invalid_schema", "schema_violation"]);
}

fn describe_delete(call: &mut Call<'_>) {
    call.named("delete_event_type", "Forget what is said about an event type")
        .of("Event types")
        .says("Its events stay, and more of them are taken. For keys of all tenants.")
        .needs(Scope::Admin)
        .path::<schema::EventTypeName>("name", "The event type.")
        .answers_nothing("It was forgotten.");
}

/// An event type as the API shows it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventType")]
struct EventTypeView {
    #[schemars(with = "schema::EventTypeName")]
    name: String,
    description: String,
    /// Data of an example event.
    example: Option<Box<RawValue>>,
    /// The JSON Schema that the data of events is held to.
    schema: Option<Box<RawValue>>,
    #[schemars(with = "schema::Time")]
    created_at: String,
    #[schemars(with = "schema::Time")]
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Rows of a page at most.
    #[schemars(with = "schema::Limit")]
    limit: Option<String>,
    /// Where the page begins.
    #[schemars(with = "schema::Cursor")]
    cursor: Option<String>,
}

/// `GET /v1/event-types`.
async fn index(app: Data<App>, request: HttpRequest, Reader(_): Reader) -> Result<HttpResponse, ApiError> {
    let query: ListQuery = extract::query(&request)?;
    let page = list::page(query.limit.as_deref(), query.cursor.as_deref())?;
    let store = app.actions.store.clone();
    let found = blocking(move || store.read(|connection| event_type::list(connection, &page)));
    Ok(list::show(found.await??, view))
}

/// `GET /v1/event-types/{name}`.
async fn show(app: Data<App>, Reader(_): Reader, name: Path<String>) -> Result<HttpResponse, ApiError> {
    let name = known(&name)?;
    let actions = app.actions.clone();
    let found = blocking(move || actions.event_type(&name)).await??;
    Ok(HttpResponse::Ok().json(view(found)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewEventType")]
struct EventTypeBody<'a> {
    /// The name in the path, where it is given.
    #[serde(default)]
    #[schemars(with = "Option<schema::EventTypeName>")]
    name: Option<String>,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = MAX_DESCRIPTION))]
    description: String,
    /// Data of an example event, 64 KiB at most; it keeps to the schema.
    #[serde(borrow, default)]
    example: Option<&'a RawValue>,
    /// A JSON Schema (draft 2020-12, or what its `$schema` names), 64 KiB at most, with references within itself only.
    #[serde(borrow, default)]
    #[schemars(with = "Option<schema::JsonSchemaText>")]
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
        return Err(ApiError::invalid("name_differs", "The name in the body is another one than that in the path.")
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
    let (described, existed) = stored.await??;
    Ok(if existed { HttpResponse::Ok().json(view(described)) } else { HttpResponse::Created().json(view(described)) })
}

/// `DELETE /v1/event-types/{name}`.
async fn delete(
    app: Data<App>,
    Administrator(caller): Administrator,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    require_all_tenants(&caller)?;
    let name = known(&name)?;
    app.actions.delete_event_type(&caller, name).committed().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The name in a path; one that no type can have names nothing.
fn known(name: &str) -> Result<EventType, ApiError> {
    name.parse().map_err(|_| ApiError::not_found("There is no such event type."))
}
