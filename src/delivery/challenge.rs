//! The challenge of a profile: a signed request with a random text that the endpoint must return.

use std::sync::Arc;

use super::endpoint::Endpoint;
use super::sender::{AttemptResult, Sender};
use crate::domain::attempt::ReceiverResponse;
use crate::domain::delivery::Trigger;
use crate::domain::event::{Event, EventId};
use crate::domain::id::DeliveryId;
use crate::domain::time::Millis;
use crate::profile::body_format::compose_challenge;
use crate::profile::spec::ChallengeSpec;
use crate::random;
use crate::store::DueDelivery;

/// Result of a challenge.
pub struct ChallengeResult {
    pub result: AttemptResult,
    /// Body of the request.
    pub body: Vec<u8>,
    /// Reason why the endpoint is not verified; `None` if it is.
    pub refusal: Option<String>,
}

/// Sends the challenge once, within the webhook's timeout, and checks the returned text.
pub fn challenge(sender: &Sender, endpoint: &Endpoint, spec: &ChallengeSpec, now: Millis) -> ChallengeResult {
    let text = random::text::<24>();
    let job = job(endpoint, spec, now);
    let body = compose_challenge(endpoint.body_format(), &job.event, &spec.field, &text);
    let result = sender.attempt_with(endpoint, &job, body.clone());
    let refusal = match (&result.attempt.failure, &result.attempt.answer) {
        (Some(failure), _) => Some(format!("The challenge failed. {}", failure.public())),
        (None, Some(response)) => echo_fault(response, &spec.field, &text),
        (None, None) => Some("The endpoint did not respond to the challenge.".to_owned()),
    };
    ChallengeResult { result, body, refusal }
}

/// Returns the challenge as a delivery, which is not stored.
fn job(endpoint: &Endpoint, spec: &ChallengeSpec, now: Millis) -> DueDelivery {
    let event = Event {
        id: EventId::generate(now, random::bits()),
        tenant: endpoint.webhook.tenant.clone(),
        event_type: spec.event.parse().expect("a profile's challenge has a valid event type"),
        created_ms: now,
        received_ms: now,
        data: "{}".into(),
        previous_data: None,
        test: true,
    };
    DueDelivery {
        seq: 0,
        id: DeliveryId::generate(now, random::bits()),
        webhook_seq: endpoint.webhook.seq,
        event: Arc::new(event),
        due_ms: now,
        attempt_count: 0,
        trigger: Trigger::Challenge,
    }
}

/// Returns the fault of a response that does not echo the text.
fn echo_fault(response: &ReceiverResponse, field: &str, text: &str) -> Option<String> {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(&response.body) else {
        return Some(format!(
            "The response to the challenge is not JSON. It must be {{\"{field}\": …}} with the text of the request."
        ));
    };
    match json.get(field) {
        Some(echo) if echo.as_str() == Some(text) => None,
        Some(_) => Some(format!("The field {field:?} of the response is not the text of the challenge.")),
        None => Some(format!("The response to the challenge has no field {field:?}.")),
    }
}
