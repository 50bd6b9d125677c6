//! Options of a server, and their defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::actions::backups::BackupSettings;
use crate::clock::Clock;
use crate::delivery::guard::{Lookup, system_lookup};
use crate::delivery::mail::MailOptions;
use crate::delivery::{EngineOptions, Transport};
use crate::domain::live::LiveSettings;
use crate::domain::retention::Retention;
use crate::domain::target::AllowEntry;
use crate::domain::tenant_limits::TenantLimits;
use crate::domain::zone::Zone;
use crate::http::hosts::HostName;
use crate::http::site::{AuthProxy, BaseUrl, Branding};
use crate::http::{HEAD_TIMEOUT, SEARCH_TIME, WRITE_TIMEOUT};
use crate::store::KeySource;

#[derive(Clone)]
pub struct ServerOptions {
    pub database: PathBuf,
    pub master_key: KeySource,
    /// Port 0 is any free port.
    pub listen: SocketAddr,
    pub allow_targets: Vec<AllowEntry>,
    pub default_profile: String,
    /// Maximum number of threads that send.
    pub workers: usize,
    pub http_threads: usize,
    /// Maximum size of a request body in bytes.
    pub max_body: usize,
    /// URL of the server in browsers; the listen address if `None`.
    pub base_url: Option<BaseUrl>,
    /// Names of the server beside that of the base URL.
    pub allow_hosts: Vec<HostName>,
    /// Proxies whose `X-Forwarded-For` header is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether every user has to set up two-factor authentication.
    pub require_totp: bool,
    /// Whether people in the portal may set certificates of webhooks.
    pub portal_certificates: bool,
    /// Profiles that people in the portal may choose, beside those of their tenant's webhooks.
    pub portal_profiles: Vec<String>,
    /// Zone of times on pages, for browsers that have not named theirs.
    pub time_zone: Zone,
    /// Headers by which a trusted proxy signs users in.
    pub auth_proxy: Option<AuthProxy>,
    pub portal: Branding,
    /// Requests per second of each API key without its own limit; unlimited if `None`.
    pub key_rate_limit: Option<u32>,
    pub tenant_limits: TenantLimits,
    /// Whether `/metrics` is served without an API key.
    pub metrics_open: bool,
    /// Whether `/metrics` has series by webhook.
    pub metrics_webhooks: bool,
    /// URLs for reports of vulnerabilities, in `/.well-known/security.txt`.
    pub security_contacts: Vec<String>,
    /// Time without progress after which the client of a response is given up.
    pub write_timeout: Duration,
    /// Time that one search by text may take.
    pub search_time: Duration,
    /// Time within which the head of the first request of a connection has to arrive.
    pub head_timeout: Duration,
    /// Mail server; no e-mails are sent if `None`.
    pub mail: Option<MailOptions>,
    /// URL that is requested while deliveries are sent.
    pub heartbeat_url: Option<String>,
    /// Time between two of these requests.
    pub heartbeat_interval: Duration,
    /// Certificates in PEM to trust in addition to the public ones.
    pub extra_certificates: Vec<Vec<u8>>,
    pub retention: Retention,
    /// Whether a replicator such as Litestream runs; looked for if `None`.
    pub replicated: Option<bool>,
    /// Scheduled backups.
    pub backups: Option<BackupSettings>,
    /// Whether to pause all deliveries before anything is sent.
    pub paused: bool,
    pub clock: Clock,
    pub lookup: Arc<Lookup>,
    /// Replaces the HTTP client.
    pub transport: Option<Arc<dyn Transport>>,
}

impl ServerOptions {
    /// Returns those that can change while the server runs.
    pub fn live(&self) -> LiveSettings {
        LiveSettings {
            retention: self.retention,
            tenant_limits: self.tenant_limits,
            key_rate_limit: self.key_rate_limit,
            allow_hosts: self.allow_hosts.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            require_totp: self.require_totp,
            portal: self.portal.clone(),
            portal_certificates: self.portal_certificates,
            portal_profiles: self.portal_profiles.clone().into(),
            time_zone: self.time_zone.clone(),
            metrics_open: self.metrics_open,
            metrics_webhooks: self.metrics_webhooks,
            security_contacts: self.security_contacts.clone(),
        }
    }

    /// Returns the defaults for a database.
    pub fn new(database: PathBuf) -> ServerOptions {
        ServerOptions {
            database,
            master_key: KeySource::Beside,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_targets: Vec::new(),
            default_profile: crate::profile::DEFAULT.to_owned(),
            workers: EngineOptions::default().workers,
            http_threads: 2,
            max_body: 1 << 20,
            base_url: None,
            allow_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            require_totp: false,
            portal_certificates: false,
            portal_profiles: vec![crate::profile::STANDARD.to_owned()],
            time_zone: Zone::UTC,
            auth_proxy: None,
            portal: Branding::default(),
            key_rate_limit: None,
            tenant_limits: TenantLimits::default(),
            metrics_open: false,
            metrics_webhooks: false,
            security_contacts: Vec::new(),
            write_timeout: WRITE_TIMEOUT,
            search_time: SEARCH_TIME,
            head_timeout: HEAD_TIMEOUT,
            mail: None,
            heartbeat_url: None,
            heartbeat_interval: Duration::from_secs(60),
            extra_certificates: Vec::new(),
            retention: Retention::default(),
            replicated: None,
            backups: None,
            paused: false,
            clock: Clock::machine(),
            lookup: system_lookup(),
            transport: None,
        }
    }
}
