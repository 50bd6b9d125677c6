//! Parts that commands share: the database, files and standard input, secrets, profiles.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::CliError;
use crate::clock::Clock;
use crate::config::{DatabaseFlag, secret_from_environment, temporary_folder};
use crate::domain::Invalid;
use crate::domain::secret::Secret;
use crate::domain::signing::PublicKey;
use crate::metrics::Metrics;
use crate::profile::verify::{SignatureFault, timestamp, verify};
use crate::profile::{self, Profile, ProfileSpec, ed25519};
use crate::store::{Connection, Store};

/// Flags of commands that sign or verify.
#[derive(Args)]
pub(super) struct SigningFlags {
    /// Built-in profile, or a JSON file with a profile [default: generic]
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Secret of the webhook [env: HOOKPOST_SECRET, or the file named by HOOKPOST_SECRET_FILE]
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
}

impl SigningFlags {
    pub(super) fn profile(&self) -> Result<Arc<Profile>, CliError> {
        let name = self.profile.as_deref().unwrap_or(profile::DEFAULT);
        if let Some(profile) = profile::find(name) {
            return Ok(profile);
        }
        if !Path::new(name).exists() {
            let known: Vec<&str> = profile::builtin().keys().map(String::as_str).collect();
            return Err(CliError::Other(format!(
                "--profile: {name:?} is neither a built-in profile nor a file; built-in profiles: {}",
                known.join(", ")
            )));
        }
        let spec: ProfileSpec = serde_json::from_slice(&read(Some(Path::new(name)))?)
            .map_err(|error| CliError::Other(format!("{name} is not a valid profile: {error}")))?;
        Ok(Arc::new(Profile::parse(spec)?))
    }

    /// Returns the name or file of the profile, if one is given.
    pub(super) fn profile_name(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    pub(super) fn secret(&self) -> Result<Option<Secret>, CliError> {
        let secret = flag_or_environment(self.secret.as_ref(), "HOOKPOST_SECRET")?;
        let parse = |text: String| text.parse().map_err(|invalid: Invalid| invalid.in_field("secret"));
        Ok(secret.map(parse).transpose()?)
    }

    pub(super) fn required_secret(&self) -> Result<Secret, CliError> {
        self.secret()?.ok_or_else(|| CliError::Other("--secret is required".to_owned()))
    }
}

/// Flags of commands that verify.
#[derive(Args)]
pub(super) struct VerifyingFlags {
    #[command(flatten)]
    pub(super) signing: SigningFlags,
    /// Public key of the webhook, to verify its Ed25519 signatures
    #[arg(long, value_name = "WHPK")]
    public_key: Option<PublicKey>,
}

/// Keys for the verification of requests.
pub(super) struct Verifier {
    pub(super) profile: Arc<Profile>,
    pub(super) secret: Option<Secret>,
    pub(super) public_key: Option<PublicKey>,
}

impl VerifyingFlags {
    pub(super) fn verifier(&self) -> Result<Verifier, CliError> {
        let (profile, secret) = (self.signing.profile()?, self.signing.secret()?);
        Ok(Verifier { profile, secret, public_key: self.public_key })
    }
}

impl Verifier {
    pub(super) fn has_key(&self) -> bool {
        self.secret.is_some() || self.public_key.is_some()
    }

    /// Checks the signatures of each key given and returns the names of their headers.
    pub(super) fn verify(&self, headers: &[(String, String)], body: &[u8]) -> Result<String, SignatureFault> {
        let mut names = match &self.secret {
            Some(secret) => verify(&self.profile, secret, headers, body)?,
            None => Vec::new(),
        };
        if let Some(key) = self.public_key {
            ed25519::verify(&[key], headers, body)?;
            names.push(format!("{} by Ed25519", ed25519::HEADER));
        }
        Ok(names.join(", "))
    }

    /// Returns the timestamp of a request in seconds since 1970, if it is signed.
    pub(super) fn timestamp(&self, headers: &[(String, String)]) -> Option<i64> {
        match self.secret {
            Some(_) => timestamp(&self.profile, headers),
            None => timestamp(&profile::standard(), headers),
        }
    }
}

/// Returns the secret of a flag, of the variable, or of the file that `<variable>_FILE` names.
pub(super) fn flag_or_environment(flag: Option<&String>, variable: &str) -> Result<Option<String>, CliError> {
    match flag {
        Some(text) => Ok(Some(text.clone())),
        None => Ok(secret_from_environment(variable)?),
    }
}

/// Opens the database, which a server may have open. It must exist.
pub(super) fn open(database: &DatabaseFlag) -> Result<Connection, CliError> {
    Ok(Store::open_for_command(&database.settings()?.db)?)
}

/// Like [`open`], but creates a missing database.
pub(super) fn open_or_create(database: &DatabaseFlag, clock: &Clock) -> Result<Connection, CliError> {
    let settings = database.settings()?;
    let path = &settings.db;
    if !path.exists() {
        let (store, _lock) = Store::open(path, &settings.master_key()?, clock, &Metrics::new())?;
        store.close();
    }
    Ok(Store::open_for_command(path)?)
}

/// Reads a file, or standard input for `None` and `-`.
pub(super) fn read(path: Option<&Path>) -> Result<Vec<u8>, CliError> {
    match path.filter(|path| path.as_os_str() != "-") {
        Some(path) => std::fs::read(path).map_err(CliError::because(format!("{} cannot be read", path.display()))),
        None => {
            let mut bytes = Vec::new();
            let result = std::io::stdin().read_to_end(&mut bytes);
            result.map(|_| bytes).map_err(CliError::because("standard input cannot be read"))
        }
    }
}

/// Runs `work` with a new folder, and removes the folder afterwards.
pub(super) fn in_temporary_folder(
    prefix: &str,
    work: impl FnOnce(&PathBuf) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let folder = temporary_folder(prefix)?;
    let result = work(&folder);
    let removed = std::fs::remove_dir_all(&folder);
    result?;
    removed.map_err(CliError::because(format!("{} cannot be removed", folder.display())))
}

/// Returns an address that leads to a listener.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
