//! Telling contacts while the server runs: a thread that makes messages, and one that sends those that are e-mails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::actions::telling::{Rounds, Style};
use crate::actions::{ActionError, Actions};
use crate::store::StoreError;

/// Time between two rounds.
const PAUSE: Duration = Duration::from_secs(5);
/// Time between two looks for e-mails that are due.
const MAIL_PAUSE: Duration = Duration::from_secs(1);
/// Time that a stop grants to an e-mail that is being sent. One that takes longer is sent again at the next start.
const GRACE: Duration = Duration::from_secs(5);

/// Tells contacts in the background until it is stopped. Cheap to clone.
#[derive(Clone)]
pub struct TellingJob(Arc<Shared>);

struct Shared {
    actions: Actions,
    style: Style,
    rounds: Mutex<Rounds>,
    /// Messages made since they were last asked for.
    made: AtomicUsize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_stopping: bool,
    /// Threads that have not ended.
    threads: usize,
}

impl TellingJob {
    pub(super) fn start(actions: Actions, style: Style) -> Result<TellingJob, StoreError> {
        let shared = Arc::new(Shared {
            actions,
            style,
            rounds: Mutex::default(),
            made: AtomicUsize::new(0),
            state: Mutex::default(),
            changed: Condvar::new(),
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
            while !shared.lock().is_stopping {
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
                    let state = shared.lock();
                    let waited = shared.changed.wait_timeout_while(state, pause, |state| !state.is_stopping);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                }
            }
            shared.lock().threads -= 1;
            shared.changed.notify_all();
        };
        self.0.lock().threads += 1;
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        thread.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(())
    }

    /// Makes the messages of what has happened until now. Returns how many were made since the last call.
    pub fn tell_now(&self) -> Result<usize, ActionError> {
        self.0.round()?;
        Ok(self.0.made.swap(0, Ordering::SeqCst))
    }

    /// Ends after the current round, and after the e-mail that is being sent, which is then recorded.
    pub(super) fn stop(&self) {
        let mut state = self.0.lock();
        state.is_stopping = true;
        self.0.changed.notify_all();
        drop(self.0.changed.wait_timeout_while(state, GRACE, |state| state.threads > 0));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn round(&self) -> Result<(), ActionError> {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let made = self.actions.tell(&mut rounds, &self.style)?;
        self.made.fetch_add(made, Ordering::SeqCst);
        Ok(())
    }
}
