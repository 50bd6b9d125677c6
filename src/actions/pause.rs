//! Pausing all deliveries: events are accepted and stored, and nothing is sent to webhooks until a person resumes.
//!
//! Tests that a person sends, and messages to contacts, are sent nevertheless.

use super::audit::AuditEntry;
use super::{ActionError, Actions, Actor, Caller, Pending};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::time::Millis;
use crate::store::pause::{self, MAX_REASON_CHARS, Pause};
use crate::store::{Connection, StoreError};

/// Parses a reason as a person types it.
pub fn parse_reason(text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    match text.chars().count() {
        1..=MAX_REASON_CHARS if !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => {
            let message = format!("Enter a reason of 1 to {MAX_REASON_CHARS} characters, without line breaks.");
            Err(Invalid::new("invalid_reason", message).in_field("reason"))
        }
    }
}

/// Stores a pause, or changes the reason of one that lasts.
pub fn begin(connection: &Connection, now: Millis, actor: &Actor, reason: &str) -> Result<(), StoreError> {
    pause::begin(connection, now, &actor.to_string(), reason)?;
    let entry = AuditEntry::new(AuditAction::DeliveriesPaused, "").with_detail(reason);
    actor.audit(connection, now, entry).map(drop)
}

/// Ends the pause. Returns whether there was one.
pub fn end(connection: &Connection, now: Millis, actor: &Actor) -> Result<bool, StoreError> {
    let is_ended = pause::end(connection)?;
    if is_ended {
        actor.audit(connection, now, AuditEntry::new(AuditAction::DeliveriesResumed, ""))?;
    }
    Ok(is_ended)
}

impl Actions {
    /// Pauses all deliveries. Requests in flight end as they would.
    pub fn pause_deliveries(&self, caller: &Caller, reason: &str) -> Pending<Option<Pause>, ActionError> {
        let (actor, reason) = (caller.actor.clone(), parse_reason(reason));
        self.store.write(move |tx| {
            begin(tx.connection(), tx.now_ms(), &actor, &reason?)?;
            pause::announce(tx)?;
            Ok(pause::current(tx.connection())?)
        })
    }

    /// Sends deliveries again. Returns whether they were paused.
    pub fn resume_deliveries(&self, caller: &Caller) -> Pending<bool, ActionError> {
        let actor = caller.actor.clone();
        self.store.write(move |tx| {
            let is_ended = end(tx.connection(), tx.now_ms(), &actor)?;
            pause::announce(tx)?;
            Ok(is_ended)
        })
    }
}
