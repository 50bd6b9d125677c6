//! `hookpost completions` and `hookpost man`: the command line as other programs describe it.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::CliError;
use super::output::print;

/// Print the completions of a shell
///
/// For bash: hookpost completions bash > ~/.local/share/bash-completion/completions/hookpost
#[derive(Args)]
pub(super) struct Completions {
    /// Shell
    shell: Shell,
}

/// Print the manual page, or write the pages of all commands to a folder
///
/// To read the page: hookpost man | man -l -
#[derive(Args)]
pub(super) struct Man {
    /// Folder for the pages of all commands; it must exist
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

impl Completions {
    /// Prints the completions of the program, which is `command`.
    pub(super) fn run(self, mut command: Command) -> Result<(), CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "hookpost", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}

impl Man {
    /// Prints the pages of the program, which is `command`.
    pub(super) fn run(self, command: Command) -> Result<(), CliError> {
        if let Some(folder) = self.to {
            let unwritten = CliError::because(format!("the pages cannot be written to {}", folder.display()));
            return clap_mangen::generate_to(command, folder).map_err(unwritten);
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(CliError::because("the page cannot be made"))?;
        print(&String::from_utf8_lossy(&page))
    }
}
