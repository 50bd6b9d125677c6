//! `hookpost pause` and `hookpost resume`: all deliveries of a database, whether a server is running or not.

use clap::Args;
use serde_json::json;

use super::CliError;
use super::common::open;
use super::output::OutputFlags;
use crate::actions::{Actor, pause};
use crate::clock::Clock;
use crate::config::DatabaseFlag;
use crate::store::{Store, StoreError};

/// Pause all deliveries: events are accepted and stored, and nothing is sent to webhooks, also after a restart. A running
/// server follows within seconds
#[derive(Args)]
pub(super) struct Pause {
    #[command(flatten)]
    database: DatabaseFlag,
    /// Why, for the people who see the pause on the pages
    #[arg(long, value_name = "TEXT", default_value = "Paused on the command line.")]
    reason: String,
    #[command(flatten)]
    output: OutputFlags,
}

/// End the pause of all deliveries. A running server follows within seconds
#[derive(Args)]
pub(super) struct Resume {
    #[command(flatten)]
    database: DatabaseFlag,
    #[command(flatten)]
    output: OutputFlags,
}

impl Pause {
    pub(super) fn run(self) -> Result<(), CliError> {
        let reason = pause::parse_reason(&self.reason)?;
        let mut connection = open(&self.database)?;
        let now = Clock::machine().now_ms();
        Store::transaction(&mut connection, |tx| pause::begin(tx, now, &Actor::Command, &reason))?;
        self.output.print(&json!({"paused": true}), || {
            "All deliveries are paused. Events are accepted and queued. \"hookpost resume\" sends them.".to_owned()
        })
    }
}

impl Resume {
    pub(super) fn run(self) -> Result<(), CliError> {
        let mut connection = open(&self.database)?;
        let now = Clock::machine().now_ms();
        let was_paused = Store::transaction(&mut connection, |tx| -> Result<_, StoreError> {
            pause::end(tx, now, &Actor::Command)
        })?;
        self.output.print(&json!({"paused": false, "was_paused": was_paused}), || match was_paused {
            true => "Deliveries are sent again.".to_owned(),
            false => "Deliveries were not paused.".to_owned(),
        })
    }
}
