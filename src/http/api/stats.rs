//! `/v1/stats` and `/v1/webhooks/{id}/stats`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Reader};
use super::table::Table;
use super::{blocking, list};
use crate::actions::statistics::{Statistics, Window};
use crate::domain::time::rfc3339;
use crate::http::api::openapi::{Call, schema};
use crate::store::api_key::Scope;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/stats").get(overall, describe_overall);
}

pub(super) fn webhook_routes(table: &mut Table, base: &str) {
    table.at(format!("{base}/webhooks/{{id}}/stats")).get(of_webhook, describe_of_webhook);
}

const EXAMPLE: &str = r#"{"window": "24h", "since": "2026-01-14T11:00:00.000Z", "delivered": 1200, "failed": 3,
    "pending": 2, "retrying": 1, "retry_attempts": 14, "success_rate": 0.998, "average_response_ms": 41.5,
    "p95_response_ms": 96.0}"#;

fn describe_overall(call: &mut Call<'_>) {
    call.named("stats", "Statistics over all webhooks")
        .of("Deliveries")
        .says("Of a window that ends now. Tests and challenges are left out.")
        .needs(Scope::Read)
        .query::<OverallQuery>()
        .answers::<StatsView>(200, "The numbers.", EXAMPLE)
        .fails(422, &["invalid_value", "invalid_tenant"]);
}

fn describe_of_webhook(call: &mut Call<'_>) {
    call.named("webhook_stats", "Statistics of a webhook")
        .of("Webhooks")
        .says("Of a window that ends now. Tests and challenges are left out.")
        .needs(Scope::Read)
        .path::<schema::WebhookId>("id", "The id of the webhook.")
        .query::<WebhookQuery>()
        .answers::<StatsView>(200, "The numbers.", EXAMPLE)
        .fails(422, &["invalid_value"]);
}

/// Statistics of a window. Tests and challenges are left out. A delivery counts when it finishes, and again when it
/// finishes again after a retry by hand.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Statistics")]
struct StatsView {
    #[schemars(with = "schema::Window")]
    window: &'static str,
    /// Where the window begins: at whole 5 minutes (`1h`), hours (`24h`, `7d`) or days (`30d`), in UTC.
    #[schemars(with = "schema::Time")]
    since: String,
    /// Deliveries that got through in the window.
    delivered: u64,
    /// Deliveries whose attempts were used up in the window.
    failed: u64,
    /// Deliveries that wait now and were not attempted, or start anew.
    pending: u64,
    /// Deliveries that wait now after a failed attempt.
    retrying: u64,
    /// Attempts in the window that were not the first of their delivery.
    retry_attempts: u64,
    /// delivered ÷ (delivered + failed), 0 to 1; `null` where both are 0.
    success_rate: Option<f64>,
    /// Milliseconds from the start of an attempt to the end of its answer, whatever that said; an attempt without an
    /// answer does not count. `null` where there was none.
    average_response_ms: Option<f64>,
    /// 95 % took no longer: within 1 ms below 16 ms, within 12.5 % above.
    p95_response_ms: Option<f64>,
}

fn view(of: &Statistics) -> StatsView {
    let thousandth = |number: f64| (number * 1_000.0).round() / 1_000.0;
    StatsView {
        window: of.window.into_str(),
        since: rfc3339(of.since_ms),
        delivered: of.sums.delivered,
        failed: of.sums.failed,
        pending: of.waiting.pending,
        retrying: of.waiting.retrying,
        retry_attempts: of.sums.retry_attempts,
        success_rate: of.sums.success_rate(),
        average_response_ms: of.sums.average_response_ms().map(thousandth),
        p95_response_ms: of.sums.p95_response_ms().map(thousandth),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OverallQuery {
    /// How far back; `24h` where left out.
    #[schemars(with = "Option<schema::Window>")]
    window: Option<String>,
    /// One tenant's webhooks alone.
    #[schemars(with = "Option<schema::TenantName>")]
    tenant: Option<String>,
}

/// `GET /v1/stats`: over all webhooks, or those of a tenant; for a tenant's key its own.
async fn overall(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> Result<HttpResponse, ApiError> {
    let query: OverallQuery = extract::query(&request)?;
    let window = window(query.window.as_deref())?;
    let tenant = caller.tenant_filter(query.tenant.as_deref())?;
    let actions = app.actions.clone();
    let found = blocking(move || actions.overall_statistics(tenant, window)).await??;
    Ok(HttpResponse::Ok().json(view(&found)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WebhookQuery {
    /// How far back; `24h` where left out.
    #[schemars(with = "Option<schema::Window>")]
    window: Option<String>,
}

/// `GET /v1/webhooks/{id}/stats`.
async fn of_webhook(
    app: Data<App>,
    request: HttpRequest,
    Reader(caller): Reader,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let query: WebhookQuery = extract::query(&request)?;
    let window = window(query.window.as_deref())?;
    let actions = app.actions.clone();
    let found = blocking(move || actions.webhook_statistics(&caller, &id, window)).await??;
    Ok(HttpResponse::Ok().json(view(&found)))
}

/// `1h`, `24h`, `7d` or `30d`; 24 hours where nobody says.
fn window(text: Option<&str>) -> Result<Window, ApiError> {
    Ok(list::parameter("window", text)?.unwrap_or(Window::Day))
}
