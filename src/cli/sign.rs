//! `hookpost sign`: prints the headers that a profile sets for a body.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, json};

use super::CliError;
use super::common::{SigningFlags, read};
use super::output::OutputFlags;
use crate::clock::Clock;
use crate::config::number;
use crate::domain::event::{EventId, EventType};
use crate::domain::id::DeliveryId;
use crate::domain::time::SECOND;
use crate::profile::Signer;
use crate::profile::sign::Signed;
use crate::random;

/// Last second of the year 9999.
const LATEST_S: i64 = 253_402_300_799;

/// Print the headers that a profile sets for a body, one per line
#[derive(Args)]
pub(super) struct Sign {
    #[command(flatten)]
    signing: SigningFlags,
    /// Event ID; generated if unset
    #[arg(long)]
    id: Option<EventId>,
    /// Event type
    #[arg(long = "type", value_name = "TYPE", default_value = "webhook.test")]
    event_type: EventType,
    /// Time of the signature, in seconds since 1970; now if unset
    #[arg(long, value_name = "SECONDS", value_parser = number(0..=LATEST_S))]
    timestamp: Option<i64>,
    /// File with the body; standard input if unset or -
    #[arg(value_name = "FILE")]
    body: Option<PathBuf>,
    #[command(flatten)]
    output: OutputFlags,
}

impl Sign {
    pub(super) fn run(self) -> Result<(), CliError> {
        let profile = self.signing.profile()?;
        let secret = self.signing.required_secret()?;
        let now = Clock::machine().now_ms();
        let body = read(self.body.as_deref())?;
        let headers = Signer::new(&profile, None, &secret, None).headers(&Signed {
            event_id: &self.id.unwrap_or_else(|| EventId::generate(now, random::bits())),
            event_type: &self.event_type,
            delivery_id: DeliveryId::generate(now, random::bits()),
            at_ms: self.timestamp.unwrap_or(now / SECOND) * SECOND,
            body: &body,
        });
        let object: Map<_, _> = headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        self.output.print(&json!({"headers": object}), || {
            headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
        })
    }
}
