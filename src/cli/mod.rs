//! The command line: one file per command.

mod api;
mod backup;
mod common;
mod completions;
mod config;
mod deliveries;
mod demo;
mod doctor;
mod events;
mod example_db;
mod forward;
mod healthcheck;
mod incidents;
mod keys;
mod listen;
mod logging;
mod output;
mod pause;
mod progress;
mod prune;
mod publish;
mod receiver;
mod reload;
mod request;
mod resource;
mod restore;
mod rotate_master_key;
mod serve;
mod sign;
mod tail;
mod tenants;
mod users;
mod verify;
mod webhooks;

use std::io;
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
use crate::store::restore::RestoreError;
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
    Restore(restore::Restore),
    Doctor(Box<doctor::Doctor>),
    Healthcheck(Box<healthcheck::Healthcheck>),
    #[command(subcommand)]
    Config(config::Config),
    Prune(prune::Prune),
    Pause(pause::Pause),
    Resume(pause::Resume),
    RotateMasterKey(rotate_master_key::RotateMasterKey),
    Send(publish::Publish),
    #[command(subcommand)]
    Webhooks(webhooks::Webhooks),
    #[command(subcommand)]
    Events(Box<events::Events>),
    #[command(subcommand)]
    Deliveries(Box<deliveries::Deliveries>),
    #[command(subcommand)]
    Incidents(incidents::Incidents),
    #[command(subcommand)]
    Tenants(tenants::Tenants),
    Tail(tail::Tail),
    Listen(listen::Listen),
    Sign(sign::Sign),
    Verify(verify::Verify),
    ExampleDb(example_db::ExampleDb),
    Completions(completions::Completions),
    Man(completions::Man),
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
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error("{}", with_flag(.0))]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    User(UserError),
    #[error("{0}")]
    Api(api::ApiFault),
    /// No response of the server.
    #[error("{0}")]
    Unreachable(String),
    #[error("standard output cannot be written: {0}")]
    Output(io::Error),
    /// The answer of a check is no.
    #[error("{0}")]
    Negative(String),
    /// A check that came to no answer.
    #[error("{0}")]
    Unchecked(Box<CliError>),
    #[error("{0}")]
    Other(String),
}

impl CliError {
    /// Prefixes the error with the failed operation.
    fn because(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> CliError {
        move |error| CliError::Other(format!("{what}: {error}"))
    }

    /// Tells the error of a check from its answer.
    fn of_check(self) -> CliError {
        match self {
            CliError::Negative(_) => self,
            error => CliError::Unchecked(Box::new(error)),
        }
    }

    /// Whether a call may succeed when it is tried again: the server does not answer, or is busy.
    fn may_pass(&self) -> bool {
        match self {
            CliError::Unreachable(_) => true,
            CliError::Api(fault) => fault.status == 429 || fault.status >= 500,
            _ => false,
        }
    }

    /// Whether the reader of standard output has gone, as `head` does once it has enough.
    fn is_closed_pipe(&self) -> bool {
        match self {
            CliError::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            CliError::Unchecked(error) => error.is_closed_pipe(),
            _ => false,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Unchecked(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
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

/// Runs the command that the arguments name. Exit code 0: success, or nobody reads the output any more; 1: failure, with
/// a line on standard error; 2: wrong usage, or a check that came to no answer.
pub fn run() -> ExitCode {
    match run_command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("hookpost: {error}"));
            error.exit_code()
        }
    }
}

/// Returns the error of a value that a flag does not take.
fn invalid_value(error: &clap::Error) -> CliError {
    let error = CliError::from(ConfigError::invalid(error, None));
    let matches = Cli::command().ignore_errors(true).get_matches();
    match matches.subcommand_name() {
        Some("check" | "verify") => error.of_check(),
        _ => error,
    }
}

fn run_command() -> Result<(), CliError> {
    let mut matches = Cli::command().try_get_matches().or_else(|error| match error.kind() {
        ErrorKind::ValueValidation => Err(invalid_value(&error)),
        _ => error.exit(),
    })?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| ConfigError::invalid(&error, None))?;
    match cli.command {
        Command::Serve(command) => command.run(matches.remove_subcommand().map(|(_, flags)| flags).unwrap_or_default()),
        Command::Doctor(command) => {
            command.run(matches.remove_subcommand().map(|(_, flags)| flags).unwrap_or_default())
        }
        Command::Healthcheck(command) => {
            command.run(matches.remove_subcommand().map(|(_, flags)| flags).unwrap_or_default())
        }
        Command::Config(command) => {
            command.run(matches.remove_subcommand().map(|(_, flags)| flags).unwrap_or_default())
        }
        Command::Demo(command) => command.run(),
        Command::Keys(command) => command.run(),
        Command::Users(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::Check(command) => command.run().map_err(CliError::of_check),
        Command::Prune(command) => command.run(),
        Command::Pause(command) => command.run(),
        Command::Resume(command) => command.run(),
        Command::RotateMasterKey(command) => command.run(),
        Command::Send(command) => command.run(),
        Command::Webhooks(command) => command.run(),
        Command::Events(command) => command.run(),
        Command::Deliveries(command) => command.run(),
        Command::Incidents(command) => command.run(),
        Command::Tenants(command) => command.run(),
        Command::Tail(command) => command.run(),
        Command::Listen(command) => command.run(),
        Command::Sign(command) => command.run(),
        Command::Verify(command) => command.run().map_err(CliError::of_check),
        Command::ExampleDb(command) => command.run(),
        Command::Completions(command) => command.run(Cli::command()),
        Command::Man(command) => command.run(Cli::command()),
    }
}
