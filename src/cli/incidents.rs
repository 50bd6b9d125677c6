//! `hookpost incidents`: incidents of a running server, over its API.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::CliError;
use super::api::ApiFlags;
use super::output::{OutputFlags, Style, Table, printable};
use super::resource::{ListFlags, Query, cell, fields, rows, state, text};

/// List and show incidents of a running server
#[derive(Subcommand)]
pub(super) enum Incidents {
    /// List incidents, newest first
    List(List),
    Show(Show),
}

#[derive(Args)]
pub(super) struct List {
    /// Only incidents with this status: open or closed
    #[arg(long)]
    status: Option<String>,
    /// Only incidents with this webhook
    #[arg(long, value_name = "ID")]
    webhook_id: Option<String>,
    /// Only incidents of this tenant's webhooks
    #[arg(long)]
    tenant: Option<String>,
    /// Opened at or after this time, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Opened before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    list: ListFlags,
}

/// Show an incident with its webhooks and its time line
#[derive(Args)]
pub(super) struct Show {
    /// ID of the incident
    id: String,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    output: OutputFlags,
}

impl Incidents {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Incidents::List(list) => list.run(),
            Incidents::Show(show) => {
                let answer = show.api.client()?.get(&["v1", "incidents", &show.id], &[])?;
                let incident = answer.json()?;
                show.output.print_raw(&answer.text, || in_full(&incident))
            }
        }
    }
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let query = Query::default()
            .and("status", self.status.as_deref())
            .and("webhook_id", self.webhook_id.as_deref())
            .and("tenant", self.tenant.as_deref())
            .and("since", self.since.as_deref())
            .and("until", self.until.as_deref());
        let header = ["ID", "STATUS", "SINCE", "CLOSED", "WEBHOOKS", "DEAD LETTERS", "HOST", "CAUSE"];
        self.list.show(query, &["v1", "incidents"], header, |incident| {
            [
                cell(&incident["id"]),
                state(&incident["status"]),
                cell(&incident["since"]),
                cell(&incident["closed_at"]),
                cell(&incident["webhook_count"]),
                cell(&incident["dead_letters"]),
                cell(&incident["host"]),
                cause(&incident["cause"]).into(),
            ]
        })
    }
}

/// Returns a cause in words.
fn cause(cause: &Value) -> String {
    ["text", "message", "error_code", "code"]
        .iter()
        .map(|name| text(&cause[*name]))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

fn in_full(incident: &Value) -> String {
    let mut said = fields(incident, &["webhooks", "timeline", "told", "cause"]);
    said += &format!("cause: {}\n\n", printable(&cause(&incident["cause"])));
    let mut table = Table::new(["WEBHOOK", "TENANT", "SINCE", "ENDED", "FAILED ATTEMPTS", "DEAD LETTERS", "QUEUED"]);
    for webhook in rows(&incident["webhooks"]) {
        let numbers = ["failed_attempts", "dead_letters", "waiting_deliveries"].map(|name| cell(&webhook[name]));
        let [failed, dead, waiting] = numbers;
        let [id, tenant, since, ended] = ["webhook_id", "tenant", "since", "ended_at"].map(|name| cell(&webhook[name]));
        table.row([id, tenant, since, ended, failed, dead, waiting]);
    }
    said += &table.text(Style::of_stdout());
    let entries = rows(&incident["timeline"]);
    if !entries.is_empty() {
        let mut table = Table::new(["AT", "WHAT", "WEBHOOK", "BY", "TEXT"]);
        for entry in entries {
            table.row(["at", "kind", "webhook_id", "actor", "text"].map(|name| cell(&entry[name])));
        }
        said += &format!("\n{}", table.text(Style::of_stdout()));
    }
    said
}
