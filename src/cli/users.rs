//! `hookpost users`: people who use the pages, beside a running server too.

use clap::{Arg, ArgMatches, Command};

use super::{CliError, input};
use crate::actions::Actor;
use crate::auth::{password, users};
use crate::clock::Clock;
use crate::config::{Values, database_flag, secret_from_environment};
use crate::domain::time::rfc3339;
use crate::metrics::Metrics;
use crate::random;
use crate::store::user::Role;
use crate::store::{Connection, Store, user};

pub(super) fn command() -> Command {
    let name = || Arg::new("name").value_name("NAME").required(true);
    let password = || {
        Arg::new("password-file")
            .long("password-file")
            .value_name("FILE")
            .help("A file whose first line is the password; - for standard input. Without it one is made and printed [env: HOOKPOST_PASSWORD]")
    };
    Command::new("users")
        .about("Makes, lists and removes people who use the pages")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("add")
                .about("Makes a user; prints the password, alone, where it made one")
                .arg(database_flag())
                .arg(name())
                .arg(
                    Arg::new("role")
                        .long("role")
                        .value_name("ROLE")
                        .help("administrator or viewer [default: administrator]"),
                )
                .arg(password()),
        )
        .subcommand(
            Command::new("reset-password")
                .about("Sets a new password and ends every session of the user; prints it, alone, where it made one")
                .arg(database_flag())
                .arg(name())
                .arg(password()),
        )
        .subcommand(Command::new("list").about("Lists the users").arg(database_flag()))
        .subcommand(Command::new("remove").about("Takes a user away, at once").arg(database_flag()).arg(name()))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let clock = Clock::machine();
    match matches.subcommand() {
        Some(("add", matches)) => add(matches, &clock),
        Some(("reset-password", matches)) => reset_password(matches, &clock),
        Some(("list", matches)) => list(&open(matches)?),
        Some(("remove", matches)) => remove(matches, &clock),
        _ => Err(CliError::Other("there is no such command".to_owned())),
    }
}

fn add(matches: &ArgMatches, clock: &Clock) -> Result<(), CliError> {
    let role = input::text(matches, "role").unwrap_or(Role::Administrator.as_str());
    let role: Role = role.parse().map_err(|invalid: crate::domain::Invalid| invalid.in_field("role"))?;
    users::check_name(name(matches))?;
    let password = Password::of(matches)?;
    let path = Values::collect(matches)?.database();
    if !path.exists() {
        // Nobody serves it yet: make it, as the server would.
        let (store, _lock) = Store::open(&path, clock, &Metrics::new())?;
        store.close();
    }
    let mut connection = Store::open_for_command(&path)?;
    let hash = password::hash(&password.text);
    let (name, now) = (name(matches), clock.now_ms());
    Store::transaction(&mut connection, |connection| users::add(connection, &Actor::Command, name, role, &hash, now))?;
    password.print();
    Ok(())
}

fn remove(matches: &ArgMatches, clock: &Clock) -> Result<(), CliError> {
    let (name, now) = (name(matches), clock.now_ms());
    Ok(Store::transaction(&mut open(matches)?, |connection| users::remove(connection, &Actor::Command, name, now))?)
}

fn reset_password(matches: &ArgMatches, clock: &Clock) -> Result<(), CliError> {
    let mut connection = open(matches)?;
    users::find(&connection, name(matches))?;
    let password = Password::of(matches)?;
    let hash = password::hash(&password.text);
    let (name, now) = (name(matches), clock.now_ms());
    Store::transaction(&mut connection, |connection| {
        users::reset_password(connection, &Actor::Command, name, &hash, now)
    })?;
    password.print();
    Ok(())
}

fn list(connection: &Connection) -> Result<(), CliError> {
    for user in user::list(connection)? {
        let last = user.last_login_ms.map(rfc3339);
        println!(
            "{:13}  made {}  last signed in {}  {}",
            user.role.as_str(),
            rfc3339(user.created_ms),
            last.as_deref().unwrap_or("never"),
            user.name,
        );
    }
    Ok(())
}

/// A password that was given, or made here.
struct Password {
    text: String,
    is_made: bool,
}

impl Password {
    fn of(matches: &ArgMatches) -> Result<Password, CliError> {
        let given = match input::text(matches, "password-file") {
            Some(path) => {
                let bytes = input::read(Some(path))?;
                let text = String::from_utf8(bytes).map_err(|_| CliError::Other(format!("{path} is not UTF-8")))?;
                Some(text.lines().next().unwrap_or_default().to_owned())
            }
            None => secret_from_environment("HOOKPOST_PASSWORD")?,
        };
        let is_made = given.is_none();
        // 100 bits; letters that look alike are told apart by hexadecimal.
        let text = given.unwrap_or_else(|| hex::encode(random::bytes::<13>()));
        password::check(&text)?;
        Ok(Password { text, is_made })
    }

    fn print(&self) {
        if self.is_made {
            println!("{}", self.text);
        }
    }
}

fn open(matches: &ArgMatches) -> Result<Connection, CliError> {
    Ok(Store::open_for_command(&Values::collect(matches)?.database())?)
}

fn name(matches: &ArgMatches) -> &str {
    input::text(matches, "name").unwrap_or_default()
}
