//! `/v1/events`.

use std::time::Instant;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, JsonBody, Publisher, Reader};
use super::table::Table;
use super::{blocking, list, view};
use crate::actions::publish::{Idempotency, NewEvent, Receipt};
use crate::actions::{ActionError, Caller};
use crate::domain::Invalid;
use crate::domain::time::parse_rfc3339;
use crate::http::api::openapi::{Call, Codes, schema};
use crate::store::Pending;
use crate::store::api_key::Scope;
use crate::store::event::{self, EventFilter};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/events").post(create, describe_create).get(index, describe_index);
    table.at("/v1/events/{id}").get(show, describe_show);
}

pub(super) const EXAMPLE: &str = r#"{"type": "content.published", "data": {"id": 7, "title": "Hello"}}"#;

/// Why an event may be refused.
pub(super) const REFUSED: Codes = &[
    "invalid_event_type",
    "invalid_tenant",
    "invalid_event_id",
    "invalid_time",
    "invalid_idempotency_key",
    "schema_violation",
];

/// Why an event may contradict one before it.
pub(super) const REUSED: Codes = &["event_id_reused", "idempotency_key_reused"];

const SHOWN: &str = r#"{"id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H", "type": "content.published",
            "tenant": "default", "created_at": "2026-01-15T10:00:00.000Z", "received_at": "2026-01-15T10:00:00.000Z", "test": false,
            "data": {"id": 7, "title": "Hello"}, "previous_data": null, "deliveries": [],
            "not_delivered": [{"webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB", "url": "https://hooks.example/orders",
                "reason": "not_subscribed", "message": "It subscribes to order.*, and not to content.published."}],
            "not_delivered_count": 1}"#;

fn describe_create(call: &mut Call<'_>) {
    call.named("publish_event", "Publish an event")
        .of("Events")
        .says("To every webhook of its tenant that subscribes to its type. Answered once the event is on disk: from then on it is delivered, at least once, or visible as a dead letter. The same again answers the first receipt with `duplicate`.")
        .needs(Scope::Publish)
        .header::<schema::IdempotencyKey>("Idempotency-Key", "Makes the call safe to repeat for 24 hours.")
        .takes::<EventBody<'_>>(EXAMPLE)
        .answers::<view::ReceiptView<'_>>(202, "It is on disk.", r#"{"id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H", "duplicate": false,
            "deliveries": [{"id": "dlv_01KF0AVD80KJ7YV7F6E4E2QHPQ", "webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB"}]}"#)
        .leads_to(202, "/id", &["show_event", "replay_event"])
        .leads_to(202, "/deliveries/0/id", &["show_delivery", "retry_delivery", "discard_delivery"])
        .fails(409, REUSED)
        .fails(422, REFUSED);
}

fn describe_index(call: &mut Call<'_>) {
    call.named("list_events", "List events")
        .of("Events")
        .needs(Scope::Read)
        .pages::<EventQuery>()
        .answers::<list::ListResponse<view::EventView>>(200, "A page of them.", r#"{"data": [{"id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H", "type": "content.published",
            "tenant": "default", "created_at": "2026-01-15T10:00:00.000Z", "received_at": "2026-01-15T10:00:00.000Z", "test": false,
            "data": {"id": 7, "title": "Hello"}, "previous_data": null}], "next_cursor": null}"#)
        .fails(422, &["invalid_event_type", "invalid_tenant", "invalid_time"]);
}

fn describe_show(call: &mut Call<'_>) {
    call.named("show_event", "Show an event")
        .of("Events")
        .says("With its deliveries, and why each other webhook of its tenant got none.")
        .needs(Scope::Read)
        .path::<schema::EventId>("id", "The id of the event.")
        .answers::<view::EventView>(200, "The event.", SHOWN);
}

/// An event as it is sent. `data` stays text: it passes through as it is spelled.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewEvent")]
pub(super) struct EventBody<'a> {
    #[serde(rename = "type")]
    #[schemars(with = "schema::EventTypeName")]
    event_type: String,
    /// Any JSON; it reaches receivers as it is spelled here.
    #[serde(borrow)]
    data: &'a RawValue,
    /// What `data` was before, where something changed.
    #[serde(borrow, default)]
    previous_data: Option<&'a RawValue>,
    /// Whose event it is; `default`, or the key's own tenant, where left out.
    #[serde(default)]
    #[schemars(with = "Option<schema::TenantName>")]
    tenant: Option<String>,
    /// The application's own id, by which the event is known for good; generated where left out.
    #[serde(default)]
    #[schemars(with = "Option<schema::EventId>")]
    id: Option<String>,
    /// When it happened; now where left out.
    #[serde(default)]
    #[schemars(with = "Option<schema::Time>")]
    created_at: Option<String>,
}

impl EventBody<'_> {
    pub(super) fn parse(self, caller: &Caller) -> Result<NewEvent, ApiError> {
        let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
        Ok(NewEvent {
            event_type: self.event_type.parse().map_err(in_field("type"))?,
            tenant: caller.tenant_for(self.tenant.as_deref())?,
            id: self.id.map(|text| text.parse().map_err(in_field("id"))).transpose()?,
            created_ms: self.created_at.map(|text| parse_rfc3339(&text).map_err(in_field("created_at"))).transpose()?,
            data: self.data.get().into(),
            previous_data: self.previous_data.map(|raw| raw.get().into()),
            idempotency: None,
        })
    }
}

/// `POST /v1/events`. Answers 202 only once the event is on disk.
async fn create(
    app: Data<App>,
    request: HttpRequest,
    Publisher(caller): Publisher,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    refuse_when_stopping(&app)?;
    let mut event = extract::parse::<EventBody<'_>>(body.bytes())?.parse(&caller)?;
    event.idempotency = idempotency_key(&request)?.map(|key| idempotency(key, body.bytes()));
    let began = Instant::now();
    let receipt = publish(&app, event).await?.committed().await?;
    if !receipt.duplicate {
        app.metrics.accepted(1, began.elapsed());
    }
    Ok(HttpResponse::Accepted().json(view::receipt(&receipt)))
}

/// Bytes of data from which on a schema's check, which grows with the data, may hold up other requests.
const LARGE_BYTES: usize = 16 << 10;

async fn publish(app: &App, event: NewEvent) -> Result<Pending<Receipt, ActionError>, ApiError> {
    let actions = app.actions.clone();
    if event.data.len() < LARGE_BYTES || actions.store.schemas().find(&event.event_type).is_none() {
        return Ok(actions.publish(event));
    }
    blocking(move || actions.publish(event)).await
}

pub(super) fn refuse_when_stopping(app: &App) -> Result<(), ApiError> {
    if app.is_stopping() {
        Err(ApiError::unavailable("stopping", "Hookpost is stopping. Send the event again in a moment."))
    } else {
        Ok(())
    }
}

/// The `Idempotency-Key` of a request: 1 to 255 printable ASCII characters.
pub(super) fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()) && !key.contains('\t'));
    let key = key.ok_or_else(|| {
        ApiError::invalid("invalid_idempotency_key", "An Idempotency-Key is 1 to 255 printable ASCII characters.")
            .in_field("Idempotency-Key")
    })?;
    Ok(Some(key.to_owned()))
}

/// A key with the fingerprint of what came under it.
pub(super) fn idempotency(key: String, body: &[u8]) -> Idempotency {
    Idempotency { key, fingerprint: Sha256::digest(body).into() }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    /// Those of this type.
    #[serde(rename = "type")]
    #[schemars(with = "schema::EventTypeName")]
    event_type: Option<String>,
    /// Those of this tenant.
    #[schemars(with = "schema::TenantName")]
    tenant: Option<String>,
    /// Received at or after.
    #[schemars(with = "schema::Time")]
    since: Option<String>,
    /// Received before.
    #[schemars(with = "schema::Time")]
    until: Option<String>,
    /// Rows of a page at most.
    #[schemars(with = "schema::Limit")]
    limit: Option<String>,
    /// Where the page begins.
    #[schemars(with = "schema::Cursor")]
    cursor: Option<String>,
}

/// `GET /v1/events`.
async fn index(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> Result<HttpResponse, ApiError> {
    let query: EventQuery = extract::query(&request)?;
    let page = list::page(query.limit.as_deref(), query.cursor.as_deref())?;
    let filter = EventFilter {
        tenant: caller.tenant_filter(query.tenant.as_deref())?,
        event_type: list::parameter("type", query.event_type.as_deref())?,
        since: list::time("since", query.since.as_deref())?,
        until: list::time("until", query.until.as_deref())?,
    };
    let store = app.actions.store.clone();
    let found = blocking(move || store.read(|connection| event::list(connection, &filter, &page)));
    Ok(list::show(found.await??, |stored| view::event(stored, None)))
}

pub(super) fn describe_named_batch(call: &mut Call<'_>) {
    call.named("show_event_named_batch", "Show the event whose own id is `batch`")
        .of("Events")
        .needs(Scope::Read)
        .answers::<view::EventView>(200, "The event.", SHOWN)
        .fails(404, &["not_found"]);
}

/// `GET /v1/events/batch`: that is an id too.
pub(super) async fn show_named_batch(app: Data<App>, caller: Reader) -> Result<HttpResponse, ApiError> {
    show(app, caller, Path::from("batch".to_owned())).await
}

/// `GET /v1/events/{id}`: with its deliveries, and why each other webhook of its tenant got none: the first 250 of
/// those, oldest first, and how many there are.
async fn show(app: Data<App>, Reader(caller): Reader, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let actions = app.actions.clone();
    let full = blocking(move || actions.event_in_full(&caller, &id)).await??;
    Ok(HttpResponse::Ok().json(view::event_in_full(full)))
}
