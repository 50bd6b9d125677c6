//! Showing an event with its deliveries, and the reasons why other webhooks of its tenant did not receive it.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::{Actions, Caller, Result, lookup};
use crate::domain::Invalid;
use crate::domain::event::{Event, Tenant};
use crate::domain::filter::{Content, EventWork, Filter};
use crate::domain::id::WebhookId;
use crate::domain::pattern::EventPattern;
use crate::domain::time::rfc3339;
use crate::store::delivery::{self, Delivery};
use crate::store::event::{self, Resends, StoredEvent};
use crate::store::page::Page;
use crate::store::webhook::{self, Bystander};
use crate::store::{Connection, StoreError, damage};
use crate::text::explanation;

/// Maximum webhooks without a delivery that are listed.
const MOST: u32 = 250;
/// Maximum deliveries that are listed.
const MOST_DELIVERIES: usize = 1_000;
/// Maximum patterns that a message names.
const NAMED: usize = 10;

/// Event with the webhooks that did not receive it.
#[derive(Debug, Clone)]
pub struct EventAlone {
    pub stored: StoredEvent,
    pub resends: Resends,
    /// The first 250, oldest first.
    pub missed: Vec<Missed>,
    /// Number of all webhooks without a delivery.
    pub missed_count: u64,
}

/// Webhook that did not receive an event.
#[derive(Debug, Clone)]
pub struct Missed {
    pub webhook_id: WebhookId,
    pub url: String,
    pub reason: MissedReason,
    /// The reason as a sentence.
    pub message: String,
}

/// Why an event was not delivered to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<MissedReason>)]
pub enum MissedReason {
    /// The event is a test, sent only to the webhook under test.
    Test,
    /// The webhook was created after the event.
    CreatedLater,
    /// A pattern of the webhook matches, and its filter does not.
    Filtered,
    /// No pattern of the webhook matches.
    NotSubscribed,
    /// A pattern and the filter match now, but did not when the event was received.
    SubscribedLater,
}

impl Actions {
    /// Returns an event, the webhooks without a delivery, and the newest deliveries, oldest first.
    pub fn event_in_full(
        &self,
        caller: &Caller,
        id: &str,
        tenant: Option<&str>,
    ) -> Result<(EventAlone, Page<Delivery>)> {
        self.store.read(|connection| {
            let event = event_alone(connection, caller, id, tenant)?;
            let deliveries = delivery::of_event(connection, event.stored.seq, MOST_DELIVERIES)?;
            Ok((event, deliveries))
        })
    }
}

/// Returns the event with this id and the webhooks without a delivery. For callers that page through many deliveries.
pub fn event_alone(connection: &Connection, caller: &Caller, id: &str, tenant: Option<&str>) -> Result<EventAlone> {
    let stored = lookup::event(connection, caller, id, tenant)?;
    let tenant = &stored.event.tenant;
    let found = damage::skip("event", stored.seq, bystanders(connection, tenant, &stored))?;
    let (missed, missed_count) = found.unwrap_or_default();
    let resends = damage::skip("event", stored.seq, event::resends(connection, stored.seq))?.unwrap_or_default();
    Ok(EventAlone { stored, resends, missed, missed_count })
}

/// Returns the first webhooks without a delivery of an event, and the number of all.
fn bystanders(
    connection: &Connection,
    tenant: &Tenant,
    stored: &StoredEvent,
) -> Result<(Vec<Missed>, u64), StoreError> {
    let mut filters = FilterReader { event: &stored.event, content: None, work: EventWork::default() };
    let show = |webhook: Bystander| missed(webhook, &mut filters);
    let first = webhook::bystanders(connection, tenant, stored.seq, MOST, show)?;
    let count = if first.len() < MOST as usize {
        first.len() as u64
    } else {
        webhook::count_bystanders(connection, tenant, stored.seq)?
    };
    Ok((first, count))
}

/// Applies filters to one event, which is read when the first one asks.
struct FilterReader<'a> {
    event: &'a Event,
    content: Option<Option<Content<'a>>>,
    work: EventWork,
}

impl FilterReader<'_> {
    /// Returns the condition of a filter that excludes the event, as a sentence.
    fn mismatch(&mut self, filter: &Filter) -> Option<String> {
        let content = self.content.get_or_insert_with(|| Content::of(self.event)).as_ref()?;
        filter.mismatch(content, &mut self.work).map(|mismatch| explanation::filter::sentence(&mismatch))
    }
}

fn missed(webhook: Bystander, filters: &mut FilterReader<'_>) -> Missed {
    let event = filters.event;
    let wanted = &event.event_type;
    let wants = webhook.events.iter().any(|pattern| pattern.matches(wanted));
    let created = rfc3339(webhook.created_ms);
    let received = rfc3339(event.received_ms);
    let may_be_filtered = wants && !event.test && webhook.created_ms <= event.received_ms;
    let mismatch = webhook.filter.as_ref().filter(|_| may_be_filtered).and_then(|filter| filters.mismatch(filter));
    // Within one millisecond the order is unknown; an earlier webhook would have received the event.
    let is_younger = webhook.created_ms > event.received_ms
        || (wants && mismatch.is_none() && webhook.created_ms == event.received_ms);
    let (reason, message) = if event.test {
        (MissedReason::Test, "The event is a test, which is sent only to the webhook under test.".to_owned())
    } else if is_younger {
        (
            MissedReason::CreatedLater,
            format!("It was created at {created}, after the event was received at {received}."),
        )
    } else if let Some(mismatch) = mismatch {
        (MissedReason::Filtered, format!("Its filter does not match: {mismatch}"))
    } else if wants {
        let matches = match webhook.filter {
            Some(_) => format!("It subscribes to {wanted} and its filter matches now"),
            None => format!("It subscribes to {wanted} now"),
        };
        (MissedReason::SubscribedLater, format!("{matches}, and did not when the event was received at {received}."))
    } else {
        (MissedReason::NotSubscribed, format!("It subscribes to {}, and not to {wanted}.", named(&webhook.events)))
    };
    Missed { webhook_id: webhook.id, url: webhook.url, reason, message }
}

fn named(patterns: &[EventPattern]) -> String {
    let first: Vec<String> = patterns.iter().take(NAMED).map(ToString::to_string).collect();
    match patterns.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
