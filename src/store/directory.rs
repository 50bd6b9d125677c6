//! All webhooks in memory, to find the subscribers of an event without a query, and the counts that limits of tenants
//! need.
//!
//! Only the writer's thread uses it, and only commits change it. It is never stale: no other program writes webhooks
//! while a server runs.

mod tenant_webhooks;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;

use super::Change;
use super::error::Result;
use super::incident::certificate::Certificates;
use super::incident::{self, Trouble};
use super::stats_delta::{Finished, StatsDelta};
use super::tenant::deletion;
use super::used_seq::{self, Numbered};
use super::webhook::{self, DeliveryCounts};
use crate::domain::delivery::DeliveryStatus;
use crate::domain::event::{EventType, Tenant};
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use tenant_webhooks::TenantWebhooks;

/// Webhooks that are not deleted.
#[derive(Default)]
pub struct Directory {
    by_seq: HashMap<i64, Arc<Webhook>>,
    /// Tenants with webhooks or queued deliveries.
    tenants: HashMap<Tenant, TenantWebhooks>,
    /// Tenants that are being deleted.
    leaving: HashSet<Tenant>,
    /// Numbers that are not assigned again, though their rows are gone.
    used_seqs: HashMap<Numbered, i64>,
    /// A deleted webhook stays here while deliveries to it are queued.
    counts: HashMap<i64, Counts>,
    /// Changes of the statistics by the group's jobs.
    stats: StatsDelta,
    /// Webhooks with failed attempts since their last success, or in an open incident.
    troubles: HashMap<i64, Trouble>,
    /// Certificates of endpoints that end soon.
    certificates: Certificates,
    /// Successes counted by the current job, which may still be rolled back, each with the time of the success before.
    job_successes: Vec<(i64, Option<Millis>)>,
    /// Troubles that the current job changed, as they were before.
    job_troubles: Vec<(i64, Trouble)>,
    /// Webhooks in trouble whose queues became empty.
    emptied: Vec<i64>,
    /// Webhooks whose numbers of queued deliveries the current job changed, each with the change.
    job_queued: Vec<(i64, i64)>,
    /// Numbers of recently used topics.
    topics: HashMap<Tenant, HashMap<EventType, i64>>,
    topic_count: usize,
    /// Topics cached by the current job, which may still be rolled back.
    job_topics: Vec<(Tenant, EventType)>,
}

/// Maximum cached topics.
const TOPICS: usize = 10_000;

/// Counts of a webhook's deliveries.
struct Counts {
    tenant: Tenant,
    successes: u64,
    last_success_ms: Option<Millis>,
    queued: i64,
}

impl Directory {
    pub(super) fn load(connection: &Connection) -> Result<Directory> {
        let mut directory = Directory::default();
        for row in webhook::delivery_counts(connection)? {
            let DeliveryCounts { seq, tenant, successes, last_success_ms, queued } = row;
            directory.tenants.entry(tenant.clone()).or_default().queued += queued;
            directory.counts.insert(seq, Counts { tenant, successes, last_success_ms, queued });
        }
        directory.leaving = deletion::running(connection)?.into_iter().collect();
        directory.used_seqs = used_seq::load(connection)?;
        directory.troubles = incident::troubles(connection)?;
        directory.certificates = Certificates::load(connection)?;
        for webhook in webhook::all(connection)? {
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
        let Some(webhooks) = self.tenants.get(tenant) else {
            return Vec::new();
        };
        let found = webhooks.subscribed(event_type);
        found.iter().filter_map(|seq| self.by_seq.get(seq).cloned()).collect()
    }

    /// Whether a tenant is being deleted.
    pub fn is_leaving(&self, tenant: &Tenant) -> bool {
        self.leaving.contains(tenant)
    }

    /// Iterates over the tenants that are being deleted, in no particular order.
    pub fn leaving(&self) -> impl Iterator<Item = &Tenant> {
        self.leaving.iter()
    }

    /// Returns the webhooks of a tenant, without those of contacts, in no particular order.
    pub(super) fn of_tenant(&self, tenant: &Tenant) -> Vec<i64> {
        self.tenants.get(tenant).map_or_else(Vec::new, TenantWebhooks::all_subscribed)
    }

    pub(super) fn used_seq(&self, table: Numbered) -> Option<i64> {
        self.used_seqs.get(&table).copied()
    }

    /// Notes a number that is not assigned again. One too many, of a job that is rolled back, does no harm.
    pub(super) fn set_used_seq(&mut self, table: Numbered, seq: i64) {
        self.used_seqs.insert(table, seq);
    }

    /// Returns the number of a tenant's webhooks, without those of contacts.
    pub fn webhook_count(&self, tenant: &Tenant) -> u32 {
        self.tenants.get(tenant).map_or(0, |webhooks| webhooks.count - webhooks.of_contacts)
    }

    /// Returns the number of a tenant's queued deliveries, without tests, as of this moment of the current job.
    pub fn queued(&self, tenant: &Tenant) -> u64 {
        self.tenants.get(tenant).map_or(0, |webhooks| webhooks.queued.max(0) as u64)
    }

    /// Returns the number of successful deliveries of a webhook, without tests.
    pub fn successes(&self, webhook_seq: i64) -> u64 {
        self.counts.get(&webhook_seq).map_or(0, |counts| counts.successes)
    }

    /// Returns the time of a webhook's last successful delivery, without tests.
    pub(super) fn last_success_ms(&self, webhook_seq: i64) -> Option<Millis> {
        self.counts.get(&webhook_seq)?.last_success_ms
    }

    /// Returns whether deliveries of a webhook are queued.
    pub(super) fn has_queue(&self, webhook_seq: i64) -> bool {
        self.counts.get(&webhook_seq).is_some_and(|counts| counts.queued > 0)
    }

    /// Returns the trouble of a webhook, which is empty if it has none.
    pub(super) fn trouble(&self, webhook_seq: i64) -> Trouble {
        self.troubles.get(&webhook_seq).copied().unwrap_or_default()
    }

    pub(super) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    pub(super) fn certificates_mut(&mut self) -> &mut Certificates {
        &mut self.certificates
    }

    /// Iterates over the webhooks in trouble, in no particular order.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (i64, &Trouble)> {
        self.troubles.iter().map(|(seq, trouble)| (*seq, trouble))
    }

    /// Replaces the trouble of a webhook as part of the current job.
    pub(super) fn set_trouble(&mut self, webhook_seq: i64, trouble: Trouble) {
        let before = self.put_trouble(webhook_seq, trouble);
        self.job_troubles.push((webhook_seq, before));
    }

    fn put_trouble(&mut self, webhook_seq: i64, trouble: Trouble) -> Trouble {
        let before = match trouble.is_none() {
            true => self.troubles.remove(&webhook_seq),
            false => self.troubles.insert(webhook_seq, trouble),
        };
        before.unwrap_or_default()
    }

    /// Counts a successful delivery as part of the current job.
    pub(super) fn count_success(&mut self, webhook_seq: i64, now: Millis) {
        if let Some(counts) = self.counts.get_mut(&webhook_seq) {
            counts.successes += 1;
            self.job_successes.push((webhook_seq, counts.last_success_ms.replace(now)));
        }
    }

    /// Counts a new delivery as part of the current job.
    pub(super) fn count_created(&mut self, webhook_seq: i64) {
        self.stats.moved(webhook_seq, None, DeliveryStatus::Pending);
        self.count_queued(webhook_seq, 1);
    }

    /// Counts a delivery that changed its status as part of the current job.
    pub(super) fn count_moved(&mut self, webhook_seq: i64, from: DeliveryStatus, to: DeliveryStatus) {
        self.stats.moved(webhook_seq, Some(from), to);
        match (from.is_finished(), to.is_finished()) {
            (false, true) => self.count_queued(webhook_seq, -1),
            (true, false) => self.count_queued(webhook_seq, 1),
            _ => {}
        }
    }

    /// Takes a finished delivery that is retried out of the counts, as part of the current job.
    pub(super) fn count_reopened(&mut self, webhook_seq: i64, status: DeliveryStatus, finished_ms: Millis) {
        self.stats.reopened(webhook_seq, status, finished_ms);
    }

    /// Counts an attempt as part of the current job, with its response time, if there was a response.
    pub(super) fn count_attempt(&mut self, webhook_seq: i64, is_retry: bool, answer_ms: Option<u64>) {
        self.stats.attempted(webhook_seq, is_retry, answer_ms);
    }

    fn count_queued(&mut self, webhook_seq: i64, change: i64) {
        self.change_queued(webhook_seq, change);
        self.job_queued.push((webhook_seq, change));
    }

    fn change_queued(&mut self, webhook_seq: i64, change: i64) {
        let Some(counts) = self.counts.get_mut(&webhook_seq) else {
            return;
        };
        counts.queued += change;
        if let Some(tenant) = self.tenants.get_mut(&counts.tenant) {
            tenant.queued += change;
        }
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

    pub(super) fn undo_job(&mut self) {
        self.stats.undo_job();
        for (tenant, event_type) in self.job_topics.drain(..) {
            if let Some(types) = self.topics.get_mut(&tenant)
                && types.remove(&event_type).is_some()
            {
                self.topic_count -= 1;
            }
        }
        for (webhook_seq, before) in self.job_successes.drain(..).rev() {
            if let Some(counts) = self.counts.get_mut(&webhook_seq) {
                counts.successes -= 1;
                counts.last_success_ms = before;
            }
        }
        for (webhook_seq, before) in std::mem::take(&mut self.job_troubles).into_iter().rev() {
            self.put_trouble(webhook_seq, before);
        }
        self.certificates.undo_job();
        for (webhook_seq, change) in std::mem::take(&mut self.job_queued) {
            self.change_queued(webhook_seq, -change);
        }
    }

    pub(super) fn end_job(&mut self) {
        self.job_topics.clear();
        self.stats.end_job();
        self.job_successes.clear();
        self.job_troubles.clear();
        self.certificates.end_job();
        let mut queued = std::mem::take(&mut self.job_queued);
        for (webhook_seq, change) in queued.drain(..) {
            if change < 0 {
                if self.trouble(webhook_seq).is_streak_only() && !self.has_queue(webhook_seq) {
                    self.emptied.push(webhook_seq);
                }
                self.forget_if_done(webhook_seq);
            }
        }
        self.job_queued = queued;
    }

    /// Writes the group's counts. Returns the numbers of finished deliveries.
    pub(super) fn flush(&mut self, connection: &Connection, now: Millis) -> Result<Finished> {
        for webhook_seq in std::mem::take(&mut self.emptied) {
            // Nothing of the webhook is failing any more, unless a later job of the group changed that.
            if self.trouble(webhook_seq).is_streak_only() && !self.has_queue(webhook_seq) {
                incident::forget_streak(connection, webhook_seq)?;
                self.put_trouble(webhook_seq, Trouble::default());
            }
        }
        self.stats.flush(connection, now)
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Webhook(webhook) => self.put(Arc::clone(webhook)),
            Change::WebhookGone { webhook_seq } => self.remove(*webhook_seq),
            Change::TenantDeletion { tenant, is_over: false } => {
                self.leaving.insert(tenant.clone());
            }
            Change::TenantDeletion { tenant, is_over: true } => {
                self.leaving.remove(tenant);
            }
            _ => {}
        }
    }

    fn put(&mut self, webhook: Arc<Webhook>) {
        if let Some(before) = self.by_seq.remove(&webhook.seq) {
            self.unsubscribe(&before);
        }
        let tenant = self.tenants.entry(webhook.tenant.clone()).or_default();
        tenant.add(&webhook);
        let counts = || Counts { tenant: webhook.tenant.clone(), successes: 0, last_success_ms: None, queued: 0 };
        self.counts.entry(webhook.seq).or_insert_with(counts);
        self.by_seq.insert(webhook.seq, webhook);
    }

    fn remove(&mut self, webhook_seq: i64) {
        if let Some(webhook) = self.by_seq.remove(&webhook_seq) {
            self.unsubscribe(&webhook);
            self.forget_if_done(webhook_seq);
        }
    }

    fn unsubscribe(&mut self, webhook: &Webhook) {
        if let Some(tenant) = self.tenants.get_mut(&webhook.tenant) {
            tenant.remove(webhook);
        }
    }

    /// Drops the counts of a deleted webhook without queued deliveries, and its tenant if nothing of it is left.
    fn forget_if_done(&mut self, webhook_seq: i64) {
        if self.by_seq.contains_key(&webhook_seq)
            || self.counts.get(&webhook_seq).is_none_or(|counts| counts.queued > 0)
        {
            return;
        }
        let Some(Counts { tenant, .. }) = self.counts.remove(&webhook_seq) else {
            return;
        };
        if self.tenants.get(&tenant).is_some_and(|webhooks| webhooks.count == 0 && webhooks.queued <= 0) {
            self.tenants.remove(&tenant);
        }
    }
}

#[cfg(test)]
mod tests;
