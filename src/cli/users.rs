//! `hookpost users`: people who sign in to the pages. The server may be running.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::CliError;
use super::common::{open, open_or_create, read};
use super::output::{OutputFlags, Style, Table, print};
use crate::actions::Actor;
use crate::auth::users::LeftKeys;
use crate::auth::{password, two_factor, users};
use crate::clock::Clock;
use crate::config::{DatabaseFlag, secret_from_environment};
use crate::domain::time::rfc3339;
use crate::random;
use crate::store::user::Role;
use crate::store::{Connection, Store, user};

/// Add, list and remove users of the pages
#[derive(Subcommand)]
pub(super) enum Users {
    /// Add a user; prints the password if it was generated
    Add {
        #[command(flatten)]
        user: UserFlags,
        /// Role: administrator, operator or viewer
        #[arg(long, default_value = "administrator")]
        role: Role,
        #[command(flatten)]
        password: PasswordFlags,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Set a new password and end all sessions of the user; prints the password if it was generated
    ResetPassword {
        #[command(flatten)]
        user: UserFlags,
        #[command(flatten)]
        password: PasswordFlags,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Turn off two-factor authentication of a user who has lost their phone, and end all their sessions
    ResetTotp(UserFlags),
    /// List the users
    List {
        #[command(flatten)]
        database: DatabaseFlag,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Remove a user immediately; API keys that the user created go on working
    Remove {
        #[command(flatten)]
        user: UserFlags,
        /// Revoke the API keys that the user created
        #[arg(long)]
        revoke_keys: bool,
    },
}

#[derive(Args)]
pub(super) struct UserFlags {
    #[command(flatten)]
    database: DatabaseFlag,
    /// Name of the user
    name: String,
}

#[derive(Args)]
pub(super) struct PasswordFlags {
    /// File whose first line is the password, or - for standard input; generated if unset [env: HOOKPOST_PASSWORD, or
    /// the file named by HOOKPOST_PASSWORD_FILE]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Users {
    pub(super) fn run(self) -> Result<(), CliError> {
        let clock = Clock::machine();
        let now = clock.now_ms();
        match self {
            Users::Add { user: UserFlags { database, name }, role, password, output } => {
                users::check_name(&name)?;
                let password = password.password()?;
                let hash = password::hash(&password.text);
                let mut connection = open_or_create(&database, &clock)?;
                Store::transaction(&mut connection, |connection| {
                    users::add(connection, &Actor::Command, &name, role, &hash, now)
                })?;
                password.print(output, &name, Some(role))?;
            }
            Users::ResetPassword { user: UserFlags { database, name }, password, output } => {
                let mut connection = open(&database)?;
                users::find(&connection, &name)?;
                let password = password.password()?;
                let hash = password::hash(&password.text);
                Store::transaction(&mut connection, |connection| {
                    users::reset_password(connection, &Actor::Command, &name, &hash, now)
                })?;
                password.print(output, &name, None)?;
            }
            Users::ResetTotp(UserFlags { database, name }) => {
                let mut connection = open(&database)?;
                Store::transaction(&mut connection, |connection| {
                    two_factor::reset(connection, &Actor::Command, &name, now)
                })?;
            }
            Users::List { database, output } => list(&open(&database)?, output)?,
            Users::Remove { user: UserFlags { database, name }, revoke_keys } => {
                let mut connection = open(&database)?;
                let keys = if revoke_keys { LeftKeys::Revoke } else { LeftKeys::Keep };
                Store::transaction(&mut connection, |connection| {
                    users::remove(connection, &Actor::Command, &name, keys, now)
                })?;
            }
        }
        Ok(())
    }
}

fn list(connection: &Connection, output: OutputFlags) -> Result<(), CliError> {
    let users = user::list(connection)?;
    let views = users.iter().map(|user| {
        json!({
            "name": user.name,
            "role": user.role.to_string(),
            "two_factor": user.has_totp,
            "created_at": rfc3339(user.created_ms),
            "last_login_at": user.last_login_ms.map(rfc3339),
        })
    });
    output.print(&json!({"data": views.collect::<Vec<_>>()}), || {
        let mut table = Table::new(["ROLE", "TWO-FACTOR", "CREATED", "LAST SIGNED IN", "NAME"]);
        for user in &users {
            let last_login = user.last_login_ms.map_or_else(|| "never".to_owned(), rfc3339);
            table.row([
                user.role.to_string().into(),
                if user.has_totp { "on" } else { "off" }.into(),
                rfc3339(user.created_ms).into(),
                last_login.into(),
                user.name.as_str().into(),
            ]);
        }
        table.text(Style::of_stdout())
    })
}

struct Password {
    text: String,
    is_generated: bool,
}

impl PasswordFlags {
    /// Returns the password of the flag or the environment, or generates one.
    fn password(self) -> Result<Password, CliError> {
        let text = match &self.password_file {
            Some(path) => {
                let text = String::from_utf8(read(Some(path))?)
                    .map_err(|_| CliError::Other(format!("{} is not UTF-8", path.display())))?;
                Some(text.lines().next().unwrap_or_default().to_owned())
            }
            None => secret_from_environment("HOOKPOST_PASSWORD")?,
        };
        let is_generated = text.is_none();
        // 104 bits, in hexadecimal digits, which cannot be mistaken for each other.
        let text = text.unwrap_or_else(|| hex::encode(random::bytes::<13>()));
        password::check(&text)?;
        Ok(Password { text, is_generated })
    }
}

impl Password {
    /// Prints the password if it was generated. JSON names the user too.
    fn print(&self, output: OutputFlags, name: &str, role: Option<Role>) -> Result<(), CliError> {
        let generated = self.is_generated.then_some(self.text.as_str());
        if output.json {
            let role = role.map(|role| role.to_string());
            return output.print(&json!({"name": name, "role": role, "password": generated}), String::new);
        }
        generated.map_or(Ok(()), print)
    }
}
