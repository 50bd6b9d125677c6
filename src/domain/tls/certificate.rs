//! Facts of an X.509 certificate, for people.

use sha2::{Digest as _, Sha256};
use x509_cert::der::{self, Decode as _};
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::time::Time;

use crate::domain::time::Millis;

/// Contents of a certificate. Names are written as in RFC 4514, numbers as OpenSSL prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// `CN=client,O=Example`.
    pub subject: String,
    pub issuer: String,
    /// `0A1B2C`.
    pub serial: String,
    /// `AB:CD:…`, the SHA-256 of the certificate.
    pub fingerprint: String,
    pub not_before_ms: Millis,
    pub not_after_ms: Millis,
    /// `true` for an authority: basic constraints allow it to issue certificates.
    pub is_authority: bool,
}

impl Certificate {
    pub(super) fn parse(bytes: &[u8]) -> Result<Certificate, der::Error> {
        let parsed = x509_cert::Certificate::from_der(bytes)?;
        let parsed = parsed.tbs_certificate();
        let constraints = parsed.get_extension::<BasicConstraints>()?;
        Ok(Certificate {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            serial: hex::encode_upper(parsed.serial_number().as_bytes()),
            fingerprint: Sha256::digest(bytes).map(|byte| format!("{byte:02X}")).join(":"),
            not_before_ms: millis(&parsed.validity().not_before),
            not_after_ms: millis(&parsed.validity().not_after),
            is_authority: constraints.is_some_and(|(_, constraints)| constraints.ca),
        })
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

fn millis(time: &Time) -> Millis {
    Millis::try_from(time.to_unix_duration().as_millis()).unwrap_or(Millis::MAX)
}
