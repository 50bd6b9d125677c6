//! `hookpost webhooks`: webhooks of a running server, over its API.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::CliError;
use super::api::{Api, ApiFlags};
use super::common::read;
use super::output::{OutputFlags, Style};
use super::resource::{ListFlags, Query, cell, color_of, fields, rows, state, text};
use crate::delivery::http::client::Method;

/// List, create and change webhooks of a running server
#[derive(Subcommand)]
pub(super) enum Webhooks {
    /// List webhooks
    List(List),
    Create(Box<Create>),
    /// Show a webhook
    Show(One),
    /// Pause a webhook: its events are queued until it is resumed
    Pause(One),
    /// Resume a webhook that is paused or disabled, or verify one that is unverified
    Resume {
        #[command(flatten)]
        one: One,
        /// Discard the queued deliveries
        #[arg(long)]
        discard: bool,
    },
    /// Send a test event and show the endpoint's response; exits with 1 if it is not delivered
    Test {
        #[command(flatten)]
        one: One,
        /// Type of the event; the first that the webhook subscribes to if unset
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
        /// File with the event's data as JSON, or - for standard input; the type's example if unset
        #[arg(long, value_name = "FILE")]
        data: Option<PathBuf>,
    },
    /// Replace the secret of a webhook and print the new one
    Rotate {
        #[command(flatten)]
        one: One,
        /// Seconds for which the old secret signs too, 0 to 604800; a day if unset
        #[arg(long, value_name = "SECONDS")]
        overlap_s: Option<u32>,
        /// New secret; generated if unset
        #[arg(long)]
        secret: Option<String>,
    },
}

/// Flags of a command about one webhook.
#[derive(Args)]
pub(super) struct One {
    /// ID of the webhook
    id: String,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    output: OutputFlags,
}

#[derive(Args)]
pub(super) struct List {
    /// Only webhooks of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Only webhooks in these states: active, paused, disabled, unverified
    #[arg(long, value_delimiter = ',')]
    state: Vec<String>,
    /// Only webhooks that subscribe to these event types
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    event: Vec<String>,
    /// Only webhooks whose URL, description or ID contains this text
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    #[command(flatten)]
    list: ListFlags,
}

/// Create a webhook and print its secret, which is not shown again
#[derive(Args)]
pub(super) struct Create {
    /// URL of the endpoint
    #[arg(long = "to", value_name = "URL")]
    endpoint: Option<String>,
    /// Event types to subscribe to: names, content.* for everything below content, * for everything; may be repeated
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    events: Vec<String>,
    /// Tenant whose events the webhook receives
    #[arg(long)]
    tenant: Option<String>,
    /// Profile that formats and signs the deliveries
    #[arg(long)]
    profile: Option<String>,
    /// Note for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Secret that signs the deliveries; generated if unset
    #[arg(long)]
    secret: Option<String>,
    /// File with further settings as JSON, as in the body of POST /v1/webhooks, or - for standard input
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    output: OutputFlags,
}

impl Webhooks {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Webhooks::List(list) => list.run(),
            Webhooks::Create(create) => create.run(),
            Webhooks::Show(one) => {
                let answer = one.api.client()?.get(&["v1", "webhooks", &one.id], &[])?;
                let webhook = answer.json()?;
                one.output.print_raw(&answer.text, || fields(&webhook, &[]))
            }
            Webhooks::Pause(one) => one.change(&json!({"active": false})),
            Webhooks::Resume { one, discard } => {
                let waiting = if discard { "discard" } else { "resume" };
                one.change(&json!({"active": true, "waiting": waiting}))
            }
            Webhooks::Test { one, event_type, data } => one.test(event_type, data),
            Webhooks::Rotate { one, overlap_s, secret } => one.rotate(overlap_s, secret),
        }
    }
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let query = Query::default()
            .and("tenant", self.tenant.as_deref())
            .and_all("state", &self.state)
            .and_all("event", &self.event)
            .and("q", self.q.as_deref());
        self.list.show(
            query,
            &["v1", "webhooks"],
            ["ID", "STATE", "HEALTH", "TENANT", "PROFILE", "EVENTS", "URL"],
            |webhook| {
                let [health, tenant, profile] = ["health", "tenant", "profile"].map(|name| &webhook[name]);
                let [id, events, url] = ["id", "events", "url"].map(|name| cell(&webhook[name]));
                [id, state(&webhook["state"]), state(health), cell(tenant), cell(profile), events, url]
            },
        )
    }
}

impl Create {
    fn run(self) -> Result<(), CliError> {
        let mut body = match &self.settings {
            Some(path) => serde_json::from_slice::<Map<String, Value>>(&read(Some(path))?)
                .map_err(|error| CliError::Other(format!("{} is not a JSON object: {error}", path.display())))?,
            None => Map::new(),
        };
        let given = [
            ("url", self.endpoint),
            ("tenant", self.tenant),
            ("profile", self.profile),
            ("description", self.description),
            ("secret", self.secret),
        ];
        body.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
        if !self.events.is_empty() {
            body.insert("events".to_owned(), self.events.into());
        }
        let answer = self.api.client()?.post(&["v1", "webhooks"], Value::Object(body).to_string().as_bytes())?;
        let webhook = answer.json()?;
        self.output.print_raw(&answer.text, || {
            format!(
                "{} is {}.\nsecret: {}\nKeep the secret: it is not shown again.\n",
                text(&webhook["id"]),
                text(&webhook["state"]),
                text(&webhook["secret"])
            )
        })
    }
}

impl One {
    fn change(&self, change: &Value) -> Result<(), CliError> {
        let api = self.api.client()?;
        let path = ["v1", "webhooks", &self.id];
        let answer = api.call(Method::PATCH, &path, &[], change.to_string().as_bytes())?;
        let webhook = answer.json()?;
        self.output.print_raw(&answer.text, || {
            let state = text(&webhook["state"]);
            format!("{} is {}.", self.id, Style::of_stdout().maybe(&state, color_of(&state)))
        })
    }

    fn test(&self, event_type: Option<String>, data: Option<PathBuf>) -> Result<(), CliError> {
        let data = data.map(|path| read(Some(&path))).transpose()?;
        let data = data.as_deref().map(serde_json::from_slice::<&RawValue>).transpose();
        let data = data.map_err(|error| CliError::Other(format!("the data is not JSON: {error}")))?;
        let mut body = Map::new();
        body.extend(event_type.map(|name| ("event_type".to_owned(), name.into())));
        let mut body = Value::Object(body).to_string();
        if let Some(data) = data {
            // The data as written, with its numbers.
            let comma = if body.len() > 2 { "," } else { "" };
            body.truncate(body.len() - 1);
            body += &format!("{comma}\"data\":{data}}}");
        }
        let api: Api = self.api.client()?;
        let answer = api.post(&["v1", "webhooks", &self.id, "test"], body.as_bytes())?;
        let delivery = answer.json()?;
        let attempt = rows(&delivery["attempts"]).last();
        let (code, error) =
            (|| Some((text(&attempt?["response"]["code"]), text(&attempt?["error"]["message"]))))().unwrap_or_default();
        if delivery["status"] == "delivered" {
            return self.output.print_raw(&answer.text, || format!("Delivered: the endpoint answered {code}."));
        }
        self.output.negative_raw(&answer.text, format!("not delivered: {error}"))
    }

    fn rotate(&self, overlap_s: Option<u32>, secret: Option<String>) -> Result<(), CliError> {
        let mut body = Map::new();
        body.extend(overlap_s.map(|seconds| ("overlap_s".to_owned(), seconds.into())));
        body.extend(secret.map(|secret| ("secret".to_owned(), secret.into())));
        let path = ["v1", "webhooks", &self.id, "secret", "rotate"];
        let answer = self.api.client()?.post(&path, Value::Object(body).to_string().as_bytes())?;
        let rotated = answer.json()?;
        self.output.print_raw(&answer.text, || {
            let until = match rotated["overlap_ends_at"].as_str() {
                Some(time) => format!("The old secret is valid until {time}."),
                None => "The old secret is no longer valid.".to_owned(),
            };
            format!("secret: {}\n{until}", text(&rotated["secret"]))
        })
    }
}
