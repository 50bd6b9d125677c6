//! The command line: one file per command.

mod backup;
mod common;
mod demo;
mod example_db;
mod keys;
mod listen;
mod prune;
mod receiver;
mod rotate_master_key;
mod send;
mod serve;
mod sign;
mod users;
mod verify;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use thiserror::Error;

use crate::actions::ActionError;
use crate::auth::users::UserError;
use crate::config::ConfigError;
use crate::domain::Invalid;
use crate::server::StartError;
use crate::store::backup::BackupError;
use crate::store::{OpenError, StoreError};

/// Webhooks for teams without ops staff: one program, one database file
#[derive(Parser)]
#[command(name = "hookpost", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Demo(demo::Demo),
    #[command(subcommand)]
    Keys(keys::Keys),
    #[command(subcommand)]
    Users(users::Users),
    Backup(backup::Backup),
    Check(backup::Check),
    Prune(prune::Prune),
    RotateMasterKey(rotate_master_key::RotateMasterKey),
    Send(send::Send),
    Listen(listen::Listen),
    Sign(sign::Sign),
    Verify(verify::Verify),
    ExampleDb(example_db::ExampleDb),
}

/// Error of a command; its text is the line on standard error.
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
    User(UserError),
    #[error("{0}")]
    Other(String),
}

impl CliError {
    /// Prefixes the error with the failed operation.
    fn because(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> CliError {
        move |error| CliError::Other(format!("{what}: {error}"))
    }
}

impl From<UserError> for CliError {
    fn from(error: UserError) -> CliError {
        match error {
            UserError::Invalid(invalid) => invalid.into(),
            UserError::Store(error) => error.into(),
            other => CliError::User(other),
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

/// Prefixes the message with the flag of the invalid value.
fn with_flag(invalid: &Invalid) -> String {
    match &invalid.field {
        Some(field) => format!("--{field}: {invalid}"),
        None => invalid.to_string(),
    }
}

/// Runs the command that the arguments name. Exit code 0: success; 1: failure, with one line on standard error;
/// 2: wrong usage.
pub fn run() -> ExitCode {
    match run_command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hookpost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_command() -> Result<(), CliError> {
    let mut matches = Cli::command().try_get_matches().or_else(|error| match error.kind() {
        ErrorKind::ValueValidation => Err(ConfigError::invalid(&error, None)),
        _ => error.exit(),
    })?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| ConfigError::invalid(&error, None))?;
    match cli.command {
        Command::Serve(command) => command.run(matches.remove_subcommand().map(|(_, flags)| flags).unwrap_or_default()),
        Command::Demo(command) => command.run(),
        Command::Keys(command) => command.run(),
        Command::Users(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Prune(command) => command.run(),
        Command::RotateMasterKey(command) => command.run(),
        Command::Send(command) => command.run(),
        Command::Listen(command) => command.run(),
        Command::Sign(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::ExampleDb(command) => command.run(),
    }
}
