//! `hookpost listen`: a receiver that prints deliveries and responds to challenges.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};

use super::CliError;
use super::common::{Verifier, VerifyingFlags};
use super::forward::{ForwardFlags, stop_signal};
use super::output::{Color, OutputFlags, Style, print, printable};
use super::request::{Request, Response, serve};
use crate::config::{ADDRESS, number};

/// Run a local receiver that prints each delivery, checks its signatures, and responds to challenges; or forward the
/// deliveries of a running server to your endpoint
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
    #[command(flatten)]
    forward: ForwardFlags,
    #[command(flatten)]
    output: OutputFlags,
}

struct Receiver {
    /// Without a key, signatures are not checked.
    verifier: Verifier,
    status: u16,
    delay: Duration,
    output: OutputFlags,
    style: Style,
}

impl Listen {
    pub(super) fn run(self) -> Result<(), CliError> {
        if let Some(to) = &self.forward.forward_to {
            let secret = self.keys.signing.secret()?;
            return self.forward.run(to, self.keys.signing.profile_name(), secret.as_ref(), self.output);
        }
        let receiver = Receiver {
            verifier: self.keys.verifier()?,
            status: self.status,
            delay: Duration::from_millis(self.delay_ms),
            output: self.output,
            style: Style::of_stdout(),
        };
        let because = || CliError::because(format!("cannot listen on {}", self.listen));
        let listener = TcpListener::bind(self.listen).map_err(because())?;
        let url = format!("http://{}", listener.local_addr().map_err(because())?);
        let stop = stop_signal()?;
        self.output.print(&json!({"listening": url}), || format!("listening on {url}"))?;
        let run = move || serve(&listener, move |request| receiver.receive(request));
        std::thread::Builder::new().name("listen".to_owned()).spawn(run).map_err(because())?;
        // The thread that sends the message never ends before.
        let _ = stop.recv();
        Ok(())
    }
}

impl Receiver {
    /// Returns a request as text: method, path and query, result of the check, headers, body. With `--json`, as one line.
    fn show(&self, arrived: &Request) -> String {
        let verifier = &self.verifier;
        let checked = verifier.has_key().then(|| verifier.verify(&arrived.headers, &arrived.body));
        let body = String::from_utf8_lossy(&arrived.body);
        if self.output.json {
            let headers: Map<_, _> = arrived.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let fault = checked.as_ref().and_then(|checked| checked.as_ref().err()).map(ToString::to_string);
            let line = json!({
                "method": arrived.method,
                "target": arrived.target,
                "verified": checked.map(|checked| checked.is_ok()),
                "reason": fault,
                "headers": headers,
                "body": body,
            });
            return line.to_string();
        }
        let (mark, color) = match checked {
            None => ("not checked (no --secret or --public-key)".to_owned(), Color::Yellow),
            Some(Ok(names)) => (format!("verified ({names})"), Color::Green),
            Some(Err(fault)) => (format!("NOT verified: {fault}"), Color::Red),
        };
        let mut text =
            format!("{} {} {}\n", arrived.method, printable(&arrived.target), self.style.paint(&mark, color));
        for (name, value) in &arrived.headers {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {}: {}", self.style.paint(&printable(name), Color::Dim), printable(value));
        }
        text + &printable(&body) + "\n"
    }

    /// Returns the response to a challenge, if the body is one.
    fn challenge_response(&self, body: &[u8]) -> Option<Value> {
        let field = self.verifier.profile.spec().challenge.as_ref()?.field.as_str();
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = body.get(field)?.as_str()?;
        Some(json!({field: text}))
    }

    /// Prints a request and answers it.
    fn receive(&self, request: &Request) -> Response {
        // The receiver responds even if nobody reads standard output.
        let _ = print(&(self.show(request) + "\n"));
        std::thread::sleep(self.delay);
        match self.challenge_response(&request.body) {
            Some(challenge) => Response {
                status: self.status,
                content_type: "application/json",
                body: challenge.to_string().into_bytes(),
            },
            None => Response { status: self.status, content_type: "text/plain", body: b"ok\n".to_vec() },
        }
    }
}
