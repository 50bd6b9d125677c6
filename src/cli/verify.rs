//! `hookpost verify`: whether headers fit a body.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::CliError;
use super::input::{self, file_argument, signing_flags, text};
use crate::clock::Clock;
use crate::domain::time::SECOND;
use crate::profile::verify::{timestamp, verify};

pub(super) fn command() -> Command {
    Command::new("verify")
        .about("Checks the signatures of a request: exit code 0 where they fit, 1 where not")
        .args(signing_flags())
        .arg(
            Arg::new("header")
                .long("header")
                .short('H')
                .value_name("NAME: VALUE")
                .action(ArgAction::Append)
                .required(true)
                .help("A header of the request; repeat it for each"),
        )
        .arg(
            Arg::new("tolerance-s")
                .long("tolerance-s")
                .value_name("SECONDS")
                .help("Refuses a timestamp that is further from now than this"),
        )
        .arg(file_argument("body", "The body; standard input where left out"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let profile = input::profile(matches)?;
    let secret = input::needed_secret(matches)?;
    let headers = matches
        .get_many::<String>("header")
        .into_iter()
        .flatten()
        .map(|line| {
            line.split_once(':')
                .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
                .ok_or_else(|| CliError::Other(format!("--header {line:?} is not \"Name: value\"")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let tolerance = input::number(matches, "tolerance-s", u64::MAX, 0..=u64::MAX)?;
    let body = input::read(text(matches, "body"))?;
    let checked = verify(&profile, &secret, &headers, &body)
        .map_err(|fault| CliError::Other(format!("not verified: {fault}")))?;
    if let Some(at) = timestamp(&profile, &headers) {
        let age = (Clock::machine().now_ms() / SECOND).abs_diff(at);
        if age > tolerance {
            return Err(CliError::Other(format!("not verified: the timestamp is {age} seconds from now")));
        }
    }
    println!("verified: {}", checked.join(", "));
    Ok(())
}
