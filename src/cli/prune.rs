//! `hookpost prune`: deletes old deliveries and events while no server is running.

use clap::Args;
use serde_json::json;

use super::CliError;
use super::output::OutputFlags;
use super::progress::Progress;
use crate::actions::prune::{Pace, prune};
use crate::clock::Clock;
use crate::config::DatabaseFlag;
use crate::domain::retention::{Retention, parse_days};
use crate::metrics::Metrics;
use crate::store::{OpenError, Store};

/// Delete old deliveries and events while no server is running; a running server does so itself. Pending deliveries
/// are never deleted
#[derive(Args)]
pub(super) struct Prune {
    #[command(flatten)]
    database: DatabaseFlag,
    /// Age of deliveries and events to delete, such as 30d; the setting retention-days if unset
    #[arg(long, value_name = "AGE", value_parser = parse_days)]
    older_than: Option<u32>,
    /// Age of dead letters to delete, at least --older-than; the setting failed-retention-days if unset
    #[arg(long, value_name = "AGE", value_parser = parse_days)]
    failed_older_than: Option<u32>,
    /// Only print the number of deliveries and events to delete
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputFlags,
}

impl Prune {
    pub(super) fn run(self) -> Result<(), CliError> {
        let settings = self.database.settings()?;
        let default = settings.retention();
        let retention = Retention::new(
            self.older_than.or(default.finished_days()).unwrap_or(0),
            self.failed_older_than.or(default.failed_days()).unwrap_or(0),
        )
        .with_audit_days(default.audit_days().unwrap_or(0));
        if retention.finished_days().is_none() {
            return Err(CliError::Other(
                "retention-days is 0, which keeps everything. Choose an age, such as --older-than 30d".to_owned(),
            ));
        }
        let keys = settings.master_key()?;
        let path = settings.db;
        if !path.exists() {
            return Err(OpenError::Missing { path }.into());
        }
        let clock = Clock::machine();
        let (store, _lock) = Store::open(&path, &keys, &clock, &Metrics::new())?;
        let cutoffs = retention.cutoffs(clock.now_ms());
        let progress = Progress::of_rows("Deleting");
        let pace = |deleted| Pace { go_on: &|| true, rest: &|_| {}, deleted };
        if progress.is_shown() && !self.dry_run {
            let found = prune(&store, cutoffs, true, &pace(&|_| {}))?;
            progress.set_total(found.deliveries + found.events);
        }
        let pruned = prune(&store, cutoffs, self.dry_run, &pace(&|count| progress.add(count)));
        drop(progress);
        store.close();
        let pruned = pruned?;
        let verb = if self.dry_run { "would be deleted" } else { "deleted" };
        let (deliveries, events) = (pruned.deliveries, pruned.events);
        let answer = json!({"deliveries": deliveries, "events": events, "dry_run": self.dry_run});
        self.output.print(&answer, || format!("{deliveries} deliveries and {events} events {verb}"))
    }
}
