//! The command line, one command a file.

mod backup;
mod check;
mod demo;
mod example_db;
mod input;
mod keys;
mod listen;
mod prune;
mod send;
mod serve;
mod sign;
mod users;
mod verify;

use std::process::ExitCode;

use clap::Command;
use thiserror::Error;

use crate::actions::ActionError;
use crate::auth::users::UserError;
use crate::config::ConfigError;
use crate::domain::Invalid;
use crate::server::StartError;
use crate::store::backup::BackupError;
use crate::store::{OpenError, StoreError};

/// Why a command failed; its text is all that people see.
#[derive(Debug, Error)]
pub enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error("{}", with_flag(.0))]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    People(UserError),
    #[error("{0}")]
    Other(String),
}

impl From<UserError> for CliError {
    fn from(error: UserError) -> CliError {
        match error {
            UserError::Invalid(invalid) => invalid.into(),
            UserError::Store(error) => error.into(),
            other => CliError::People(other),
        }
    }
}

impl From<ActionError> for CliError {
    fn from(error: ActionError) -> CliError {
        match error {
            ActionError::Invalid(invalid) => invalid.into(),
            ActionError::Store(error) => error.into(),
            other => CliError::Other(other.to_string()),
        }
    }
}

/// What is wrong, with the flag that it was given by.
fn with_flag(invalid: &Invalid) -> String {
    match &invalid.field {
        Some(field) => format!("--{field}: {invalid}"),
        None => invalid.to_string(),
    }
}

/// Runs the command that the arguments name. 0: done; 1: it failed, with one line on standard error; 2: wrong usage.
pub fn run() -> ExitCode {
    let command = Command::new("hookpost")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Webhooks for a team that has an application and no ops staff")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve::command())
        .subcommand(demo::command())
        .subcommand(keys::command())
        .subcommand(users::command())
        .subcommand(backup::command())
        .subcommand(check::command())
        .subcommand(prune::command())
        .subcommand(send::command())
        .subcommand(listen::command())
        .subcommand(sign::command())
        .subcommand(verify::command())
        .subcommand(example_db::command());
    let matches = command.get_matches();
    let result = match matches.subcommand() {
        Some(("serve", matches)) => serve::run(matches),
        Some(("demo", matches)) => demo::run(matches),
        Some(("keys", matches)) => keys::run(matches),
        Some(("users", matches)) => users::run(matches),
        Some(("backup", matches)) => backup::run(matches),
        Some(("check", matches)) => check::run(matches),
        Some(("prune", matches)) => prune::run(matches),
        Some(("send", matches)) => send::run(matches),
        Some(("listen", matches)) => listen::run(matches),
        Some(("sign", matches)) => sign::run(matches),
        Some(("verify", matches)) => verify::run(matches),
        Some(("example-db", matches)) => example_db::run(matches),
        _ => Err(CliError::Other("there is no such command".to_owned())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hookpost: {error}");
            ExitCode::FAILURE
        }
    }
}
