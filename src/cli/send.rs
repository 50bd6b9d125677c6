//! `hookpost send`: publishes an event to a running server.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command};
use serde_json::value::RawValue;

use super::CliError;
use super::input::{self, text};
use crate::config;
use crate::delivery::endpoint::USER_AGENT;
use crate::delivery::http::client::{Client, ClientOptions, Outgoing, Resolve};
use crate::domain::attempt::FailureCause;
use crate::domain::target::TargetUrl;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("send")
        .about("Publishes an event to a running server and prints the receipt")
        .arg(Arg::new("type").value_name("TYPE").required(true).help("Its type, content.published say"))
        .arg(option("data", "FILE", "Its data as JSON: a file, or - for standard input").required(true))
        .arg(option("id", "ID", "Its id, so that sending it again does nothing"))
        .arg(option("tenant", "TENANT", "Its tenant"))
        .arg(option("url", "URL", "The server [env: HOOKPOST_URL] [default: http://127.0.0.1:8080]"))
        .arg(option("key", "KEY", "An API key [env: HOOKPOST_KEY, or a file named by HOOKPOST_KEY_FILE]"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let key = match text(matches, "key") {
        Some(key) => key.to_owned(),
        None => config::secret_from_environment("HOOKPOST_KEY")?
            .ok_or_else(|| CliError::Other("an API key is needed: --key".to_owned()))?,
    };
    let data = input::read(text(matches, "data"))?;
    let data: &RawValue =
        serde_json::from_slice(&data).map_err(|error| CliError::Other(format!("the data is not JSON: {error}")))?;
    let body = body(matches, data)?;
    let base = text(matches, "url")
        .map(str::to_owned)
        .or_else(|| config::environment("HOOKPOST_URL"))
        .unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let url = format!("{}/v1/events", base.trim_end_matches('/'));
    let client = Client::new(Arc::new(Anywhere), ClientOptions::default())
        .map_err(|error| CliError::Other(error.to_string()))?;
    let headers = [
        ("Content-Type", "application/json".to_owned()),
        ("User-Agent", USER_AGENT.to_owned()),
        ("Authorization", format!("Bearer {key}")),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let sent = client.post(&Outgoing { url: &url, headers: &headers, body: body.as_bytes() }, PATIENCE);
    match (sent.answer, sent.failure) {
        (Some(answer), None) => {
            println!("{}", String::from_utf8_lossy(&answer.body));
            Ok(())
        }
        (Some(answer), Some(failure)) => {
            Err(CliError::Other(format!("{} {}", failure.message, String::from_utf8_lossy(&answer.body))))
        }
        (None, failure) => {
            Err(CliError::Other(failure.map_or_else(|| "no answer".to_owned(), |failure| failure.message)))
        }
    }
}

/// The request's body, the data in it as it was spelled.
fn body(matches: &ArgMatches, data: &RawValue) -> Result<String, CliError> {
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let mut body = format!("{{\"type\":{}", quote(text(matches, "type").unwrap_or_default()));
    for name in ["id", "tenant"] {
        if let Some(value) = text(matches, name) {
            body.push_str(&format!(",\"{name}\":{}", quote(value)));
        }
    }
    body.push_str(&format!(",\"data\":{}}}", data.get()));
    Ok(body)
}

/// A person's own server may be anywhere.
struct Anywhere;

impl Resolve for Anywhere {
    fn resolve(&self, url: &str, _: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
        let fail = |reason: String| FailureCause::LookupFailed { reason };
        let url: TargetUrl = url.parse().map_err(|error: crate::domain::Invalid| fail(error.message))?;
        let found = (url.host().trim_matches(['[', ']']), url.port())
            .to_socket_addrs()
            .map_err(|error| fail(format!("{} has no address: {error}", url.host())))?;
        Ok(found.collect())
    }
}
