//! `hookpost tail`: deliveries of a running server as they happen.
//!
//! Each round reads the newest deliveries that match and prints those that are new or have changed since the round
//! before. The number of calls and of deliveries in memory is bounded.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::CliError;
use super::api::{Api, ApiFlags};
use super::deliveries::{DeliveryFlags, outcome};
use super::output::{OutputFlags, Style, note, print, printable};
use super::resource::{Query, color_of, rows, text};

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(1);
/// Time to the next round if the server cannot be reached or is busy.
const AFTER_ERROR: Duration = Duration::from_secs(3);
/// Deliveries of a call.
const LIMIT: &str = "250";
/// Calls of a round.
const PAGES: usize = 4;

/// Print deliveries as they happen: new ones, and each change of the newest 250
#[derive(Args)]
pub(super) struct Tail {
    #[command(flatten)]
    filter: DeliveryFlags,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// State of a delivery by its id, to notice changes.
type Known = HashMap<String, String>;

/// Newest deliveries that match, oldest first.
pub(super) struct Round {
    pub(super) deliveries: Vec<Value>,
    /// Whether there were more new ones than a round reads.
    pub(super) is_cut: bool,
}

/// Reads rounds and tells what changed between them.
#[derive(Default)]
pub(super) struct Watch {
    known: Known,
    /// Whether the last round left out older deliveries.
    has_older: bool,
}

impl Watch {
    /// Reads the newest deliveries, and returns those that are new or have changed since the last call.
    pub(super) fn round(&mut self, api: &Api, query: impl Fn() -> Query) -> Result<Round, CliError> {
        let mut found: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        let mut is_cut = true;
        for _ in 0..PAGES {
            let query = query().and("limit", Some(LIMIT)).and("cursor", cursor.as_deref());
            let page = query.get(api, &["v1", "deliveries"])?.json()?;
            let reaches_known = rows(&page["data"]).iter().any(|row| self.known.contains_key(&text(&row["id"])));
            found.extend(rows(&page["data"]).iter().cloned());
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if reaches_known || cursor.is_none() || self.known.is_empty() {
                is_cut = false;
                break;
            }
        }
        if self.has_older
            && let Some(last) = found.iter().rposition(|row| self.known.contains_key(&text(&row["id"])))
        {
            // They were left out before, and are not new.
            found.truncate(last + 1);
        }
        self.has_older = cursor.is_some();
        let known: Known = found.iter().map(|row| (text(&row["id"]), fingerprint(row))).collect();
        found.retain(|row| self.known.get(&text(&row["id"])) != Some(&fingerprint(row)));
        found.reverse();
        self.known = known;
        Ok(Round { deliveries: found, is_cut })
    }
}

/// Returns the parts of a delivery that change with an attempt.
fn fingerprint(delivery: &Value) -> String {
    format!("{} {}", delivery["status"], delivery["attempt_count"])
}

impl Tail {
    pub(super) fn run(self) -> Result<(), CliError> {
        let api = self.api.client()?;
        let style = Style::of_stdout();
        let mut watch = Watch::default();
        // What there is already is the beginning.
        watch.round(&api, || self.filter.query())?;
        note("Waiting for deliveries. Ctrl-C ends this.");
        let mut was_lost = false;
        loop {
            sleep(if was_lost { AFTER_ERROR } else { ROUND });
            let round = match watch.round(&api, || self.filter.query()) {
                Ok(round) => round,
                Err(error) if error.may_pass() => {
                    if !was_lost {
                        note(&format!("hookpost: {error} Trying again."));
                    }
                    was_lost = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            was_lost = false;
            if round.is_cut {
                note("More than 1,000 new deliveries since the last look: the oldest of them are left out.");
            }
            for delivery in &round.deliveries {
                print(&if self.output.json { delivery.to_string() } else { line(delivery, style) })?;
            }
        }
    }
}

/// Returns a delivery in a line.
fn line(delivery: &Value, style: Style) -> String {
    let status = text(&delivery["status"]);
    let at = Some(text(&delivery["last_attempt"]["at"])).filter(|at| !at.is_empty());
    let at = at.unwrap_or_else(|| text(&delivery["created_at"]));
    let outcome = Some(outcome(delivery)).filter(|outcome| !outcome.is_empty());
    let details = [
        outcome,
        Some(text(&delivery["event_type"])),
        Some(text(&delivery["id"])),
        Some(format!("to {}", text(&delivery["webhook_id"]))),
        delivery["next_attempt_at"].as_str().filter(|_| status == "retrying").map(|at| format!("next attempt {at}")),
    ];
    let details: Vec<String> = details.into_iter().flatten().collect();
    format!("{at}  {}  {}", style.maybe(&status, color_of(&status)), printable(&details.join("  ")))
}
