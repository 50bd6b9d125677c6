//! Messages to systemd about the state of the program (sd_notify(3)). Without systemd there is nobody to tell, and nothing is
//! done.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Time between two messages of a start that takes long.
const PAUSE: Duration = Duration::from_secs(10);
/// Time that each of them asks for.
const EXTENSION: Duration = Duration::from_secs(30);
/// Longest start. A migration copies the file first: about a minute per 5 GB.
const LONGEST_START: Duration = Duration::from_secs(60 * 60);

/// Extends systemd's limit for the start until it is dropped.
#[must_use]
pub struct Starting(Arc<Ended>);

#[derive(Default)]
struct Ended {
    is_ended: Mutex<bool>,
    changed: Condvar,
}

impl Starting {
    pub fn begin() -> Starting {
        let ended = Arc::new(Ended::default());
        let waiting = Arc::clone(&ended);
        let run = move || {
            let begun = Instant::now();
            let mut is_ended = waiting.is_ended.lock().unwrap_or_else(PoisonError::into_inner);
            while !*is_ended && begun.elapsed() < LONGEST_START {
                let extension = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
                let status = "Opening the database. A migration or a check of a large file takes minutes.";
                tell(&[NotifyState::ExtendTimeoutUsec(extension), NotifyState::Status(status)]);
                let waited = waiting.changed.wait_timeout_while(is_ended, PAUSE, |is_ended| !*is_ended);
                is_ended = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        };
        if let Err(error) = std::thread::Builder::new().name("starting".to_owned()).spawn(run) {
            log::warn!("systemd's limit for the start is not extended: {error}");
        }
        Starting(ended)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        *self.0.is_ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

/// Says that the server is ready.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that the server stops.
pub fn stopping() {
    let status = "Waiting for requests in flight";
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Runs a reload of the settings, and says when it begins and ends.
pub fn reload<T>(work: impl FnOnce() -> T) -> T {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("systemd is not told of the reload: {error}"),
    }
    let done = work();
    tell(&[NotifyState::Ready]);
    done
}

/// Returns the time after which systemd restarts a program that it has not heard from; `None` if it never does.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Tells the watchdog that the server works.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd cannot be told of the server's state: {error}");
    }
}
