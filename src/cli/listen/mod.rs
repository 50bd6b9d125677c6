//! `hookpost listen`: a receiver to try webhooks with.

mod receiver;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};

use super::CliError;
use super::input::{self, signing_flags, text};
use crate::cli::listen::receiver::{Listener, Verification};

pub(super) fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("listen")
        .about("A local receiver: prints each delivery, verified or not; answers challenges")
        .args(signing_flags())
        .arg(option("listen", "ADDRESS", "Address and port to listen on [default: 127.0.0.1:9000]"))
        .arg(option("status", "CODE", "The status to answer with [default: 200]"))
        .arg(option("delay-ms", "MS", "How long to wait before answering [default: 0]"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let address: SocketAddr = text(matches, "listen")
        .unwrap_or("127.0.0.1:9000")
        .parse()
        .map_err(|_| CliError::Other("--listen is not an address with a port such as 127.0.0.1:9000".to_owned()))?;
    let verification = match input::secret(matches)? {
        Some(secret) => Some(Verification { profile: input::profile(matches)?, secret }),
        None => None,
    };
    let listener = Listener {
        verification,
        challenge_field: input::profile(matches)?.spec().challenge.as_ref().map(|challenge| challenge.field.clone()),
        status: input::number(matches, "status", 200, 200..=599)? as u16,
        delay: Duration::from_millis(input::number(matches, "delay-ms", 0, 0..=600_000)?),
        in_colour: std::io::stdout().is_terminal(),
    };
    listener.run(address).map_err(|error| CliError::Other(format!("{address} cannot be listened on: {error}")))
}
