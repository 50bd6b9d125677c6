//! Retrying or discarding all deliveries that match.

use std::collections::BTreeMap;

use crate::actions::audit::AuditEntry;
use crate::actions::batched;
use crate::actions::batched::GoOn;
use crate::actions::{ActionError, Actions, Caller};
use crate::domain::audit_action::AuditAction;
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::id::DeliveryId;
use crate::domain::time::rfc3339_seconds;
use crate::store::bulk::{self, Standing};
use crate::store::delivery::{self, DeliveryFilter};
use crate::store::{Change, Connection, StoreError, WriteTx, sweep};
use crate::text::humanize;

/// Ids of a bulk action at most.
pub const MOST_IDS: usize = 1_000;

/// Which deliveries a bulk action meets.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Those named; what does not exist, or is another tenant's, is passed over.
    Ids(Vec<DeliveryId>),
    /// Those that a list with this filter shows, as far as they were made before the call.
    Matching(DeliveryFilter),
}

/// What a bulk action does to each delivery.
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

    /// Statuses that the action applies to. A delivered one is sent again only if the filter asks for that status,
    /// because a repeated request cannot be taken back.
    fn states(self, selection: &Selection) -> Vec<DeliveryStatus> {
        use DeliveryStatus::{Delivered, Failed, Pending, Retrying};
        let usual = match self {
            BulkAction::Retry => vec![Failed, Pending, Retrying],
            BulkAction::Discard => vec![Pending, Retrying],
        };
        match selection {
            Selection::Matching(DeliveryFilter { status: Some(Delivered), .. }) if self == BulkAction::Retry => {
                vec![Delivered]
            }
            _ => usual,
        }
    }
}

impl Selection {
    /// What was asked for, in words.
    fn told(&self) -> String {
        let filter = match self {
            Selection::Ids(_) => return "those that were ticked or named".to_owned(),
            Selection::Matching(filter) => filter,
        };
        let named = |name: &str, value: Option<String>| value.map(|value| format!("{name} {value}"));
        let parts = [
            named("status", filter.status.map(|status| status.to_string())),
            named("webhook", filter.webhook.map(|id| id.to_string())),
            named("event", filter.event.as_ref().map(ToString::to_string)),
            named("type", filter.event_type.as_ref().map(ToString::to_string)),
            named("tenant", filter.tenant.as_ref().map(ToString::to_string)),
            named("code", filter.response_code.map(|code| code.to_string())),
            named("error", filter.error_code.map(|code| code.to_string())),
            named("since", filter.since.map(rfc3339_seconds)),
            named("until", filter.until.map(rfc3339_seconds)),
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
    ) -> Result<u64, ActionError> {
        let states = action.states(selection);
        let mut done = 0;
        let mut entry = None;
        let told = selection.told();
        let mut change = |seqs: Vec<i64>| -> Result<(), ActionError> {
            if dry_run {
                done += seqs.len() as u64;
                return Ok(());
            }
            for some in seqs.chunks(bulk::STEP) {
                let (some, states, done_so_far) = (some.to_vec(), states.clone(), done);
                let (caller, told) = (caller.clone(), told.clone());
                let changed = self.step(go_on, move |tx| {
                    let changed = change(tx, action, &some, &states)?;
                    if changed == 0 {
                        return Ok((0, entry));
                    }
                    let done =
                        AuditEntry { tenant: caller.tenant.as_ref(), ..AuditEntry::new(action.audit_action(), "") };
                    let count = humanize::number(done_so_far + changed);
                    let done = done.saying(format!("{count}: {told}"));
                    Ok((changed, Some(caller.goes_on(tx, entry, &done)?)))
                });
                let (changed, seq) = changed.map_err(|error| batched::after(done, error))?;
                entry = seq;
                done += changed;
            }
            Ok(())
        };
        let filter = match selection {
            Selection::Ids(ids) => {
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

/// The deliveries with these ids that the caller sees and that can be changed.
fn named(
    connection: &Connection,
    caller: &Caller,
    ids: &[DeliveryId],
    states: &[DeliveryStatus],
) -> Result<Vec<i64>, StoreError> {
    let mut seqs = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(seq) = bulk::seq_of(connection, *id)? else {
            continue;
        };
        let found = bulk::standing(connection, seq)?;
        if found.is_some_and(|found| caller.sees(&found.tenant) && is_meant(&found, states)) {
            seqs.push(seq);
        }
    }
    seqs.sort_unstable();
    seqs.dedup();
    Ok(seqs)
}

fn is_meant(found: &Standing, states: &[DeliveryStatus]) -> bool {
    found.cause != Cause::Test && !found.is_orphan && states.contains(&found.status)
}

/// Changes those that still stand so. Each lane reads the table once, however many of its rows were changed.
fn change(
    tx: &mut WriteTx<'_>,
    action: BulkAction,
    seqs: &[i64],
    states: &[DeliveryStatus],
) -> Result<u64, StoreError> {
    let mut done = 0;
    let mut first_of_webhook = BTreeMap::new();
    for seq in seqs {
        let found = bulk::standing(tx.connection(), *seq)?;
        let Some(found) = found.filter(|found| is_meant(found, states)) else {
            continue;
        };
        match (action, found.status) {
            (BulkAction::Discard, _) => delivery::discard(tx, found.place())?,
            (BulkAction::Retry, DeliveryStatus::Pending | DeliveryStatus::Retrying) => {
                delivery::make_due(tx, *seq)?;
            }
            (BulkAction::Retry, _) => delivery::restart(tx, found.place())?,
        }
        first_of_webhook.entry(found.webhook_seq).or_insert(*seq);
        done += 1;
    }
    for (webhook_seq, from_seq) in first_of_webhook {
        tx.notify(Change::Reread { webhook_seq, from_seq });
    }
    Ok(done)
}
