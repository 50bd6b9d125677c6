//! A listener that nobody should ever reach.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Receiver;

/// Listens on 127.0.0.1, counts the connections it accepts and answers 200. A test that a target is refused
/// points it here and expects none.
pub struct Canary {
    receiver: Receiver,
    /// Connections that `connections` itself made.
    own: AtomicUsize,
}

impl Canary {
    pub fn start() -> Self {
        Self { receiver: Receiver::start(), own: AtomicUsize::new(0) }
    }

    pub fn port(&self) -> u16 {
        self.receiver.port()
    }

    /// How many connections were made before this call, those included that had yet to be accepted: a zero
    /// is a proof.
    pub fn connections(&self) -> usize {
        self.receiver.settle();
        let own = self.own.fetch_add(1, Ordering::SeqCst) + 1;
        self.receiver.connections() - own
    }
}
