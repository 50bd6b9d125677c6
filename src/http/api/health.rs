//! `/healthz`, `/readyz` and `/metrics`, for monitoring.

use std::time::Duration;

use actix_web::http::header::{Accept, Header as _};
use actix_web::web::Data;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::Serialize;

use super::{ApiError, ApiResult, App, Call, Reader, Scope, Table, blocking, require_all_tenants};
use crate::domain::delivery::DeliveryStatus;
use crate::domain::tenant_limits::TenantLimit;
use crate::metrics::{Format, OfWebhook, Snapshot};
use crate::store::delivery::{self, DeliveryFilter};
use crate::store::stats::{self, Of};
use crate::store::webhook::gauges::{self, WebhookGauges};
use crate::store::{StoreError, contact, incident, message, webhook};

/// Failing contacts that are counted.
const MOST_CONTACTS: u32 = 1_000;
/// Webhooks with series of their own, where the setting is on.
const MOST_WEBHOOKS: u32 = 10_000;

pub(super) fn routes(table: &mut Table) {
    table.at("/healthz").get(alive, describe_alive);
    table.at("/readyz").get(ready, describe_ready);
    table.at("/metrics").get(metrics, describe_metrics);
}

fn describe_alive(call: &mut Call<'_>) {
    call.operation("Health and documentation", "healthz", "Check liveness").response::<Health>(
        200,
        "The process is running.",
        r#"{"status": "ok"}"#,
    );
}

fn describe_ready(call: &mut Call<'_>) {
    call.operation("Health and documentation", "readyz", "Check readiness")
        .response::<Health>(200, "Events are accepted and delivered.", r#"{"status": "ready"}"#)
        .errors(503, &["stopping", "store_unavailable", "not_delivering"]);
}

/// Health of the server.
#[derive(Serialize, JsonSchema)]
struct Health {
    status: &'static str,
}

async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

async fn ready(app: Data<App>) -> ApiResult {
    if app.is_stopping() {
        return Err(ApiError::stopping());
    }
    if let Some(reason) = app.actions.store.broken() {
        return Err(ApiError::unavailable("store_unavailable", reason));
    }
    if !app.actions.is_delivering() {
        let reason = "Deliveries that are due are not being sent. See the log, and restart the server.";
        return Err(ApiError::unavailable("not_delivering", reason.to_owned()));
    }
    Ok(HttpResponse::Ok().json(Health { status: "ready" }))
}

fn describe_metrics(call: &mut Call<'_>) {
    call.operation("Health and documentation", "metrics", "Get metrics for Prometheus")
        .description(
            "Requires a key for all tenants, unless the server runs with `--metrics-open`. The format is the text format \
             0.0.4 of Prometheus, or OpenMetrics 1.0.0 if the header `Accept` prefers it.",
        )
        .scope(Scope::Read)
        .response_of_type("text/plain", "Counters, gauges and histograms.")
        .or_of_types(&["application/openmetrics-text"]);
}

async fn metrics(app: Data<App>, request: HttpRequest) -> ApiResult {
    if !app.live().metrics_open {
        let Reader(caller) = Reader::extract(&request).await?;
        require_all_tenants(&caller)?;
    }
    let state = app.clone();
    let values = blocking(move || snapshot(&state)).await??;
    let format = format(&request);
    let text = app.metrics.text(&values, format).map_err(|error| ApiError::internal(&error))?;
    Ok(HttpResponse::Ok().content_type(format.media_type()).body(text))
}

/// Returns the format that a client prefers of those it names.
fn format(request: &HttpRequest) -> Format {
    let accepted = Accept::parse(request).map(|accept| accept.ranked()).unwrap_or_default();
    let formats = accepted.iter().filter_map(|media_type| match media_type.essence_str() {
        "application/openmetrics-text" => Some(Format::OpenMetrics),
        "text/plain" => Some(Format::Prometheus),
        _ => None,
    });
    formats.into_iter().next().unwrap_or(Format::Prometheus)
}

fn snapshot(app: &App) -> Result<Snapshot, StoreError> {
    let actions = &app.actions;
    let now = actions.clock.now_ms();
    let (workers, busy_workers) = actions.engine.workers();
    let (database_bytes, log_bytes) = actions.store.sizes();
    let failed =
        DeliveryFilter { statuses: DeliveryStatus::Failed.into(), test: Some(false), ..DeliveryFilter::default() };
    actions.store.read(|connection| {
        let waiting = stats::waiting(connection, &Of::All)?;
        let age_ms = stats::oldest_waiting(connection, &Of::All)?.map_or(0, |since| now - since);
        let largest = webhook::largest_tenant(connection)?;
        let by_webhook =
            if app.live().metrics_webhooks { gauges::gauges(connection, MOST_WEBHOOKS)? } else { Vec::new() };
        Ok(Snapshot {
            webhooks: gauges::count_by_state(connection)?.into_iter().collect(),
            by_webhook: by_webhook.into_iter().map(of_webhook).collect(),
            dead_letters: delivery::count(connection, &failed)?.count,
            pending: waiting.pending,
            retrying: waiting.retrying,
            open_incidents: incident::read::count_open(connection)?,
            failing_contacts: contact::failing(connection, None, now, MOST_CONTACTS)?.len() as u64,
            waiting_mails: message::count_waiting(connection)?,
            is_delivering: actions.is_delivering(),
            is_paused: actions.engine.is_paused(),
            is_backup_failing: actions.backups.fault(now).is_some(),
            last_backup_ms: actions.backups.newest_ms().unwrap_or_default(),
            oldest_waiting: Duration::from_millis(age_ms.max(0) as u64),
            workers,
            busy_workers,
            database_bytes,
            log_bytes,
            tenant_limits: actions.limits(),
            tenant_use: [
                (TenantLimit::Webhooks, largest.webhooks),
                (TenantLimit::Queued, largest.queued),
                (TenantLimit::Jobs, app.jobs.used_by_one() as u64),
                (TenantLimit::Tests, app.receiver_calls.used_by_one() as u64),
            ],
        })
    })
}

fn of_webhook(of: WebhookGauges) -> OfWebhook {
    OfWebhook {
        webhook: of.id.to_string(),
        tenant: of.tenant.to_string(),
        waiting: of.waiting,
        delivered: of.delivered,
        in_incident: of.in_incident,
    }
}
