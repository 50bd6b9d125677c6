//! Result of one attempt, as the client reports it and the log stores it. Pure data.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;
use super::time::{Millis, SECOND};

/// Stable code of a failed attempt in the API (`error.code` of an attempt, the filter `error_code`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, EnumString, IntoStaticStr, Display, VariantArray,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<ErrorCode>)]
pub enum ErrorCode {
    /// The operator's policy forbids the address or the scheme.
    TargetBlocked,
    /// The name has no address, or the lookup failed or timed out.
    DnsFailed,
    /// The machine is up, but nothing listens on the port.
    ConnectRefused,
    /// No route, network down, or any other failure to connect.
    ConnectFailed,
    /// The connection was not accepted within the time limit.
    ConnectTimeout,
    /// The certificate has expired or is not valid yet.
    TlsExpired,
    /// The certificate's issuer is not trusted; self-signed certificates included.
    TlsUntrusted,
    /// The certificate was issued for another host.
    TlsWrongHost,
    /// The receiver requires a client certificate, or rejected the one it got.
    TlsClientCertificate,
    /// Any other failure of the handshake.
    TlsFailed,
    /// The connection broke before the response was complete.
    ConnectionReset,
    /// The time limit passed after the connection was accepted; the message names the phase.
    Timeout,
    /// The response is not valid HTTP.
    ProtocolError,
    /// A complete response with a status other than 2xx.
    Status,
    /// The token endpoint gave no access token for the request.
    TokenFailed,
    /// The stored event or delivery cannot be read, or the event does not match its checksum.
    EventDamaged,
    /// No request body could be composed from the event and the webhook's profile.
    ComposeFailed,
    /// The template of the webhook or its profile failed with this event.
    TemplateFailed,
    /// A fault in Hookpost itself interrupted the attempt.
    WorkerPanic,
}

impl ErrorCode {
    /// Whether the attempt ran out of time, holding a worker for as long as the limit.
    pub fn is_timeout(self) -> bool {
        matches!(self, ErrorCode::Timeout | ErrorCode::ConnectTimeout)
    }

    /// Whether the fault is Hookpost's own: it uses up no attempt of the schedule.
    pub fn is_internal(self) -> bool {
        matches!(self, ErrorCode::EventDamaged | ErrorCode::ComposeFailed | ErrorCode::WorkerPanic)
    }
}

/// Step of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Connect,
    Handshake,
    Send,
    /// The request is sent; nothing of the response has arrived.
    Wait,
    Head,
    Body,
}

/// Cause of a failed attempt, with the facts for its sentences. The log stores it as JSON, so renaming a variant or a field
/// needs a migration. A `reason` is a whole sentence, of the target policy or the name lookup; `first_bytes` are escaped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FailureCause {
    // `entry`: the allowed target that would open it, if one can.
    TargetBlocked {
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry: Option<String>,
    },
    NoAddress,
    LookupFailed {
        reason: String,
    },
    // This machine had no thread for the lookup. Says nothing about the endpoint, so it does not count as an attempt.
    LookupUnavailable {
        reason: String,
    },
    Refused {
        addresses: usize,
    },
    Unreachable {
        addresses: usize,
        error: String,
    },
    ConnectFailed {
        addresses: usize,
        error: Option<String>,
    },
    // This machine has no file descriptor left.
    NoSocket {
        error: String,
    },
    Timeout {
        phase: Phase,
        limit_ms: Millis,
    },
    CertificateExpired {
        not_after_ms: Option<Millis>,
    },
    CertificateNotYetValid,
    CertificateUntrusted,
    CertificateForOtherHost,
    CertificateInvalid {
        error: String,
    },
    // The port of an https:// URL speaks another protocol.
    NotTls,
    ClientCertificateRequired,
    // `not_after_ms`: the end of the certificate that was sent.
    ClientCertificateRejected {
        alert: Option<String>,
        not_after_ms: Option<Millis>,
    },
    TlsAlert {
        alert: String,
    },
    TlsOutdated {
        error: String,
    },
    TlsFailed {
        error: Option<String>,
    },
    // The connection was closed; `reset`: without notice.
    Disconnected {
        reset: bool,
        phase: Phase,
    },
    UnexpectedUpgrade,
    HeadTooLong,
    BodyTooPadded,
    // The port of an http:// URL speaks TLS.
    OnlyTls,
    NotHttp {
        first_bytes: String,
    },
    MalformedResponse {
        error: String,
    },
    RequestFailed {
        error: String,
    },
    Status {
        code: u16,
    },
    // The request for an access token got no complete response. `origin` is that of the token endpoint.
    TokenUnavailable {
        origin: String,
        cause: Option<Box<FailureCause>>,
    },
    // The token endpoint responded with another status than 2xx; `error` and `description` are from its response.
    TokenRefused {
        origin: String,
        code: u16,
        error: Option<String>,
        description: Option<String>,
    },
    TokenMalformed {
        origin: String,
        fault: TokenFault,
    },
    EventDamaged,
    ComposeFailed {
        error: Option<String>,
    },
    // `error` begins with the line and column, where they are known.
    TemplateFailed {
        error: Option<String>,
    },
    WorkerPanic,
}

impl FailureCause {
    /// Whether the endpoint was not tried for a lack of this machine: a thread to look up its name, or a file descriptor
    /// to connect with.
    pub fn is_untried(&self) -> bool {
        match self {
            FailureCause::LookupUnavailable { .. } | FailureCause::NoSocket { .. } => true,
            FailureCause::TokenUnavailable { cause: Some(cause), .. } => cause.is_untried(),
            _ => false,
        }
    }

    pub fn code(&self) -> ErrorCode {
        match self {
            FailureCause::TargetBlocked { .. } => ErrorCode::TargetBlocked,
            FailureCause::NoAddress | FailureCause::LookupFailed { .. } | FailureCause::LookupUnavailable { .. } => {
                ErrorCode::DnsFailed
            }
            FailureCause::Refused { .. } => ErrorCode::ConnectRefused,
            FailureCause::Unreachable { .. } | FailureCause::ConnectFailed { .. } | FailureCause::NoSocket { .. } => {
                ErrorCode::ConnectFailed
            }
            FailureCause::Timeout { phase: Phase::Connect, .. } => ErrorCode::ConnectTimeout,
            FailureCause::Timeout { .. } => ErrorCode::Timeout,
            FailureCause::CertificateExpired { .. } | FailureCause::CertificateNotYetValid => ErrorCode::TlsExpired,
            FailureCause::CertificateUntrusted => ErrorCode::TlsUntrusted,
            FailureCause::CertificateForOtherHost => ErrorCode::TlsWrongHost,
            FailureCause::ClientCertificateRequired | FailureCause::ClientCertificateRejected { .. } => {
                ErrorCode::TlsClientCertificate
            }
            FailureCause::CertificateInvalid { .. }
            | FailureCause::NotTls
            | FailureCause::TlsAlert { .. }
            | FailureCause::TlsOutdated { .. }
            | FailureCause::TlsFailed { .. }
            | FailureCause::Disconnected { phase: Phase::Handshake, .. } => ErrorCode::TlsFailed,
            FailureCause::Disconnected { .. } => ErrorCode::ConnectionReset,
            FailureCause::UnexpectedUpgrade
            | FailureCause::HeadTooLong
            | FailureCause::BodyTooPadded
            | FailureCause::OnlyTls
            | FailureCause::NotHttp { .. }
            | FailureCause::MalformedResponse { .. }
            | FailureCause::RequestFailed { .. } => ErrorCode::ProtocolError,
            FailureCause::Status { .. } => ErrorCode::Status,
            FailureCause::TokenUnavailable { .. }
            | FailureCause::TokenRefused { .. }
            | FailureCause::TokenMalformed { .. } => ErrorCode::TokenFailed,
            FailureCause::EventDamaged => ErrorCode::EventDamaged,
            FailureCause::ComposeFailed { .. } => ErrorCode::ComposeFailed,
            FailureCause::TemplateFailed { .. } => ErrorCode::TemplateFailed,
            FailureCause::WorkerPanic => ErrorCode::WorkerPanic,
        }
    }

    /// Returns the usual cause for a code, for lists, which load no attempt. `status` is that of the response, if
    /// any; `duration_ms` stands in for the time limit.
    pub fn of_code(code: ErrorCode, status: Option<u16>, duration_ms: Millis) -> FailureCause {
        // An attempt ends a moment after its limit, which is a number of whole seconds.
        let limit_ms = if duration_ms < SECOND { duration_ms } else { duration_ms / SECOND * SECOND };
        match code {
            ErrorCode::TargetBlocked => FailureCause::TargetBlocked { reason: None, entry: None },
            ErrorCode::DnsFailed => FailureCause::NoAddress,
            ErrorCode::ConnectRefused => FailureCause::Refused { addresses: 1 },
            ErrorCode::ConnectFailed => FailureCause::ConnectFailed { addresses: 1, error: None },
            ErrorCode::ConnectTimeout => FailureCause::Timeout { phase: Phase::Connect, limit_ms },
            ErrorCode::TlsExpired => FailureCause::CertificateExpired { not_after_ms: None },
            ErrorCode::TlsUntrusted => FailureCause::CertificateUntrusted,
            ErrorCode::TlsWrongHost => FailureCause::CertificateForOtherHost,
            ErrorCode::TlsClientCertificate => {
                FailureCause::ClientCertificateRejected { alert: None, not_after_ms: None }
            }
            ErrorCode::TlsFailed => FailureCause::TlsFailed { error: None },
            ErrorCode::ConnectionReset => FailureCause::Disconnected { reset: false, phase: Phase::Wait },
            ErrorCode::Timeout => FailureCause::Timeout { phase: Phase::Wait, limit_ms },
            ErrorCode::ProtocolError => FailureCause::NotHttp { first_bytes: String::new() },
            ErrorCode::Status => FailureCause::Status { code: status.unwrap_or_default() },
            ErrorCode::TokenFailed => FailureCause::TokenUnavailable { origin: String::new(), cause: None },
            ErrorCode::EventDamaged => FailureCause::EventDamaged,
            ErrorCode::ComposeFailed => FailureCause::ComposeFailed { error: None },
            ErrorCode::TemplateFailed => FailureCause::TemplateFailed { error: None },
            ErrorCode::WorkerPanic => FailureCause::WorkerPanic,
        }
    }
}

/// Fault of a token endpoint's response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TokenFault {
    TooLong,
    NotJson,
    // Absent, or not a string of printable ASCII, or longer than `bytes`.
    NoAccessToken { bytes: usize },
    // `found` is shortened; `None` if the field is absent.
    TokenType { found: Option<String> },
    ExpiresIn,
}

/// A failed attempt's cause, and the sentence about it in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub cause: FailureCause,
    pub message: String,
}

impl Failure {
    /// Message without the settings of the server, for people of a tenant too.
    pub fn public(&self) -> &str {
        match &self.cause {
            FailureCause::TargetBlocked { reason: Some(reason), .. } => reason,
            _ => &self.message,
        }
    }

    pub fn code(&self) -> ErrorCode {
        self.cause.code()
    }
}

/// Duration of each phase in microseconds; `None` if the phase did not end, or did not happen: a kept-alive
/// connection neither resolves nor connects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting for an access token, and after a 401 also for that response; `None` if none was requested.
    pub token_us: Option<u32>,
    pub resolve_us: Option<u32>,
    pub connect_us: Option<u32>,
    pub tls_us: Option<u32>,
    /// From the start of the attempt to the first byte of the response.
    pub first_byte_us: Option<u32>,
}

/// A receiver's response, truncated for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverResponse {
    /// 100 to 999.
    pub code: u16,
    /// In order of arrival, names in lower case, invalid UTF-8 replaced; 16 KiB at most in total.
    pub headers: Vec<(String, String)>,
    /// The first 16 KiB.
    pub body: Vec<u8>,
    pub body_truncated: bool,
}
