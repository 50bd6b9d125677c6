//! A thread that does some work at an interval of real time.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::store::StoreError;

/// Repeats its work until it is stopped. Cheap to clone. The default has no work.
#[derive(Clone, Default)]
pub(super) struct RepeatedJob(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_stopping: Mutex<bool>,
    changed: Condvar,
}

impl RepeatedJob {
    /// Does the work for the first time after one interval.
    pub(super) fn start(
        name: &'static str,
        interval: Duration,
        mut work: impl FnMut() + Send + 'static,
    ) -> Result<RepeatedJob, StoreError> {
        let job = RepeatedJob::default();
        let shared = Arc::clone(&job.0);
        let run = move || {
            while !shared.rest(interval) {
                work();
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        thread.map(|_| job).map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// Ends the thread after work in progress, and does not wait for it.
    pub(super) fn stop(&self) {
        *self.0.is_stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    /// Waits. Returns whether the thread should end.
    fn rest(&self, interval: Duration) -> bool {
        let state = self.is_stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, interval, |is_stopping| !*is_stopping);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
