//! Targets that administrators allow webhooks to use, beside those of `--allow-target`.

use super::audit::AuditEntry;
use super::{ActionError, Actions, Caller, Pending};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::target::{AllowEntry, TargetUrl};
use crate::store::allowed_target::{self, MOST};

impl Actions {
    /// Allows a target from now on, for running deliveries too. Metadata addresses can be allowed at the start of the
    /// server only, since a session of a browser may be stolen.
    pub fn allow_target(&self, caller: &Caller, entry: AllowEntry) -> Pending<(), ActionError> {
        let caller = caller.clone();
        self.store.write(move |tx| {
            if entry.names_metadata() {
                let message = format!(
                    "{entry} is a metadata address of a cloud machine. Only the setting --allow-target opens it."
                );
                return Err(Invalid::new("invalid_target", message).in_field("target").into());
            }
            let known = allowed_target::list(tx.connection())?;
            if known.iter().any(|known| known.entry == entry) {
                return Err(Invalid::new("target_known", format!("{entry} is allowed already."))
                    .in_field("target")
                    .into());
            }
            if known.len() >= MOST {
                let message = format!("At most {MOST} targets can be allowed here. Remove one, or allow a network.");
                return Err(Invalid::new("too_many_targets", message).in_field("target").into());
            }
            allowed_target::insert(tx, &entry, &caller.actor.to_string())?;
            Ok(caller.audit(tx, AuditEntry::new(AuditAction::TargetAllowed, &entry))?)
        })
    }

    /// Removes an allowed target. The next connection to it is refused.
    pub fn remove_target(&self, caller: &Caller, entry: AllowEntry) -> Pending<(), ActionError> {
        let caller = caller.clone();
        self.store.write(move |tx| {
            if !allowed_target::delete(tx, &entry)? {
                return Err(ActionError::NotFound("allowed target"));
            }
            Ok(caller.audit(tx, AuditEntry::new(AuditAction::TargetRemoved, &entry))?)
        })
    }
}

/// Parses an allowed target as a person types it: an entry, or the URL of a webhook, which stands for its host and port.
pub fn parse_target(text: &str) -> Result<AllowEntry, Invalid> {
    let entry = match text.contains("://") {
        true => text.parse::<TargetUrl>().map(|url| AllowEntry::of_origin(&url)),
        false => text.parse(),
    };
    entry.map_err(|invalid| invalid.in_field("target"))
}
