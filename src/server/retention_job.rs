//! Retention while the server runs: deletes old deliveries and events every hour, by the server's clock.

use super::clock_job::{ClockJob, Shared, Work};
use crate::actions::prune::{Pace, prune};
use crate::actions::{ActionError, Actions};
use crate::domain::clock_jumps::{ClockJumps, Reading};
use crate::domain::time::{HOUR, MINUTE, Millis};
use crate::store::{StoreError, retention};

/// Time from the start to the first run. By then overdue deliveries have been sent, and a clock that was wrong at the
/// start has been set.
const AFTER_START: Millis = 10 * MINUTE;
const INTERVAL: Millis = HOUR;

struct Retention {
    actions: Actions,
    next_ms: Millis,
    jumps: ClockJumps,
}

/// Deletes in the background until the job is stopped.
pub(super) fn start(actions: Actions) -> Result<ClockJob, StoreError> {
    let now = actions.clock.reading();
    let newest_ms = actions.store.read(retention::newest_ms)?;
    let (clock, next_ms) = (actions.clock.clone(), now.wall_ms + AFTER_START);
    ClockJob::start("retention", clock, Retention { actions, next_ms, jumps: ClockJumps::since(newest_ms, now) })
}

impl Work for Retention {
    fn due_ms(&mut self, now: Reading) -> Millis {
        self.jumps.observe(now);
        // Never later than the interval, even if the clock was set back.
        self.next_ms = self.next_ms.min(now.wall_ms + INTERVAL);
        self.next_ms
    }

    fn run(&mut self, now: Millis, job: &Shared) {
        let cutoffs = self.actions.live.get().retention.cutoffs_after_jumps(now, &self.jumps);
        let pace = Pace { go_on: &|| job.goes_on(), rest: &|time| job.rest(time), deleted: &|_| {} };
        match prune(&self.actions.store, cutoffs, false, &pace) {
            Ok(pruned) if pruned.deliveries + pruned.events > 0 => {
                log::info!("retention deleted {} deliveries and {} events", pruned.deliveries, pruned.events);
            }
            Ok(_) | Err(ActionError::Store(StoreError::Stopping)) => {}
            Err(error) => log::error!("retention failed and is retried in an hour: {error}"),
        }
        self.next_ms = now + INTERVAL;
    }
}
