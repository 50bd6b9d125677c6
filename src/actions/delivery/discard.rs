//! Giving up a delivery that waits.

use crate::actions::audit::AuditEntry;
use crate::actions::{ActionError, Actions, Caller, lookup};
use crate::domain::audit_action::AuditAction;
use crate::domain::delivery::Cause;
use crate::store::delivery::{self, Delivery};
use crate::store::{Change, Pending};

impl Actions {
    /// Discards a delivery that is not finished. An attempt under way is not called back; where it gets through,
    /// the delivery is delivered after all.
    pub fn discard(&self, caller: &Caller, id: &str) -> Pending<Delivery, ActionError> {
        let (caller, id) = (caller.clone(), id.to_owned());
        self.store.write(move |tx| {
            let delivery = lookup::delivery(tx.connection(), &caller, &id)?;
            if delivery.status.is_finished() {
                return Err(ActionError::conflict(
                    "delivery_finished",
                    format!("This delivery is {} already; only one that waits can be discarded.", delivery.status),
                ));
            }
            match delivery.cause {
                Cause::Test => delivery::discard_test(tx, delivery.seq)?,
                Cause::Event | Cause::Replay => delivery::discard(tx, delivery.place())?,
            }
            tx.notify(Change::Withdrawn { webhook_seq: delivery.webhook_seq, delivery_seq: delivery.seq });
            let done = AuditEntry::of(AuditAction::DeliveryDiscarded, &delivery.tenant, delivery.id);
            caller.audit(tx, &done.saying(&delivery.event_type))?;
            lookup::delivery(tx.connection(), &caller, &id)
        })
    }
}
