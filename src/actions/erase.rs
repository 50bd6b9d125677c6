//! Erasing the payload of an event.

use super::audit::AuditEntry;
use super::batched::GoOn;
use super::{ActionError, Actions, Caller, Result, lookup};
use crate::domain::audit_action::AuditAction;
use crate::store::event;

/// Returns the error of what cannot be sent any more.
pub(super) fn erased() -> ActionError {
    ActionError::conflict("event_erased", "The data of this event was erased, so it cannot be sent again.")
}

impl Actions {
    /// Erases the data of an event, and what the attempts of its deliveries sent and got. Its waiting deliveries are discarded; one
    /// whose request is under way ends as it would. A second call does what a first one left that was cut short. Blocks.
    pub fn erase_event(&self, caller: &Caller, id: &str, tenant: Option<&str>, go_on: GoOn<'_>) -> Result<()> {
        let seq = self.store.read(|connection| lookup::event(connection, caller, id, tenant))?.seq;
        let (mut waiting, mut begun) = (Some(0), None);
        while let Some(after) = waiting {
            let (caller, first) = (caller.clone(), begun);
            let (next, since) = self.step(go_on, move |tx| {
                let begun = first.unwrap_or_else(|| tx.now_ms());
                let next = event::discard_waiting(tx, seq, after)?;
                if next.is_some() {
                    return Ok((next, begun));
                }
                // In the same transaction, so that nothing is queued in between.
                let stored = event::by_seq(tx.connection(), seq)?.ok_or(ActionError::NotFound("event"))?;
                event::erase(tx, &stored, begun)?;
                if stored.erased_ms.is_none() {
                    let entry = AuditEntry::new(AuditAction::EventErased, &stored.event.id);
                    let entry = entry.in_tenant(&stored.event.tenant).with_detail(&stored.event.event_type);
                    caller.audit(tx, entry)?;
                }
                Ok((None, begun))
            })?;
            (waiting, begun) = (next, Some(since));
        }
        let mut attempts = Some((0, 0));
        while let Some(after) = attempts {
            attempts = self.step(go_on, move |tx| Ok(event::erase_attempts(tx, seq, after)?))?;
        }
        Ok(())
    }
}
