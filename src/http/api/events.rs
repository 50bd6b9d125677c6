//! `/v1/events`.

use std::time::Instant;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::extract::Publisher;
use super::super::idempotent;
use super::deliveries::DeliveryView;
use super::feed::{self, Following};
use super::list::ListId;
use super::openapi::schema::{
    Cursor, DeliveryId, EventId, EventTypeName, EventTypePatterns, IdempotencyKey, Limit, MissedReason, Place,
    SearchText, SortOrder, TenantName, Time, WaitS, WebhookId,
};
use super::{
    ApiError, ApiResult, App, Call, Caller, Codes, Invalid, JsonBody, Preconditions, Reader, Scope, Table, blocking,
    erase, extract, list, respond_to_one,
};
use crate::actions::ActionError;
use crate::actions::publish::{CheckTime, Checked, Idempotency, NewEvent, Receipt};
use crate::actions::show_event::EventAlone;
use crate::domain::same_json;
use crate::domain::time::parse_rfc3339;
use crate::store::Pending;
use crate::store::delivery::Delivery;
use crate::store::event::{self, EventFilter, StoredEvent};
use crate::store::page::Page;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/events").plain_post(create, describe_create).get(index, describe_index);
    table.at("/v1/events/{id}").get(show, describe_show).delete(erase::erase, erase::describe);
}

pub(super) const EXAMPLE: &str = r#"{"type": "content.published", "data": {"id": 7, "title": "Hello"}}"#;

/// Codes of invalid events.
pub(super) const INVALID_CODES: Codes = &[
    "invalid_event_type",
    "invalid_tenant",
    "reserved_tenant",
    "reserved_event_type",
    "invalid_event_id",
    "invalid_time",
    "invalid_idempotency_key",
    "schema_violation",
];

/// Code of an id that several tenants use, in a call for all tenants.
pub(super) const AMBIGUOUS: Codes = &["ambiguous_event_id"];

/// Codes of events that contradict an earlier one.
pub(super) const CONFLICT_CODES: Codes = &["event_id_reused", "idempotency_key_reused"];

pub(super) const EXAMPLE_IN_FULL: &str = r#"{"id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H", "type": "content.published",
            "tenant": "default", "created_at": "2026-01-15T10:00:00.000Z", "received_at": "2026-01-15T10:00:00.000Z", "test": false,
            "erased_at": null, "damaged": false,
            "data": {"id": 7, "title": "Hello"}, "previous_data": null, "resent_from": null, "deliveries": [], "deliveries_next_cursor": null,
            "not_delivered": [{"webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB", "url": "https://hooks.example/orders",
                "reason": "not_subscribed", "message": "It subscribes to order.*, and not to content.published."}],
            "not_delivered_count": 1}"#;

fn describe_create(call: &mut Call<'_>) {
    call.operation("Events", "publish_event", "Publish an event")
        .description("Delivers the event to every webhook of its tenant that subscribes to its type. The response follows once the event is on disk; it is then delivered at least once, or becomes a dead letter. A repeated request returns the first receipt with `duplicate`.")
        .scope(Scope::Publish)
        .stores_for_tenant()
        .header_parameter::<IdempotencyKey>("Idempotency-Key", "Makes the call safe to retry for 24 hours.")
        .request_body::<EventBody<'_>>(EXAMPLE)
        .response::<ReceiptView>(202, "The event is on disk.", r#"{"id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H", "duplicate": false,
            "deliveries": [{"id": "dlv_01KF0AVD80KJ7YV7F6E4E2QHPQ", "webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB"}]}"#)
        .links(202, "/id", &["show_event", "replay_event"])
        .links(202, "/deliveries/0/id", &["show_delivery", "retry_delivery", "discard_delivery"])
        .errors(409, CONFLICT_CODES)
        .errors(422, INVALID_CODES)
        .queues_deliveries();
}

fn describe_index(call: &mut Call<'_>) {
    call.operation("Events", "list_events", "List events")
        .description(&format!("{} {}", list::SEARCH, feed::DESCRIPTION))
        .scope(Scope::Read)
        .list::<EventQuery, EventView>()
        .response::<list::ListResponse<EventView>>(200, "One page of the list.", r#"{"data": [{"id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H", "type": "content.published",
            "tenant": "default", "created_at": "2026-01-15T10:00:00.000Z", "received_at": "2026-01-15T10:00:00.000Z", "test": false,
            "erased_at": null, "damaged": false,
            "data": {"id": 7, "title": "Hello"}, "previous_data": null}], "next_cursor": null}"#)
        .errors(422, &["invalid_event_pattern", "invalid_value", "invalid_tenant", "invalid_time", "invalid_search", "invalid_wait", "unknown_event"])
        .errors(409, AMBIGUOUS)
        .errors(429, &["too_many_waiting"]);
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Events", "show_event", "Get an event")
        .description(
            "Includes its deliveries, and the webhooks of its tenant that did not receive it, with the reason.",
        )
        .scope(Scope::Read)
        .path_parameter::<EventId>("id")
        .query_parameters::<WhoseQuery>()
        .response::<EventView>(200, "The event.", EXAMPLE_IN_FULL)
        .answers_if_changed()
        .errors(409, AMBIGUOUS)
        .errors(422, &["invalid_tenant"]);
}

/// Receipt of a published event.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Receipt")]
pub(super) struct ReceiptView {
    id: EventId,
    /// Whether the event was already published, in which case nothing new is stored.
    duplicate: bool,
    deliveries: Vec<ReceiptDelivery>,
}

/// A delivery of a published event.
#[derive(Serialize, JsonSchema)]
struct ReceiptDelivery {
    id: DeliveryId,
    webhook_id: WebhookId,
}

impl From<&Receipt> for ReceiptView {
    fn from(receipt: &Receipt) -> ReceiptView {
        let deliveries = receipt.deliveries.iter();
        ReceiptView {
            id: receipt.id.as_str().into(),
            duplicate: receipt.duplicate,
            deliveries: deliveries
                .map(|(id, webhook_id)| ReceiptDelivery { id: id.into(), webhook_id: webhook_id.into() })
                .collect(),
        }
    }
}

/// An event. Includes its deliveries, and the webhooks that did not receive it, when requested by id.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub(in crate::http) struct EventView {
    id: EventId,
    #[serde(rename = "type")]
    event_type: EventTypeName,
    tenant: TenantName,
    /// When the event happened.
    created_at: Time,
    /// When Hookpost stored the event.
    received_at: Time,
    /// Whether the event is a test.
    test: bool,
    /// When the data was erased; null if it was not.
    erased_at: Option<Time>,
    /// Whether the stored event is damaged. It is not delivered then, and `data` may be incomplete or null.
    damaged: bool,
    /// The data exactly as published.
    data: Option<Box<RawValue>>,
    /// The previous `data`, if the application sent it.
    previous_data: Option<Box<RawValue>>,
    /// Id of the event that a person edited and sent again as this one, while that is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<EventId>")]
    resent_from: Option<Option<EventId>>,
    /// The newest 1,000, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<DeliveryView>")]
    deliveries: Option<Vec<DeliveryView>>,
    /// `cursor` of the deliveries before those, in the list of deliveries with this `event_id` and `tenant`; null if
    /// there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Cursor>")]
    deliveries_next_cursor: Option<Option<Cursor>>,
    /// Webhooks of the tenant that did not receive the event: the first 250, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<MissedView>")]
    not_delivered: Option<Vec<MissedView>>,
    /// Number of webhooks that did not receive the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    not_delivered_count: Option<u64>,
}

/// A webhook that did not receive an event of its tenant, with the reason.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NotDelivered")]
struct MissedView {
    webhook_id: WebhookId,
    url: String,
    reason: MissedReason,
    /// Explanation for people.
    message: String,
}

impl From<StoredEvent> for EventView {
    fn from(stored: StoredEvent) -> EventView {
        let event = stored.event;
        let raw = |text: Box<str>| RawValue::from_string(text.into()).ok();
        EventView {
            id: event.id.as_str().into(),
            event_type: event.event_type.as_str().into(),
            tenant: event.tenant.as_str().into(),
            created_at: Time::at(event.created_ms),
            received_at: Time::at(event.received_ms),
            test: event.test,
            erased_at: stored.erased_ms.map(Time::at),
            damaged: stored.damaged,
            data: raw(event.data),
            previous_data: event.previous_data.and_then(raw),
            resent_from: None,
            deliveries: None,
            deliveries_next_cursor: None,
            not_delivered: None,
            not_delivered_count: None,
        }
    }
}

impl From<(EventAlone, Page<Delivery>)> for EventView {
    fn from((event, deliveries): (EventAlone, Page<Delivery>)) -> EventView {
        let of_event = [("event_id", event.stored.event.id.as_str()), ("tenant", event.stored.event.tenant.as_str())];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(of_event).finish();
        let deliveries_of = ListId::of("/v1/deliveries", &query);
        let missed = event.missed.into_iter().map(|missed| MissedView {
            webhook_id: missed.webhook_id.into(),
            url: missed.url,
            reason: missed.reason.into(),
            message: missed.message,
        });
        EventView {
            resent_from: Some(event.resends.from.map(|id| id.as_str().into())),
            deliveries: Some(deliveries.rows.iter().map(DeliveryView::from).collect()),
            deliveries_next_cursor: Some(deliveries.next.map(|cursor| deliveries_of.cursor(cursor))),
            not_delivered: Some(missed.collect()),
            not_delivered_count: Some(event.missed_count),
            ..event.stored.into()
        }
    }
}

/// An event to publish. `data` stays text, so it is passed through exactly.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewEvent")]
pub(super) struct EventBody<'a> {
    #[serde(rename = "type")]
    pub(super) event_type: EventTypeName,
    /// Any JSON. Receivers get it exactly as sent here.
    #[serde(borrow)]
    pub(super) data: &'a RawValue,
    /// The previous `data`, if something changed.
    #[serde(borrow, default)]
    pub(super) previous_data: Option<&'a RawValue>,
    /// Owning tenant. Default: the key's tenant, or `default`.
    #[serde(default)]
    pub(super) tenant: Option<TenantName>,
    /// The application's own id for the event, unique within its tenant. Default: generated.
    #[serde(default)]
    pub(super) id: Option<EventId>,
    /// When the event happened. Default: now.
    #[serde(default)]
    pub(super) created_at: Option<Time>,
}

impl EventBody<'_> {
    pub(super) fn parse(self, caller: &Caller) -> Result<NewEvent, ApiError> {
        let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
        let event = NewEvent {
            event_type: self.event_type.parse().map_err(in_field("type"))?,
            tenant: caller.tenant_for(self.tenant.as_deref())?,
            id: self.id.map(|text| text.parse().map_err(in_field("id"))).transpose()?,
            created_ms: self.created_at.map(|text| parse_rfc3339(&text).map_err(in_field("created_at"))).transpose()?,
            data: self.data.get().into(),
            previous_data: self.previous_data.map(|raw| raw.get().into()),
            idempotency: None,
            resent_from_seq: None,
        };
        Ok(event.unreserved()?)
    }
}

async fn create(app: Data<App>, request: HttpRequest, Publisher(caller): Publisher, body: JsonBody) -> ApiResult {
    refuse_when_stopping(&app)?;
    let mut event = extract::parse::<EventBody<'_>>(body.bytes())?.parse(&caller)?;
    event.idempotency = idempotent::key_of(&request)?.map(|key| idempotency(key, body.bytes()));
    let began = Instant::now();
    let receipt = publish(&app, event).await?.committed().await?;
    if !receipt.duplicate {
        app.metrics.accepted(1, began.elapsed());
    }
    Ok(HttpResponse::Accepted().json(ReceiptView::from(&receipt)))
}

async fn publish(app: &App, event: NewEvent) -> Result<Pending<Receipt, ActionError>, ApiError> {
    let actions = app.actions.clone();
    let permit = match actions.check_time(&event) {
        CheckTime::None => return Ok(actions.publish_checked(Checked::unchecked(event))),
        CheckTime::Brief => return Ok(actions.publish(event)),
        time => app.check_permit(time, &event.tenant).await?,
    };
    blocking(move || {
        let _permit = permit;
        actions.publish(event)
    })
    .await
}

pub(super) fn refuse_when_stopping(app: &App) -> Result<(), ApiError> {
    if app.refuses_events() {
        return Err(ApiError::unavailable("stopping", "Hookpost is stopping. Retry in a moment."));
    }
    Ok(())
}

/// Returns a key with the fingerprint of its request.
pub(super) fn idempotency(key: String, body: &[u8]) -> Idempotency {
    Idempotency { key, fingerprint: same_json::digest(body) }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    /// Only events of these types.
    #[serde(rename = "type")]
    event_type: Option<EventTypePatterns>,
    /// Only events of this tenant.
    tenant: Option<TenantName>,
    /// Received at or after this time.
    since: Option<Time>,
    /// Received before this time.
    until: Option<Time>,
    /// Only events whose id, `data` or `previous_data` contains this text.
    q: Option<SearchText>,
    /// Order of the rows. Default: newest first. Not with `q`.
    order: Option<SortOrder>,
    /// Follows the events: those stored after this one, oldest first. The id of an event, or the `next_cursor` of a response
    /// with the same filters. Not with `q`, `order` or `cursor`.
    after: Option<Place>,
    /// Waits up to so many seconds until there is an event. Without `after`, for one that is stored from now on.
    wait_s: Option<WaitS>,
    /// Largest number of rows in the page.
    limit: Option<Limit>,
    /// Start of the page.
    cursor: Option<Cursor>,
}

async fn index(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let query: EventQuery = extract::query(&request)?;
    let (limit, cursor, order) = (query.limit.as_deref(), query.cursor.as_deref(), query.order.as_deref());
    let page = list::ordered_page(&request, limit, cursor, order)?;
    let filter = EventFilter {
        tenant: caller.tenant_filter(query.tenant.as_deref())?,
        types: list::parameter("type", query.event_type.as_deref())?.unwrap_or_default(),
        since: list::time("since", query.since.as_deref())?,
        until: list::time("until", query.until.as_deref())?,
    };
    if query.after.is_some() || query.wait_s.is_some() {
        let reason = "after and wait_s follow the events in the order in which they were stored";
        for (name, is_given) in [("q", query.q.is_some()), ("order", order.is_some()), ("cursor", cursor.is_some())] {
            list::refuse(name, is_given, reason)?;
        }
        let wait = feed::parse_wait(query.wait_s.as_deref())?;
        return feed::follow(
            app,
            caller,
            Following { filter, part: page, after: query.after.as_deref().map(Into::into), wait },
        )
        .await;
    }
    if let Some(needle) = list::parameter("q", query.q.as_deref())? {
        list::refuse_order(order)?;
        let read = move |db: &_, text: &_| event::search(db, &filter, text, &page);
        return list::search(&app, &caller, (needle, page), read, EventView::from).await;
    }
    list::show(&app, &caller, page, move |connection| event::list(connection, &filter, &page), EventView::from).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhoseQuery {
    /// Tenant of the event. Required only if several tenants have an event with this id.
    pub(super) tenant: Option<TenantName>,
}

pub(super) async fn show(
    app: Data<App>,
    request: HttpRequest,
    Reader(caller): Reader,
    id: Path<String>,
    conditions: Preconditions,
) -> ApiResult {
    let WhoseQuery { tenant } = extract::query(&request)?;
    let actions = app.actions.clone();
    let reader = caller.clone();
    let read = move || actions.event_in_full(&caller, &id, tenant.as_deref()).map(EventView::from);
    respond_to_one(&app, &reader, conditions, read).await
}
