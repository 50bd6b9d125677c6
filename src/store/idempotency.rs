//! The table of idempotency keys, kept for 24 hours per tenant.

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::group::WriteTx;
use super::sql::{self, row_params};
use super::sql_types::Json;
use crate::domain::event::Tenant;
use crate::domain::time::{DAY, Millis};

/// How long a key is remembered.
pub const KEPT: Millis = DAY;

/// Maximum keys that one step deletes.
const STEP: usize = 500;

/// First request with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// SHA-256 of the request body.
    pub fingerprint: [u8; 32],
    /// The event, or the first of a batch.
    pub event_seq: i64,
    /// Events of a batch, in order; `None` for a single event.
    pub batch: Option<Vec<i64>>,
}

/// Returns the request that used this key in the last 24 hours, if any.
pub fn get(connection: &Connection, tenant: &Tenant, key: &str, now: Millis) -> Result<Option<Remembered>> {
    let query = "SELECT fingerprint, event_seq, batch FROM idempotency
                 WHERE tenant = :tenant AND key = :key AND created_ms > :oldest";
    let params = named_params! {":tenant": tenant, ":key": key, ":oldest": now - KEPT};
    sql::first(connection, query, params, |row| {
        let batch: Option<Json<Vec<i64>>> = row.get("batch")?;
        Ok(Remembered {
            fingerprint: row.get("fingerprint")?,
            event_seq: row.get("event_seq")?,
            batch: batch.map(|Json(seqs)| seqs),
        })
    })
}

/// Stores a request, replacing one that used the key more than 24 hours ago.
pub fn put(tx: &mut WriteTx<'_>, tenant: &Tenant, key: &str, remembered: &Remembered) -> Result<()> {
    sql::run(
        tx.connection(),
        "INSERT OR REPLACE INTO idempotency (tenant, key, fingerprint, event_seq, batch, created_ms)
         VALUES (:tenant, :key, :fingerprint, :event_seq, :batch, :now)",
        row_params!(remembered {
            fingerprint, event_seq;
            tenant: tenant, key: key, batch: remembered.batch.as_ref().map(Json), now: tx.now_ms(),
        }),
    )
}

/// Deletes keys older than 24 hours, in one step. Returns whether more may remain.
pub fn delete_expired(tx: &mut WriteTx<'_>, now: Millis) -> Result<bool> {
    let deleted = sql::change(
        tx.connection(),
        "DELETE FROM idempotency WHERE (tenant, key) IN
             (SELECT tenant, key FROM idempotency WHERE created_ms <= :oldest LIMIT :step)",
        named_params! {":oldest": now - KEPT, ":step": STEP},
    )?;
    Ok(deleted == STEP)
}
