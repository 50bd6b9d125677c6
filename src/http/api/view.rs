//! Domain types as the API shows them.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::actions::find::DeliveryInFull;
use crate::actions::publish::Receipt;
use crate::actions::show_event::EventInFull;
use crate::domain::header;
use crate::domain::retry::ScheduleSpec;
use crate::domain::time::{Millis, rfc3339};
use crate::domain::webhook::{Webhook, WebhookState};
use crate::store::attempt::Attempt;
use crate::store::delivery::Delivery;
use crate::store::event::StoredEvent;

#[derive(Serialize)]
pub(super) struct WebhookView {
    id: String,
    tenant: String,
    url: String,
    description: String,
    events: Vec<String>,
    profile: String,
    state: &'static str,
    active: bool,
    disabled_at: Option<String>,
    disabled_reason: Option<String>,
    headers: Map<String, Value>,
    timeout_s: u32,
    max_in_flight: u32,
    rate_limit_per_s: Option<u32>,
    ordered: bool,
    retry: Option<ScheduleSpec>,
    standard_headers: bool,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
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
        state: webhook.state.as_str(),
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

pub(super) fn receipt(receipt: &Receipt) -> Value {
    let deliveries: Vec<Value> = receipt
        .deliveries
        .iter()
        .map(|(id, webhook_id)| json!({"id": id.to_string(), "webhook_id": webhook_id.to_string()}))
        .collect();
    json!({
        "id": receipt.id.as_str(),
        "duplicate": receipt.duplicate,
        "deliveries": deliveries,
    })
}

#[derive(Serialize)]
pub(in crate::http) struct EventView {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    tenant: String,
    created_at: String,
    received_at: String,
    test: bool,
    data: Option<Box<RawValue>>,
    previous_data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_delivered: Option<Vec<MissedView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_delivered_count: Option<u64>,
}

/// A webhook of the tenant that an event was not delivered to, and why.
#[derive(Serialize)]
pub(super) struct MissedView {
    webhook_id: String,
    url: String,
    reason: &'static str,
    message: String,
}

/// An event that stands alone: with its deliveries, and who got none.
pub(super) fn event_in_full(full: EventInFull) -> EventView {
    let missed = full.missed.into_iter().map(|missed| MissedView {
        webhook_id: missed.webhook_id.to_string(),
        url: missed.url,
        reason: missed.reason.as_str(),
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

/// A delivery, without its attempts.
pub(in crate::http) fn delivery(delivery: &Delivery) -> Value {
    let waits = !delivery.status.is_finished();
    let waiting_for = delivery.webhook_state.waiting_for().filter(|_| waits);
    let next: Option<Millis> = delivery.due_ms.filter(|_| waiting_for.is_none());
    let last = delivery.last.as_ref().map(|last| {
        json!({
            "code": last.code,
            "error_code": last.error_code.map(|code| code.as_str()),
            "duration_ms": last.duration_ms,
            "at": rfc3339(last.at_ms),
        })
    });
    json!({
        "id": delivery.id.to_string(),
        "event_id": delivery.event_id.as_str(),
        "event_type": delivery.event_type.as_str(),
        "webhook_id": delivery.webhook_id.to_string(),
        "tenant": delivery.tenant.as_str(),
        "status": delivery.status.as_str(),
        "waiting_for": waiting_for,
        "test": delivery.cause == crate::domain::delivery::Cause::Test,
        "attempt_count": delivery.attempt_count,
        "next_attempt_at": next.map(rfc3339),
        "created_at": rfc3339(delivery.created_ms),
        "finished_at": delivery.finished_ms.map(rfc3339),
        "last_attempt": last,
    })
}

/// A delivery with its attempts.
pub(super) fn delivery_in_full(full: &DeliveryInFull) -> Value {
    let mut view = delivery(&full.delivery);
    view["attempts"] = full.attempts.iter().map(attempt).collect();
    view
}

/// One attempt: what was sent, what came back.
pub(in crate::http) fn attempt(attempt: &Attempt) -> Value {
    let ms = |us: Option<u32>| us.map(|us| f64::from(us) / 1000.0);
    let timings = &attempt.timings;
    let body = attempt.request_body.as_deref().map(String::from_utf8_lossy);
    json!({
        "id": attempt.id.to_string(),
        "number": attempt.number,
        "trigger": attempt.trigger.as_str(),
        "started_at": rfc3339(attempt.started_ms),
        "duration_ms": attempt.duration_ms,
        "timings": {
            "resolve_ms": ms(timings.resolve_us),
            "connect_ms": ms(timings.connect_us),
            "tls_ms": ms(timings.tls_us),
            "first_byte_ms": ms(timings.first_byte_us),
        },
        "remote_address": attempt.remote_address,
        "connections": attempt.connections,
        "request": {
            "url": attempt.url,
            "headers": headers(&attempt.request_headers),
            "body": body,
        },
        "response": attempt.answer.as_ref().map(|answer| json!({
            "code": answer.code,
            "headers": headers(&answer.headers),
            "body": String::from_utf8_lossy(&answer.body),
            "body_truncated": answer.body_truncated,
        })),
        "error": attempt.failure.as_ref().map(|failure| json!({
            "code": failure.code.as_str(),
            "message": failure.message,
        })),
    })
}

/// Headers as an object; of a name that came more than once the values are joined as RFC 9110 5.3 joins them.
pub(super) fn headers(pairs: &[(String, String)]) -> Value {
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
    Value::Object(map)
}
