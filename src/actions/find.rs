//! Finding things by a text: ids or their beginnings, names, and text in events.

use super::{Caller, lookup};
use crate::domain::event::{Event, EventType, Tenant};
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::needle::MIN_ID_CHARS;
use crate::domain::webhook::Webhook;
use crate::store::delivery::{self, Delivery};
use crate::store::event::{self, EventPreview};
use crate::store::page::PageRequest;
use crate::store::search::TextSearch;
use crate::store::{Connection, StoreError, event_type, tenant, webhook};

/// Maximum results of each kind.
pub const MOST: u32 = 10;
/// Names read at once.
const NAMES: u32 = 500;

/// Results by kind, other than text in events: up to [`MOST`] of each.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// By id, URL or description, newest first.
    pub webhooks: Vec<Webhook>,
    /// Whether there may be more webhooks.
    pub has_more_webhooks: bool,
    /// By the beginning of the id, newest first.
    pub deliveries: Vec<Delivery>,
    /// By the beginning of the id, newest first; none if there are more than [`MOST`].
    pub events: Vec<EventPreview>,
    pub event_types: Vec<EventType>,
    /// None for callers of one tenant.
    pub tenants: Vec<Tenant>,
}

impl Named {
    /// Looks in all names and ids that the caller may see, until the time of the search is over.
    pub fn find(connection: &Connection, caller: &Caller, text: &TextSearch) -> Result<Named, StoreError> {
        let own = caller.tenant.as_ref();
        let filter = webhook::WebhookFilter { tenant: own.cloned(), ..Default::default() };
        let page = webhook::search(connection, &filter, text, &PageRequest { limit: MOST, cursor: None })?;
        let ids = DeliveryId::beginning_with(text.needle.as_str()).filter(|_| is_id_part(text, "dlv_"));
        Ok(Named {
            webhooks: page.rows,
            has_more_webhooks: page.next.is_some(),
            deliveries: match ids {
                Some(ids) => delivery::with_ids(connection, own, &ids, MOST)?,
                None => Vec::new(),
            },
            events: events_by_id(connection, own, text)?,
            event_types: matching(text, EventType::as_str, |after| event_type::names(connection, own, after, NAMES))?,
            tenants: match own {
                None => matching(text, Tenant::as_str, |after| tenant::names(connection, after, NAMES))?,
                Some(_) => Vec::new(),
            },
        })
    }
}

/// Whether a text is long enough for the beginning of an id.
fn is_id_part(text: &TextSearch, prefix: &str) -> bool {
    let text = text.needle.as_str();
    text.strip_prefix(prefix).unwrap_or(text).len() >= MIN_ID_CHARS
}

fn events_by_id(
    connection: &Connection,
    tenant: Option<&Tenant>,
    text: &TextSearch,
) -> Result<Vec<EventPreview>, StoreError> {
    if !is_id_part(text, "evt_") {
        return Ok(Vec::new());
    }
    let found = event::with_id_prefix(connection, tenant, text.needle.as_str(), MOST + 1)?;
    Ok(if found.len() > MOST as usize { Vec::new() } else { found })
}

/// Returns the names that contain the text. `read` returns the next names after one.
fn matching<T>(
    text: &TextSearch,
    name: fn(&T) -> &str,
    read: impl Fn(&str) -> Result<Vec<T>, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found: Vec<T> = Vec::new();
    let mut after = String::new();
    loop {
        let names = read(&after)?;
        let Some(last) = names.last() else {
            return Ok(found);
        };
        after = name(last).to_owned();
        found.extend(names.into_iter().filter(|one| text.needle.is_in(name(one).as_bytes())));
        if found.len() >= MOST as usize || text.timer.is_over() {
            found.truncate(MOST as usize);
            return Ok(found);
        }
    }
}

/// Something that a whole id belongs to.
pub enum Exact {
    Delivery(DeliveryId),
    Webhook(WebhookId),
    Event(Box<Event>),
}

/// Returns what has this id. The id of an event must be a generated one: others may be words that events contain too.
pub fn exact(connection: &Connection, caller: &Caller, id: &str) -> Option<Exact> {
    if let Ok(found) = lookup::delivery(connection, caller, id) {
        return Some(Exact::Delivery(found.id));
    }
    if let Ok(found) = lookup::webhook(connection, caller, id) {
        return Some(Exact::Webhook(found.id));
    }
    let is_generated = id.starts_with("evt_");
    is_generated
        .then(|| lookup::event(connection, caller, id, None).ok())
        .flatten()
        .map(|found| Exact::Event(Box::new(found.event)))
}
