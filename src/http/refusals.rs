//! Refusals of the HTTP parser in the form of the API's errors. actix-http answers what is not a request with a bare
//! status, before any handler and without a hook, so a connection replaces these bytes as they are written.
//!
//! Bytes are replaced only while no handler's response is being sent, so data in a response never counts as a refusal.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Extensions;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connections::Open;
use super::error::{ApiError, PROBLEM_JSON};
use super::request_id;
use crate::metrics::Metrics;

/// Longest response without a body that actix-http writes itself, with room for a longer reason.
const LONGEST: usize = 256;

/// Responses of handlers on one connection.
#[derive(Clone, Default)]
pub struct Responses(Rc<Counts>);

#[derive(Default)]
struct Counts {
    /// Responses that are being made or sent.
    unfinished: Cell<usize>,
    finished: Cell<u64>,
}

impl Responses {
    /// Counts a response until the returned value is dropped.
    pub fn begin(&self) -> Unfinished {
        self.0.unfinished.set(self.0.unfinished.get() + 1);
        Unfinished(self.clone())
    }

    fn has_unfinished(&self) -> bool {
        self.0.unfinished.get() > 0
    }
}

/// A response in progress, until dropped.
pub struct Unfinished(Responses);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let counts = &self.0.0;
        counts.unfinished.set(counts.unfinished.get() - 1);
        counts.finished.set(counts.finished.get() + 1);
    }
}

/// Body of a response that is in progress until the body is sent.
pub struct CountedBody<B> {
    pub body: B,
    pub unfinished: Option<Unfinished>,
}

impl<B: MessageBody + Unpin> MessageBody for CountedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

/// Facts about the server in refusals.
pub struct Refusals {
    /// Path of the base URL, in links.
    pub prefix: Arc<str>,
    pub metrics: Metrics,
}

/// Connection of a client.
pub struct Connection<T> {
    io: T,
    refusals: Rc<Refusals>,
    responses: Responses,
    /// Rest of a refusal that is being written.
    rest: Option<Bytes>,
    open: Open,
    /// Number of responses that were finished when the client last sent something.
    finished_at_read: Option<u64>,
}

impl<T> Connection<T> {
    pub fn new(io: T, refusals: Rc<Refusals>, open: Open) -> Connection<T> {
        Connection { io, refusals, responses: Responses::default(), rest: None, open, finished_at_read: None }
    }

    /// Whether no request is being received or answered.
    fn is_idle(&self) -> bool {
        let finished = self.responses.0.finished.get();
        !self.responses.has_unfinished() && self.finished_at_read.is_none_or(|at_read| at_read < finished)
    }

    pub fn io(&self) -> &T {
        &self.io
    }

    /// Gives the requests of the connection the count of its responses.
    pub fn announce(&self, data: &mut Extensions) {
        data.insert(self.responses.clone());
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let read = Pin::new(&mut this.io).poll_read(context, into);
        if into.filled().len() > before {
            this.finished_at_read = Some(this.responses.0.finished.get());
        } else if read.is_pending() && this.is_idle() && this.open.should_end(context) {
            // The end of the input: the HTTP server closes the connection.
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.rest.is_none() {
            let refusal = if !this.responses.has_unfinished() { refusal_at_end(bytes) } else { None };
            match refusal {
                None => return Pin::new(&mut this.io).poll_write(context, bytes),
                // First what was written before.
                Some((from @ 1.., _)) => return Pin::new(&mut this.io).poll_write(context, &bytes[..from]),
                Some((0, status)) => this.rest = Some(this.refusals.response(status)),
            }
        }
        while let Some(rest) = this.rest.as_mut().filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut this.io).poll_write(context, rest))? {
                0 => return Poll::Ready(Ok(0)),
                written => drop(rest.split_to(written)),
            }
        }
        this.rest = None;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

/// Finds a response of the parser at the end of what is written: a status of an error and no header of this server's
/// own, such as `x-request-id`.
fn refusal_at_end(bytes: &[u8]) -> Option<(usize, StatusCode)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let near = bytes.len().saturating_sub(LONGEST);
    let from = near + bytes[near..].windows(7).rposition(|part| part == b"HTTP/1.")?;
    let mut lines = std::str::from_utf8(&bytes[from..]).ok()?.split("\r\n").filter(|line| !line.is_empty());
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let is_bare = lines.all(|line| {
        let name = line.split(':').next().unwrap_or_default();
        line == "content-length: 0" || name == "connection" || name == "date"
    });
    let is_refusal = matches!(status, 400 | 408 | 431) && is_bare;
    is_refusal.then_some((from, StatusCode::from_u16(status).ok()?))
}

impl Refusals {
    fn response(&self, status: StatusCode) -> Bytes {
        let (code, message) = match status {
            StatusCode::REQUEST_TIMEOUT => {
                ("head_too_slow", "The head of the request did not arrive in time. Send it at once.")
            }
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                ("head_too_large", "The head of the request is larger than 128 KiB. Send shorter headers.")
            }
            _ => (
                "malformed_request",
                "This is not a valid HTTP/1.1 request. Check its first line, headers and framing.",
            ),
        };
        self.metrics.answered(status.as_u16());
        request_id::outside(Arc::clone(&self.prefix), |id| {
            log::debug!(request_id:% = id; "refused by the HTTP parser with {status}");
            let body = ApiError::new(status, code, message).to_json();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\nconnection: close\r\n\
                 x-content-type-options: nosniff\r\ncache-control: no-store\r\nx-request-id: {id}\r\n\r\n",
                body.len()
            );
            [head.into_bytes(), body].concat().into()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::super::connections::Connections;
    use super::*;

    /// Takes three bytes at a time.
    #[derive(Default)]
    struct Slow(Vec<u8>);

    impl AsyncWrite for Slow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    const BARE: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: Thu, 15 Jan 2026 10:00:00 GMT\r\n\r\n";

    /// Writes all bytes as actix-http does: what is left, until nothing is.
    fn write(connection: &mut Connection<Slow>, bytes: &str) -> String {
        let mut bytes = bytes.as_bytes();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            while !bytes.is_empty() {
                let written = poll_fn(|context| Pin::new(&mut *connection).poll_write(context, bytes)).await.unwrap();
                bytes = &bytes[written..];
            }
        });
        String::from_utf8(std::mem::take(&mut connection.io.0)).unwrap()
    }

    fn connection() -> Connection<Slow> {
        let refusals = Refusals { prefix: "/hooks".into(), metrics: Metrics::new() };
        Connection::new(Slow::default(), Rc::new(refusals), Connections::default().enter())
    }

    #[test]
    fn a_bare_refusal_is_replaced_and_what_stands_before_it_stays() {
        let mut connection = connection();
        let before = "HTTP/1.1 200 OK\r\nx-request-id: a\r\n\r\nhello";
        let written = write(&mut connection, &format!("{before}{BARE}"));
        let refusal = written.strip_prefix(before).unwrap();
        assert!(
            refusal.starts_with("HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"),
            "{refusal}"
        );
        assert!(refusal.contains("/hooks/docs/errors#malformed_request"), "{refusal}");
    }

    #[test]
    fn a_response_of_a_handler_is_never_replaced() {
        let mut connection = connection();
        for response in [
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nx-request-id: a\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\ndate: a\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
        ] {
            assert_eq!(write(&mut connection, response), response);
        }
        // The bytes of a download may look like a refusal.
        let unfinished = connection.responses.begin();
        assert_eq!(write(&mut connection, BARE), BARE);
        drop(unfinished);
        assert_ne!(write(&mut connection, BARE), BARE);
    }
}
