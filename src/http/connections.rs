//! Open connections of clients, and their end when the server stops.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::Semaphore;

/// Connections that are open. Cheap to clone.
#[derive(Clone)]
pub struct Connections(Arc<Shared>);

struct Shared {
    open: AtomicUsize,
    /// Has no permits, and is closed when idle connections should be.
    end: Arc<Semaphore>,
}

impl Default for Connections {
    fn default() -> Connections {
        Connections(Arc::new(Shared { open: AtomicUsize::new(0), end: Arc::new(Semaphore::new(0)) }))
    }
}

impl Connections {
    /// Counts a connection until the returned value is dropped.
    pub fn enter(&self) -> Open {
        self.0.open.fetch_add(1, Ordering::SeqCst);
        Open { shared: Arc::clone(&self.0), end: None }
    }

    /// Returns how many are open.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    /// Ends connections as soon as no request is being received or answered on them.
    pub fn close_idle(&self) {
        self.0.end.close();
    }
}

/// Open connection, until dropped.
pub struct Open {
    shared: Arc<Shared>,
    end: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Open {
    /// Returns whether an idle connection should end. If not yet, the task is woken when it should.
    pub(super) fn should_end(&mut self, context: &mut Context<'_>) -> bool {
        let end = self.end.get_or_insert_with(|| {
            let end = Arc::clone(&self.shared.end);
            Box::pin(async move {
                // There is no permit: this returns once the semaphore is closed.
                let _ = end.acquire_owned().await;
            })
        });
        // A future must not be polled after it is ready.
        self.shared.end.is_closed() || matches!(end.as_mut().poll(context), Poll::Ready(()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::SeqCst);
    }
}
