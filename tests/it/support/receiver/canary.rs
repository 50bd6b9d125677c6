//! A listener that must not be reached.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Receiver;

/// Counts the connections to a port on 127.0.0.1, and responds with 200. Tests of forbidden targets point a webhook
/// here and expect no connection.
pub struct Canary {
    receiver: Receiver,
    /// Connections opened by `connections` itself.
    own: AtomicUsize,
}

impl Canary {
    pub fn start() -> Self {
        Self { receiver: Receiver::start(), own: AtomicUsize::new(0) }
    }

    pub fn port(&self) -> u16 {
        self.receiver.port()
    }

    /// Number of connections opened before this call, including those still in the accept queue: zero is proof that
    /// none was opened.
    pub fn connections(&self) -> usize {
        self.receiver.settle();
        let own = self.own.fetch_add(1, Ordering::SeqCst) + 1;
        self.receiver.connections() - own
    }
}
