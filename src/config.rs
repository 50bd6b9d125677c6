//! Settings: flags over environment over file over defaults. The only module that reads environment variables.
//!
//! [`Settings`] declares every setting once; clap derives the flags, the `HOOKPOST_…` variables and the help from it.
//! The keys of the TOML file are the names of the flags.

mod check;
mod loaded;
mod names;
mod reload;
mod secrets;
mod server_options;
mod values;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, Command};
use ipnet::IpNet;
use log::LevelFilter;
use thiserror::Error;

use crate::auth::api_key::RATE_LIMITS;
use crate::delivery::mail::{Sender, SmtpUrl};
use crate::domain::backup_plan::parse_interval;
use crate::domain::retention::MOST_DAYS;
use crate::domain::target::AllowEntry;
use crate::domain::time::Millis;
use crate::domain::zone::Zone;
use crate::http::hosts::HostName;
use crate::http::places::{MOST_CALLS, MOST_JOBS};
use crate::http::site::{BaseUrl, HeaderName};
use values::{
    color, contact, element, heartbeat, level, log_format, origin, portal_name, profile_name, proxy, without_password,
};

pub use check::{Checked, RawSettingFlags};
pub use loaded::{DatabaseFlag, Loaded, SettingFlags};
pub use names::ignored_variables;
pub use reload::{Changed, SettingValues};
pub use secrets::secret_from_environment;
pub use values::{ADDRESS, LogFormat, number};

/// Settings of the server, in the order of the help. Lists hold `None` for a blank element.
#[derive(Debug, Args)]
#[allow(rustdoc::bare_urls, rustdoc::invalid_html_tags, reason = "clap prints these comments as help")]
pub struct Settings {
    /// Database file; created if it does not exist
    #[arg(long, env = "HOOKPOST_DB", value_name = "FILE", default_value = "webhooks.db")]
    pub db: PathBuf,
    /// File with the key that encrypts secrets in the database, 64 hexadecimal digits; the key itself may be in
    /// HOOKPOST_MASTER_KEY; the file <database>.key if neither is set, created with a new database
    #[arg(long, env = "HOOKPOST_MASTER_KEY_FILE", value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// Address and port to listen on
    #[arg(long, env = "HOOKPOST_LISTEN", value_name = "ADDRESS",
        default_value = "127.0.0.1:8080", value_parser = ADDRESS)]
    pub listen: SocketAddr,
    /// PEM file with the certificate of the server, followed by its intermediates, to serve HTTPS without a proxy; read
    /// again when it changes
    #[arg(long, env = "HOOKPOST_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the private key of that certificate
    #[arg(long, env = "HOOKPOST_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Private target that webhooks may use: CIDR, CIDR:port, host or host:port; may be repeated
    #[arg(long, env = "HOOKPOST_ALLOW_TARGET", value_name = "TARGET",
        value_delimiter = ',', value_parser = element(AllowEntry::from_str))]
    allow_target: Vec<Option<AllowEntry>>,
    /// Profile of webhooks that are created without one
    #[arg(long, env = "HOOKPOST_DEFAULT_PROFILE", value_name = "PROFILE", default_value = crate::profile::DEFAULT)]
    default_profile: String,
    /// Maximum number of requests in flight, 1 to 1024
    #[arg(long, env = "HOOKPOST_WORKERS", value_name = "N",
        default_value = "512", value_parser = number(1..=1024_usize))]
    workers: usize,
    /// Threads that serve the API and the pages, 1 to 64
    #[arg(long, env = "HOOKPOST_HTTP_THREADS", value_name = "N",
        default_value = "2", value_parser = number(1..=64_usize))]
    http_threads: usize,
    /// Maximum size of a request body in bytes, 1024 to 16777216
    #[arg(long, env = "HOOKPOST_MAX_BODY", value_name = "BYTES",
        default_value = "1048576", value_parser = number(1024..=16_777_216_usize))]
    max_body: usize,
    /// URL of the server in browsers, such as https://hooks.example.com or https://example.com/hookpost; the listen
    /// address if unset
    #[arg(long, env = "HOOKPOST_BASE_URL", value_name = "URL")]
    base_url: Option<BaseUrl>,
    /// Another host name under which the server is reached, such as hooks.internal.example; may be repeated. The host of the
    /// base URL, IP addresses and names without a dot always work
    #[arg(long, env = "HOOKPOST_ALLOW_HOST", value_name = "HOST",
        value_delimiter = ',', value_parser = element(HostName::from_str))]
    allow_host: Vec<Option<HostName>>,
    /// Proxy (address or CIDR) whose X-Forwarded-For header is trusted; may be repeated
    #[arg(long, env = "HOOKPOST_TRUSTED_PROXY", value_name = "CIDR",
        value_delimiter = ',', value_parser = element(proxy))]
    trusted_proxy: Vec<Option<IpNet>>,
    /// Header with the name of the user whom a trusted proxy has signed in, such as X-Forwarded-User
    #[arg(long, env = "HOOKPOST_AUTH_PROXY_HEADER", value_name = "HEADER")]
    auth_proxy_header: Option<HeaderName>,
    /// Header with the role of that user; without it, new users are viewers
    #[arg(long, env = "HOOKPOST_AUTH_PROXY_ROLE_HEADER", value_name = "HEADER")]
    auth_proxy_role_header: Option<HeaderName>,
    /// Require two-factor authentication: users without it set it up when they sign in
    #[arg(long, env = "HOOKPOST_REQUIRE_TOTP", value_name = "true|false", default_value = "false", action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = bool::from_str)]
    require_totp: bool,
    /// Application name on the tenant portal
    #[arg(long, env = "HOOKPOST_PORTAL_NAME", value_name = "NAME", value_parser = portal_name)]
    portal_name: Option<String>,
    /// Application logo on the tenant portal: a PNG, JPEG or SVG file up to 64 KiB
    #[arg(long, env = "HOOKPOST_PORTAL_LOGO", value_name = "FILE")]
    portal_logo: Option<PathBuf>,
    /// Accent color of the tenant portal, such as #0a6cff
    #[arg(long, env = "HOOKPOST_PORTAL_ACCENT", value_name = "COLOR", value_parser = color)]
    portal_accent: Option<String>,
    /// Origin whose pages may embed the tenant portal, such as https://app.example.com; may be repeated
    #[arg(long, env = "HOOKPOST_PORTAL_ORIGIN", value_name = "ORIGIN",
        value_delimiter = ',', value_parser = element(origin))]
    portal_origin: Vec<Option<String>>,
    /// Let people in the portal set client certificates and authorities of their webhooks
    #[arg(long, env = "HOOKPOST_PORTAL_CERTIFICATES", value_name = "true|false", default_value = "false", action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = bool::from_str)]
    portal_certificates: bool,
    /// Profile that people in the portal can choose, beside those that webhooks of their tenant have; may be repeated
    #[arg(long, env = "HOOKPOST_PORTAL_PROFILES", value_name = "PROFILE", default_value = crate::profile::STANDARD,
        value_delimiter = ',', value_parser = element(profile_name))]
    portal_profiles: Vec<Option<String>>,
    /// Time zone of the pages, such as Europe/Berlin, for browsers without a script; others use their own
    #[arg(long, env = "HOOKPOST_TIME_ZONE", value_name = "ZONE", default_value = "UTC")]
    time_zone: Zone,
    /// Days to keep delivered and discarded deliveries, with their attempts and events, 0 to 36500; 0 keeps them forever
    #[arg(long, env = "HOOKPOST_RETENTION_DAYS", value_name = "DAYS",
        default_value = "30", value_parser = number(0..=MOST_DAYS))]
    retention_days: u32,
    /// Days to keep dead letters, at least as long as retention-days, 0 to 36500; 0 keeps them forever
    #[arg(long, env = "HOOKPOST_FAILED_RETENTION_DAYS", value_name = "DAYS",
        default_value = "90", value_parser = number(0..=MOST_DAYS))]
    failed_retention_days: u32,
    /// Days to keep the audit log, 0 to 36500; 0 keeps it forever
    #[arg(long, env = "HOOKPOST_AUDIT_DAYS", value_name = "DAYS",
        default_value = "400", value_parser = number(0..=MOST_DAYS))]
    audit_days: u32,
    /// Folder for scheduled backups, best on another disk; none are made if unset
    #[arg(long, env = "HOOKPOST_BACKUP_DIR", value_name = "FOLDER")]
    backup_dir: Option<PathBuf>,
    /// Time between two backups, such as 30m, 6h or 7d, 5m to 365d
    #[arg(long, env = "HOOKPOST_BACKUP_EVERY", value_name = "TIME", default_value = "24h", value_parser = parse_interval)]
    backup_every: Millis,
    /// Number of backups to keep, 1 to 1000
    #[arg(long, env = "HOOKPOST_BACKUP_KEEP", value_name = "N",
        default_value = "7", value_parser = number(1..=1_000_usize))]
    backup_keep: usize,
    /// Whether Litestream or another program replicates the database, and writes its log into the file; looked for beside
    /// the database if unset
    #[arg(long, env = "HOOKPOST_REPLICATED", value_name = "true|false", action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = bool::from_str)]
    replicated: Option<bool>,
    /// Maximum requests per second of each API key, 1 to 100000; unlimited if unset
    #[arg(long, env = "HOOKPOST_KEY_RATE_LIMIT", value_name = "N", value_parser = number(RATE_LIMITS))]
    key_rate_limit: Option<u32>,
    /// Maximum number of webhooks of a tenant, 1 to 100000
    #[arg(long, env = "HOOKPOST_TENANT_WEBHOOKS", value_name = "N",
        default_value = "1000", value_parser = number(1..=100_000_u32))]
    tenant_webhooks: u32,
    /// Maximum number of pending and retrying deliveries of a tenant, 1 to 1000000000
    #[arg(long, env = "HOOKPOST_TENANT_QUEUED", value_name = "N",
        default_value = "1000000", value_parser = number(1..=1_000_000_000_u32))]
    tenant_queued: u32,
    /// Maximum requests per second of a tenant's API keys and portal sessions together, 1 to 100000
    #[arg(long, env = "HOOKPOST_TENANT_REQUESTS_PER_S", value_name = "N",
        default_value = "200", value_parser = number(RATE_LIMITS))]
    tenant_requests_per_s: u32,
    /// Maximum number of bulk actions and replays of a tenant at a time, 1 to 8
    #[arg(long, env = "HOOKPOST_TENANT_JOBS", value_name = "N",
        default_value = "2", value_parser = number(1..=MOST_JOBS))]
    tenant_jobs: u32,
    /// Maximum number of tests and other calls of a tenant that wait for endpoints at a time, 1 to 16
    #[arg(long, env = "HOOKPOST_TENANT_TESTS", value_name = "N",
        default_value = "4", value_parser = number(1..=MOST_CALLS))]
    tenant_tests: u32,
    /// Number of requests that the inbox of a tenant keeps, 1 to 1000
    #[arg(long, env = "HOOKPOST_TENANT_INBOX_REQUESTS", value_name = "N",
        default_value = "200", value_parser = number(1..=1_000_u32))]
    tenant_inbox_requests: u32,
    /// Serve /metrics without an API key
    #[arg(long, env = "HOOKPOST_METRICS_OPEN", value_name = "true|false", default_value = "false", action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = bool::from_str)]
    metrics_open: bool,
    /// Have series by webhook in /metrics, for up to 10000 webhooks
    #[arg(long, env = "HOOKPOST_METRICS_WEBHOOKS", value_name = "true|false", default_value = "false", action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = bool::from_str)]
    metrics_webhooks: bool,
    /// Where to report a vulnerability of this server, for /.well-known/security.txt: a URL such as
    /// mailto:security@example.com; may be repeated
    #[arg(long, env = "HOOKPOST_SECURITY_CONTACT", value_name = "URL",
        value_delimiter = ',', value_parser = element(contact))]
    security_contact: Vec<Option<String>>,
    /// Mail server for e-mails to contacts, such as smtp://user@mail.example.com:587 or smtps://user@mail.example.com; with
    /// ?tls=required (the default of smtp), ?tls=opportunistic or ?tls=none
    #[arg(long, env = "HOOKPOST_SMTP_URL", value_name = "URL", hide_env_values = true)]
    smtp_url: Option<SmtpUrl>,
    /// File with the URL of the mail server, if it has the password
    #[arg(long, env = "HOOKPOST_SMTP_URL_FILE", value_name = "FILE")]
    smtp_url_file: Option<PathBuf>,
    /// File with the password for the mail server, if the URL does not have it; the password itself may be in
    /// HOOKPOST_SMTP_PASSWORD
    #[arg(long, env = "HOOKPOST_SMTP_PASSWORD_FILE", value_name = "FILE")]
    smtp_password_file: Option<PathBuf>,
    /// Sender of the e-mails, such as alerts@example.com or Hookpost <alerts@example.com>
    #[arg(long, env = "HOOKPOST_SMTP_FROM", value_name = "ADDRESS")]
    smtp_from: Option<Sender>,
    /// URL that is requested every minute while deliveries are sent, such as https://hc-ping.com/<id>, so that a monitor
    /// notices when they are not
    #[arg(long, env = "HOOKPOST_HEARTBEAT_URL", value_name = "URL", value_parser = heartbeat, hide_env_values = true)]
    heartbeat_url: Option<String>,
    /// File with the URL of the heartbeat, whose id is a secret
    #[arg(long, env = "HOOKPOST_HEARTBEAT_URL_FILE", value_name = "FILE")]
    heartbeat_url_file: Option<PathBuf>,
    /// PEM file with certificates to trust in addition to the public ones
    #[arg(long, env = "HOOKPOST_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Log level: error, warn, info, debug or trace
    #[arg(long, env = "HOOKPOST_LOG", value_name = "LEVEL", default_value = "info", value_parser = level)]
    pub log: LevelFilter,
    /// Format of the log on standard error: text, or json with one object per line
    #[arg(long, env = "HOOKPOST_LOG_FORMAT", value_name = "FORMAT", default_value = "text", value_parser = log_format)]
    pub log_format: LogFormat,
}

/// Setting whose value is a secret as a whole.
const HEARTBEAT: &str = "--heartbeat-url";

/// Error of a setting. The text names the setting and the source of its value.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    #[error("{1}, which {0} names, cannot be read: {2}")]
    UnreadableSecret(String, PathBuf, std::io::Error),
    #[error("{0}: unknown setting {1:?}. Did you mean {2:?}? \"hookpost serve --help\" lists the settings.")]
    Unknown(PathBuf, String, String),
    #[error("{0}")]
    Invalid(String),
}

impl ConfigError {
    /// Describes in one line a value that clap refused; `file` is the file with the value, if it came from one.
    pub fn invalid(error: &clap::Error, file: Option<&Path>) -> ConfigError {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.as_str(),
            _ => "",
        };
        let (Some(reason), ErrorKind::ValueValidation) = (std::error::Error::source(error), error.kind()) else {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            return ConfigError::Invalid(match file {
                Some(path) => format!("{}: {line}", path.display()),
                None => line.to_owned(),
            });
        };
        let flag = text(ContextKind::InvalidArg).split([' ', '[', '=']).next().unwrap_or_default();
        let variable = environment_name(flag);
        let is_flag = || std::env::args_os().any(|arg| arg.to_string_lossy().split('=').next() == Some(flag));
        let source = match file {
            Some(path) => format!(" (from {})", path.display()),
            None if environment(&variable).is_some() && !is_flag() => format!(" (from {variable})"),
            None => String::new(),
        };
        let value = match flag {
            HEARTBEAT => String::new(),
            _ => format!("{:?} ", without_password(text(ContextKind::InvalidValue))),
        };
        ConfigError::Invalid(format!("invalid value {value}for {flag}{source}: {reason}"))
    }
}

/// Returns the environment variable of a flag: `HOOKPOST_ALLOW_TARGET` for `--allow-target`.
fn environment_name(flag: &str) -> String {
    format!("HOOKPOST_{}", flag.trim_start_matches('-').to_ascii_uppercase().replace('-', "_"))
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns the names of all variables that are UTF-8.
fn environment_names() -> Vec<String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
}

/// Whether the environment asks for texts without colors (<https://no-color.org>).
pub fn is_color_unwanted() -> bool {
    environment("NO_COLOR").is_some_and(|text| !text.is_empty())
}

/// Creates a folder for temporary files that only the current user can read. The caller removes it.
pub fn temporary_folder(prefix: &str) -> Result<PathBuf, ConfigError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let name = format!("{prefix}-{}", hex::encode(crate::random::bytes::<6>()));
    let path = std::env::temp_dir().join(name);
    fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| ConfigError::Unreadable(path.clone(), error))?;
    Ok(path)
}

impl Settings {
    /// Returns a command whose arguments are the settings.
    pub fn command() -> Command {
        Settings::augment_args(Command::new("settings").no_binary_name(true))
    }
}
