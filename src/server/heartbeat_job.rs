//! The thread of the heartbeat: requests `--heartbeat-url` while deliveries are sent.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{ServerOptions, StartError};
use crate::actions::Actions;
use crate::delivery::heartbeat::Heartbeat;
use crate::store::StoreError;

/// Heartbeats until it is stopped.
#[derive(Default)]
struct HeartbeatJob(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_stopping: Mutex<bool>,
    changed: Condvar,
}

/// The job of the URL that the settings have, if they have one.
pub struct Heartbeating {
    url: Option<String>,
    job: HeartbeatJob,
}

impl Heartbeating {
    pub(super) fn start(actions: Actions, options: &ServerOptions) -> Result<Heartbeating, StartError> {
        let job = match options.heartbeat_url.clone() {
            Some(url) => {
                let heartbeat = Heartbeat::new(url, options.extra_certificates.clone())?;
                HeartbeatJob::start(actions, heartbeat, options.heartbeat_interval)?
            }
            None => HeartbeatJob::default(),
        };
        Ok(Heartbeating { url: options.heartbeat_url.clone(), job })
    }

    pub(super) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    pub(super) fn stop(&self) {
        self.job.stop();
    }
}

impl HeartbeatJob {
    /// Starts the thread. A heartbeat follows a commit: if the writer, the scheduler or the workers stop, none is sent.
    fn start(actions: Actions, heartbeat: Heartbeat, interval: Duration) -> Result<HeartbeatJob, StoreError> {
        let job = HeartbeatJob::default();
        let shared = Arc::clone(&job.0);
        let run = move || {
            let mut was_heard = true;
            while !shared.pause(interval) {
                if let Err(reason) = actions.require_delivering() {
                    log::error!("no heartbeat is sent: {reason}");
                    continue;
                }
                let sent = heartbeat.send();
                if let (true, Err(error)) = (was_heard, &sent) {
                    log::warn!("the monitor did not take a heartbeat: {error}");
                }
                was_heard = sent.is_ok();
            }
        };
        let thread = std::thread::Builder::new().name("heartbeat".to_owned()).spawn(run);
        thread.map(|_| job).map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// Ends the thread after a request in flight, and does not wait for it.
    fn stop(&self) {
        *self.0.is_stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    /// Waits. Returns whether the thread should end.
    fn pause(&self, interval: Duration) -> bool {
        let state = self.is_stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, interval, |is_stopping| !*is_stopping);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
