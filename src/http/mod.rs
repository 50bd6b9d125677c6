//! HTTP: requests in, answers out. Handlers read as a sentence: parse, act, show.

pub mod api;
pub mod error;
pub mod extract;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;

use crate::actions::Actions;

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub actions: Actions,
    pub limits: BodyLimits,
    /// Test calls under way: each holds a thread while its receiver thinks.
    pub tests: Arc<Semaphore>,
    stopping: Arc<AtomicBool>,
}

/// Bytes of a request's body at most.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    pub single: usize,
}

impl App {
    pub fn new(actions: Actions, limits: BodyLimits) -> App {
        App {
            actions,
            limits,
            tests: Arc::new(Semaphore::new(16)),
            stopping: Arc::new(AtomicBool::new(false)),
        }
    }

    /// From here on no event is taken in.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
