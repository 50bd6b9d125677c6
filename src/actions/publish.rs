//! Publishing an event: stored with its deliveries in one commit, answered once that is on disk.

use std::sync::Arc;

use super::audit::AuditEntry;
use super::{ActionError, Actions, Caller};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::delivery::Cause;
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::time::Millis;
use crate::random;
use crate::store::idempotency::{self, Remembered};
use crate::store::{Connection, Pending, WriteTx, delivery, event};

/// An event to be published.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub event_type: EventType,
    pub tenant: Tenant,
    /// The application's own id; it deduplicates over all tenants for as long as the event is stored.
    pub id: Option<EventId>,
    /// When it happened; now, where nobody says.
    pub created_ms: Option<Millis>,
    /// JSON as the application spelled it.
    pub data: Box<str>,
    pub previous_data: Option<Box<str>>,
    pub idempotency: Option<Idempotency>,
}

/// An `Idempotency-Key`, and the SHA-256 of the request that came under it.
#[derive(Debug, Clone)]
pub struct Idempotency {
    pub key: String,
    pub fingerprint: [u8; 32],
}

/// An event held to the schema of its type, before it takes the writer's time.
#[derive(Debug, Clone)]
pub struct Checked {
    new: NewEvent,
    violation: Option<Invalid>,
}

impl Checked {
    pub fn tenant(&self) -> &Tenant {
        &self.new.tenant
    }

    /// An event whose type is known to have no schema.
    pub fn without_schema(new: NewEvent) -> Checked {
        let violation = None;
        Checked { new, violation }
    }
}

/// What became of a published event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub id: EventId,
    /// The same was published before; nothing new was stored.
    pub duplicate: bool,
    pub deliveries: Vec<(DeliveryId, WebhookId)>,
}

impl Actions {
    /// Publishes an event to every webhook of its tenant that subscribed. The receipt comes once it is on disk.
    pub fn publish(&self, new: NewEvent) -> Pending<Receipt, ActionError> {
        let checked = self.check(new);
        self.store.write(move |tx| publish(tx, checked))
    }

    /// The same by a person, which is written down; what programs publish is not.
    pub fn publish_by_hand(&self, caller: &Caller, new: NewEvent) -> Pending<Receipt, ActionError> {
        let caller = caller.clone();
        let (tenant, event_type) = (new.tenant.clone(), new.event_type.clone());
        let checked = self.check(new);
        self.store.write(move |tx| {
            let receipt = publish(tx, checked)?;
            if !receipt.duplicate {
                let entry = AuditEntry::new(AuditAction::EventPublished, &receipt.id).in_tenant(&tenant);
                caller.audit(tx, entry.with_detail(event_type))?;
            }
            Ok(receipt)
        })
    }

    /// Holds an event to the schema of its type; one that has none costs a look at a map. What is wrong comes out
    /// when it is published, as a `schema_violation` in `data`.
    pub fn check(&self, new: NewEvent) -> Checked {
        let violation = self.violation(&new);
        Checked { new, violation }
    }
}

/// Publishes within a transaction.
pub fn publish(tx: &mut WriteTx<'_>, checked: Checked) -> Result<Receipt, ActionError> {
    let Checked { new, violation } = checked;
    if let Some(receipt) = first_receipt(tx, &new)? {
        return Ok(receipt);
    }
    // Only now: what was taken before its type had this schema is answered as before.
    if let Some(violation) = violation {
        return Err(violation.into());
    }
    let now = tx.now_ms();
    let event = Arc::new(Event {
        id: new.id.unwrap_or_else(|| EventId::generate(now, random::bits())),
        tenant: new.tenant,
        event_type: new.event_type,
        created_ms: new.created_ms.unwrap_or(now),
        received_ms: now,
        data: new.data,
        previous_data: new.previous_data,
        test: false,
    });
    let event_seq = event::insert(tx, &event)?;
    if let Some(Idempotency { key, fingerprint }) = new.idempotency {
        let remembered = Remembered { fingerprint, event_seq, batch: None };
        idempotency::put(tx, &event.tenant, &key, &remembered)?;
    }
    let mut deliveries = Vec::new();
    for webhook in tx.directory().subscribed(&event.tenant, &event.event_type) {
        let id = DeliveryId::generate(now, random::bits());
        delivery::insert(tx, event_seq, &event, webhook.seq, id, Cause::Event)?;
        deliveries.push((id, webhook.id));
    }
    Ok(Receipt { id: event.id.clone(), duplicate: false, deliveries })
}

/// The receipt of the same event, published before. An error where it was not quite the same.
fn first_receipt(tx: &WriteTx<'_>, new: &NewEvent) -> Result<Option<Receipt>, ActionError> {
    let connection = tx.connection();
    if let Some(Idempotency { key, fingerprint }) = &new.idempotency {
        let before = idempotency::get(connection, &new.tenant, key, tx.now_ms())?;
        if let Some(before) = before
            && let Some(stored) = event::by_seq(connection, before.event_seq)?
        {
            if before.fingerprint != *fingerprint {
                return Err(key_reused());
            }
            return receipt(connection, stored.seq, stored.event.id).map(Some);
        }
    }
    let Some(id) = &new.id else {
        return Ok(None);
    };
    let Some(stored) = event::get(connection, id)? else {
        return Ok(None);
    };
    let before = &stored.event;
    let is_same = before.tenant == new.tenant
        && before.event_type == new.event_type
        && before.data == new.data
        && before.previous_data == new.previous_data
        && new.created_ms.is_none_or(|created| created == before.created_ms)
        && !before.test;
    if !is_same {
        return Err(ActionError::Conflict {
            code: "event_id_reused",
            message: format!(
                "An event with the id {id} is stored already, with another payload or tenant. An id names one event for good."
            ),
            field: Some("id"),
        });
    }
    receipt(connection, stored.seq, stored.event.id).map(Some)
}

pub(super) fn key_reused() -> ActionError {
    ActionError::conflict(
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request in the last 24 hours. Use a new key for a new event.",
    )
}

/// The receipt of an event that was published before.
pub(super) fn receipt(connection: &Connection, seq: i64, id: EventId) -> Result<Receipt, ActionError> {
    Ok(Receipt { id, duplicate: true, deliveries: delivery::receipt_of(connection, seq)? })
}
