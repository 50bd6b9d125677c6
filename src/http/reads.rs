//! Places for reads of pages and lists.
//!
//! A read holds a thread, and waits on it for a database connection while all of them are in use. Other work needs
//! threads too, such as the check of an event against a schema. Searches by text take longer than other reads, and have
//! a part of the places.

use std::time::Duration;

use tokio::time::timeout;

use super::error::ApiError;
use super::shares::{Held, Shares};
use crate::domain::event::Tenant;

/// Reads of all at a time: twice the connections, because a place is held until the response is made.
const MOST: usize = 8;
/// Reads of one tenant at a time: fewer than the connections, so that one is left to others.
const MOST_OF_ONE: usize = 3;
/// Searches of all at a time: half of the connections.
const MOST_SEARCHES: usize = 2;
/// Searches of one tenant at a time.
const SEARCHES_OF_ONE: usize = 1;
/// Longest wait for a place.
const WAIT: Duration = Duration::from_secs(5);

/// Places for reads. Cheap to clone.
#[derive(Clone)]
pub struct Reads {
    all: Shares<Tenant>,
    searches: Shares<Tenant>,
}

/// Place of a read. Free again when dropped.
pub struct Place {
    _read: Held,
    _search: Option<Held>,
}

impl Default for Reads {
    fn default() -> Reads {
        Reads { all: Shares::new(MOST, MOST_OF_ONE), searches: Shares::new(MOST_SEARCHES, SEARCHES_OF_ONE) }
    }
}

impl Reads {
    /// Waits for a place. `tenant` is the caller's; `None` for operators. The read holds the place, not the request.
    pub async fn place(&self, tenant: Option<&Tenant>) -> Result<Place, ApiError> {
        Ok(Place { _read: wait(&self.all, tenant).await?, _search: None })
    }

    /// Like [`Reads::place`], for a search by text.
    pub async fn search_place(&self, tenant: Option<&Tenant>) -> Result<Place, ApiError> {
        // In this order, so that a wait for a search takes no place of other reads.
        let search = wait(&self.searches, tenant).await?;
        Ok(Place { _read: wait(&self.all, tenant).await?, _search: Some(search) })
    }
}

async fn wait(places: &Shares<Tenant>, tenant: Option<&Tenant>) -> Result<Held, ApiError> {
    let share = tenant.map_or_else(|| places.whole(), |tenant| places.of(tenant));
    match timeout(WAIT, share.permits(1)).await {
        Ok(place) => place.map_err(|_| ApiError::stopping()),
        Err(_) => Err(ApiError::unavailable("overloaded", "Too many reads are under way. Retry in a moment.")),
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

    #[test]
    fn a_tenant_searches_once_at_a_time_and_a_wait_takes_no_place_of_other_reads() {
        actix_web::rt::System::new().block_on(async {
            let reads = Reads::default();
            let [acme, globex, initech]: [Tenant; 3] = ["acme", "globex", "initech"].map(|name| name.parse().unwrap());
            let search = reads.search_place(Some(&acme)).await.unwrap();
            let mut second = pin!(reads.search_place(Some(&acme)));
            assert!(poll_fn(|context| Poll::Ready(second.as_mut().poll(context).is_pending())).await);
            let _other = reads.search_place(Some(&globex)).await.unwrap();
            let mut third = pin!(reads.search_place(Some(&initech)));
            assert!(poll_fn(|context| Poll::Ready(third.as_mut().poll(context).is_pending())).await);
            let _lists = [reads.place(Some(&acme)).await.unwrap(), reads.place(Some(&acme)).await.unwrap()];
            drop(search);
            third.await.unwrap();
        });
    }
}
