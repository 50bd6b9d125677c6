//! `/v1/deliveries` and `/v1/dead-letters`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Administrator, Reader};
use super::table::Table;
use super::{blocking, list, view};
use crate::actions::Caller;
use crate::domain::delivery::DeliveryStatus;
use crate::http::api::openapi::{Call, Codes, schema};
use crate::store::api_key::Scope;
use crate::store::delivery::{self, DeliveryFilter};
use crate::store::page::PageRequest;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/deliveries").get(index, describe_index);
    table.at("/v1/deliveries/{id}").get(show, describe_show);
    table.at("/v1/deliveries/{id}/retry").post(retry, describe_retry);
    table.at("/v1/deliveries/{id}/discard").post(discard, describe_discard);
    table.at("/v1/dead-letters").get(dead_letters, describe_dead_letters);
}

const EXAMPLE: &str = r#"{"id": "dlv_01KF0AVD80KJ7YV7F6E4E2QHPQ", "event_id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H",
    "event_type": "content.published", "webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB", "tenant": "default", "status": "failed",
    "waiting_for": null, "test": false, "attempt_count": 1, "next_attempt_at": null, "created_at": "2026-01-15T10:00:00.000Z",
    "finished_at": "2026-01-15T10:00:00.105Z", "last_attempt": {"code": 410, "error_code": "status", "duration_ms": 105,
        "at": "2026-01-15T10:00:00.105Z"}}"#;

pub(super) const IN_FULL: &str = r#"{"id": "dlv_01KF0AVD80KJ7YV7F6E4E2QHPQ", "event_id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H",
    "event_type": "content.published", "webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB", "tenant": "default", "status": "failed",
    "waiting_for": null, "test": false, "attempt_count": 1, "next_attempt_at": null, "created_at": "2026-01-15T10:00:00.000Z",
    "finished_at": "2026-01-15T10:00:00.105Z", "last_attempt": {"code": 410, "error_code": "status", "duration_ms": 105,
        "at": "2026-01-15T10:00:00.105Z"},
    "attempts": [{"id": "att_01KF0AVD80HN2FAV4PZ36HVTQC", "number": 1,
    "trigger": "initial", "started_at": "2026-01-15T10:00:00.000Z", "duration_ms": 105, "timings": {"resolve_ms": 1.25,
        "connect_ms": 20.5, "tls_ms": 41.75, "first_byte_ms": 104.5}, "remote_address": "192.0.2.7:443", "connections": 1,
    "request": {"url": "https://hooks.example/orders", "headers": {"Content-Type": "application/json",
        "User-Agent": "Hookpost/0.1.0"}, "body": "{\"id\":\"evt_01KF0AVD80A4NYB3X1YPR2TZ8H\"}"},
    "response": {"code": 410, "headers": {"content-length": "0"}, "body": "", "body_truncated": false},
    "error": {"code": "status", "message": "The endpoint answered 410 Gone."}}]}"#;

/// An attempt, up to its closing brace.
pub(super) const ATTEMPT: &str = r#"{"id": "att_01KF0AVD80HN2FAV4PZ36HVTQC", "number": 1,
    "trigger": "initial", "started_at": "2026-01-15T10:00:00.000Z", "duration_ms": 105, "timings": {"resolve_ms": 1.25,
        "connect_ms": 20.5, "tls_ms": 41.75, "first_byte_ms": 104.5}, "remote_address": "192.0.2.7:443", "connections": 1,
    "request": {"url": "https://hooks.example/orders", "headers": {"Content-Type": "application/json",
        "User-Agent": "Hookpost/0.1.0"}, "body": "{\"id\":\"evt_01KF0AVD80A4NYB3X1YPR2TZ8H\"}"},
    "response": {"code": 410, "headers": {"content-length": "0"}, "body": "", "body_truncated": false},
    "error": {"code": "status", "message": "The endpoint answered 410 Gone."}"#;

const PAGE: &str = r#"{"data": [], "next_cursor": null}"#;

/// What a filter may get wrong.
pub(super) const FILTER: Codes =
    &["invalid_parameter", "invalid_value", "invalid_event_id", "invalid_event_type", "invalid_tenant", "invalid_time"];

fn describe_index(call: &mut Call<'_>) {
    call.named("list_deliveries", "List deliveries")
        .of("Deliveries")
        .says("Without their attempts.")
        .needs(Scope::Read)
        .pages::<DeliveryQuery>()
        .answers::<list::ListResponse<view::DeliveryView>>(200, "A page of them.", PAGE)
        .fails(422, FILTER);
}

fn describe_show(call: &mut Call<'_>) {
    call.named("show_delivery", "Show a delivery")
        .of("Deliveries")
        .says("With every attempt: what was sent, and what came back.")
        .needs(Scope::Read)
        .path::<schema::DeliveryId>("id", "The id of the delivery.")
        .answers::<view::DeliveryView>(200, "The delivery.", IN_FULL);
}

fn describe_retry(call: &mut Call<'_>) {
    call.named("retry_delivery", "Retry a delivery")
        .of("Deliveries")
        .says("One that is finished starts a fresh series of attempts; one that waits is due now. One of an inactive webhook waits for it.")
        .needs(Scope::Admin)
        .path::<schema::DeliveryId>("id", "The id of the delivery.")
        .answers::<view::DeliveryView>(202, "The delivery, as it is now.", EXAMPLE)
        .fails(409, &["test_delivery", "webhook_deleted", "delivery_discarded"]);
}

fn describe_discard(call: &mut Call<'_>) {
    call.named("discard_delivery", "Discard a delivery")
        .of("Deliveries")
        .says("One that waits is given up for good.")
        .needs(Scope::Admin)
        .path::<schema::DeliveryId>("id", "The id of the delivery.")
        .answers::<view::DeliveryView>(202, "The delivery, as it is now.", EXAMPLE)
        .fails(409, &["delivery_finished"]);
}

fn describe_dead_letters(call: &mut Call<'_>) {
    call.named("list_dead_letters", "List dead letters")
        .of("Deliveries")
        .says("Deliveries that failed, tests left out.")
        .needs(Scope::Read)
        .pages::<DeliveryQuery>()
        .without(&["status", "test"])
        .answers::<list::ListResponse<view::DeliveryView>>(200, "A page of them.", PAGE)
        .fails(422, FILTER);
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveryQuery {
    /// Those to this webhook.
    #[schemars(with = "schema::WebhookId")]
    webhook_id: Option<String>,
    /// Those of this event.
    #[schemars(with = "schema::EventId")]
    event_id: Option<String>,
    /// Those that stand so.
    #[schemars(with = "schema::DeliveryStatus")]
    status: Option<String>,
    /// Those of events of this type.
    #[schemars(with = "schema::EventTypeName")]
    event_type: Option<String>,
    /// Those of this tenant.
    #[schemars(with = "schema::TenantName")]
    tenant: Option<String>,
    /// Those whose last attempt was answered with this status.
    #[schemars(with = "u16")]
    response_code: Option<String>,
    /// Those whose last attempt failed so.
    #[schemars(with = "schema::ErrorCode")]
    error_code: Option<String>,
    /// Tests alone, or no tests.
    #[schemars(with = "bool")]
    test: Option<String>,
    /// Created at or after.
    #[schemars(with = "schema::Time")]
    since: Option<String>,
    /// Created before.
    #[schemars(with = "schema::Time")]
    until: Option<String>,
    /// Rows of a page at most.
    #[schemars(with = "schema::Limit")]
    limit: Option<String>,
    /// Where the page begins.
    #[schemars(with = "schema::Cursor")]
    cursor: Option<String>,
}

impl DeliveryQuery {
    fn parse(&self, caller: &Caller) -> Result<(DeliveryFilter, PageRequest), ApiError> {
        let filter = DeliveryFilter {
            webhook: list::other("webhook_id", self.webhook_id.as_deref(), "an id such as wh_…")?,
            event: list::parameter("event_id", self.event_id.as_deref())?,
            status: list::parameter("status", self.status.as_deref())?,
            event_type: list::parameter("event_type", self.event_type.as_deref())?,
            tenant: caller.tenant_filter(self.tenant.as_deref())?,
            response_code: list::other("response_code", self.response_code.as_deref(), "a status code such as 500")?,
            error_code: list::other("error_code", self.error_code.as_deref(), "an error code such as timeout")?,
            test: list::other("test", self.test.as_deref(), "true or false")?,
            since: list::time("since", self.since.as_deref())?,
            until: list::time("until", self.until.as_deref())?,
        };
        let page = list::page(self.limit.as_deref(), self.cursor.as_deref())?;
        Ok((filter, page))
    }

    /// The same for dead letters: deliveries that failed, tests left out.
    fn dead_letters(&self, caller: &Caller) -> Result<(DeliveryFilter, PageRequest), ApiError> {
        let (mut filter, page) = self.parse(caller)?;
        for (name, given) in [("status", filter.status.is_some()), ("test", filter.test.is_some())] {
            if given {
                return Err(ApiError::invalid(
                    "unknown_parameter",
                    format!("Dead letters have one status and are no tests; leave {name} out."),
                )
                .in_field(name));
            }
        }
        filter.status = Some(DeliveryStatus::Failed);
        filter.test = Some(false);
        Ok((filter, page))
    }

    /// All dead letters, not a page of them.
    pub(super) fn all_dead_letters(&self, caller: &Caller) -> Result<DeliveryFilter, ApiError> {
        for (name, given) in [("limit", &self.limit), ("cursor", &self.cursor)] {
            if given.is_some() {
                return Err(ApiError::invalid(
                    "unknown_parameter",
                    format!("An export holds all that match; leave {name} out."),
                )
                .in_field(name));
            }
        }
        Ok(self.dead_letters(caller)?.0)
    }
}

/// `GET /v1/deliveries`.
async fn index(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> Result<HttpResponse, ApiError> {
    let query: DeliveryQuery = extract::query(&request)?;
    let (filter, page) = query.parse(&caller)?;
    show_list(&app, filter, page).await
}

/// `GET /v1/dead-letters`: deliveries that failed, tests left out.
async fn dead_letters(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> Result<HttpResponse, ApiError> {
    let query: DeliveryQuery = extract::query(&request)?;
    let (filter, page) = query.dead_letters(&caller)?;
    show_list(&app, filter, page).await
}

async fn show_list(app: &App, filter: DeliveryFilter, page: PageRequest) -> Result<HttpResponse, ApiError> {
    let store = app.actions.store.clone();
    let found = blocking(move || store.read(|connection| delivery::list(connection, &filter, &page)));
    Ok(list::show(found.await??, |delivery| view::delivery(&delivery)))
}

/// `GET /v1/deliveries/{id}`: with every attempt.
async fn show(app: Data<App>, Reader(caller): Reader, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let actions = app.actions.clone();
    let full = blocking(move || actions.delivery_in_full(&caller, &id)).await??;
    Ok(HttpResponse::Ok().json(view::delivery_in_full(&full)))
}

/// `POST /v1/deliveries/{id}/retry`.
async fn retry(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let delivery = app.actions.retry(&caller, &id).committed().await?;
    Ok(HttpResponse::Accepted().json(view::delivery(&delivery)))
}

/// `POST /v1/deliveries/{id}/discard`.
async fn discard(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let delivery = app.actions.discard(&caller, &id).committed().await?;
    Ok(HttpResponse::Accepted().json(view::delivery(&delivery)))
}
