//! `/v1/deliveries/retry` and `/v1/deliveries/discard`: many deliveries in one call.

use actix_web::HttpResponse;
use actix_web::web::Data;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{Administrator, JsonBody};
use super::deliveries::FILTER;
use super::table::Table;
use super::{blocking, list};
use crate::actions::delivery::bulk::{BulkAction, MOST_IDS, Selection};
use crate::actions::{ActionError, Caller};
use crate::domain::json::whole;
use crate::http::api::openapi::{Call, schema};
use crate::store::api_key::Scope;
use crate::store::delivery::DeliveryFilter;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/deliveries/retry").post(retry, describe_retry);
    table.at("/v1/deliveries/discard").post(discard, describe_discard);
}

fn describe_retry(call: &mut Call<'_>) {
    call.named("retry_deliveries", "Retry many deliveries")
        .of("Deliveries")
        .says("Failed deliveries start a fresh series of attempts, waiting ones are due now, and with `\"status\": \"delivered\"` those that got through are sent again. Tests, discarded deliveries and those of deleted webhooks are passed over.");
    describe(call);
}

fn describe_discard(call: &mut Call<'_>) {
    call.named("discard_deliveries", "Discard many deliveries")
        .of("Deliveries")
        .says("Those that wait are given up for good; others are passed over.");
    describe(call);
}

fn describe(call: &mut Call<'_>) {
    call.needs(Scope::Admin)
        .takes::<BulkBody>(r#"{"webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB", "status": "failed", "dry_run": true}"#)
        .answers::<Count>(200, "How many it would be, with `dry_run`.", r#"{"count": 12}"#)
        .answers::<Count>(202, "How many it were.", r#"{"count": 12}"#)
        .fails(422, FILTER)
        .fails(422, &["missing_filter", "ids_with_filter", "invalid_ids"]);
}

/// Which deliveries are meant: `ids` (1 to 1,000), or the filter of `GET /v1/deliveries`, of which one field at least
/// is named, or `all`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeliverySelection", extend("anyOf" = selections()))]
struct BulkBody {
    #[schemars(with = "Option<Vec<schema::DeliveryId>>", length(min = 1, max = MOST_IDS))]
    ids: Option<Vec<String>>,
    /// All of them, where nothing else is named.
    #[serde(default)]
    all: bool,
    /// Count alone.
    #[serde(default)]
    dry_run: bool,
    /// Those to this webhook.
    #[schemars(with = "Option<schema::WebhookId>")]
    webhook_id: Option<String>,
    /// Those of this event.
    #[schemars(with = "Option<schema::EventId>")]
    event_id: Option<String>,
    /// Those that stand so.
    #[schemars(with = "Option<schema::DeliveryStatus>")]
    status: Option<String>,
    /// Those of events of this type.
    #[schemars(with = "Option<schema::EventTypeName>")]
    event_type: Option<String>,
    /// Those of this tenant.
    #[schemars(with = "Option<schema::TenantName>")]
    tenant: Option<String>,
    /// Those whose last attempt was answered with this status.
    #[serde(default, deserialize_with = "whole")]
    response_code: Option<u16>,
    /// Those whose last attempt failed so.
    #[schemars(with = "Option<schema::ErrorCode>")]
    error_code: Option<String>,
    /// Tests are passed over anyhow, so this is no more than `false`.
    #[schemars(extend("enum" = [false, null]))]
    test: Option<bool>,
    /// Created at or after.
    #[schemars(with = "Option<schema::Time>")]
    since: Option<String>,
    /// Created before.
    #[schemars(with = "Option<schema::Time>")]
    until: Option<String>,
}

/// The fields that say which deliveries are meant.
const FILTERS: [&str; 10] = [
    "webhook_id",
    "event_id",
    "status",
    "event_type",
    "tenant",
    "response_code",
    "error_code",
    "test",
    "since",
    "until",
];

/// Either ids alone, or `all`, or a field of the filter that is not null.
fn selections() -> serde_json::Value {
    let absent = |names: &[&str]| -> serde_json::Map<String, serde_json::Value> {
        let null = |name: &&str| ((*name).to_owned(), json!({"type": "null"}));
        names.iter().map(null).collect()
    };
    let mut alone = absent(&FILTERS);
    alone.insert("ids".to_owned(), json!({"type": "array"}));
    alone.insert("all".to_owned(), json!({"const": false}));
    let some = |name: &&str| json!({"properties": {"ids": {"type": "null"}, *name: {"not": {"type": "null"}}}, "required": [*name]});
    let by_ids = json!({"properties": alone, "required": ["ids"]});
    let all = json!({"properties": {"ids": {"type": "null"}, "all": {"const": true}}, "required": ["all"]});
    [by_ids, all].into_iter().chain(FILTERS.iter().map(some)).collect()
}

/// How many rows an action in steps changed, or with `dry_run` would change.
#[derive(Serialize, JsonSchema)]
pub(super) struct Count {
    count: u64,
}

/// 202 with what was done; 200 with what would be.
pub(super) fn counted(count: u64, dry_run: bool) -> HttpResponse {
    if dry_run { HttpResponse::Ok().json(Count { count }) } else { HttpResponse::Accepted().json(Count { count }) }
}

/// Runs an action in steps, two of them at a time, on a thread that may block. The function it is given says
/// whether another step may begin: none does once the server stops.
pub(super) async fn in_steps(
    app: &App,
    work: impl FnOnce(&dyn Fn() -> bool) -> Result<u64, ActionError> + Send + 'static,
) -> Result<u64, ApiError> {
    let permit = app.bulk_permit().await?;
    let app = app.clone();
    let count = blocking(move || {
        // Held to the end, even if the client disconnects before.
        let _permit = permit;
        work(&|| !app.is_stopping())
    });
    Ok(count.await??)
}

/// `POST /v1/deliveries/retry`: failed deliveries start a fresh series of attempts, waiting ones are due now, and
/// with `"status": "delivered"` those that got through are sent again. Tests, discarded deliveries and those of
/// deleted webhooks are passed over. Answered once all is done; where the server stops in between, with a 503 that
/// says how far it came.
async fn retry(app: Data<App>, Administrator(caller): Administrator, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let body: BulkBody = body.parse()?;
    let selection = body.parse(&caller)?;
    let (actions, dry_run) = (app.actions.clone(), body.dry_run);
    let count = in_steps(&app, move |go_on| actions.bulk(&caller, BulkAction::Retry, &selection, dry_run, go_on));
    Ok(counted(count.await?, dry_run))
}

/// `POST /v1/deliveries/discard`: the same for giving up deliveries that wait.
async fn discard(
    app: Data<App>,
    Administrator(caller): Administrator,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let body: BulkBody = body.parse()?;
    let selection = body.parse(&caller)?;
    let (actions, dry_run) = (app.actions.clone(), body.dry_run);
    let count = in_steps(&app, move |go_on| actions.bulk(&caller, BulkAction::Discard, &selection, dry_run, go_on));
    Ok(counted(count.await?, dry_run))
}

impl BulkBody {
    fn parse(&self, caller: &Caller) -> Result<Selection, ApiError> {
        let has_filter = self.has_filter();
        let Some(ids) = &self.ids else {
            if !has_filter && !self.all {
                return Err(ApiError::invalid(
                    "missing_filter",
                    "Say which deliveries are meant: \"ids\", a filter such as \"webhook_id\", or \"all\": true.",
                ));
            }
            return self.filter(caller).map(Selection::Matching);
        };
        if has_filter || self.all {
            return Err(ApiError::invalid("ids_with_filter", "Send either ids or a filter, not both.").in_field("ids"));
        }
        if !(1..=MOST_IDS).contains(&ids.len()) {
            return Err(ApiError::invalid(
                "invalid_ids",
                format!("ids holds 1 to {MOST_IDS} ids of deliveries; this one {}.", ids.len()),
            )
            .in_field("ids"));
        }
        let id = |(index, text): (usize, &String)| {
            text.parse().map_err(|_| {
                ApiError::invalid("invalid_ids", "The id of a delivery looks like dlv_….")
                    .in_field(format!("ids[{index}]"))
            })
        };
        let ids = ids.iter().enumerate().map(id).collect::<Result<_, _>>()?;
        Ok(Selection::Ids(ids))
    }

    fn has_filter(&self) -> bool {
        let texts = [
            &self.webhook_id,
            &self.event_id,
            &self.status,
            &self.event_type,
            &self.tenant,
            &self.error_code,
            &self.since,
            &self.until,
        ];
        texts.iter().any(|text| text.is_some()) || self.response_code.is_some() || self.test.is_some()
    }

    fn filter(&self, caller: &Caller) -> Result<DeliveryFilter, ApiError> {
        if self.test == Some(true) {
            return Err(ApiError::invalid(
                "invalid_parameter",
                "A test is attempted once; leave test out, or say false.",
            )
            .in_field("test"));
        }
        Ok(DeliveryFilter {
            webhook: list::other("webhook_id", self.webhook_id.as_deref(), "an id such as wh_…")?,
            event: list::parameter("event_id", self.event_id.as_deref())?,
            status: list::parameter("status", self.status.as_deref())?,
            event_type: list::parameter("event_type", self.event_type.as_deref())?,
            tenant: caller.tenant_filter(self.tenant.as_deref())?,
            response_code: self.response_code,
            error_code: list::other("error_code", self.error_code.as_deref(), "an error code such as timeout")?,
            test: Some(false),
            since: list::time("since", self.since.as_deref())?,
            until: list::time("until", self.until.as_deref())?,
        })
    }
}
