//! `hookpost keys`: API keys. The server may be running.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::CliError;
use super::common::{open, open_or_create};
use super::output::{OutputFlags, Style, Table, note};
use crate::actions::{ActionError, Actor};
use crate::auth::api_key::{KeyRequest, RATE_LIMITS, add, issue, overlap, replace, take_out};
use crate::clock::Clock;
use crate::config::{DatabaseFlag, number};
use crate::domain::event::Tenant;
use crate::domain::time::{Millis, SECOND, parse_rfc3339, rfc3339};
use crate::domain::webhook::DEFAULT_OVERLAP;
use crate::store::api_key::{self, ApiKey, Scope};
use crate::store::{Connection, Store};

/// Create, list and revoke API keys
#[derive(Subcommand)]
pub(super) enum Keys {
    Create(Create),
    /// List the keys
    List {
        #[command(flatten)]
        database: DatabaseFlag,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Create a key with the same name and permissions, and end the old one after an overlap; prints the new key
    Rotate {
        #[command(flatten)]
        database: DatabaseFlag,
        /// ID of the key, as shown by "hookpost keys list"
        id: String,
        /// Seconds for which the old key still works, 0 to 604800
        #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_OVERLAP / SECOND)]
        overlap_s: i64,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Revoke a key immediately
    Revoke {
        #[command(flatten)]
        database: DatabaseFlag,
        /// ID of the key, as shown by "hookpost keys list"
        id: String,
    },
}

/// Create a key and print it; it cannot be shown again. Its ID is printed on standard error
#[derive(Args)]
pub(super) struct Create {
    #[command(flatten)]
    database: DatabaseFlag,
    /// Name that describes the purpose of the key
    #[arg(long)]
    name: String,
    /// Permissions: publish, read or admin
    #[arg(long)]
    scope: Scope,
    /// Tenant that the key is limited to; all tenants if unset
    #[arg(long)]
    tenant: Option<Tenant>,
    /// Profile of webhooks that are created with the key and without a profile
    #[arg(long)]
    profile: Option<String>,
    /// Maximum requests per second, 1 to 100000; overrides the server's --key-rate-limit
    #[arg(long, value_name = "N", value_parser = number(RATE_LIMITS))]
    rate_limit: Option<u32>,
    /// Time from which on requests with the key are rejected, such as 2027-01-31T00:00:00Z; never if unset
    #[arg(long, value_name = "TIME", value_parser = parse_rfc3339)]
    expires_at: Option<Millis>,
    #[command(flatten)]
    output: OutputFlags,
}

impl Keys {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Keys::Create(create) => create.run(),
            Keys::List { database, output } => list(&open(&database)?, output),
            Keys::Rotate { database, id, overlap_s, output } => rotate(&mut open(&database)?, &id, overlap_s, output),
            Keys::Revoke { database, id } => revoke(&mut open(&database)?, &id),
        }
    }
}

impl Create {
    fn run(self) -> Result<(), CliError> {
        let clock = Clock::machine();
        let request = KeyRequest {
            name: self.name,
            scope: self.scope,
            tenant: self.tenant,
            profile: self.profile,
            rate_limit_per_s: self.rate_limit,
            ends_ms: self.expires_at,
        };
        let (key, stored) = issue(request, clock.now_ms())?;
        let mut connection = open_or_create(&self.database, &clock)?;
        Store::transaction(&mut connection, |connection| add(connection, &Actor::Command, &stored))?;
        print_new(key, &stored, self.output)
    }
}

/// Prints a new key alone, for scripts that keep it, and its id on standard error.
fn print_new(key: String, stored: &ApiKey, output: OutputFlags) -> Result<(), CliError> {
    let mut made = view(stored);
    made["key"] = key.as_str().into();
    output.print(&made, || key)?;
    if !output.json {
        note(&format!("The ID of the key is {}. The key cannot be shown again.", stored.id));
    }
    Ok(())
}

/// Returns a key with the names of the API.
fn view(key: &ApiKey) -> Value {
    json!({
        "id": key.id.to_string(),
        "name": key.name,
        "scope": key.scope.to_string(),
        "tenant": key.tenant.as_ref().map(Tenant::as_str),
        "profile": key.profile,
        "prefix": key.prefix,
        "rate_limit_per_s": key.rate_limit_per_s,
        "created_at": rfc3339(key.created_ms),
        "created_by": key.created_by,
        "expires_at": key.ends_ms.map(rfc3339),
        "last_used_at": key.last_used_ms.map(rfc3339),
    })
}

fn list(connection: &Connection, output: OutputFlags) -> Result<(), CliError> {
    let keys = api_key::list(connection)?;
    output.print(&json!({"data": keys.iter().map(view).collect::<Vec<_>>()}), || {
        let mut table = Table::new(["ID", "KEY", "SCOPE", "TENANT", "CREATED", "EXPIRES", "NAME"]);
        for key in keys {
            table.row([
                key.id.to_string().into(),
                format!("{}…", key.prefix).into(),
                key.scope.to_string().into(),
                key.tenant.map_or_else(|| "all tenants".to_owned(), |tenant| tenant.to_string()).into(),
                rfc3339(key.created_ms).into(),
                key.ends_ms.map_or_else(|| "no end".to_owned(), |ends| format!("expires {}", rfc3339(ends))).into(),
                key.name.into(),
            ]);
        }
        table.text(Style::of_stdout())
    })
}

fn rotate(connection: &mut Connection, id: &str, overlap_s: i64, output: OutputFlags) -> Result<(), CliError> {
    let (now, overlap) = (Clock::machine().now_ms(), overlap(Some(overlap_s))?);
    let replaced = Store::transaction(connection, |connection| replace(connection, &Actor::Command, id, overlap, now));
    let (key, stored) = found(id, replaced)?;
    print_new(key, &stored, output)
}

fn revoke(connection: &mut Connection, id: &str) -> Result<(), CliError> {
    let now = Clock::machine().now_ms();
    found(id, Store::transaction(connection, |connection| take_out(connection, &Actor::Command, id, now)))
}

/// Says in words that a key is missing.
fn found<T>(id: &str, result: Result<T, ActionError>) -> Result<T, CliError> {
    match result {
        Err(ActionError::NotFound(_)) => {
            Err(CliError::Other(format!("there is no key {id}; \"hookpost keys list\" lists the keys")))
        }
        other => Ok(other?),
    }
}
