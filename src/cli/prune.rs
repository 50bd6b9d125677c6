//! `hookpost prune`: deletes what is old, while no server runs.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::CliError;
use super::input::text;
use crate::actions::prune::{Pace, prune};
use crate::clock::Clock;
use crate::config::{Values, database_flag};
use crate::domain::Invalid;
use crate::domain::retention::{Retention, parse_days};
use crate::metrics::Metrics;
use crate::store::{OpenError, Store};

pub(super) fn command() -> Command {
    let age = |name: &'static str, help: &'static str| Arg::new(name).long(name).value_name("AGE").help(help);
    Command::new("prune")
        .about(
            "Deletes what ended long ago, while no server runs; a running one does so by itself. What waits for an attempt stays",
        )
        .arg(database_flag())
        .arg(age(
            "older-than",
            "Age of deliveries and events that go, such as 30d; left out, the setting retention-days",
        ))
        .arg(age(
            "failed-older-than",
            "The same for dead letters, no younger; left out, the setting failed-retention-days",
        ))
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Only says how much would go"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let values = Values::collect(matches)?;
    let usual = values.retention()?;
    let retention = Retention::new(
        age(matches, "older-than")?.or(usual.finished_days()).unwrap_or(0),
        age(matches, "failed-older-than")?.or(usual.failed_days()).unwrap_or(0),
    );
    if retention.finished_days().is_none() {
        return Err(CliError::Other(
            "retention-days is 0: everything is kept. Say what is to go, such as --older-than 30d".to_owned(),
        ));
    }
    let path = values.database();
    if !path.exists() {
        return Err(OpenError::Missing { path }.into());
    }
    let clock = Clock::machine();
    let dry_run = matches.get_flag("dry-run");
    let (store, _lock) = Store::open(&path, &clock, &Metrics::new())?;
    let pace = Pace { go_on: &|| true, rest: &|_| {} };
    let pruned = prune(&store, retention.cutoffs(clock.now_ms()), dry_run, &pace);
    store.close();
    let pruned = pruned?;
    println!(
        "{} deliveries and {} events {}",
        pruned.deliveries,
        pruned.events,
        if dry_run { "would go" } else { "went" }
    );
    Ok(())
}

fn age(matches: &ArgMatches, name: &'static str) -> Result<Option<u32>, Invalid> {
    let days = text(matches, name).map(parse_days).transpose();
    days.map_err(|invalid| invalid.in_field(name))
}
