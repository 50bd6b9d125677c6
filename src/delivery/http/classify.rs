//! From the error that ended an exchange to the cause of its failure.

use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

use crate::delivery::http::client::RawOutcome;
use crate::delivery::http::exchange::{Exchange, Fault};
use crate::domain::attempt::{FailureCause, Phase};
use crate::domain::time::{Millis, SECOND};

/// The first byte of a TLS record that carries an alert, and its protocol's first version byte.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// Returns why an exchange failed; `None` for a complete 2xx response.
pub fn cause(outcome: &RawOutcome, exchange: &Exchange) -> Option<FailureCause> {
    // The HTTP library takes a connection that breaks for the end of a body that has no other end.
    let broke_in_body = exchange.phase == Phase::Body && matches!(exchange.fault, Some(Fault::Broken));
    match (&outcome.answer, &outcome.error) {
        (Some(response), None) if !response.body_truncated && broke_in_body => Some(disconnected(exchange)),
        (Some(response), None) => of_status(response.code),
        (_, error) => Some(of_error(error.as_ref(), exchange)),
    }
}

/// Returns why a complete response counts as a failure; `None` for a 2xx.
pub fn of_status(code: u16) -> Option<FailureCause> {
    match code {
        200..=299 => None,
        101 => Some(FailureCause::UnexpectedUpgrade),
        _ => Some(FailureCause::Status { code }),
    }
}

fn of_error(error: Option<&ureq::Error>, exchange: &Exchange) -> FailureCause {
    // The response itself was at fault, whatever happened to the connection.
    let is_malformed = matches!(error, Some(ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..)));
    match &exchange.fault {
        Some(Fault::Deadline) => {
            let phase = if exchange.phase == Phase::Send { Phase::Send } else { response_phase(exchange) };
            let limit = exchange.deadline.saturating_duration_since(exchange.started);
            FailureCause::Timeout { phase, limit_ms: limit.as_millis() as Millis }
        }
        Some(Fault::Connect(error)) => unconnected(error, exchange),
        Some(Fault::Tls(error)) => insecure(error, exchange),
        Some(Fault::TooLong) if exchange.phase == Phase::Body => FailureCause::BodyTooPadded,
        Some(Fault::TooLong) => FailureCause::HeadTooLong,
        Some(Fault::Closed | Fault::Broken) if !is_malformed => disconnected(exchange),
        _ => not_http(error, exchange),
    }
}

/// Returns the phase that the exchange is in, judged by the bytes of the response that arrived: they can
/// come while the request is still being sent.
fn response_phase(exchange: &Exchange) -> Phase {
    match exchange.phase {
        Phase::Send | Phase::Wait | Phase::Head if exchange.received > 0 => Phase::Head,
        Phase::Send | Phase::Wait | Phase::Head => Phase::Wait,
        phase => phase,
    }
}

fn disconnected(exchange: &Exchange) -> FailureCause {
    let reset = matches!(exchange.fault, Some(Fault::Broken));
    FailureCause::Disconnected { reset, phase: response_phase(exchange) }
}

fn unconnected(error: &io::Error, exchange: &Exchange) -> FailureCause {
    let addresses = exchange.addresses.len();
    let is_out_of_files = |errno: rustix::io::Errno| error.raw_os_error() == Some(errno.raw_os_error());
    match error.kind() {
        _ if is_out_of_files(rustix::io::Errno::MFILE) || is_out_of_files(rustix::io::Errno::NFILE) => {
            FailureCause::NoSocket { error: error.to_string() }
        }
        io::ErrorKind::ConnectionRefused => FailureCause::Refused { addresses },
        io::ErrorKind::TimedOut => {
            let limit_ms = exchange.started.elapsed().as_millis() as Millis;
            FailureCause::Timeout { phase: Phase::Connect, limit_ms }
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            FailureCause::Unreachable { addresses, error: error.to_string() }
        }
        _ => FailureCause::ConnectFailed { addresses, error: Some(error.to_string()) },
    }
}

fn insecure(error: &rustls::Error, exchange: &Exchange) -> FailureCause {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(error) => of_certificate(error),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => FailureCause::NotTls,
        Tls::AlertReceived(alert) if concerns_client(*alert, exchange.wants_certificate) => {
            match exchange.tls.as_ref().and_then(|tls| tls.client_facts().into_iter().next()) {
                Some(sent) => FailureCause::ClientCertificateRejected {
                    alert: Some(format!("{alert:?}")),
                    not_after_ms: Some(sent.not_after_ms),
                },
                None => FailureCause::ClientCertificateRequired,
            }
        }
        Tls::AlertReceived(alert) => FailureCause::TlsAlert { alert: format!("{alert:?}") },
        Tls::PeerIncompatible(reason) => FailureCause::TlsOutdated { error: format!("{reason:?}") },
        other => FailureCause::TlsFailed { error: Some(other.to_string()) },
    }
}

/// Whether an alert is about the client's certificate, or the lack of one. Before TLS 1.3, and by some servers after it, it is
/// a general one, which can only be about that once the server has asked for a certificate.
fn concerns_client(alert: AlertDescription, wants_certificate: bool) -> bool {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => true,
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::HandshakeFailure => wants_certificate,
        _ => false,
    }
}

fn of_certificate(error: &CertificateError) -> FailureCause {
    use CertificateError as Certificate;
    match error {
        Certificate::ExpiredContext { not_after, .. } => {
            let end_s = i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX);
            FailureCause::CertificateExpired { not_after_ms: Some(end_s.saturating_mul(SECOND)) }
        }
        Certificate::Expired => FailureCause::CertificateExpired { not_after_ms: None },
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => FailureCause::CertificateNotYetValid,
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            FailureCause::CertificateForOtherHost
        }
        // The signature is bad, too, when an issuer only shares its name with a trusted one.
        Certificate::UnknownIssuer | Certificate::BadSignature => FailureCause::CertificateUntrusted,
        // A certificate from `openssl req -x509` calls itself an authority, which the check refuses before it looks
        // for the issuer.
        Certificate::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            FailureCause::CertificateUntrusted
        }
        other => FailureCause::CertificateInvalid { error: other.to_string() },
    }
}

fn not_http(error: Option<&ureq::Error>, exchange: &Exchange) -> FailureCause {
    let first_bytes = exchange.first_bytes();
    if first_bytes.starts_with(&TLS_ALERT) {
        return FailureCause::OnlyTls;
    }
    if !first_bytes.is_empty() && !first_bytes.starts_with(b"HTTP/1.") {
        return FailureCause::NotHttp { first_bytes: first_bytes.escape_ascii().to_string() };
    }
    match error {
        Some(ureq::Error::Protocol(error)) => FailureCause::MalformedResponse { error: error.to_string() },
        Some(ureq::Error::LargeResponseHeader(..)) => FailureCause::HeadTooLong,
        Some(error) => FailureCause::RequestFailed { error: error.to_string() },
        None => FailureCause::NotHttp { first_bytes: String::new() },
    }
}
