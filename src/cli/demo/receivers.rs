//! The receivers of the demo: one server, whose paths end in how they behave.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::domain::Invalid;

/// How a receiver of the demo answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Behaviour>)]
pub enum Behaviour {
    /// At once.
    Ok,
    /// After two seconds.
    Slow,
    /// A 500 to every fourth request.
    Flaky,
    /// A 429 to every other request.
    Busy,
    /// A 500, always.
    Down,
    /// A 410.
    Gone,
    /// Nothing listens.
    Refused,
    /// No answer before any timeout.
    Silent,
}

/// What a request is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub after: Duration,
    /// Seconds, for `Retry-After`.
    pub retry_after: Option<u32>,
}

impl Behaviour {
    /// The answer to the request with this number, from 1; `None` where there is none in time.
    pub fn reply(self, number: u64) -> Option<Reply> {
        let quick = Duration::from_millis(15 + number * 37 % 90);
        let answer = |code, after| Reply { code, after, retry_after: None };
        Some(match self {
            Behaviour::Ok => answer(200, quick),
            Behaviour::Slow => answer(202, Duration::from_millis(1_500 + number * 311 % 1_900)),
            Behaviour::Flaky if number.is_multiple_of(4) => answer(500, quick),
            Behaviour::Busy if number.is_multiple_of(2) => Reply { retry_after: Some(90), ..answer(429, quick) },
            Behaviour::Flaky | Behaviour::Busy => answer(200, quick),
            Behaviour::Down => answer(500, quick),
            Behaviour::Gone => answer(410, quick),
            Behaviour::Refused | Behaviour::Silent => return None,
        })
    }
}

/// Requests so far, by path.
type Counts = Mutex<HashMap<String, u64>>;

/// Binds a free port of this machine; what `run` is to be called with.
pub fn bind() -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// Serves for as long as the program runs, with a runtime of its own. Takes the thread that it is called on.
pub fn run(listener: TcpListener) -> io::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let counts: Data<Counts> = Data::default();
        HttpServer::new(move || App::new().app_data(counts.clone()).default_service(web::to(receive)))
            .workers(1)
            .disable_signals()
            .listen(listener)?
            .run()
            .await
    })
}

async fn receive(counts: Data<Counts>, request: HttpRequest) -> HttpResponse {
    let path = request.path();
    let last = path.rsplit('/').next().unwrap_or_default();
    let behaviour: Behaviour = last.parse().unwrap_or(Behaviour::Ok);
    let number = {
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    };
    let Some(reply) = behaviour.reply(number) else {
        // Longer than any webhook waits.
        tokio::time::sleep(Duration::from_secs(60)).await;
        return HttpResponse::Ok().finish();
    };
    tokio::time::sleep(reply.after).await;
    let status = StatusCode::from_u16(reply.code).unwrap_or(StatusCode::OK);
    let mut answer = HttpResponse::build(status);
    if let Some(seconds) = reply.retry_after {
        answer.insert_header((RETRY_AFTER, seconds.to_string()));
    }
    answer.content_type("application/json").body(body(reply.code))
}

/// What stands in an answer.
pub fn body(code: u16) -> &'static str {
    match code {
        200..=299 => "{\"received\":true}",
        410 => "{\"error\":\"this endpoint was removed\"}",
        429 => "{\"error\":\"slow down\"}",
        _ => "{\"error\":\"could not connect to the database\"}",
    }
}
