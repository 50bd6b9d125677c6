//! A receiver that shows what it gets: the other side of a delivery, for people who try one.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use serde_json::{Value, json};

use crate::domain::secret::Secret;
use crate::profile::Profile;
use crate::profile::verify::verify;

/// What deliveries are checked against.
pub struct Verification {
    pub profile: Arc<Profile>,
    pub secret: Secret,
}

/// A receiver, not running yet.
pub struct Listener {
    /// Without it nothing is checked.
    pub verification: Option<Verification>,
    /// The field of a challenge that is sent back, where the profile has one.
    pub challenge_field: Option<String>,
    pub status: u16,
    pub delay: Duration,
    pub in_colour: bool,
}

impl Listener {
    /// Listens until a signal ends the program, with a runtime of its own. Bodies up to 16 MiB.
    pub fn run(self, address: SocketAddr) -> io::Result<()> {
        actix_web::rt::System::new().block_on(self.listen(address))
    }

    async fn listen(self, address: SocketAddr) -> io::Result<()> {
        let state = Data::new(self);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .app_data(web::PayloadConfig::new(16 << 20))
                .default_service(web::to(receive))
        })
        .workers(1)
        .shutdown_timeout(1)
        .bind(address)?;
        if let Some(address) = server.addrs().first() {
            println!("listening on http://{address}");
        }
        server.run().await
    }

    /// A delivery as people read it: what it is, whether it verifies, its headers, its body.
    fn show(&self, request: &HttpRequest, body: &[u8]) -> String {
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.to_string(), value)
            })
            .collect();
        let verdict = self
            .verification
            .as_ref()
            .map(|verification| verify(&verification.profile, &verification.secret, &headers, body));
        let (mark, colour) = match &verdict {
            None => ("not checked (no --secret)".to_owned(), "33"),
            Some(Ok(names)) => (format!("verified ({})", names.join(", ")), "32"),
            Some(Err(fault)) => (format!("NOT verified: {fault}"), "31"),
        };
        let mut shown =
            format!("{} {} {}\n", request.method(), printable(request.path()), self.coloured(&mark, colour));
        for (name, value) in &headers {
            // Writing to text always succeeds.
            let _ = writeln!(shown, "  {}: {}", self.coloured(name, "2"), printable(value));
        }
        shown.push_str(&printable(&String::from_utf8_lossy(body)));
        shown.push('\n');
        shown
    }

    fn coloured(&self, text: &str, colour: &str) -> String {
        if self.in_colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The answer to a challenge, where the body holds one.
    fn echo(&self, body: &[u8]) -> Option<Value> {
        let field = self.challenge_field.as_deref()?;
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = body.get(field)?.as_str()?;
        Some(json!({field: text}))
    }
}

async fn receive(listener: Data<Listener>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let shown = listener.show(&request, &body);
    let mut out = io::stdout();
    // Nobody may be reading; the delivery is answered all the same.
    let _ = writeln!(out, "{shown}");
    let _ = out.flush();
    if !listener.delay.is_zero() {
        actix_web::rt::time::sleep(listener.delay).await;
    }
    let status = StatusCode::from_u16(listener.status).unwrap_or(StatusCode::OK);
    let mut answer = HttpResponse::build(status);
    match listener.echo(&body) {
        Some(echo) => answer.json(echo),
        None => answer.body("ok\n"),
    }
}

/// Text of a stranger, without what would steer a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}
