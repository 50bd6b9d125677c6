//! `/v1/incidents`, and the condition of webhooks in other answers.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::Deserialize;

use super::openapi::schema::{Cursor, IncidentId, Limit, TenantName, Time, WebhookId};
use super::{
    Administrator, ApiError, ApiResult, App, Call, Caller, JsonBody, Preconditions, Reader, Scope, Table, created,
    extract, list, respond_to_one,
};
use crate::actions::incident::{MAX_NOTE_CHARS, NOTE_PATTERN};
use crate::actions::{ActionError, lookup};
use crate::store::Connection;
use crate::store::incident::read::{self, Incident, IncidentFilter};
use crate::store::page::Page;
use view::{IncidentInFull, IncidentView};

pub(super) use view::ConditionView;

mod view;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/incidents").get(index, describe_index);
    table.at("/v1/incidents/{id}").get(show, describe_show);
    table.at("/v1/incidents/{id}/notes").post(add_note, describe_note);
    table.at("/v1/incidents/{id}/mute").post(mute, describe_mute);
    table.at("/v1/incidents/{id}/unmute").post(unmute, describe_unmute);
}

/// Example of an incident, without its closing brace.
const EXAMPLE: &str = r#"{"id": "inc_01KF0AVD80W0PPFFQY8AY3BFJE", "host": "hooks.example:443", "status": "open",
    "opened_at": "2026-01-15T10:36:00.000Z", "closed_at": null, "since": "2026-01-15T10:00:00.000Z",
    "last_success_at": "2026-01-15T09:58:00.000Z", "recovered_at": null, "reason": "many_failures",
    "cause": {"error_code": "status", "code": 503, "message": "hooks.example answered 503 Service Unavailable."},
    "webhook_count": 1, "failing_webhook_count": 1, "failed_attempts": 78, "affected_deliveries": 26, "dead_letters": 0,
    "waiting_deliveries": 26, "is_partial": false, "muted": false, "reopened": 0"#;

const EXAMPLE_REST: &str = r#""webhooks": [{"webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB", "tenant": "default",
    "reason": "many_failures", "since": "2026-01-15T10:00:00.000Z", "last_success_at": "2026-01-15T09:58:00.000Z",
    "cause": {"error_code": "status", "code": 503, "message": "hooks.example answered 503 Service Unavailable."},
    "failed_attempts": 78, "affected_deliveries": 26, "dead_letters": 0, "waiting_deliveries": 26, "recovered_at": null,
    "ended_at": null}], "timeline": [{"at": "2026-01-15T10:00:00.000Z", "kind": "first_failure",
    "webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB", "count": 1, "actor": null, "text": ""}], "told": [{"at": "2026-01-15T10:36:30.000Z", "contact": "On call",
    "channel": "webhook", "topic": "opened", "result": "sent", "error": null}]}"#;

fn describe_index(call: &mut Call<'_>) {
    call.operation("Incidents", "list_incidents", "List incidents")
        .description("An incident is the trouble of an endpoint, from the first failures until deliveries have succeeded for ten minutes. Webhooks with one host share an incident. A key of a tenant sees the tenant's webhooks in it only.")
        .scope(Scope::Read)
        .list::<IncidentQuery, IncidentView>()
        .errors(422, &["invalid_tenant", "invalid_value", "invalid_time"]);
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Incidents", "show_incident", "Get an incident with its webhooks and time line")
        .scope(Scope::Read)
        .path_parameter::<IncidentId>("id")
        .response::<IncidentInFull>(200, "The incident.", &format!("{EXAMPLE}, {EXAMPLE_REST}"))
        .answers_if_changed();
}

fn describe_note(call: &mut Call<'_>) {
    call.operation("Incidents", "add_incident_note", "Add a note to an incident")
        .description(
            "Notes made with a tenant's key are seen by the tenant and the operator, others by the operator only.",
        )
        .scope(Scope::Admin)
        .path_parameter::<IncidentId>("id")
        .request_body::<NewNote>(r#"{"text": "Called them, back at noon."}"#)
        .response::<IncidentInFull>(201, "The incident.", &format!("{EXAMPLE}, {EXAMPLE_REST}"))
        .errors(409, &["note_limit"])
        .errors(422, &["invalid_note"]);
}

fn describe_mute(call: &mut Call<'_>) {
    describe_muting(call.operation("Incidents", "mute_incident", "Mute an incident"));
}

fn describe_unmute(call: &mut Call<'_>) {
    describe_muting(call.operation("Incidents", "unmute_incident", "Unmute an incident"));
}

fn describe_muting(call: &mut Call<'_>) {
    call.description("Nobody is told about a muted incident. A tenant's key mutes it for the tenant only.")
        .scope(Scope::Admin)
        .path_parameter::<IncidentId>("id")
        .response::<IncidentInFull>(200, "The incident.", &format!("{EXAMPLE}, {EXAMPLE_REST}"));
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IncidentQuery {
    /// Only open or only closed ones.
    #[schemars(extend("enum" = ["open", "closed"]))]
    status: Option<String>,
    /// Only incidents with this webhook.
    webhook_id: Option<WebhookId>,
    /// Only incidents of this tenant's webhooks.
    tenant: Option<TenantName>,
    /// Opened at or after this time.
    since: Option<Time>,
    /// Opened before this time.
    until: Option<Time>,
    /// Largest number of rows in the page.
    limit: Option<Limit>,
    /// Start of the page.
    cursor: Option<Cursor>,
}

fn parse_status(text: Option<&str>) -> Result<Option<bool>, ApiError> {
    match text {
        None => Ok(None),
        Some("open") => Ok(Some(true)),
        Some("closed") => Ok(Some(false)),
        Some(other) => {
            let message = format!("{other:?} is not one of open, closed.");
            Err(ApiError::invalid("invalid_value", message).in_field("status"))
        }
    }
}

async fn index(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let query: IncidentQuery = extract::query(&request)?;
    let page = list::page(&request, query.limit.as_deref(), query.cursor.as_deref())?;
    let mut filter = IncidentFilter {
        tenant: caller.tenant_filter(query.tenant.as_deref())?,
        webhook_seq: None,
        is_open: parse_status(query.status.as_deref())?,
        since: list::time("since", query.since.as_deref())?,
        until: list::time("until", query.until.as_deref())?,
    };
    let reader = caller.clone();
    let read = move |connection: &Connection| -> Result<Page<Incident>, ActionError> {
        if let Some(id) = query.webhook_id.as_deref() {
            match lookup::webhook(connection, &caller, id) {
                Ok(webhook) => filter.webhook_seq = Some(webhook.seq),
                Err(ActionError::NotFound(_)) => return Ok(Page::empty()),
                Err(error) => return Err(error),
            }
        }
        Ok(read::list(connection, &filter, &page)?)
    };
    list::show(&app, &reader, page, read, IncidentView::from).await
}

async fn show(app: Data<App>, Reader(caller): Reader, id: Path<String>, conditions: Preconditions) -> ApiResult {
    let store = app.actions.store.clone();
    let reader = caller.clone();
    let read = move |connection: &_| IncidentInFull::read(connection, &caller, &id);
    respond_to_one(&app, &reader, conditions, move || store.snapshot(read)).await
}

/// Answers a change with the incident as it is then.
async fn changed(app: &App, caller: Caller, id: String, mut response: actix_web::HttpResponseBuilder) -> ApiResult {
    let store = app.actions.store.clone();
    let read = move |connection: &_| IncidentInFull::read(connection, &caller, &id);
    let view = super::blocking(move || store.snapshot(read)).await??;
    Ok(response.json(view))
}

/// A note.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewNote {
    #[schemars(length(min = 1, max = MAX_NOTE_CHARS), extend("pattern" = NOTE_PATTERN))]
    text: String,
}

async fn add_note(app: Data<App>, Administrator(caller): Administrator, id: Path<String>, body: JsonBody) -> ApiResult {
    let note: NewNote = body.parse()?;
    app.actions.add_note(&caller, &id, &note.text).committed().await?;
    let response = created(format_args!("incidents/{id}"));
    changed(&app, caller, id.into_inner(), response).await
}

async fn mute(app: Data<App>, Administrator(caller): Administrator, id: Path<String>) -> ApiResult {
    app.actions.mute_incident(&caller, &id, true).committed().await?;
    changed(&app, caller, id.into_inner(), HttpResponse::Ok()).await
}

async fn unmute(app: Data<App>, Administrator(caller): Administrator, id: Path<String>) -> ApiResult {
    app.actions.mute_incident(&caller, &id, false).committed().await?;
    changed(&app, caller, id.into_inner(), HttpResponse::Ok()).await
}
