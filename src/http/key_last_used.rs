//! When each API key was last used, without a write in anybody's way.
//!
//! A use is kept in memory and handed to the writer as a small job that nobody waits for: one for all keys used
//! until it runs, and for each key at most one a minute. What a full disk or a crash loses is a minute of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::time::{MINUTE, Millis};
use crate::store::api_key::{self, ApiKey};
use crate::store::{Store, StoreError, WriteTx};

/// Uses of keys that are not written yet. Cheap to clone.
#[derive(Clone, Default)]
pub struct KeyLastUsed(Arc<Mutex<Uses>>);

#[derive(Default)]
struct Uses {
    /// By the key's sequence number; a key has one entry at most.
    unwritten: HashMap<i64, Millis>,
    /// Whether a job is on its way that will write them.
    is_queued: bool,
}

impl KeyLastUsed {
    /// Notes that a key, as it was just read, is used now.
    pub fn note(&self, store: &Store, key: &ApiKey, now: Millis) {
        let is_known = |last: Millis| (0..MINUTE).contains(&(now - last));
        if key.last_used_ms.is_some_and(is_known) {
            return;
        }
        let mut uses = self.lock();
        uses.unwritten.insert(key.seq, now);
        if std::mem::replace(&mut uses.is_queued, true) {
            return;
        }
        drop(uses);
        let flush = Flush(self.clone());
        // Nobody waits for it: where it is refused, a later use makes another one.
        drop(store.write(move |tx| flush.write(tx)));
    }

    fn lock(&self) -> MutexGuard<'_, Uses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The job, and its end, whether it ran or was refused.
struct Flush(KeyLastUsed);

impl Flush {
    fn write(self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let unwritten = std::mem::take(&mut self.0.lock().unwritten);
        for (seq, at) in unwritten {
            api_key::used(tx.connection(), seq, at)?;
        }
        Ok(())
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.0.lock().is_queued = false;
    }
}
