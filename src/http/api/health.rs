//! `/healthz`, `/readyz` and `/metrics`, for monitoring.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::Serialize;

use super::{ApiError, ApiResult, App, Call, Reader, Scope, Table, blocking, require_all_tenants};
use crate::domain::tenant_limits::TenantLimit;
use crate::metrics::Snapshot;
use crate::store::stats::{self, Of};
use crate::store::{StoreError, contact, incident, message, webhook};

/// Failing contacts that are counted.
const MOST_CONTACTS: u32 = 1_000;
/// Media type of OpenMetrics, which Prometheus requests.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

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
    if !app.actions.engine.is_flowing() {
        let reason = "Deliveries that are due are not being sent. See the log, and restart the server.";
        return Err(ApiError::unavailable("not_delivering", reason.to_owned()));
    }
    Ok(HttpResponse::Ok().json(Health { status: "ready" }))
}

fn describe_metrics(call: &mut Call<'_>) {
    call.operation("Health and documentation", "metrics", "Get metrics for Prometheus")
        .description("Requires a key for all tenants, unless the server runs with `--metrics-open`.")
        .scope(Scope::Read)
        .response_of_type("application/openmetrics-text", "Counters, gauges and histograms.");
}

async fn metrics(app: Data<App>, request: HttpRequest) -> ApiResult {
    if !app.metrics_open {
        let Reader(caller) = Reader::extract(&request).await?;
        require_all_tenants(&caller)?;
    }
    let state = app.clone();
    let values = blocking(move || snapshot(&state)).await??;
    let text = app.metrics.text(&values).map_err(|error| ApiError::internal(&error))?;
    Ok(HttpResponse::Ok().content_type(OPEN_METRICS).body(text))
}

fn snapshot(app: &App) -> Result<Snapshot, StoreError> {
    let actions = &app.actions;
    let now = actions.clock.now_ms();
    let (waiting, oldest, largest, open_incidents, failing_contacts, waiting_mails) =
        actions.store.read(|connection| {
            let waiting = stats::waiting(connection, &Of::All)?;
            let oldest = stats::oldest_waiting(connection, &Of::All)?;
            let largest = webhook::largest_tenant(connection)?;
            let open_incidents = incident::read::count_open(connection)?;
            let failing_contacts = contact::failing(connection, None, now, MOST_CONTACTS)?.len() as u64;
            let waiting_mails = message::count_waiting(connection)?;
            Ok::<_, StoreError>((waiting, oldest, largest, open_incidents, failing_contacts, waiting_mails))
        })?;
    let age_ms = oldest.map_or(0, |since| now - since);
    let (workers, busy_workers) = actions.engine.workers();
    let (database_bytes, log_bytes) = actions.store.sizes();
    Ok(Snapshot {
        pending: waiting.pending,
        retrying: waiting.retrying,
        open_incidents,
        failing_contacts,
        waiting_mails,
        is_delivering: actions.engine.is_flowing(),
        oldest_waiting: Duration::from_millis(age_ms.max(0) as u64),
        workers,
        busy_workers,
        database_bytes,
        log_bytes,
        tenant_limits: actions.limits,
        tenant_use: [
            (TenantLimit::Webhooks, largest.webhooks),
            (TenantLimit::Queued, largest.queued),
            (TenantLimit::Jobs, app.jobs.used_by_one() as u64),
            (TenantLimit::Tests, app.receiver_calls.used_by_one() as u64),
        ],
    })
}
