//! Limit of calls that wait for a receiver while their client waits: challenges, look-ups of URLs and tests.
//!
//! Each holds a thread for up to 30 s. A place is held by the work, not by the request: it outlives a client that goes
//! away, as the thread does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::blocking;
use super::error::ApiError;
use crate::actions::Caller;
use crate::domain::event::Tenant;

/// Maximum calls at a time.
const ALL: usize = 16;
/// Maximum calls of one tenant at a time, or of all operators together.
const OF_A_TENANT: usize = 4;
/// Longest wait for a place.
const WAIT: Duration = Duration::from_secs(1);

/// Places of calls. Cheap to clone.
#[derive(Clone)]
pub struct ReceiverCalls {
    all: Arc<Semaphore>,
    /// Tenants with calls under way; `None` for operators.
    tenants: Arc<Mutex<HashMap<Option<Tenant>, Arc<Semaphore>>>>,
}

/// Place of one call. Belongs into the work.
pub struct Place {
    _tenant: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for ReceiverCalls {
    fn default() -> ReceiverCalls {
        ReceiverCalls { all: Arc::new(Semaphore::new(ALL)), tenants: Arc::default() }
    }
}

impl ReceiverCalls {
    /// Waits a moment for a place, then refuses the call with 429. `tenant` is the caller's; `None` for operators.
    pub async fn place(&self, tenant: Option<&Tenant>) -> Result<Place, ApiError> {
        let own = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            // A call under way, and one that waits, holds a reference.
            tenants.retain(|_, places| Arc::strong_count(places) > 1);
            Arc::clone(tenants.entry(tenant.cloned()).or_insert_with(|| Arc::new(Semaphore::new(OF_A_TENANT))))
        };
        let place = async {
            // In this order, so that a call that waits for its tenant's places takes none of the others'.
            let tenant = own.acquire_owned().await?;
            Ok::<_, AcquireError>(Place { _tenant: tenant, _all: Arc::clone(&self.all).acquire_owned().await? })
        };
        let place = timeout(WAIT, place).await.map_err(|_| ApiError::too_many_calls())?;
        place.map_err(|_| ApiError::stopping())
    }

    /// Runs work that waits for a receiver on a blocking thread, on behalf of a caller.
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
}
