//! What one try of a delivery brought back, as the client reports it and the log keeps it.
//!
//! Pure data: nothing here knows how a request is sent or where an attempt is stored.

use std::fmt;
use std::str::FromStr;

/// Why an attempt failed: the stable codes of the API (`error.code` of an attempt, the filter `error_code`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// The operator's policy forbids the address or the scheme.
    TargetBlocked,
    /// The name has no address, or nobody answered for it in time.
    DnsFailed,
    /// The machine is there, nothing listens on the port.
    ConnectRefused,
    /// No route, network down, and every other failure to connect.
    ConnectFailed,
    /// No answer to the connection request within the timeout.
    ConnectTimeout,
    /// The certificate expired, or is not valid yet.
    TlsExpired,
    /// The certificate was issued by nobody we trust, self-signed ones included.
    TlsUntrusted,
    /// The certificate is for another host.
    TlsWrongHost,
    /// Every other failure of the handshake.
    TlsFailed,
    /// The connection broke before a whole answer was there.
    ConnectionReset,
    /// The time limit passed after the connection was made; the message says in which phase.
    Timeout,
    /// What came back is not HTTP.
    ProtocolError,
    /// An answer came, and it was not a 2xx.
    Status,
    /// Our own worker failed; the fault is ours, never the receiver's.
    WorkerPanic,
}

impl ErrorCode {
    /// Every code, in the order of the API's documentation.
    pub const ALL: [ErrorCode; 14] = [
        ErrorCode::TargetBlocked,
        ErrorCode::DnsFailed,
        ErrorCode::ConnectRefused,
        ErrorCode::ConnectFailed,
        ErrorCode::ConnectTimeout,
        ErrorCode::TlsExpired,
        ErrorCode::TlsUntrusted,
        ErrorCode::TlsWrongHost,
        ErrorCode::TlsFailed,
        ErrorCode::ConnectionReset,
        ErrorCode::Timeout,
        ErrorCode::ProtocolError,
        ErrorCode::Status,
        ErrorCode::WorkerPanic,
    ];

    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::TargetBlocked => "target_blocked",
            ErrorCode::DnsFailed => "dns_failed",
            ErrorCode::ConnectRefused => "connect_refused",
            ErrorCode::ConnectFailed => "connect_failed",
            ErrorCode::ConnectTimeout => "connect_timeout",
            ErrorCode::TlsExpired => "tls_expired",
            ErrorCode::TlsUntrusted => "tls_untrusted",
            ErrorCode::TlsWrongHost => "tls_wrong_host",
            ErrorCode::TlsFailed => "tls_failed",
            ErrorCode::ConnectionReset => "connection_reset",
            ErrorCode::Timeout => "timeout",
            ErrorCode::ProtocolError => "protocol_error",
            ErrorCode::Status => "status",
            ErrorCode::WorkerPanic => "worker_panic",
        }
    }

    /// Whether the attempt failed because time ran out: the endpoint holds a thread while it does.
    pub fn is_timeout(self) -> bool {
        matches!(self, ErrorCode::Timeout | ErrorCode::ConnectTimeout)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ErrorCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ErrorCode::ALL
            .into_iter()
            .find(|code| code.as_str() == text)
            .ok_or_else(|| format!("there is no error code {text:?}"))
    }
}

/// Why an attempt failed: the code, and a sentence for the person who reads the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: ErrorCode,
    pub message: String,
}

impl Failure {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }
}

/// How long each phase took, in microseconds; `None` where the phase audit not happen (a kept-alive
/// connection resolves and connects nothing) or did not end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    pub resolve_us: Option<u32>,
    pub connect_us: Option<u32>,
    pub tls_us: Option<u32>,
    /// From the start of the attempt to the first byte of the answer.
    pub first_byte_us: Option<u32>,
}

/// What the receiver answered, cut to what the log keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverResponse {
    /// 100 to 999.
    pub code: u16,
    /// In the order they came; names in lower case; values that are no UTF-8 with replacement characters; 16 KiB at most in all.
    pub headers: Vec<(String, String)>,
    /// The first 16 KiB.
    pub body: Vec<u8>,
    pub body_truncated: bool,
}
