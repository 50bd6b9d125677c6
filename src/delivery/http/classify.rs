//! From what happened on the wire to the code and the sentence that the log shows.
//!
//! The sentences are for the person who looks for the reason: they name the host, what happened and, where it
//! helps, what to do.

use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, InvalidMessage};
use ureq::http::StatusCode;

use crate::delivery::http::client::RawOutcome;
use crate::delivery::http::exchange::{Exchange, Fault, Phase};
use crate::domain::attempt::{ErrorCode, Failure, ReceiverResponse};
use crate::domain::time::{SECOND, rfc3339_seconds};

/// The first byte of a TLS record that carries an alert, and its protocol's first version byte.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// The failure that an exchange amounts to; `None` for a whole 2xx answer.
pub fn failure(outcome: &RawOutcome, exchange: &Exchange, url: &str, timeout: Duration) -> Option<Failure> {
    let host = host_of(url);
    match (&outcome.answer, &outcome.error) {
        (Some(answer), None) if !answer.body_truncated && broke_in_body(exchange) => Some(broken(exchange, host)),
        (Some(answer), None) => of_status(answer, host),
        (_, error) => Some(of_error(error.as_ref(), exchange, host, timeout)),
    }
}

/// The failure of a target whose name stands for nothing.
pub fn no_address(url: &str) -> Failure {
    Failure::new(ErrorCode::DnsFailed, format!("The name of {} has no address.", host_of(url)))
}

/// The HTTP library takes a connection that breaks for the end of a body that has no other end.
fn broke_in_body(exchange: &Exchange) -> bool {
    exchange.phase == Phase::Body && matches!(exchange.fault, Some(Fault::Broken))
}

pub fn of_status(answer: &ReceiverResponse, host: &str) -> Option<Failure> {
    let status = StatusCode::from_u16(answer.code).ok()?;
    if status.is_success() {
        return None;
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let message = format!("{host} answered 101 Switching Protocols, which nobody had asked for.");
        return Some(Failure::new(ErrorCode::ProtocolError, message));
    }
    let mut message = format!("The endpoint answered {}", answer.code);
    if let Some(reason) = status.canonical_reason() {
        message.push(' ');
        message.push_str(reason);
    }
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        message.push_str("; redirects are not followed: enter the final URL instead");
    }
    message.push('.');
    Some(Failure::new(ErrorCode::Status, message))
}

fn of_error(error: Option<&ureq::Error>, exchange: &Exchange, host: &str, timeout: Duration) -> Failure {
    match &exchange.fault {
        Some(Fault::Deadline) => late(exchange.phase, exchange.received, host, timeout),
        Some(Fault::Connect(error)) => unconnected(error, exchange, host),
        Some(Fault::Tls(error)) => insecure(error, host),
        Some(Fault::TooLong) => Failure::new(ErrorCode::ProtocolError, too_long(exchange.phase, host)),
        Some(Fault::Closed | Fault::Broken) if !breaks_protocol(error) => broken(exchange, host),
        _ => no_http(error, exchange, host),
    }
}

/// Whether it was the answer itself that was at fault, whatever became of the connection.
fn breaks_protocol(error: Option<&ureq::Error>) -> bool {
    matches!(error, Some(ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..)))
}

fn late(phase: Phase, received: usize, host: &str, timeout: Duration) -> Failure {
    let seconds = timeout.as_secs_f64();
    let doing = match phase {
        Phase::Connect => {
            let message = format!(
                "{host} did not accept a connection within {seconds} s: the machine is off, or a firewall drops the request."
            );
            return Failure::new(ErrorCode::ConnectTimeout, message);
        }
        Phase::Handshake => "in the TLS handshake",
        Phase::Send => "while the request was being sent: the endpoint does not read it",
        Phase::Head if received == 0 => "while waiting for the answer",
        Phase::Head => "while reading the head of the answer",
        Phase::Body => "while reading the body of the answer",
    };
    Failure::new(ErrorCode::Timeout, format!("The time limit of {seconds} s for {host} passed {doing}."))
}

fn unconnected(error: &io::Error, exchange: &Exchange, host: &str) -> Failure {
    let count = match exchange.addresses.len() {
        0 | 1 => String::new(),
        count => format!(" at any of its {count} addresses"),
    };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::new(
            ErrorCode::ConnectRefused,
            format!("{host} refused the connection{count}: nothing listens on that port."),
        ),
        io::ErrorKind::TimedOut => Failure::new(
            ErrorCode::ConnectTimeout,
            format!("{host} did not accept a connection{count}: the machine is off, or a firewall drops the request."),
        ),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Failure::new(ErrorCode::ConnectFailed, format!("There is no route to {host}{count}: {error}."))
        }
        _ => {
            Failure::new(ErrorCode::ConnectFailed, format!("A connection to {host} could not be made{count}: {error}."))
        }
    }
}

fn insecure(error: &rustls::Error, host: &str) -> Failure {
    use rustls::Error as Tls;
    let (code, message) = match error {
        Tls::InvalidCertificate(certificate) => of_certificate(certificate, host),
        Tls::InvalidMessage(InvalidMessage::InvalidContentType) => (
            ErrorCode::TlsFailed,
            format!("{host} does not speak TLS on this port: use its https port, or an http:// URL."),
        ),
        Tls::AlertReceived(AlertDescription::CertificateRequired) => {
            (ErrorCode::TlsFailed, format!("{host} asks for a client certificate, which is not supported."))
        }
        Tls::AlertReceived(alert) => (ErrorCode::TlsFailed, format!("{host} broke off TLS with the alert {alert:?}.")),
        Tls::PeerIncompatible(reason) => (
            ErrorCode::TlsFailed,
            format!("{host} offers no TLS that is still considered safe (1.2 or 1.3 is needed): {reason:?}."),
        ),
        other => (ErrorCode::TlsFailed, format!("TLS with {host} failed: {other}.")),
    };
    Failure::new(code, message)
}

fn of_certificate(error: &CertificateError, host: &str) -> (ErrorCode, String) {
    use CertificateError as Certificate;
    match error {
        Certificate::ExpiredContext { not_after, .. } => {
            let end = i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX);
            let end = rfc3339_seconds(end.saturating_mul(SECOND));
            (ErrorCode::TlsExpired, format!("The certificate of {host} expired at {end}: it must be renewed there."))
        }
        Certificate::Expired => {
            (ErrorCode::TlsExpired, format!("The certificate of {host} has expired: it must be renewed there."))
        }
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => (
            ErrorCode::TlsExpired,
            format!("The certificate of {host} is not valid yet: one of the two clocks may be wrong."),
        ),
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            (ErrorCode::TlsWrongHost, format!("The certificate of {host} was issued for another host."))
        }
        // The signature is bad, too, when an issuer only shares its name with one that we trust.
        Certificate::UnknownIssuer | Certificate::BadSignature => (ErrorCode::TlsUntrusted, untrusted(host)),
        // A certificate made with `openssl req -x509` calls itself an authority; the check stops at that, before
        // it looks for the issuer.
        Certificate::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            (ErrorCode::TlsUntrusted, untrusted(host))
        }
        other => (ErrorCode::TlsFailed, format!("The certificate of {host} cannot be accepted: {other}.")),
    }
}

fn untrusted(host: &str) -> String {
    format!(
        "The certificate of {host} was issued by nobody we trust: it is self-signed, from a private authority, \
         or sent without its intermediate certificate."
    )
}

fn broken(exchange: &Exchange, host: &str) -> Failure {
    if exchange.phase == Phase::Handshake {
        let message = format!("{host} broke off the connection in the TLS handshake.");
        return Failure::new(ErrorCode::TlsFailed, message);
    }
    let what = match exchange.fault {
        Some(Fault::Broken) => "reset",
        _ => "closed",
    };
    let place = match exchange.phase {
        Phase::Body => "inside the body of its answer",
        _ if exchange.received > 0 => "inside the head of its answer",
        _ => "before it had answered",
    };
    Failure::new(ErrorCode::ConnectionReset, format!("{host} {what} the connection {place}."))
}

fn too_long(phase: Phase, host: &str) -> String {
    match phase {
        Phase::Body => format!("The answer of {host} has more padding around its body than an HTTP answer needs."),
        _ => format!("The head of the answer of {host} is too long: more than 32 KiB, or interim answers without end."),
    }
}

fn no_http(error: Option<&ureq::Error>, exchange: &Exchange, host: &str) -> Failure {
    let first = exchange.first_bytes();
    let message = if first.starts_with(&TLS_ALERT) {
        format!("{host} speaks TLS on this port: use an https:// URL.")
    } else if !first.is_empty() && !first.starts_with(b"HTTP/1.") {
        format!("What {host} answered is not HTTP/1; it begins with \"{}\".", first.escape_ascii())
    } else {
        match error {
            Some(ureq::Error::Protocol(error)) => {
                format!("The answer of {host} breaks the rules of HTTP: {error}.")
            }
            Some(ureq::Error::LargeResponseHeader(..)) => too_long(Phase::Head, host),
            Some(error) => format!("The request to {host} could not be made: {error}."),
            None => format!("The exchange with {host} failed."),
        }
    };
    Failure::new(ErrorCode::ProtocolError, message)
}

/// The host, with its port if the URL names one.
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}
