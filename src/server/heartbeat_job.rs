//! Heartbeats while deliveries are sent: requests to `--heartbeat-url`, and messages to systemd's watchdog.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{ServerOptions, StartError, notify};
use crate::actions::Actions;
use crate::delivery::heartbeat::Heartbeat;
use crate::store::StoreError;

/// Heartbeats until it is stopped.
#[derive(Clone, Default)]
pub(super) struct HeartbeatJob(Arc<Shared>);

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
                HeartbeatJob::to_monitor(actions, heartbeat, options.heartbeat_interval)?
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
    /// Starts requests to a monitor. Each follows a commit: if the writer, the scheduler or the workers stop, none is sent.
    fn to_monitor(actions: Actions, heartbeat: Heartbeat, interval: Duration) -> Result<HeartbeatJob, StoreError> {
        let mut was_heard = true;
        HeartbeatJob::start("heartbeat", interval, move || {
            if let Err(reason) = actions.require_delivering() {
                log::error!("no heartbeat is sent: {reason}");
                return;
            }
            let sent = heartbeat.send();
            if let (true, Err(error)) = (was_heard, &sent) {
                log::warn!("the monitor did not take a heartbeat: {error}");
            }
            was_heard = sent.is_ok();
        })
    }

    /// Starts messages to systemd's watchdog, if it asks for them, which restarts the program when none come: while the writer
    /// hangs, or deliveries that are due are not sent.
    pub(super) fn to_watchdog(actions: Actions) -> Result<HeartbeatJob, StoreError> {
        let Some(patience) = notify::watchdog() else { return Ok(HeartbeatJob::default()) };
        let mut was_alive = true;
        HeartbeatJob::start("watchdog", patience / 3, move || {
            let stuck = match actions.require_delivering() {
                Err(StoreError::Unavailable(reason)) => Some(reason),
                // The writer works, and says what is wrong, such as a full disk. A restart would not help.
                Ok(()) | Err(_) => None,
            };
            match &stuck {
                None => notify::alive(),
                Some(reason) if was_alive => log::error!("systemd's watchdog is told nothing: {reason}"),
                Some(_) => {}
            }
            was_alive = stuck.is_none();
        })
    }

    fn start(
        name: &'static str,
        interval: Duration,
        mut beat: impl FnMut() + Send + 'static,
    ) -> Result<HeartbeatJob, StoreError> {
        let job = HeartbeatJob::default();
        let shared = Arc::clone(&job.0);
        let run = move || {
            while !shared.pause(interval) {
                beat();
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        thread.map(|_| job).map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// Ends the thread after a heartbeat in flight, and does not wait for it.
    pub(super) fn stop(&self) {
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
