//! `hookpost listen`: a receiver that prints deliveries and responds to challenges.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use clap::Args;
use serde_json::{Value, json};

use super::CliError;
use super::common::{Verifier, VerifyingFlags};
use super::receiver::{self, Reply};
use crate::config::{ADDRESS, number};

/// Run a local receiver that prints each delivery, checks its signatures, and responds to challenges
#[derive(Args)]
pub(super) struct Listen {
    #[command(flatten)]
    keys: VerifyingFlags,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", value_parser = ADDRESS)]
    listen: SocketAddr,
    /// Status code of the responses, 200 to 599
    #[arg(long, value_name = "CODE", default_value = "200", value_parser = number(200..=599_u16))]
    status: u16,
    /// Delay before each response in milliseconds, 0 to 600000
    #[arg(long, value_name = "MS", default_value = "0", value_parser = number(0..=600_000_u64))]
    delay_ms: u64,
}

struct Receiver {
    /// Without a key, signatures are not checked.
    verifier: Verifier,
    status: u16,
    delay: Duration,
    is_colored: bool,
}

impl Listen {
    pub(super) fn run(self) -> Result<(), CliError> {
        let receiver = Receiver {
            verifier: self.keys.verifier()?,
            status: self.status,
            delay: Duration::from_millis(self.delay_ms),
            is_colored: io::stdout().is_terminal(),
        };
        let serve = || {
            let listener = TcpListener::bind(self.listen)?;
            println!("listening on http://{}", listener.local_addr()?);
            receiver::run(listener, receiver, receive, true)
        };
        serve().map_err(CliError::because(format!("cannot listen on {}", self.listen)))
    }
}

impl Receiver {
    /// Returns a delivery as text: method and path, result of the check, headers, body.
    fn format(&self, request: &HttpRequest, body: &[u8]) -> String {
        let header = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers: Vec<(String, String)> =
            request.headers().iter().map(|(name, value)| (name.to_string(), header(value.as_bytes()))).collect();
        let verifier = &self.verifier;
        let (mark, color) = match verifier.has_key().then(|| verifier.verify(&headers, body)) {
            None => ("not checked (no --secret or --public-key)".to_owned(), "33"),
            Some(Ok(names)) => (format!("verified ({names})"), "32"),
            Some(Err(fault)) => (format!("NOT verified: {fault}"), "31"),
        };
        let path = printable(request.path());
        let mut text = format!("{} {path} {}\n", request.method(), self.colored(&mark, color));
        for (name, value) in &headers {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {}: {}", self.colored(name, "2"), printable(value));
        }
        text + &printable(&String::from_utf8_lossy(body)) + "\n"
    }

    fn colored(&self, text: &str, color: &str) -> String {
        if self.is_colored { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Returns the response to a challenge, if the body is one.
    fn challenge_response(&self, body: &[u8]) -> Option<Value> {
        let field = self.verifier.profile.spec().challenge.as_ref()?.field.as_str();
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = body.get(field)?.as_str()?;
        Some(json!({field: text}))
    }
}

async fn receive(receiver: Data<Receiver>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let mut out = io::stdout();
    // The receiver responds even if nobody reads standard output.
    let _ = writeln!(out, "{}", receiver.format(&request, &body));
    let _ = out.flush();
    let reply = Reply { status: receiver.status, after: receiver.delay, retry_after_s: None };
    let mut response = reply.respond().await;
    match receiver.challenge_response(&body) {
        Some(challenge) => response.json(challenge),
        None => response.body("ok\n"),
    }
}

/// Replaces control characters, which could steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}
