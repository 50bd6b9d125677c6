//! `/metrics` for Prometheus.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse};

use super::super::error::ApiError;
use super::super::extract::{Reader, require_all_tenants};
use super::super::{App, blocking};
use super::ApiResult;
use super::table::Table;
use crate::http::api::openapi::Call;
use crate::metrics::Snapshot;
use crate::store::StoreError;
use crate::store::api_key::Scope;
use crate::store::stats::{self, Of};

/// Media type of OpenMetrics, which Prometheus requests.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes(table: &mut Table) {
    table.at("/metrics").get(show, describe_show);
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Health and documentation", "metrics", "Get metrics for Prometheus")
        .description("Requires a key for all tenants, unless the server runs with `--metrics-open`.")
        .scope(Scope::Read)
        .response_of_type("application/openmetrics-text", "Counters, gauges and histograms.");
}

async fn show(app: Data<App>, request: HttpRequest) -> ApiResult {
    if !app.metrics_open {
        let Reader(caller) = Reader::extract(&request).await?;
        require_all_tenants(&caller)?;
    }
    let state = app.clone();
    let values = blocking(move || snapshot(&state)).await??;
    let text = app.metrics.text(&values).map_err(|error| ApiError::internal(&error))?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

fn snapshot(app: &App) -> Result<Snapshot, StoreError> {
    let actions = &app.actions;
    let (waiting, oldest) = actions.store.read(|connection| {
        let waiting = stats::waiting(connection, &Of::All)?;
        let oldest = stats::oldest_waiting(connection, &Of::All)?;
        Ok::<_, StoreError>((waiting, oldest))
    })?;
    let age_ms = oldest.map_or(0, |since| actions.clock.now_ms() - since);
    let (workers, busy_workers) = actions.engine.workers();
    let (database_bytes, log_bytes) = actions.store.sizes();
    Ok(Snapshot {
        pending: waiting.pending,
        retrying: waiting.retrying,
        oldest_waiting: Duration::from_millis(age_ms.max(0) as u64),
        workers,
        busy_workers,
        database_bytes,
        log_bytes,
    })
}
