//! Heartbeats while deliveries are sent: requests to `--heartbeat-url`, and messages to systemd's watchdog.

use std::time::Duration;

use log::Level;

use super::repeated_job::RepeatedJob;
use super::{ServerOptions, StartError, notify};
use crate::actions::Actions;
use crate::delivery::heartbeat::Heartbeat;
use crate::store::StoreError;

/// Requests to the URL of the settings, if they have one.
pub struct Heartbeating {
    url: Option<String>,
    job: RepeatedJob,
}

impl Heartbeating {
    pub(super) fn start(actions: Actions, options: &ServerOptions) -> Result<Heartbeating, StartError> {
        let job = match options.heartbeat_url.clone() {
            Some(url) => {
                let heartbeat = Heartbeat::new(url, options.extra_certificates.clone())?;
                to_monitor(actions, heartbeat, options.heartbeat_interval)?
            }
            None => RepeatedJob::default(),
        };
        Ok(Heartbeating { url: options.heartbeat_url.clone(), job })
    }

    pub(super) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Ends the requests after one in flight, and does not wait for it.
    pub(super) fn stop(&self) {
        self.job.stop();
    }
}

/// Starts requests to a monitor. Each follows a commit: if the writer, the scheduler or the workers stop, none is sent. None is
/// sent in a pause of all deliveries either, which must not be forgotten.
fn to_monitor(actions: Actions, heartbeat: Heartbeat, interval: Duration) -> Result<RepeatedJob, StoreError> {
    let mut last_trouble = None;
    RepeatedJob::start("heartbeat", interval, move || {
        let paused = || (Level::Warn, "no heartbeat is sent: all deliveries are paused".to_owned());
        let untaken = |error| (Level::Warn, format!("the monitor did not take a heartbeat: {error}"));
        let trouble = match actions.require_delivering() {
            Err(reason) => Some((Level::Error, format!("no heartbeat is sent: {reason}"))),
            Ok(()) if actions.engine.is_paused() => Some(paused()),
            Ok(()) => heartbeat.send().err().map(untaken),
        };
        if let Some((level, message)) = &trouble
            && trouble != last_trouble
        {
            log::log!(*level, "{message}");
        }
        last_trouble = trouble;
    })
}

/// Starts messages to systemd's watchdog, if it asks for them, which restarts the program when none come: while the writer
/// hangs, or deliveries that are due are not sent.
pub(super) fn to_watchdog(actions: Actions) -> Result<RepeatedJob, StoreError> {
    let Some(patience) = notify::watchdog() else { return Ok(RepeatedJob::default()) };
    let mut was_alive = true;
    RepeatedJob::start("watchdog", patience / 3, move || {
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
