//! What the attempt that runs on this thread may do, and what has become of it so far.
//!
//! The HTTP library stands between the client, which knows the attempt, and the transport, which does the
//! reading and writing; it carries neither our deadline down nor our findings up. Both meet here, in a
//! thread-local: an attempt runs on one thread from beginning to end. No lock is taken, and no function that is
//! called within [`with`] may call it again.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::attempt::{Phase, Timings};

/// How many of the answer's first bytes are kept, to be shown when they turn out not to be HTTP.
pub const FIRST_BYTES: usize = 32;

/// How many bytes may come before the answer's head is whole, interim (1xx) answers included.
const HEAD_BYTES: usize = 64 * 1024;

/// How many bytes may come on the wire after the head: the 16 KiB that are kept, each in a chunk of its own with
/// some padding, are well below.
const BODY_BYTES: usize = 256 * 1024;

/// What ended an exchange early, as the transport saw it.
#[derive(Debug)]
pub enum Fault {
    /// No address could be connected to; the error is the last one's.
    Connect(io::Error),
    /// The deadline passed, in the phase that the exchange is in.
    Deadline,
    /// The TLS layer refused to go on.
    Tls(rustls::Error),
    /// The other side closed the connection.
    Closed,
    /// The connection broke.
    Broken,
    /// The answer's head, or what frames its body, is longer than we accept.
    TooLong,
}

/// One exchange on one connection. A second try on a fresh connection begins a new one.
#[derive(Debug)]
pub struct Exchange {
    pub started: Instant,
    pub deadline: Instant,
    /// Where the target may be dialled: judged addresses, in the order to try them.
    pub addresses: Arc<[SocketAddr]>,
    /// Whether kept connections are passed over.
    pub fresh: bool,
    /// The names of the request's headers, spelled as they are to be sent.
    pub spelling: Vec<String>,
    pub phase: Phase,
    /// Whether the connection had been used before.
    pub reused: bool,
    /// How many bytes of the answer have come.
    pub received: usize,
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
            fresh,
            spelling: Vec::new(),
            phase: Phase::Connect,
            reused: false,
            received: 0,
            first_bytes: [0; FIRST_BYTES],
            peer: None,
            timings: Timings::default(),
            fault: None,
        }
    }

    /// Whether a kept connection turned out to be dead before a byte of the answer came: the receiver closed it
    /// while it was idle, which says nothing about the request.
    pub fn deserves_fresh_connection(&self) -> bool {
        self.reused && self.received == 0 && matches!(self.fault, Some(Fault::Closed | Fault::Broken))
    }

    /// The head is whole. A request that was cut short is forgiven: the receiver answered it.
    pub fn begin_body(&mut self) {
        self.phase = Phase::Body;
        self.fault = None;
    }

    /// The answer's first bytes, at most [`FIRST_BYTES`].
    pub fn first_bytes(&self) -> &[u8] {
        &self.first_bytes[..self.received.min(FIRST_BYTES)]
    }

    /// Notes bytes of the answer. Fails once they are more than any honest answer needs: a flood of interim answers
    /// or of padding would otherwise keep a worker busy until the deadline.
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
            Phase::Body => HEAD_BYTES + BODY_BYTES,
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

/// Keeps the thread's exchange; dropping it, also while a panic unwinds, leaves the thread without one.
#[derive(Debug)]
pub struct Running(());

impl Running {
    /// Takes the exchange back once the HTTP library has returned.
    pub fn finish(self) -> Exchange {
        CURRENT.with(|current| current.borrow_mut().take()).expect("an exchange runs until it is finished")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.with(|current| current.borrow_mut().take());
    }
}

/// Makes `exchange` the one that runs on this thread.
pub fn begin(exchange: Exchange) -> Running {
    CURRENT.with(|current| *current.borrow_mut() = Some(exchange));
    Running(())
}

/// Gives access to the exchange that runs on this thread.
pub fn with<R>(f: impl FnOnce(&mut Exchange) -> R) -> R {
    CURRENT.with(|current| f(current.borrow_mut().as_mut().expect("the transport works within an exchange only")))
}

/// The time left until the deadline, never zero; an error of kind `TimedOut` once it passed.
pub fn left() -> io::Result<Duration> {
    let left = with(|exchange| exchange.deadline.saturating_duration_since(Instant::now()));
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Microseconds, as the log of attempts keeps them.
pub fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
