//! Delivering again: `/v1/events/{id}/replay` and `/v1/webhooks/{id}/replay`.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{Administrator, JsonBody};
use super::bulk::{Count, counted, in_steps};
use super::table::Table;
use super::view;
use crate::actions::replay::Replay;
use crate::domain::Invalid;
use crate::domain::pattern::EventPattern;
use crate::domain::time::parse_rfc3339;
use crate::http::api::openapi::{Call, schema};
use crate::store::api_key::Scope;
use crate::store::bulk::Span;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/events/{id}/replay").post(event, describe_event);
}

pub(super) fn webhook_routes(table: &mut Table, base: &str) {
    table.at(format!("{base}/webhooks/{{id}}/replay")).post(webhook, describe_webhook);
}

fn describe_event(call: &mut Call<'_>) {
    call.named("replay_event", "Deliver an event again")
        .of("Events")
        .says("To every webhook that subscribes to it now, or to `webhook_id`, which need not. A repeated call delivers it once more.")
        .needs(Scope::Admin)
        .path::<schema::EventId>("id", "The id of the event.")
        .takes::<EventReplayBody>("{}")
        .answers::<Replayed>(202, "The deliveries that were made.", r#"{"data": []}"#)
        .fails(409, &["test_event", "event_damaged"])
        .fails(422, &["other_tenant"]);
}

fn describe_webhook(call: &mut Call<'_>) {
    call.named("replay_webhook", "Deliver a webhook's events again")
        .of("Webhooks")
        .says("What the webhook subscribes to and was received in the span; with `only_failed`, events whose newest delivery to it failed. Answered once all is stored. A repeated call repeats them.")
        .needs(Scope::Admin)
        .path::<schema::WebhookId>("id", "The id of the webhook.")
        .takes::<WebhookReplayBody>(r#"{"since": "2026-01-15T00:00:00Z", "only_failed": true, "dry_run": true}"#)
        .answers::<Count>(200, "How many events it would be, with `dry_run`.", r#"{"count": 12}"#)
        .answers::<Count>(202, "How many events it were.", r#"{"count": 12}"#)
        .fails(422, &["invalid_time", "empty_span", "invalid_event_types", "invalid_event_pattern"]);
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventReplay")]
struct EventReplayBody {
    /// The one webhook that it goes to, whether or not that subscribes.
    #[schemars(with = "Option<schema::WebhookId>")]
    webhook_id: Option<String>,
}

/// The deliveries that a replay made.
#[derive(Serialize, JsonSchema)]
struct Replayed {
    data: Vec<view::DeliveryView>,
}

/// `POST /v1/events/{id}/replay`: to every webhook that subscribes to it now, or to `webhook_id`, which need not.
async fn event(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let EventReplayBody { webhook_id } = body.parse()?;
    let replayed = app.actions.replay_event(&caller, &id, webhook_id);
    Ok(HttpResponse::Accepted()
        .json(Replayed { data: replayed.committed().await?.iter().map(view::delivery).collect() }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookReplay")]
struct WebhookReplayBody {
    /// Events received from then on.
    #[schemars(with = "schema::Time")]
    since: String,
    /// And before then; now where left out.
    #[schemars(with = "Option<schema::Time>")]
    until: Option<String>,
    /// 1 to 256 event types or patterns; all that the webhook subscribes to where left out.
    #[schemars(with = "Option<Vec<schema::EventTypePattern>>", length(min = 1, max = 256))]
    event_types: Option<Vec<String>>,
    /// Only those whose newest delivery to the webhook failed.
    #[serde(default)]
    only_failed: bool,
    /// Count alone.
    #[serde(default)]
    dry_run: bool,
}

/// `POST /v1/webhooks/{id}/replay`: what the webhook subscribes to and was received in the span is delivered to it
/// again; with `only_failed`, events whose newest delivery to it failed. Answered once all is stored. Where the
/// server stops in between, a 503 says how many were stored, and they are delivered. A repeated call repeats them.
async fn webhook(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let body: WebhookReplayBody = body.parse()?;
    let (replay, dry_run) = (body.parse()?, body.dry_run);
    let actions = app.actions.clone();
    let count = in_steps(&app, move |go_on| actions.replay_webhook(&caller, &id, &replay, dry_run, go_on));
    Ok(counted(count.await?, dry_run))
}

impl WebhookReplayBody {
    fn parse(&self) -> Result<Replay, ApiError> {
        let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
        let since = parse_rfc3339(&self.since).map_err(in_field("since"))?;
        let until = match &self.until {
            Some(text) => parse_rfc3339(text).map_err(in_field("until"))?,
            // What is published after the call began is not met anyhow.
            None => i64::MAX,
        };
        if until <= since {
            return Err(ApiError::invalid("empty_span", "until is not after since: no event was received in between.")
                .in_field("until"));
        }
        Ok(Replay { span: Span { since, until }, event_types: self.event_types()?, only_failed: self.only_failed })
    }

    fn event_types(&self) -> Result<Vec<EventPattern>, ApiError> {
        let Some(texts) = &self.event_types else {
            return Ok(Vec::new());
        };
        if !(1..=256).contains(&texts.len()) {
            return Err(ApiError::invalid(
                "invalid_event_types",
                "event_types holds 1 to 256 event types or patterns; leave it out for all.",
            )
            .in_field("event_types"));
        }
        let pattern = |(index, text): (usize, &String)| {
            text.parse().map_err(|invalid: Invalid| ApiError::from(invalid.in_field(format!("event_types[{index}]"))))
        };
        texts.iter().enumerate().map(pattern).collect()
    }
}
