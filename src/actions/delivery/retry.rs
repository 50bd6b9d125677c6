//! Retrying or discarding one delivery.

use crate::actions::audit::AuditEntry;
use crate::actions::erase::erased;
use crate::actions::tenant_limits::require_room;
use crate::actions::{ActionError, Actions, Caller, Pending, Result, lookup};
use crate::domain::audit_action::AuditAction;
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::tenant_limits::TenantLimits;
use crate::store::delivery::{self, Delivery};
use crate::store::{Change, WriteTx, webhook};

impl Actions {
    /// Retries a delivery. A finished one starts a new series of attempts; a pending or retrying one is due now. If the
    /// webhook is inactive, the delivery stays queued.
    pub fn retry(&self, caller: &Caller, id: &str) -> Pending<Delivery> {
        let (caller, id, limits) = (caller.clone(), id.to_owned(), self.limits());
        self.store.write(move |tx| {
            let delivery = lookup::delivery(tx.connection(), &caller, &id)?;
            retry(tx, &limits, &delivery)?;
            let entry = AuditEntry::new(AuditAction::DeliveryRetried, delivery.id).in_tenant(&delivery.tenant);
            caller.audit(tx, entry.with_detail(format!("{}, which was {}", delivery.event_type, delivery.status)))?;
            lookup::delivery(tx.connection(), &caller, &id)
        })
    }

    /// Discards a delivery that is not finished. A running attempt is not canceled; if it succeeds, the delivery
    /// becomes delivered.
    pub fn discard(&self, caller: &Caller, id: &str) -> Pending<Delivery> {
        let (caller, id) = (caller.clone(), id.to_owned());
        self.store.write(move |tx| {
            let delivery = lookup::delivery(tx.connection(), &caller, &id)?;
            if delivery.status.is_finished() {
                return Err(ActionError::conflict(
                    "delivery_finished",
                    format!("This delivery is already {}. Only a queued delivery can be discarded.", delivery.status),
                ));
            }
            match delivery.cause {
                Cause::Test => delivery::discard_test(tx, delivery.seq)?,
                Cause::Event | Cause::Replay => delivery::discard(tx, delivery.reference())?,
            }
            tx.notify(Change::Withdrawn { webhook_seq: delivery.webhook_seq, delivery_seq: delivery.seq });
            let entry = AuditEntry::new(AuditAction::DeliveryDiscarded, delivery.id).in_tenant(&delivery.tenant);
            caller.audit(tx, entry.with_detail(&delivery.event_type))?;
            lookup::delivery(tx.connection(), &caller, &id)
        })
    }
}

fn retry(tx: &mut WriteTx<'_>, limits: &TenantLimits, delivery: &Delivery) -> Result<()> {
    if delivery.cause == Cause::Test {
        return Err(ActionError::conflict("test_delivery", "A test is attempted once. Send a new one."));
    }
    if delivery.is_erased {
        return Err(erased());
    }
    if webhook::by_seq(tx.connection(), delivery.webhook_seq)?.is_none() {
        return Err(ActionError::conflict("webhook_deleted", "The webhook of this delivery was deleted."));
    }
    match delivery.status {
        DeliveryStatus::Pending | DeliveryStatus::Retrying => delivery::make_due(tx, delivery.seq)?,
        DeliveryStatus::Delivered | DeliveryStatus::Failed => {
            require_room(tx, limits, &delivery.tenant, 1)?;
            delivery::restart(tx, delivery.reference())?;
        }
        DeliveryStatus::Discarded => {
            return Err(ActionError::conflict(
                "delivery_discarded",
                "A discarded delivery cannot be retried. Publish or replay the event to send it again.",
            ));
        }
    }
    tx.notify(Change::Reread { webhook_seq: delivery.webhook_seq });
    Ok(())
}
