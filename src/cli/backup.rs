//! `hookpost backup` and `hookpost check`.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use crate::config::DatabaseFlag;
use crate::store::{backup, beside};

/// Write a consistent copy of the database to a new file; the server may be running
#[derive(Args)]
pub(super) struct Backup {
    #[command(flatten)]
    database: DatabaseFlag,
    /// New file; it must not exist yet
    file: PathBuf,
}

/// Check the integrity of a database or a copy; exits with 0 if it is sound, and with 1 if it is damaged
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    database: DatabaseFlag,
}

impl Backup {
    pub(super) fn run(self) -> Result<(), CliError> {
        let database = self.database.settings()?.db;
        backup::copy(&database, &self.file)?;
        println!(
            "{} is complete. Its secrets are encrypted under the master key, which it does not contain: keep a copy of {} (or of \
             the key that a setting names) in another place.",
            self.file.display(),
            beside(&database, ".key").display()
        );
        Ok(())
    }
}

impl Check {
    pub(super) fn run(self) -> Result<(), CliError> {
        let database = self.database.settings()?.db;
        let faults = backup::check(&database)?;
        if faults.is_empty() {
            println!("{} is sound", database.display());
            return Ok(());
        }
        Err(CliError::Other(format!("{} is damaged: {}", database.display(), faults.join("; "))))
    }
}
