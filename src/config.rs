//! Settings: flags over environment over file over defaults. The one place that reads environment variables.
//!
//! Every setting stands once, in `SETTINGS`; flags, environment twins (`HOOKPOST_…`), the keys of the TOML file,
//! the help and `--print-config` all come from there.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Arg, ArgAction, ArgMatches};
use ipnet::IpNet;
use thiserror::Error;

use crate::auth::api_key::RATE_LIMITS;
use crate::domain::retention::{MOST_DAYS, Retention};
use crate::domain::target::AllowEntry;
use crate::http::site::{BaseUrl, Branding};
use crate::server::ServerOptions;

/// A setting of the server.
pub struct Setting {
    /// The flag without its dashes, and the key in the file.
    pub name: &'static str,
    pub value_name: &'static str,
    /// As it is written; `None` where there is none.
    pub default: Option<&'static str>,
    /// Whether it may be given several times, or as a list.
    pub is_list: bool,
    pub help: &'static str,
}

const fn setting(
    name: &'static str,
    value_name: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting { name, value_name, default, is_list: false, help }
}

/// The value of a setting that is on or off.
const SWITCH: &str = "true|false";

/// Every setting of the server, in the order in which people meet them; the database first.
pub const SETTINGS: &[Setting] = &[
    setting("db", "FILE", Some("webhooks.db"), "The database; made where there is none"),
    setting("listen", "ADDRESS", Some("127.0.0.1:8080"), "Address and port to listen on"),
    Setting {
        name: "allow-target",
        value_name: "TARGET",
        default: None,
        is_list: true,
        help: "A private target that webhooks may point to: CIDR, CIDR:port, host or host:port",
    },
    setting("default-profile", "PROFILE", Some("generic"), "The profile of webhooks that name none"),
    setting("workers", "N", Some("64"), "Requests in flight at most, 1 to 1024"),
    setting("http-threads", "N", Some("2"), "Threads that serve the API, 1 to 64"),
    setting("max-body", "BYTES", Some("1048576"), "Bytes of a request's body at most, 1024 to 16777216"),
    setting(
        "base-url",
        "URL",
        None,
        "Where browsers reach the server, such as https://hooks.example.com or https://example.com/hookpost; where it listens unless given",
    ),
    Setting {
        name: "trusted-proxy",
        value_name: "CIDR",
        default: None,
        is_list: true,
        help: "A proxy whose X-Forwarded-For is believed",
    },
    setting("portal-name", "NAME", None, "The application's name on the tenant portal"),
    setting("portal-logo", "FILE", None, "The application's logo on the tenant portal: PNG, JPEG or SVG, up to 64 KiB"),
    setting("portal-accent", "COLOUR", None, "The colour of the tenant portal, such as #0a6cff"),
    Setting {
        name: "portal-origin",
        value_name: "ORIGIN",
        default: None,
        is_list: true,
        help: "A site whose pages may hold the tenant portal in a frame, such as https://app.example.com",
    },
    setting(
        "retention-days",
        "DAYS",
        Some("30"),
        "Days after which what was delivered or discarded goes, with its attempts and events, 0 to 36500; 0 keeps it",
    ),
    setting(
        "failed-retention-days",
        "DAYS",
        Some("90"),
        "Days after which dead letters go, no fewer than retention-days, 0 to 36500; 0 keeps them",
    ),
    setting(
        "key-rate-limit",
        "N",
        None,
        "Requests a second of each API key at most, 1 to 100000; any number where left out",
    ),
    setting("metrics-open", SWITCH, Some("false"), "Whether /metrics needs no API key"),
    setting("ca-file", "FILE", None, "Certificates (PEM) to trust beside the public ones"),
    setting("log", "LEVEL", Some("info"), "error, warn, info, debug or trace"),
];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueSource {
    Flag,
    Environment,
    File,
    Default,
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValueSource::Flag => "flag",
            ValueSource::Environment => "environment",
            ValueSource::File => "file",
            ValueSource::Default => "default",
        })
    }
}

/// Why a setting cannot be used. The text says which and what it should be.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    #[error("{0} is not TOML: {1}")]
    NotToml(PathBuf, String),
    #[error("{0}: there is no setting {1:?}. \"hookpost serve --help\" lists them all.")]
    Unknown(PathBuf, String),
    #[error("--{name} (from the {origin}): {value:?} is not {wanted}")]
    Bad { name: &'static str, origin: ValueSource, value: String, wanted: String },
}

/// The value of each setting, and where it came from.
pub struct Values(Vec<(&'static Setting, Vec<String>, ValueSource)>);

/// The environment twin of a setting: `HOOKPOST_ALLOW_TARGET`; lists are divided by commas.
pub fn environment_name(setting: &Setting) -> String {
    format!("HOOKPOST_{}", setting.name.to_ascii_uppercase().replace('-', "_"))
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Makes a folder of its own, which nobody else can read, where temporary files go. Whoever asks removes it.
pub fn temporary_folder(prefix: &str) -> Result<PathBuf, ConfigError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let name = format!("{prefix}-{}", hex::encode(crate::random::bytes::<6>()));
    let path = std::env::temp_dir().join(name);
    fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| ConfigError::Unreadable(path.clone(), error))?;
    Ok(path)
}

/// A secret from a variable, or from the file that the same name with `_FILE` names; line ends at its end left out.
pub fn secret_from_environment(name: &str) -> Result<Option<String>, ConfigError> {
    if let Some(value) = environment(name) {
        return Ok(Some(value));
    }
    let Some(path) = environment(&format!("{name}_FILE")) else {
        return Ok(None);
    };
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => Err(ConfigError::Unreadable(path.into(), error)),
    }
}

/// The flags of every setting, `--config` included.
pub fn flags() -> Vec<Arg> {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("A TOML file that holds settings [env: HOOKPOST_CONFIG]");
    SETTINGS.iter().map(flag).chain([config]).collect()
}

/// The flag `--db` alone, for commands that only look at the database.
pub fn database_flag() -> Arg {
    flag(&SETTINGS[0])
}

/// The flag of one setting.
fn flag(setting: &Setting) -> Arg {
    let default = setting.default.map(|value| format!(" [default: {value}]"));
    let help = format!("{}{} [env: {}]", setting.help, default.unwrap_or_default(), environment_name(setting));
    let mut arg = Arg::new(setting.name).long(setting.name);
    if setting.value_name == SWITCH {
        // The flag alone says yes.
        arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true");
    }
    arg.value_name(setting.value_name).help(help).action(if setting.is_list {
        ArgAction::Append
    } else {
        ArgAction::Set
    })
}

impl Values {
    /// Collects every setting for a command with these flags.
    pub fn collect(matches: &ArgMatches) -> Result<Values, ConfigError> {
        Values::from_sources(matches, &environment)
    }

    fn from_sources(matches: &ArgMatches, environment: &dyn Fn(&str) -> Option<String>) -> Result<Values, ConfigError> {
        let path = given(matches, "config")
            .and_then(|values| values.into_iter().next())
            .or_else(|| environment("HOOKPOST_CONFIG"));
        let file = path.map(|path| read_file(Path::new(&path))).transpose()?;
        let values = SETTINGS.iter().map(|setting| {
            let from_environment = || environment(&environment_name(setting));
            let from_file = || file.as_ref().and_then(|file| file.get(setting.name));
            if let Some(values) = given(matches, setting.name) {
                (setting, values, ValueSource::Flag)
            } else if let Some(text) = from_environment() {
                (setting, split(setting, &text), ValueSource::Environment)
            } else if let Some(value) = from_file() {
                (setting, texts(value), ValueSource::File)
            } else {
                let default = setting.default.map(str::to_owned);
                (setting, default.into_iter().collect(), ValueSource::Default)
            }
        });
        Ok(Values(values.collect()))
    }

    /// A line for each setting: its value and where it came from.
    pub fn print(&self) -> String {
        self.0
            .iter()
            .map(|(setting, values, source)| {
                let value = match (setting.is_list, values.as_slice()) {
                    (false, [one]) => format!("{one:?}"),
                    (false, _) => "(none)".to_owned(),
                    (true, all) => format!("{all:?}"),
                };
                format!("{} = {value}  # {source}\n", setting.name)
            })
            .collect()
    }

    pub fn database(&self) -> PathBuf {
        PathBuf::from(self.one("db").map(|(text, _)| text).unwrap_or_default())
    }

    pub fn log_level(&self) -> Result<log::LevelFilter, ConfigError> {
        self.parsed("log", "error, warn, info, debug or trace", |_| true)
    }

    /// Everything a server needs.
    pub fn server_options(&self) -> Result<ServerOptions, ConfigError> {
        let mut options = ServerOptions::new(self.database());
        options.listen =
            self.parsed::<SocketAddr>("listen", "an address with a port such as 127.0.0.1:8080 or [::1]:8080", |_| {
                true
            })?;
        options.allow_targets = self.allow_targets()?;
        // Whether there is such a profile is known once the database is open: it may be a custom one.
        options.default_profile = self.parsed("default-profile", "a profile's name", |_| true)?;
        options.workers = self.parsed("workers", "a number from 1 to 1024", |n| (1..=1024).contains(n))?;
        options.http_threads = self.parsed("http-threads", "a number from 1 to 64", |n| (1..=64).contains(n))?;
        options.max_body =
            self.parsed("max-body", "a number from 1024 to 16777216", |n| (1024..=16 << 20).contains(n))?;
        options.base_url = self.optional("base-url", "a URL such as https://hooks.example.com")?;
        options.trusted_proxies =
            self.all_parsed("trusted-proxy", "an address or a range such as 10.0.0.0/8", |text| {
                let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
                text.parse::<IpNet>().or_else(|_| address()).ok()
            })?;
        options.portal = self.portal_look()?;
        options.retention = self.retention()?;
        options.metrics_open = self.parsed("metrics-open", "true or false", |_| true)?;
        if self.one("key-rate-limit").is_some() {
            let is_allowed = |n: &u32| RATE_LIMITS.contains(n);
            let wanted = "a number from 1 to 100000";
            options.key_rate_limit = Some(self.parsed("key-rate-limit", wanted, is_allowed)?);
        }
        if let Some((path, _)) = self.one("ca-file") {
            let text = fs::read(path).map_err(|error| ConfigError::Unreadable(path.into(), error))?;
            options.extra_certificates.push(text);
        }
        Ok(options)
    }

    /// How long what is finished is kept.
    pub fn retention(&self) -> Result<Retention, ConfigError> {
        let days = |name| self.parsed(name, "a number of days from 0 to 36500", |n| (0..=MOST_DAYS).contains(n));
        Ok(Retention::new(days("retention-days")?, days("failed-retention-days")?))
    }

    fn allow_targets(&self) -> Result<Vec<AllowEntry>, ConfigError> {
        let Some((setting, values, origin)) = self.find("allow-target") else {
            return Ok(Vec::new());
        };
        values
            .iter()
            .map(|value| {
                value.parse::<AllowEntry>().map_err(|error| ConfigError::Bad {
                    name: setting.name,
                    origin: origin.clone(),
                    value: value.clone(),
                    wanted: format!("a target: {}", error.message),
                })
            })
            .collect()
    }

    fn portal_look(&self) -> Result<Branding, ConfigError> {
        let is_colour = |text: &str| {
            let digits = text.strip_prefix('#').unwrap_or_default();
            digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let accent = "a colour such as #0a6cff";
        let accent: Option<String> = self.checked("portal-accent", accent, is_colour)?;
        let name = "1 to 64 characters";
        let is_name = |text: &str| (1..=64).contains(&text.chars().count());
        let logo = match self.one("portal-logo") {
            None => None,
            Some((path, _)) => Some(read_logo(Path::new(path))?),
        };
        Ok(Branding {
            name: self.checked("portal-name", name, is_name)?,
            logo,
            accent,
            origins: self.all_parsed("portal-origin", "an origin such as https://app.example.com", |text| {
                let origin: BaseUrl = text.parse().ok()?;
                origin.prefix().is_empty().then(|| origin.to_string())
            })?,
        })
    }

    /// A text that need not be given, where it is as it should be.
    fn checked(
        &self,
        name: &'static str,
        wanted: &str,
        is_allowed: impl Fn(&str) -> bool,
    ) -> Result<Option<String>, ConfigError> {
        match self.one(name) {
            None => Ok(None),
            Some(_) => self.parsed(name, wanted, |text: &String| is_allowed(text)).map(Some),
        }
    }

    /// A value that need not be given.
    fn optional<T: FromStr>(&self, name: &'static str, wanted: &str) -> Result<Option<T>, ConfigError> {
        match self.one(name) {
            None => Ok(None),
            Some(_) => self.parsed(name, wanted, |_| true).map(Some),
        }
    }

    /// Each value of a list, as what it should be.
    fn all_parsed<T>(
        &self,
        name: &'static str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, ConfigError> {
        let Some((_, values, origin)) = self.find(name) else {
            return Ok(Vec::new());
        };
        let parsed = values.iter().map(|value| {
            parse(value).ok_or_else(|| ConfigError::Bad {
                name,
                origin: origin.clone(),
                value: value.clone(),
                wanted: wanted.to_owned(),
            })
        });
        parsed.collect()
    }

    fn find(&self, name: &str) -> Option<(&'static Setting, &[String], &ValueSource)> {
        self.0
            .iter()
            .find(|(setting, ..)| setting.name == name)
            .map(|(setting, values, source)| (*setting, values.as_slice(), source))
    }

    fn one(&self, name: &str) -> Option<(&str, &ValueSource)> {
        let (_, values, source) = self.find(name)?;
        values.first().map(|value| (value.as_str(), source))
    }

    fn parsed<T: FromStr>(
        &self,
        name: &'static str,
        wanted: &str,
        is_allowed: impl Fn(&T) -> bool,
    ) -> Result<T, ConfigError> {
        let (text, origin) = self.one(name).unwrap_or(("", &ValueSource::Default));
        text.parse().ok().filter(is_allowed).ok_or_else(|| ConfigError::Bad {
            name,
            origin: origin.clone(),
            value: text.to_owned(),
            wanted: wanted.to_owned(),
        })
    }
}

/// An image and its media type.
fn read_logo(path: &Path) -> Result<(Vec<u8>, &'static str), ConfigError> {
    let unreadable = |error| ConfigError::Unreadable(path.to_owned(), error);
    let extension = path.extension().and_then(|text| text.to_str());
    let media_type = match extension.unwrap_or_default() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "svg" => "image/svg+xml",
        _ => {
            return Err(unreadable(std::io::Error::other("a logo is a .png, .jpg or .svg file")));
        }
    };
    let bytes = fs::read(path).map_err(unreadable)?;
    if bytes.len() > 64 << 10 {
        return Err(unreadable(std::io::Error::other("a logo has up to 64 KiB")));
    }
    Ok((bytes, media_type))
}

/// What a command line gives for a flag, where the command has it.
fn given(matches: &ArgMatches, name: &str) -> Option<Vec<String>> {
    let values = matches.try_get_many::<String>(name).ok()??;
    Some(values.cloned().collect())
}

fn split(setting: &Setting, text: &str) -> Vec<String> {
    if !setting.is_list {
        return vec![text.to_owned()];
    }
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn read_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Unreadable(path.to_owned(), error))?;
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| ConfigError::NotToml(path.to_owned(), error.to_string()))?;
    let unknown = table.keys().find(|key| !SETTINGS.iter().any(|setting| setting.name == key.as_str()));
    match unknown {
        Some(key) => Err(ConfigError::Unknown(path.to_owned(), key.clone())),
        None => Ok(table),
    }
}

fn texts(value: &toml::Value) -> Vec<String> {
    match value {
        toml::Value::String(text) => vec![text.clone()],
        toml::Value::Array(values) => values.iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Values, ConfigError> {
        let command = clap::Command::new("serve").no_binary_name(true).args(flags());
        let matches = command.try_get_matches_from(arguments).unwrap();
        Values::from_sources(&matches, &|name| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hookpost.toml");
        fs::write(&file, "workers = 1\nlisten = \"127.0.0.1:1\"\nmax-body = 2048\n").unwrap();
        let file = file.to_str().unwrap();
        let environment = [("HOOKPOST_WORKERS", "2"), ("HOOKPOST_LISTEN", "127.0.0.1:2"), ("HOOKPOST_CONFIG", file)];
        let values = collect(&["--workers", "3"], &environment).unwrap();
        let options = values.server_options().unwrap();
        assert_eq!(options.workers, 3);
        assert_eq!(options.listen.port(), 2);
        assert_eq!(options.max_body, 2048);
        assert_eq!(options.http_threads, 2);
        let printed = values.print();
        for line in [
            "workers = \"3\"  # flag",
            "listen = \"127.0.0.1:2\"  # environment",
            "max-body = \"2048\"  # file",
            "http-threads = \"2\"  # default",
        ] {
            assert!(printed.contains(line), "{line} in {printed}");
        }
    }

    #[test]
    fn a_switch_is_on_by_its_flag_alone_and_said_in_full_elsewhere() {
        let is_open = |arguments: &[&str], environment: &[(&str, &str)]| {
            let values = collect(arguments, environment).unwrap();
            values.server_options().map(|options| options.metrics_open)
        };
        assert!(!is_open(&[], &[]).unwrap());
        assert!(is_open(&["--metrics-open"], &[]).unwrap());
        assert!(is_open(&[], &[("HOOKPOST_METRICS_OPEN", "true")]).unwrap());
        let environment = [("HOOKPOST_METRICS_OPEN", "true")];
        assert!(!is_open(&["--metrics-open=false"], &environment).unwrap());
        is_open(&[], &[("HOOKPOST_METRICS_OPEN", "yes")]).unwrap_err();
    }

    #[test]
    fn a_list_is_given_by_repetition_commas_or_an_array() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hookpost.toml");
        fs::write(&file, "allow-target = [\"10.0.0.0/8\", \"hooks.internal\"]\n").unwrap();
        let file = file.to_str().unwrap();
        for (arguments, environment) in [
            (vec!["--allow-target", "10.0.0.0/8", "--allow-target", "hooks.internal"], vec![]),
            (vec![], vec![("HOOKPOST_ALLOW_TARGET", "10.0.0.0/8, hooks.internal")]),
            (vec!["--config", file], vec![]),
        ] {
            let options = collect(&arguments, &environment).unwrap().server_options().unwrap();
            let shown: Vec<_> = options.allow_targets.iter().map(ToString::to_string).collect();
            assert_eq!(shown, ["10.0.0.0/8", "hooks.internal"]);
        }
    }

    #[test]
    fn an_unknown_key_and_a_bad_value_are_errors_that_name_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hookpost.toml");
        fs::write(&file, "wrokers = 1\n").unwrap();
        let error = collect(&["--config", file.to_str().unwrap()], &[]).err().unwrap();
        assert!(error.to_string().contains("wrokers"), "{error}");
        for (flag, value) in [
            ("--workers", "0"),
            ("--listen", "localhost"),
            ("--allow-target", "10.1.2.3/8"),
            ("--max-body", "12"),
            ("--retention-days", "1.5"),
            ("--failed-retention-days", "36501"),
        ] {
            let error = collect(&[flag, value], &[]).unwrap().server_options().err().unwrap();
            assert!(error.to_string().contains(flag) && error.to_string().contains(value), "{error}");
        }
    }
}
