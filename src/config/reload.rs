//! Settings that a running server rereads, and what has changed in them.

use std::collections::BTreeMap;
use std::fs;

use sha2::{Digest as _, Sha256};

use super::{Loaded, Settings};

/// Settings that take effect when the server rereads its settings; the others need a restart.
const REREAD: [&str; 29] = [
    "allow-target",
    "allow-host",
    "trusted-proxy",
    "require-totp",
    "portal-name",
    "portal-logo",
    "portal-accent",
    "portal-origin",
    "portal-certificates",
    "portal-profiles",
    "time-zone",
    "retention-days",
    "failed-retention-days",
    "audit-days",
    "key-rate-limit",
    "tenant-webhooks",
    "tenant-queued",
    "tenant-requests-per-s",
    "tenant-inbox-requests",
    "metrics-open",
    "metrics-webhooks",
    "security-contact",
    "smtp-url",
    "smtp-url-file",
    "smtp-password-file",
    "smtp-from",
    "heartbeat-url",
    "heartbeat-url-file",
    "log",
];
/// Other settings that name a file, whose content counts as their value.
const FILES: [&str; 2] = ["master-key-file", "ca-file"];

/// Values by setting, with the contents of files as hashes.
#[derive(Debug, Clone)]
pub struct SettingValues(BTreeMap<String, Vec<u8>>);

/// Settings whose values differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Settings that the server has taken over.
    pub reread: Vec<String>,
    /// Settings that need a restart.
    pub restart: Vec<String>,
}

impl Settings {
    /// Whether a running server takes over a change of this setting, such as `retention-days`.
    pub fn is_reread(name: &str) -> bool {
        REREAD.contains(&name)
    }
}

impl SettingValues {
    pub fn of(loaded: &Loaded) -> SettingValues {
        let value = |arg: &clap::Arg| {
            let name = arg.get_long()?;
            let mut digest = Sha256::new();
            let values = loaded.values(arg.get_id().as_str());
            let names_file = arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "FILE"));
            for value in &values {
                digest.update(value.as_encoded_bytes());
                digest.update([0]);
                if names_file && (Settings::is_reread(name) || FILES.contains(&name)) {
                    digest.update(fs::read(value).unwrap_or_default());
                }
            }
            Some((name.to_owned(), digest.finalize().to_vec()))
        };
        SettingValues(Settings::command().get_arguments().filter_map(value).collect())
    }

    /// Takes over the values of settings that are reread. Those that need a restart stay as they were at the start, so each
    /// comparison names them.
    pub fn update(&mut self, new: SettingValues) -> Changed {
        let mut changed = Changed::default();
        for (name, value) in new.0 {
            if self.0.get(&name) == Some(&value) {
                continue;
            }
            if Settings::is_reread(&name) {
                self.0.insert(name.clone(), value);
                changed.reread.push(name);
            } else {
                changed.restart.push(name);
            }
        }
        changed
    }
}
