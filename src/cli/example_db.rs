//! `hookpost example-db`: creates the example database that the source includes.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::common::in_temporary_folder;
use super::demo::history::{HistoryOptions, build};
use super::demo::scenario::DemoWebhook;
use crate::clock::Clock;
use crate::domain::time::HOUR;
use crate::store::master_key::decrypt;
use crate::store::{KeySource, backup};

/// End of the history, in every copy: 2026-11-20T18:00:00Z.
const ENDS_MS: i64 = 1_795_197_600_000;

/// Create an example database with webhooks, events and deliveries of one afternoon; serving it sends nothing
#[derive(Args)]
pub(super) struct ExampleDb {
    /// New file; it must not exist yet
    file: PathBuf,
}

impl ExampleDb {
    pub(super) fn run(self) -> Result<(), CliError> {
        in_temporary_folder("hookpost-example", |folder| {
            let database = folder.join("webhooks.db");
            let options = HistoryOptions {
                ends_ms: ENDS_MS,
                lasts_ms: 8 * HOUR,
                // Longer than the longest retry schedule, so no pending delivery remains.
                quiet_ms: 4 * HOUR,
                events_per_step: 0.12,
                // The server's default address, which the inbox's URL contains.
                base_url: "http://127.0.0.1:8080",
                allow_targets: Vec::new(),
                url: &|webhook: &DemoWebhook| format!("https://{}.{}.example/hooks", webhook.name, webhook.tenant),
            };
            build(&database, &options)?;
            // The secrets are published with the file. The first start of a copy encrypts them under a key of its own.
            decrypt(&database, &KeySource::Beside, &Clock::machine())?;
            Ok(backup::copy(&database, &self.file, &|_, _| {})?)
        })
    }
}
