//! Certificates of a webhook in responses: what they say, never the key.

use schemars::JsonSchema;
use serde::Serialize;

use super::schema;
use crate::domain::header::MASK;
use crate::domain::tls::{Certificate, Tls};

/// Certificates of a webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tls")]
pub(super) struct TlsView {
    /// The client certificate, followed by its intermediate certificates; empty if there is none.
    client_certificate: Vec<CertificateView>,
    /// Masked if there is one.
    client_key: Option<&'static str>,
    /// Certificates of authorities that are trusted in addition to the public ones.
    ca: Vec<CertificateView>,
    /// Earliest end of these certificates.
    not_after: schema::Time,
}

/// Facts of a certificate.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Certificate")]
struct CertificateView {
    /// Distinguished name of its owner, as in RFC 4514.
    subject: String,
    /// Distinguished name of its issuer.
    issuer: String,
    /// Serial number in hexadecimal.
    serial: String,
    /// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` prints it.
    fingerprint_sha256: String,
    not_before: schema::Time,
    not_after: schema::Time,
}

impl From<&Tls> for TlsView {
    fn from(tls: &Tls) -> TlsView {
        TlsView {
            client_certificate: tls.client_facts().into_iter().map(CertificateView::from).collect(),
            client_key: tls.has_client_certificate().then_some(MASK),
            ca: tls.ca_facts().into_iter().map(CertificateView::from).collect(),
            not_after: schema::Time::at(tls.ends_ms),
        }
    }
}

impl From<Certificate> for CertificateView {
    fn from(certificate: Certificate) -> CertificateView {
        CertificateView {
            subject: certificate.subject,
            issuer: certificate.issuer,
            serial: certificate.serial,
            fingerprint_sha256: certificate.fingerprint,
            not_before: schema::Time::at(certificate.not_before_ms),
            not_after: schema::Time::at(certificate.not_after_ms),
        }
    }
}
