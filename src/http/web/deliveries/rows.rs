//! Table of deliveries; the template is `parts/rows.html`.

use std::collections::BTreeMap;

use crate::actions::delivery::explain;
use crate::domain::delivery::Cause;
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::http::web::layout::code_label;
use crate::store::delivery::Delivery;
use crate::store::{Connection, StoreError, webhook};
use crate::text::explanation;

/// The table, for every page that lists deliveries.
pub struct DeliveryTable {
    pub rows: Vec<DeliveryRow>,
    /// Query of the links to deliveries: Newer and Older there stay within this filter.
    pub query: String,
    /// Whether rows can be selected.
    pub has_ticks: bool,
    /// Whether the webhook is shown. Hidden on the page of a webhook.
    pub has_webhook: bool,
}

pub struct DeliveryRow {
    pub id: String,
    pub status: &'static str,
    pub is_test: bool,
    /// State of the inactive webhook that the delivery is queued for.
    pub waiting_for: Option<String>,
    /// Outcome of the last attempt in a few words.
    pub outcome: Option<String>,
    pub event_type: String,
    pub webhook_id: String,
    /// `None` if the webhook was deleted.
    pub webhook: Option<WebhookName>,
    pub tenant: String,
    pub attempts: u32,
    pub created_ms: Millis,
    pub last_ms: Option<Millis>,
    pub next_ms: Option<Millis>,
}

#[derive(Debug, Clone)]
pub struct WebhookName {
    pub name: String,
    pub url: String,
}

impl From<&Webhook> for WebhookName {
    fn from(webhook: &Webhook) -> WebhookName {
        WebhookName { name: webhook.name(), url: webhook.url.as_str().to_owned() }
    }
}

impl DeliveryTable {
    pub fn read(connection: &Connection, deliveries: &[Delivery], query: String) -> Result<DeliveryTable, StoreError> {
        let mut names: BTreeMap<i64, Option<WebhookName>> = BTreeMap::new();
        let mut rows = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let seq = delivery.webhook_seq;
            if !names.contains_key(&seq) {
                names.insert(seq, webhook::by_seq(connection, seq)?.as_ref().map(WebhookName::from));
            }
            rows.push(DeliveryRow::of(delivery, names.get(&seq).cloned().flatten()));
        }
        Ok(DeliveryTable { rows, query, has_ticks: false, has_webhook: true })
    }

    /// Query of a link, with its question mark; empty if there is none.
    pub fn suffix(&self) -> String {
        if self.query.is_empty() { String::new() } else { format!("?{}", self.query) }
    }
}

impl DeliveryRow {
    fn of(delivery: &Delivery, webhook: Option<WebhookName>) -> DeliveryRow {
        let is_test = delivery.cause == Cause::Test;
        let is_queued = !delivery.status.is_finished() && !is_test;
        let waiting_for = delivery.webhook_state.waiting_for().filter(|_| is_queued);
        let last = delivery.last.as_ref();
        let url = webhook.as_ref().map_or("", |webhook| &webhook.url);
        DeliveryRow {
            id: delivery.id.to_string(),
            status: delivery.status.into_str(),
            is_test,
            waiting_for: waiting_for.map(code_label),
            outcome: last.map(|last| explanation::short(&explain::last_of(last, url))),
            event_type: delivery.event_type.to_string(),
            webhook_id: delivery.webhook_id.to_string(),
            webhook,
            tenant: delivery.tenant.to_string(),
            attempts: delivery.attempt_count,
            created_ms: delivery.created_ms,
            last_ms: last.map(|last| last.at_ms),
            next_ms: delivery.due_ms.filter(|_| is_queued && waiting_for.is_none()),
        }
    }
}
