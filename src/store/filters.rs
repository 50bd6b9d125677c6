//! The webhooks with a filter in memory, so that filters are applied to an event before the writer stores it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::Change;
use crate::domain::event::{EventType, Tenant};
use crate::domain::webhook::Webhook;

/// Webhooks with a filter, as of the last commit. Cheap to clone. Costs one read of a counter while there are none.
#[derive(Clone, Default)]
pub struct Filters(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Number of webhooks with a filter.
    count: AtomicUsize,
    webhooks: RwLock<Webhooks>,
}

#[derive(Default)]
struct Webhooks {
    by_tenant: HashMap<Tenant, Vec<Arc<Webhook>>>,
    tenants: HashMap<i64, Tenant>,
}

impl Filters {
    pub(super) fn fill<'a>(&self, webhooks: impl Iterator<Item = &'a Arc<Webhook>>) {
        webhooks.for_each(|webhook| self.put(webhook));
    }

    pub fn is_empty(&self) -> bool {
        self.0.count.load(Ordering::Acquire) == 0
    }

    /// Returns the webhooks with a filter that subscribe to an event type.
    pub fn subscribed(&self, tenant: &Tenant, event_type: &EventType) -> Vec<Arc<Webhook>> {
        if self.is_empty() {
            return Vec::new();
        }
        let all = self.0.webhooks.read().unwrap_or_else(PoisonError::into_inner);
        let own = all.by_tenant.get(tenant).into_iter().flatten();
        own.filter(|webhook| webhook.wants(event_type)).cloned().collect()
    }

    pub(super) fn apply(&self, change: &Change) {
        match change {
            Change::Webhook(webhook) => self.put(webhook),
            Change::WebhookGone { webhook_seq } => self.remove(*webhook_seq),
            _ => {}
        }
    }

    fn put(&self, webhook: &Arc<Webhook>) {
        if webhook.filter.is_none() {
            return self.remove(webhook.seq);
        }
        let mut all = self.0.webhooks.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(webhook.seq);
        all.tenants.insert(webhook.seq, webhook.tenant.clone());
        all.by_tenant.entry(webhook.tenant.clone()).or_default().push(Arc::clone(webhook));
        self.0.count.store(all.tenants.len(), Ordering::Release);
    }

    fn remove(&self, webhook_seq: i64) {
        if !self.is_empty() {
            let mut all = self.0.webhooks.write().unwrap_or_else(PoisonError::into_inner);
            all.remove(webhook_seq);
            self.0.count.store(all.tenants.len(), Ordering::Release);
        }
    }
}

impl Webhooks {
    fn remove(&mut self, webhook_seq: i64) {
        let Some(tenant) = self.tenants.remove(&webhook_seq) else { return };
        if let Some(own) = self.by_tenant.get_mut(&tenant) {
            own.retain(|webhook| webhook.seq != webhook_seq);
            if own.is_empty() {
                self.by_tenant.remove(&tenant);
            }
        }
    }
}
