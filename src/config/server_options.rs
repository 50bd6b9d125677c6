//! Options of a server from its settings.

use std::fs;
use std::path::PathBuf;

use ipnet::IpNet;

use super::secrets::{self, MASTER_KEY, SMTP_PASSWORD};
use super::values::{heartbeat, read_logo};
use super::{ConfigError, Settings, environment};
use crate::actions::backups::BackupSettings;
use crate::delivery::mail::{MailOptions, Password, SmtpUrl};
use crate::domain::backup_plan::BackupPlan;
use crate::domain::retention::Retention;
use crate::domain::tenant_limits::TenantLimits;
use crate::http::site::{AuthProxy, Branding, HeaderName};
use crate::server::ServerOptions;
use crate::store::{KeySource, MasterKey};

impl Settings {
    /// Returns the options of a server. Reads the files that settings name.
    pub fn server_options(self) -> Result<ServerOptions, ConfigError> {
        self.checked_server_options().map_err(|mut problems| problems.swap_remove(0))
    }

    /// Like [`server_options`](Settings::server_options), with all errors.
    pub(super) fn checked_server_options(self) -> Result<ServerOptions, Vec<ConfigError>> {
        let read = |path: &PathBuf| fs::read(path).map_err(|error| ConfigError::Unreadable(path.clone(), error));
        let trusted_proxies: Vec<IpNet> = self.trusted_proxy.iter().flatten().copied().collect();
        let mut problems = Problems::default();
        let certificates = self.ca_file.iter().filter_map(|path| problems.keep(read(path)));
        let extra_certificates: Vec<Vec<u8>> = certificates.collect();
        let mail = problems.keep(self.mail(&extra_certificates));
        let heartbeat_url = problems.keep(self.heartbeat());
        let master_key = problems.keep(self.master_key());
        let logo = problems.keep(self.portal_logo.as_deref().map(read_logo).transpose());
        let auth_proxy =
            auth_proxy(self.auth_proxy_header.clone(), self.auth_proxy_role_header.clone(), &trusted_proxies);
        let auth_proxy = problems.keep(auth_proxy);
        let (Some(mail), Some(heartbeat_url), Some(master_key), Some(logo), Some(auth_proxy), []) =
            (mail, heartbeat_url, master_key, logo, auth_proxy, &problems.0[..])
        else {
            return Err(problems.0);
        };
        Ok(ServerOptions {
            master_key,
            auth_proxy,
            trusted_proxies,
            retention: self.retention(),
            replicated: self.replicated,
            backups: self.backup_dir.map(|folder| BackupSettings {
                folder,
                plan: BackupPlan { every: self.backup_every, keep: self.backup_keep },
            }),
            listen: self.listen,
            allow_targets: self.allow_target.into_iter().flatten().collect(),
            // Custom profiles are known only once the database is open.
            default_profile: self.default_profile,
            workers: self.workers,
            http_threads: self.http_threads,
            max_body: self.max_body,
            base_url: self.base_url,
            allow_hosts: self.allow_host.into_iter().flatten().collect(),
            require_totp: self.require_totp,
            portal_certificates: self.portal_certificates,
            portal_profiles: self.portal_profiles.into_iter().flatten().collect(),
            time_zone: self.time_zone,
            portal: Branding {
                name: self.portal_name,
                logo,
                accent: self.portal_accent,
                origins: self.portal_origin.into_iter().flatten().collect(),
            },
            metrics_open: self.metrics_open,
            metrics_webhooks: self.metrics_webhooks,
            security_contacts: self.security_contact.into_iter().flatten().collect(),
            key_rate_limit: self.key_rate_limit,
            tenant_limits: TenantLimits {
                webhooks: self.tenant_webhooks,
                queued: self.tenant_queued,
                requests_per_s: self.tenant_requests_per_s,
                jobs: self.tenant_jobs,
                tests: self.tenant_tests,
                inbox_requests: self.tenant_inbox_requests,
            },
            mail,
            heartbeat_url,
            extra_certificates,
            ..ServerOptions::new(self.db)
        })
    }

    /// Returns the settings of the mail server. Reads the files that settings name.
    fn mail(&self, extra_certificates: &[Vec<u8>]) -> Result<Option<MailOptions>, ConfigError> {
        let invalid = |text: &str| Err(ConfigError::Invalid(text.to_owned()));
        let parse = |text: &str| text.parse::<SmtpUrl>();
        let url = secrets::parsed("smtp-url", self.smtp_url.clone(), self.smtp_url_file.as_deref(), parse)?;
        let password = secrets::secret(SMTP_PASSWORD, environment(SMTP_PASSWORD), self.smtp_password_file.as_deref())?;
        let (url, from) = match (url, self.smtp_from.clone()) {
            (Some(url), Some(from)) => (url, from),
            (Some(_), None) => return invalid("--smtp-url requires --smtp-from: set it to the sender of the e-mails."),
            (None, None) if password.is_none() => return Ok(None),
            (None, _) => return invalid("--smtp-from and a password for the mail server require --smtp-url."),
        };
        if url.password.is_some() && password.is_some() {
            return invalid("--smtp-url has a password, and --smtp-password-file another one. Leave one of them out.");
        }
        Ok(Some(MailOptions {
            url,
            password: password.map(Password),
            from,
            extra_certificates: extra_certificates.to_vec(),
        }))
    }

    /// Returns the URL of the heartbeat. Reads the file that a setting names.
    fn heartbeat(&self) -> Result<Option<String>, ConfigError> {
        let file = self.heartbeat_url_file.as_deref();
        secrets::parsed("heartbeat-url", self.heartbeat_url.clone(), file, heartbeat)
    }

    /// Returns the source of the master key. Reads the file that a setting names.
    pub fn master_key(&self) -> Result<KeySource, ConfigError> {
        let file = self.master_key_file.as_deref();
        let Some(text) = secrets::secret(MASTER_KEY, environment(MASTER_KEY), file)? else {
            return Ok(KeySource::Beside);
        };
        let setting = file.map_or_else(|| MASTER_KEY.to_owned(), |file| file.display().to_string());
        match text.parse::<MasterKey>() {
            Ok(key) => Ok(KeySource::Given { key, setting }),
            Err(error) => Err(ConfigError::Invalid(format!("{setting}: {error}"))),
        }
    }

    pub fn retention(&self) -> Retention {
        Retention::new(self.retention_days, self.failed_retention_days).with_audit_days(self.audit_days)
    }
}

/// Errors that were found so far.
#[derive(Default)]
struct Problems(Vec<ConfigError>);

impl Problems {
    /// Returns the value, or keeps the error.
    fn keep<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }
}

/// Refuses headers that anybody could send.
fn auth_proxy(
    user: Option<HeaderName>,
    role: Option<HeaderName>,
    trusted: &[IpNet],
) -> Result<Option<AuthProxy>, ConfigError> {
    let invalid = |text: &str| Err(ConfigError::Invalid(text.to_owned()));
    match user {
        None if role.is_some() => invalid("--auth-proxy-role-header requires --auth-proxy-header."),
        None => Ok(None),
        Some(_) if trusted.is_empty() => invalid(
            "--auth-proxy-header requires --trusted-proxy: set it to the address of the proxy, or anybody could sign in as anybody.",
        ),
        Some(_) if trusted.iter().any(|range| range.prefix_len() == 0) => invalid(
            "--auth-proxy-header requires a --trusted-proxy that does not cover all addresses, or anybody could sign in as anybody.",
        ),
        Some(user) => Ok(Some(AuthProxy { user, role })),
    }
}
