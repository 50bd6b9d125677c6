//! Deliveries as the rows of a table, on whichever page.

use std::collections::BTreeMap;

use crate::actions::delivery::explain;
use crate::domain::delivery::Cause;
use crate::domain::time::Millis;
use crate::http::web::layout::code_label;
use crate::store::delivery::Delivery;
use crate::store::{Connection, StoreError, webhook};
use crate::text::explanation;

/// A delivery in a table.
pub struct DeliveryRow {
    pub id: String,
    pub status: &'static str,
    pub is_test: bool,
    /// What an inactive webhook makes it wait for.
    pub waiting_for: Option<String>,
    /// What came of the last attempt, in a few words.
    pub cause: Option<String>,
    pub event_type: String,
    pub webhook_id: String,
    pub webhook: Name,
    pub tenant: String,
    pub attempts: u32,
    pub created_ms: Millis,
    pub last_ms: Option<Millis>,
    pub next_ms: Option<Millis>,
}

/// How a webhook is called.
#[derive(Debug, Clone)]
pub struct Name {
    /// The description, or else the host.
    pub name: String,
    /// Empty where the webhook was deleted.
    pub url: String,
}

/// The names of webhooks, each read once.
#[derive(Default)]
pub struct Names(BTreeMap<i64, Name>);

impl Names {
    pub fn of(&mut self, connection: &Connection, webhook_seq: i64) -> Result<Name, StoreError> {
        if let Some(name) = self.0.get(&webhook_seq) {
            return Ok(name.clone());
        }
        let name = match webhook::by_seq(connection, webhook_seq)? {
            Some(webhook) => Name::of(&webhook.description, webhook.url.as_str()),
            None => Name { name: "deleted webhook".to_owned(), url: String::new() },
        };
        self.0.insert(webhook_seq, name.clone());
        Ok(name)
    }
}

impl Name {
    pub fn of(description: &str, url: &str) -> Name {
        let name = match description.trim() {
            "" => explanation::host(url),
            description => description,
        };
        Name { name: name.to_owned(), url: url.to_owned() }
    }

    pub fn is_deleted(&self) -> bool {
        self.url.is_empty()
    }
}

/// Deliveries as rows, with the names of their webhooks.
pub fn rows(connection: &Connection, deliveries: &[Delivery]) -> Result<Vec<DeliveryRow>, StoreError> {
    let mut names = Names::default();
    let row = |delivery: &Delivery| {
        let name = names.of(connection, delivery.webhook_seq)?;
        Ok(DeliveryRow::of(delivery, name))
    };
    deliveries.iter().map(row).collect()
}

impl DeliveryRow {
    fn of(delivery: &Delivery, webhook: Name) -> DeliveryRow {
        let is_test = delivery.cause == Cause::Test;
        let waits = !delivery.status.is_finished() && !is_test;
        let waiting_for = delivery.webhook_state.waiting_for().filter(|_| waits);
        let last = delivery.last.as_ref();
        DeliveryRow {
            id: delivery.id.to_string(),
            status: delivery.status.into_str(),
            is_test,
            waiting_for: waiting_for.map(code_label),
            cause: last.map(|last| explanation::short(&explain::last_of(last, &webhook.url))),
            event_type: delivery.event_type.to_string(),
            webhook_id: delivery.webhook_id.to_string(),
            webhook,
            tenant: delivery.tenant.to_string(),
            attempts: delivery.attempt_count,
            created_ms: delivery.created_ms,
            last_ms: last.map(|last| last.at_ms),
            next_ms: delivery.due_ms.filter(|_| waits && waiting_for.is_none()),
        }
    }
}
