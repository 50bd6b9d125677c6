//! Deleting a tenant with all that it has.

use super::audit::AuditEntry;
use super::batched::GoOn;
use super::reserved::require_unreserved;
use super::{ActionError, Actions, Caller, Result};
use crate::domain::audit_action::AuditAction;
use crate::domain::event::Tenant;
use crate::store::tenant::{self, Contents, Counted, deletion};
use crate::store::{StoreError, WriteTx};
use crate::text::humanize::counted;

/// Refuses what would store something for a tenant that is being deleted.
pub(crate) fn require_staying(tx: &WriteTx<'_>, tenant: &Tenant) -> Result<()> {
    if tx.directory().is_leaving(tenant) { Err(being_deleted(tenant)) } else { Ok(()) }
}

pub(crate) fn being_deleted(tenant: &Tenant) -> ActionError {
    ActionError::Conflict {
        code: "tenant_being_deleted",
        message: format!("The tenant {tenant} is being deleted. Once that has ended, the name can be used again."),
        field: Some("tenant"),
    }
}

impl Actions {
    /// Deletes a tenant with all that it has, in the background. Returns what it has, or has left. With `dry_run` it only
    /// counts. Blocks while it counts.
    pub fn delete_tenant(&self, caller: &Caller, name: &Tenant, dry_run: bool, go_on: GoOn<'_>) -> Result<Contents> {
        if !caller.sees(name) {
            return Err(ActionError::NotFound("tenant"));
        }
        if caller.tenant.is_some() {
            return Err(ActionError::Forbidden("A tenant is deleted with a key for all tenants.".to_owned()));
        }
        require_unreserved(name, "tenant")?;
        if !self.store.read(|connection| tenant::exists(connection, name))? {
            return Err(ActionError::NotFound("tenant"));
        }
        let contents = self.count_contents(name, go_on)?;
        if dry_run {
            return Ok(contents);
        }
        let (caller, name) = (caller.clone(), name.clone());
        let begin = self.store.write(move |tx| -> Result<()> {
            let actor = caller.actor.to_string();
            if deletion::begin(tx, &name, &actor, (contents.deliveries, contents.events))? {
                let entry = AuditEntry::new(AuditAction::TenantDeletionBegun, &name).in_tenant(&name);
                let detail = format!(
                    "{}, {}, {}",
                    counted(contents.webhooks, "webhook"),
                    counted(contents.deliveries, "delivery"),
                    counted(contents.events, "event")
                );
                caller.audit(tx, entry.with_detail(detail))?;
            }
            Ok(())
        });
        begin.wait()?;
        Ok(contents)
    }

    /// Counts in short reads, since a long one keeps the write-ahead log from being reset.
    fn count_contents(&self, name: &Tenant, go_on: GoOn<'_>) -> Result<Contents> {
        let now = self.clock.now_ms();
        let mut contents = self.store.read(|connection| tenant::small_contents(connection, name, now))?;
        for (counted, count) in
            [(Counted::Deliveries, &mut contents.deliveries), (Counted::Events, &mut contents.events)]
        {
            for owner in self.store.read(|connection| tenant::owners(connection, name, counted))? {
                let mut next = Some(0);
                while let Some(after) = next {
                    if !go_on() {
                        return Err(StoreError::Stopping.into());
                    }
                    let read = self.store.read(|connection| tenant::count_after(connection, counted, owner, after));
                    let (more, from) = read?;
                    *count += more;
                    next = from;
                }
            }
        }
        Ok(contents)
    }
}
