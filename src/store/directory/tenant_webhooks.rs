//! Webhooks of one tenant by subscription.

use std::collections::{BTreeSet, HashMap};

use crate::domain::event::EventType;
use crate::domain::pattern::EventPattern;
use crate::domain::webhook::Webhook;

/// Webhooks of one tenant by subscription: to an exact name, to all below a name, to everything.
#[derive(Default)]
pub(super) struct TenantWebhooks {
    exact: HashMap<EventType, BTreeSet<i64>>,
    below: HashMap<EventType, BTreeSet<i64>>,
    all: BTreeSet<i64>,
    /// Webhooks that are not deleted.
    pub(super) count: u32,
    /// Those of them that belong to contacts.
    pub(super) of_contacts: u32,
    /// Queued deliveries, also of deleted webhooks.
    pub(super) queued: i64,
}

impl TenantWebhooks {
    /// Returns the webhooks that subscribe to an event type, oldest first.
    pub(super) fn subscribed(&self, event_type: &EventType) -> Vec<i64> {
        let mut found: Vec<i64> = self.all.iter().copied().collect();
        found.extend(self.exact.get(event_type).into_iter().flatten());
        if !self.below.is_empty() {
            let text = event_type.as_str();
            for (dot, _) in text.match_indices('.') {
                let above: Option<EventType> = text[..dot].parse().ok();
                let wanted = above.and_then(|above| self.below.get(&above));
                found.extend(wanted.into_iter().flatten());
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the webhooks without those of contacts, in no particular order. Each subscribes to something.
    pub(super) fn all_subscribed(&self) -> Vec<i64> {
        let named = self.exact.values().chain(self.below.values()).flatten();
        let seqs: BTreeSet<i64> = named.chain(&self.all).copied().collect();
        seqs.into_iter().collect()
    }

    pub(super) fn add(&mut self, webhook: &Webhook) {
        self.count += 1;
        self.of_contacts += u32::from(webhook.contact_seq.is_some());
        for pattern in subscriptions(webhook) {
            match pattern {
                EventPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
                EventPattern::Below(name) => self.below.entry(name.clone()).or_default(),
                EventPattern::All => &mut self.all,
            }
            .insert(webhook.seq);
        }
    }

    pub(super) fn remove(&mut self, webhook: &Webhook) {
        self.count -= 1;
        self.of_contacts -= u32::from(webhook.contact_seq.is_some());
        for pattern in subscriptions(webhook) {
            let (names, name) = match pattern {
                EventPattern::Exact(name) => (&mut self.exact, name),
                EventPattern::Below(name) => (&mut self.below, name),
                EventPattern::All => {
                    self.all.remove(&webhook.seq);
                    continue;
                }
            };
            if let Some(seqs) = names.get_mut(name) {
                seqs.remove(&webhook.seq);
                if seqs.is_empty() {
                    names.remove(name);
                }
            }
        }
    }
}

/// Patterns by which a webhook is found. Messages to contacts are addressed to theirs.
fn subscriptions(webhook: &Webhook) -> &[EventPattern] {
    if webhook.contact_seq.is_some() { &[] } else { &webhook.events }
}
