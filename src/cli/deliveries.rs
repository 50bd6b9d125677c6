//! `hookpost deliveries`: deliveries of a running server, over its API.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::CliError;
use super::api::ApiFlags;
use super::output::{Cell, OutputFlags, printable};
use super::resource::{ListFlags, Query, cell, fields, rows, state, text};

/// List, show and retry deliveries of a running server
#[derive(Subcommand)]
pub(super) enum Deliveries {
    /// List deliveries, newest first
    List(Box<List>),
    /// Show a delivery with its attempts
    Show(One),
    /// Send a delivery again: a finished one starts a new series of attempts, a queued one is due now
    Retry(One),
}

/// Flags of a command about one delivery.
#[derive(Args)]
pub(super) struct One {
    /// ID of the delivery
    id: String,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    output: OutputFlags,
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    filter: DeliveryFlags,
    /// Only deliveries of this event
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// Created at or after this time, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Created before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only deliveries whose ID, event ID or data contains this text
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    #[command(flatten)]
    list: ListFlags,
}

/// Filters that `tail` has too.
#[derive(Args)]
pub(super) struct DeliveryFlags {
    /// Only deliveries to these webhooks
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    webhook_id: Vec<String>,
    /// Only deliveries with these statuses: pending, retrying, delivered, failed, discarded
    #[arg(long, value_delimiter = ',')]
    status: Vec<String>,
    /// Only deliveries of events of these types, such as order.*
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    event_type: Vec<String>,
    /// Only deliveries of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Only deliveries whose last attempt returned these status codes, such as 5xx,429
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    response_code: Vec<String>,
    /// Only deliveries whose last attempt failed with these codes, such as timeout
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    error_code: Vec<String>,
}

impl DeliveryFlags {
    pub(super) fn query(&self) -> Query {
        Query::default()
            .and_all("webhook_id", &self.webhook_id)
            .and_all("status", &self.status)
            .and_all("event_type", &self.event_type)
            .and("tenant", self.tenant.as_deref())
            .and_all("response_code", &self.response_code)
            .and_all("error_code", &self.error_code)
    }
}

impl Deliveries {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Deliveries::List(list) => list.run(),
            Deliveries::Show(one) => {
                let answer = one.api.client()?.get(&["v1", "deliveries", &one.id], &[])?;
                let delivery = answer.json()?;
                one.output.print_raw(&answer.text, || in_full(&delivery))
            }
            Deliveries::Retry(one) => {
                let answer = one.api.client()?.post(&["v1", "deliveries", &one.id, "retry"], b"")?;
                let delivery = answer.json()?;
                one.output.print_raw(&answer.text, || match delivery["waiting_for"].as_str() {
                    Some("deliveries_paused") => {
                        format!("{} is queued until deliveries are resumed: all are paused.", one.id)
                    }
                    Some(reason) => format!("{} is queued until its webhook is active ({reason}).", one.id),
                    None => format!("{} is queued for a retry now.", one.id),
                })
            }
        }
    }
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let query = self
            .filter
            .query()
            .and("event_id", self.event_id.as_deref())
            .and("since", self.since.as_deref())
            .and("until", self.until.as_deref())
            .and("q", self.q.as_deref());
        self.list.show(query, &["v1", "deliveries"], HEADER, row)
    }
}

/// Columns of deliveries.
pub(super) const HEADER: [&str; 7] = ["ID", "STATUS", "ATTEMPTS", "OUTCOME", "CREATED", "EVENT TYPE", "WEBHOOK"];

pub(super) fn row(delivery: &Value) -> [Cell; 7] {
    [
        cell(&delivery["id"]),
        state(&delivery["status"]),
        cell(&delivery["attempt_count"]),
        outcome(delivery).into(),
        cell(&delivery["created_at"]),
        cell(&delivery["event_type"]),
        cell(&delivery["webhook_id"]),
    ]
}

/// Returns the status code or the error code of the last attempt, or why the delivery waits.
pub(super) fn outcome(delivery: &Value) -> String {
    let last = &delivery["last_attempt"];
    let code = text(&last["code"]);
    match (code.as_str(), text(&delivery["waiting_for"])) {
        ("", waiting) if !waiting.is_empty() => waiting,
        ("", _) => text(&last["error_code"]),
        _ => code,
    }
}

/// Returns a delivery with its attempts, requests and responses.
fn in_full(delivery: &Value) -> String {
    let mut said = fields(delivery, &["attempts", "attempts_next_cursor", "last_attempt"]);
    for attempt in rows(&delivery["attempts"]) {
        let shown = |value: &Value| printable(&text(value));
        // Writing to a string cannot fail.
        let _ = writeln!(
            said,
            "\nAttempt {} ({}) at {}, {} ms",
            text(&attempt["number"]),
            text(&attempt["trigger"]),
            text(&attempt["started_at"]),
            text(&attempt["duration_ms"])
        );
        let _ = writeln!(said, "  POST {}", shown(&attempt["request"]["url"]));
        said += &headers(&attempt["request"]["headers"]);
        said += &body(&attempt["request"]["body"]);
        if attempt["response"].is_object() {
            let _ = writeln!(said, "  Response {}", shown(&attempt["response"]["code"]));
            said += &headers(&attempt["response"]["headers"]);
            said += &body(&attempt["response"]["body"]);
        }
        if attempt["error"].is_object() {
            let _ = writeln!(said, "  {}", shown(&attempt["error"]["message"]));
        }
    }
    if delivery["attempts_next_cursor"].is_string() {
        said += "\nThere are earlier attempts. GET /v1/deliveries/{id}/attempts lists them.\n";
    }
    said
}

fn headers(headers: &Value) -> String {
    let pairs = headers.as_object().into_iter().flatten();
    pairs.map(|(name, value)| format!("    {}: {}\n", printable(name), printable(&text(value)))).collect()
}

fn body(body: &Value) -> String {
    let text = printable(&text(body));
    if text.is_empty() { text } else { format!("    {}\n", text.trim_end().replace('\n', "\n    ")) }
}
