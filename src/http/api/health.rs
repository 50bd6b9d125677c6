//! `/healthz` and `/readyz`: for whatever watches the process. Neither needs a key.

use actix_web::HttpResponse;
use actix_web::web::Data;
use schemars::JsonSchema;
use serde::Serialize;

use super::super::App;
use super::super::error::ApiError;
use super::table::Table;
use crate::http::api::openapi::Call;

pub(super) fn routes(table: &mut Table) {
    table.at("/healthz").get(alive, describe_alive);
    table.at("/readyz").get(ready, describe_ready);
}

fn describe_alive(call: &mut Call<'_>) {
    call.named("healthz", "Whether the process answers").of("Health and documentation").answers::<Health>(
        200,
        "It does.",
        r#"{"status": "ok"}"#,
    );
}

fn describe_ready(call: &mut Call<'_>) {
    call.named("readyz", "Whether events are taken and sent")
        .of("Health and documentation")
        .answers::<Health>(200, "They are.", r#"{"status": "ready"}"#)
        .fails(503, &["stopping", "store_unavailable"]);
}

/// How the server is.
#[derive(Serialize, JsonSchema)]
struct Health {
    status: &'static str,
}

/// `GET /healthz`: the process answers.
async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// `GET /readyz`: events are taken and sent.
async fn ready(app: Data<App>) -> Result<HttpResponse, ApiError> {
    if app.is_stopping() {
        return Err(ApiError::stopping());
    }
    if let Some(why) = app.actions.store.broken() {
        return Err(ApiError::unavailable("store_unavailable", why));
    }
    Ok(HttpResponse::Ok().json(Health { status: "ready" }))
}
