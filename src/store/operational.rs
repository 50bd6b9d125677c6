//! Operational events: facts about incidents, webhooks and the server, published in the tenant of Hookpost itself for the
//! webhooks there that subscribe to them. They are stored in the transaction that decides the fact, and delivered by the
//! ordinary engine. Without a subscriber they cost nothing.

use std::sync::Arc;

use rusqlite::named_params;
use serde_json::{Value, json};

use super::error::Result;
use super::sql;
use super::telling::MachineFault;
use super::{WriteTx, delivery, event};
use crate::domain::delivery::Cause;
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::domain::filter::{Content, EventWork};
use crate::domain::id::{DeliveryId, IncidentId};
use crate::domain::time::{Millis, rfc3339};
use crate::domain::webhook::Webhook;
use crate::random;
use crate::store::incident::read;

/// Queued deliveries of operational events at most. One that would add to more is left out, since nobody takes them.
const MAX_QUEUED: u64 = 100_000;

/// Fact about an incident or one of its webhooks.
pub(super) enum Fact<'a> {
    IncidentOpened { webhook: &'a Webhook, incident_seq: i64, is_again: bool, since_ms: Millis, cause: &'a str },
    IncidentClosed { incident_seq: i64 },
    WebhookDisabled { webhook: &'a Webhook, incident_seq: i64 },
    WebhookUnverified { webhook: &'a Webhook, incident_seq: i64 },
}

impl Fact<'_> {
    fn type_name(&self) -> &'static str {
        match self {
            Fact::IncidentOpened { is_again: false, .. } => "hookpost.incident.opened",
            Fact::IncidentOpened { is_again: true, .. } => "hookpost.incident.reopened",
            Fact::IncidentClosed { .. } => "hookpost.incident.closed",
            Fact::WebhookDisabled { .. } => "hookpost.webhook.disabled",
            Fact::WebhookUnverified { .. } => "hookpost.webhook.unverified",
        }
    }

    fn data(&self, tx: &WriteTx<'_>) -> Result<Value> {
        Ok(match *self {
            Fact::IncidentOpened { webhook, incident_seq, since_ms, cause, .. } => json!({
                "incident_id": incident_id(tx, incident_seq)?, "host": webhook.url.host_key(), "since": rfc3339(since_ms),
                "cause": cause, "webhook": of_webhook(webhook),
            }),
            Fact::IncidentClosed { incident_seq } => match read::by_seq(tx.connection(), incident_seq, None)? {
                Some(incident) => json!({
                    "incident_id": incident.id.to_string(), "host": incident.host, "since": rfc3339(incident.since_ms),
                    "cause": incident.cause.text, "webhook_count": incident.webhooks,
                    "affected_deliveries": incident.deliveries, "dead_letters": incident.dead_letters,
                }),
                None => json!({}),
            },
            Fact::WebhookDisabled { webhook, incident_seq } | Fact::WebhookUnverified { webhook, incident_seq } => {
                json!({"incident_id": incident_id(tx, incident_seq)?, "webhook": of_webhook(webhook)})
            }
        })
    }
}

fn of_webhook(webhook: &Webhook) -> Value {
    let Webhook { id, tenant, .. } = webhook;
    json!({"id": id.to_string(), "tenant": tenant.as_str(), "name": webhook.name(), "host": webhook.url.host_key()})
}

fn incident_id(tx: &WriteTx<'_>, seq: i64) -> Result<Option<String>> {
    let query = "SELECT id FROM incident WHERE seq = :seq";
    let id = sql::first(tx.connection(), query, named_params! {":seq": seq}, |row| row.get::<_, IncidentId>("id"))?;
    Ok(id.map(|id| id.to_string()))
}

pub(super) fn publish(tx: &mut WriteTx<'_>, fact: &Fact<'_>) -> Result<()> {
    let name = fact.type_name();
    if is_wanted(tx, name) { store(tx, name, &fact.data(tx)?) } else { Ok(()) }
}

pub(super) fn certificate(tx: &mut WriteTx<'_>, webhook_seq: i64, ends_ms: Millis) -> Result<()> {
    const NAME: &str = "hookpost.certificate.ending";
    match tx.directory().get(webhook_seq).cloned() {
        Some(webhook) if is_wanted(tx, NAME) => {
            store(tx, NAME, &json!({"ends_at": rfc3339(ends_ms), "webhook": of_webhook(&webhook)}))
        }
        _ => Ok(()),
    }
}

pub(super) fn machine(tx: &mut WriteTx<'_>, fault: MachineFault, is_fault: bool, text: &str) -> Result<()> {
    let name = match (fault, is_fault) {
        (MachineFault::Disk, true) => "hookpost.disk.low",
        (MachineFault::Disk, false) => "hookpost.disk.recovered",
        (MachineFault::Clock, true) => "hookpost.clock.wrong",
        (MachineFault::Clock, false) => "hookpost.clock.recovered",
        (MachineFault::Backup, true) => "hookpost.backup.failed",
        (MachineFault::Backup, false) => "hookpost.backup.recovered",
    };
    if is_wanted(tx, name) { store(tx, name, &json!({"message": text})) } else { Ok(()) }
}

fn event_type(name: &str) -> EventType {
    name.parse().expect("the names of operational events are valid")
}

fn is_wanted(tx: &WriteTx<'_>, name: &str) -> bool {
    let tenant = Tenant::hookpost();
    tx.directory().webhook_count(&tenant) > 0
        && tx.directory().queued(&tenant) < MAX_QUEUED
        && !tx.directory().subscribed(&tenant, &event_type(name)).is_empty()
}

fn store(tx: &mut WriteTx<'_>, name: &str, data: &Value) -> Result<()> {
    let (now, tenant) = (tx.now_ms(), Tenant::hookpost());
    let mut webhooks = tx.directory().subscribed(&tenant, &event_type(name));
    let event = Arc::new(Event {
        id: EventId::generate(now, random::bits()),
        tenant,
        event_type: event_type(name),
        created_ms: now,
        received_ms: now,
        data: data.to_string().into(),
        previous_data: None,
        test: false,
    });
    let (content, mut work) = (Content::of(&event), EventWork::in_haste());
    webhooks.retain(|webhook| match (&webhook.filter, &content) {
        (Some(filter), Some(content)) => filter.accepts(content, &mut work),
        _ => true,
    });
    let event_seq = event::insert(tx, &event)?;
    for webhook in webhooks {
        let id = DeliveryId::generate(now, random::bits());
        delivery::insert(tx, event_seq, &event, webhook.seq, id, Cause::Event)?;
    }
    Ok(())
}
