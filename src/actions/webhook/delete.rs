//! Deleting a webhook: what waits is discarded, the log stays until retention takes it.

use crate::actions::audit::AuditEntry;
use crate::actions::{ActionError, Actions, Caller, lookup};
use crate::domain::audit_action::AuditAction;
use crate::store::{Pending, sweep, webhook};

impl Actions {
    pub fn delete_webhook(&self, caller: &Caller, id: &str) -> Pending<(), ActionError> {
        let (caller, id) = (caller.clone(), id.to_owned());
        self.store.write(move |tx| {
            let webhook = lookup::webhook(tx.connection(), &caller, &id)?;
            webhook::delete(tx, webhook.seq)?;
            sweep::step(tx, webhook.seq)?;
            let done = AuditEntry::of(AuditAction::WebhookDeleted, &webhook.tenant, webhook.id);
            Ok(caller.audit(tx, &done.saying(webhook.url.as_str()))?)
        })
    }
}
