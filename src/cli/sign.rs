//! `hookpost sign`: the headers that a profile sets for a body.

use clap::{Arg, ArgMatches, Command};

use super::CliError;
use super::input::{self, file_argument, signing_flags, text};
use crate::clock::Clock;
use crate::domain::Invalid;
use crate::domain::event::{EventId, EventType};
use crate::domain::id::DeliveryId;
use crate::domain::time::SECOND;
use crate::profile::Signer;
use crate::profile::sign::Signed;
use crate::random;

pub(super) fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("sign")
        .about("Prints the headers that a profile sets for a body, a line each")
        .args(signing_flags())
        .arg(option("id", "ID", "The event's id; a new one where left out"))
        .arg(option("type", "TYPE", "The event's type [default: webhook.test]"))
        .arg(option("timestamp", "SECONDS", "When it is signed, in seconds since 1970; now where left out"))
        .arg(file_argument("body", "The body; standard input where left out"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let profile = input::profile(matches)?;
    let secret = input::needed_secret(matches)?;
    let now = Clock::machine().now_ms();
    let in_flag = |name: &'static str| move |invalid: Invalid| invalid.in_field(name);
    let id = match text(matches, "id") {
        Some(text) => text.parse().map_err(in_flag("id"))?,
        None => EventId::generate(now, random::bits()),
    };
    let event_type: EventType = text(matches, "type").unwrap_or("webhook.test").parse().map_err(in_flag("type"))?;
    let at = input::number(matches, "timestamp", (now / SECOND) as u64, 0..=253_402_300_799)?;
    let body = input::read(text(matches, "body"))?;
    let headers = Signer::new(&profile, None, &secret, None).headers(&Signed {
        event_id: &id,
        event_type: &event_type,
        delivery_id: DeliveryId::generate(now, random::bits()),
        at_ms: at as i64 * SECOND,
        body: &body,
    });
    for (name, value) in headers {
        println!("{name}: {value}");
    }
    Ok(())
}
