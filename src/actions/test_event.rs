//! Test events: real deliveries (signed, sent, logged) whose result is returned at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::audit::AuditEntry;
use super::reserved::require_unreserved_type;
use super::{Actions, Caller, Result, lookup};
use crate::actions::lookup::DeliveryInFull;
use crate::actions::tenants::require_staying;
use crate::actions::webhook::create::find_profile;
use crate::delivery::Endpoint;
use crate::delivery::engine::record;
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::delivery::Cause;
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::domain::id::DeliveryId;
use crate::domain::pattern::EventPattern;
use crate::domain::webhook::Webhook;
use crate::profile::{self, Profile};
use crate::random;
use crate::store::page::PAGE_BYTES;
use crate::store::{Connection, DueDelivery, StoreError, WriteTx, delivery, event, event_type};
use crate::text::humanize;

/// Maximum concurrent tests of one request to all subscribers.
const AT_ONCE: usize = 8;
/// Maximum tests of one request, which bounds the time that it takes.
const MOST: usize = 64;

#[derive(Debug, Clone, Default)]
pub struct TestEvent {
    pub event_type: Option<String>,
    /// JSON. Default: the example of the type, else the data of the tenant's newest event of the type, else the profile's
    /// example.
    pub data: Option<Box<str>>,
}

/// Test of all webhooks of a tenant that subscribe to a type.
#[derive(Debug, Clone)]
pub struct SubscribersTest<'a> {
    /// Default: the caller's own, or `default`.
    pub tenant: Option<&'a str>,
    pub event_type: &'a str,
    /// Field or parameter of the type, for errors.
    pub field: &'static str,
    /// As in [`TestEvent`].
    pub data: Option<Box<str>>,
}

struct Prepared {
    endpoint: Arc<Endpoint>,
    delivery: DueDelivery,
}

impl Actions {
    /// Sends a test to one webhook in any state. Blocks until the response or the timeout.
    pub fn test_webhook(&self, caller: &Caller, webhook_id: &str, test: TestEvent) -> Result<DeliveryInFull> {
        let (auditor, id) = (caller.clone(), webhook_id.to_owned());
        self.test_with(caller, move |tx| {
            let webhook = lookup::own_webhook(tx.connection(), &auditor, &id)?;
            let event_type = match &test.event_type {
                Some(text) => parse_type(text, "event_type")?,
                None => usual_type(&webhook),
            };
            require_own(&webhook.tenant, &event_type, "event_type")?;
            let entry = AuditEntry::new(AuditAction::TestSent, webhook.id).in_tenant(&webhook.tenant);
            auditor.audit(tx, entry.with_detail(&event_type))?;
            Ok((Arc::new(webhook), event_type, test.data))
        })
    }

    /// Sends a test to a webhook that `find` returns, with its type and data. Blocks until the response or the timeout.
    pub(super) fn test_with(
        &self,
        caller: &Caller,
        find: impl FnOnce(&mut WriteTx<'_>) -> Result<(Arc<Webhook>, EventType, Option<Box<str>>)> + Send + 'static,
    ) -> Result<DeliveryInFull> {
        let profiles = self.store.profiles().clone();
        let prepared = self.store.write(move |tx| {
            let (webhook, event_type, data) = find(tx)?;
            require_staying(tx, &webhook.tenant)?;
            let profile = find_profile(&profiles, &webhook.profile)?;
            let data = match data {
                Some(data) => data,
                None => test_data(tx.connection(), &webhook.tenant, &event_type, &profile)?,
            };
            let stored = store_event(tx, webhook.tenant.clone(), event_type, data)?;
            prepare(tx, &profile, webhook, &stored)
        });
        self.send_test(caller, &prepared.wait()?)
    }

    /// Sends a test to all webhooks of the tenant that subscribe to its type, in any state, 64 at most. Blocks. The attempts
    /// of those after the first [`PAGE_BYTES`] are left out.
    pub fn test_subscribers(
        &self,
        caller: &Caller,
        SubscribersTest { tenant, event_type, field, data }: SubscribersTest<'_>,
    ) -> Result<Vec<DeliveryInFull>> {
        let event_type = parse_type(event_type, field)?;
        let tenant = caller.tenant_for(tenant)?;
        let auditor = caller.clone();
        let profiles = self.store.profiles().clone();
        let prepared = self
            .store
            .write(move |tx| -> Result<Vec<Prepared>> {
                require_own(&tenant, &event_type, field)?;
                require_staying(tx, &tenant)?;
                let webhooks = tx.directory().subscribed(&tenant, &event_type);
                if webhooks.is_empty() {
                    return Ok(Vec::new());
                }
                if webhooks.len() > MOST {
                    return Err(too_many(webhooks.len()).in_field(field).into());
                }
                for webhook in &webhooks {
                    let entry = AuditEntry::new(AuditAction::TestSent, webhook.id).in_tenant(&tenant);
                    auditor.audit(tx, entry.with_detail(&event_type))?;
                }
                let data = match data {
                    Some(data) => Some(data),
                    None => usual_data(tx.connection(), &tenant, &event_type)?,
                };
                // One event for all, or one for those of each profile whose example it has.
                let mut events: BTreeMap<Box<str>, StoredTest> = BTreeMap::new();
                let mut prepared = Vec::with_capacity(webhooks.len());
                for webhook in webhooks {
                    let profile = find_profile(&profiles, &webhook.profile)?;
                    let data = data.clone().unwrap_or_else(|| shipped_data(&profile));
                    let stored = match events.get(&data) {
                        Some(stored) => stored.clone(),
                        None => {
                            let stored = store_event(tx, tenant.clone(), event_type.clone(), data.clone())?;
                            events.insert(data, stored.clone());
                            stored
                        }
                    };
                    prepared.push(prepare(tx, &profile, webhook, &stored)?);
                }
                Ok(prepared)
            })
            .wait()?;
        let mut sent = Vec::with_capacity(prepared.len());
        let mut bytes = 0;
        for some in prepared.chunks(AT_ONCE) {
            std::thread::scope(|scope| {
                let threads: Vec<_> =
                    some.iter().map(|prepared| scope.spawn(|| self.send_test(caller, prepared))).collect();
                for thread in threads {
                    let mut result = thread
                        .join()
                        .unwrap_or_else(|_| Err(StoreError::Unavailable("a test's thread failed".to_owned()).into()));
                    if let Ok(full) = &mut result {
                        if bytes >= PAGE_BYTES {
                            full.leave_out_attempts();
                        }
                        bytes += full.size_bytes();
                    }
                    sent.push(result);
                }
            });
        }
        sent.into_iter().collect()
    }

    fn send_test(&self, caller: &Caller, prepared: &Prepared) -> Result<DeliveryInFull> {
        let Prepared { endpoint, delivery } = prepared;
        let result = self.engine.sender().attempt(endpoint, delivery, None);
        let (endpoint, job) = (Arc::clone(endpoint), delivery.clone());
        let record =
            move |tx: &mut WriteTx<'_>| -> Result<()> { Ok(record::record_test(tx, &endpoint, &job, &result)?) };
        self.store.write(record).wait()?;
        self.store.read(|connection| lookup::delivery_in_full(connection, caller, &delivery.id.to_string()))
    }
}

fn too_many(webhooks: usize) -> Invalid {
    let webhooks = humanize::counted(webhooks as u64, "webhook");
    Invalid::new(
        "too_many_webhooks",
        format!("{webhooks} subscribe to this event type. One call tests up to {MOST}; test them one by one."),
    )
}

/// Refuses a type that is Hookpost's own, to a webhook of another tenant.
fn require_own(tenant: &Tenant, event_type: &EventType, field: &str) -> Result<(), Invalid> {
    if tenant.is_hookpost() { Ok(()) } else { require_unreserved_type(event_type, field) }
}

fn parse_type(text: &str, field: &str) -> Result<EventType, Invalid> {
    text.parse().map_err(|invalid: Invalid| invalid.in_field(field))
}

/// Returns the first exact type of the subscriptions, which the receiver knows.
fn usual_type(webhook: &Webhook) -> EventType {
    let named = webhook.events.iter().find_map(|pattern| match pattern {
        EventPattern::Exact(name) => Some(name.clone()),
        EventPattern::Below(_) | EventPattern::All => None,
    });
    named.unwrap_or_else(|| "webhook.test".parse().expect("a valid event type"))
}

/// Returns the data that receivers of a type know: the example of its description, else that of the tenant's newest event.
fn usual_data(
    connection: &Connection,
    tenant: &Tenant,
    event_type: &EventType,
) -> Result<Option<Box<str>>, StoreError> {
    match event_type::example(connection, event_type)? {
        Some(example) => Ok(Some(example)),
        None => event::newest_data(connection, tenant, event_type),
    }
}

/// Returns the data of a test for which none is given.
pub fn test_data(
    connection: &Connection,
    tenant: &Tenant,
    event_type: &EventType,
    profile: &Profile,
) -> Result<Box<str>, StoreError> {
    Ok(usual_data(connection, tenant, event_type)?.unwrap_or_else(|| shipped_data(profile)))
}

/// Returns the data of the profile's example.
pub fn shipped_data(profile: &Profile) -> Box<str> {
    profile::example_parts(Some(profile)).1.into()
}

/// Event of a test, with its number.
type StoredTest = (i64, Arc<Event>);

fn store_event(
    tx: &mut WriteTx<'_>,
    tenant: Tenant,
    event_type: EventType,
    data: Box<str>,
) -> Result<StoredTest, StoreError> {
    let now = tx.now_ms();
    let event = Arc::new(Event {
        id: EventId::generate(now, random::bits()),
        tenant,
        event_type,
        created_ms: now,
        received_ms: now,
        data,
        previous_data: None,
        test: true,
    });
    Ok((event::insert(tx, &event)?, event))
}

fn prepare(
    tx: &mut WriteTx<'_>,
    profile: &Profile,
    webhook: Arc<Webhook>,
    (event_seq, event): &StoredTest,
) -> Result<Prepared> {
    let id = DeliveryId::generate(tx.now_ms(), random::bits());
    let delivery = delivery::insert(tx, *event_seq, event, webhook.seq, id, Cause::Test)?;
    Ok(Prepared { endpoint: Arc::new(Endpoint::new(webhook, profile)), delivery })
}
