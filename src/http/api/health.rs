//! `/healthz` and `/readyz`, for monitoring. No key required.

use actix_web::HttpResponse;
use actix_web::web::Data;
use schemars::JsonSchema;
use serde::Serialize;

use super::super::App;
use super::super::error::ApiError;
use super::ApiResult;
use super::table::Table;
use crate::http::api::openapi::Call;

pub(super) fn routes(table: &mut Table) {
    table.at("/healthz").get(alive, describe_alive);
    table.at("/readyz").get(ready, describe_ready);
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
        .errors(503, &["stopping", "store_unavailable"]);
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
    Ok(HttpResponse::Ok().json(Health { status: "ready" }))
}
