//! What a receiver does with a request: the good answers and the bad ones, as data.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::request::Received;

/// Decides the reply to one request.
type Decide = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

/// What a receiver does with each request. Unless it says otherwise the request is read whole and recorded
/// first, and waits at the gate.
#[derive(Clone)]
pub enum Behaviour {
    /// Gives this reply and keeps the connection.
    Answer(Reply),
    /// Gives these replies one after another, whatever the connection; the last one repeats.
    Script(Vec<Reply>),
    /// Gives the reply that a closure decides; made by [`Behaviour::deciding`].
    Decide(Decide),
    /// Answers 200 and then closes the connection, with no word in the head that it would.
    CloseAfterAnswer,
    /// Answers the first request on a connection with 200, and closes the connection without an answer when
    /// a second one has arrived on it. The second is recorded too.
    CloseOnReuse,
    /// Answers with this status on the head alone, ends its sending side, and then throws the body away
    /// until the client closes (the lingering close of nginx, so that no reset overtakes the answer). The
    /// request is recorded with an empty body.
    EarlyAnswer(u16),
    /// Sends these bytes as the answer and closes the connection.
    Raw(Vec<u8>),
    /// Closes the connection in order, with no byte sent.
    CloseWithoutWord,
    /// Resets the connection (TCP RST) with no byte sent.
    ResetBeforeHead,
    /// Resets the connection in the middle of a header line.
    ResetInHead,
    /// Resets the connection after 10 of the 100 bytes of body that the head promises.
    ResetInBody,
    /// Sends nothing and keeps the connection open until the client leaves.
    Silence,
    /// Reads nothing from a new connection (past the TLS handshake), and no more from one in use. Nothing
    /// is recorded but the connection.
    NeverReads,
    /// Sends a header line that never ends, byte by byte.
    DripHead(Pace),
    /// Sends a body that never ends, byte by byte.
    DripBody(Pace),
    /// Sends a header line that never ends, as fast as the client takes it.
    EndlessHeader,
    /// Sends a body without a length, as fast as the client takes it.
    EndlessBody,
    /// Sends chunks of 8 KiB and never the last one, as fast as the client takes them.
    EndlessChunks,
    /// Sends interim answers (100, 102, 103) and never a final one.
    Flood1xx,
}

impl Behaviour {
    /// Gives the reply that the closure decides.
    pub fn deciding(decide: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::Decide(Arc::new(decide))
    }

    /// Panics in the test's own thread when there is nothing to do.
    pub(super) fn checked(self) -> Self {
        if let Self::Script(replies) = &self {
            assert!(!replies.is_empty(), "a script needs at least one reply");
        }
        self
    }
}

/// A well-formed answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    after: Duration,
}

impl Reply {
    /// An answer with this status, no body and no delay.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), after: Duration::ZERO }
    }

    /// Adds a header line, and never replaces one: the same name may come twice.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body. Statuses that have none (1xx, 204, 304) send it all the same, as a faulty server does.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Lets this time pass between the request's arrival (or its release) and the answer.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    pub(super) fn delay(&self) -> Duration {
        self.after
    }

    /// Writes head and body in one piece, with a Content-Length where the status allows one and the reply
    /// does not frame itself.
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

/// How fast bytes drip.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    gap: Duration,
    slower: Option<(Duration, Duration)>,
}

impl Pace {
    /// One byte each `gap`.
    pub fn every(gap: Duration) -> Self {
        Self { gap, slower: None }
    }

    /// One byte each `gap` once the drip has gone on for `start`: quick until the client's deadline, to keep
    /// its reads content, and slow after it.
    pub fn slowing_after(self, start: Duration, gap: Duration) -> Self {
        Self { slower: Some((start, gap)), ..self }
    }

    /// The time to the next byte, when the drip has gone on for `elapsed`.
    pub(super) fn gap_at(self, elapsed: Duration) -> Duration {
        match self.slower {
            Some((start, gap)) if elapsed >= start => gap,
            _ => self.gap,
        }
    }
}
