//! Incidents and conditions of webhooks in answers.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::Caller;
use super::super::openapi::schema::{
    ErrorCode, IncidentEntryKind, IncidentId, OpenReason, TenantName, Time, WebhookHealth, WebhookId,
};
use crate::actions::{ActionError, lookup};
use crate::domain::contact::Topic;
use crate::domain::incident::{Health, HealthFacts, Verdict};
use crate::domain::webhook::Webhook;
use crate::store::Connection;
use crate::store::incident::Cause;
use crate::store::incident::entry::{self, TimelineEntry};
use crate::store::incident::read::{self, Condition, Incident, Member};
use crate::store::message::{self, ToldOf, ToldResult};

/// Webhooks in the answer with one incident.
const MAX_WEBHOOKS: u32 = 100;
/// Messages in the answer with one incident.
const MAX_TOLD: u32 = 100;

/// Condition of a webhook.
#[derive(Serialize, JsonSchema)]
pub(in crate::http::api) struct ConditionView {
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
    pub(in crate::http::api) fn of(webhook: &Webhook, condition: Option<Condition>) -> ConditionView {
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
    /// `null` if no attempt failed: the webhook is unverified, or a certificate expires soon.
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
pub(super) struct IncidentView {
    id: IncidentId,
    /// Host and port that the webhooks share.
    host: String,
    #[schemars(extend("enum" = ["open", "closed"]))]
    status: &'static str,
    opened_at: Time,
    /// Ten minutes after the last webhook recovered, or its certificate was replaced (an hour in an incident that was opened
    /// again), or when it was deleted or moved to another host.
    closed_at: Option<Time>,
    /// First failed attempt. Of a certificate: when the incident opened.
    since: Time,
    /// Last successful delivery before that.
    last_success_at: Option<Time>,
    /// First success of the webhook that recovered last; `null` while one is failing.
    recovered_at: Option<Time>,
    reason: OpenReason,
    cause: CauseView,
    webhook_count: u64,
    /// Webhooks that have not recovered, or whose certificate was not replaced.
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
pub(super) struct IncidentInFull {
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
    pub(super) fn read(connection: &Connection, caller: &Caller, id: &str) -> Result<IncidentInFull, ActionError> {
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
