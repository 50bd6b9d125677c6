//! Table of deliveries; the template is `parts/rows.html`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use crate::actions::delivery::explain;
use crate::domain::delivery::Cause;
use crate::domain::needle::Needle;
use crate::domain::time::Millis;
use crate::http::web::Connection;
use crate::http::web::deliveries::filter::Criteria;
use crate::http::web::layout::{Html, code_label, marked};
use crate::store::delivery::{self, Delivery};
use crate::store::webhook::{self, Label};
use crate::store::{StoreError, event};
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
    /// Whether the event's id and data are shown. Hidden on the page of an event.
    pub has_event: bool,
    /// Text that was searched for.
    pub needle: Option<Needle>,
}

pub struct DeliveryRow {
    pub delivery: Delivery,
    /// `None` if the webhook was deleted.
    pub webhook: Option<Rc<Label>>,
    /// Part of the event's data.
    pub data: Rc<str>,
    pub is_test: bool,
    /// Reason why the queued delivery is not sent.
    pub waiting_for: Option<String>,
    /// Outcome of the last attempt in a few words.
    pub outcome: Option<String>,
    pub next_ms: Option<Millis>,
}

impl DeliveryTable {
    pub fn read(db: &Connection, deliveries: Vec<Delivery>, query: String) -> Result<DeliveryTable, StoreError> {
        // Deliveries of one event follow each other.
        let mut last: Option<(i64, Rc<str>)> = None;
        let rows = deliveries.into_iter().map(|delivery| {
            let data = match &last {
                Some((seq, data)) if *seq == delivery.event_seq => Rc::clone(data),
                // A damaged event has no preview.
                _ => event::beginning(db, delivery.event_seq).unwrap_or_default().into(),
            };
            last = Some((delivery.event_seq, Rc::clone(&data)));
            (delivery, data)
        });
        DeliveryTable::of(db, rows, query, None)
    }

    /// The table of what a search found.
    pub fn read_found(
        db: &Connection,
        found: Vec<delivery::Match>,
        criteria: &Criteria,
    ) -> Result<DeliveryTable, StoreError> {
        let rows = found.into_iter().map(|found| (found.delivery, found.excerpt.into()));
        DeliveryTable::of(db, rows, criteria.query(), criteria.needle.clone())
    }

    fn of(
        db: &Connection,
        deliveries: impl Iterator<Item = (Delivery, Rc<str>)>,
        query: String,
        needle: Option<Needle>,
    ) -> Result<DeliveryTable, StoreError> {
        let mut webhooks: BTreeMap<i64, Option<Rc<Label>>> = BTreeMap::new();
        let mut rows = Vec::new();
        for (delivery, data) in deliveries {
            let webhook = match webhooks.entry(delivery.webhook_seq) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(webhook::label(db, delivery.webhook_seq)?.map(Rc::new)),
            };
            rows.push(DeliveryRow::of(delivery, webhook.clone(), data));
        }
        Ok(DeliveryTable { rows, query, has_ticks: false, has_webhook: true, has_event: true, needle })
    }

    pub fn marked(&self, text: &str) -> Html {
        marked(self.needle.as_ref(), text)
    }

    /// Query of a link, with its question mark; empty if there is none.
    pub fn suffix(&self) -> String {
        if self.query.is_empty() { String::new() } else { format!("?{}", self.query) }
    }
}

impl DeliveryRow {
    fn of(delivery: Delivery, webhook: Option<Rc<Label>>, data: Rc<str>) -> DeliveryRow {
        let is_test = delivery.cause == Cause::Test;
        let is_queued = !delivery.status.is_finished() && !is_test;
        let waiting_for = delivery.waiting_for();
        let url = webhook.as_ref().map_or("", |webhook| webhook.url.as_str());
        DeliveryRow {
            is_test,
            waiting_for: waiting_for.map(|reason| code_label(reason.into_str())),
            outcome: delivery.last.as_ref().map(|last| explanation::short(&explain::last_of(last, url))),
            next_ms: delivery.due_ms.filter(|_| is_queued && waiting_for.is_none()),
            delivery,
            webhook,
            data,
        }
    }
}
