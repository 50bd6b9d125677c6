//! `/v1/events/{id}/replay` and `/v1/webhooks/{id}/replay`: events delivered again.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bulk::{self, Count};
use super::deliveries::DeliveryView;
use super::events::AMBIGUOUS;
use super::{Administrator, ApiError, ApiResult, App, Call, Invalid, JsonBody, Scope, Table, blocking, schema};
use crate::actions::replay::Replay;
use crate::domain::pattern::EventPattern;
use crate::domain::time::parse_rfc3339;
use crate::store::bulk::Span;

pub(super) fn event_routes(table: &mut Table) {
    table.at("/v1/events/{id}/replay").post(event, describe_event);
}

pub(super) fn webhook_routes(table: &mut Table) {
    table.at("/v1/webhooks/{id}/replay").post(webhook, describe_webhook);
}

fn describe_event(call: &mut Call<'_>) {
    call.operation("Events", "replay_event", "Replay an event")
        .description("Delivers the event again to every webhook that subscribes to it now, or to `webhook_id`, subscribed or not. Each call delivers it once more.")
        .scope(Scope::Admin)
        .queues_deliveries()
        .path_parameter::<schema::EventId>("id")
        .request_body::<EventReplayBody>("{}")
        .response::<Replayed>(202, "The new deliveries.", r#"{"data": []}"#)
        .errors(409, &["test_event", "event_damaged", "event_erased", "contact_webhook"])
        .errors(409, AMBIGUOUS)
        .errors(422, &["other_tenant", "invalid_tenant"]);
}

fn describe_webhook(call: &mut Call<'_>) {
    call.operation("Webhooks", "replay_webhook", "Replay the events of a webhook")
        .description("Delivers again the events that the webhook subscribes to and that were received in the time span; with `only_failed`, only those whose newest delivery to it failed. The response follows when all deliveries are stored; if the server stops before, a 503 states how many are. Each call delivers the events once more.")
        .scope(Scope::Admin)
        .is_job()
        .queues_deliveries()
        .path_parameter::<schema::WebhookId>("id")
        .request_body::<WebhookReplayBody>(r#"{"since": "2026-01-15T00:00:00Z", "only_failed": true, "dry_run": true}"#)
        .response::<Count>(200, "With `dry_run`: the number of matching events.", r#"{"count": 12}"#)
        .response::<Count>(202, "The number of replayed events.", r#"{"count": 12}"#)
        .errors(409, &["contact_webhook"])
        .errors(422, &["invalid_time", "empty_span", "invalid_event_types", "invalid_event_pattern"]);
}

/// Webhooks that receive an event again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventReplay")]
struct EventReplayBody {
    /// Delivers only to this webhook, subscribed or not.
    webhook_id: Option<schema::WebhookId>,
    /// Tenant of the event. Required only if several tenants have an event with this id.
    tenant: Option<schema::TenantName>,
}

/// Deliveries of a replayed event.
#[derive(Serialize, JsonSchema)]
struct Replayed {
    data: Vec<DeliveryView>,
}

async fn event(app: Data<App>, Administrator(caller): Administrator, id: Path<String>, body: JsonBody) -> ApiResult {
    let EventReplayBody { webhook_id, tenant } = body.parse()?;
    let webhook_id = webhook_id.map(|id| id.to_owned());
    let place = app.reads.place(caller.tenant.as_ref()).await?;
    let actions = app.actions.clone();
    // Filters are applied to the event first.
    let queued = blocking(move || {
        let _place = place;
        actions.replay_event(&caller, (&id, tenant.as_deref()), webhook_id)
    });
    let deliveries = queued.await?.committed().await?;
    Ok(HttpResponse::Accepted().json(Replayed { data: deliveries.iter().map(DeliveryView::from).collect() }))
}

/// Events that a webhook receives again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookReplay")]
struct WebhookReplayBody {
    /// Events received at or after this time.
    since: schema::Time,
    /// Events received before this time. Default: now.
    until: Option<schema::Time>,
    /// 1 to 256 event types or patterns. Default: all that the webhook subscribes to.
    #[schemars(length(min = 1, max = 256))]
    event_types: Option<Vec<schema::EventTypePattern>>,
    /// Only events whose newest delivery to the webhook failed.
    #[serde(default)]
    only_failed: bool,
    /// Only count the events.
    #[serde(default)]
    dry_run: bool,
}

async fn webhook(app: Data<App>, Administrator(caller): Administrator, id: Path<String>, body: JsonBody) -> ApiResult {
    let body: WebhookReplayBody = body.parse()?;
    let (replay, dry_run) = (body.parse()?, body.dry_run);
    let actions = app.actions.clone();
    let work = move |caller: &_, go_on: &dyn Fn() -> bool| actions.replay_webhook(caller, &id, &replay, dry_run, go_on);
    bulk::run(&app, caller, dry_run, work).await
}

impl WebhookReplayBody {
    fn parse(&self) -> Result<Replay, ApiError> {
        let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
        let since = parse_rfc3339(&self.since).map_err(in_field("since"))?;
        let until = match &self.until {
            Some(text) => parse_rfc3339(text).map_err(in_field("until"))?,
            // Events published after the start of the call are never included.
            None => i64::MAX,
        };
        if until <= since {
            return Err(ApiError::invalid("empty_span", "until must be after since.").in_field("until"));
        }
        Ok(Replay { span: Span { since, until }, event_types: self.event_types()?, only_failed: self.only_failed })
    }

    fn event_types(&self) -> Result<Vec<EventPattern>, ApiError> {
        let Some(texts) = &self.event_types else {
            return Ok(Vec::new());
        };
        if !(1..=256).contains(&texts.len()) {
            let message = "event_types must hold 1 to 256 event types or patterns. Omit it for all.";
            return Err(ApiError::invalid("invalid_event_types", message).in_field("event_types"));
        }
        let pattern = |(index, text): (usize, &schema::EventTypePattern)| {
            text.parse().map_err(|invalid: Invalid| ApiError::from(invalid.in_field(format!("event_types[{index}]"))))
        };
        texts.iter().enumerate().map(pattern).collect()
    }
}
