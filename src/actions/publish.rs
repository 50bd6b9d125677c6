//! Publishing an event, stored with its deliveries in one commit.

use std::sync::Arc;

use super::audit::AuditEntry;
use super::filtering::Verdicts;
use super::reserved::{require_unreserved, require_unreserved_type};
use super::tenant_limits::require_room;
use super::tenants::require_staying;
use super::{ActionError, Actions, Caller, Pending, Result};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::delivery::Cause;
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::domain::filter::EventWork;
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::same_json;
use crate::domain::schema::CheckBudget;
use crate::domain::tenant_limits::TenantLimits;
use crate::domain::time::Millis;
use crate::random;
use crate::store::idempotency::{self, Remembered};
use crate::store::{Connection, WriteTx, delivery, event};

#[derive(Debug, Clone)]
pub struct NewEvent {
    pub event_type: EventType,
    pub tenant: Tenant,
    /// Id chosen by the application. Deduplicates within the tenant while the event is stored.
    pub id: Option<EventId>,
    /// Time of the event. Default: now.
    pub created_ms: Option<Millis>,
    /// JSON as received.
    pub data: Box<str>,
    pub previous_data: Option<Box<str>>,
    pub idempotency: Option<Idempotency>,
    /// Number of the event that a person edited.
    pub resent_from_seq: Option<i64>,
}

impl NewEvent {
    /// Returns the event, unless its tenant or type is Hookpost's own.
    pub fn unreserved(self) -> Result<NewEvent, Invalid> {
        require_unreserved(&self.tenant, "tenant")?;
        require_unreserved_type(&self.event_type, "type")?;
        Ok(self)
    }

    /// Approximate memory use in bytes.
    pub fn size_bytes(&self) -> usize {
        size_of::<NewEvent>() + self.data.len() + self.previous_data.as_deref().map_or(0, str::len)
    }
}

/// `Idempotency-Key` with the SHA-256 of its request.
#[derive(Debug, Clone)]
pub struct Idempotency {
    pub key: String,
    pub fingerprint: [u8; 32],
}

/// Event checked against the schema of its type and the filters of webhooks, outside the writer.
#[derive(Debug, Clone)]
pub struct Checked {
    new: NewEvent,
    violation: Option<Invalid>,
    /// Id of the event if the application chose none.
    generated: Option<EventId>,
    verdicts: Verdicts,
}

/// Duration of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckTime {
    /// There is nothing to check.
    None,
    /// A few milliseconds at most: filters on little data.
    Brief,
    /// Filters on much data.
    Long,
    /// A schema, which may take seconds.
    Schema,
}

impl Checked {
    pub fn tenant(&self) -> &Tenant {
        &self.new.tenant
    }

    pub fn size_bytes(&self) -> usize {
        self.new.size_bytes()
    }

    /// Wraps an event without a check.
    pub fn unchecked(new: NewEvent) -> Checked {
        Checked { new, violation: None, generated: None, verdicts: Verdicts::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Number of the event in the store.
    pub event_seq: i64,
    pub id: EventId,
    /// Whether the event was published before, so nothing was stored.
    pub duplicate: bool,
    pub deliveries: Vec<(DeliveryId, WebhookId)>,
}

impl Actions {
    /// Publishes an event to all subscribed webhooks of its tenant. Returns the receipt once the event is on disk.
    pub fn publish(&self, new: NewEvent) -> Pending<Receipt> {
        self.publish_checked(self.check(new, &mut CheckBudget::default(), EventWork::default()))
    }

    /// Like [`Actions::publish`], for an event that was checked before.
    pub fn publish_checked(&self, checked: Checked) -> Pending<Receipt> {
        let limits = self.limits();
        self.store.write_sized(checked.size_bytes(), move |tx| publish(tx, checked, &limits))
    }

    /// Publishes an event on behalf of a person, which is audited. Publishing by programs is not.
    pub fn publish_by_hand(&self, caller: &Caller, new: NewEvent) -> Pending<Receipt> {
        let caller = caller.clone();
        let (tenant, event_type) = (new.tenant.clone(), new.event_type.clone());
        let (checked, limits) = (self.check(new, &mut CheckBudget::default(), EventWork::default()), self.limits());
        self.store.write_sized(checked.size_bytes(), move |tx| {
            let receipt = publish(tx, checked, &limits)?;
            if !receipt.duplicate {
                let entry = AuditEntry::new(AuditAction::EventPublished, &receipt.id).in_tenant(&tenant);
                caller.audit(tx, entry.with_detail(event_type))?;
            }
            Ok(receipt)
        })
    }

    /// Returns how long [`Actions::check`] may take.
    pub fn check_time(&self, new: &NewEvent) -> CheckTime {
        if self.store.schemas().find(&new.event_type).is_some() {
            return CheckTime::Schema;
        }
        let filtered = self.filtered(new);
        match filtered.is_empty() {
            true => CheckTime::None,
            false if filtered.is_brief(new.size_bytes()) => CheckTime::Brief,
            false => CheckTime::Long,
        }
    }

    /// Checks an event against the schema of its type, and applies the filters of webhooks. A violation is returned when
    /// the event is published, as `schema_violation` in `data`. May take seconds.
    pub fn check(&self, new: NewEvent, budget: &mut CheckBudget, work: EventWork) -> Checked {
        let violation = self.violation(&new, budget);
        let filtered = self.filtered(&new);
        if filtered.is_empty() || violation.is_some() {
            return Checked { violation, ..Checked::unchecked(new) };
        }
        // A filter may be about the id.
        let generated = new.id.is_none().then(|| EventId::generate(self.clock.now_ms(), random::bits()));
        let verdicts = new.id.as_ref().or(generated.as_ref()).map(|id| filtered.apply(&new, id, work));
        Checked { verdicts: verdicts.unwrap_or_default(), new, violation, generated }
    }
}

pub fn publish(tx: &mut WriteTx<'_>, checked: Checked, limits: &TenantLimits) -> Result<Receipt> {
    let Checked { new, violation, generated, verdicts } = checked;
    require_staying(tx, &new.tenant)?;
    if let Some(receipt) = first_receipt(tx, &new)? {
        return Ok(receipt);
    }
    // After the check for duplicates: an event published before its type had this schema keeps its receipt.
    if let Some(violation) = violation {
        return Err(violation.into());
    }
    let mut webhooks = tx.directory().subscribed(&new.tenant, &new.event_type);
    let now = tx.now_ms();
    let event = Arc::new(Event {
        id: new.id.or(generated).unwrap_or_else(|| EventId::generate(now, random::bits())),
        tenant: new.tenant,
        event_type: new.event_type,
        created_ms: new.created_ms.unwrap_or(now),
        received_ms: now,
        data: new.data,
        previous_data: new.previous_data,
        test: false,
    });
    verdicts.retain_accepted(&mut webhooks, &event);
    require_room(tx, limits, &event.tenant, webhooks.len())?;
    let event_seq = event::insert(tx, &event)?;
    if let Some(from_seq) = new.resent_from_seq {
        event::resent(tx, event_seq, from_seq)?;
    }
    if let Some(Idempotency { key, fingerprint }) = new.idempotency {
        let remembered = Remembered { fingerprint, event_seq, batch: None };
        idempotency::put(tx, &event.tenant, &key, &remembered)?;
    }
    let mut deliveries = Vec::with_capacity(webhooks.len());
    for webhook in webhooks {
        let id = DeliveryId::generate(now, random::bits());
        delivery::insert(tx, event_seq, &event, webhook.seq, id, Cause::Event)?;
        deliveries.push((id, webhook.id));
    }
    Ok(Receipt { event_seq, id: event.id.clone(), duplicate: false, deliveries })
}

/// Returns the receipt of the same event published before. A different event with the same id or key is an error.
fn first_receipt(tx: &WriteTx<'_>, new: &NewEvent) -> Result<Option<Receipt>> {
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
    let Some(stored) = event::get(connection, &new.tenant, id)? else {
        return Ok(None);
    };
    let before = &stored.event;
    let is_same = before.event_type == new.event_type
        && same_json::is_same(&before.data, &new.data)
        && match (&before.previous_data, &new.previous_data) {
            (Some(before), Some(new)) => same_json::is_same(before, new),
            (before, new) => before == new,
        }
        && new.created_ms.is_none_or(|created| created == before.created_ms)
        && !before.test;
    if !is_same {
        return Err(ActionError::Conflict {
            code: "event_id_reused",
            message: format!("A different event with the id {id} already exists. Use a new id for a new event."),
            field: Some("id"),
        });
    }
    receipt(connection, stored.seq, stored.event.id).map(Some)
}

pub(super) fn key_reused() -> ActionError {
    ActionError::conflict(
        "idempotency_key_reused",
        "This Idempotency-Key was used for a different request in the last 24 hours. Use a new key for a new event.",
    )
}

pub(super) fn receipt(connection: &Connection, seq: i64, id: EventId) -> Result<Receipt> {
    Ok(Receipt { event_seq: seq, id, duplicate: true, deliveries: delivery::receipt_of(connection, seq)? })
}
