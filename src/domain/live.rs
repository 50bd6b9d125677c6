//! Settings that can change while the server runs. All are in one value, which a reload replaces as a whole, so whoever reads
//! several of them from one [`Live::get`] sees settings of one time.

use std::sync::{Arc, PoisonError, RwLock};

use ipnet::IpNet;

use super::host_name::HostName;
use super::retention::Retention;
use super::tenant_limits::TenantLimits;
use super::zone::Zone;

#[derive(Debug, Clone)]
pub struct LiveSettings {
    pub retention: Retention,
    pub tenant_limits: TenantLimits,
    /// Requests per second of each API key without its own limit; unlimited if `None`.
    pub key_rate_limit: Option<u32>,
    /// Names of the server beside that of the base URL.
    pub allow_hosts: Vec<HostName>,
    /// Proxies whose `X-Forwarded-For` header is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether every user has to set up two-factor authentication.
    pub require_totp: bool,
    pub portal: Branding,
    /// Whether people in the portal may set certificates of webhooks.
    pub portal_certificates: bool,
    /// Profiles that people in the portal may choose, beside those of their tenant's webhooks.
    pub portal_profiles: Arc<[String]>,
    /// Zone of times on pages, for browsers that have not named theirs.
    pub time_zone: Zone,
    /// Whether `/metrics` needs no key.
    pub metrics_open: bool,
    /// Whether `/metrics` has series by webhook.
    pub metrics_webhooks: bool,
    /// URLs for reports of vulnerabilities.
    pub security_contacts: Vec<String>,
}

impl Default for LiveSettings {
    fn default() -> LiveSettings {
        LiveSettings {
            retention: Retention::default(),
            tenant_limits: TenantLimits::default(),
            key_rate_limit: None,
            allow_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            require_totp: false,
            portal: Branding::default(),
            portal_certificates: false,
            portal_profiles: Arc::new([]),
            time_zone: Zone::UTC,
            metrics_open: false,
            metrics_webhooks: false,
            security_contacts: Vec::new(),
        }
    }
}

/// Appearance of the tenant portal, and the sites that may embed it.
#[derive(Debug, Clone, Default)]
pub struct Branding {
    /// Name of the application, shown instead of Hookpost.
    pub name: Option<String>,
    /// Image bytes and media type.
    pub logo: Option<(Vec<u8>, &'static str)>,
    /// `#rrggbb`
    pub accent: Option<String>,
    /// Origins that may embed the portal in a frame.
    pub origins: Vec<String>,
}

/// The current settings. Cheap to clone; clones see each change.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<RwLock<Arc<LiveSettings>>>);

impl Live {
    pub fn new(settings: LiveSettings) -> Live {
        Live(Arc::new(RwLock::new(Arc::new(settings))))
    }

    pub fn get(&self) -> Arc<LiveSettings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set(&self, settings: LiveSettings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}
