//! Retrying a delivery by hand.

use crate::actions::audit::AuditEntry;
use crate::actions::{ActionError, Actions, Caller, lookup};
use crate::domain::audit_action::AuditAction;
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::store::delivery::{self, Delivery};
use crate::store::{Change, Pending, WriteTx, webhook};

impl Actions {
    /// A finished delivery starts a fresh series of attempts; one that waits is due now. One of an inactive
    /// webhook waits for it.
    pub fn retry(&self, caller: &Caller, id: &str) -> Pending<Delivery, ActionError> {
        let (caller, id) = (caller.clone(), id.to_owned());
        self.store.write(move |tx| {
            let delivery = lookup::delivery(tx.connection(), &caller, &id)?;
            retry(tx, &delivery)?;
            let done = AuditEntry::of(AuditAction::DeliveryRetried, &delivery.tenant, delivery.id);
            caller.audit(tx, &done.saying(format!("{}, which was {}", delivery.event_type, delivery.status)))?;
            lookup::delivery(tx.connection(), &caller, &id)
        })
    }
}

fn retry(tx: &mut WriteTx<'_>, delivery: &Delivery) -> Result<(), ActionError> {
    if delivery.cause == Cause::Test {
        return Err(ActionError::conflict("test_delivery", "A test is attempted once. Send a new one."));
    }
    if webhook::by_seq(tx.connection(), delivery.webhook_seq)?.is_none() {
        return Err(ActionError::conflict("webhook_deleted", "The webhook of this delivery was deleted."));
    }
    match delivery.status {
        DeliveryStatus::Pending | DeliveryStatus::Retrying => delivery::make_due(tx, delivery.seq)?,
        DeliveryStatus::Delivered | DeliveryStatus::Failed => delivery::restart(tx, delivery.place())?,
        DeliveryStatus::Discarded => {
            return Err(ActionError::conflict(
                "delivery_discarded",
                "This delivery was discarded, which is final. Publish or replay the event to send it again.",
            ));
        }
    }
    tx.notify(Change::Reread { webhook_seq: delivery.webhook_seq, from_seq: delivery.seq });
    Ok(())
}
