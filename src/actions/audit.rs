//! Audit entries, written in the same transaction as the action.
//!
//! Publishing through the API is not audited, nor is what Hookpost does by itself.

use std::fmt::Display;

use super::{Actor, Caller};
use crate::domain::audit_action::AuditAction;
use crate::domain::event::Tenant;
use crate::domain::time::Millis;
use crate::store::audit::{self, AuditRecord};
use crate::store::{Connection, StoreError, WriteTx};

/// Audited action with its subject and details. Never contains a secret, key or password.
#[derive(Debug, Clone)]
pub struct AuditEntry<'a> {
    action: AuditAction,
    tenant: Option<&'a Tenant>,
    subject: String,
    detail: String,
}

impl<'a> AuditEntry<'a> {
    /// Creates an entry about a subject shared by all tenants.
    pub fn new(action: AuditAction, subject: impl Display) -> AuditEntry<'a> {
        AuditEntry { action, tenant: None, subject: subject.to_string(), detail: String::new() }
    }

    /// Sets the tenant that the subject belongs to.
    #[must_use]
    pub fn in_tenant(self, tenant: impl Into<Option<&'a Tenant>>) -> AuditEntry<'a> {
        AuditEntry { tenant: tenant.into(), ..self }
    }

    #[must_use]
    pub fn with_detail(self, detail: impl Display) -> AuditEntry<'a> {
        AuditEntry { detail: detail.to_string(), ..self }
    }
}

impl Actor {
    /// Writes an entry in the current transaction. Returns its number.
    pub fn audit(&self, connection: &Connection, now: Millis, entry: AuditEntry<'_>) -> Result<i64, StoreError> {
        audit::insert(connection, &self.record(now, entry))
    }

    /// Writes an entry about something that strangers can repeat at will. Entries of one action and address within a
    /// minute are one, with a count; so are those of all addresses once there are many.
    pub fn audit_repeated(
        &self,
        connection: &Connection,
        now: Millis,
        entry: AuditEntry<'_>,
    ) -> Result<(), StoreError> {
        audit::insert_or_count(connection, self.record(now, entry))
    }

    fn record(&self, now: Millis, entry: AuditEntry<'_>) -> AuditRecord {
        let AuditEntry { action, tenant, subject, detail } = entry;
        AuditRecord {
            seq: 0,
            at_ms: now,
            actor: self.to_string(),
            address: self.address().map(|address| address.to_string()),
            tenant: tenant.cloned(),
            action: action.to_string(),
            subject,
            detail,
            count: 1,
        }
    }
}

impl Caller {
    /// Writes an entry in the current transaction.
    pub fn audit(&self, tx: &WriteTx<'_>, entry: AuditEntry<'_>) -> Result<(), StoreError> {
        self.actor.audit(tx.connection(), tx.now_ms(), entry).map(drop)
    }

    /// Writes the entry of a batched action at its first step, and updates the detail at each further one (`written`).
    /// Returns the entry's number.
    pub(super) fn audit_step(
        &self,
        tx: &WriteTx<'_>,
        written: Option<i64>,
        entry: AuditEntry<'_>,
    ) -> Result<i64, StoreError> {
        let Some(seq) = written else {
            return self.actor.audit(tx.connection(), tx.now_ms(), entry);
        };
        audit::set_detail(tx.connection(), seq, &entry.detail)?;
        Ok(seq)
    }
}
