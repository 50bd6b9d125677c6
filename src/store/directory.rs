//! All webhooks in memory, to find the subscribers of an event without a query.
//!
//! Only the writer's thread uses it, and only commits change it. It is never stale: no other program writes webhooks
//! while a server runs.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::Connection;

use super::Change;
use super::error::Result;
use super::stats_delta::{Finished, StatsDelta};
use super::webhook;
use crate::domain::event::{EventType, Tenant};
use crate::domain::pattern::EventPattern;
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;

/// Webhooks that are not deleted.
#[derive(Default)]
pub struct Directory {
    by_seq: HashMap<i64, Arc<Webhook>>,
    tenants: HashMap<Tenant, Subscriptions>,
    successes: HashMap<i64, u64>,
    /// Changes of the statistics by the group's jobs.
    stats: StatsDelta,
    /// Successes counted by the current job, which may still be rolled back.
    job_successes: Vec<i64>,
    /// Numbers of recently used topics.
    topics: HashMap<Tenant, HashMap<EventType, i64>>,
    topic_count: usize,
    /// Topics cached by the current job, which may still be rolled back.
    job_topics: Vec<(Tenant, EventType)>,
}

/// Maximum cached topics.
const TOPICS: usize = 10_000;

/// Webhooks of one tenant by subscription: to an exact name, to all below a name, to everything.
#[derive(Default)]
struct Subscriptions {
    exact: HashMap<EventType, BTreeSet<i64>>,
    below: HashMap<EventType, BTreeSet<i64>>,
    all: BTreeSet<i64>,
}

impl Directory {
    pub(super) fn load(connection: &Connection) -> Result<Directory> {
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

    /// Iterates over all webhooks, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Webhook>> {
        self.by_seq.values()
    }

    /// Returns the webhooks of a tenant that subscribe to an event type, oldest first.
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

    /// Returns the number of successful deliveries of a webhook, without tests.
    pub fn successes(&self, webhook_seq: i64) -> u64 {
        self.successes.get(&webhook_seq).copied().unwrap_or(0)
    }

    /// Counts a successful delivery as part of the current job.
    pub(super) fn count_success(&mut self, webhook_seq: i64) {
        *self.successes.entry(webhook_seq).or_default() += 1;
        self.job_successes.push(webhook_seq);
    }

    pub(super) fn topic(&self, tenant: &Tenant, event_type: &EventType) -> Option<i64> {
        self.topics.get(tenant)?.get(event_type).copied()
    }

    /// Caches the number of a topic as part of the current job.
    pub(super) fn cache_topic(&mut self, tenant: &Tenant, event_type: &EventType, seq: i64) {
        if self.topic_count >= TOPICS {
            self.forget_topics();
        }
        let types = self.topics.entry(tenant.clone()).or_default();
        if types.insert(event_type.clone(), seq).is_none() {
            self.topic_count += 1;
        }
        self.job_topics.push((tenant.clone(), event_type.clone()));
    }

    pub(super) fn forget_topics(&mut self) {
        self.topics.clear();
        self.topic_count = 0;
    }

    pub(super) fn stats(&mut self) -> &mut StatsDelta {
        &mut self.stats
    }

    pub(super) fn undo_job(&mut self) {
        self.stats.undo_job();
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
        self.stats.end_job();
        self.job_successes.clear();
    }

    /// Writes the group's counts. Returns the numbers of finished deliveries.
    pub(super) fn flush(&mut self, connection: &Connection, now: Millis) -> Result<Finished> {
        self.stats.flush(connection, now)
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Webhook(webhook) => self.put(Arc::clone(webhook)),
            Change::WebhookGone { webhook_seq } => self.remove(*webhook_seq),
            _ => {}
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
