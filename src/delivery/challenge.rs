//! The challenge of a profile: a signed request whose random text the endpoint has to send back.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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

/// What came of a challenge.
pub struct Challenged {
    pub made: AttemptResult,
    /// The body that was sent.
    pub body: Vec<u8>,
    /// Why the endpoint is not verified; `None` where it is.
    pub refusal: Option<String>,
}

/// Sends the challenge once, within the webhook's timeout, and judges the echo.
pub fn challenge(sender: &Sender, endpoint: &Endpoint, spec: &ChallengeSpec, now: Millis) -> Challenged {
    let text = URL_SAFE_NO_PAD.encode(random::bytes::<24>());
    let job = job(endpoint, spec, now);
    let body = compose_challenge(endpoint.form(), &job.event, &spec.field, &text);
    let made = sender.attempt_with(endpoint, &job, body.clone());
    let refusal = match (&made.attempt.failure, &made.attempt.answer) {
        (Some(failure), _) => Some(format!("The challenge failed. {}", failure.message)),
        (None, Some(answer)) => echo_fault(answer, &spec.field, &text),
        (None, None) => Some("The challenge was not answered.".to_owned()),
    };
    Challenged { made, body, refusal }
}

/// The challenge as a delivery that is stored nowhere.
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

/// What is wrong with an answer, where it does not echo the text.
fn echo_fault(answer: &ReceiverResponse, field: &str, text: &str) -> Option<String> {
    let json: serde_json::Value = match serde_json::from_slice(&answer.body) {
        Ok(json) => json,
        Err(_) => {
            return Some(format!(
                "The answer to the challenge is not JSON. It has to be {{\"{field}\": …}} with the text of the request."
            ));
        }
    };
    match json.get(field) {
        Some(echo) if echo.as_str() == Some(text) => None,
        Some(_) => Some(format!("The answer to the challenge holds another {field:?} than the request.")),
        None => Some(format!("The answer to the challenge holds no {field:?}.")),
    }
}
