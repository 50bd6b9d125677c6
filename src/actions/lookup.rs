//! Looking things up by their public id. What belongs to another tenant does not exist for the caller.

use super::{ActionError, Actions, Caller};
use crate::domain::event::EventId;
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::webhook::Webhook;
use crate::store::attempt::{self, Attempt};
use crate::store::delivery::{self, Delivery};
use crate::store::event::{self, StoredEvent};
use crate::store::{Connection, webhook};

/// A delivery with all its attempts.
#[derive(Debug, Clone)]
pub struct DeliveryInFull {
    pub delivery: Delivery,
    pub attempts: Vec<Attempt>,
}

/// The webhook with this id.
pub fn webhook(connection: &Connection, caller: &Caller, id: &str) -> Result<Webhook, ActionError> {
    let id: WebhookId = id.parse().map_err(|_| ActionError::NotFound("webhook"))?;
    webhook::get(connection, id)?.filter(|webhook| caller.sees(&webhook.tenant)).ok_or(ActionError::NotFound("webhook"))
}

/// The delivery with this id.
pub fn delivery(connection: &Connection, caller: &Caller, id: &str) -> Result<Delivery, ActionError> {
    let id: DeliveryId = id.parse().map_err(|_| ActionError::NotFound("delivery"))?;
    delivery::get(connection, id)?
        .filter(|delivery| caller.sees(&delivery.tenant))
        .ok_or(ActionError::NotFound("delivery"))
}

/// The event with this id.
pub fn event(connection: &Connection, caller: &Caller, id: &str) -> Result<StoredEvent, ActionError> {
    let id: EventId = id.parse().map_err(|_| ActionError::NotFound("event"))?;
    event::get(connection, &id)?
        .filter(|stored| caller.sees(&stored.event.tenant))
        .ok_or(ActionError::NotFound("event"))
}

/// The delivery with this id, and the request and response of each attempt.
pub fn delivery_in_full(connection: &Connection, caller: &Caller, id: &str) -> Result<DeliveryInFull, ActionError> {
    let delivery = delivery(connection, caller, id)?;
    let event = event::by_seq(connection, delivery.event_seq)?.ok_or(ActionError::NotFound("delivery"))?;
    let attempts = attempt::of_delivery(connection, delivery.seq, &event.event)?;
    Ok(DeliveryInFull { delivery, attempts })
}

impl Actions {
    /// The event of a delivery and its last attempt, where there was one; `None` where the event is gone.
    pub fn last_attempt(&self, delivery: &Delivery) -> Result<Option<(StoredEvent, Option<Attempt>)>, ActionError> {
        self.store.read(|connection| {
            let Some(stored) = event::by_seq(connection, delivery.event_seq)? else {
                return Ok(None);
            };
            let attempt = attempt::last(connection, delivery.seq, &stored.event)?;
            Ok(Some((stored, attempt)))
        })
    }

    /// Like the function of this name, on a connection of its own.
    pub fn delivery_in_full(&self, caller: &Caller, id: &str) -> Result<DeliveryInFull, ActionError> {
        self.store.read(|connection| delivery_in_full(connection, caller, id))
    }
}
