//! Use of the limits of a tenant, for the API and the pages.

use super::App;
use crate::domain::event::Tenant;
use crate::domain::tenant_limits::TenantUse;
use crate::store::stats::{self, Of};
use crate::store::{Connection, StoreError, inbox, webhook};

/// Reads the current use of a tenant.
pub fn tenant_use(app: &App, connection: &Connection, tenant: &Tenant) -> Result<TenantUse, StoreError> {
    let waiting = stats::waiting(connection, &Of::Tenant(tenant.clone()))?;
    Ok(TenantUse {
        webhooks: webhook::count(connection, tenant)?,
        queued: waiting.pending + waiting.retrying,
        requests_per_s: app.rate_limits.used_by(tenant, app.actions.clock.now_ms()).into(),
        jobs: app.jobs.used_by(tenant) as u64,
        tests: app.receiver_calls.used_by(tenant) as u64,
        inbox_requests: inbox::count(connection, tenant)?,
    })
}
