//! `/v1/incidents`, and the condition of webhooks in other answers.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::schema::{
    Cursor, ErrorCode, IncidentEntryKind, IncidentId, Limit, OpenReason, TenantName, Time, WebhookHealth, WebhookId,
};
use super::{
    Administrator, ApiError, ApiResult, App, Call, Caller, JsonBody, Reader, Scope, Table, extract, list, respond,
};
use crate::actions::incident::{MAX_NOTE_CHARS, NOTE_PATTERN};
use crate::actions::{ActionError, lookup};
use crate::domain::contact::Topic;
use crate::domain::incident::{Health, HealthFacts, Verdict};
use crate::domain::webhook::Webhook;
use crate::store::Connection;
use crate::store::incident::Cause;
use crate::store::incident::entry::{self, TimelineEntry};
use crate::store::incident::read::{self, Condition, Incident, IncidentFilter, Member};
use crate::store::message::{self, ToldOf, ToldResult};
use crate::store::page::Page;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/incidents").get(index, describe_index);
    table.at("/v1/incidents/{id}").get(show, describe_show);
    table.at("/v1/incidents/{id}/notes").post(add_note, describe_note);
    table.at("/v1/incidents/{id}/mute").post(mute, describe_mute);
    table.at("/v1/incidents/{id}/unmute").post(unmute, describe_unmute);
}

/// Webhooks in the answer with one incident.
const MAX_WEBHOOKS: u32 = 100;
/// Messages in the answer with one incident.
const MAX_TOLD: u32 = 100;

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
        .response::<IncidentInFull>(200, "The incident.", &format!("{EXAMPLE}, {EXAMPLE_REST}"));
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

/// Condition of a webhook.
#[derive(Serialize, JsonSchema)]
pub(super) struct ConditionView {
    health: WebhookHealth,
    /// First failed attempt since the last success.
    failing_since: Option<Time>,
    /// Last successful delivery, without tests.
    last_success_at: Option<Time>,
    /// Open incident that the webhook is in.
    incident: Option<OpenIncidentView>,
}

/// The open incident of a webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenIncident")]
struct OpenIncidentView {
    id: IncidentId,
    /// When the webhook came into it.
    opened_at: Time,
}

impl ConditionView {
    /// Shows the condition of a webhook; without one, of a new webhook.
    pub(super) fn of(webhook: &Webhook, condition: Option<Condition>) -> ConditionView {
        let facts = HealthFacts {
            state: webhook.state,
            disabled_ms: webhook.disabled_ms,
            failing_since_ms: None,
            last_success_ms: None,
            is_used: false,
        };
        let verdict = condition.map_or_else(|| Verdict::of(&facts), |condition| condition.verdict);
        let incident = condition.and_then(|condition| condition.incident);
        ConditionView {
            health: verdict.health.into(),
            failing_since: verdict.since_ms.filter(|_| verdict.health == Health::Failing).map(Time::at),
            last_success_at: verdict.last_success_ms.map(Time::at),
            incident: incident
                .map(|incident| OpenIncidentView { id: incident.id.into(), opened_at: Time::at(incident.opened_ms) }),
        }
    }
}

/// Why attempts fail.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IncidentCause")]
struct CauseView {
    /// `null` if nothing was sent, as to an unverified webhook.
    error_code: Option<ErrorCode>,
    /// Status code of the response.
    code: Option<u16>,
    message: String,
}

impl From<Cause> for CauseView {
    fn from(cause: Cause) -> CauseView {
        CauseView { error_code: cause.error_code.map(ErrorCode::from), code: cause.code, message: cause.text }
    }
}

/// An incident.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Incident")]
struct IncidentView {
    id: IncidentId,
    /// Host and port that the webhooks share.
    host: String,
    #[schemars(extend("enum" = ["open", "closed"]))]
    status: &'static str,
    opened_at: Time,
    /// Ten minutes after the last webhook recovered (an hour in an incident that was opened again), or when it was deleted
    /// or moved to another host.
    closed_at: Option<Time>,
    /// First failed attempt.
    since: Time,
    /// Last successful delivery before that.
    last_success_at: Option<Time>,
    /// First success of the webhook that recovered last; `null` while one is failing.
    recovered_at: Option<Time>,
    reason: OpenReason,
    cause: CauseView,
    webhook_count: u64,
    /// Webhooks that have not recovered.
    failing_webhook_count: u64,
    failed_attempts: u64,
    /// Deliveries whose first attempt failed.
    affected_deliveries: u64,
    /// Deliveries that ran out of attempts. Some may have been retried since.
    dead_letters: u64,
    /// Deliveries of these webhooks that are queued now.
    waiting_deliveries: u64,
    /// Whether the numbers cover only some of the webhooks, because there are more than a thousand.
    is_partial: bool,
    muted: bool,
    /// How often the incident was opened again, because its host failed again within an hour of the end.
    reopened: u64,
}

impl From<Incident> for IncidentView {
    fn from(incident: Incident) -> IncidentView {
        IncidentView {
            id: incident.id.into(),
            host: incident.host,
            status: if incident.closed_ms.is_some() { "closed" } else { "open" },
            opened_at: Time::at(incident.opened_ms),
            closed_at: incident.closed_ms.map(Time::at),
            since: Time::at(incident.since_ms),
            last_success_at: incident.last_success_ms.map(Time::at),
            recovered_at: incident.recovered_ms.map(Time::at),
            reason: incident.reason.into(),
            cause: incident.cause.into(),
            webhook_count: incident.webhooks,
            failing_webhook_count: incident.failing,
            failed_attempts: incident.failures,
            affected_deliveries: incident.deliveries,
            dead_letters: incident.dead_letters,
            waiting_deliveries: incident.waiting,
            is_partial: incident.is_partial,
            muted: incident.is_muted,
            reopened: incident.reopened,
        }
    }
}

/// A webhook in an incident.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IncidentWebhook")]
struct MemberView {
    /// `null` if the webhook was deleted long ago.
    webhook_id: Option<WebhookId>,
    tenant: TenantName,
    reason: OpenReason,
    since: Time,
    last_success_at: Option<Time>,
    cause: CauseView,
    failed_attempts: u64,
    affected_deliveries: u64,
    dead_letters: u64,
    waiting_deliveries: u64,
    /// First success since.
    recovered_at: Option<Time>,
    /// When its trouble was over.
    ended_at: Option<Time>,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> MemberView {
        MemberView {
            webhook_id: member.webhook.map(|webhook| webhook.id.into()),
            tenant: member.tenant.into(),
            reason: member.reason.into(),
            since: Time::at(member.since_ms),
            last_success_at: member.last_success_ms.map(Time::at),
            cause: member.cause.into(),
            failed_attempts: member.failures,
            affected_deliveries: member.deliveries,
            dead_letters: member.dead_letters,
            waiting_deliveries: member.waiting,
            recovered_at: member.recovered_ms.map(Time::at),
            ended_at: member.ended_ms.map(Time::at),
        }
    }
}

/// An entry of the time line.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IncidentEntry")]
struct EntryView {
    at: Time,
    kind: IncidentEntryKind,
    webhook_id: Option<WebhookId>,
    /// Webhooks that it happened to; entries that were deleted, for `left_out`.
    count: u64,
    /// Name of the person or key; `null` for Hookpost itself. `operator` in place of the names of the operator's people,
    /// for a tenant.
    actor: Option<String>,
    /// Cause, or the text of a note.
    text: String,
}

impl EntryView {
    fn of(entry: TimelineEntry, caller: &Caller) -> EntryView {
        let actor = Some(entry.author.name).filter(|name| !name.is_empty());
        let is_hidden = entry.author.is_operator && caller.tenant.is_some();
        EntryView {
            at: Time::at(entry.at_ms),
            kind: entry.kind.into(),
            webhook_id: entry.webhook.map(|webhook| webhook.id.into()),
            count: entry.count,
            actor: if is_hidden { actor.map(|_| "operator".to_owned()) } else { actor },
            text: entry.text,
        }
    }
}

/// An incident with its webhooks and time line.
#[derive(Serialize, JsonSchema)]
struct IncidentInFull {
    #[serde(flatten)]
    incident: IncidentView,
    /// The first hundred, failing ones first.
    webhooks: Vec<MemberView>,
    /// Oldest first. If there are too many entries, `left_out` counts those that were deleted.
    timeline: Vec<EntryView>,
    /// The newest hundred messages to contacts about it, oldest first. A key of a tenant sees those to the tenant's contacts.
    told: Vec<ToldView>,
}

/// A message about an incident to a contact.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IncidentMessage")]
struct ToldView {
    at: Time,
    /// Name of the contact.
    contact: String,
    #[schemars(extend("enum" = ["email", "webhook"]))]
    channel: String,
    topic: Topic,
    #[schemars(extend("enum" = ["sent", "waiting", "failed"]))]
    result: &'static str,
    /// Why it was not sent, or not yet.
    error: Option<String>,
}

impl From<ToldOf> for ToldView {
    fn from(told: ToldOf) -> ToldView {
        let (result, error) = match told.result {
            ToldResult::Sent { .. } => ("sent", None),
            ToldResult::Waiting { error } => ("waiting", error),
            ToldResult::Failed { error } => ("failed", Some(error)),
        };
        let ToldOf { at_ms, contact_name: contact, channel, topic, .. } = told;
        ToldView { at: Time::at(at_ms), contact, channel, topic, result, error }
    }
}

impl IncidentInFull {
    fn read(connection: &Connection, caller: &Caller, id: &str) -> Result<IncidentInFull, ActionError> {
        let incident = lookup::incident(connection, caller, id)?;
        let tenant = caller.tenant.as_ref();
        let webhooks = read::members(connection, incident.seq, tenant, MAX_WEBHOOKS)?;
        let timeline = entry::timeline(connection, incident.seq, tenant)?;
        let told = message::told_of(connection, incident.seq, tenant, MAX_TOLD)?;
        Ok(IncidentInFull {
            webhooks: webhooks.into_iter().map(MemberView::from).collect(),
            timeline: timeline.into_iter().map(|entry| EntryView::of(entry, caller)).collect(),
            told: told.into_iter().map(ToldView::from).collect(),
            incident: incident.into(),
        })
    }
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
    let page = list::page(query.limit.as_deref(), query.cursor.as_deref())?;
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
    list::show(&app, &reader, read, IncidentView::from).await
}

async fn show(app: Data<App>, Reader(caller): Reader, id: Path<String>) -> ApiResult {
    let store = app.actions.store.clone();
    let reader = caller.clone();
    let read = move |connection: &_| IncidentInFull::read(connection, &caller, &id);
    respond(&app, &reader, move || store.snapshot(read)).await
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
    changed(&app, caller, id.into_inner(), HttpResponse::Created()).await
}

async fn mute(app: Data<App>, Administrator(caller): Administrator, id: Path<String>) -> ApiResult {
    app.actions.mute_incident(&caller, &id, true).committed().await?;
    changed(&app, caller, id.into_inner(), HttpResponse::Ok()).await
}

async fn unmute(app: Data<App>, Administrator(caller): Administrator, id: Path<String>) -> ApiResult {
    app.actions.mute_incident(&caller, &id, false).committed().await?;
    changed(&app, caller, id.into_inner(), HttpResponse::Ok()).await
}
