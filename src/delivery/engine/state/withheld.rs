//! Lanes that may not send: those of tenants that are being deleted, and all while deliveries are paused.

use super::State;
use crate::delivery::engine::lane::Lane;
use crate::domain::event::Tenant;
use crate::domain::time::Millis;

impl State {
    /// Closes the lanes of a tenant that is being deleted, and those of its contacts.
    pub(in crate::delivery::engine) fn leave(&mut self, tenant: Tenant, now: Millis) {
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.endpoint.webhook.is_of(&tenant));
        let seqs: Vec<i64> = lanes.map(|(seq, _)| *seq).collect();
        for seq in seqs {
            self.with(seq, now, Lane::close);
        }
        self.leaving.insert(tenant);
    }

    /// Ends the deletion of a tenant. Its webhooks get lanes again.
    pub(in crate::delivery::engine) fn end_leaving(&mut self, tenant: &Tenant) {
        self.leaving.remove(tenant);
    }

    /// Pauses or resumes all lanes but those of contacts. Requests in flight end as they would.
    pub(in crate::delivery::engine) fn set_paused(&mut self, paused: bool, now: Millis) {
        self.paused = paused;
        let seqs: Vec<i64> = self.lanes.keys().copied().collect();
        seqs.into_iter().for_each(|seq| self.settle(seq, now));
    }

    pub(in crate::delivery::engine) fn is_paused(&self) -> bool {
        self.paused
    }
}
