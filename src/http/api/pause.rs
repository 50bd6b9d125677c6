//! `/v1/pause`: the pause of all deliveries.

use actix_web::HttpResponse;
use actix_web::web::Data;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::schema::{self, Time};
use super::{Administrator, ApiResult, App, Call, JsonBody, Reader, Scope, Table, require_all_tenants, respond};
use crate::store::pause::{self, MAX_REASON_CHARS, Pause};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/pause").get(show, describe_show).put(begin, describe_begin).delete(end, describe_end);
}

const PAUSED: &str =
    r#"{"paused": true, "since": "2026-01-15T10:00:00.000Z", "actor": "anna", "reason": "Moving to another machine."}"#;

fn describe_show(call: &mut Call<'_>) {
    call.operation("Deliveries", "show_pause", "Get the pause of all deliveries")
        .description("Requires a key for all tenants, as the other calls of this path do.")
        .scope(Scope::Read)
        .response::<PauseView>(200, "Whether all deliveries are paused.", PAUSED);
}

fn describe_begin(call: &mut Call<'_>) {
    call.operation("Deliveries", "pause_deliveries", "Pause all deliveries")
        .description("Events are accepted and stored. Nothing is sent to any webhook until deliveries are resumed, also after a restart. Requests in flight end as they would. Test events that somebody sends, and messages to contacts, are sent. During a pause the call changes the reason.")
        .scope(Scope::Admin)
        .request_body::<NewPause>(r#"{"reason": "Moving to another machine."}"#)
        .response::<PauseView>(200, "All deliveries are paused.", PAUSED)
        .errors(422, &["invalid_reason"]);
}

fn describe_end(call: &mut Call<'_>) {
    call.operation("Deliveries", "resume_deliveries", "Resume all deliveries")
        .description("Sends what was queued during the pause. Has no effect if deliveries are not paused.")
        .scope(Scope::Admin)
        .no_content("Deliveries are sent.");
}

/// Pause of all deliveries.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Pause")]
struct PauseView {
    /// Whether all deliveries are paused. The other fields are `null` if not.
    paused: bool,
    since: Option<Time>,
    /// Name of a user, `API key` and its name, or `command line`.
    actor: Option<String>,
    reason: Option<String>,
}

impl From<Option<Pause>> for PauseView {
    fn from(pause: Option<Pause>) -> PauseView {
        let since = pause.as_ref().map(|pause| Time::at(pause.since_ms));
        let (actor, reason) = pause.map(|pause| (pause.actor, pause.reason)).unzip();
        PauseView { paused: since.is_some(), since, actor, reason }
    }
}

/// A new pause.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPause {
    /// Why, for the people who see the pause.
    #[schemars(length(min = 1, max = MAX_REASON_CHARS), extend("pattern" = schema::LINE))]
    reason: String,
}

async fn show(app: Data<App>, Reader(caller): Reader) -> ApiResult {
    require_all_tenants(&caller)?;
    let store = app.actions.store.clone();
    respond(&app, &caller, move || store.read(pause::current).map(PauseView::from)).await
}

async fn begin(app: Data<App>, Administrator(caller): Administrator, body: JsonBody) -> ApiResult {
    require_all_tenants(&caller)?;
    let pause: NewPause = body.parse()?;
    let pause = app.actions.pause_deliveries(&caller, &pause.reason).committed().await?;
    Ok(HttpResponse::Ok().json(PauseView::from(pause)))
}

async fn end(app: Data<App>, Administrator(caller): Administrator) -> ApiResult {
    require_all_tenants(&caller)?;
    app.actions.resume_deliveries(&caller).committed().await?;
    Ok(HttpResponse::NoContent().finish())
}
