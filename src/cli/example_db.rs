//! `hookpost example-db`: the database that comes with the source, for people who want to see the pages with
//! something on them.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command};

use super::CliError;
use super::input::text;
use crate::cli::demo::history::{DemoWebhook, HistoryOptions, build};
use crate::config::temporary_folder;
use crate::domain::time::HOUR;
use crate::store::backup;

/// 2026-11-20T18:00:00Z, when its story ends: the same in every copy.
const ENDS_MS: i64 = 1_795_197_600_000;

pub(super) fn command() -> Command {
    Command::new("example-db")
        .about("Writes an example database: webhooks, events and deliveries of an afternoon; serving it sends nothing")
        .arg(Arg::new("file").value_name("FILE").required(true).help("The file; it must not exist yet"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let file = PathBuf::from(text(matches, "file").unwrap_or_default());
    let folder = temporary_folder("hookpost-example")?;
    let made = make(&folder.join("webhooks.db"), &file);
    let removed = std::fs::remove_dir_all(&folder);
    made?;
    removed.map_err(|error| CliError::Other(format!("{}: {error}", folder.display())))
}

fn make(database: &Path, file: &Path) -> Result<(), CliError> {
    // Where nobody says otherwise the server is there, and so is its inbox.
    let base_url = "http://127.0.0.1:8080";
    let url = |place: &DemoWebhook| format!("https://{}.{}.example/hooks", place.name, place.tenant);
    build(
        database,
        &HistoryOptions {
            ends_ms: ENDS_MS,
            lasts_ms: 8 * HOUR,
            // Longer than the longest schedule of what is retried: nothing is left that would be sent.
            quiet_ms: 4 * HOUR,
            per_step: 0.12,
            base_url,
            allow: Vec::new(),
            url: &url,
        },
    )?;
    Ok(backup::copy(database, file)?)
}
