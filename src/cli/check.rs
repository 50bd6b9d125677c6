//! `hookpost check`: whether the database is sound.

use clap::{ArgMatches, Command};

use super::CliError;
use crate::config::{Values, database_flag};
use crate::store::backup;

pub(super) fn command() -> Command {
    Command::new("check")
        .about("Reads the whole database, a copy say, and tells what is wrong with it: exit code 0 where nothing is")
        .arg(database_flag())
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let database = Values::collect(matches)?.database();
    let faults = backup::check(&database)?;
    if faults.is_empty() {
        println!("{} is sound", database.display());
        return Ok(());
    }
    Err(CliError::Other(format!("{} is damaged: {}", database.display(), faults.join("; "))))
}
