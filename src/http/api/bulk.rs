//! `/v1/deliveries/retry` and `/v1/deliveries/discard`: many deliveries in one call.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{Administrator, JsonBody};
use super::{blocking, list, resource};
use crate::actions::bulk::{MOST_IDS, Selection};
use crate::actions::{ActionError, Caller};
use crate::store::delivery::DeliveryFilter;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/v1/deliveries/retry").route(web::post().to(retry)));
    config.service(resource("/v1/deliveries/discard").route(web::post().to(discard)));
}

/// Which deliveries are meant: `ids` (1 to 1,000), or the filter of `GET /v1/deliveries`, of which one field at least
/// is named, or `all`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BulkBody {
    ids: Option<Vec<String>>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    dry_run: bool,
    webhook_id: Option<String>,
    event_id: Option<String>,
    status: Option<String>,
    event_type: Option<String>,
    tenant: Option<String>,
    response_code: Option<u16>,
    error_code: Option<String>,
    test: Option<bool>,
    since: Option<String>,
    until: Option<String>,
}

/// How many rows an action in steps changed, or with `dry_run` would change.
#[derive(Serialize)]
pub(super) struct Count {
    count: u64,
}

/// 202 with what was done; 200 with what would be.
pub(super) fn counted(count: u64, dry_run: bool) -> HttpResponse {
    match dry_run {
        true => HttpResponse::Ok().json(Count { count }),
        false => HttpResponse::Accepted().json(Count { count }),
    }
}

/// Runs an action in steps, two of them at a time, on a thread that may block. The function it is given says
/// whether another step may begin: none does once the server stops.
pub(super) async fn in_steps(
    app: &App,
    work: impl FnOnce(&dyn Fn() -> bool) -> Result<u64, ActionError> + Send + 'static,
) -> Result<u64, ApiError> {
    let permit = app.bulk_permit().await?;
    let app = app.clone();
    blocking(move || {
        // Held to the end, also where the client goes away before.
        let _permit = permit;
        work(&|| !app.is_stopping())
    })
    .await
}

/// `POST /v1/deliveries/retry`: failed deliveries start a fresh series of attempts, waiting ones are due now, and
/// with `"status": "delivered"` those that got through are sent again. Tests, discarded deliveries and those of
/// deleted webhooks are passed over. Answered once all is done; where the server stops in between, with a 503 that
/// says how far it came.
async fn retry(
    app: Data<App>,
    Administrator(caller): Administrator,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let body: BulkBody = body.parse()?;
    let selection = body.parse(&caller)?;
    let (actions, dry_run) = (app.actions.clone(), body.dry_run);
    let count = in_steps(&app, move |go_on| {
        actions.retry_all(&caller, &selection, dry_run, go_on)
    });
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
    let count = in_steps(&app, move |go_on| {
        actions.discard_all(&caller, &selection, dry_run, go_on)
    });
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
            return Err(ApiError::invalid(
                "ids_with_filter",
                "Send either ids or a filter, not both.",
            )
            .in_field("ids"));
        }
        if !(1..=MOST_IDS).contains(&ids.len()) {
            return Err(ApiError::invalid(
                "invalid_ids",
                format!(
                    "ids holds 1 to {MOST_IDS} ids of deliveries; this one {}.",
                    ids.len()
                ),
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
        texts.iter().any(|text| text.is_some())
            || self.response_code.is_some()
            || self.test.is_some()
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
            webhook: list::other(
                "webhook_id",
                self.webhook_id.as_deref(),
                "an id such as wh_…",
            )?,
            event: list::parameter("event_id", self.event_id.as_deref())?,
            status: list::parameter("status", self.status.as_deref())?,
            event_type: list::parameter("event_type", self.event_type.as_deref())?,
            tenant: caller.tenant_filter(self.tenant.as_deref())?,
            response_code: self.response_code,
            error_code: list::other(
                "error_code",
                self.error_code.as_deref(),
                "an error code such as timeout",
            )?,
            test: Some(false),
            since: list::time("since", self.since.as_deref())?,
            until: list::time("until", self.until.as_deref())?,
        })
    }
}
