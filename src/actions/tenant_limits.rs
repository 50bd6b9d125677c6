//! Limits of each tenant that the writer decides, from counts in memory: webhooks and queued deliveries.

use super::{ActionError, Result};
use crate::domain::Invalid;
use crate::domain::event::Tenant;
use crate::domain::tenant_limits::{TenantLimit, TenantLimits};
use crate::store::WriteTx;
use crate::text::humanize;

/// Refuses one more webhook of a tenant that has as many as it may have.
pub(super) fn require_place(
    tx: &WriteTx<'_>,
    limits: &TenantLimits,
    tenant: &Tenant,
    is_in_portal: bool,
) -> Result<(), Invalid> {
    if tx.directory().webhook_count(tenant) < limits.webhooks {
        return Ok(());
    }
    if is_in_portal {
        let most = humanize::counted(limits.webhooks.into(), "webhook");
        let message = format!("There are {most} already, which is the limit. Delete one that is no longer used.");
        return Err(Invalid::new("webhook_limit", message));
    }
    let message = format!(
        "The tenant {tenant} has {}, as many as the setting {} allows. Delete one that is no longer used, or have the limit raised.",
        humanize::counted(limits.webhooks.into(), "webhook"),
        TenantLimit::Webhooks.setting(),
    );
    Err(Invalid::new("webhook_limit", message))
}

/// Refuses `more` queued deliveries of a tenant beyond its limit.
pub(super) fn require_room(tx: &WriteTx<'_>, limits: &TenantLimits, tenant: &Tenant, more: usize) -> Result<()> {
    let most = u64::from(limits.queued);
    if more == 0 || tx.directory().queued(tenant) + more as u64 <= most {
        return Ok(());
    }
    Err(ActionError::QueueFull { tenant: tenant.clone(), most, done: 0 })
}

fn stored(done: u64) -> String {
    match done {
        0 => "Nothing was stored".to_owned(),
        done => format!("Stopped after {}, which are queued", humanize::counted(done, "delivery")),
    }
}

/// Like `queue_full`, for people of the tenant.
pub fn own_queue_full(most: u64, done: u64) -> String {
    format!(
        "The queue is full: {} deliveries are pending or being retried. {}. Retry once some are delivered, or discard \
         those of webhooks that are paused or fail.",
        humanize::number(most),
        stored(done)
    )
}

/// Message of a full queue; `done` is the number of deliveries that the same action queued before.
pub(super) fn queue_full(tenant: &Tenant, most: u64, done: u64) -> String {
    let stored = stored(done);
    let (most, setting) = (humanize::number(most), TenantLimit::Queued.setting());
    format!(
        "The queue of the tenant {tenant} is full: the setting {setting} allows {most} pending and retrying deliveries. \
         {stored}. Retry once some are delivered, or discard those of webhooks that are paused or fail."
    )
}
