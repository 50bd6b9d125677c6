//! Client of the API of a running server, for the commands that work on a remote one.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use url::Url;

use super::CliError;
use super::common::flag_or_environment;
use super::output::printable;
use crate::delivery::endpoint::USER_AGENT;
use crate::delivery::http::anywhere::Anywhere;
use crate::delivery::http::client::{Client, ClientOptions, Method, Outgoing};

/// Time limit of a call. Those that wait for an endpoint take up to 30 s.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Largest response. A page of a list has 4 MiB of rows.
const MOST_BYTES: usize = 64 << 20;

/// Server and key of a command that uses the API.
#[derive(Args)]
pub(super) struct ApiFlags {
    /// URL of the server
    #[arg(long, env = "HOOKPOST_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// API key [env: HOOKPOST_KEY, or the file named by HOOKPOST_KEY_FILE]
    #[arg(long)]
    key: Option<String>,
    /// PEM file with certificates to trust in addition to the public ones
    #[arg(long, env = "HOOKPOST_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Client of one server with one key.
pub(super) struct Api {
    base: Url,
    key: String,
    client: Client,
}

/// Successful response: its JSON as the server wrote it.
pub(super) struct Answer {
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Result<Value, CliError> {
        serde_json::from_str(&self.text).map_err(|_| CliError::Other("the server's response is not JSON".to_owned()))
    }
}

impl ApiFlags {
    pub(super) fn client(&self) -> Result<Api, CliError> {
        let key = flag_or_environment(self.key.as_ref(), "HOOKPOST_KEY")?.ok_or_else(|| {
            CliError::Other(
                "an API key is required: set HOOKPOST_KEY or --key. \"hookpost keys create\" creates a key.".to_owned(),
            )
        })?;
        let base = Url::parse(&self.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| {
            CliError::Other(format!(
                "{:?} is not the URL of a server: set HOOKPOST_URL or --url to one such as https://hooks.example.com",
                self.url
            ))
        })?;
        Ok(Api { base, key, client: client(MOST_BYTES, self.ca_file.as_deref())? })
    }
}

/// Returns a client for the server of this machine, whatever its certificate: the address is that of the settings.
pub(super) fn own_client(kept_bytes: usize) -> Result<Client, CliError> {
    let options = ClientOptions { kept_bytes, idle_connections: 1, trusts_all: true, ..ClientOptions::default() };
    Client::new(Arc::new(Anywhere), options).map_err(|error| CliError::Other(error.to_string()))
}

/// Returns a client without the guard against private addresses, which keeps up to `kept_bytes` of a response.
pub(super) fn client(kept_bytes: usize, ca_file: Option<&Path>) -> Result<Client, CliError> {
    let read = |path: &Path| fs::read(path).map_err(CliError::because(format!("--ca-file: {}", path.display())));
    let extra_root_certificates = ca_file.map(read).transpose()?.into_iter().collect();
    let options =
        ClientOptions { kept_bytes, extra_root_certificates, idle_connections: 1, ..ClientOptions::default() };
    Client::new(Arc::new(Anywhere), options).map_err(|error| CliError::Other(format!("--ca-file: {error}")))
}

impl Api {
    /// Calls `GET` of a path, given by its segments below the server's URL.
    pub(super) fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, CliError> {
        self.call(Method::GET, path, query, &[])
    }

    /// Calls `POST` with JSON, or without a body.
    pub(super) fn post(&self, path: &[&str], body: &[u8]) -> Result<Answer, CliError> {
        self.call(Method::POST, path, &[], body)
    }

    pub(super) fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, CliError> {
        let url = self.url(path, query);
        let mut headers = vec![
            ("User-Agent".to_owned(), USER_AGENT.to_owned()),
            ("Authorization".to_owned(), format!("Bearer {}", self.key)),
        ];
        if !body.is_empty() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        let request = Outgoing { url: url.as_str(), tenant: "", headers: &headers, body, tls: None };
        let sent = self.client.request(method, &request, TIMEOUT);
        let server = self.base.as_str().trim_end_matches('/');
        match sent.answer {
            Some(answer) if answer.body_truncated => {
                Err(CliError::Other(format!("the response of {server} is too long: ask for fewer rows with --limit")))
            }
            Some(answer) if (200..300).contains(&answer.code) => match sent.failure {
                None => Ok(Answer { text: String::from_utf8_lossy(&answer.body).into_owned() }),
                Some(failure) => Err(CliError::Other(format!("{server}: {}", failure.message))),
            },
            Some(answer) => Err(CliError::Api(ApiFault::of(server, answer.code, &answer.body))),
            None => {
                let reason = sent.failure.map(|failure| failure.message).unwrap_or_default();
                Err(CliError::Unreachable(format!(
                    "{server}: {reason} Check that the server runs; HOOKPOST_URL or --url is its address."
                )))
            }
        }
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url.set_fragment(None);
        url.set_query(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

/// Refusal of a call, as a problem of RFC 9457 if the server sent one.
#[derive(Debug)]
pub struct ApiFault {
    pub(super) status: u16,
    text: String,
}

impl ApiFault {
    fn of(server: &str, status: u16, body: &[u8]) -> ApiFault {
        let text = match serde_json::from_slice::<Value>(body) {
            Ok(problem) if problem["error"]["message"].is_string() => of_problem(&problem, status),
            _ => {
                let body = String::from_utf8_lossy(body);
                let first = body.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
                let hint = "This is not an answer of Hookpost: check HOOKPOST_URL or --url.";
                format!("{server} answered {status}. {hint} {}", first.chars().take(200).collect::<String>())
            }
        };
        ApiFault { status, text: printable(text.trim_end()) }
    }
}

impl std::fmt::Display for ApiFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns the problems of a request: one in one line, several in one line each.
fn of_problem(problem: &Value, status: u16) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |fault: &Value| {
        let field = fault["field"].as_str().map(|field| format!("{field}: ")).unwrap_or_default();
        format!("{field}{}", text(&fault["message"]))
    };
    let code = text(&problem["error"]["code"]);
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut said = match errors {
        [] | [_] => format!("{} ({status} {code})", line(&problem["error"])),
        errors => {
            let mut said = format!("the server refused the request ({status}):");
            for fault in errors {
                // Writing to a string cannot fail.
                let _ = write!(said, "\n  {} ({})", line(fault), text(&fault["code"]));
            }
            said
        }
    };
    if status == 401 {
        said += " The key is that of --key, HOOKPOST_KEY or HOOKPOST_KEY_FILE.";
    }
    said
}
