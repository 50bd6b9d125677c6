//! `hookpost events publish` and its short form `hookpost send`: publishes an event to a running server.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::CliError;
use super::api::ApiFlags;
use super::common::read;
use super::output::OutputFlags;

/// Publish an event to a running server
#[derive(Args)]
pub(super) struct Publish {
    /// Event type, such as content.published
    #[arg(value_name = "TYPE")]
    event_type: String,
    /// File with the event's data as JSON, or - for standard input
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// File with the previous data as JSON, if something changed
    #[arg(long, value_name = "FILE")]
    previous_data: Option<PathBuf>,
    /// Event ID; sending the same ID again has no effect
    #[arg(long)]
    id: Option<String>,
    /// Tenant of the event
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// Body of `POST /v1/events`, with the data as written in the files.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_data: Option<&'a RawValue>,
}

impl Publish {
    pub(super) fn run(self) -> Result<(), CliError> {
        let api = self.api.client()?;
        let data = read(Some(&self.data))?;
        let previous_data = self.previous_data.as_deref().map(|path| read(Some(path))).transpose()?;
        let body = Body {
            r#type: &self.event_type,
            id: self.id.as_deref(),
            tenant: self.tenant.as_deref(),
            data: json("data", &data)?,
            previous_data: previous_data.as_deref().map(|bytes| json("previous data", bytes)).transpose()?,
        };
        let body = serde_json::to_vec(&body).map_err(|error| CliError::Other(error.to_string()))?;
        let answer = api.post(&["v1", "events"], &body)?;
        let receipt = answer.json()?;
        self.output.print_raw(&answer.text, || describe(&receipt))
    }
}

fn json<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a RawValue, CliError> {
    serde_json::from_slice(bytes).map_err(|error| CliError::Other(format!("the {name} is not JSON: {error}")))
}

/// Returns a receipt in words.
fn describe(receipt: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let id = text(&receipt["id"]);
    let deliveries = receipt["deliveries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut said = match (receipt["duplicate"] == true, deliveries.len()) {
        (true, _) => format!("{id} was published before; nothing new is stored."),
        (false, 0) => format!("{id} is stored. No webhook subscribes to it."),
        (false, 1) => format!("{id} is stored, for 1 webhook:"),
        (false, count) => format!("{id} is stored, for {count} webhooks:"),
    };
    for delivery in deliveries {
        said += &format!("\n  {} to {}", text(&delivery["id"]), text(&delivery["webhook_id"]));
    }
    said
}
