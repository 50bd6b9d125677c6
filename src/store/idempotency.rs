//! What was asked for under an `Idempotency-Key`, for 24 hours within a tenant.

use rusqlite::{Connection, named_params};

use super::error::StoreError;
use super::row;
use super::writer::WriteTx;
use crate::domain::event::Tenant;
use crate::domain::time::{DAY, Millis};

/// How long a key is remembered.
pub const KEPT: Millis = DAY;

/// What the first request under a key was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// SHA-256 of the request's body.
    pub fingerprint: [u8; 32],
    /// The event, or the first of a batch.
    pub event_seq: i64,
    /// Every event of a batch, in its order; `None` where a single event was published.
    pub batch: Option<Vec<i64>>,
}

/// The request that used this key in the last 24 hours.
pub fn get(connection: &Connection, tenant: &Tenant, key: &str, now: Millis) -> Result<Option<Remembered>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT fingerprint, event_seq, batch FROM idempotency
         WHERE tenant = :tenant AND key = :key AND created_ms > :oldest",
    )?;
    let params = named_params! {":tenant": tenant.as_str(), ":key": key, ":oldest": now - KEPT};
    row::first(&mut statement, params, |row| {
        let batch: Option<String> = row.get("batch")?;
        Ok(Remembered {
            fingerprint: row.get("fingerprint")?,
            event_seq: row.get("event_seq")?,
            batch: batch.map(|text| row::json(&text, "batch")).transpose()?,
        })
    })
}

/// Remembers a request; one that used the key more than 24 hours ago is replaced.
pub fn put(tx: &mut WriteTx<'_>, tenant: &Tenant, key: &str, remembered: &Remembered) -> Result<(), StoreError> {
    let batch = remembered.batch.as_ref();
    let batch = batch.map(|seqs| serde_json::json!(seqs).to_string());
    tx.connection()
        .prepare_cached(
            "INSERT OR REPLACE INTO idempotency (tenant, key, fingerprint, event_seq, batch, created_ms)
             VALUES (:tenant, :key, :fingerprint, :event_seq, :batch, :now)",
        )?
        .execute(named_params! {
            ":tenant": tenant.as_str(),
            ":key": key,
            ":fingerprint": remembered.fingerprint,
            ":event_seq": remembered.event_seq,
            ":batch": batch,
            ":now": tx.now_ms(),
        })?;
    Ok(())
}

/// Forgets keys that are past their 24 hours, 5,000 at most at a time.
pub fn forget_old(tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "DELETE FROM idempotency WHERE (tenant, key) IN
                 (SELECT tenant, key FROM idempotency WHERE created_ms <= :oldest LIMIT 5000)",
        )?
        .execute(named_params! {":oldest": tx.now_ms() - KEPT})?;
    Ok(())
}
