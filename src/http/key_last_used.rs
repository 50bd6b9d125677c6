//! Last use of each API key, recorded without delaying requests.
//!
//! Uses are collected in memory and written by one queued job for all keys, at most once a minute for each. A full disk
//! or a crash loses about a minute of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::time::{MINUTE, Millis};
use crate::store::api_key::{self, ApiKey};
use crate::store::{Store, StoreError, WriteTx};

/// Unwritten uses of keys. Cheap to clone.
#[derive(Clone, Default)]
pub struct KeyLastUsed(Arc<Mutex<Uses>>);

#[derive(Default)]
struct Uses {
    /// Time of the last use by the key's sequence number.
    unwritten: HashMap<i64, Millis>,
    /// Whether a job that writes them is queued.
    is_queued: bool,
}

impl KeyLastUsed {
    /// Records that `key`, as just read from the store, is used now.
    pub fn record(&self, store: &Store, key: &ApiKey, now: Millis) {
        let is_recent = |last: Millis| (0..MINUTE).contains(&(now - last));
        if key.last_used_ms.is_some_and(is_recent) {
            return;
        }
        let mut uses = self.lock();
        uses.unwritten.insert(key.seq, now);
        if std::mem::replace(&mut uses.is_queued, true) {
            return;
        }
        drop(uses);
        let flush = Flush(self.clone());
        // Not awaited: if the job is refused, a later use queues another.
        drop(store.write(move |tx| flush.write(tx)));
    }

    fn lock(&self) -> MutexGuard<'_, Uses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Write job. Dropping it, run or refused, allows the next one.
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
