//! TLS settings as a caller gives them, and their checks.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Certificate, ClientCertificate, Tls, facts};
use crate::domain::Invalid;
use crate::domain::header::MASK;
use crate::domain::time::{MINUTE, Millis, rfc3339_seconds};

/// Maximum bytes of all certificates and the key together, in PEM.
pub const MAX_BYTES: usize = 64 * 1024;
/// Maximum certificates in a chain, and of authorities.
pub const MAX_CERTIFICATES: usize = 10;

/// How far the clock of an issuer may be ahead.
const CLOCK_DIFFERENCE: Millis = 5 * MINUTE;

const CLIENT_CERTIFICATE: &str = "tls.client_certificate";
const CLIENT_KEY: &str = "tls.client_key";
const CA: &str = "tls.ca";

/// Certificates of the TLS connections to the endpoint. An absent field keeps its value; `null` removes it.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// Client certificate in PEM, followed by its intermediate certificates: 10 at most. Removing it removes the key.
    #[serde(deserialize_with = "present")]
    #[schemars(length(max = MAX_BYTES))]
    pub client_certificate: Option<Option<String>>,
    /// Private key of the client certificate in PEM (PKCS #8, SEC 1 or PKCS #1), not encrypted. Never shown. A masked value keeps the stored key, unless the URL gets another scheme, host or port.
    #[serde(deserialize_with = "present")]
    #[schemars(length(max = MAX_BYTES))]
    pub client_key: Option<Option<String>>,
    /// Certificates of authorities in PEM to trust in addition to the public ones: 10 at most.
    #[serde(deserialize_with = "present")]
    #[schemars(length(max = MAX_BYTES))]
    pub ca: Option<Option<String>>,
}

/// Distinguishes `null` from an absent field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

impl TlsSettings {
    /// Applies the settings to those that a webhook has. A stored key is refused if `is_moved`: it was given for another
    /// origin, and those who may change the URL need not know it. `None`: nothing is left.
    pub fn apply(&self, before: Option<&Tls>, is_moved: bool) -> Result<Option<Tls>, Invalid> {
        let client = self.client(before.and_then(|before| before.client.as_ref()), is_moved)?;
        let ca = match &self.ca {
            None => before.map_or_else(Vec::new, |before| before.ca.clone()),
            Some(None) => Vec::new(),
            Some(Some(text)) => authorities(text)?,
        };
        let all = || ca.iter().chain(client.iter().flat_map(|client| &client.chain));
        let ends_ms = all().flat_map(|bytes| facts(std::slice::from_ref(bytes))).map(|fact| fact.not_after_ms).min();
        let Some(ends_ms) = ends_ms else { return Ok(None) };
        let tls = Tls::new(client, ca, ends_ms);
        let spec = tls.spec();
        if spec.client_certificate.len() + spec.client_key.len() + spec.ca.len() > MAX_BYTES {
            return Err(invalid("tls", "The certificates and the key are longer than 64 KiB together."));
        }
        Ok(Some(tls))
    }

    /// Checks that the given certificates are valid at this time. Stored ones may have expired.
    pub fn require_current(&self, now: Millis) -> Result<(), Invalid> {
        for (field, given) in [(CLIENT_CERTIFICATE, &self.client_certificate), (CA, &self.ca)] {
            let Some(Some(text)) = given else { continue };
            for fact in facts(&certificates(field, text)?) {
                let (start, end) = (fact.not_before_ms, fact.not_after_ms);
                if end < now {
                    let message = format!("The certificate of {} expired at {}.", fact.subject, rfc3339_seconds(end));
                    return Err(invalid(field, message));
                }
                if start > now + CLOCK_DIFFERENCE {
                    let start = rfc3339_seconds(start);
                    let message = format!("The certificate of {} is not valid before {start}.", fact.subject);
                    return Err(invalid(field, message));
                }
            }
        }
        Ok(())
    }

    fn client(&self, stored: Option<&ClientCertificate>, is_moved: bool) -> Result<Option<ClientCertificate>, Invalid> {
        let chain = match &self.client_certificate {
            None => stored.map(|stored| stored.chain.clone()),
            Some(None) => None,
            Some(Some(text)) => Some(certificates(CLIENT_CERTIFICATE, text)?),
        };
        let is_masked = matches!(&self.client_key, Some(Some(text)) if text.trim() == MASK);
        let key = match &self.client_key {
            Some(Some(text)) if !is_masked => Some(private_key(text)?),
            Some(None) => None,
            _ if chain.is_none() => None,
            _ => match stored {
                Some(_) if is_moved => return Err(given_for_another_origin()),
                Some(stored) => Some(stored.key.clone_key()),
                None if is_masked => {
                    return Err(invalid(CLIENT_KEY, "The value is a mask, but no key is stored. Give the key."));
                }
                None => None,
            },
        };
        match (chain, key) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(invalid(CLIENT_KEY, "A client certificate needs its private key.")),
            (None, Some(_)) => Err(invalid(CLIENT_CERTIFICATE, "A private key needs its client certificate.")),
            (Some(chain), Some(key)) => ClientCertificate { chain, key }.check().map(Some),
        }
    }
}

impl ClientCertificate {
    fn check(self) -> Result<ClientCertificate, Invalid> {
        let unusable = |error: rustls::Error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let message = "The private key does not belong to the client certificate. If there are several certificates, the client's own comes first.";
                invalid(CLIENT_KEY, message)
            }
            rustls::Error::InvalidCertificate(error) => {
                invalid(CLIENT_CERTIFICATE, format!("The certificate cannot be used: {error}."))
            }
            _ => {
                let message = "The private key cannot be used. Use an RSA key of 2048 to 8192 bits, or an ECDSA (P-256, P-384) or Ed25519 key.";
                invalid(CLIENT_KEY, message)
            }
        };
        self.certified().and_then(|certified| certified.keys_match()).map_err(unusable)?;
        Ok(self)
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSettings(…)")
    }
}

fn invalid(field: &str, message: impl Into<String>) -> Invalid {
    Invalid::new("invalid_tls", message).in_field(field)
}

/// Checks that settings have no key, which must not be used for another origin.
pub fn without_key(tls: Arc<Tls>) -> Result<Arc<Tls>, Invalid> {
    if tls.has_client_certificate() { Err(given_for_another_origin()) } else { Ok(tls) }
}

fn given_for_another_origin() -> Invalid {
    let message = "The client key was given for another origin, and the URL has a new one. Give the key again, or remove the client certificate.";
    invalid(CLIENT_KEY, message)
}

fn authorities(text: &str) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    let certificates = certificates(CA, text)?;
    for (fact, certificate) in facts(&certificates).into_iter().zip(&certificates) {
        if !fact.is_authority && !fact.is_self_issued() {
            let message = format!(
                "The certificate of {} is not that of an authority. Give the certificate of its issuer, {}.",
                fact.subject, fact.issuer
            );
            return Err(invalid(CA, message));
        }
        let added = RootCertStore::empty().add(certificate.clone());
        added.map_err(|error| invalid(CA, format!("The certificate of {} cannot be used: {error}.", fact.subject)))?;
    }
    Ok(certificates)
}

/// Parses 1 to 10 certificates, and nothing that must stay secret.
fn certificates(field: &str, text: &str) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    require_size(field, text)?;
    if text.contains("PRIVATE KEY-----") {
        return Err(invalid(field, format!("{} has a private key. Give it as client_key.", named(field))));
    }
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = parsed.map_err(|_| incomplete(field))?;
    if found.is_empty() {
        let message = format!(
            "{} is not PEM, which begins with -----BEGIN CERTIFICATE-----. \"openssl x509 -inform der -in FILE\" converts a binary file.",
            named(field)
        );
        return Err(invalid(field, message));
    }
    if found.len() > MAX_CERTIFICATES {
        return Err(invalid(field, format!("{} has more than {MAX_CERTIFICATES} certificates.", named(field))));
    }
    for (index, bytes) in found.iter().enumerate() {
        let unreadable = |_| invalid(field, format!("{}: number {} is not valid X.509.", named(field), index + 1));
        Certificate::parse(bytes).map_err(unreadable)?;
    }
    Ok(found)
}

fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, Invalid> {
    require_size(CLIENT_KEY, text)?;
    if text.contains("BEGIN ENCRYPTED") || text.contains("Proc-Type:") {
        let message = "The private key is encrypted. \"openssl pkey -in FILE\" asks for its password and prints the key without encryption.";
        return Err(invalid(CLIENT_KEY, message));
    }
    let parsed: Result<Vec<_>, _> = PrivateKeyDer::pem_slice_iter(text.as_bytes()).collect();
    let mut found = parsed.map_err(|_| incomplete(CLIENT_KEY))?;
    match (found.pop(), found.len()) {
        (Some(key), 0) => Ok(key),
        (Some(_), _) => {
            Err(invalid(CLIENT_KEY, "The client key has several private keys. Give the one of the certificate."))
        }
        (None, _) => {
            let message = "The client key is not PEM, which begins with -----BEGIN PRIVATE KEY-----, -----BEGIN EC PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----.";
            Err(invalid(CLIENT_KEY, message))
        }
    }
}

fn require_size(field: &str, text: &str) -> Result<(), Invalid> {
    if text.len() <= MAX_BYTES {
        Ok(())
    } else {
        Err(invalid(field, format!("{} is longer than 64 KiB.", named(field))))
    }
}

fn incomplete(field: &str) -> Invalid {
    let message = format!("{} is not complete PEM: each part needs its BEGIN line and its END line.", named(field));
    invalid(field, message)
}

/// Name of a field at the start of a sentence.
fn named(field: &str) -> &'static str {
    match field {
        CLIENT_CERTIFICATE => "The client certificate",
        CLIENT_KEY => "The client key",
        _ => "The CA certificate",
    }
}
