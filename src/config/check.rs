//! All problems of the settings at once, for `hookpost config check`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::ValueParser;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::loaded::{SettingFlags, bare_command, file_arguments, is_open};
use super::names::unknown_variables;
use super::{ConfigError, Settings};
use crate::delivery::http::anywhere::Anywhere;
use crate::delivery::http::client::{Client, ClientOptions};
use crate::delivery::mail::Mailer;
use crate::http::site::BaseUrl;
use crate::server::ServerOptions;
use crate::store::{KeySource, Store, beside, profile};

/// Flags of [`SettingFlags`] whose values are not parsed, so that one invalid value hides no other.
#[derive(Debug)]
pub struct RawSettingFlags;

/// Result of a check, as sentences.
#[derive(Debug, Default)]
pub struct Checked {
    /// `serve` would refuse to start, or no browser or receiver could be reached.
    pub problems: Vec<String>,
    /// Probably not what was meant.
    pub warnings: Vec<String>,
}

impl Args for RawSettingFlags {
    fn augment_args(command: Command) -> Command {
        let settings = Settings::command();
        SettingFlags::augment_args(command).mut_args(|arg| {
            let is_setting = settings.get_arguments().any(|setting| setting.get_id() == arg.get_id());
            if is_setting { arg.value_parser(ValueParser::os_string()) } else { arg }
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        RawSettingFlags::augment_args(command)
    }
}

impl FromArgMatches for RawSettingFlags {
    fn from_arg_matches(_: &ArgMatches) -> Result<RawSettingFlags, clap::Error> {
        Ok(RawSettingFlags)
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}

impl Checked {
    /// Checks the settings that `serve` would have with these flags, which are the matches of [`RawSettingFlags`]. Changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// If there are no defaults, which is a fault of the program.
    pub fn new(flags: &ArgMatches) -> Result<Checked, ConfigError> {
        let mut checked = Checked::default();
        let unknown = unknown_variables();
        checked.problems.extend(unknown.misspelt.iter().map(ToString::to_string));
        checked.warnings.extend(unknown.others);
        let settings = checked.settings(flags)?;
        let (db, listens_publicly) = (settings.db.clone(), !settings.listen.ip().is_loopback());
        let (finished, failed) = (settings.retention_days, settings.failed_retention_days);
        let profiles = [("default-profile", &settings.default_profile)].into_iter();
        let profiles = profiles.chain(settings.portal_profiles.iter().flatten().map(|name| ("portal-profiles", name)));
        let profiles: Vec<(&str, String)> = profiles.map(|(setting, name)| (setting, name.clone())).collect();
        if failed > 0 && (failed < finished || finished == 0) {
            checked.warnings.push(format!(
                "--failed-retention-days is {failed}, and counts as --retention-days, which is {finished}: dead letters are kept as long as delivered ones."
            ));
        }
        match settings.checked_server_options() {
            Ok(options) => checked.options(&options, listens_publicly),
            Err(problems) => checked.problems.extend(problems.iter().map(ToString::to_string)),
        }
        checked.database(&db, &profiles);
        Ok(checked)
    }

    /// Parses each setting alone. An invalid one keeps its default.
    fn settings(&mut self, flags: &ArgMatches) -> Result<Settings, ConfigError> {
        let defaults = Settings::command().mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
        let fault = |error: &clap::Error| ConfigError::invalid(error, None);
        let defaults = defaults.try_get_matches_from(Vec::<OsString>::new()).map_err(|error| fault(&error))?;
        let mut settings = Settings::from_arg_matches(&defaults).map_err(|error| fault(&error))?;
        let mut take = |arguments: Vec<OsString>, file: Option<&Path>| {
            let parsed = bare_command().try_get_matches_from(arguments);
            if let Err(error) = parsed.and_then(|matches| settings.update_from_arg_matches(&matches)) {
                self.problems.push(ConfigError::invalid(&error, file).to_string());
            }
        };
        for setting in Settings::command().get_arguments() {
            let (id, Some(name)) = (setting.get_id().as_str(), setting.get_long()) else { continue };
            if is_open(flags, id) {
                continue;
            }
            let argument = |value: &std::ffi::OsStr| {
                let mut argument = OsString::from(format!("--{name}="));
                argument.push(value);
                argument
            };
            take(flags.get_raw(id).into_iter().flatten().map(argument).collect(), None);
        }
        let Some(path) = flags.get_one::<PathBuf>("config") else { return Ok(settings) };
        let mut unknown = Vec::new();
        match file_arguments(path) {
            Err(error) => unknown.push(error),
            Ok(given) => {
                for (setting, arguments) in given {
                    match setting {
                        Ok(id) if is_open(flags, &id) => {
                            take(arguments.into_iter().map(OsString::from).collect(), Some(path));
                        }
                        Ok(_) => {}
                        Err(error) => unknown.push(error),
                    }
                }
            }
        }
        self.problems.extend(unknown.iter().map(ToString::to_string));
        Ok(settings)
    }

    /// Checks values that are sound alone against each other and the files that they name.
    fn options(&mut self, options: &ServerOptions, listens_publicly: bool) {
        let certificates = options.extra_certificates.clone();
        let client_options = ClientOptions { extra_root_certificates: certificates, ..ClientOptions::default() };
        if let Err(error) = Client::new(Arc::new(Anywhere), client_options) {
            self.problems.push(format!("--ca-file: {error}"));
        } else if let Some(Err(error)) = options.mail.clone().map(Mailer::start) {
            self.problems.push(error);
        }
        if let KeySource::Beside = options.master_key {
            let key = beside(&options.database, ".key");
            if options.database.exists() && !key.exists() {
                self.problems.push(format!(
                    "{} does not exist: it has the key of the secrets in the database. Restore it, or name the key with --master-key-file.",
                    key.display()
                ));
            }
        }
        self.addresses(options, listens_publicly);
    }

    /// Checks that browsers can reach the server under its base URL.
    fn addresses(&mut self, options: &ServerOptions, listens_publicly: bool) {
        let listen = options.listen;
        let Some(base) = &options.base_url else {
            if listens_publicly {
                self.warnings.push(format!(
                    "--base-url is not set, so links in e-mails and of the portal lead to {}. Set it to the URL that browsers use.",
                    BaseUrl::from_address(listen)
                ));
            }
            return;
        };
        let has_proxy = !options.trusted_proxies.is_empty();
        if base.is_https() && base.port() == listen.port() && !has_proxy {
            self.problems.push(format!(
                "--base-url is {base}, and --listen has the same port, but the server does not speak HTTPS. Let it listen on another port, with a proxy in front, and set --trusted-proxy to the address of the proxy."
            ));
        } else if base.is_https() && !has_proxy {
            self.warnings.push(format!(
                "--base-url is {base}, so a proxy is in front, but no proxy is trusted: all clients look alike. Set --trusted-proxy to the address of the proxy."
            ));
        } else if !base.is_https() && base.port() != listen.port() && !has_proxy {
            self.warnings.push(format!(
                "--base-url is {base}, and --listen has the port {}. If nothing maps one to the other, browsers do not reach the server.",
                listen.port()
            ));
        }
    }

    /// Checks the database file, and that it has the profiles that settings name.
    fn database(&mut self, path: &Path, profiles: &[(&str, String)]) {
        let exists: Box<dyn Fn(&str) -> bool> = if path.exists() {
            match Store::open_for_command(path) {
                Ok(connection) => Box::new(move |name| profile::exists(&connection, name).unwrap_or(true)),
                Err(error) => return self.problems.push(error.to_string()),
            }
        } else {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if !folder.is_dir() {
                let message = "so the database cannot be created. Create the folder, or correct --db.";
                self.problems.push(format!("{} is no folder, {message}", folder.display()));
            }
            Box::new(|name| crate::profile::find(name).is_some())
        };
        for (setting, name) in profiles {
            if !exists(name) {
                self.problems.push(format!(
                    "--{setting}: there is no profile {name:?}. Correct the name, or create the profile first."
                ));
            }
        }
    }
}
