//! Stopping: what runs ends, and everything is on disk.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Running, notify};

/// Longest timeout of a webhook, and so of a request in flight.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(30);
/// Time that a stop grants beyond [`LONGEST_ATTEMPT`].
const GRACE: Duration = Duration::from_secs(5);
/// Time in which clients that send one request after the other learn from a response that their connection ends.
const LAST_REQUESTS: Duration = Duration::from_secs(1);
/// Time in which connections that were accepted last reach the thread that serves them.
const LAST_CONNECTIONS: Duration = Duration::from_millis(100);
/// Time between two looks at what is still open.
const LOOK: Duration = Duration::from_millis(2);

impl Running {
    /// Stops: accepts no new events, and waits for requests in flight up to their timeout and five seconds. Queued
    /// deliveries stay queued. Returns once everything is on disk.
    ///
    /// With a socket that outlives the process, events are accepted until the last connection is closed, and none is
    /// refused: each response says that its connection ends, and new connections wait for the next process.
    pub async fn stop(&self) {
        self.stop_within(LONGEST_ATTEMPT + GRACE).await;
    }

    /// Like [`stop`](Running::stop), with another limit for requests in flight.
    pub async fn stop_within(&self, patience: Duration) {
        let engine = self.app.actions.engine.clone();
        notify::stopping();
        // A server that stops sends nothing: the monitor may notice.
        self.heartbeating.lock().unwrap_or_else(PoisonError::into_inner).stop();
        self.watchdog.stop();
        engine.begin_stop();
        self.app.stop();
        let is_idle = tokio::task::spawn_blocking(move || engine.stop(patience));
        if !is_idle.await.unwrap_or(false) {
            log::warn!("some requests did not end in time; they are sent again at the next start");
        }
        self.handle.pause().await;
        if self.app.takes_events_to_the_end {
            self.answer_last_requests(patience).await;
        }
        self.app.connections.close_idle();
        // Limited, because a client may never read its response.
        let ended = async {
            while self.app.requests() > 0 || self.app.connections.open() > 0 {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(GRACE.min(patience), ended).await;
        self.handle.stop(false).await;
        let store = self.app.actions.store.clone();
        let (retention_job, backup_job) = (self.retention_job.clone(), self.backup_job.clone());
        let telling = self.telling.clone();
        let close = move || {
            telling.stop();
            backup_job.stop();
            retention_job.stop();
            store.close();
        };
        if tokio::task::spawn_blocking(close).await.is_err() {
            log::error!("the database was not closed cleanly; no committed data is lost");
            return;
        }
        drop(self.held.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Answers the requests of connections that are open, and waits until their clients have closed them or send no more.
    /// A connection that is closed at once may have a request on its way, which would be lost.
    async fn answer_last_requests(&self, patience: Duration) {
        let begun = Instant::now();
        let is_over = |open| match begun.elapsed() {
            elapsed if elapsed < LAST_CONNECTIONS.min(patience) => false,
            elapsed => open == 0 || elapsed >= LAST_REQUESTS.min(patience),
        };
        while !is_over(self.app.connections.open()) {
            sleep(LOOK).await;
        }
    }
}
