//! The end of certificates, in words.

use super::humanize::{date, relative};
use crate::domain::time::Millis;
use crate::domain::tls::{ATTENTION, Tls};
use crate::domain::zone::Zone;

/// Warns of the certificate that ends first, from 30 days before its end on; `None` before.
pub fn warning(tls: &Tls, now: Millis, zone: &Zone) -> Option<String> {
    let end = tls.ends_ms;
    if end > now + ATTENTION {
        return None;
    }
    let chain = tls.client_facts();
    let what = match chain.iter().position(|fact| fact.not_after_ms == end) {
        Some(0) => "The client certificate",
        Some(_) => "An intermediate certificate of the client certificate",
        None => "An additional CA certificate",
    };
    let (verb, day, distance) = (if end > now { "expires" } else { "expired" }, date(end, zone), relative(end, now));
    Some(format!("{what} {verb} {distance} ({day}). Replace it in the webhook's settings."))
}

/// Whose certificate ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Endpoint,
    Webhook,
}

/// Returns the cause of an incident: a certificate that is about to end. `host` has the port.
pub fn cause(whose: Whose, host: &str, ends_ms: Millis) -> String {
    let (host, day) = (super::message::host(host), date(ends_ms, &Zone::UTC));
    match whose {
        Whose::Endpoint => format!("The certificate of {host} expires on {day}. Renew it at the endpoint."),
        Whose::Webhook => {
            format!("A certificate in the webhook's settings for {host} expires on {day}. Replace it there.")
        }
    }
}

/// Warns of the end of an endpoint's certificate.
pub fn endpoint_warning(ends_ms: Millis, now: Millis, zone: &Zone) -> String {
    let verb = if ends_ms > now { "expires" } else { "expired" };
    let (day, distance) = (date(ends_ms, zone), relative(ends_ms, now));
    format!("The endpoint's certificate {verb} {distance} ({day}). Renew it at the endpoint.")
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::domain::time::{DAY, SECOND, parse_rfc3339};
    use crate::domain::tls::TlsSettings;

    fn ending(month: u8) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, month, 1));
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn the_certificate_that_ends_first_is_named_from_30_days_before() {
        let ((client, key), (authority, _)) = (ending(6), ending(7));
        let settings = |chain: String, ca: &str| {
            let settings = TlsSettings {
                client_certificate: Some(Some(chain)),
                client_key: Some(Some(key.clone())),
                ca: Some(Some(ca.to_owned())),
            };
            settings.apply(None, false).unwrap().unwrap()
        };
        let end = parse_rfc3339("2026-06-01T00:00:00Z").unwrap();
        let tls = settings(client.clone(), &authority);
        assert_eq!(warning(&tls, end - 30 * DAY - SECOND, &Zone::UTC), None);
        let text =
            "The client certificate expires in 30 days (1 Jun 2026 00:00 UTC). Replace it in the webhook's settings.";
        assert_eq!(warning(&tls, end - 30 * DAY, &Zone::UTC).as_deref(), Some(text));
        assert!(
            warning(&tls, end + 2 * DAY, &Zone::UTC)
                .unwrap()
                .starts_with("The client certificate expired 2 days ago (1 Jun")
        );
        let (first, _) = ending(5);
        let tls = settings(format!("{client}{first}"), &authority);
        assert!(
            warning(&tls, end, &Zone::UTC)
                .unwrap()
                .starts_with("An intermediate certificate of the client certificate expired")
        );
        let tls = settings(client, &first);
        assert!(warning(&tls, end, &Zone::UTC).unwrap().starts_with("An additional CA certificate expired"));
    }
}
