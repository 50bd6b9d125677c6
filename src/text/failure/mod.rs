//! A failed attempt in words for the developer of the receiver: what happened and what to do.

mod advice;

use std::borrow::Cow;

use super::humanize;
use crate::domain::attempt::{ErrorCode, Failure, FailureCause, Phase, TokenFault};
use crate::domain::target::way_out;
use crate::domain::time::{Millis, parse_retry_after, rfc3339_seconds};
use advice::{advice, status_advice};

/// A failed attempt, with the facts for its texts.
#[derive(Debug, Clone)]
pub struct Failed<'a> {
    pub cause: FailureCause,
    /// Value of the response's `Retry-After` header.
    pub retry_after: Option<&'a str>,
    pub ended_ms: Millis,
    /// URL that the request was sent to.
    pub url: &'a str,
}

/// Returns the failure for a cause, with the sentence for the log. `url` is the URL of the request.
pub fn describe(cause: FailureCause, url: &str) -> Failure {
    let mut message = sentence(&cause, url, None);
    if let FailureCause::TargetBlocked { entry: Some(entry), .. } = &cause
        && let Ok(entry) = entry.parse()
    {
        message = format!("{message} {}", way_out(Some(&entry)));
    }
    Failure { message, cause }
}

/// Describes a failure in a sentence. With `now`, times are relative to it; without, they are absolute.
fn sentence(cause: &FailureCause, url: &str, now: Option<Millis>) -> String {
    let (host, port) = host_and_port(url);
    let everywhere = |addresses: usize| match addresses {
        0 | 1 => String::new(),
        count => format!(" at any of its {count} addresses"),
    };
    match cause {
        FailureCause::TargetBlocked { reason: Some(reason), .. }
        | FailureCause::LookupFailed { reason }
        | FailureCause::LookupUnavailable { reason } => reason.clone(),
        FailureCause::TargetBlocked { reason: None, .. } => {
            format!("Hookpost may not call {host}: the target is not allowed.")
        }
        FailureCause::NoAddress => format!("The name {host} has no address."),
        FailureCause::Refused { addresses } => {
            format!("{host} refused the connection{} (nothing listens on port {port}).", everywhere(*addresses))
        }
        FailureCause::Unreachable { addresses, error } => {
            format!("There is no route to {host}{}: {error}.", everywhere(*addresses))
        }
        FailureCause::ConnectFailed { error: None, .. } => format!("Hookpost could not connect to {host}."),
        FailureCause::ConnectFailed { addresses, error: Some(error) } => {
            format!("Hookpost could not connect to {host}{}: {error}.", everywhere(*addresses))
        }
        FailureCause::NoSocket { error } => {
            format!(
                "Hookpost could not connect to {host}, because its process or machine has too many files open: {error}. Raise the limit of open files."
            )
        }
        FailureCause::Timeout { phase, limit_ms } => {
            let limit = seconds(*limit_ms);
            match phase {
                Phase::Connect => format!("{host} did not accept a connection on port {port} within {limit}."),
                Phase::Handshake => format!("{host} did not finish the TLS handshake within {limit}."),
                Phase::Send => format!("{host} did not read the request within {limit}."),
                Phase::Wait => format!("{host} did not respond within {limit}."),
                Phase::Head => format!("{host} started to respond but did not finish the headers within {limit}."),
                Phase::Body => format!("{host} started to respond but did not finish the body within {limit}."),
            }
        }
        FailureCause::CertificateExpired { not_after_ms } => match (not_after_ms, now) {
            (Some(end), None) => format!("The TLS certificate of {host} expired at {}.", rfc3339_seconds(*end)),
            (Some(end), Some(now)) if *end < now => {
                format!("The TLS certificate of {host} expired {}.", humanize::relative(*end, now))
            }
            _ => format!("The TLS certificate of {host} has expired."),
        },
        FailureCause::CertificateNotYetValid => format!("The TLS certificate of {host} is not valid yet."),
        FailureCause::CertificateUntrusted => {
            format!(
                "The issuer of the TLS certificate of {host} isn't trusted: it is self-signed, from a private authority, or sent without its intermediate certificate."
            )
        }
        FailureCause::CertificateForOtherHost => format!("The TLS certificate of {host} was issued for another host."),
        FailureCause::CertificateInvalid { error } => {
            format!("The TLS certificate of {host} is not acceptable: {error}.")
        }
        FailureCause::NotTls => format!("{host} does not speak TLS on port {port}."),
        FailureCause::ClientCertificateRequired => {
            format!("{host} requires a client certificate, and the webhook has none.")
        }
        FailureCause::ClientCertificateRejected { alert: None, .. } => {
            format!("{host} got no client certificate that it accepts.")
        }
        FailureCause::ClientCertificateRejected { alert: Some(alert), not_after_ms } => {
            client_certificate_rejected(host, alert, *not_after_ms, now)
        }
        FailureCause::TlsAlert { alert } => format!("{host} ended the TLS handshake with the alert {alert}."),
        FailureCause::TlsOutdated { error } => format!("{host} supports neither TLS 1.2 nor TLS 1.3: {error}."),
        FailureCause::TlsFailed { error: None } => format!("TLS with {host} failed."),
        FailureCause::TlsFailed { error: Some(error) } => format!("TLS with {host} failed: {error}."),
        FailureCause::Disconnected { reset, phase } => {
            let verb = if *reset { "reset" } else { "closed" };
            let moment = match phase {
                Phase::Handshake => "during the TLS handshake",
                Phase::Head => "in the middle of the response headers",
                Phase::Body => "in the middle of the response body",
                Phase::Connect | Phase::Send | Phase::Wait => "before it responded",
            };
            format!("{host} {verb} the connection {moment}.")
        }
        FailureCause::UnexpectedUpgrade => {
            format!("{host} answered 101 Switching Protocols, which Hookpost did not ask for.")
        }
        FailureCause::HeadTooLong => {
            format!("The response headers of {host} are longer than 32 KiB, or follow endless interim responses.")
        }
        FailureCause::BodyTooPadded => {
            format!("The response body of {host} has more chunk framing than Hookpost accepts.")
        }
        FailureCause::OnlyTls => format!("{host} speaks TLS on port {port}: use an https:// URL."),
        FailureCause::NotHttp { first_bytes } if first_bytes.is_empty() => {
            format!("{host} did not return valid HTTP.")
        }
        FailureCause::NotHttp { first_bytes } => {
            format!("{host} did not return valid HTTP/1; the response begins with \"{first_bytes}\".")
        }
        FailureCause::MalformedResponse { error } => format!("{host} did not return valid HTTP: {error}."),
        FailureCause::RequestFailed { error } => format!("The request to {host} could not be made: {error}."),
        FailureCause::Status { code: code @ (300..=303 | 305..=399) } => {
            format!("{host} answered {}; redirects are not followed.", status_words(*code))
        }
        FailureCause::Status { code } => format!("{host} answered {}.", status_words(*code)),
        FailureCause::TokenUnavailable { cause: None, .. } => "The token endpoint gave no access token.".to_owned(),
        FailureCause::TokenUnavailable { origin, cause: Some(cause) } => {
            format!("The token endpoint gave no access token. {}", sentence(cause, origin, now))
        }
        FailureCause::TokenRefused { origin, code, error, description } => {
            let mut text = sentence(&FailureCause::Status { code: *code }, origin, now);
            let said: Vec<String> =
                [error, description].into_iter().flatten().map(|said| format!("\"{said}\"")).collect();
            if !said.is_empty() {
                text.insert_str(text.len() - 1, &format!(": {}", said.join(", ")));
            }
            format!("The token endpoint gave no access token. {text}")
        }
        FailureCause::TokenMalformed { origin, fault } => {
            let (host, _) = host_and_port(origin);
            format!("The token endpoint gave no access token. The response of {host} {}.", token_fault(fault))
        }
        FailureCause::EventDamaged => {
            "The stored event or delivery is damaged (it cannot be read, or its checksum does not match), so nothing was sent.".to_owned()
        }
        FailureCause::ComposeFailed { error: None } => "The request body could not be composed.".to_owned(),
        FailureCause::ComposeFailed { error: Some(error) } => {
            format!("The request body could not be composed from the event: {error}")
        }
        FailureCause::TemplateFailed { error: None } => {
            "The template failed with this event, so nothing was sent.".to_owned()
        }
        FailureCause::TemplateFailed { error: Some(error) } => {
            format!("The template failed with this event, so nothing was sent. {error}")
        }
        FailureCause::WorkerPanic => "A fault in Hookpost interrupted the attempt.".to_owned(),
    }
}

/// Fault of a token endpoint's response, as the end of a sentence about it.
fn token_fault(fault: &TokenFault) -> String {
    match fault {
        TokenFault::TooLong => "is longer than 16 KiB".to_owned(),
        TokenFault::NotJson => "is not a JSON object".to_owned(),
        TokenFault::NoAccessToken { bytes } => {
            format!("has no access_token of 1 to {bytes} printable ASCII characters")
        }
        TokenFault::TokenType { found: None } => "has no token_type; it must be Bearer".to_owned(),
        TokenFault::TokenType { found: Some(found) } => format!("has the token_type \"{found}\"; it must be Bearer"),
        TokenFault::ExpiresIn => "has an expires_in that is not a number of seconds".to_owned(),
    }
}

impl Failed<'_> {
    /// Describes the failure in a sentence, with times relative to `now`.
    pub fn sentence(&self, now: Millis) -> String {
        sentence(&self.cause, self.url, Some(now))
    }

    /// Returns advice for the receiver's developer, one or two sentences.
    pub fn advice(&self) -> Cow<'static, str> {
        let FailureCause::Status { code } = self.cause else {
            return advice(&self.cause).into();
        };
        let asked_wait = self.retry_after.and_then(|value| parse_retry_after(value, self.ended_ms));
        let asked_wait = asked_wait.filter(|wait| *wait > 0).map(humanize::duration);
        match (code, asked_wait) {
            (429, Some(wait)) => format!(
                "The receiver asked for {wait} without requests; Hookpost waits that long, but no more than a day. Set a rate limit on the webhook to stay below the receiver's."
            )
            .into(),
            (503, Some(wait)) => format!(
                "The receiver is down for maintenance or overloaded and asked for {wait} without requests; Hookpost waits that long, but no more than a day."
            )
            .into(),
            _ => status_advice(code).into(),
        }
    }

    /// A few words for a list: `TLS expired`, `refused`, `timeout after 5 s`, `503`.
    pub fn short(&self) -> String {
        match &self.cause {
            FailureCause::Timeout { phase: Phase::Connect, limit_ms } => {
                return format!("no connection after {}", seconds(*limit_ms));
            }
            FailureCause::Timeout { limit_ms, .. } => return format!("timeout after {}", seconds(*limit_ms)),
            FailureCause::CertificateNotYetValid => "TLS not valid yet",
            FailureCause::Status { code } => return code.to_string(),
            cause => match cause.code() {
                ErrorCode::TargetBlocked => "blocked",
                ErrorCode::DnsFailed => "DNS failed",
                ErrorCode::ConnectRefused => "refused",
                ErrorCode::ConnectFailed | ErrorCode::ConnectTimeout => "no connection",
                ErrorCode::TlsExpired => "TLS expired",
                ErrorCode::TlsUntrusted => "TLS untrusted",
                ErrorCode::TlsWrongHost => "TLS wrong host",
                ErrorCode::TlsClientCertificate => "client certificate",
                ErrorCode::TlsFailed => "TLS failed",
                ErrorCode::ConnectionReset => "connection broke",
                ErrorCode::Timeout => "timeout",
                ErrorCode::ProtocolError => "not HTTP",
                ErrorCode::Status => "not a 2xx",
                ErrorCode::TokenFailed => "no access token",
                ErrorCode::EventDamaged => "event damaged",
                ErrorCode::ComposeFailed => "not composed",
                ErrorCode::TemplateFailed => "template failed",
                ErrorCode::WorkerPanic => "fault in Hookpost",
            },
        }
        .to_owned()
    }
}

fn client_certificate_rejected(host: &str, alert: &str, not_after_ms: Option<Millis>, now: Option<Millis>) -> String {
    let reason = match alert {
        "CertificateExpired" => "it has expired".to_owned(),
        "CertificateRevoked" => "it was revoked".to_owned(),
        "UnknownCA" => "its issuer is not trusted".to_owned(),
        alert => format!("TLS alert {alert}"),
    };
    let end = match (not_after_ms, now) {
        (Some(end), Some(now)) if end < now => format!(" (expired {})", humanize::relative(end, now)),
        (Some(end), _) => format!(" (valid until {})", rfc3339_seconds(end)),
        (None, _) => String::new(),
    };
    format!("{host} rejected the webhook's client certificate{end}: {reason}.")
}

/// Returns a status code with its name, if it has one: `503 Service Unavailable`.
pub fn status_words(code: u16) -> String {
    let name = match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ => return code.to_string(),
    };
    format!("{code} {name}")
}

fn seconds(ms: Millis) -> String {
    format!("{} s", ms as f64 / 1000.0)
}

/// Returns the host of a URL and the port that the client connects to.
pub(super) fn host_and_port(url: &str) -> (&str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let usual = if scheme == "http" { "80" } else { "443" };
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, usual),
    }
}

#[cfg(test)]
mod tests;
