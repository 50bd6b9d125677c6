//! Values of settings from flags, the environment and a file.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches as _};

use super::names::{nearest_key, unknown_variables};
use super::values::stripped_of_password;
use super::{ConfigError, HEARTBEAT, Settings};

/// Settings and the file that may hold some of them.
#[derive(Debug, Args)]
pub struct SettingFlags {
    #[command(flatten)]
    settings: Settings,
    /// TOML file with settings; the keys are the names of the flags
    #[arg(long, env = "HOOKPOST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// `--db` of a command that takes the other settings from the environment and the file.
#[derive(Debug, Args)]
pub struct DatabaseFlag {
    /// Database file [env: HOOKPOST_DB] [default: webhooks.db]
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
}

/// Settings, with the source of each value.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// Flags, environment and defaults.
    flags: ArgMatches,
    /// Values of the file that neither a flag nor the environment overrides.
    file: ArgMatches,
}

impl DatabaseFlag {
    /// Returns the settings for a command without flags for the other ones.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let flags = self.db.iter().flat_map(|path| [OsString::from("--db"), path.into()]);
        let command = SettingFlags::augment_args(Command::new("settings").no_binary_name(true));
        let flags = command.try_get_matches_from(flags).map_err(|error| ConfigError::invalid(&error, None))?;
        Ok(Loaded::new(flags)?.settings)
    }
}

impl Loaded {
    /// Adds the values of the file to those of the flags, which are the matches of [`SettingFlags`].
    pub fn new(flags: ArgMatches) -> Result<Loaded, ConfigError> {
        if let Some(misspelt) = unknown_variables().misspelt.into_iter().next() {
            return Err(misspelt);
        }
        let path = flags.get_one::<PathBuf>("config").map(PathBuf::as_path);
        let file = read_file(path, &flags)?;
        let mut settings = Settings::from_arg_matches(&flags).map_err(|error| ConfigError::invalid(&error, None))?;
        settings.update_from_arg_matches(&file).map_err(|error| ConfigError::invalid(&error, path))?;
        Ok(Loaded { settings, flags, file })
    }

    /// Returns where a setting has its value from, and what holds it.
    fn source(&self, id: &str) -> (&'static str, &ArgMatches) {
        match self.flags.value_source(id) {
            _ if self.file.value_source(id).is_some() => ("file", &self.file),
            Some(ValueSource::CommandLine) => ("flag", &self.flags),
            Some(ValueSource::EnvVariable) => ("environment", &self.flags),
            _ => ("default", &self.flags),
        }
    }

    /// Returns the values of a setting as they were given.
    pub(super) fn values(&self, id: &str) -> Vec<&OsStr> {
        self.source(id).1.get_raw(id).into_iter().flatten().collect()
    }

    /// Returns the settings as a file that [`SettingFlags`] takes, with the source of each value. Passwords in URLs are
    /// left out.
    pub fn print(&self) -> String {
        let print = |arg: &clap::Arg| {
            let id = arg.get_id().as_str();
            let (source, _) = self.source(id);
            let name = arg.get_long().unwrap_or(id);
            let values = self.values(id).into_iter().map(|value| value.to_string_lossy().trim().to_owned());
            let given: Vec<String> = values.filter(|value| !value.is_empty()).collect();
            let shown: Vec<String> = given.iter().map(|value| stripped_of_password(value)).collect();
            let note = if shown == given { "" } else { ", without its password" };
            if !given.is_empty() && format!("--{name}") == HEARTBEAT {
                return format!("# {name} is set, and not shown  # {source}\n");
            }
            let mut values = shown.into_iter().map(toml::Value::String);
            let value = match arg.get_action() {
                ArgAction::Append => Some(toml::Value::Array(values.collect())),
                _ => values.next(),
            };
            match value {
                Some(value) => format!("{name} = {value}  # {source}{note}\n"),
                None => format!("# {name} is not set\n"),
            }
        };
        Settings::command().get_arguments().map(print).collect()
    }
}

/// Parses the values of the file at `path` that `flags` do not override. Every key must be a setting.
fn read_file(path: Option<&Path>, flags: &ArgMatches) -> Result<ArgMatches, ConfigError> {
    let mut arguments = Vec::new();
    if let Some(path) = path {
        for (setting, given) in file_arguments(path)? {
            if is_open(flags, &setting?) {
                arguments.extend(given);
            }
        }
    }
    bare_command().try_get_matches_from(arguments).map_err(|error| ConfigError::invalid(&error, path))
}

/// Returns a command whose arguments are the settings, without defaults and the environment.
pub(super) fn bare_command() -> Command {
    Settings::command().mut_args(|arg| arg.env(Resettable::Reset).default_value(Resettable::Reset))
}

/// Whether neither a flag nor the environment sets a setting, whose id this is.
pub(super) fn is_open(flags: &ArgMatches, id: &str) -> bool {
    flags.value_source(id).is_none_or(|source| source == ValueSource::DefaultValue)
}

/// Id of a setting, or the error of a key that is none, with the arguments that a file gives for it.
type FileArguments = (Result<String, ConfigError>, Vec<String>);

/// Returns the keys of a file.
pub(super) fn file_arguments(path: &Path) -> Result<Vec<FileArguments>, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Unreadable(path.to_owned(), error))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // The first line of the text has the position.
        let (text, reason) = (error.to_string(), error.message());
        ConfigError::Invalid(format!("{}: {}: {reason}", path.display(), text.lines().next().unwrap_or_default()))
    })?;
    let command = Settings::command();
    let arguments = |(key, value): (String, toml::Value)| {
        let Some(arg) = command.get_arguments().find(|arg| arg.get_long() == Some(&key)) else {
            let nearest = nearest_key(&key);
            return (Err(ConfigError::Unknown(path.to_owned(), key, nearest)), Vec::new());
        };
        let mut texts = texts(value);
        if texts.is_empty() {
            // An empty list replaces the default too.
            texts.push(String::new());
        }
        (Ok(arg.get_id().to_string()), texts.into_iter().map(|text| format!("--{key}={text}")).collect())
    };
    Ok(table.into_iter().map(arguments).collect())
}

fn texts(value: toml::Value) -> Vec<String> {
    match value {
        toml::Value::String(text) => vec![text],
        toml::Value::Array(values) => values.into_iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}
