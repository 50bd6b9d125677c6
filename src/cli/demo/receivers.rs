//! Receivers of the demo: one server, and the last segment of the path is the behavior.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use strum::{Display, EnumString};

use crate::cli::receiver::{self, Reply};

#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, Display)]
#[strum(serialize_all = "snake_case")]
pub enum Behavior {
    /// Responds immediately.
    Ok,
    /// Responds after two seconds.
    Slow,
    /// Responds with 500 to every fourth request.
    Flaky,
    /// Responds with 429 to every other request.
    Busy,
    /// Always responds with 500.
    Down,
    /// Always responds with 410.
    Gone,
    /// Refuses connections.
    Refused,
    /// Never responds before the timeout.
    Silent,
}

impl Behavior {
    /// Returns the response to the request with this number, from 1; `None` if there is none before the timeout.
    pub fn reply(self, number: u64) -> Option<Reply> {
        let quick = Duration::from_millis(15 + number * 37 % 90);
        let reply = |status, after| Reply { status, after, retry_after_s: None };
        Some(match self {
            Behavior::Ok => reply(200, quick),
            Behavior::Slow => reply(202, Duration::from_millis(1_500 + number * 311 % 1_900)),
            Behavior::Flaky if number.is_multiple_of(4) => reply(500, quick),
            Behavior::Busy if number.is_multiple_of(2) => Reply { retry_after_s: Some(90), ..reply(429, quick) },
            Behavior::Flaky | Behavior::Busy => reply(200, quick),
            Behavior::Down => reply(500, quick),
            Behavior::Gone => reply(410, quick),
            Behavior::Refused | Behavior::Silent => return None,
        })
    }
}

/// Number of requests to each path.
type Counts = Mutex<HashMap<String, u64>>;

/// Serves until the program ends, on the calling thread.
pub fn run(listener: TcpListener) -> io::Result<()> {
    receiver::run(listener, Counts::default(), receive)
}

async fn receive(counts: Data<Counts>, request: HttpRequest) -> HttpResponse {
    let path = request.path();
    let last = path.rsplit('/').next().unwrap_or_default();
    let number = {
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    };
    // Longer than the timeout of any webhook.
    let silent = Reply { status: 200, after: Duration::from_secs(60), retry_after_s: None };
    let reply = last.parse().unwrap_or(Behavior::Ok).reply(number).unwrap_or(silent);
    reply.respond().await.content_type("application/json").body(body(reply.status))
}

/// Returns the body of the responses with this status.
pub fn body(status: u16) -> &'static str {
    match status {
        200..=299 => "{\"received\":true}",
        410 => "{\"error\":\"this endpoint was removed\"}",
        429 => "{\"error\":\"slow down\"}",
        _ => "{\"error\":\"could not connect to the database\"}",
    }
}
