//! Domain types as the API shows them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::actions::lookup::DeliveryInFull;
use crate::actions::publish::Receipt;
use crate::actions::show_event::EventInFull;
use crate::domain::delivery::Cause;
use crate::domain::header;
use crate::domain::retry::ScheduleSpec;
use crate::domain::time::{Millis, rfc3339};
use crate::domain::webhook::{Webhook, WebhookState};
use crate::http::api::openapi::schema;
use crate::store::attempt::Attempt;
use crate::store::delivery::Delivery;
use crate::store::event::StoredEvent;

/// A webhook. Its secret is in the answer to its creation only.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub(super) struct WebhookView {
    #[schemars(with = "schema::WebhookId")]
    id: String,
    #[schemars(with = "schema::TenantName")]
    tenant: String,
    /// Where deliveries go.
    url: String,
    /// For people.
    description: String,
    /// The event types that it subscribes to.
    #[schemars(with = "Vec<schema::EventTypePattern>")]
    events: Vec<String>,
    /// How deliveries look.
    #[schemars(with = "schema::ProfileName")]
    profile: String,
    #[schemars(with = "schema::WebhookState")]
    state: &'static str,
    /// Whether its state is `active`.
    active: bool,
    /// When Hookpost disabled it.
    #[schemars(with = "Option<schema::Time>")]
    disabled_at: Option<String>,
    /// Why it is disabled or unverified, in words.
    disabled_reason: Option<String>,
    /// Headers that every delivery carries. Of those whose name holds `auth`, `token`, `key`, `secret` or `cookie` the value is masked.
    #[schemars(with = "BTreeMap<String, String>")]
    headers: Map<String, Value>,
    /// Seconds that an attempt may take, over all its phases.
    timeout_s: u32,
    /// Requests at a time at most.
    max_in_flight: u32,
    /// Requests a second at most.
    rate_limit_per_s: Option<u32>,
    /// Whether deliveries are made strictly one after the other.
    ordered: bool,
    /// In place of the profile's schedule.
    retry: Option<ScheduleSpec>,
    /// Whether deliveries carry the headers of Standard Webhooks beside the profile's own.
    standard_headers: bool,
    #[schemars(with = "schema::Time")]
    created_at: String,
    #[schemars(with = "schema::Time")]
    updated_at: String,
    /// What deliveries are signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    secret: Option<String>,
    /// The same as libraries for Standard Webhooks take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    standard_secret: Option<String>,
}

/// A webhook, without its secret.
pub(super) fn webhook(webhook: &Webhook) -> WebhookView {
    WebhookView {
        id: webhook.id.to_string(),
        tenant: webhook.tenant.to_string(),
        url: webhook.url.to_string(),
        description: webhook.description.clone(),
        events: webhook.events.iter().map(ToString::to_string).collect(),
        profile: webhook.profile.clone(),
        state: webhook.state.into_str(),
        active: webhook.state == WebhookState::Active,
        disabled_at: webhook.disabled_ms.map(rfc3339),
        disabled_reason: webhook.disabled_reason.clone(),
        headers: webhook
            .headers
            .iter()
            .map(|(name, value)| (name.to_owned(), Value::from(header::shown(name, value))))
            .collect(),
        timeout_s: webhook.limits.timeout_s,
        max_in_flight: webhook.limits.max_in_flight,
        rate_limit_per_s: webhook.limits.rate_limit_per_s,
        ordered: webhook.ordered,
        retry: webhook.retry.as_ref().map(|retry| retry.spec()),
        standard_headers: webhook.standard_headers,
        created_at: rfc3339(webhook.created_ms),
        updated_at: rfc3339(webhook.updated_ms),
        secret: None,
        standard_secret: None,
    }
}

/// A webhook with its secret: the answer to its creation.
pub(super) fn webhook_with_secret(of: &Webhook) -> WebhookView {
    WebhookView {
        secret: Some(of.secret.as_str().to_owned()),
        standard_secret: Some(of.secret.standard_form()),
        ..webhook(of)
    }
}

/// What became of a published event.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Receipt")]
pub(super) struct ReceiptView<'a> {
    #[schemars(with = "schema::EventId")]
    id: &'a str,
    /// The same was published before, and nothing new was stored.
    duplicate: bool,
    deliveries: Vec<ReceiptDelivery>,
}

/// A delivery that an event led to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReceiptDelivery")]
pub(super) struct ReceiptDelivery {
    #[schemars(with = "schema::DeliveryId")]
    id: String,
    #[schemars(with = "schema::WebhookId")]
    webhook_id: String,
}

pub(super) fn receipt(receipt: &Receipt) -> ReceiptView<'_> {
    let deliveries = receipt.deliveries.iter();
    ReceiptView {
        id: receipt.id.as_str(),
        duplicate: receipt.duplicate,
        deliveries: deliveries
            .map(|(id, webhook_id)| ReceiptDelivery { id: id.to_string(), webhook_id: webhook_id.to_string() })
            .collect(),
    }
}

/// An event. Its deliveries, and who got none, are there where it stands alone.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub(in crate::http) struct EventView {
    #[schemars(with = "schema::EventId")]
    id: String,
    #[schemars(with = "schema::EventTypeName")]
    #[serde(rename = "type")]
    event_type: String,
    #[schemars(with = "schema::TenantName")]
    tenant: String,
    /// When it happened.
    #[schemars(with = "schema::Time")]
    created_at: String,
    /// When it was stored.
    #[schemars(with = "schema::Time")]
    received_at: String,
    /// Whether it is a test.
    test: bool,
    /// As the application spelled it.
    data: Option<Box<RawValue>>,
    /// What `data` was before, where the application said so.
    previous_data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<DeliveryView>")]
    deliveries: Option<Vec<DeliveryView>>,
    /// The webhooks of its tenant that it was not delivered to: the first 250, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<MissedView>")]
    not_delivered: Option<Vec<MissedView>>,
    /// How many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    not_delivered_count: Option<u64>,
}

/// A webhook of the tenant that an event was not delivered to, and why.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NotDelivered")]
pub(super) struct MissedView {
    #[schemars(with = "schema::WebhookId")]
    webhook_id: String,
    url: String,
    #[schemars(with = "schema::MissedReason")]
    reason: &'static str,
    /// The reason in words.
    message: String,
}

/// An event that stands alone: with its deliveries, and who got none.
pub(super) fn event_in_full(full: EventInFull) -> EventView {
    let missed = full.missed.into_iter().map(|missed| MissedView {
        webhook_id: missed.webhook_id.to_string(),
        url: missed.url,
        reason: missed.reason.into_str(),
        message: missed.message,
    });
    EventView {
        not_delivered: Some(missed.collect()),
        not_delivered_count: Some(full.missed_count),
        ..event(full.stored, Some(full.deliveries))
    }
}

/// An event; with its deliveries where it stands alone.
pub(in crate::http) fn event(stored: StoredEvent, deliveries: Option<Vec<Delivery>>) -> EventView {
    let event = stored.event;
    let raw = |text: Box<str>| RawValue::from_string(text.into()).ok();
    EventView {
        id: event.id.as_str().to_owned(),
        event_type: event.event_type.as_str().to_owned(),
        tenant: event.tenant.as_str().to_owned(),
        created_at: rfc3339(event.created_ms),
        received_at: rfc3339(event.received_ms),
        test: event.test,
        data: raw(event.data),
        previous_data: event.previous_data.and_then(raw),
        deliveries: deliveries.map(|all| all.iter().map(delivery).collect()),
        not_delivered: None,
        not_delivered_count: None,
    }
}

/// A delivery; with its attempts where it stands alone.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub(in crate::http) struct DeliveryView {
    #[schemars(with = "schema::DeliveryId")]
    id: String,
    #[schemars(with = "schema::EventId")]
    event_id: String,
    #[schemars(with = "schema::EventTypeName")]
    event_type: String,
    #[schemars(with = "schema::WebhookId")]
    webhook_id: String,
    #[schemars(with = "schema::TenantName")]
    tenant: String,
    #[schemars(with = "schema::DeliveryStatus")]
    status: &'static str,
    #[schemars(with = "Option<schema::WaitingFor>")]
    waiting_for: Option<&'static str>,
    /// Whether it is a test.
    test: bool,
    /// Attempts so far.
    attempt_count: u32,
    /// When the next attempt is due, where one is.
    #[schemars(with = "Option<schema::Time>")]
    next_attempt_at: Option<String>,
    #[schemars(with = "schema::Time")]
    created_at: String,
    #[schemars(with = "Option<schema::Time>")]
    finished_at: Option<String>,
    last_attempt: Option<LastAttemptView>,
    /// Where it stands alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<AttemptView>")]
    attempts: Option<Vec<AttemptView>>,
}

/// The outcome of a delivery's last attempt.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LastAttempt")]
pub(super) struct LastAttemptView {
    /// The status that was answered, if any.
    code: Option<u16>,
    #[schemars(with = "Option<schema::ErrorCode>")]
    error_code: Option<&'static str>,
    duration_ms: i64,
    /// When it ended.
    #[schemars(with = "schema::Time")]
    at: String,
}

/// A delivery, without its attempts.
pub(in crate::http) fn delivery(delivery: &Delivery) -> DeliveryView {
    let waits = !delivery.status.is_finished();
    let waiting_for = delivery.webhook_state.waiting_for().filter(|_| waits);
    let next: Option<Millis> = delivery.due_ms.filter(|_| waiting_for.is_none());
    let last = delivery.last.as_ref().map(|last| LastAttemptView {
        code: last.code,
        error_code: last.error_code.map(|code| code.into_str()),
        duration_ms: last.duration_ms,
        at: rfc3339(last.at_ms),
    });
    DeliveryView {
        id: delivery.id.to_string(),
        event_id: delivery.event_id.as_str().to_owned(),
        event_type: delivery.event_type.as_str().to_owned(),
        webhook_id: delivery.webhook_id.to_string(),
        tenant: delivery.tenant.as_str().to_owned(),
        status: delivery.status.into_str(),
        waiting_for,
        test: delivery.cause == Cause::Test,
        attempt_count: delivery.attempt_count,
        next_attempt_at: next.map(rfc3339),
        created_at: rfc3339(delivery.created_ms),
        finished_at: delivery.finished_ms.map(rfc3339),
        last_attempt: last,
        attempts: None,
    }
}

/// A delivery with its attempts.
pub(super) fn delivery_in_full(full: &DeliveryInFull) -> DeliveryView {
    DeliveryView { attempts: Some(full.attempts.iter().map(attempt).collect()), ..delivery(&full.delivery) }
}

/// One attempt: what was sent, what came back.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
pub(in crate::http) struct AttemptView {
    #[schemars(with = "schema::AttemptId")]
    id: String,
    /// 1 for the first of the delivery.
    number: u32,
    #[schemars(with = "schema::Trigger")]
    trigger: &'static str,
    #[schemars(with = "schema::Time")]
    started_at: String,
    duration_ms: i64,
    timings: TimingsView,
    /// The address that the request went to, with its port.
    remote_address: Option<String>,
    /// 2 where a kept connection broke and a fresh one was tried.
    connections: u8,
    request: RequestView,
    response: Option<ResponseView>,
    error: Option<AttemptError>,
}

/// How long each phase took, in milliseconds.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Timings")]
pub(super) struct TimingsView {
    resolve_ms: Option<f64>,
    connect_ms: Option<f64>,
    tls_ms: Option<f64>,
    /// From the start of the attempt to the first byte of the answer.
    first_byte_ms: Option<f64>,
}

/// What was sent.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SentRequest")]
pub(super) struct RequestView {
    url: String,
    /// Values that are secrets are masked.
    #[schemars(with = "BTreeMap<String, String>")]
    headers: Map<String, Value>,
    body: Option<String>,
}

/// What came back.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReceivedResponse")]
pub(super) struct ResponseView {
    #[schemars(range(min = 100, max = 999))]
    code: u16,
    #[schemars(with = "BTreeMap<String, String>")]
    headers: Map<String, Value>,
    /// The first 16 KiB.
    body: String,
    body_truncated: bool,
}

/// Why an attempt failed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AttemptError")]
pub(super) struct AttemptError {
    #[schemars(with = "schema::ErrorCode")]
    code: &'static str,
    /// In words.
    message: String,
}

pub(in crate::http) fn attempt(attempt: &Attempt) -> AttemptView {
    let ms = |us: Option<u32>| us.map(|us| f64::from(us) / 1000.0);
    let timings = &attempt.timings;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    AttemptView {
        id: attempt.id.to_string(),
        number: attempt.number,
        trigger: attempt.trigger.into_str(),
        started_at: rfc3339(attempt.started_ms),
        duration_ms: attempt.duration_ms,
        timings: TimingsView {
            resolve_ms: ms(timings.resolve_us),
            connect_ms: ms(timings.connect_us),
            tls_ms: ms(timings.tls_us),
            first_byte_ms: ms(timings.first_byte_us),
        },
        remote_address: attempt.remote_address.clone(),
        connections: attempt.connections,
        request: RequestView {
            url: attempt.url.clone(),
            headers: headers(&attempt.request_headers),
            body: attempt.request_body.as_deref().map(text),
        },
        response: attempt.answer.as_ref().map(|answer| ResponseView {
            code: answer.code,
            headers: headers(&answer.headers),
            body: text(&answer.body),
            body_truncated: answer.body_truncated,
        }),
        error: attempt
            .failure
            .as_ref()
            .map(|failure| AttemptError { code: failure.code().into_str(), message: failure.message.clone() }),
    }
}

/// Headers as an object; of a name that came more than once the values are joined as RFC 9110 5.3 joins them.
pub(super) fn headers(pairs: &[(String, String)]) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, value) in pairs {
        match map.get_mut(name) {
            Some(Value::String(before)) => {
                before.push_str(", ");
                before.push_str(value);
            }
            _ => {
                map.insert(name.clone(), Value::from(value.as_str()));
            }
        }
    }
    map
}
