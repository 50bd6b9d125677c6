//! Who did what: written in the transaction that does it, so that neither is there without the other.
//!
//! Publishing over the API writes nothing here, nor does what Hookpost does by itself.

use std::fmt::Display;

use super::{Actor, Caller};
use crate::domain::audit_action::AuditAction;
use crate::domain::event::Tenant;
use crate::domain::time::Millis;
use crate::store::{Connection, StoreError, WriteTx, audit};

/// What was done, to what, and what else there is to say of it: never a secret, a key or a password.
#[derive(Debug, Clone)]
pub struct AuditEntry<'a> {
    pub deed: AuditAction,
    /// Whose things it was about; `None` where they are everybody's.
    pub tenant: Option<&'a Tenant>,
    pub subject: String,
    pub detail: String,
}

impl<'a> AuditEntry<'a> {
    /// Something done to what belongs to everybody.
    pub fn new(deed: AuditAction, subject: impl Display) -> AuditEntry<'a> {
        AuditEntry { deed, tenant: None, subject: subject.to_string(), detail: String::new() }
    }

    /// Something done to what belongs to a tenant.
    pub fn of(deed: AuditAction, tenant: &'a Tenant, subject: impl Display) -> AuditEntry<'a> {
        AuditEntry { tenant: Some(tenant), ..AuditEntry::new(deed, subject) }
    }

    /// The same with what else there is to say.
    #[must_use]
    pub fn saying(self, detail: impl Display) -> AuditEntry<'a> {
        AuditEntry { detail: detail.to_string(), ..self }
    }
}

impl Actor {
    /// Writes down that this was done, as of the transaction at hand; the entry's number.
    pub fn audit(&self, connection: &Connection, now: Millis, done: &AuditEntry<'_>) -> Result<i64, StoreError> {
        audit::insert(
            connection,
            now,
            &self.to_string(),
            done.tenant,
            done.deed.into_str(),
            &done.subject,
            &done.detail,
        )
    }
}

impl Caller {
    /// Writes down that the caller did this, in the transaction at hand.
    pub fn audit(&self, tx: &WriteTx<'_>, done: &AuditEntry<'_>) -> Result<(), StoreError> {
        self.actor.audit(tx.connection(), tx.now_ms(), done).map(drop)
    }

    /// The same for what is done in steps: the first one writes an entry, and each further one what there is to say
    /// by then. The entry's number, for the next step.
    pub(super) fn goes_on(
        &self,
        tx: &WriteTx<'_>,
        entry: Option<i64>,
        done: &AuditEntry<'_>,
    ) -> Result<i64, StoreError> {
        match entry {
            Some(seq) => {
                audit::set_detail(tx.connection(), seq, &done.detail)?;
                Ok(seq)
            }
            None => self.actor.audit(tx.connection(), tx.now_ms(), done),
        }
    }
}
