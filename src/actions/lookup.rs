//! Lookups by public id. Objects of another tenant count as missing.

use super::{ActionError, Actions, Caller, Result};
use crate::actions::contact::ContactInFull;
use crate::domain::contact::Contact;
use crate::domain::event::{EventId, Tenant};
use crate::domain::id::{ContactId, DeliveryId, IncidentId, WebhookId};
use crate::domain::webhook::Webhook;
use crate::store::attempt::{self, Attempt};
use crate::store::delivery::{self, Delivery};
use crate::store::event::{self, StoredEvent};
use crate::store::incident::read::{self, Incident};
use crate::store::page::{Cursor, MAX_LIMIT, Page, PageRequest};
use crate::store::{Connection, contact, profile, webhook};

/// Delivery with its newest attempts.
#[derive(Debug, Clone)]
pub struct DeliveryInFull {
    pub delivery: Delivery,
    /// In order.
    pub attempts: Vec<Attempt>,
    /// Cursor of the attempts before those, if there are any.
    pub earlier: Option<Cursor>,
}

impl DeliveryInFull {
    /// Approximate memory use of the attempts in bytes.
    pub fn size_bytes(&self) -> usize {
        self.attempts.iter().map(Attempt::size_bytes).sum()
    }

    /// Leaves out the attempts, which [`attempts`] returns then.
    pub fn leave_out_attempts(&mut self) {
        if let Some(newest) = self.attempts.pop() {
            self.attempts.clear();
            self.earlier = Some(Cursor::below(i64::from(newest.number) + 1));
        }
    }
}

pub fn webhook(connection: &Connection, caller: &Caller, id: &str) -> Result<Webhook> {
    let id: WebhookId = id.parse().map_err(|_| ActionError::NotFound("webhook"))?;
    webhook::get(connection, id)?.filter(|webhook| caller.sees(&webhook.tenant)).ok_or(ActionError::NotFound("webhook"))
}

/// Like [`webhook()`], for a change. The webhook of a contact changes with its contact only.
pub fn own_webhook(connection: &Connection, caller: &Caller, id: &str) -> Result<Webhook> {
    let webhook = webhook(connection, caller, id)?;
    match webhook.contact_seq {
        None => Ok(webhook),
        Some(_) => {
            let message = "This webhook belongs to a contact. Change or test the contact instead.";
            Err(ActionError::conflict("contact_webhook", message))
        }
    }
}

/// Returns the contact with this id. Tenants see their own.
pub fn contact(connection: &Connection, caller: &Caller, id: &str) -> Result<Contact> {
    let unknown = ActionError::NotFound("contact");
    let id: ContactId = id.parse().map_err(|_| unknown.clone())?;
    let is_seen = |contact: &Contact| caller.tenant.is_none() || caller.tenant == contact.tenant;
    contact::get(connection, id)?.filter(is_seen).ok_or(unknown)
}

/// Like [`contact()`], with its webhook.
pub fn contact_in_full(connection: &Connection, caller: &Caller, id: &str) -> Result<ContactInFull> {
    Ok(ContactInFull::read(connection, contact(connection, caller, id)?)?)
}

pub fn delivery(connection: &Connection, caller: &Caller, id: &str) -> Result<Delivery> {
    let id: DeliveryId = id.parse().map_err(|_| ActionError::NotFound("delivery"))?;
    delivery::get(connection, id)?
        .filter(|delivery| caller.sees(&delivery.tenant))
        .ok_or(ActionError::NotFound("delivery"))
}

/// Returns the incident with this id, as the caller sees it.
pub fn incident(connection: &Connection, caller: &Caller, id: &str) -> Result<Incident> {
    let unknown = ActionError::NotFound("incident");
    let id: IncidentId = id.parse().map_err(|_| unknown.clone())?;
    read::get(connection, id, caller.tenant.as_ref())?.ok_or(unknown)
}

/// Returns the event with this id, which is unique within a tenant. A caller for all tenants need not name one unless
/// several have the id.
pub fn event(connection: &Connection, caller: &Caller, id: &str, tenant: Option<&str>) -> Result<StoredEvent> {
    let unknown = ActionError::NotFound("event");
    let tenant = caller.tenant_filter(tenant)?;
    let id: EventId = id.parse().map_err(|_| unknown.clone())?;
    match event::seqs_of(connection, tenant.as_ref(), &id)?[..] {
        [] => Err(unknown),
        [seq] => event::by_seq(connection, seq)?.ok_or(unknown),
        _ => Err(ambiguous(&id, &event::tenants_with(connection, &id, NAMED + 1)?)),
    }
}

/// Maximum tenants that an error names.
const NAMED: u32 = 10;

fn ambiguous(id: &EventId, tenants: &[Tenant]) -> ActionError {
    let mut names: Vec<&str> = tenants.iter().map(Tenant::as_str).take(NAMED as usize).collect();
    if tenants.len() > names.len() {
        names.push("…");
    }
    let names = names.join(", ");
    ActionError::Conflict {
        code: "ambiguous_event_id",
        message: format!("Several tenants have an event with the id {id}: {names}. Add tenant to select one."),
        field: Some("tenant"),
    }
}

/// Replaces the signatures of attempts by a mask, unless the caller may see secrets: with the body, which is no secret, a
/// signature tells whether a guess of the secret is right.
pub fn mask_signatures<'a>(
    connection: &Connection,
    caller: &Caller,
    attempts: impl IntoIterator<Item = &'a mut Attempt>,
) -> Result<()> {
    if !caller.sees_secrets {
        let names = profile::signature_headers(connection)?;
        attempts.into_iter().for_each(|attempt| names.mask(&mut attempt.request_headers));
    }
    Ok(())
}

/// Returns the delivery with this id and its newest attempts: a page of the largest size.
pub fn delivery_in_full(connection: &Connection, caller: &Caller, id: &str) -> Result<DeliveryInFull> {
    let request = PageRequest { limit: MAX_LIMIT, cursor: None };
    let (delivery, page) = with_attempts(connection, caller, id, &request)?;
    let Page { rows: mut attempts, next: earlier } = page;
    attempts.reverse();
    Ok(DeliveryInFull { delivery, attempts, earlier })
}

/// Returns a page of the attempts of the delivery with this id, newest first.
pub fn attempts(connection: &Connection, caller: &Caller, id: &str, request: &PageRequest) -> Result<Page<Attempt>> {
    with_attempts(connection, caller, id, request).map(|(_, page)| page)
}

/// Returns the delivery with this id, and one of its attempts if it exists.
pub fn attempt(connection: &Connection, caller: &Caller, id: &str, number: u32) -> Result<(Delivery, Option<Attempt>)> {
    let delivery = delivery(connection, caller, id)?;
    let event = event::by_seq(connection, delivery.event_seq)?;
    let event = event.as_ref().and_then(StoredEvent::whole);
    let mut attempt = attempt::get(connection, delivery.seq, number, event)?;
    mask_signatures(connection, caller, &mut attempt)?;
    Ok((delivery, attempt))
}

fn with_attempts(
    connection: &Connection,
    caller: &Caller,
    id: &str,
    request: &PageRequest,
) -> Result<(Delivery, Page<Attempt>)> {
    let delivery = delivery(connection, caller, id)?;
    let event = event::by_seq(connection, delivery.event_seq)?.ok_or(ActionError::NotFound("delivery"))?;
    let mut page = attempt::page(connection, &delivery, event.whole(), request)?;
    mask_signatures(connection, caller, &mut page.rows)?;
    Ok((delivery, page))
}

impl Actions {
    /// Returns the event of a delivery with the last attempt, if any; `None` if the event was deleted.
    pub fn last_attempt(&self, caller: &Caller, delivery: &Delivery) -> Result<Option<(StoredEvent, Option<Attempt>)>> {
        self.store.read(|connection| {
            let Some(stored) = event::by_seq(connection, delivery.event_seq)? else {
                return Ok(None);
            };
            let mut attempt = attempt::last(connection, delivery.seq, stored.whole())?;
            mask_signatures(connection, caller, &mut attempt)?;
            Ok(Some((stored, attempt)))
        })
    }
}
