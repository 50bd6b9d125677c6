//! What commands share: files and standard input, secrets, profiles.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use clap::{Arg, ArgMatches};

use super::CliError;
use crate::config;
use crate::domain::Invalid;
use crate::domain::secret::Secret;
use crate::profile::{self, Profile, ProfileSpec};

/// The flags `--profile` and `--secret`.
pub(super) fn signing_flags() -> [Arg; 2] {
    [
        Arg::new("profile")
            .long("profile")
            .value_name("PROFILE")
            .help("A built-in profile, or a file with one as JSON [default: generic]"),
        Arg::new("secret")
            .long("secret")
            .value_name("SECRET")
            .help("The webhook's secret [env: HOOKPOST_SECRET, or a file named by HOOKPOST_SECRET_FILE]"),
    ]
}

/// A file argument that is standard input where it is left out or `-`.
pub(super) fn file_argument(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name("FILE").help(help)
}

/// The bytes of a file, or of standard input.
pub(super) fn read(path: Option<&str>) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    match path {
        None | Some("-") => std::io::stdin()
            .read_to_end(&mut bytes)
            .map(drop)
            .map_err(|error| CliError::Other(format!("standard input cannot be read: {error}")))?,
        Some(path) => {
            bytes = std::fs::read(path).map_err(|error| CliError::Other(format!("{path} cannot be read: {error}")))?;
        }
    }
    Ok(bytes)
}

/// The profile of `--profile`: by its name, or from a file.
pub(super) fn profile(matches: &ArgMatches) -> Result<Arc<Profile>, CliError> {
    let name = text(matches, "profile").unwrap_or(profile::DEFAULT);
    if let Some(profile) = profile::find(name) {
        return Ok(profile);
    }
    if !Path::new(name).exists() {
        let known: Vec<&str> = profile::builtin().keys().map(String::as_str).collect();
        return Err(CliError::Other(format!(
            "there is no profile {name:?} and no such file; there are {}",
            known.join(", ")
        )));
    }
    let spec: ProfileSpec = serde_json::from_slice(&read(Some(name))?)
        .map_err(|error| CliError::Other(format!("{name} is no profile: {error}")))?;
    Ok(Arc::new(Profile::parse(spec)?))
}

/// The secret of `--secret` or its environment twin, where there is one.
pub(super) fn secret(matches: &ArgMatches) -> Result<Option<Secret>, CliError> {
    let given = match text(matches, "secret") {
        Some(text) => Some(text.to_owned()),
        None => config::secret_from_environment("HOOKPOST_SECRET")?,
    };
    let parse = |text: String| text.parse().map_err(|e: Invalid| e.in_field("secret"));
    Ok(given.map(parse).transpose()?)
}

/// The secret, where a command cannot do without one.
pub(super) fn needed_secret(matches: &ArgMatches) -> Result<Secret, CliError> {
    secret(matches)?.ok_or_else(|| CliError::Other("a secret is needed: --secret".to_owned()))
}

pub(super) fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// A number of a flag within its range.
pub(super) fn number(
    matches: &ArgMatches,
    name: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, CliError> {
    let Some(text) = text(matches, name) else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        CliError::Other(format!("--{name}: {text:?} is not a number from {} to {}", range.start(), range.end()))
    })
}
