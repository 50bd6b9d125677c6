//! `hookpost send`: publishes an event to a running server.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use super::CliError;
use super::common::{flag_or_environment, read};
use crate::delivery::endpoint::USER_AGENT;
use crate::delivery::http::client::{Client, ClientOptions, Outgoing, Resolve};
use crate::domain::Invalid;
use crate::domain::attempt::FailureCause;
use crate::domain::target::TargetUrl;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Publish an event to a running server and print the response
#[derive(Args)]
pub(super) struct Send {
    /// Event type, such as content.published
    #[arg(value_name = "TYPE")]
    event_type: String,
    /// File with the event's data as JSON, or - for standard input
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Event ID; sending the same ID again has no effect
    #[arg(long)]
    id: Option<String>,
    /// Tenant of the event
    #[arg(long)]
    tenant: Option<String>,
    /// URL of the server
    #[arg(long, env = "HOOKPOST_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// API key [env: HOOKPOST_KEY, or the file named by HOOKPOST_KEY_FILE]
    #[arg(long)]
    key: Option<String>,
}

/// Body of `POST /v1/events`, with the data as written in the file.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    data: &'a RawValue,
}

impl Send {
    pub(super) fn run(self) -> Result<(), CliError> {
        let other = |error: &dyn std::fmt::Display| CliError::Other(error.to_string());
        let key = flag_or_environment(self.key.as_ref(), "HOOKPOST_KEY")?;
        let key = key.ok_or_else(|| other(&"--key is required"))?;
        let data = read(Some(&self.data))?;
        let data: &RawValue =
            serde_json::from_slice(&data).map_err(|error| other(&format_args!("the data is not JSON: {error}")))?;
        let body = Body { r#type: &self.event_type, id: self.id.as_deref(), tenant: self.tenant.as_deref(), data };
        let body = serde_json::to_vec(&body).map_err(|error| other(&error))?;
        let url = format!("{}/v1/events", self.url.trim_end_matches('/'));
        let client = Client::new(Arc::new(AnyTarget), ClientOptions::default()).map_err(|error| other(&error))?;
        let headers = [
            ("Content-Type", "application/json".to_owned()),
            ("User-Agent", USER_AGENT.to_owned()),
            ("Authorization", format!("Bearer {key}")),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let result =
            client.post(&Outgoing { url: &url, tenant: "", headers: &headers, body: &body, tls: None }, TIMEOUT);
        let response = result.answer.map(|response| String::from_utf8_lossy(&response.body).into_owned());
        match result.failure {
            None => {
                println!("{}", response.unwrap_or_default());
                Ok(())
            }
            Some(failure) => Err(other(&format!("{} {}", failure.message, response.unwrap_or_default()).trim_end())),
        }
    }
}

/// Resolves any host, without the guard: the user chooses the server.
struct AnyTarget;

impl Resolve for AnyTarget {
    fn resolve(&self, url: &str, _: &str, _: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
        let fail = |reason: String| FailureCause::LookupFailed { reason };
        let url: TargetUrl = url.parse().map_err(|error: Invalid| fail(error.message))?;
        let addresses = (url.host().trim_matches(['[', ']']), url.port())
            .to_socket_addrs()
            .map_err(|error| fail(format!("{} cannot be resolved: {error}", url.host())))?;
        Ok(addresses.collect())
    }
}
