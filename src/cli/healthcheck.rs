//! `hookpost healthcheck`: asks the server of this machine whether it is ready, as the `HEALTHCHECK` of a container does.

use std::time::Duration;

use clap::{ArgMatches, Args};
use serde_json::Value;

use super::CliError;
use super::api::own_client;
use super::common::reachable;
use super::output::{print, printable};
use crate::config::{Loaded, SettingFlags};

/// Time limit of the request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the answer that are read.
const MOST_BYTES: usize = 16 << 10;

/// Ask the server on this machine whether it is ready, for HEALTHCHECK in a container
///
/// Takes the settings of serve, from flags, the environment and the file. Exits with 0 if events are accepted and
/// delivered, else with 1.
#[derive(Args)]
pub(super) struct Healthcheck {
    #[command(flatten)]
    _settings: SettingFlags,
}

impl Healthcheck {
    /// Asks the server. `flags` are the matches of this command, with the source of each value.
    pub(super) fn run(self, flags: ArgMatches) -> Result<(), CliError> {
        let settings = Loaded::new(flags)?.settings;
        let scheme = if settings.has_tls() { "https" } else { "http" };
        let own = format!("{scheme}://{}", reachable(settings.listen));
        let result = own_client(MOST_BYTES)?.get(&format!("{own}/readyz"), TIMEOUT);
        let answer = result.answer.ok_or_else(|| {
            let reason = result.failure.map(|failure| failure.message).unwrap_or_default();
            CliError::Negative(format!("no server answers at {own}: {reason}"))
        })?;
        if answer.code == 200 {
            return print("ready\n");
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let reason =
            body["error"]["message"].as_str().map_or_else(|| format!("it answered {}", answer.code), printable);
        Err(CliError::Negative(format!("the server at {own} is not ready: {reason}")))
    }
}
