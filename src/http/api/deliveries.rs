//! `/v1/deliveries` and `/v1/dead-letters`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::delivery_filter::DeliveryTexts;
use super::super::export::{self, DeadLetter};
use super::attempts::{self as attempt, AttemptView};
use super::list::{ListId, PageQuery, Part};
use super::openapi::schema::{
    Cursor, DeliveryId, DeliveryStatus as Status, DeliveryStatuses, DiscardReason, ErrorCode, ErrorCodes, EventId,
    EventTypeName, EventTypePatterns, Limit, ResponseCodes, SearchText, SortOrder, TenantName, Time, WaitingFor,
    WebhookId, WebhookIds,
};
use super::{
    Administrator, ApiError, ApiResult, App, Call, Caller, Codes, Preconditions, Reader, Scope, Table, extract, list,
    respond_to_one,
};
use crate::actions::lookup::{self, DeliveryInFull};
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::store::delivery::{self, Delivery, DeliveryFilter};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/deliveries").get(index, describe_index);
    table.at("/v1/deliveries/{id}").get(show, describe_show);
    table.at("/v1/deliveries/{id}/attempts").get(attempts, describe_attempts);
    table.at("/v1/deliveries/{id}/retry").post(retry, describe_retry);
    table.at("/v1/deliveries/{id}/discard").post(discard, describe_discard);
    table.at("/v1/dead-letters").get(dead_letters, describe_dead_letters);
    table.at("/v1/dead-letters/export").get(export, describe_export);
}

/// Example of a delivery, without its closing brace.
const EXAMPLE: &str = r#"{"id": "dlv_01KF0AVD80KJ7YV7F6E4E2QHPQ", "event_id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H",
    "event_type": "content.published", "webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB", "tenant": "default", "status": "failed",
    "waiting_for": null, "discard_reason": null, "test": false, "attempt_count": 1, "next_attempt_at": null, "created_at": "2026-01-15T10:00:00.000Z",
    "finished_at": "2026-01-15T10:00:00.105Z", "last_attempt": {"code": 410, "error_code": "status", "duration_ms": 105,
        "at": "2026-01-15T10:00:00.105Z"}"#;

/// Example of a delivery with its attempts.
pub(super) fn example_in_full() -> String {
    format!("{EXAMPLE}, \"attempts\": [{}}}], \"attempts_next_cursor\": null}}", attempt::EXAMPLE)
}

/// Codes of invalid filters.
pub(super) const FILTER_CODES: Codes = &[
    "invalid_parameter",
    "invalid_value",
    "invalid_event_id",
    "invalid_event_pattern",
    "invalid_tenant",
    "invalid_time",
];

fn describe_index(call: &mut Call<'_>) {
    call.operation("Deliveries", "list_deliveries", "List deliveries")
        .description(&format!("Without attempts. {}", list::SEARCH))
        .scope(Scope::Read)
        .list::<DeliveryQuery, DeliveryView>()
        .errors(422, FILTER_CODES)
        .errors(422, &["invalid_search"]);
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Deliveries", "show_delivery", "Get a delivery")
        .description(
            "Includes the newest attempts with their requests and responses: up to 250, or to 4 MiB of bodies.",
        )
        .scope(Scope::Read)
        .path_parameter::<DeliveryId>("id")
        .response::<DeliveryView>(200, "The delivery.", &example_in_full())
        .answers_if_changed();
}

fn describe_attempts(call: &mut Call<'_>) {
    call.operation("Deliveries", "list_attempts", "List the attempts of a delivery")
        .description("Newest first. A page ends at 4 MiB of bodies.")
        .scope(Scope::Read)
        .path_parameter::<DeliveryId>("id")
        .list::<PageQuery, AttemptView>();
}

fn describe_retry(call: &mut Call<'_>) {
    call.operation("Deliveries", "retry_delivery", "Retry a delivery")
        .description("A finished delivery starts a new series of attempts; a pending one is sent now. If the webhook is inactive, the delivery stays queued until it is active; if all deliveries are paused, until they are resumed.")
        .scope(Scope::Admin)
        .path_parameter::<DeliveryId>("id")
        .response::<DeliveryView>(202, "The delivery in its new state.", &format!("{EXAMPLE}}}"))
        .errors(409, &["test_delivery", "webhook_deleted", "delivery_discarded", "event_erased"])
        .queues_deliveries();
}

fn describe_discard(call: &mut Call<'_>) {
    call.operation("Deliveries", "discard_delivery", "Discard a delivery")
        .description("Cancels a pending or retrying delivery permanently.")
        .scope(Scope::Admin)
        .path_parameter::<DeliveryId>("id")
        .response::<DeliveryView>(202, "The delivery in its new state.", &format!("{EXAMPLE}}}"))
        .errors(409, &["delivery_finished"]);
}

fn describe_dead_letters(call: &mut Call<'_>) {
    call.operation("Deliveries", "list_dead_letters", "List dead letters")
        .description(&format!("Failed deliveries, without tests. {}", list::SEARCH))
        .scope(Scope::Read)
        .list::<DeliveryQuery, DeliveryView>()
        .without_parameters(&["status", "test"])
        .errors(422, FILTER_CODES)
        .errors(422, &["invalid_search"]);
}

fn describe_export(call: &mut Call<'_>) {
    call.operation("Deliveries", "export_dead_letters", "Download dead letters")
        .description("Streams all dead letters that match the filters, newest first, one per line. An error after the start breaks the response off.")
        .scope(Scope::Read)
        .query_parameters::<DeliveryQuery>()
        .without_parameters(&["status", "test", "q", "order", "limit", "cursor"])
        .response_ndjson::<DeadLetter>("One dead letter per line.")
        .errors(422, FILTER_CODES);
}

/// A delivery. Includes its attempts when requested by id.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub(in crate::http) struct DeliveryView {
    id: DeliveryId,
    event_id: EventId,
    event_type: EventTypeName,
    webhook_id: WebhookId,
    tenant: TenantName,
    status: Status,
    waiting_for: Option<WaitingFor>,
    discard_reason: Option<DiscardReason>,
    /// Whether the event is a test.
    test: bool,
    attempt_count: u32,
    /// Time of the next attempt, if one is scheduled and nothing holds the delivery.
    next_attempt_at: Option<Time>,
    created_at: Time,
    finished_at: Option<Time>,
    last_attempt: Option<LastAttemptView>,
    /// Present when the delivery is requested by id: its newest attempts, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<AttemptView>")]
    attempts: Option<Vec<AttemptView>>,
    /// `cursor` of the attempts before those, in the list of the delivery's attempts; null if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Cursor>")]
    attempts_next_cursor: Option<Option<Cursor>>,
}

/// Outcome of a delivery's last attempt.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LastAttempt")]
struct LastAttemptView {
    /// Status code of the response, if there was one.
    code: Option<u16>,
    error_code: Option<ErrorCode>,
    duration_ms: i64,
    /// When the attempt ended.
    at: Time,
}

impl From<&Delivery> for DeliveryView {
    fn from(delivery: &Delivery) -> DeliveryView {
        let waiting_for = delivery.waiting_for();
        DeliveryView {
            id: delivery.id.into(),
            event_id: delivery.event_id.as_str().into(),
            event_type: delivery.event_type.as_str().into(),
            webhook_id: delivery.webhook_id.into(),
            tenant: delivery.tenant.as_str().into(),
            status: delivery.status.into(),
            waiting_for: waiting_for.map(WaitingFor::from),
            discard_reason: delivery.discard_reason.map(DiscardReason::from),
            test: delivery.cause == Cause::Test,
            attempt_count: delivery.attempt_count,
            next_attempt_at: delivery.due_ms.filter(|_| waiting_for.is_none()).map(Time::at),
            created_at: Time::at(delivery.created_ms),
            finished_at: delivery.finished_ms.map(Time::at),
            last_attempt: delivery.last.as_ref().map(|last| LastAttemptView {
                code: last.code,
                error_code: last.error_code.map(ErrorCode::from),
                duration_ms: last.duration_ms,
                at: Time::at(last.at_ms),
            }),
            attempts: None,
            attempts_next_cursor: None,
        }
    }
}

impl From<DeliveryInFull> for DeliveryView {
    fn from(full: DeliveryInFull) -> DeliveryView {
        // Each attempt is dropped once it is shown, because bodies may be long.
        let attempts_of = ListId::of(&format!("/v1/deliveries/{}/attempts", full.delivery.id), "");
        let attempts = full.attempts.into_iter().map(|attempt| AttemptView::from(&attempt)).collect();
        DeliveryView {
            attempts: Some(attempts),
            attempts_next_cursor: Some(full.earlier.map(|cursor| attempts_of.cursor(cursor))),
            ..DeliveryView::from(&full.delivery)
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeliveryQuery {
    /// Only deliveries to these webhooks.
    webhook_id: Option<WebhookIds>,
    /// Only deliveries of this event.
    event_id: Option<EventId>,
    /// Only deliveries with these statuses.
    status: Option<DeliveryStatuses>,
    /// Only deliveries of events of these types.
    event_type: Option<EventTypePatterns>,
    /// Only deliveries of this tenant.
    tenant: Option<TenantName>,
    /// Only deliveries whose last attempt returned these status codes.
    response_code: Option<ResponseCodes>,
    /// Only deliveries whose last attempt failed with these codes.
    error_code: Option<ErrorCodes>,
    /// `true`: only tests; `false`: no tests.
    #[schemars(with = "bool")]
    test: Option<String>,
    /// Created at or after this time.
    since: Option<Time>,
    /// Created before this time.
    until: Option<Time>,
    /// Finished at or after this time.
    finished_since: Option<Time>,
    /// Finished before this time.
    finished_until: Option<Time>,
    /// Only deliveries whose id contains this text, or the id, `data` or `previous_data` of whose event does.
    q: Option<SearchText>,
    /// Order of the rows. Default: newest first. Not with `q`.
    order: Option<SortOrder>,
    /// Largest number of rows in the page.
    limit: Option<Limit>,
    /// Start of the page.
    cursor: Option<Cursor>,
}

impl DeliveryQuery {
    fn parse(&self, request: &HttpRequest, caller: &Caller) -> Result<(DeliveryFilter, Part), ApiError> {
        let texts = DeliveryTexts {
            webhook: self.webhook_id.as_deref(),
            event: self.event_id.as_deref(),
            status: self.status.as_deref(),
            event_type: self.event_type.as_deref(),
            code: self.response_code.as_deref(),
            error: self.error_code.as_deref(),
            test: self.test.as_deref(),
        };
        let filter = DeliveryFilter {
            tenant: caller.tenant_filter(self.tenant.as_deref())?,
            since: list::time("since", self.since.as_deref())?,
            until: list::time("until", self.until.as_deref())?,
            finished_since: list::time("finished_since", self.finished_since.as_deref())?,
            finished_until: list::time("finished_until", self.finished_until.as_deref())?,
            ..texts.parse()?
        };
        let (limit, cursor, order) = (self.limit.as_deref(), self.cursor.as_deref(), self.order.as_deref());
        Ok((filter, list::ordered_page(request, limit, cursor, order)?))
    }

    /// Like [`DeliveryQuery::parse`], for failed deliveries without tests.
    fn parse_dead_letters(&self, request: &HttpRequest, caller: &Caller) -> Result<(DeliveryFilter, Part), ApiError> {
        let (mut filter, page) = self.parse(request, caller)?;
        list::refuse("status", self.status.is_some(), "Dead letters have one status")?;
        list::refuse("test", filter.test.is_some(), "Dead letters are never tests")?;
        filter.statuses = DeliveryStatus::Failed.into();
        filter.test = Some(false);
        Ok((filter, page))
    }
}

async fn index(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let query: DeliveryQuery = extract::query(&request)?;
    show_list(&app, &caller, query.parse(&request, &caller)?, &query).await
}

async fn dead_letters(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let query: DeliveryQuery = extract::query(&request)?;
    show_list(&app, &caller, query.parse_dead_letters(&request, &caller)?, &query).await
}

async fn show_list(
    app: &App,
    caller: &Caller,
    (filter, page): (DeliveryFilter, Part),
    query: &DeliveryQuery,
) -> ApiResult {
    if let Some(needle) = list::parameter("q", query.q.as_deref())? {
        list::refuse_order(query.order.as_deref())?;
        let read = move |db: &_, text: &_| delivery::search(db, &filter, text, &page);
        return list::search(app, caller, (needle, page), read, |found| DeliveryView::from(&found.delivery)).await;
    }
    let read = move |connection: &_| delivery::list(connection, &filter, &page);
    list::show(app, caller, page, read, |delivery| DeliveryView::from(&delivery)).await
}

async fn export(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let query: DeliveryQuery = extract::query(&request)?;
    list::refuse_page(query.limit.as_deref(), query.cursor.as_deref())?;
    list::refuse("q", query.q.is_some(), "An export takes no text")?;
    list::refuse("order", query.order.is_some(), "An export has one order")?;
    let (filter, _) = query.parse_dead_letters(&request, &caller)?;
    export::dead_letters(&app, caller, filter).await
}

async fn show(app: Data<App>, Reader(caller): Reader, id: Path<String>, conditions: Preconditions) -> ApiResult {
    let store = app.actions.store.clone();
    let reader = caller.clone();
    let read = move || store.read(|db| lookup::delivery_in_full(db, &caller, &id)).map(DeliveryView::from);
    respond_to_one(&app, &reader, conditions, read).await
}

async fn attempts(app: Data<App>, request: HttpRequest, Reader(caller): Reader, id: Path<String>) -> ApiResult {
    let page = extract::query::<PageQuery>(&request)?.parse(&request)?;
    let reader = caller.clone();
    let read = move |db: &_| lookup::attempts(db, &caller, &id, &page);
    list::show(&app, &reader, page, read, |attempt| AttemptView::from(&attempt)).await
}

async fn retry(app: Data<App>, Administrator(caller): Administrator, id: Path<String>) -> ApiResult {
    let delivery = app.actions.retry(&caller, &id).committed().await?;
    Ok(HttpResponse::Accepted().json(DeliveryView::from(&delivery)))
}

async fn discard(app: Data<App>, Administrator(caller): Administrator, id: Path<String>) -> ApiResult {
    let delivery = app.actions.discard(&caller, &id).committed().await?;
    Ok(HttpResponse::Accepted().json(DeliveryView::from(&delivery)))
}
