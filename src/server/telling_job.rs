//! Telling contacts while the server runs: a thread that makes messages, and one that sends those that are e-mails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::actions::telling::{Rounds, Style};
use crate::actions::{ActionError, Actions};
use crate::store::StoreError;

/// Time between two rounds.
const PAUSE: Duration = Duration::from_secs(5);
/// Time between two looks for e-mails that are due.
const MAIL_PAUSE: Duration = Duration::from_secs(1);

/// Tells contacts in the background until it is stopped. Cheap to clone.
#[derive(Clone)]
pub struct TellingJob(Arc<Shared>);

struct Shared {
    actions: Actions,
    style: Style,
    rounds: Mutex<Rounds>,
    /// Messages made since they were last asked for.
    made: AtomicUsize,
    is_stopping: Mutex<bool>,
    changed: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl TellingJob {
    pub(super) fn start(actions: Actions, style: Style) -> Result<TellingJob, StoreError> {
        let shared = Arc::new(Shared {
            actions,
            style,
            rounds: Mutex::default(),
            made: AtomicUsize::new(0),
            is_stopping: Mutex::new(false),
            changed: Condvar::new(),
            threads: Mutex::default(),
        });
        let job = TellingJob(shared);
        job.start_thread("telling", PAUSE, |shared| shared.round().map(|()| false))?;
        job.start_thread("outbox", MAIL_PAUSE, |shared| shared.actions.send_due_mail())?;
        Ok(job)
    }

    /// Runs `step` again and again, with a pause unless it returns `true`.
    fn start_thread(
        &self,
        name: &'static str,
        pause: Duration,
        step: fn(&Shared) -> Result<bool, ActionError>,
    ) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.0);
        let run = move || {
            while !*shared.lock() {
                let goes_on = match catch_unwind(AssertUnwindSafe(|| step(&shared))) {
                    Ok(Ok(goes_on)) => goes_on,
                    Ok(Err(ActionError::Store(StoreError::Stopping))) => false,
                    Ok(Err(error)) => {
                        log::error!("contacts could not be told, which is repeated in a moment: {error}");
                        false
                    }
                    Err(_) => {
                        log::error!("a fault in Hookpost interrupted the {name} thread; please report it with the log");
                        false
                    }
                };
                if !goes_on {
                    let is_stopping = shared.lock();
                    let waited = shared.changed.wait_timeout_while(is_stopping, pause, |is_stopping| !*is_stopping);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        let thread = thread.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        self.0.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Makes the messages of what has happened until now. Returns how many were made since the last call.
    pub fn tell_now(&self) -> Result<usize, ActionError> {
        self.0.round()?;
        Ok(self.0.made.swap(0, Ordering::SeqCst))
    }

    /// Ends after the current round. Does not wait for an e-mail that is being sent.
    pub(super) fn stop(&self) {
        *self.0.lock() = true;
        self.0.changed.notify_all();
        let threads = std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.thread().name() == Some("telling") {
                // A panic was already reported.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn round(&self) -> Result<(), ActionError> {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let made = self.actions.tell(&mut rounds, &self.style)?;
        self.made.fetch_add(made, Ordering::SeqCst);
        Ok(())
    }
}
