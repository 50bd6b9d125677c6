//! Limits of each tenant, so that none takes what all share.

use strum::{Display, IntoStaticStr, VariantArray};

/// One of the limits. Its text is the label in `/metrics` and the end of its setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum TenantLimit {
    Webhooks,
    Queued,
    RequestsPerS,
    Jobs,
    Tests,
    InboxRequests,
}

impl TenantLimit {
    /// Returns the setting of the limit, such as `--tenant-webhooks`.
    pub fn setting(self) -> String {
        format!("--tenant-{}", self.into_str().replace('_', "-"))
    }
}

/// A number for each limit: its value, or a tenant's use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerLimit<T> {
    /// Webhooks that are not deleted.
    pub webhooks: T,
    /// Pending and retrying deliveries, without tests.
    pub queued: T,
    /// Requests per second of all API keys and portal sessions.
    pub requests_per_s: T,
    /// Bulk actions and replays under way.
    pub jobs: T,
    /// Tests, and other calls that wait for an endpoint, under way.
    pub tests: T,
    /// Requests kept in the inbox.
    pub inbox_requests: T,
}

pub type TenantLimits = PerLimit<u32>;
pub type TenantUse = PerLimit<u64>;

impl Default for TenantLimits {
    fn default() -> TenantLimits {
        TenantLimits { webhooks: 1_000, queued: 1_000_000, requests_per_s: 200, jobs: 2, tests: 4, inbox_requests: 200 }
    }
}

impl<T: Copy> PerLimit<T> {
    pub fn get(&self, limit: TenantLimit) -> T {
        match limit {
            TenantLimit::Webhooks => self.webhooks,
            TenantLimit::Queued => self.queued,
            TenantLimit::RequestsPerS => self.requests_per_s,
            TenantLimit::Jobs => self.jobs,
            TenantLimit::Tests => self.tests,
            TenantLimit::InboxRequests => self.inbox_requests,
        }
    }
}
