//! TLS settings of a webhook: the client certificate of its requests, and certificates trusted in addition to the public
//! ones.
//!
//! [`TlsSettings`] are what a caller gives, [`Tls`] what passed the checks. The private key leaves through [`Tls::spec`],
//! for the encrypted column, and [`Tls::certified_key`], for handshakes, only.

mod certificate;
mod settings;

use std::fmt;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use certificate::{Certificate, Validity};
pub use settings::{MAX_BYTES, MAX_CERTIFICATES, TlsSettings, without_key};

use super::time::{DAY, Millis};

/// Time before the end of a certificate in which it needs attention.
pub const ATTENTION: Millis = 30 * DAY;

/// Digest of all certificates and the key. Webhooks with equal settings share connections, no others do.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TlsId([u8; 32]);

/// Checked TLS settings.
pub struct Tls {
    client: Option<ClientCertificate>,
    ca: Vec<CertificateDer<'static>>,
    id: TlsId,
    /// Earliest end of a certificate.
    pub ends_ms: Millis,
    /// Read from the certificates when it is first asked for.
    overdue_ms: OnceLock<Millis>,
}

/// Certificate, its intermediates, and its private key.
struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Text form of the settings, with the private key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSpec {
    client_certificate: String,
    client_key: String,
    ca: String,
}

impl Tls {
    fn new(client: Option<ClientCertificate>, ca: Vec<CertificateDer<'static>>, ends_ms: Millis) -> Tls {
        let id = TlsId::of(client.as_ref(), &ca);
        Tls { client, ca, id, ends_ms, overdue_ms: OnceLock::new() }
    }

    /// Reads settings that were checked when they were stored.
    pub fn of_spec(spec: &TlsSpec, ends_ms: Millis) -> Option<Tls> {
        let certificates = |text: &str| CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
        let client = match spec.client_key.as_str() {
            "" => None,
            key => Some(ClientCertificate {
                chain: certificates(&spec.client_certificate).ok()?,
                key: PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?,
            }),
        };
        Some(Tls::new(client, certificates(&spec.ca).ok()?, ends_ms))
    }

    /// Returns the text form for the store.
    pub fn spec(&self) -> TlsSpec {
        let client = self.client.as_ref();
        TlsSpec {
            client_certificate: client.map_or_else(String::new, |client| chain_pem(&client.chain)),
            client_key: client.map_or_else(String::new, |client| key_pem(&client.key)),
            ca: chain_pem(&self.ca),
        }
    }

    /// Returns whether a certificate should have been renewed by now.
    pub fn is_overdue(&self, now: Millis) -> bool {
        let earliest = || {
            let all = self.client_facts().into_iter().chain(self.ca_facts());
            all.map(|fact| fact.validity().overdue_ms()).min().unwrap_or(self.ends_ms)
        };
        // Reading certificates takes longer than this comparison, and most of them end long after.
        self.ends_ms <= now + ATTENTION && *self.overdue_ms.get_or_init(earliest) <= now
    }

    pub fn id(&self) -> TlsId {
        self.id
    }

    pub fn has_client_certificate(&self) -> bool {
        self.client.is_some()
    }

    /// Returns the client certificate with its key for handshakes; `None` if there is none.
    pub fn certified_key(&self) -> Result<Option<CertifiedKey>, rustls::Error> {
        self.client.as_ref().map(ClientCertificate::certified).transpose()
    }

    /// Certificates trusted in addition to the public ones.
    pub fn ca(&self) -> &[CertificateDer<'static>] {
        &self.ca
    }

    /// Facts of the client certificate, followed by its intermediates. Empty if there is none.
    pub fn client_facts(&self) -> Vec<Certificate> {
        self.client.as_ref().map_or_else(Vec::new, |client| facts(&client.chain))
    }

    /// Facts of the additional certificates.
    pub fn ca_facts(&self) -> Vec<Certificate> {
        facts(&self.ca)
    }
}

impl ClientCertificate {
    fn certified(&self) -> Result<CertifiedKey, rustls::Error> {
        Ok(CertifiedKey::new(self.chain.clone(), any_supported_type(&self.key)?))
    }
}

impl Clone for ClientCertificate {
    fn clone(&self) -> ClientCertificate {
        ClientCertificate { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl TlsId {
    fn of(client: Option<&ClientCertificate>, ca: &[CertificateDer<'_>]) -> TlsId {
        let mut digest = Sha256::new();
        let mut add = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        add(client.map_or(&[], |client| client.key.secret_der()));
        add(&[u8::try_from(ca.len()).unwrap_or(u8::MAX)]);
        ca.iter().chain(client.iter().flat_map(|client| &client.chain)).for_each(|certificate| add(certificate));
        TlsId(digest.finalize().into())
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Tls) -> bool {
        self.id == other.id
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}

impl fmt::Debug for TlsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsId(…)")
    }
}

fn facts(certificates: &[CertificateDer<'_>]) -> Vec<Certificate> {
    certificates.iter().filter_map(|bytes| Certificate::parse(bytes).ok()).collect()
}

fn chain_pem(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|bytes| pem("CERTIFICATE", bytes)).collect()
}

fn key_pem(key: &PrivateKeyDer<'_>) -> String {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    pem(label, key.secret_der())
}

/// Writes a section of PEM (RFC 7468) on one line: no other program reads it.
fn pem(label: &str, bytes: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests;
