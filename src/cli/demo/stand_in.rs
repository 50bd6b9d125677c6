//! What answers in place of receivers while the story is told: no connection is made.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::receivers;
use crate::actions::Actions;
use crate::actions::inbox::Arrival;
use crate::cli::demo::receivers::{Behaviour, Reply};
use crate::delivery::Transport;
use crate::delivery::http::client::{ClientResult, Outgoing, judged};
use crate::domain::attempt::{FailureCause, Phase, ReceiverResponse, Timings};
use crate::domain::time::Millis;
use crate::store::inbox::Inbox;
use crate::text::failure::describe;

/// Plays every receiver of the story.
#[derive(Default)]
pub(super) struct StandIn(Mutex<Played>);

#[derive(Default)]
struct Played {
    /// How a URL behaves, and how many requests it got.
    places: HashMap<String, (Behaviour, u64)>,
    inbox: Option<(String, Inbox)>,
    /// By which the inbox takes in what it gets.
    actions: Option<Actions>,
}

impl StandIn {
    pub(super) fn knows(&self, actions: &Actions) {
        self.lock().actions = Some(actions.clone());
    }

    /// Lets go of the actions, which hold this in turn.
    pub(super) fn forget(&self) {
        self.lock().actions = None;
    }

    pub(super) fn plays(&self, url: &str, behaviour: Behaviour) {
        self.lock().places.insert(url.to_owned(), (behaviour, 0));
    }

    pub(super) fn is_inbox(&self, url: &str, inbox: Inbox) {
        self.lock().inbox = Some((url.to_owned(), inbox));
    }

    fn lock(&self) -> MutexGuard<'_, Played> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The behaviour of a URL, and the number of this request to it.
    fn next(&self, url: &str) -> (Behaviour, u64) {
        let mut played = self.lock();
        let Some((behaviour, count)) = played.places.get_mut(url) else {
            return (Behaviour::Ok, 1);
        };
        *count += 1;
        (*behaviour, *count)
    }

    /// Takes a request to the inbox in, as the server does. Whether it was one.
    fn takes_in(&self, request: &Outgoing<'_>) -> bool {
        let found = {
            let played = self.lock();
            let inbox = played.inbox.as_ref();
            let inbox = inbox.filter(|(url, _)| url == request.url);
            inbox.map(|(_, inbox)| inbox.clone()).zip(played.actions.clone())
        };
        let Some((inbox, actions)) = found else {
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
        if let Err(error) = actions.take_in(&inbox, arrival) {
            log::warn!("the inbox did not take a request in: {error}");
        }
        true
    }
}

impl Transport for StandIn {
    fn post(&self, request: &Outgoing<'_>, timeout: Duration) -> ClientResult {
        if self.takes_in(request) {
            return answered(request.url, Reply { code: 200, after: Duration::from_millis(3), retry_after: None });
        }
        let (behaviour, number) = self.next(request.url);
        match behaviour.reply(number) {
            Some(reply) => answered(request.url, reply),
            None => unanswered(request.url, behaviour, timeout),
        }
    }
}

fn answered(url: &str, reply: Reply) -> ClientResult {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    headers.extend(reply.retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string())));
    let answer =
        ReceiverResponse { code: reply.code, headers, body: receivers::body(reply.code).into(), body_truncated: false };
    let micros = reply.after.as_micros() as u32;
    ClientResult {
        failure: judged(&answer, url),
        answer: Some(answer),
        timings: Timings {
            resolve_us: Some(400),
            connect_us: Some(1_100),
            tls_us: None,
            first_byte_us: Some(micros.saturating_sub(200)),
        },
        duration: reply.after,
        remote_address: None,
        connections: 1,
    }
}

fn unanswered(url: &str, behaviour: Behaviour, timeout: Duration) -> ClientResult {
    let (cause, duration) = match behaviour {
        Behaviour::Silent => {
            (FailureCause::Timeout { phase: Phase::Wait, limit_ms: timeout.as_millis() as Millis }, timeout)
        }
        _ => (FailureCause::Refused { addresses: 1 }, Duration::from_millis(1)),
    };
    ClientResult {
        answer: None,
        failure: Some(describe(cause, url)),
        timings: Timings::default(),
        duration,
        remote_address: None,
        connections: 1,
    }
}
