//! Transport of the history: responds in place of the receivers, without a connection.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::receivers::{self, Behavior};
use crate::actions::Actions;
use crate::actions::inbox::Arrival;
use crate::cli::receiver::Reply;
use crate::delivery::Transport;
use crate::delivery::http::client::{ClientResult, Outgoing, judged};
use crate::domain::attempt::{Failure, FailureCause, Phase, ReceiverResponse, Timings};
use crate::domain::time::Millis;
use crate::store::inbox::Inbox;
use crate::text::failure::describe;

#[derive(Default)]
pub(super) struct StubTransport(Mutex<State>);

#[derive(Default)]
struct State {
    /// Behavior of each URL, and the number of requests to it.
    receivers: HashMap<String, (Behavior, u64)>,
    /// URL of the inbox, and the actions that store its requests.
    inbox: Option<(String, Inbox, Actions)>,
}

impl StubTransport {
    pub(super) fn add_receiver(&self, url: &str, behavior: Behavior) {
        self.lock().receivers.insert(url.to_owned(), (behavior, 0));
    }

    pub(super) fn set_inbox(&self, url: &str, inbox: Inbox, actions: &Actions) {
        self.lock().inbox = Some((url.to_owned(), inbox, actions.clone()));
    }

    /// Drops the receivers, the inbox, and the actions.
    pub(super) fn clear(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_request(&self, url: &str) -> (Behavior, u64) {
        match self.lock().receivers.get_mut(url) {
            Some((behavior, count)) => {
                *count += 1;
                (*behavior, *count)
            }
            None => (Behavior::Ok, 1),
        }
    }

    /// Stores a request to the inbox, as the server does. Returns `false` if the URL is not the inbox's.
    fn store_in_inbox(&self, request: &Outgoing<'_>) -> bool {
        let inbox = self.lock().inbox.clone();
        let Some((_, inbox, actions)) = inbox.filter(|(url, ..)| url == request.url) else {
            return false;
        };
        let headers = request.headers.iter();
        let arrival = Arrival {
            method: "POST".to_owned(),
            query: String::new(),
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect(),
            body: request.body.to_vec(),
            code: 200,
        };
        if let Err(error) = actions.receive(&inbox, arrival) {
            log::warn!("the inbox did not store a request: {error}");
        }
        true
    }
}

impl Transport for StubTransport {
    fn post(&self, request: &Outgoing<'_>, timeout: Duration) -> ClientResult {
        if self.store_in_inbox(request) {
            let reply = Reply { status: 200, after: Duration::from_millis(3), retry_after_s: None };
            return response(request.url, reply);
        }
        let (behavior, number) = self.count_request(request.url);
        match behavior.reply(number) {
            Some(reply) => response(request.url, reply),
            None => no_response(request.url, behavior, timeout),
        }
    }
}

fn response(url: &str, reply: Reply) -> ClientResult {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    headers.extend(reply.retry_after_s.map(|seconds| ("retry-after".to_owned(), seconds.to_string())));
    let body = receivers::body(reply.status).into();
    let response = ReceiverResponse { code: reply.status, headers, body, body_truncated: false };
    let timings = Timings {
        token_us: None,
        resolve_us: Some(400),
        connect_us: Some(1_100),
        tls_us: None,
        first_byte_us: Some((reply.after.as_micros() as u32).saturating_sub(200)),
    };
    result(judged(&response, url), Some(response), timings, reply.after)
}

fn no_response(url: &str, behavior: Behavior, timeout: Duration) -> ClientResult {
    let (cause, duration) = if behavior == Behavior::Silent {
        (FailureCause::Timeout { phase: Phase::Wait, limit_ms: timeout.as_millis() as Millis }, timeout)
    } else {
        (FailureCause::Refused { addresses: 1 }, Duration::from_millis(1))
    };
    result(Some(describe(cause, url)), None, Timings::default(), duration)
}

fn result(
    failure: Option<Failure>,
    answer: Option<ReceiverResponse>,
    timings: Timings,
    duration: Duration,
) -> ClientResult {
    ClientResult { answer, failure, timings, duration, remote_address: None, certificate: None, connections: 1 }
}
