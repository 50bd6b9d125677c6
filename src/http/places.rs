//! Places for work that holds a thread for long: calls that wait for a receiver while their client waits (challenges,
//! look-ups of URLs and tests, up to 30 s each), and jobs on many rows (bulk actions and replays).
//!
//! A place is held by the work, not by the request: it outlives a client that goes away, as the thread does.

use std::time::Duration;

use tokio::time::timeout;

use super::blocking;
use super::error::ApiError;
use super::shares::{Held, Shares, Taken};
use crate::actions::Caller;
use crate::domain::event::Tenant;
use crate::domain::tenant_limits::{TenantLimit, TenantLimits};

/// Calls of all that may wait for receivers at a time.
pub const MOST_CALLS: u32 = 16;
/// Jobs of all that may run at a time.
pub const MOST_JOBS: u32 = 8;
/// Longest wait for a place.
const WAIT: Duration = Duration::from_secs(1);
/// Seconds after which refused work may find a place.
const RETRY_S: i64 = 5;

/// Places for one kind of work. Cheap to clone.
#[derive(Clone)]
pub struct Places {
    kind: &'static Kind,
    /// By tenant; `None` for all operators together.
    shares: Shares<Option<Tenant>>,
}

struct Kind {
    limit: TenantLimit,
    /// Code of a refusal.
    code: &'static str,
    problem: &'static str,
    effect: &'static str,
}

const CALLS: Kind = Kind {
    limit: TenantLimit::Tests,
    code: "too_many_calls",
    problem: "Too many calls are waiting for endpoints to respond",
    effect: "Nothing was changed or sent",
};

const JOBS: Kind = Kind {
    limit: TenantLimit::Jobs,
    code: "too_many_jobs",
    problem: "Too many bulk actions and replays are running",
    effect: "Nothing was changed",
};

impl Places {
    /// Returns the places for calls that wait for a receiver.
    pub fn for_receiver_calls(limits: &TenantLimits) -> Places {
        Places { kind: &CALLS, shares: Shares::new(MOST_CALLS as usize, limits.tests as usize) }
    }

    /// Returns the places for bulk actions and replays.
    pub fn for_jobs(limits: &TenantLimits) -> Places {
        Places { kind: &JOBS, shares: Shares::new(MOST_JOBS as usize, limits.jobs as usize) }
    }

    /// Waits a moment for a place, then refuses the work with 429. `tenant` is the caller's; `None` for operators.
    pub async fn place(&self, tenant: Option<&Tenant>) -> Result<Held, ApiError> {
        let share = self.shares.of(&tenant.cloned());
        match timeout(WAIT, share.permits(1)).await {
            Ok(place) => place.map_err(|_| ApiError::stopping()),
            Err(_) => Err(self.refusal(share.taken())),
        }
    }

    /// Runs work on a blocking thread, on behalf of a caller.
    pub async fn run<T: Send + 'static>(
        &self,
        caller: Caller,
        work: impl FnOnce(&Caller) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = self.place(caller.tenant.as_ref()).await?;
        blocking(move || {
            let _place = place;
            work(&caller)
        })
        .await
    }

    /// Returns the number of places that a tenant has taken.
    pub fn used_by(&self, tenant: &Tenant) -> usize {
        self.shares.used_by(&Some(tenant.clone()))
    }

    /// Returns the largest number of places that one tenant has taken.
    pub fn used_by_one(&self) -> usize {
        self.shares.used_by_one(Option::is_some)
    }

    fn refusal(&self, taken: Taken) -> ApiError {
        let Kind { limit, code, problem, effect } = self.kind;
        let bound = match taken {
            Taken::Share => {
                let most = self.shares.most_of_one();
                format!("the setting {} allows {most} at a time per tenant", limit.setting())
            }
            Taken::All => format!("the server allows {} at a time", self.shares.most()),
        };
        ApiError::too_many(code, format!("{problem}: {bound}. {effect}. Retry when some have ended."), RETRY_S)
            .with_tenant_message(format!("{problem}. {effect}. Retry when some have ended."))
    }
}
