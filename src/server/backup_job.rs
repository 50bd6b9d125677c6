//! Scheduled backups while the server runs.

use super::clock_job::{ClockJob, Shared, Work};
use crate::actions::Actions;
use crate::domain::clock_jumps::Reading;
use crate::domain::time::{MINUTE, Millis};
use crate::store::StoreError;

/// Shortest time from the start to a backup. By then overdue deliveries have been sent.
const AFTER_START: Millis = MINUTE;

struct Backup(Actions);

/// Makes backups in the background until the job is stopped.
pub(super) fn start(actions: Actions) -> Result<ClockJob, StoreError> {
    let clock = actions.clock.clone();
    actions.backups.put_off(clock.now_ms() + AFTER_START);
    ClockJob::start("backups", clock, Backup(actions))
}

impl Work for Backup {
    fn due_ms(&mut self, now: Reading) -> Millis {
        self.0.backups.next_ms(now.wall_ms).unwrap_or(Millis::MAX)
    }

    fn run(&mut self, _: Millis, job: &Shared) {
        self.0.back_up(job.is_stopping());
    }
}
