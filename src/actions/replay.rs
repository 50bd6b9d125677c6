//! Replaying stored events.

use std::sync::Arc;

use super::audit::AuditEntry;
use super::batched::{self, GoOn};
use super::erase::erased;
use super::filtering::Verdicts;
use super::tenant_limits::require_room;
use super::{ActionError, Actions, Caller, Pending, Result, lookup};
use crate::domain::Invalid;
use crate::domain::attempt::FailureCause;
use crate::domain::audit_action::AuditAction;
use crate::domain::delivery::Cause;
use crate::domain::filter::{Content, EventWork, Filter};
use crate::domain::id::DeliveryId;
use crate::domain::pattern::EventPattern;
use crate::domain::webhook::Webhook;
use crate::random;
use crate::store::bulk::{self, EventHead, Found, Span};
use crate::store::delivery::{self, Delivery};
use crate::store::{Change, Connection, StoreError, WriteTx, damage, event, sweep};
use crate::text::failure::describe;
use crate::text::humanize;

/// Events of a webhook to replay.
#[derive(Debug, Clone)]
pub struct Replay {
    /// When the events were received.
    pub span: Span,
    /// Only events of these types or patterns. Empty: all that the webhook subscribes to.
    pub event_types: Vec<EventPattern>,
    /// Only events whose newest delivery to the webhook failed.
    pub only_failed: bool,
}

impl Actions {
    /// Delivers an event again: to every webhook whose subscriptions and filter match it now, or to the given one in any
    /// case. Blocks while filters are applied.
    pub fn replay_event(
        &self,
        caller: &Caller,
        (id, tenant): (&str, Option<&str>),
        webhook_id: Option<String>,
    ) -> Pending<Vec<Delivery>> {
        let (caller, id, tenant) = (caller.clone(), id.to_owned(), tenant.map(str::to_owned));
        let limits = self.limits();
        let verdicts = match webhook_id {
            None => self.verdicts(&caller, &id, tenant.as_deref()),
            Some(_) => Verdicts::default(),
        };
        self.store.write(move |tx| {
            let stored = lookup::event(tx.connection(), &caller, &id, tenant.as_deref())?;
            if stored.event.test {
                return Err(ActionError::conflict("test_event", "A test event is sent once. Send a new one."));
            }
            if stored.erased_ms.is_some() {
                return Err(erased());
            }
            let is_to_all = webhook_id.is_none();
            let mut webhooks = match webhook_id {
                Some(webhook_id) => {
                    let webhook = lookup::own_webhook(tx.connection(), &caller, &webhook_id)?;
                    require_same_tenant(&webhook, &stored.event.tenant)?;
                    vec![Arc::new(webhook)]
                }
                None => tx.directory().subscribed(&stored.event.tenant, &stored.event.event_type),
            };
            let Some(event) = event::intact(tx.connection(), stored.seq)? else {
                let reason = describe(FailureCause::EventDamaged, "").message;
                let message = format!("{reason} Check the disk, then publish the event again.");
                return Err(ActionError::conflict("event_damaged", message));
            };
            if is_to_all {
                verdicts.retain_accepted(&mut webhooks, &event);
            }
            require_room(tx, &limits, &event.tenant, webhooks.len())?;
            let event = Arc::new(event);
            let mut deliveries = Vec::with_capacity(webhooks.len());
            for webhook in webhooks {
                let id = DeliveryId::generate(tx.now_ms(), random::bits());
                delivery::insert(tx, stored.seq, &event, webhook.seq, id, Cause::Replay)?;
                deliveries.extend(delivery::get(tx.connection(), id)?);
            }
            let entry = AuditEntry::new(AuditAction::EventReplayed, &event.id).in_tenant(&event.tenant);
            let count = humanize::counted(deliveries.len() as u64, "webhook");
            caller.audit(tx, entry.with_detail(format!("to {count}")))?;
            Ok(deliveries)
        })
    }

    /// Applies the filters of webhooks to a stored event. An error is left to the writer, which reads the event too.
    fn verdicts(&self, caller: &Caller, id: &str, tenant: Option<&str>) -> Verdicts {
        if self.store.filters().is_empty() {
            return Verdicts::default();
        }
        let Ok(stored) = self.store.read(|connection| lookup::event(connection, caller, id, tenant)) else {
            return Verdicts::default();
        };
        let event = stored.event;
        Verdicts::of(&self.store.filters().subscribed(&event.tenant, &event.event_type), &event)
    }

    /// Delivers the events in a time span again to a webhook that subscribes to them and whose filter matches, oldest first. Events published
    /// during the call are not included. Returns the number of events, or with `dry_run` the number that would be sent.
    /// Calling twice sends everything twice. Blocks.
    pub fn replay_webhook(
        &self,
        caller: &Caller,
        id: &str,
        replay: &Replay,
        dry_run: bool,
        go_on: GoOn<'_>,
    ) -> Result<u64> {
        let (webhook, up_to) = self.store.read(|connection| -> Result<_> {
            let webhook = lookup::own_webhook(connection, caller, id)?;
            let up_to = if replay.only_failed { sweep::newest(connection)? } else { event::newest(connection)? };
            Ok((webhook, up_to))
        })?;
        let mut done = 0;
        let mut written = None;
        let mut after = Some(0);
        while let Some(from) = after {
            let found = self.store.read(|connection| candidates(connection, &webhook, replay, from, up_to))?;
            after = found.next;
            let is_selected = |event: &EventHead| {
                let types = &replay.event_types;
                let matches = |pattern: &EventPattern| pattern.matches(&event.event_type);
                webhook.wants(&event.event_type) && (types.is_empty() || types.iter().any(matches))
            };
            let mut events: Vec<i64> =
                found.rows.iter().filter(|event| is_selected(event)).map(|event| event.seq).collect();
            if let Some(filter) = &webhook.filter {
                events = self.accepted(filter, events, go_on)?;
            }
            if events.is_empty() {
                continue;
            }
            if dry_run {
                done += events.len() as u64;
                continue;
            }
            let (webhook, caller, limits) = (webhook.clone(), caller.clone(), self.limits());
            let step = self.step(go_on, move |tx| {
                require_room(tx, &limits, &webhook.tenant, events.len())?;
                let inserted = insert(tx, webhook.seq, &events)?;
                let entry = AuditEntry::new(AuditAction::WebhookReplayed, webhook.id)
                    .in_tenant(&webhook.tenant)
                    .with_detail(humanize::counted(done + inserted, "event"));
                Ok((inserted, caller.audit_step(tx, written, entry)?))
            });
            let (inserted, seq) = step.map_err(|error| batched::after(done, error))?;
            written = Some(seq);
            done += inserted;
        }
        Ok(done)
    }
}

impl Actions {
    /// Returns the events that a filter lets through. Reads one at a time, since each may be large.
    fn accepted(&self, filter: &Filter, events: Vec<i64>, go_on: GoOn<'_>) -> Result<Vec<i64>> {
        let mut accepted = Vec::with_capacity(events.len());
        for seq in events {
            if !go_on() {
                return Err(StoreError::Stopping.into());
            }
            let event = self.store.read(|connection| event::intact(connection, seq))?;
            let content = event.as_ref().and_then(Content::of);
            // A damaged event is left to the writer, which skips it.
            if content.is_none_or(|content| filter.accepts(&content, &mut EventWork::default())) {
                accepted.push(seq);
            }
        }
        Ok(accepted)
    }
}

fn require_same_tenant(webhook: &Webhook, tenant: &crate::domain::event::Tenant) -> Result<(), Invalid> {
    if webhook.tenant == *tenant {
        Ok(())
    } else {
        Err(Invalid::new(
            "other_tenant",
            format!("The webhook belongs to the tenant {}, the event to {tenant}.", webhook.tenant),
        )
        .in_field("webhook_id"))
    }
}

fn candidates(
    connection: &Connection,
    webhook: &Webhook,
    replay: &Replay,
    after: i64,
    up_to: i64,
) -> Result<Found<EventHead>, StoreError> {
    if replay.only_failed {
        bulk::failed_events(connection, webhook.seq, replay.span, after, up_to)
    } else {
        bulk::events(connection, &webhook.tenant, replay.span, after, up_to)
    }
}

fn insert(tx: &mut WriteTx<'_>, webhook_seq: i64, events: &[i64]) -> Result<u64> {
    if tx.directory().get(webhook_seq).is_none() {
        return Err(ActionError::NotFound("webhook"));
    }
    let mut inserted = 0;
    for event_seq in events.iter().filter(|seq| !damage::is_known("event", **seq)) {
        let id = DeliveryId::generate(tx.now_ms(), random::bits());
        let is_new = delivery::insert_replay(tx, *event_seq, webhook_seq, id);
        inserted += u64::from(damage::skip("event", *event_seq, is_new)?.unwrap_or(false));
    }
    if inserted > 0 {
        tx.notify(Change::Reread { webhook_seq });
    }
    Ok(inserted)
}
