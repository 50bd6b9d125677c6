//! Permits that many share, of which nobody takes more than a share.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Permits for many holders. Cheap to clone.
pub struct Shares<K> {
    all: Arc<Semaphore>,
    most: usize,
    most_of_one: usize,
    /// Shares that are in use or waited for.
    shares: Arc<Mutex<HashMap<K, Arc<Semaphore>>>>,
}

/// Share of one holder.
pub struct Share {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// Permits of one holder. Returns them when dropped.
pub struct Held {
    own: OwnedSemaphorePermit,
    all: OwnedSemaphorePermit,
}

/// Reason why there is no permit now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The holder's share is used up.
    Share,
    /// All permits are used up.
    All,
}

impl<K> Clone for Shares<K> {
    fn clone(&self) -> Shares<K> {
        Shares { all: Arc::clone(&self.all), shares: Arc::clone(&self.shares), ..*self }
    }
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// Makes `most` permits, of which one holder has at most `most_of_one`.
    pub fn new(most: usize, most_of_one: usize) -> Shares<K> {
        Shares { all: Arc::new(Semaphore::new(most)), most, most_of_one, shares: Arc::default() }
    }

    /// Returns the share of a holder.
    pub fn of(&self, holder: &K) -> Share {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        // A permit, and each wait for one, holds a reference.
        shares.retain(|_, share| Arc::strong_count(share) > 1);
        let share = || Arc::new(Semaphore::new(self.most_of_one));
        let own = Arc::clone(shares.entry(holder.clone()).or_insert_with(share));
        Share { own, all: Arc::clone(&self.all) }
    }

    /// Returns a share as large as all of it.
    pub fn whole(&self) -> Share {
        Share { own: Arc::new(Semaphore::new(self.most)), all: Arc::clone(&self.all) }
    }

    /// Returns the number of permits that all have.
    pub fn used(&self) -> usize {
        self.most - self.all.available_permits()
    }

    /// Returns the number of permits that a holder has.
    pub fn used_by(&self, holder: &K) -> usize {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.get(holder).map_or(0, |share| self.most_of_one - share.available_permits())
    }

    /// Returns the largest number of permits that one of some holders has.
    pub fn used_by_one(&self, counts: impl Fn(&K) -> bool) -> usize {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let used = shares.iter().filter(|(holder, _)| counts(holder));
        used.map(|(_, share)| self.most_of_one - share.available_permits()).max().unwrap_or(0)
    }

    pub fn most(&self) -> usize {
        self.most
    }

    pub fn most_of_one(&self) -> usize {
        self.most_of_one
    }
}

impl Share {
    /// Waits for permits.
    pub async fn permits(&self, count: u32) -> Result<Held, AcquireError> {
        // In this order, so that a wait for the holder's share takes none of the others'.
        let own = Arc::clone(&self.own).acquire_many_owned(count).await?;
        Ok(Held { own, all: Arc::clone(&self.all).acquire_many_owned(count).await? })
    }

    /// Returns which permits a wait that was given up has waited for.
    pub fn taken(&self) -> Taken {
        if self.own.available_permits() == 0 { Taken::Share } else { Taken::All }
    }

    /// Takes permits if there are as many.
    pub fn take(&self, count: u32) -> Result<Held, Taken> {
        let take = |permits: &Arc<Semaphore>, taken| {
            Arc::clone(permits).try_acquire_many_owned(count).map_err(|_: TryAcquireError| taken)
        };
        Ok(Held { own: take(&self.own, Taken::Share)?, all: take(&self.all, Taken::All)? })
    }
}

impl Held {
    /// Adds permits of the same share.
    pub fn add(&mut self, more: Held) {
        self.own.merge(more.own);
        self.all.merge(more.all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_more_than_a_share_and_all_together_no_more_than_there_is() {
        let shares = Shares::new(10, 4);
        let mut held = shares.of(&"a").take(3).unwrap();
        assert_eq!(shares.of(&"a").take(2).err(), Some(Taken::Share));
        held.add(shares.of(&"a").take(1).unwrap());
        let others: Vec<_> = ["b", "c"].map(|holder| shares.of(&holder).take(3).unwrap()).into();
        assert_eq!(shares.of(&"d").take(1).err(), Some(Taken::All));
        assert_eq!(
            (shares.used_by(&"a"), shares.used_by(&"d"), shares.used_by_one(|holder| *holder != "a")),
            (4, 0, 3)
        );
        drop(held);
        assert_eq!(shares.used_by(&"a"), 0);
        drop(others);
        shares.of(&"d").take(4).unwrap();
        assert_eq!(shares.shares.lock().unwrap().len(), 1, "shares out of use are dropped");
    }
}
