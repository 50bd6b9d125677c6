//! `/v1/stats` and `/v1/webhooks/{id}/stats`.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, ApiResult, App, Call, Reader, Scope, Table, extract, list, respond, schema};
use crate::actions::statistics::{Statistics, Window};
use crate::domain::tenant_limits::{TenantLimit, TenantLimits, TenantUse};
use crate::http::tenant_use::tenant_use;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/stats").get(overall, describe_overall);
}

pub(super) fn webhook_routes(table: &mut Table) {
    table.at("/v1/webhooks/{id}/stats").get(of_webhook, describe_of_webhook);
}

const EXAMPLE: &str = r#"{"window": "24h", "since": "2026-01-14T11:00:00.000Z", "delivered": 1200, "failed": 3,
    "pending": 2, "retrying": 1, "retry_attempts": 14, "success_rate": 0.998, "average_response_ms": 41.5,
    "p95_response_ms": 96.0}"#;

/// Example of the limits, to go before the last brace.
const LIMITS_EXAMPLE: &str = r#"{"webhooks": {"limit": 1000, "used": 3}, "queued": {"limit": 1000000, "used": 3},
    "requests_per_s": {"limit": 200, "used": 1}, "jobs": {"limit": 2, "used": 0}, "tests": {"limit": 4, "used": 0},
    "inbox_requests": {"limit": 200, "used": 17}}"#;

fn describe_overall(call: &mut Call<'_>) {
    call.operation("Deliveries", "stats", "Get statistics of all webhooks")
        .description("Covers a time window that ends now. Tests and challenges are excluded. Includes the limits of each tenant.")
        .scope(Scope::Read)
        .query_parameters::<OverallQuery>()
        .response::<OverallView>(
            200,
            "The statistics.",
            &format!("{}, \"tenant_limits\": {LIMITS_EXAMPLE}}}", EXAMPLE.trim_end_matches('}')),
        )
        .errors(422, &["invalid_value", "invalid_tenant"]);
}

fn describe_of_webhook(call: &mut Call<'_>) {
    call.operation("Webhooks", "webhook_stats", "Get statistics of a webhook")
        .description("Covers a time window that ends now. Tests and challenges are excluded.")
        .scope(Scope::Read)
        .path_parameter::<schema::WebhookId>("id")
        .query_parameters::<WebhookQuery>()
        .response::<StatsView>(200, "The statistics.", EXAMPLE)
        .errors(422, &["invalid_value"]);
}

/// Statistics of a time window, without tests and challenges. A delivery counts once, when it last finished: a manual
/// retry takes it out of the counts until it finishes again.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Statistics")]
struct StatsView {
    window: schema::Window,
    /// Start of the window in UTC, rounded to 5 minutes (`1h`), hours (`24h`, `7d`) or days (`30d`).
    since: schema::Time,
    /// Deliveries that succeeded in the window.
    delivered: u64,
    /// Deliveries that ran out of attempts in the window.
    failed: u64,
    /// Queued deliveries without a failed attempt, as of now.
    pending: u64,
    /// Queued deliveries after a failed attempt, as of now.
    retrying: u64,
    /// Attempts in the window other than the first of each delivery.
    retry_attempts: u64,
    /// delivered ÷ (delivered + failed), from 0 to 1; `null` if both are 0.
    success_rate: Option<f64>,
    /// Average milliseconds from the start of an attempt to the end of its response, whatever its status; `null` without
    /// responses.
    average_response_ms: Option<f64>,
    /// 95th percentile in milliseconds, accurate to 1 ms below 16 ms and to 12.5 % above.
    p95_response_ms: Option<f64>,
}

/// Statistics of all webhooks of a tenant, or of all tenants.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OverallStatistics")]
struct OverallView {
    #[serde(flatten)]
    statistics: StatsView,
    tenant_limits: LimitsView,
}

/// Limits of each tenant.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TenantLimits")]
struct LimitsView {
    /// Webhooks.
    webhooks: LimitView,
    /// Pending and retrying deliveries.
    queued: LimitView,
    /// Requests of all API keys and portal sessions per second.
    requests_per_s: LimitView,
    /// Bulk actions and replays under way.
    jobs: LimitView,
    /// Tests, and other calls that wait for an endpoint, under way.
    tests: LimitView,
    /// Requests kept in the inbox.
    inbox_requests: LimitView,
}

/// A limit of each tenant.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TenantLimit")]
struct LimitView {
    limit: u32,
    /// Current use by the tenant; `null` if the statistics are of all tenants.
    used: Option<u64>,
}

impl LimitsView {
    fn new(limits: &TenantLimits, used: Option<&TenantUse>) -> LimitsView {
        let view = |limit| LimitView { limit: limits.get(limit), used: used.map(|used| used.get(limit)) };
        LimitsView {
            webhooks: view(TenantLimit::Webhooks),
            queued: view(TenantLimit::Queued),
            requests_per_s: view(TenantLimit::RequestsPerS),
            jobs: view(TenantLimit::Jobs),
            tests: view(TenantLimit::Tests),
            inbox_requests: view(TenantLimit::InboxRequests),
        }
    }
}

impl From<Statistics> for StatsView {
    fn from(Statistics { window, since_ms, sums, waiting }: Statistics) -> StatsView {
        let rounded = |number: f64| (number * 1_000.0).round() / 1_000.0;
        StatsView {
            window: window.into(),
            since: schema::Time::at(since_ms),
            delivered: sums.delivered,
            failed: sums.failed,
            pending: waiting.pending,
            retrying: waiting.retrying,
            retry_attempts: sums.retry_attempts,
            success_rate: sums.success_rate(),
            average_response_ms: sums.average_response_ms().map(rounded),
            p95_response_ms: sums.p95_response_ms().map(rounded),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OverallQuery {
    /// Length of the window. Default: `24h`.
    window: Option<schema::Window>,
    /// Only webhooks of this tenant.
    tenant: Option<schema::TenantName>,
}

async fn overall(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let query: OverallQuery = extract::query(&request)?;
    let window = window(query.window.as_deref())?;
    let tenant = caller.tenant_filter(query.tenant.as_deref())?;
    let state = app.clone();
    respond(&app, &caller, move || -> Result<_, ApiError> {
        let used = |tenant| state.actions.store.read(|connection| tenant_use(&state, connection, tenant));
        let used = tenant.as_ref().map(used).transpose()?;
        let statistics = state.actions.overall_statistics(tenant, window)?.into();
        Ok(OverallView { statistics, tenant_limits: LimitsView::new(&state.actions.limits(), used.as_ref()) })
    })
    .await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WebhookQuery {
    /// Length of the window. Default: `24h`.
    window: Option<schema::Window>,
}

async fn of_webhook(app: Data<App>, request: HttpRequest, Reader(caller): Reader, id: Path<String>) -> ApiResult {
    let query: WebhookQuery = extract::query(&request)?;
    let window = window(query.window.as_deref())?;
    let actions = app.actions.clone();
    let reader = caller.clone();
    respond(&app, &reader, move || actions.webhook_statistics(&caller, &id, window).map(StatsView::from)).await
}

/// Parses `1h`, `24h`, `7d` or `30d`. Default: 24 hours.
fn window(text: Option<&str>) -> Result<Window, ApiError> {
    Ok(list::parameter("window", text)?.unwrap_or(Window::Day))
}
