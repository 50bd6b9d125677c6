//! `hookpost events`: events of a running server, over its API.

use clap::{Args, Subcommand};
use serde_json::Value;
use serde_json::value::RawValue;

use super::CliError;
use super::api::ApiFlags;
use super::deliveries;
use super::output::{OutputFlags, Style, Table, printable};
use super::publish::Publish;
use super::resource::{ListFlags, Query, cell, fields, rows, text};

/// List, show and publish events of a running server
#[derive(Subcommand)]
pub(super) enum Events {
    /// List events, newest first
    List(List),
    Show(Show),
    Publish(Publish),
}

#[derive(Args)]
pub(super) struct List {
    /// Only events of these types, such as order.*
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    event_type: Vec<String>,
    /// Only events of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Received at or after this time, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Received before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only events whose ID or data contains this text
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    #[command(flatten)]
    list: ListFlags,
}

/// Show an event with its data, its deliveries, and the webhooks that did not receive it
#[derive(Args)]
pub(super) struct Show {
    /// ID of the event
    id: String,
    /// Tenant of the event, if several have one with this ID
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    output: OutputFlags,
}

impl Events {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Events::List(list) => list.run(),
            Events::Show(show) => show.run(),
            Events::Publish(publish) => publish.run(),
        }
    }
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let query = Query::default()
            .and_all("type", &self.event_type)
            .and("tenant", self.tenant.as_deref())
            .and("since", self.since.as_deref())
            .and("until", self.until.as_deref())
            .and("q", self.q.as_deref());
        self.list.show(query, &["v1", "events"], ["ID", "TYPE", "TENANT", "RECEIVED", "TEST"], |event| {
            let test = if event["test"] == true { "test" } else { "" };
            [cell(&event["id"]), cell(&event["type"]), cell(&event["tenant"]), cell(&event["received_at"]), test.into()]
        })
    }
}

/// The data of an event, as the server wrote it.
#[derive(serde::Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    previous_data: Option<&'a RawValue>,
}

impl Show {
    fn run(self) -> Result<(), CliError> {
        let query = Query::default().and("tenant", self.tenant.as_deref());
        let answer = query.get(&self.api.client()?, &["v1", "events", &self.id])?;
        let event = answer.json()?;
        let unreadable = |_| CliError::Other("the server's response is not an event".to_owned());
        let raw: Data<'_> = serde_json::from_str(&answer.text).map_err(unreadable)?;
        self.output.print_raw(&answer.text, || in_full(&event, &raw))
    }
}

fn in_full(event: &Value, raw: &Data<'_>) -> String {
    let elsewhere = ["data", "previous_data", "deliveries", "deliveries_next_cursor", "not_delivered"];
    let mut said = fields(event, &elsewhere);
    for (name, value) in [("data", raw.data), ("previous_data", raw.previous_data)] {
        if let Some(value) = value {
            said += &format!("{name}: {}\n", printable(value.get()));
        }
    }
    let deliveries = rows(&event["deliveries"]);
    if !deliveries.is_empty() {
        let mut table = Table::new(deliveries::HEADER);
        deliveries.iter().for_each(|delivery| table.row(deliveries::row(delivery)));
        said += &format!("\n{}", table.text(Style::of_stdout()));
    }
    let missed = rows(&event["not_delivered"]);
    if !missed.is_empty() {
        said += "\nNot delivered to:\n";
        for webhook in missed {
            let [id, message] = ["webhook_id", "message"].map(|name| printable(&text(&webhook[name])));
            said += &format!("  {id}: {message}\n");
        }
    }
    said
}
