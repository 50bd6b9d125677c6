//! `hookpost config`.

use clap::{ArgMatches, Args, Subcommand};
use serde_json::json;

use super::CliError;
use super::output::{Color, OutputFlags, Style, print, printable};
use crate::config::{Checked, RawSettingFlags};

/// Check the settings of a server
#[derive(Subcommand)]
pub(super) enum Config {
    Check(Box<Check>),
}

/// Check all settings as serve would read them, and the files that they name, and change nothing
///
/// Takes the settings of serve, from flags, the environment and the file. Exits with 1 if one is invalid.
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    _settings: RawSettingFlags,
    #[command(flatten)]
    output: OutputFlags,
}

impl Config {
    /// Runs the command. `flags` are its matches, with the source of each value.
    pub(super) fn run(self, mut flags: ArgMatches) -> Result<(), CliError> {
        let flags = flags.remove_subcommand().map(|(_, flags)| flags).unwrap_or_default();
        match self {
            Config::Check(command) => command.run(&flags),
        }
    }
}

impl Check {
    fn run(self, flags: &ArgMatches) -> Result<(), CliError> {
        let Checked { problems, warnings } = Checked::new(flags)?;
        if self.output.json {
            let is_valid = problems.is_empty();
            print(&json!({"valid": is_valid, "problems": problems, "warnings": warnings}).to_string())?;
        } else {
            let style = Style::of_stdout();
            let lines = |mark: &str, color, texts: &[String]| -> String {
                let mark = style.paint(mark, color);
                texts.iter().map(|text| format!("{mark}  {}\n", printable(text))).collect()
            };
            let found = lines("problem", Color::Red, &problems) + &lines("warning", Color::Yellow, &warnings);
            print(if found.is_empty() { "The settings are valid." } else { &found })?;
        }
        match problems.len() {
            0 => Ok(()),
            count => Err(CliError::Negative(format!(
                "{}; see above",
                crate::text::humanize::counted(count as u64, "invalid setting")
            ))),
        }
    }
}
