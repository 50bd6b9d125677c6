//! A failed attempt in words for the developer of the receiver: what happened, what it means, what to do.
//!
//! Where the client left a sentence in the log that knows more than the code says, that sentence is taken.

use std::borrow::Cow;

use super::humanize;
use crate::domain::attempt::ErrorCode;
use crate::domain::time::{Millis, SECOND, parse_retry_after, parse_rfc3339};

/// What is known of a failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    pub error_code: ErrorCode,
    /// The code of the answer, where one came.
    pub code: Option<u16>,
    /// The sentence of the log; lists do without it.
    pub message: Option<&'a str>,
    /// The value of a `Retry-After` header.
    pub retry_after: Option<&'a str>,
    pub duration_ms: Millis,
    /// When the attempt began.
    pub at_ms: Millis,
    /// The URL that it went to.
    pub url: &'a str,
}

impl Failed<'_> {
    /// What happened, as a sentence.
    pub fn sentence(&self, now: Millis) -> String {
        let (host, port) = host_and_port(self.url);
        let logged = |otherwise: String| self.logged().unwrap_or(otherwise);
        match self.error_code {
            ErrorCode::TargetBlocked => {
                logged(format!("Hookpost may not call {host}: its operator has not allowed this target."))
            }
            ErrorCode::DnsFailed => logged(format!("The name {host} has no address.")),
            ErrorCode::ConnectRefused => {
                format!("{host} refused the connection (nothing listens on port {port}).")
            }
            ErrorCode::ConnectFailed => logged(format!("No connection to {host} could be made.")),
            ErrorCode::ConnectTimeout => {
                format!("{host} did not accept a connection on port {port} within {}.", limit(self.duration_ms))
            }
            ErrorCode::TlsExpired => self.expired(host, now),
            ErrorCode::TlsUntrusted => {
                format!("TLS certificate of {host} was issued by nobody that is trusted.")
            }
            ErrorCode::TlsWrongHost => {
                format!("TLS certificate of {host} was issued for another host.")
            }
            ErrorCode::TlsFailed => logged(format!("TLS with {host} failed.")),
            ErrorCode::ConnectionReset => logged(format!("{host} broke off the connection before it had answered.")),
            ErrorCode::Timeout => self.late(host),
            ErrorCode::ProtocolError => logged(format!("What {host} answered is not HTTP.")),
            ErrorCode::EventDamaged => {
                "The stored event is damaged: it does not match its checksum. It was not sent.".to_owned()
            }
            ErrorCode::ComposeFailed => {
                logged("The request could not be composed from the event and the webhook's profile.".to_owned())
            }
            ErrorCode::WorkerPanic => {
                "A fault in Hookpost interrupted the attempt; it is not the receiver's.".to_owned()
            }
            ErrorCode::Status => match self.code {
                Some(code) => format!("{host} answered {}.", status_words(code)),
                None => logged(format!("{host} did not answer with a 2xx.")),
            },
        }
    }

    /// What to do about it, and what it means where that is not plain.
    pub fn advice(&self) -> Cow<'static, str> {
        let fixed = match self.error_code {
            ErrorCode::Status => return self.status_advice(),
            ErrorCode::TargetBlocked => {
                "Use a public https:// URL, or have the operator allow this one with --allow-target."
            }
            ErrorCode::DnsFailed => "Check the host in the URL for a typing error, and its DNS records.",
            ErrorCode::ConnectRefused => {
                "Start the receiver, or correct the port in the URL; a firewall can refuse as well."
            }
            ErrorCode::ConnectFailed => {
                "Check that the receiver's machine and its network are up, and that it can be reached from outside."
            }
            ErrorCode::ConnectTimeout => {
                "The machine is off, or a firewall drops the request: check both, and the port in the URL."
            }
            ErrorCode::TlsExpired => {
                "Renew the certificate at the receiver. Where it is valid, compare the clocks of both machines."
            }
            ErrorCode::TlsUntrusted => {
                "Use a certificate of a public authority and send it with its intermediate certificates; a self-signed \
                 one is not accepted."
            }
            ErrorCode::TlsWrongHost => "Use the host that the certificate names in the URL, or get one for this host.",
            ErrorCode::TlsFailed => {
                "Check the receiver's TLS settings: 1.2 or 1.3, on the port of the URL, without a client certificate."
            }
            ErrorCode::ConnectionReset => {
                "Look in the receiver's log for a crash or a limit at that time; a proxy before it may have closed the connection."
            }
            ErrorCode::Timeout => {
                "Answer 2xx first and do the work afterwards, in a queue; the webhook's timeout_s can be raised to 30."
            }
            ErrorCode::ProtocolError => {
                "Check that the URL names an HTTP server, the right port, and https:// or http:// as it speaks."
            }
            ErrorCode::EventDamaged => "Check the disk that Hookpost stores its data on, then publish the event again.",
            ErrorCode::ComposeFailed => {
                "Compare the event's data with the webhook's profile. The receiver got nothing."
            }
            ErrorCode::WorkerPanic => "The receiver may have got the request. Please report it with Hookpost's log.",
        };
        Cow::Borrowed(fixed)
    }

    /// A few words for a list: `TLS expired`, `refused`, `timeout after 5 s`, `503`.
    pub fn short(&self) -> String {
        match self.error_code {
            ErrorCode::TargetBlocked => "blocked".to_owned(),
            ErrorCode::DnsFailed => "DNS failed".to_owned(),
            ErrorCode::ConnectRefused => "refused".to_owned(),
            ErrorCode::ConnectFailed => "no connection".to_owned(),
            ErrorCode::ConnectTimeout => {
                format!("no connection after {}", limit(self.duration_ms))
            }
            ErrorCode::TlsExpired if self.is_early() => "TLS not valid yet".to_owned(),
            ErrorCode::TlsExpired => "TLS expired".to_owned(),
            ErrorCode::TlsUntrusted => "TLS untrusted".to_owned(),
            ErrorCode::TlsWrongHost => "TLS wrong host".to_owned(),
            ErrorCode::TlsFailed => "TLS failed".to_owned(),
            ErrorCode::ConnectionReset => "connection broke".to_owned(),
            ErrorCode::Timeout => format!("timeout after {}", limit(self.duration_ms)),
            ErrorCode::ProtocolError => "not HTTP".to_owned(),
            ErrorCode::EventDamaged => "event damaged".to_owned(),
            ErrorCode::ComposeFailed => "cannot be composed".to_owned(),
            ErrorCode::WorkerPanic => "fault in Hookpost".to_owned(),
            ErrorCode::Status => match self.code {
                Some(code) => code.to_string(),
                None => "not a 2xx".to_owned(),
            },
        }
    }

    fn logged(&self) -> Option<String> {
        self.message.filter(|message| !message.is_empty()).map(str::to_owned)
    }

    fn is_early(&self) -> bool {
        self.message.is_some_and(|message| message.contains("not valid yet"))
    }

    /// The client writes the end of a certificate's time into its sentence as RFC 3339.
    fn expired(&self, host: &str, now: Millis) -> String {
        if self.is_early() {
            return format!("TLS certificate of {host} is not valid yet.");
        }
        let mut parts = self.message.unwrap_or_default().split(' ');
        match parts.find_map(|word| parse_rfc3339(word.trim_end_matches([':', ','])).ok()) {
            Some(end) if end < now => {
                format!("TLS certificate of {host} expired {}.", humanize::relative(end, now))
            }
            _ => format!("TLS certificate of {host} has expired."),
        }
    }

    /// The log knows in which phase the time ran out; waiting for the answer is the usual one.
    fn late(&self, host: &str) -> String {
        let limit = limit(self.duration_ms);
        let message = self.message.unwrap_or_default();
        let phases = [
            ("in the TLS handshake", format!("{host} did not finish the TLS handshake within {limit}.")),
            ("being sent", format!("{host} did not read the request within {limit}.")),
            ("reading the head", format!("{host} began to answer and did not finish the head within {limit}.")),
            ("reading the body", format!("{host} began to answer and did not finish the body within {limit}.")),
        ];
        let known = phases.into_iter().find(|(words, _)| message.contains(words));
        known.map_or_else(|| format!("{host} did not answer within {limit}."), |(_, sentence)| sentence)
    }

    fn status_advice(&self) -> Cow<'static, str> {
        let code = self.code.unwrap_or_default();
        Cow::Borrowed(match code {
            301 | 308 => {
                "Redirects are not followed. Set the URL of the webhook to the new one, in the Location header of the answer."
            }
            302 | 303 | 307 => {
                "Redirects are not followed. Set the URL to the one that answers itself; a redirect to a login page means that the path is not open to webhooks."
            }
            304 => "Nothing was asked that could be unmodified: a cache or proxy may answer in place of the receiver.",
            400 => {
                "The receiver did not understand the body: compare it with what the handler expects, and look in its log."
            }
            401 => {
                "The receiver did not accept the signature or its own credentials: check the secret on both sides, that the raw body is verified, and custom headers such as Authorization."
            }
            403 => {
                "The receiver, or a firewall before it, forbids the request: check the signature check, CSRF protection and address rules on this path."
            }
            404 => "There is nothing at this path: check the URL, and that the handler is deployed there.",
            405 => "The path exists and takes no POST: let the handler accept POST, or correct the path.",
            406 => "The receiver finds no form to answer in: let the handler answer 204 with no body.",
            408 => "The receiver, or a proxy before it, gave up waiting for the request: check their time limits.",
            409 => "The receiver saw a conflict, often an event that it has already: answer 2xx to what is known.",
            410 => {
                "The receiver asks for no more deliveries. If that was not meant, correct it there before the webhook sends again."
            }
            411 | 412 | 417 | 421 | 426 | 431 => {
                "A proxy before the receiver refuses this kind of request: look in its log and its rules."
            }
            413 => {
                "The body is too large for the receiver: raise its limit (in a proxy too); Hookpost sends events of more than 1 MiB where its operator allows them."
            }
            414 => "The URL is too long for the receiver: shorten its query.",
            415 => "The receiver does not take application/json: let the handler accept it.",
            422 => "The receiver read the body and refused what it says: look in its log for the rule that failed.",
            425 => "The receiver is not ready for the request yet; the schedule tries again.",
            429 => return self.too_many(),
            451 => "The receiver may not answer for legal reasons; only its operator can say why.",
            500 => "The receiver's own code failed: look for the exception in its log at that time.",
            501 => "The receiver does not know this method: let the handler accept POST.",
            502 => "A proxy got no proper answer from the receiver behind it: check that the application runs.",
            503 => return self.unavailable(),
            504 => "A proxy waited for the receiver behind it in vain: answer 2xx first and do the work afterwards.",
            507 => "The receiver has no room left: free disk space there.",
            520..=527 | 530 => {
                "Cloudflare could not get an answer from the receiver behind it: check that machine, its certificate and its firewall."
            }
            _ => match code / 100 {
                1 => "An interim answer came where the final one was due: check the server and the proxies before it.",
                3 => "Redirects are not followed. Set the URL of the webhook to the final one.",
                4 => "The receiver refused the request: look in its log for the reason.",
                5 => "The receiver failed: look in its log at that time.",
                _ => "This is no status of HTTP: check what answers at this URL.",
            },
        })
    }

    fn too_many(&self) -> Cow<'static, str> {
        Cow::Owned(match self.asked_wait() {
            Some(wait) => format!(
                "The receiver asked for {wait} without requests, which is kept (a day at most). Set a rate limit for the webhook to stay below its own."
            ),
            None => "The receiver gets more requests than it takes: set a rate limit for the webhook, or let the receiver say Retry-After.".to_owned(),
        })
    }

    fn unavailable(&self) -> Cow<'static, str> {
        Cow::Owned(match self.asked_wait() {
            Some(wait) => format!(
                "The receiver is down for maintenance or overloaded and asked for {wait} without requests, which is kept (a day at most)."
            ),
            None => {
                "The receiver is down for maintenance or overloaded: check that the application runs behind its proxy."
                    .to_owned()
            }
        })
    }

    fn asked_wait(&self) -> Option<String> {
        let wait = parse_retry_after(self.retry_after?, self.at_ms + self.duration_ms)?;
        (wait > 0).then(|| humanize::duration(wait))
    }
}

/// A status with its name, where it has one: `503 Service Unavailable`.
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

/// A time limit that passed: whole seconds, since an attempt ends a moment after its limit.
fn limit(duration_ms: Millis) -> String {
    match duration_ms {
        ..SECOND => humanize::duration(duration_ms),
        _ => humanize::duration(duration_ms / SECOND * SECOND),
    }
}

/// The host of a URL and the port that is dialled.
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
