//! Every webhook in memory, as the writer knows them: who wants an event is found without a query.
//!
//! Only the writer's thread has it, and only commits change it, so it is never stale: no other program
//! writes webhooks while a server runs.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::Connection;

use super::error::StoreError;
use super::webhook;
use super::writer::Change;
use crate::domain::event::{EventType, Tenant};
use crate::domain::pattern::EventPattern;
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::store::stats_delta::{Finished, Tally};

/// The webhooks that are not deleted.
#[derive(Default)]
pub struct Directory {
    by_seq: HashMap<i64, Arc<Webhook>>,
    tenants: HashMap<Tenant, Subscriptions>,
    successes: HashMap<i64, u64>,
    /// What the group's jobs change in the statistics, and in the count of successes.
    tally: Tally,
    /// Successes of the job at hand, which may still be rolled back.
    job_successes: Vec<i64>,
    /// The numbers of pairs of a tenant and a type that were seen lately.
    topics: HashMap<Tenant, HashMap<EventType, i64>>,
    topic_count: usize,
    /// Pairs that the job at hand learnt, which may still be rolled back.
    job_topics: Vec<(Tenant, EventType)>,
}

/// Pairs of a tenant and a type that are remembered at most.
const TOPICS: usize = 10_000;

/// Who wants what in one tenant: by exact name, by the name above, and who wants all.
#[derive(Default)]
struct Subscriptions {
    exact: HashMap<EventType, BTreeSet<i64>>,
    below: HashMap<EventType, BTreeSet<i64>>,
    all: BTreeSet<i64>,
}

impl Directory {
    pub(super) fn load(connection: &Connection) -> Result<Directory, StoreError> {
        let mut directory = Directory::default();
        for (webhook, success_count) in webhook::all(connection)? {
            directory.successes.insert(webhook.seq, success_count);
            directory.put(Arc::new(webhook));
        }
        Ok(directory)
    }

    pub fn get(&self, webhook_seq: i64) -> Option<&Arc<Webhook>> {
        self.by_seq.get(&webhook_seq)
    }

    /// Every webhook, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Webhook>> {
        self.by_seq.values()
    }

    /// The webhooks of a tenant that subscribed to an event type, oldest first.
    pub fn subscribed(&self, tenant: &Tenant, event_type: &EventType) -> Vec<Arc<Webhook>> {
        let Some(subscriptions) = self.tenants.get(tenant) else {
            return Vec::new();
        };
        let mut found: Vec<i64> = subscriptions.all.iter().copied().collect();
        found.extend(subscriptions.exact.get(event_type).into_iter().flatten());
        if !subscriptions.below.is_empty() {
            let text = event_type.as_str();
            for (dot, _) in text.match_indices('.') {
                let above: Option<EventType> = text[..dot].parse().ok();
                let wanted = above.and_then(|above| subscriptions.below.get(&above));
                found.extend(wanted.into_iter().flatten());
            }
        }
        found.sort_unstable();
        found.dedup();
        found.iter().filter_map(|seq| self.by_seq.get(seq).cloned()).collect()
    }

    /// How many deliveries of a webhook got through so far, tests left out.
    pub fn successes(&self, webhook_seq: i64) -> u64 {
        self.successes.get(&webhook_seq).copied().unwrap_or(0)
    }

    /// Counts a delivery that got through, as part of the job at hand.
    pub(super) fn count_success(&mut self, webhook_seq: i64) {
        *self.successes.entry(webhook_seq).or_default() += 1;
        self.job_successes.push(webhook_seq);
    }

    /// The number of a pair of a tenant and a type, if it is remembered.
    pub(super) fn topic(&self, tenant: &Tenant, event_type: &EventType) -> Option<i64> {
        self.topics.get(tenant)?.get(event_type).copied()
    }

    /// Remembers the number of a pair, as part of the job at hand.
    pub(super) fn learn_topic(&mut self, tenant: &Tenant, event_type: &EventType, seq: i64) {
        if self.topic_count >= TOPICS {
            self.topics.clear();
            self.topic_count = 0;
        }
        let types = self.topics.entry(tenant.clone()).or_default();
        if types.insert(event_type.clone(), seq).is_none() {
            self.topic_count += 1;
        }
        self.job_topics.push((tenant.clone(), event_type.clone()));
    }

    /// Where what happens is counted, as part of the job at hand.
    pub(super) fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    pub(super) fn undo_job(&mut self) {
        self.tally.undo_job();
        for (tenant, event_type) in self.job_topics.drain(..) {
            if let Some(types) = self.topics.get_mut(&tenant)
                && types.remove(&event_type).is_some()
            {
                self.topic_count -= 1;
            }
        }
        for webhook_seq in self.job_successes.drain(..) {
            if let Some(count) = self.successes.get_mut(&webhook_seq) {
                *count -= 1;
            }
        }
    }

    pub(super) fn end_job(&mut self) {
        self.job_topics.clear();
        self.tally.end_job();
        self.job_successes.clear();
    }

    /// Writes what the group counted; what it finished.
    pub(super) fn flush(&mut self, connection: &Connection, now: Millis) -> Result<Finished, StoreError> {
        self.tally.flush(connection, now)
    }

    pub(super) fn apply(&mut self, notice: &Change) {
        match notice {
            Change::Webhook(webhook) => self.put(Arc::clone(webhook)),
            Change::WebhookGone { webhook_seq } => self.remove(*webhook_seq),
            Change::Due(_)
            | Change::Recorded { .. }
            | Change::Withdrawn { .. }
            | Change::Reread { .. }
            | Change::Profile(_)
            | Change::ProfileGone { .. }
            | Change::EventType { .. } => {}
        }
    }

    fn put(&mut self, webhook: Arc<Webhook>) {
        self.remove(webhook.seq);
        let subscriptions = self.tenants.entry(webhook.tenant.clone()).or_default();
        for pattern in &webhook.events {
            match pattern {
                EventPattern::Exact(name) => subscriptions.exact.entry(name.clone()).or_default(),
                EventPattern::Below(name) => subscriptions.below.entry(name.clone()).or_default(),
                EventPattern::All => &mut subscriptions.all,
            }
            .insert(webhook.seq);
        }
        self.by_seq.insert(webhook.seq, webhook);
    }

    fn remove(&mut self, webhook_seq: i64) {
        let Some(webhook) = self.by_seq.remove(&webhook_seq) else {
            return;
        };
        let Some(subscriptions) = self.tenants.get_mut(&webhook.tenant) else {
            return;
        };
        for pattern in &webhook.events {
            let (names, name) = match pattern {
                EventPattern::Exact(name) => (&mut subscriptions.exact, name),
                EventPattern::Below(name) => (&mut subscriptions.below, name),
                EventPattern::All => {
                    subscriptions.all.remove(&webhook_seq);
                    continue;
                }
            };
            if let Some(seqs) = names.get_mut(name) {
                seqs.remove(&webhook_seq);
                if seqs.is_empty() {
                    names.remove(name);
                }
            }
        }
    }
}
