//! `/v1/deliveries/retry` and `/v1/deliveries/discard`: many deliveries in one call.

use actix_web::HttpResponse;
use actix_web::web::Data;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::delivery_filter::DeliveryTexts;
use super::deliveries::FILTER_CODES;
use super::openapi::schema::{
    DeliveryId, DeliveryStatuses, ErrorCodes, EventId, EventTypePatterns, ResponseCodes, TenantName, Time, WebhookIds,
};
use super::{Administrator, ApiError, ApiResult, App, Call, Caller, JsonBody, Scope, Table, list};
use crate::actions::ActionError;
use crate::actions::delivery::bulk::{BulkAction, MOST_IDS, Selection};
use crate::store::delivery::DeliveryFilter;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/deliveries/retry").post(retry, describe_retry);
    table.at("/v1/deliveries/discard").post(discard, describe_discard);
}

fn describe_retry(call: &mut Call<'_>) {
    call.operation("Deliveries", "retry_deliveries", "Retry many deliveries")
        .description("Failed deliveries start a new series of attempts, and pending ones are sent now. With `ids` or `\"status\": \"delivered\"`, delivered ones are sent again. Skips tests, discarded deliveries and those of deleted webhooks. The response follows when all are stored; if the server stops before, a 503 states how many are.");
    describe(call);
    call.queues_deliveries();
}

fn describe_discard(call: &mut Call<'_>) {
    call.operation("Deliveries", "discard_deliveries", "Discard many deliveries")
        .description("Cancels pending and retrying deliveries permanently. Skips others.");
    describe(call);
}

fn describe(call: &mut Call<'_>) {
    call.scope(Scope::Admin)
        .is_job()
        .request_body::<BulkBody>(
            r#"{"webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB", "status": "failed", "dry_run": true}"#,
        )
        .response::<Changed>(200, "With `dry_run`: the number of matches.", r#"{"count": 12}"#)
        .response::<Changed>(202, "The number of changed deliveries.", r#"{"count": 12}"#)
        .errors(422, FILTER_CODES)
        .errors(422, &["missing_filter", "ids_with_filter", "invalid_ids"]);
}

/// Selects deliveries by `ids` (1 to 1,000), by at least one filter of `GET /v1/deliveries`, or `all`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeliverySelection")]
struct BulkBody {
    #[schemars(length(min = 1, max = MOST_IDS))]
    ids: Option<Vec<DeliveryId>>,
    /// Selects all deliveries if no filter is set.
    #[serde(default)]
    all: bool,
    /// Only count the matches.
    #[serde(default)]
    dry_run: bool,
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
    response_code: Option<CodesValue>,
    /// Only deliveries whose last attempt failed with these codes.
    error_code: Option<ErrorCodes>,
    /// Tests are always skipped; only `false` is accepted.
    test: Option<bool>,
    /// Created at or after this time.
    since: Option<Time>,
    /// Created before this time.
    until: Option<Time>,
    /// Finished at or after this time.
    finished_since: Option<Time>,
    /// Finished before this time.
    finished_until: Option<Time>,
}

/// Response codes: a number, or a text of several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a status code, or a text such as \"5xx\"")]
enum CodesValue {
    Code(u16),
    Codes(ResponseCodes),
}

impl CodesValue {
    fn text(&self) -> String {
        match self {
            CodesValue::Code(code) => code.to_string(),
            CodesValue::Codes(codes) => codes.to_string(),
        }
    }
}

/// Number of deliveries that a bulk action changed, or with `dry_run` would change.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChangedDeliveries")]
struct Changed {
    count: u64,
    /// With `ids`: those that no delivery has, or none that the key can see. Nothing was done for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<DeliveryId>")]
    unknown: Option<Vec<DeliveryId>>,
}

/// Number of rows that a bulk action changed, or with `dry_run` would change.
#[derive(Serialize, JsonSchema)]
pub(super) struct Count {
    count: u64,
}

/// Runs a bulk action once there is a place, and responds with its count: 202, or 200 for a dry run. `work` gets a
/// function that returns whether another step may begin, which is `false` once the server stops.
pub(super) async fn run(
    app: &App,
    caller: Caller,
    dry_run: bool,
    work: impl FnOnce(&Caller, &dyn Fn() -> bool) -> Result<u64, ActionError> + Send + 'static,
) -> ApiResult {
    run_as(app, caller, dry_run, move |caller, go_on| Ok(Count { count: work(caller, go_on)? })).await
}

/// Like [`run`], with another response.
async fn run_as<T: Serialize + Send + 'static>(
    app: &App,
    caller: Caller,
    dry_run: bool,
    work: impl FnOnce(&Caller, &dyn Fn() -> bool) -> Result<T, ActionError> + Send + 'static,
) -> ApiResult {
    let state = app.clone();
    let done = app.jobs.run(caller, move |caller| work(caller, &|| !state.is_stopping())).await??;
    Ok(if dry_run { HttpResponse::Ok().json(done) } else { HttpResponse::Accepted().json(done) })
}

async fn retry(app: Data<App>, Administrator(caller): Administrator, body: JsonBody) -> ApiResult {
    run_on_selection(&app, caller, BulkAction::Retry, &body).await
}

async fn discard(app: Data<App>, Administrator(caller): Administrator, body: JsonBody) -> ApiResult {
    run_on_selection(&app, caller, BulkAction::Discard, &body).await
}

async fn run_on_selection(app: &App, caller: Caller, action: BulkAction, body: &JsonBody) -> ApiResult {
    let body: BulkBody = body.parse()?;
    let (actions, selection, dry_run) = (app.actions.clone(), body.parse(&caller)?, body.dry_run);
    run_as(app, caller, dry_run, move |caller, go_on| {
        let unknown = match &selection {
            Selection::Ids(ids) => Some(actions.unknown_deliveries(caller, ids)?),
            Selection::Undelivered(_) | Selection::Matching(_) => None,
        };
        let count = actions.bulk(caller, action, &selection, dry_run, go_on)?;
        let unknown = unknown.map(|ids| ids.into_iter().map(DeliveryId::from).collect());
        Ok(Changed { count, unknown })
    })
    .await
}

impl BulkBody {
    fn parse(&self, caller: &Caller) -> Result<Selection, ApiError> {
        let has_filter = self.has_filter();
        let Some(ids) = &self.ids else {
            if !has_filter && !self.all {
                return Err(ApiError::invalid(
                    "missing_filter",
                    "Select deliveries with \"ids\", a filter such as \"webhook_id\", or \"all\": true.",
                ));
            }
            return self.filter(caller).map(Selection::Matching);
        };
        if has_filter || self.all {
            return Err(ApiError::invalid("ids_with_filter", "Send either ids or a filter, not both.").in_field("ids"));
        }
        if !(1..=MOST_IDS).contains(&ids.len()) {
            let message = format!("ids must hold 1 to {MOST_IDS} delivery ids, not {}.", ids.len());
            return Err(ApiError::invalid("invalid_ids", message).in_field("ids"));
        }
        let id = |(index, text): (usize, &DeliveryId)| {
            text.parse().map_err(|_| {
                ApiError::invalid("invalid_ids", "A delivery id looks like dlv_….").in_field(format!("ids[{index}]"))
            })
        };
        Ok(Selection::Ids(ids.iter().enumerate().map(id).collect::<Result<_, _>>()?))
    }

    fn has_filter(&self) -> bool {
        self.webhook_id.is_some()
            || self.event_id.is_some()
            || self.status.is_some()
            || self.event_type.is_some()
            || self.tenant.is_some()
            || self.response_code.is_some()
            || self.error_code.is_some()
            || self.test.is_some()
            || self.since.is_some()
            || self.until.is_some()
            || self.finished_since.is_some()
            || self.finished_until.is_some()
    }

    fn filter(&self, caller: &Caller) -> Result<DeliveryFilter, ApiError> {
        if self.test == Some(true) {
            let message = "Tests cannot be retried or discarded. Omit test, or set it to false.";
            return Err(ApiError::invalid("invalid_parameter", message).in_field("test"));
        }
        let code = self.response_code.as_ref().map(CodesValue::text);
        let texts = DeliveryTexts {
            webhook: self.webhook_id.as_deref(),
            event: self.event_id.as_deref(),
            status: self.status.as_deref(),
            event_type: self.event_type.as_deref(),
            code: code.as_deref(),
            error: self.error_code.as_deref(),
            test: Some("false"),
        };
        Ok(DeliveryFilter {
            tenant: caller.tenant_filter(self.tenant.as_deref())?,
            since: list::time("since", self.since.as_deref())?,
            until: list::time("until", self.until.as_deref())?,
            finished_since: list::time("finished_since", self.finished_since.as_deref())?,
            finished_until: list::time("finished_until", self.finished_until.as_deref())?,
            ..texts.parse()?
        })
    }
}
