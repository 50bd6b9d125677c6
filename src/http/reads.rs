//! Places for reads of pages and lists.
//!
//! A read holds a thread, and waits on it for a database connection while all of them are in use. Other work needs
//! threads too, such as the check of an event against a schema.

use std::time::Duration;

use tokio::time::timeout;

use super::error::ApiError;
use super::shares::{Held, Shares};
use crate::domain::event::Tenant;

/// Reads of all at a time: twice the connections, because a place is held until the response is made.
const MOST: usize = 8;
/// Reads of one tenant at a time: fewer than the connections, so that one is left to others.
const MOST_OF_ONE: usize = 3;
/// Longest wait for a place.
const WAIT: Duration = Duration::from_secs(5);

/// Places for reads. Cheap to clone.
#[derive(Clone)]
pub struct Reads(Shares<Tenant>);

impl Default for Reads {
    fn default() -> Reads {
        Reads(Shares::new(MOST, MOST_OF_ONE))
    }
}

impl Reads {
    /// Waits for a place. `tenant` is the caller's; `None` for operators. The read holds the place, not the request.
    pub async fn place(&self, tenant: Option<&Tenant>) -> Result<Held, ApiError> {
        let share = tenant.map_or_else(|| self.0.whole(), |tenant| self.0.of(tenant));
        match timeout(WAIT, share.permits(1)).await {
            Ok(place) => place.map_err(|_| ApiError::stopping()),
            Err(_) => Err(ApiError::unavailable("overloaded", "Too many reads are under way. Retry in a moment.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[test]
    fn the_reads_of_one_tenant_leave_places_to_others() {
        actix_web::rt::System::new().block_on(async {
            let reads = Reads::default();
            let [acme, globex]: [Tenant; 2] = ["acme", "globex"].map(|name| name.parse().unwrap());
            let mut held = Vec::new();
            for _ in 0..MOST_OF_ONE {
                held.push(reads.place(Some(&acme)).await.unwrap());
            }
            let mut waiting = pin!(reads.place(Some(&acme)));
            assert!(poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_pending())).await);
            let others = [reads.place(Some(&globex)).await, reads.place(None).await];
            assert!(others.iter().all(Result::is_ok));
            held.pop();
            waiting.await.unwrap();
        });
    }
}
