//! Streamed responses. A producer ends when its client disconnects, and soon after its client stops reading.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::web::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::blocking;
use super::error::ApiError;
use super::request_id::RequestId;

/// Response body that streams chunks from a channel. The last item of a complete body is `None`: if the producer ends
/// without it, the response breaks off, so that no client takes it for complete.
pub(super) struct ByteStream(mpsc::Receiver<Option<Bytes>>);

impl futures_core::Stream for ByteStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.0.poll_recv(context)) {
            Some(chunk) => chunk.map(Ok),
            None => Some(Err(io::Error::from(io::ErrorKind::ConnectionAborted))),
        })
    }
}

/// Streams the chunks that `next` returns until `None`, each read off the threads that serve requests. One chunk is
/// queued while the next is read, which bounds the memory that a slow client costs. A client that takes no chunk for
/// `patience` is given up.
pub(super) fn stream<N>(patience: Duration, mut next: N) -> ByteStream
where
    N: FnMut() -> Result<Option<Bytes>, ApiError> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    let id = RequestId::current();
    actix_web::rt::spawn(async move {
        loop {
            let read = blocking(move || {
                let chunk = next();
                (next, chunk)
            });
            let chunk = match read.await {
                Ok((same, Ok(chunk))) => {
                    next = same;
                    chunk
                }
                Ok((_, Err(error))) | Err(error) => {
                    log::warn!(request_id:% = id; "the response was cut off: {error}");
                    return;
                }
            };
            let is_last = chunk.is_none();
            match timeout(patience, sender.send(chunk)).await {
                Ok(Ok(())) if !is_last => {}
                // Complete, or the client disconnected.
                Ok(_) => return,
                Err(_) => {
                    log::info!(request_id:% = id; "the client stopped reading, so the response was cut off");
                    return;
                }
            }
        }
    });
    ByteStream(receiver)
}

/// Returns a value for a handler to hold, and whether it is still held. The server drops a handler when its client
/// disconnects, so blocking work can tell that nobody waits for it.
pub(super) fn presence() -> (Arc<()>, impl Fn() -> bool + Send + 'static) {
    let held = Arc::new(());
    let seen = Arc::downgrade(&held);
    (held, move || seen.strong_count() > 0)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_core::Stream as _;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_producer_whose_client_takes_nothing_ends_and_its_response_breaks_off() {
        actix_web::rt::System::new().block_on(async {
            let (held, ended) = oneshot::channel::<()>();
            let next = move || {
                assert!(!held.is_closed());
                Ok(Some(Bytes::from_static(b"chunk")))
            };
            let mut body = stream(Duration::from_millis(1), next);
            assert!(ended.await.is_err());
            let mut taken = Vec::new();
            while let Some(chunk) = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {
                let is_error = chunk.is_err();
                taken.push(chunk.is_ok());
                if is_error {
                    break;
                }
            }
            assert_eq!(taken, [true, false]);
        });
    }
}
