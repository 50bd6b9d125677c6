//! `hookpost keys`: API keys, beside a running server too.

use clap::{Arg, ArgMatches, Command};

use super::CliError;
use crate::actions::{ActionError, Actor};
use crate::auth::api_key::{KeyRequest, add, issue, take_out};
use crate::clock::Clock;
use crate::config::{Values, database_flag};
use crate::domain::Invalid;
use crate::domain::time::rfc3339;
use crate::metrics::Metrics;
use crate::store::{Connection, Store, api_key};

pub(super) fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("keys")
        .about("Makes, lists and revokes API keys")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("create")
                .about("Makes a key and prints it, alone, on standard output: it is shown this once")
                .arg(database_flag())
                .arg(option("name", "NAME", "What it is for").required(true))
                .arg(option("scope", "SCOPE", "publish, read or admin").required(true))
                .arg(option("tenant", "TENANT", "The one tenant it is for; all where left out"))
                .arg(option("profile", "PROFILE", "The profile of webhooks made with it that name none"))
                .arg(option(
                    "rate-limit",
                    "N",
                    "Requests a second at most, 1 to 100000, in place of the server's --key-rate-limit",
                )),
        )
        .subcommand(Command::new("list").about("Lists the keys").arg(database_flag()))
        .subcommand(
            Command::new("revoke")
                .about("Takes a key out of use at once")
                .arg(database_flag())
                .arg(Arg::new("id").required(true).help("Its id, as \"keys list\" shows it")),
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), CliError> {
    let clock = Clock::machine();
    match matches.subcommand() {
        Some(("create", matches)) => create(matches, &clock),
        Some(("list", matches)) => {
            let connection = Store::open_for_command(&Values::collect(matches)?.database())?;
            list(&connection)
        }
        Some(("revoke", matches)) => {
            let mut connection = Store::open_for_command(&Values::collect(matches)?.database())?;
            revoke(&mut connection, text(matches, "id").unwrap_or_default(), &clock)
        }
        _ => Err(CliError::Other("there is no such command".to_owned())),
    }
}

fn create(matches: &ArgMatches, clock: &Clock) -> Result<(), CliError> {
    let in_flag = |name: &'static str| move |invalid: Invalid| invalid.in_field(name);
    let request = KeyRequest {
        name: text(matches, "name").unwrap_or_default().to_owned(),
        scope: text(matches, "scope").unwrap_or_default().parse().map_err(in_flag("scope"))?,
        tenant: text(matches, "tenant").map(str::parse).transpose().map_err(in_flag("tenant"))?,
        profile: text(matches, "profile").map(str::to_owned),
        rate_limit_per_s: text(matches, "rate-limit")
            .map(|text| {
                text.parse().map_err(|_| CliError::Other(format!("--rate-limit is 1 to 100000, and not {text:?}")))
            })
            .transpose()?,
    };
    let (key, stored) = issue(request, clock.now_ms())?;
    let path = Values::collect(matches)?.database();
    if !path.exists() {
        // Nobody serves it yet: make it, as the server would.
        let (store, _lock) = Store::open(&path, clock, &Metrics::new())?;
        store.close();
    }
    let mut connection = Store::open_for_command(&path)?;
    Store::transaction(&mut connection, |connection| add(connection, &Actor::Command, &stored))?;
    println!("{key}");
    Ok(())
}

fn list(connection: &Connection) -> Result<(), CliError> {
    for key in api_key::list(connection)? {
        let tenant = key.tenant.map(|tenant| tenant.to_string());
        println!(
            "{}  {}…  {:7}  {:16}  {}  {}",
            key.id,
            key.prefix,
            key.scope.as_str(),
            tenant.as_deref().unwrap_or("all tenants"),
            rfc3339(key.created_ms),
            key.name,
        );
    }
    Ok(())
}

fn revoke(connection: &mut Connection, id: &str, clock: &Clock) -> Result<(), CliError> {
    let revoked =
        Store::transaction(connection, |connection| take_out(connection, &Actor::Command, id, clock.now_ms()));
    match revoked {
        Err(ActionError::NotFound(_)) => {
            Err(CliError::Other(format!("there is no key {id}; \"hookpost keys list\" lists them")))
        }
        other => Ok(other?),
    }
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}
