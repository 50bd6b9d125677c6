//! Deletion of a tenant with all that it has, in steps small enough not to delay other writes.
//!
//! The table of deletions is the intent: from its row on nothing is sent, published or stored for the tenant, and the steps go
//! on until nothing is left, also after a restart. The audit log stays, as do messages to contacts of the operator and
//! operational events, which are the operator's own. What SQLite frees on the way is overwritten.

use rusqlite::{Connection, named_params};

use super::deletion_step::Step;
use crate::domain::audit_action::AuditAction;
use crate::domain::event::Tenant;
use crate::domain::time::{MINUTE, Millis};
use crate::store::audit::{self, AuditRecord};
use crate::store::error::Result;
use crate::store::sql::{self, read_row};
use crate::store::{Change, WriteTx};
use crate::text::humanize::counted;

/// Time for which incidents stay until contacts of others are told that they are over.
const TELLING: Millis = 10 * MINUTE;

/// Deletion of a tenant that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantDeletion {
    pub tenant: Tenant,
    /// Display name of the user or program.
    pub actor: String,
    pub begun_ms: Millis,
    /// As counted before.
    pub deliveries: u64,
    pub events: u64,
    pub deleted_webhooks: u64,
    pub deleted_deliveries: u64,
    pub deleted_events: u64,
}

impl TenantDeletion {
    /// Returns how much is deleted, in percent. Attempts go with their delivery.
    pub fn percent(&self) -> u64 {
        let all = self.deliveries + self.events;
        let done = self.deleted_deliveries.min(self.deliveries) + self.deleted_events.min(self.events);
        (done * 100).checked_div(all).unwrap_or(0)
    }
}

/// Rest of a deletion after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Rows,
    /// Incidents about which others are to be told first.
    Telling,
    Nothing,
}

/// Returns the tenants that are being deleted, by name.
pub fn running(connection: &Connection) -> Result<Vec<Tenant>> {
    sql::all(connection, "SELECT tenant FROM tenant_deletion ORDER BY tenant", [], |row| row.get(0))
}

pub fn get(connection: &Connection, tenant: &Tenant) -> Result<Option<TenantDeletion>> {
    let query = "SELECT * FROM tenant_deletion WHERE tenant = :tenant";
    sql::first(connection, query, named_params! {":tenant": tenant}, |row| {
        Ok(read_row!(
            row,
            TenantDeletion {
                tenant,
                actor,
                begun_ms,
                deliveries,
                events,
                deleted_webhooks,
                deleted_deliveries,
                deleted_events
            }
        ))
    })
}

/// Begins a deletion. `deliveries` and `events` are what was counted. Returns whether it is new.
pub fn begin(tx: &mut WriteTx<'_>, tenant: &Tenant, actor: &str, (deliveries, events): (u64, u64)) -> Result<bool> {
    let begun = sql::change(
        tx.connection(),
        "INSERT INTO tenant_deletion (tenant, actor, begun_ms, deliveries, events)
         VALUES (:tenant, :actor, :now, :deliveries, :events) ON CONFLICT DO NOTHING",
        named_params! {
            ":tenant": tenant, ":actor": actor, ":now": tx.now_ms(), ":deliveries": deliveries, ":events": events,
        },
    )?;
    if begun == 0 {
        return Ok(false);
    }
    tx.notify(Change::TenantDeletion { tenant: tenant.clone(), is_over: false });
    // Few tenants have more than one step marks, so its webhooks and contacts are gone with the answer.
    step(tx, tenant)?;
    Ok(true)
}

/// Runs one step: deletes about 250 rows, or ends the deletion if nothing is left.
pub fn step(tx: &mut WriteTx<'_>, tenant: &Tenant) -> Result<Left> {
    let Some(deletion) = get(tx.connection(), tenant)? else {
        return Ok(Left::Nothing);
    };
    let overwrite = |tx: &WriteTx<'_>, on: bool| sql::overwrite(tx.connection(), on);
    overwrite(tx, true)?;
    let left = work(tx, &deletion);
    overwrite(tx, false)?;
    left
}

fn work(tx: &mut WriteTx<'_>, deletion: &TenantDeletion) -> Result<Left> {
    let tenant = &deletion.tenant;
    let mut step = Step::new(tx, tenant);
    step.access()?;
    if step.has_work() {
        return Ok(Left::Rows);
    }
    if step.now_ms() < deletion.begun_ms + TELLING && step.is_telling()? {
        return Ok(Left::Telling);
    }
    step.history()?;
    let (webhooks, deliveries, events) = step.deleted();
    let is_over = !step.has_work();
    sql::run(
        tx.connection(),
        "UPDATE tenant_deletion SET deleted_webhooks = deleted_webhooks + :webhooks,
             deleted_deliveries = deleted_deliveries + :deliveries, deleted_events = deleted_events + :events
         WHERE tenant = :tenant",
        named_params! {":tenant": tenant, ":webhooks": webhooks, ":deliveries": deliveries, ":events": events},
    )?;
    if !is_over {
        return Ok(Left::Rows);
    }
    end(tx, deletion)?;
    Ok(Left::Nothing)
}

/// Runs a step that finds nothing but the history to delete.
#[cfg(test)]
pub(in crate::store) fn history(tx: &mut WriteTx<'_>, tenant: &Tenant) -> Result<()> {
    Step::new(tx, tenant).history()
}

fn end(tx: &mut WriteTx<'_>, deletion: &TenantDeletion) -> Result<()> {
    let tenant = &deletion.tenant;
    let statement = "DELETE FROM tenant_deletion WHERE tenant = :tenant";
    sql::run(tx.connection(), statement, named_params! {":tenant": tenant})?;
    let detail = format!(
        "{}, {}, {}",
        counted(deletion.deleted_webhooks, "webhook"),
        counted(deletion.deleted_deliveries, "delivery"),
        counted(deletion.deleted_events, "event")
    );
    let entry = AuditRecord {
        seq: 0,
        at_ms: tx.now_ms(),
        actor: deletion.actor.clone(),
        address: None,
        tenant: Some(tenant.clone()),
        action: AuditAction::TenantDeleted.to_string(),
        subject: tenant.to_string(),
        detail,
        count: 1,
    };
    audit::insert(tx.connection(), &entry)?;
    tx.notify(Change::TenantDeletion { tenant: tenant.clone(), is_over: true });
    Ok(())
}
