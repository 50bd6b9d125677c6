//! One attempt, from the stored event to the response. Nothing here writes to the database.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::access_token::{AccessTokens, Authorized, Call};
use super::endpoint::{Endpoint, Request};
use crate::clock::Clock;
use crate::delivery::http::client::{Client, ClientResult, Outgoing};
use crate::domain::attempt::{ErrorCode, FailureCause};
use crate::domain::time::Millis;
use crate::domain::tls::Validity;
use crate::profile::BodyFormat;
use crate::store::DueDelivery;
use crate::store::attempt::Attempt;
use crate::text::failure::describe;

/// Carrier of requests: the HTTP client, or a stub.
pub trait Transport: Send + Sync {
    /// Sends one POST; `timeout` spans all phases.
    fn post(&self, request: &Outgoing<'_>, timeout: Duration) -> ClientResult;

    /// Releases idle resources.
    fn tidy(&self) {}
}

/// Makes attempts.
#[derive(Clone)]
pub struct Sender {
    transport: Arc<dyn Transport>,
    clock: Clock,
    tokens: Arc<AccessTokens>,
}

/// Format of a delivery's earlier attempts, which its later ones keep.
pub struct FormerFormat {
    pub format: BodyFormat,
    pub definition: Arc<str>,
}

/// Result of an attempt, ready to be recorded.
pub struct AttemptResult {
    pub attempt: Attempt,
    /// Definition of the body's format; `None` if the body was not composed from the event.
    pub body_format: Option<Arc<str>>,
    pub ended_ms: Millis,
    /// Validity of the endpoint's certificate, if a new connection has shown it.
    pub certificate: Option<Validity>,
}

impl AttemptResult {
    pub fn is_success(&self) -> bool {
        self.attempt.failure.is_none()
    }

    /// Whether the endpoint was tried. Without a thread to look up its name, or a file descriptor to connect with, it was
    /// not.
    pub fn is_attempt(&self) -> bool {
        let cause = self.attempt.failure.as_ref().map(|failure| &failure.cause);
        // After a 401, the request for another token may have met the same lack.
        self.attempt.answer.is_some() || !cause.is_some_and(FailureCause::is_untried)
    }

    pub fn error_code(&self) -> Option<ErrorCode> {
        self.attempt.failure.as_ref().map(|failure| failure.code())
    }
}

impl Transport for Client {
    fn post(&self, request: &Outgoing<'_>, timeout: Duration) -> ClientResult {
        Client::post(self, request, timeout)
    }

    fn tidy(&self) {
        self.close_idle();
    }
}

impl Sender {
    pub fn new(transport: Arc<dyn Transport>, clock: Clock) -> Sender {
        Sender { transport, clock, tokens: Arc::default() }
    }

    /// Releases idle resources. The engine calls it now and then.
    pub fn tidy(&self) {
        self.transport.tidy();
        self.tokens.sweep(self.clock.now_ms());
    }

    /// Composes, signs and sends, within the webhook's timeout and half a second. `former` is the format of the
    /// delivery's earlier attempts, if it is not the current one. A panic becomes a failed attempt with an internal error.
    pub fn attempt(&self, endpoint: &Endpoint, delivery: &DueDelivery, former: Option<&FormerFormat>) -> AttemptResult {
        self.guarded(endpoint, delivery, |started_ms| {
            match endpoint.request(delivery, started_ms, former.map(|former| &former.format)) {
                Ok(request) => {
                    let mut result = self.send(endpoint, delivery, started_ms, &request);
                    // Without an access token nothing was sent.
                    if !result.attempt.request_headers.is_empty() {
                        let definition = former.map_or(endpoint.body_format_definition(), |former| &former.definition);
                        result.body_format = Some(Arc::clone(definition));
                    }
                    result
                }
                Err(cause) => unsent(endpoint, delivery, started_ms, Some(cause)),
            }
        })
    }

    /// Like [`attempt`](Sender::attempt), with a body that is not composed from the event.
    pub fn attempt_with(&self, endpoint: &Endpoint, delivery: &DueDelivery, body: Vec<u8>) -> AttemptResult {
        self.guarded(endpoint, delivery, |started_ms| match endpoint.request_with(delivery, started_ms, body) {
            Ok(request) => self.send(endpoint, delivery, started_ms, &request),
            Err(cause) => unsent(endpoint, delivery, started_ms, Some(cause)),
        })
    }

    fn guarded(
        &self,
        endpoint: &Endpoint,
        delivery: &DueDelivery,
        send: impl FnOnce(Millis) -> AttemptResult,
    ) -> AttemptResult {
        let started_ms = self.clock.now_ms();
        let sent = catch_unwind(AssertUnwindSafe(|| send(started_ms)));
        let mut result = sent.unwrap_or_else(|panic| {
            let what = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no words".to_owned());
            log::error!(
                delivery_id:% = delivery.id;
                "a fault in Hookpost interrupted an attempt, which is repeated: {what}. Please report it with the log."
            );
            unsent(endpoint, delivery, started_ms, Some(FailureCause::WorkerPanic))
        });
        result.ended_ms = self.clock.now_ms();
        result
    }

    fn send(
        &self,
        endpoint: &Endpoint,
        delivery: &DueDelivery,
        started_ms: Millis,
        request: &Request,
    ) -> AttemptResult {
        let webhook = &endpoint.webhook;
        let outgoing = Outgoing {
            url: webhook.url.as_str(),
            tenant: &endpoint.payer,
            headers: &request.headers,
            body: &request.body,
            tls: webhook.tls.as_ref(),
        };
        let timeout = Duration::from_secs(u64::from(webhook.limits.timeout_s));
        let Authorized { result: sent, is_sent, token_renewed } = match endpoint.oauth2() {
            None => Authorized { result: self.transport.post(&outgoing, timeout), is_sent: true, token_renewed: false },
            Some(client) => {
                let (transport, clock) = (&*self.transport, &self.clock);
                self.tokens.post(&Call { transport, clock, webhook_seq: webhook.seq, client, outgoing }, timeout)
            }
        };
        let mut result = unsent(endpoint, delivery, started_ms, None);
        result.attempt.duration_ms = sent.duration.as_millis() as i64;
        result.attempt.timings = sent.timings;
        result.attempt.remote_address = sent.remote_address.map(|address| address.to_string());
        result.attempt.connections = sent.connections;
        result.attempt.token_renewed = token_renewed;
        if is_sent {
            result.attempt.request_headers = endpoint.shown_headers(&request.headers);
        }
        result.certificate = sent.certificate;
        result.attempt.answer = sent.answer;
        result.attempt.failure = sent.failure;
        result
    }
}

/// An attempt that sent nothing, or nothing yet.
fn unsent(
    endpoint: &Endpoint,
    delivery: &DueDelivery,
    started_ms: Millis,
    cause: Option<FailureCause>,
) -> AttemptResult {
    let url = endpoint.webhook.url.as_str();
    let failure = cause.map(|cause| describe(cause, url));
    AttemptResult {
        attempt: Attempt::unsent(started_ms, delivery.attempt_count + 1, delivery.trigger, url, failure),
        body_format: None,
        ended_ms: started_ms,
        certificate: None,
    }
}
