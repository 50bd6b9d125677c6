//! Stub in place of the receivers.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::random::Random;
use crate::delivery::Transport;
use crate::delivery::http::client::{ClientResult, Outgoing, judged};
use crate::domain::attempt::{FailureCause, Phase, ReceiverResponse};
use crate::text::failure::describe;

/// Usual behavior of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    /// Fails every other request, in various ways.
    Flaky,
    Failing,
    Silent,
    /// Responds with 429 and `Retry-After`.
    Busy,
}

impl Mood {
    pub(super) const ALL: [Mood; 5] = [Mood::Good, Mood::Flaky, Mood::Failing, Mood::Silent, Mood::Busy];

    pub(super) fn reply(self, random: &mut Random) -> Reply {
        match self {
            Mood::Good => Reply::Status(200, None),
            Mood::Flaky if random.chance(50) => Reply::Status(204, None),
            Mood::Flaky => match random.below(20) {
                0 => Reply::Status(410, None),
                1 | 2 => Reply::Panic,
                3..6 => Reply::NoLookup,
                6..9 => Reply::Refused,
                9..12 => Reply::Status(404, None),
                _ => Reply::Status(503, None),
            },
            Mood::Failing => Reply::Status(500, None),
            Mood::Silent => Reply::Timeout,
            Mood::Busy => {
                let text = random.pick(&["0", "3", "30", "1000000000", "-1", "soon", "Thu, 15 Jan 2026 10:05:00 GMT"]);
                Reply::Status(random.pick(&[429, 503]), Some(text))
            }
        }
    }
}

/// Result of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// Response with a status and a `Retry-After`.
    Status(u16, Option<&'static str>),
    Timeout,
    Refused,
    /// No thread was free to look up the name, so there was no attempt.
    NoLookup,
    /// A fault in Hookpost.
    Panic,
}

/// Gives each request the reply that was set before it.
#[derive(Default)]
pub(super) struct Stub(Mutex<Option<Reply>>);

impl Stub {
    pub(super) fn set(&self, reply: Reply) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
    }
}

impl Transport for Stub {
    fn post(&self, request: &Outgoing<'_>, timeout: Duration) -> ClientResult {
        let reply = self.0.lock().unwrap_or_else(PoisonError::into_inner).take().expect("a reply for each request");
        let failed = |cause| result(None, Some(describe(cause, request.url)));
        match reply {
            Reply::Status(code, retry_after) => {
                let headers = retry_after.map(|text| ("retry-after".to_owned(), text.to_owned()));
                let headers = headers.into_iter().collect();
                let answer = ReceiverResponse { code, headers, body: Vec::new(), body_truncated: false };
                let failure = judged(&answer, request.url);
                result(Some(answer), failure)
            }
            Reply::Timeout => {
                failed(FailureCause::Timeout { phase: Phase::Wait, limit_ms: timeout.as_millis() as i64 })
            }
            Reply::Refused => failed(FailureCause::Refused { addresses: 1 }),
            Reply::NoLookup => failed(FailureCause::LookupUnavailable { reason: "No thread.".to_owned() }),
            // Unlike `panic!`, it prints nothing.
            Reply::Panic => resume_unwind(Box::new("a fault of the model")),
        }
    }
}

fn result(answer: Option<ReceiverResponse>, failure: Option<crate::domain::attempt::Failure>) -> ClientResult {
    ClientResult { answer, failure, ..ClientResult::default() }
}
