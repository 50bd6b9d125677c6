//! Table of deliveries; the template is `parts/rows.html`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use crate::actions::delivery::explain;
use crate::domain::delivery::Cause;
use crate::domain::time::Millis;
use crate::http::web::Connection;
use crate::http::web::layout::code_label;
use crate::store::StoreError;
use crate::store::delivery::Delivery;
use crate::store::webhook::{self, Label};
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
    pub delivery: Delivery,
    /// `None` if the webhook was deleted.
    pub webhook: Option<Rc<Label>>,
    pub is_test: bool,
    /// State of the inactive webhook that the delivery is queued for.
    pub waiting_for: Option<String>,
    /// Outcome of the last attempt in a few words.
    pub outcome: Option<String>,
    pub next_ms: Option<Millis>,
}

impl DeliveryTable {
    pub fn read(db: &Connection, deliveries: Vec<Delivery>, query: String) -> Result<DeliveryTable, StoreError> {
        let mut webhooks: BTreeMap<i64, Option<Rc<Label>>> = BTreeMap::new();
        let mut rows = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let webhook = match webhooks.entry(delivery.webhook_seq) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(webhook::label(db, delivery.webhook_seq)?.map(Rc::new)),
            };
            rows.push(DeliveryRow::of(delivery, webhook.clone()));
        }
        Ok(DeliveryTable { rows, query, has_ticks: false, has_webhook: true })
    }

    /// Query of a link, with its question mark; empty if there is none.
    pub fn suffix(&self) -> String {
        if self.query.is_empty() { String::new() } else { format!("?{}", self.query) }
    }
}

impl DeliveryRow {
    fn of(delivery: Delivery, webhook: Option<Rc<Label>>) -> DeliveryRow {
        let is_test = delivery.cause == Cause::Test;
        let is_queued = !delivery.status.is_finished() && !is_test;
        let waiting_for = delivery.webhook_state.waiting_for().filter(|_| is_queued);
        let url = webhook.as_ref().map_or("", |webhook| webhook.url.as_str());
        DeliveryRow {
            is_test,
            waiting_for: waiting_for.map(code_label),
            outcome: delivery.last.as_ref().map(|last| explanation::short(&explain::last_of(last, url))),
            next_ms: delivery.due_ms.filter(|_| is_queued && waiting_for.is_none()),
            delivery,
            webhook,
        }
    }
}
