//! Responses and faults of a receiver, as data.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::request::Received;

/// Returns the reply to one request.
type Decide = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

/// Behaviour of a receiver. Unless a variant says otherwise, the request is read completely, recorded, and held at the
/// gate first.
#[derive(Clone)]
pub enum Behaviour {
    /// Sends this reply and keeps the connection open.
    Answer(Reply),
    /// Sends these replies in order across all connections; the last one repeats.
    Script(Vec<Reply>),
    /// Sends the reply that the closure returns; see [`Behaviour::deciding`].
    Decide(Decide),
    /// Responds with 200 and closes the connection without announcing it.
    CloseAfterAnswer,
    /// Responds to the first request on a connection with 200, and closes the connection without a response to the
    /// second, which is recorded too.
    CloseOnReuse,
    /// Responds with this status after the head, shuts down its sending side, and discards the body until the client
    /// closes the connection (nginx's lingering close, which keeps a reset from overtaking the response). The request
    /// is recorded with an empty body.
    EarlyAnswer(u16),
    /// Sends these bytes and closes the connection.
    Raw(Vec<u8>),
    /// Closes the connection in order without sending a byte.
    CloseWithoutWord,
    /// Resets the connection (TCP RST) without sending a byte.
    ResetBeforeHead,
    /// Resets the connection within a header line.
    ResetInHead,
    /// Resets the connection after 10 of the 100 bytes that Content-Length announces.
    ResetInBody,
    /// Sends nothing and keeps the connection open until the client disconnects.
    Silence,
    /// Stops reading: a new connection right after the TLS handshake, an open one after its current request. Only the
    /// connection is recorded.
    NeverReads,
    /// Sends an endless header line, byte by byte.
    DripHead(Pace),
    /// Sends an endless body, byte by byte.
    DripBody(Pace),
    /// Sends an endless header line as fast as the client reads.
    EndlessHeader,
    /// Sends an endless body without a length as fast as the client reads.
    EndlessBody,
    /// Sends endless chunks of 8 KiB as fast as the client reads.
    EndlessChunks,
    /// Sends interim responses (100, 102, 103) and never a final one.
    Flood1xx,
}

impl Behaviour {
    /// Creates [`Behaviour::Decide`] from a closure.
    pub fn deciding(decide: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::Decide(Arc::new(decide))
    }

    /// Checks that a script is not empty. It runs in the test's own thread, where a panic fails the test.
    pub(super) fn checked(self) -> Self {
        if let Self::Script(replies) = &self {
            assert!(!replies.is_empty(), "a script needs at least one reply");
        }
        self
    }
}

/// A well-formed response.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    after: Duration,
}

impl Reply {
    /// Creates a response with this status, no body and no delay.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), after: Duration::ZERO }
    }

    /// Adds a header line. The same name may be added more than once.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body. It is sent even with a status that forbids one (1xx, 204, 304), as by a faulty server.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Delays the response after the request arrived or was released.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    pub(super) fn delay(&self) -> Duration {
        self.after
    }

    /// Writes head and body at once. Adds Content-Length unless the status forbids it or a header frames the body.
    pub(super) fn write_to(&self, wire: &mut dyn Write) -> io::Result<()> {
        let mut bytes = format!("HTTP/1.1 {} \r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if self.needs_length() {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        wire.write_all(&bytes)?;
        wire.flush()
    }

    fn needs_length(&self) -> bool {
        let bodyless = self.status < 200 || self.status == 204 || self.status == 304;
        let framed = self.headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
        });
        !bodyless && !framed
    }
}

/// Interval between dripped bytes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    gap: Duration,
    slower: Option<(Duration, Duration)>,
}

impl Pace {
    /// One byte per `gap`.
    pub fn every(gap: Duration) -> Self {
        Self { gap, slower: None }
    }

    /// One byte per `gap` after `start`: a fast drip satisfies the client's reads up to its deadline, and a slow one
    /// follows.
    pub fn slowing_after(self, start: Duration, gap: Duration) -> Self {
        Self { slower: Some((start, gap)), ..self }
    }

    /// Time to the next byte, `elapsed` after the start of the drip.
    pub(super) fn gap_at(self, elapsed: Duration) -> Duration {
        match self.slower {
            Some((start, gap)) if elapsed >= start => gap,
            _ => self.gap,
        }
    }
}
