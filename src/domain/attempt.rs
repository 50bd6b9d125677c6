//! What one try of a delivery brought back, as the client reports it and the log keeps it.
//!
//! Pure data: nothing here knows how a request is sent or where an attempt is stored.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;

/// Why an attempt failed: the stable codes of the API (`error.code` of an attempt, the filter `error_code`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, EnumString, IntoStaticStr, Display, VariantArray,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<ErrorCode>)]
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
    /// The stored event does not match its checksum.
    EventDamaged,
    /// No request body could be composed from the event and the webhook's profile.
    ComposeFailed,
    /// A fault in Hookpost itself interrupted the attempt.
    WorkerPanic,
}

impl ErrorCode {
    /// Whether the attempt failed because time ran out: the endpoint holds a thread while it does.
    pub fn is_timeout(self) -> bool {
        matches!(self, ErrorCode::Timeout | ErrorCode::ConnectTimeout)
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
