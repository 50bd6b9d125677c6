//! State of the attempt that runs on the current thread: its limits and its result so far.
//!
//! The HTTP library sits between the client, which knows the attempt, and the transport, which reads and writes; it passes
//! neither the deadline down nor errors in detail up. Both share this thread-local: an attempt runs on one thread from
//! beginning to end. There is no lock, and a function called within [`with`] must not call it again.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::attempt::{Phase, Timings};
use crate::domain::tls::{Tls, Validity};

/// Number of the response's first bytes kept, to show them if they are not HTTP.
pub const FIRST_BYTES: usize = 32;

/// Maximum size of the response's head on the wire, including interim (1xx) responses.
const HEAD_BYTES: usize = 64 * 1024;

/// Maximum number of bytes on the wire after the head. The 16 KiB that are kept need less, even with each byte in a
/// chunk of its own.
const BODY_BYTES: usize = 256 * 1024;

/// Error that ended an exchange early, as the transport saw it.
#[derive(Debug)]
pub enum Fault {
    /// No address accepted a connection; the error is that of the last one.
    Connect(io::Error),
    /// The deadline passed, in the phase that the exchange is in.
    Deadline,
    /// The TLS layer refused to go on.
    Tls(rustls::Error),
    /// The other side closed the connection.
    Closed,
    /// The connection broke.
    Broken,
    /// The response's head, or the framing of its body, is longer than accepted.
    TooLong,
}

/// One exchange on one connection. A second try on a fresh connection begins a new one.
#[derive(Debug)]
pub struct Exchange {
    pub started: Instant,
    pub deadline: Instant,
    /// Addresses that the guard allowed, in the order to try them.
    pub addresses: Arc<[SocketAddr]>,
    /// Certificates of the connection beside the common ones.
    pub tls: Option<Arc<Tls>>,
    /// Whether the server asked for a client certificate.
    pub wants_certificate: bool,
    /// Validity of the server's certificate, if a handshake has shown it.
    pub certificate: Option<Validity>,
    /// Whether to open a new connection even if an idle one exists.
    pub fresh: bool,
    /// Names of the request's headers in the case to send.
    pub spelling: Vec<String>,
    pub phase: Phase,
    /// Whether the connection had been used before.
    pub reused: bool,
    /// Bytes of the response received.
    pub received: usize,
    /// Maximum number of bytes on the wire after the head.
    body_bytes: usize,
    pub first_bytes: [u8; FIRST_BYTES],
    pub peer: Option<SocketAddr>,
    pub timings: Timings,
    pub fault: Option<Fault>,
}

impl Exchange {
    pub fn new(started: Instant, deadline: Instant, addresses: Arc<[SocketAddr]>, fresh: bool) -> Exchange {
        Exchange {
            started,
            deadline,
            addresses,
            tls: None,
            wants_certificate: false,
            certificate: None,
            fresh,
            spelling: Vec::new(),
            phase: Phase::Connect,
            reused: false,
            received: 0,
            body_bytes: BODY_BYTES,
            first_bytes: [0; FIRST_BYTES],
            peer: None,
            timings: Timings::default(),
            fault: None,
        }
    }

    /// Accepts a body of which so many bytes are kept, in chunks of any usual size.
    pub fn allow_body(&mut self, kept_bytes: usize) {
        self.body_bytes = BODY_BYTES.max(kept_bytes.saturating_mul(2));
    }

    /// Whether a reused connection broke before a byte of the response arrived: the receiver closed it while it was idle, so
    /// the request may be sent again.
    pub fn deserves_fresh_connection(&self) -> bool {
        self.reused && self.received == 0 && matches!(self.fault, Some(Fault::Closed | Fault::Broken))
    }

    /// Marks the head as complete. Ignores a fault while sending: the receiver responded anyway.
    pub fn begin_body(&mut self) {
        self.phase = Phase::Body;
        self.fault = None;
    }

    /// First bytes of the response, at most [`FIRST_BYTES`].
    pub fn first_bytes(&self) -> &[u8] {
        &self.first_bytes[..self.received.min(FIRST_BYTES)]
    }

    /// Records bytes of the response. Fails if they are more than a response needs: a flood of interim responses or of
    /// padding would otherwise keep a worker busy until the deadline.
    pub fn note_received(&mut self, bytes: &[u8]) -> Result<(), ()> {
        if self.received == 0 {
            self.timings.first_byte_us = Some(micros(self.started.elapsed()));
        }
        if self.received < FIRST_BYTES {
            let count = bytes.len().min(FIRST_BYTES - self.received);
            self.first_bytes[self.received..self.received + count].copy_from_slice(&bytes[..count]);
        }
        self.received += bytes.len();
        let limit = match self.phase {
            Phase::Body => HEAD_BYTES + self.body_bytes,
            _ => HEAD_BYTES,
        };
        if self.received > limit {
            self.fault = Some(Fault::TooLong);
            return Err(());
        }
        Ok(())
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Exchange>> = const { RefCell::new(None) };
}

/// Guard of the thread's exchange; dropping it, also while a panic unwinds, removes the exchange.
#[derive(Debug)]
pub struct Running(());

impl Running {
    /// Returns the exchange after the HTTP library has returned.
    pub fn finish(self) -> Exchange {
        CURRENT.with(|current| current.borrow_mut().take()).expect("an exchange runs until it is finished")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.with(|current| current.borrow_mut().take());
    }
}

/// Starts an exchange on this thread.
pub fn begin(exchange: Exchange) -> Running {
    CURRENT.with(|current| *current.borrow_mut() = Some(exchange));
    Running(())
}

/// Accesses the exchange that runs on this thread.
pub fn with<R>(f: impl FnOnce(&mut Exchange) -> R) -> R {
    CURRENT.with(|current| f(current.borrow_mut().as_mut().expect("the transport works within an exchange only")))
}

/// Returns the time left until the deadline, never zero; an error of kind `TimedOut` after the deadline.
pub fn left() -> io::Result<Duration> {
    let left = with(|exchange| exchange.deadline.saturating_duration_since(Instant::now()));
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Converts a duration to microseconds, the unit of the log.
pub fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_http_library_leaves_no_exchange_on_the_thread() {
        let fail = || {
            let now = Instant::now();
            let _running = begin(Exchange::new(now, now, Arc::from([]), false));
            panic!("the HTTP library fails");
        };
        assert!(std::panic::catch_unwind(fail).is_err());
        assert!(CURRENT.with(|current| current.borrow().is_none()));
    }
}
