//! Publishing many events in one commit: all or none.

use super::publish::{self, Checked, Idempotency, Receipt};
use super::{ActionError, Actions, Pending, Result};
use crate::domain::Invalid;
use crate::domain::tenant_limits::TenantLimits;
use crate::store::idempotency::{self, Remembered};
use crate::store::{StoreError, WriteTx, event};
use crate::text::humanize;

pub const MOST_EVENTS: usize = 1_000;
/// Maximum deliveries of a batch, which bounds the time that its commit holds up others and, with those of duplicates,
/// the size of the receipts. A batch of one event may have more.
pub const MOST_DELIVERIES: usize = 10_000;

/// Events to publish together: 1 to 1,000, without idempotency keys of their own.
#[derive(Debug, Clone)]
pub struct Batch {
    pub events: Vec<Checked>,
    /// Key of the whole batch. Belongs to the tenant of the first event.
    pub idempotency: Option<Idempotency>,
}

/// Error of a batch. Nothing of it was stored.
#[derive(Debug, Clone)]
pub struct BatchError {
    /// Index of the invalid event, from 0; `None` if the error is not about one event.
    pub index: Option<usize>,
    pub error: ActionError,
}

impl From<StoreError> for BatchError {
    fn from(error: StoreError) -> BatchError {
        ActionError::Store(error).into()
    }
}

impl From<ActionError> for BatchError {
    fn from(error: ActionError) -> BatchError {
        BatchError { index: None, error }
    }
}

impl Actions {
    /// Publishes a batch in one commit. Returns the receipts in the order of the events, once they are on disk.
    pub fn publish_batch(&self, batch: Batch) -> Pending<Vec<Receipt>, BatchError> {
        let bytes = batch.events.iter().map(Checked::size_bytes).sum();
        let limits = self.limits();
        self.store.write_sized(bytes, move |tx| publish_batch(tx, batch, &limits))
    }
}

fn publish_batch(tx: &mut WriteTx<'_>, batch: Batch, limits: &TenantLimits) -> Result<Vec<Receipt>, BatchError> {
    let Batch { events, idempotency } = batch;
    let Some(tenant) = events.first().map(|event| event.tenant().clone()) else {
        return Ok(Vec::new());
    };
    if let Some(Idempotency { key, fingerprint }) = &idempotency {
        let before = idempotency::get(tx.connection(), &tenant, key, tx.now_ms())?;
        if let Some(before) = before
            && let Some(receipts) = first_receipts(tx, &before)?
        {
            return if before.fingerprint == *fingerprint { Ok(receipts) } else { Err(publish::key_reused().into()) };
        }
    }
    let mut receipts = Vec::with_capacity(events.len());
    let mut deliveries = 0;
    for (index, event) in events.into_iter().enumerate() {
        let receipt = publish::publish(tx, event, limits).map_err(|error| BatchError { index: Some(index), error })?;
        deliveries += receipt.deliveries.len();
        receipts.push(receipt);
        if deliveries > MOST_DELIVERIES && index > 0 {
            return Err(ActionError::from(too_many_deliveries(index)).into());
        }
    }
    if let Some(Idempotency { key, fingerprint }) = idempotency {
        let seqs: Vec<i64> = receipts.iter().map(|receipt| receipt.event_seq).collect();
        let remembered =
            Remembered { fingerprint, event_seq: seqs.first().copied().unwrap_or_default(), batch: Some(seqs) };
        idempotency::put(tx, &tenant, &key, &remembered)?;
    }
    Ok(receipts)
}

fn too_many_deliveries(index: usize) -> Invalid {
    let most = humanize::number(MOST_DELIVERIES as u64);
    let events = humanize::counted(index as u64, "event");
    Invalid::new(
        "too_many_deliveries",
        format!(
            "A batch may have {most} deliveries. The first {events} of this one have nearly as many, because many \
             webhooks subscribe to them. Send smaller batches."
        ),
    )
}

/// Returns the receipts of an earlier request; `None` if one of its events was deleted.
fn first_receipts(tx: &WriteTx<'_>, before: &Remembered) -> Result<Option<Vec<Receipt>>> {
    let seqs = match &before.batch {
        Some(seqs) => seqs.as_slice(),
        None => &[before.event_seq],
    };
    let mut receipts = Vec::with_capacity(seqs.len());
    for seq in seqs {
        let Some(id) = event::id_of(tx.connection(), *seq)? else {
            return Ok(None);
        };
        receipts.push(publish::receipt(tx.connection(), *seq, id)?);
    }
    Ok(Some(receipts))
}
