//! `/event-types/{name}`: the description, example and schema of a type, and its subscribers.

use std::collections::HashMap;

use crate::domain::event::EventType;
use crate::domain::pattern::EventPattern;
use crate::domain::time::DAY;
use crate::domain::webhook::Webhook;
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::store::event_type::{self, DescribedType};
use crate::store::incident::read::{self, Condition};
use crate::store::page::PageRequest;
use crate::store::webhook::WebhookFilter;
use crate::store::{event, webhook};
use crate::text::humanize;

/// Subscribers shown.
const MAX_SUBSCRIBERS: u32 = 50;
/// Events counted.
const MAX_COUNTED: u32 = 10_000;

#[derive(Template)]
#[template(path = "event_types/show.html")]
pub struct EventTypePage {
    frame: Frame,
    name: EventType,
    described: Option<DescribedType>,
    volume: String,
    subscribers: Vec<Webhook>,
    conditions: HashMap<i64, Condition>,
    has_more: bool,
}

impl EventTypePage {
    /// Patterns of a webhook that match the type.
    fn patterns(&self, webhook: &Webhook) -> String {
        let matching = webhook.events.iter().filter(|pattern| pattern.matches(&self.name));
        matching.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// `GET /event-types/{name}`.
pub fn show(session: &Session, db: &Connection, name: &str) -> Result<EventTypePage, PageError> {
    let name = parse(name)?;
    let tenant = session.tenant();
    let described = event_type::get(db, &name)?;
    if described.is_none() && !event_type::was_seen(db, tenant, &name)? {
        return Err(PageError::not_found("event type"));
    }
    let count = event::count_since(db, tenant, &name, session.now() - 7 * DAY, MAX_COUNTED)?;
    let filter = WebhookFilter {
        tenant: tenant.cloned(),
        events: EventPattern::Exact(name.clone()).into(),
        ..WebhookFilter::default()
    };
    let subscribers = webhook::list(db, &filter, &PageRequest { limit: MAX_SUBSCRIBERS, cursor: None })?;
    let frame = session.frame(db, name.to_string(), Section::EventTypes)?;
    Ok(EventTypePage {
        frame: frame.with_api("GET", &format!("/v1/event-types/{name}")),
        name,
        described,
        volume: humanize::or_more(count, MAX_COUNTED),
        has_more: subscribers.next.is_some(),
        conditions: read::conditions(db, &subscribers.rows.iter().map(|webhook| webhook.seq).collect::<Vec<_>>())?,
        subscribers: subscribers.rows,
    })
}

/// Parses the name in a path. An invalid name is not found.
pub fn parse(name: &str) -> Result<EventType, PageError> {
    name.parse().map_err(|_| PageError::not_found("event type"))
}
