//! `hookpost backup`: a copy of the database, beside a running server too.

use std::path::Path;

use clap::{Arg, ArgMatches, Command};

use super::CliError;
use super::input::text;
use crate::config::{Values, database_flag};
use crate::store::backup;

pub(super) fn command() -> Command {
    Command::new("backup")
        .about("Writes a consistent copy of the database to a new file, while the server runs or not")
        .arg(database_flag())
        .arg(Arg::new("file").value_name("FILE").required(true).help("The copy; it must not exist yet"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let database = Values::collect(matches)?.database();
    backup::copy(&database, Path::new(text(matches, "file").unwrap_or_default()))?;
    Ok(())
}
