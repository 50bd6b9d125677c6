//! Places for requests that wait for events. One that waits holds neither a thread nor a database connection, only its
//! connection to the client.

use super::error::ApiError;
use super::shares::{Held, Shares, Taken};
use crate::actions::Caller;
use crate::domain::event::Tenant;

/// Requests of all that wait at a time.
pub const MOST: usize = 256;
/// Requests that wait at a time of one tenant, or of one key for all tenants.
pub const MOST_OF_ONE: usize = 16;
/// Seconds after which a refused request may find a place.
const RETRY_S: i64 = 5;

/// Places for requests that wait. Cheap to clone.
#[derive(Clone)]
pub struct Waits(Shares<Waiter>);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Waiter {
    Tenant(Tenant),
    /// Key for all tenants.
    Key(Option<i64>),
}

impl Default for Waits {
    fn default() -> Waits {
        Waits(Shares::new(MOST, MOST_OF_ONE))
    }
}

impl Waits {
    /// Returns the number of requests that wait.
    pub fn used(&self) -> usize {
        self.0.used()
    }

    /// Takes a place, or refuses the request with 429.
    pub fn place(&self, caller: &Caller) -> Result<Held, ApiError> {
        let waiter = caller.tenant.clone().map_or(Waiter::Key(caller.api_key_seq), Waiter::Tenant);
        self.0.of(&waiter).take(1).map_err(|taken| {
            let (most, whose) = match taken {
                Taken::Share => (MOST_OF_ONE, "of one tenant or key"),
                Taken::All => (MOST, "of all"),
            };
            let message =
                format!("{most} requests {whose} are waiting for events. Retry when some have ended, or omit wait_s.");
            ApiError::too_many("too_many_waiting", message, RETRY_S)
        })
    }
}
