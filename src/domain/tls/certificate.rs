//! Facts of an X.509 certificate, for people.

use sha2::{Digest as _, Sha256};
use x509_cert::der::{self, Decode as _};
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::time::Time;

use crate::domain::time::{DAY, Millis};

const WEEK: Millis = 7 * DAY;

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

    pub(super) fn validity(&self) -> Validity {
        Validity { from_ms: self.not_before_ms, to_ms: self.not_after_ms }
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

/// Time in which a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub from_ms: Millis,
    pub to_ms: Millis,
}

impl Validity {
    /// Reads it from a certificate; `None` if that is invalid.
    pub fn read(bytes: &[u8]) -> Option<Validity> {
        let parsed = x509_cert::Certificate::from_der(bytes).ok()?;
        let validity = parsed.tbs_certificate().validity();
        Some(Validity { from_ms: millis(&validity.not_before), to_ms: millis(&validity.not_after) })
    }

    /// Returns from when on somebody should renew the certificate: a week before its end. Programs renew certificates that
    /// live for days only, and do so earlier than in the last third of their lives.
    pub fn overdue_ms(&self) -> Millis {
        self.to_ms - WEEK.min(self.to_ms.saturating_sub(self.from_ms).max(0) / 3)
    }
}

fn millis(time: &Time) -> Millis {
    Millis::try_from(time.to_unix_duration().as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::HOUR;

    #[test]
    fn a_certificate_is_overdue_a_week_before_its_end_and_a_short_lived_one_in_its_last_third() {
        let overdue = |from_ms, to_ms| to_ms - Validity { from_ms, to_ms }.overdue_ms();
        assert_eq!(overdue(0, 90 * DAY), WEEK);
        assert_eq!(overdue(0, 6 * DAY), 2 * DAY);
        assert_eq!(overdue(0, 24 * HOUR), 8 * HOUR);
        assert_eq!(overdue(DAY, 0), 0, "it was never valid");
        assert_eq!(Validity { from_ms: Millis::MIN, to_ms: Millis::MAX }.overdue_ms(), Millis::MAX - WEEK);
        assert_eq!(Validity::read(b"no certificate"), None);
    }
}
