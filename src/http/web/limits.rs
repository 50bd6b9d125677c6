//! Limits of tenants as a table: in the portal with the tenant's use, for operators with the settings.

use crate::domain::tenant_limits::{TenantLimit, TenantUse};
use crate::http::App;
use crate::store::{Connection, StoreError, webhook};
use crate::text::humanize;
use strum::VariantArray as _;

/// A limit, with its use.
pub struct LimitRow {
    pub label: &'static str,
    /// `None` if unknown.
    pub used: Option<String>,
    pub most: String,
    /// For operators only.
    pub setting: Option<String>,
}

/// Returns the limits with the use of one tenant.
pub fn of_tenant(app: &App, used: &TenantUse) -> Vec<LimitRow> {
    let rows = TenantLimit::VARIANTS.iter().map(|limit| row(app, *limit, Some(used.get(*limit)), None));
    rows.collect()
}

/// Returns the limits with their settings, and the use of the tenant that uses most of each.
pub fn of_all(app: &App, db: &Connection) -> Result<Vec<LimitRow>, StoreError> {
    let largest = webhook::largest_tenant(db)?;
    let used = |limit| match limit {
        TenantLimit::Webhooks => Some(largest.webhooks),
        TenantLimit::Queued => Some(largest.queued),
        TenantLimit::Jobs => Some(app.jobs.used_by_one() as u64),
        TenantLimit::Tests => Some(app.receiver_calls.used_by_one() as u64),
        TenantLimit::RequestsPerS | TenantLimit::InboxRequests => None,
    };
    let rows = TenantLimit::VARIANTS.iter().map(|limit| row(app, *limit, used(*limit), Some(limit.setting())));
    Ok(rows.collect())
}

fn row(app: &App, limit: TenantLimit, used: Option<u64>, setting: Option<String>) -> LimitRow {
    let label = match limit {
        TenantLimit::Webhooks => "Webhooks",
        TenantLimit::Queued => "Queued deliveries",
        TenantLimit::RequestsPerS => "Requests per second",
        TenantLimit::Jobs => "Bulk actions and replays at a time",
        TenantLimit::Tests => "Tests at a time",
        TenantLimit::InboxRequests => "Requests kept in the inbox",
    };
    let most = humanize::number(app.actions.limits().get(limit).into());
    LimitRow { label, used: used.map(humanize::number), most, setting }
}
