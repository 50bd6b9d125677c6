//! `/v1/event-types`, shared by all tenants: any key reads them, only a key for all tenants changes them.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::list::PageQuery;
use super::{
    Administrator, ApiError, ApiResult, App, Call, Etag, JsonBody, Preconditions, Reader, Scope, Table, blocking,
    created, extract, list, require_all_tenants, respond_tagged, schema,
};
use crate::actions::event_types::{MAX_DESCRIPTION, TypeDescription};
use crate::domain::event::EventType;
use crate::store::event_type::{self, DescribedType};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/event-types").get(index, describe_index);
    table.at("/v1/event-types/{name}").get(show, describe_show).put(put, describe_put).delete(delete, describe_delete);
}

const EXAMPLE: &str = r#"{"name": "order.paid", "description": "An order was paid.", "example": {"id": 1001},
    "schema": {"type": "object", "required": ["id"]}, "created_at": "2026-01-15T10:00:00.000Z",
    "updated_at": "2026-01-15T10:00:00.000Z"}"#;

fn describe_index(call: &mut Call<'_>) {
    call.operation("Event types", "list_event_types", "List described event types")
        .scope(Scope::Read)
        .list::<PageQuery, EventTypeView>();
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Event types", "show_event_type", "Get an event type")
        .scope(Scope::Read)
        .path_parameter::<schema::EventTypeName>("name")
        .response::<EventTypeView>(200, "The event type.", EXAMPLE)
        .answers_if_changed();
}

fn describe_put(call: &mut Call<'_>) {
    call.operation("Event types", "put_event_type", "Describe an event type")
        .description("Replaces the whole description: omitted and null fields are removed. New events of the type must match its schema. Requires a key for all tenants.")
        .scope(Scope::Admin)
        .path_parameter::<schema::EventTypeName>("name")
        .request_body::<EventTypeBody<'_>>(r#"{"description": "An order was paid.", "example": {"id": 1001}, "schema": {"type": "object", "required": ["id"]}}"#)
        .response::<EventTypeView>(200, "The description is replaced.", EXAMPLE)
        .response::<EventTypeView>(201, "The description is created.", EXAMPLE)
        .etag(200)
        .etag(201)
        .takes_if_match()
        .errors(409, &["too_many_event_types"])
        .errors(422, &["invalid_event_type", "name_differs", "invalid_description", "invalid_example", "invalid_schema", "schema_violation"]);
}

fn describe_delete(call: &mut Call<'_>) {
    call.operation("Event types", "delete_event_type", "Delete the description of an event type")
        .description("Existing events are kept, and new ones are still accepted. Requires a key for all tenants.")
        .scope(Scope::Admin)
        .path_parameter::<schema::EventTypeName>("name")
        .no_content("The description is deleted.")
        .takes_if_match();
}

/// An event type.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventType")]
struct EventTypeView {
    name: schema::EventTypeName,
    description: String,
    /// Data of an example event.
    example: Option<Box<RawValue>>,
    /// JSON Schema that the data of events must match.
    schema: Option<Box<RawValue>>,
    created_at: schema::Time,
    updated_at: schema::Time,
}

impl From<DescribedType> for EventTypeView {
    fn from(described: DescribedType) -> EventTypeView {
        let raw = |text: Box<str>| RawValue::from_string(text.into()).ok();
        EventTypeView {
            name: described.name.as_str().into(),
            description: described.description,
            example: described.example.and_then(raw),
            schema: described.schema.and_then(raw),
            created_at: schema::Time::at(described.created_ms),
            updated_at: schema::Time::at(described.updated_ms),
        }
    }
}

async fn index(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let page = extract::query::<PageQuery>(&request)?.parse(&request)?;
    list::show(&app, &caller, page, move |connection| event_type::list(connection, &page), EventTypeView::from).await
}

async fn show(app: Data<App>, Reader(caller): Reader, name: Path<String>, conditions: Preconditions) -> ApiResult {
    let name = parse_name(&name)?;
    let actions = app.actions.clone();
    let read = move || actions.event_type(&name).map(|described| (described.clone(), EventTypeView::from(described)));
    respond_tagged(&app, &caller, conditions, read).await
}

/// Description of an event type. Replaces the stored one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewEventType")]
struct EventTypeBody<'a> {
    /// Optional; must match the name in the path.
    #[serde(default)]
    name: Option<schema::EventTypeName>,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = MAX_DESCRIPTION))]
    description: String,
    /// Data of an example event, at most 64 KiB. Must match the schema.
    #[serde(borrow, default)]
    example: Option<&'a RawValue>,
    /// A JSON Schema (draft 2020-12 unless `$schema` names another), at most 64 KiB, without external references.
    #[serde(borrow, default)]
    #[schemars(with = "Option<schema::JsonSchemaText>")]
    schema: Option<&'a RawValue>,
}

async fn put(
    app: Data<App>,
    Administrator(caller): Administrator,
    name: Path<String>,
    conditions: Preconditions,
    body: JsonBody,
) -> ApiResult {
    require_all_tenants(&caller)?;
    let body: EventTypeBody<'_> = extract::parse(body.bytes())?;
    let name: EventType = name.parse()?;
    if body.name.is_some_and(|inner| *inner != *name.as_str()) {
        return Err(ApiError::invalid("name_differs", "The name in the body must match the path.").in_field("name"));
    }
    let text = |raw: Option<&RawValue>| raw.map(|raw| Box::from(raw.get()));
    let new =
        TypeDescription { name, description: body.description, example: text(body.example), schema: text(body.schema) };
    let actions = app.actions.clone();
    let stored = blocking(move || actions.put_event_type(&caller, new, conditions.unchanged())?.wait());
    let (described, existed) = stored.await??;
    let mut response =
        if existed { HttpResponse::Ok() } else { created(format_args!("event-types/{}", described.name)) };
    Ok(response.insert_header(Etag::of(&described).header()).json(EventTypeView::from(described)))
}

async fn delete(
    app: Data<App>,
    Administrator(caller): Administrator,
    name: Path<String>,
    conditions: Preconditions,
) -> ApiResult {
    require_all_tenants(&caller)?;
    let name = parse_name(&name)?;
    app.actions.delete_event_type(&caller, name, conditions.unchanged()).committed().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Parses the name in a path. An invalid name is a 404, because no type can have it.
fn parse_name(name: &str) -> Result<EventType, ApiError> {
    name.parse().map_err(|_| ApiError::not_found("No such event type."))
}
