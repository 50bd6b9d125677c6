//! `hookpost backup` and `hookpost check`.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::CliError;
use super::output::OutputFlags;
use super::progress::Progress;
use crate::config::DatabaseFlag;
use crate::store::{backup, beside};

/// Write a consistent copy of the database to a new file; the server may be running
#[derive(Args)]
pub(super) struct Backup {
    #[command(flatten)]
    database: DatabaseFlag,
    /// New file, which must not exist yet, or - for standard output
    file: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
}

/// Check the integrity of a database or a copy; exits with 0 if it is sound, with 1 if it is damaged, and with 2 if it
/// could not be read
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    database: DatabaseFlag,
    #[command(flatten)]
    output: OutputFlags,
}

impl Backup {
    pub(super) fn run(self) -> Result<(), CliError> {
        let database = self.database.settings()?.db;
        let key_file = beside(&database, ".key");
        if self.file == Path::new("-") {
            return to_stdout(&database, self.output);
        }
        let progress = Progress::of_bytes("Copying");
        backup::copy(&database, &self.file, &|done, all| progress.set(done, all))?;
        drop(progress);
        let bytes = self.file.metadata().map(|file| file.len()).ok();
        let made = json!({"file": self.file.display().to_string(), "bytes": bytes});
        self.output.print(&made, || {
            format!(
                "{} is complete. Its secrets are encrypted under the master key, which it does not contain: keep a copy of {} (or \
                 of the key that a setting names) in another place.",
                self.file.display(),
                key_file.display()
            )
        })
    }
}

/// Writes the copy to standard output. An incomplete one is an error, whoever has stopped reading.
fn to_stdout(database: &Path, output: OutputFlags) -> Result<(), CliError> {
    if output.json {
        return Err(CliError::Other("standard output is the copy: leave out --json".to_owned()));
    }
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        let message = "a copy is binary data, and standard output is a terminal: redirect it, as in \"hookpost backup - > copy.db\"";
        return Err(CliError::Other(message.to_owned()));
    }
    let progress = Progress::of_bytes("Copying");
    let mut copy = backup::copy_unnamed(database, &|done, all| progress.set(done, all))?;
    drop(progress);
    io::copy(&mut copy, &mut out)
        .and_then(|_| io::Write::flush(&mut out))
        .map_err(CliError::because("the copy is incomplete, since standard output cannot be written"))
}

impl Check {
    pub(super) fn run(self) -> Result<(), CliError> {
        let database = self.database.settings()?.db;
        let progress = Progress::of_rows("Checking").tick();
        let faults = backup::check(&database, &|done, all| progress.set(done, all))?;
        drop(progress);
        let answer = json!({"sound": faults.is_empty(), "faults": faults});
        if faults.is_empty() {
            return self.output.print(&answer, || format!("{} is sound", database.display()));
        }
        let damage = format!("{} is damaged: {}", database.display(), faults.join("; "));
        self.output.negative(&answer, damage)
    }
}
