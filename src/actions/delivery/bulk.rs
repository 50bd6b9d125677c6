//! Retrying or discarding many deliveries.

use std::collections::BTreeSet;

use crate::actions::audit::AuditEntry;
use crate::actions::batched::{self, GoOn};
use crate::actions::tenant_limits::require_room;
use crate::actions::{Actions, Caller, Result};
use crate::domain::audit_action::AuditAction;
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::id::DeliveryId;
use crate::domain::tenant_limits::TenantLimits;
use crate::domain::time::rfc3339_seconds;
use crate::store::bulk::{self, Standing};
use crate::store::delivery::{self, DeliveryFilter};
use crate::store::{Change, Connection, StoreError, WriteTx, damage, sweep};
use crate::text::humanize;

pub const MOST_IDS: usize = 1_000;

/// Deliveries that a bulk action applies to.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Deliveries with these ids. Unknown ones, and those of other tenants, are skipped.
    Ids(Vec<DeliveryId>),
    /// Like [`Selection::Ids`], of which none was delivered when a person selected them. One that has been delivered since is
    /// skipped.
    Undelivered(Vec<DeliveryId>),
    /// Deliveries that match the filter and were created before the call.
    Matching(DeliveryFilter),
}

/// Change that a bulk action makes to each delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkAction {
    /// A failed delivery starts a new series of attempts; a pending or retrying one is due now.
    Retry,
    /// A pending or retrying delivery is given up.
    Discard,
}

impl BulkAction {
    fn audit_action(self) -> AuditAction {
        match self {
            BulkAction::Retry => AuditAction::DeliveriesRetried,
            BulkAction::Discard => AuditAction::DeliveriesDiscarded,
        }
    }

    /// Statuses that the action applies to. A delivered one is sent again only if its id or the filter asks for it, because
    /// a repeated request cannot be taken back.
    fn states(self, selection: &Selection) -> Vec<DeliveryStatus> {
        use DeliveryStatus::{Delivered, Failed, Pending, Retrying};
        let usual = match self {
            BulkAction::Retry => vec![Failed, Pending, Retrying],
            BulkAction::Discard => vec![Pending, Retrying],
        };
        match selection {
            Selection::Ids(_) if self == BulkAction::Retry => vec![Failed, Pending, Retrying, Delivered],
            Selection::Matching(filter) if self == BulkAction::Retry && filter.status() == Some(Delivered) => {
                vec![Delivered]
            }
            _ => usual,
        }
    }
}

impl Selection {
    fn describe(&self) -> String {
        let filter = match self {
            Selection::Ids(_) | Selection::Undelivered(_) => return "selected deliveries".to_owned(),
            Selection::Matching(filter) => filter,
        };
        let named = |name: &str, value: Option<String>| {
            value.filter(|text| !text.is_empty()).map(|text| format!("{name} {text}"))
        };
        let parts = [
            named("status", Some(filter.statuses.to_string())),
            named("webhook", Some(filter.webhooks.to_string())),
            named("event", filter.event.as_ref().map(ToString::to_string)),
            named("type", Some(filter.types.to_string())),
            named("tenant", filter.tenant.as_ref().map(ToString::to_string)),
            named("code", Some(filter.codes.to_string())),
            named("error", Some(filter.errors.to_string())),
            named("since", filter.since.map(rfc3339_seconds)),
            named("until", filter.until.map(rfc3339_seconds)),
            named("finished since", filter.finished_since.map(rfc3339_seconds)),
            named("finished until", filter.finished_until.map(rfc3339_seconds)),
        ];
        let given: Vec<String> = parts.into_iter().flatten().collect();
        if given.is_empty() { "all".to_owned() } else { format!("all with {}", given.join(", ")) }
    }
}

impl Actions {
    /// Retries or discards the selected deliveries. Skips tests, discarded deliveries and those of deleted webhooks.
    /// Returns the number changed, or with `dry_run` the number that would be. Blocks.
    pub fn bulk(
        &self,
        caller: &Caller,
        action: BulkAction,
        selection: &Selection,
        dry_run: bool,
        go_on: GoOn<'_>,
    ) -> Result<u64> {
        let states = action.states(selection);
        let mut done = 0;
        let mut written = None;
        let description = selection.describe();
        let mut change = |seqs: Vec<i64>| -> Result<()> {
            if dry_run {
                done += seqs.len() as u64;
                return Ok(());
            }
            for some in seqs.chunks(bulk::STEP) {
                let (some, states, done_so_far) = (some.to_vec(), states.clone(), done);
                let (caller, description, limits) = (caller.clone(), description.clone(), self.limits());
                let changed = self.step(go_on, move |tx| {
                    let changed = change(tx, &limits, action, &some, &states)?;
                    if changed == 0 {
                        return Ok((0, written));
                    }
                    let entry = AuditEntry::new(action.audit_action(), "").in_tenant(caller.tenant.as_ref());
                    let count = humanize::number(done_so_far + changed);
                    let entry = entry.with_detail(format!("{count}: {description}"));
                    Ok((changed, Some(caller.audit_step(tx, written, entry)?)))
                });
                let (changed, seq) = changed.map_err(|error| batched::after(done, error))?;
                written = seq;
                done += changed;
            }
            Ok(())
        };
        let filter = match selection {
            Selection::Ids(ids) | Selection::Undelivered(ids) => {
                let found = self.store.read(|connection| named(connection, caller, ids, &states))?;
                change(found)?;
                return Ok(done);
            }
            Selection::Matching(filter) => filter,
        };
        let up_to = self.store.read(sweep::newest)?;
        let mut after = Some(0);
        while let Some(from) = after {
            let found = self.store.read(|connection| bulk::deliveries(connection, filter, &states, from, up_to))?;
            after = found.next;
            change(found.rows)?;
        }
        Ok(done)
    }
}

impl Actions {
    /// Counts those of the deliveries with these ids that were delivered, and that a retry would send again.
    pub fn count_delivered(&self, caller: &Caller, ids: &[DeliveryId]) -> Result<u64, StoreError> {
        let found = self.store.read(|connection| named(connection, caller, ids, &[DeliveryStatus::Delivered]))?;
        Ok(found.len() as u64)
    }

    /// Returns the ids of which the caller has no delivery.
    pub fn unknown_deliveries(&self, caller: &Caller, ids: &[DeliveryId]) -> Result<Vec<DeliveryId>, StoreError> {
        self.store.read(|connection| {
            let mut unknown = Vec::new();
            for id in ids {
                let standing = match delivery::seq_of(connection, *id)? {
                    Some(seq) => damage::skip("delivery", seq, bulk::standing(connection, seq))?.flatten(),
                    None => None,
                };
                if !standing.is_some_and(|found| caller.sees(&found.tenant)) {
                    unknown.push(*id);
                }
            }
            Ok(unknown)
        })
    }
}

/// Returns the numbers of the deliveries with these ids that the caller can see and change.
fn named(
    connection: &Connection,
    caller: &Caller,
    ids: &[DeliveryId],
    states: &[DeliveryStatus],
) -> Result<Vec<i64>, StoreError> {
    let mut seqs = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(seq) = delivery::seq_of(connection, *id)? else {
            continue;
        };
        let found = damage::skip("delivery", seq, bulk::standing(connection, seq))?.flatten();
        if found.is_some_and(|found| caller.sees(&found.tenant) && can_change(&found, states)) {
            seqs.push(seq);
        }
    }
    seqs.sort_unstable();
    seqs.dedup();
    Ok(seqs)
}

fn can_change(found: &Standing, states: &[DeliveryStatus]) -> bool {
    found.cause != Cause::Test && !found.is_orphan && !found.is_erased && states.contains(&found.status)
}

/// Changes the deliveries that are still in one of the states. Each lane then reads the table once.
fn change(
    tx: &mut WriteTx<'_>,
    limits: &TenantLimits,
    action: BulkAction,
    seqs: &[i64],
    states: &[DeliveryStatus],
) -> Result<u64> {
    let mut changed = 0;
    let mut webhooks = BTreeSet::new();
    for seq in seqs.iter().filter(|seq| !damage::is_known("delivery", **seq)) {
        let found = damage::skip("delivery", *seq, bulk::standing(tx.connection(), *seq))?.flatten();
        let Some(found) = found.filter(|found| can_change(found, states)) else {
            continue;
        };
        if action == BulkAction::Retry && found.status.is_finished() {
            require_room(tx, limits, &found.tenant, 1)?;
        }
        let done = match (action, found.status) {
            (BulkAction::Discard, _) => delivery::discard(tx, found.reference()),
            (BulkAction::Retry, DeliveryStatus::Pending | DeliveryStatus::Retrying) => delivery::make_due(tx, *seq),
            (BulkAction::Retry, _) => delivery::restart(tx, found.reference()),
        };
        if damage::skip("delivery", *seq, done)?.is_none() {
            continue;
        }
        webhooks.insert(found.webhook_seq);
        changed += 1;
    }
    for webhook_seq in webhooks {
        tx.notify(Change::Reread { webhook_seq });
    }
    Ok(changed)
}
