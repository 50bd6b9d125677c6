//! `/event-types/{name}`: the description, example and schema of a type, and its subscribers.

use actix_web::web::Path;
use askama::Template;

use super::list::or_more;
use crate::domain::event::EventType;
use crate::domain::time::{DAY, Millis};
use crate::domain::webhook::Webhook;
use crate::http::web::error::PageError;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::store::page::PageRequest;
use crate::store::webhook::WebhookFilter;
use crate::store::{Connection, event, event_type, webhook};

/// Subscribers shown.
const MAX_SUBSCRIBERS: u32 = 50;
/// Events counted.
const MAX_COUNTED: u32 = 10_000;

#[derive(Template)]
#[template(path = "event_types/show.html")]
struct EventTypePage {
    frame: Frame,
    name: String,
    description: String,
    example: Option<Box<str>>,
    schema: Option<Box<str>>,
    /// `None` if the type is not described.
    updated_ms: Option<Millis>,
    volume: String,
    subscribers: Vec<Subscriber>,
    has_more: bool,
}

struct Subscriber {
    id: String,
    name: String,
    tenant: String,
    state: &'static str,
    /// Patterns that match the type.
    patterns: String,
}

impl Subscriber {
    fn of(webhook: &Webhook, name: &EventType) -> Subscriber {
        let matching = webhook.events.iter().filter(|pattern| pattern.matches(name));
        Subscriber {
            id: webhook.id.to_string(),
            name: webhook.name(),
            tenant: webhook.tenant.to_string(),
            state: webhook.state.into_str(),
            patterns: matching.map(ToString::to_string).collect::<Vec<_>>().join(", "),
        }
    }
}

/// `GET /event-types/{name}`.
pub async fn show(session: Session, name: Path<String>) -> PageResult {
    session.show(move |session| session.read(|db| event_type_page(session, db, &name))).await
}

fn event_type_page(session: &Session, db: &Connection, name: &str) -> Result<EventTypePage, PageError> {
    let name = parse(name)?;
    let tenant = session.tenant();
    let described = event_type::get(db, &name)?;
    if described.is_none() && !event_type::was_seen(db, tenant, &name)? {
        return Err(PageError::not_found("event type"));
    }
    let count = event::count_since(db, tenant, &name, session.now() - 7 * DAY, MAX_COUNTED)?;
    let filter = WebhookFilter { tenant: tenant.cloned(), event: Some(name.clone()), ..WebhookFilter::default() };
    let subscribers = webhook::list(db, &filter, &PageRequest { limit: MAX_SUBSCRIBERS, cursor: None })?;
    let frame = session.frame(db, name.to_string(), Section::EventTypes)?;
    let mut page = EventTypePage {
        frame: frame.with_api("GET", &format!("/v1/event-types/{name}")),
        description: String::new(),
        example: None,
        schema: None,
        updated_ms: None,
        volume: or_more(count, MAX_COUNTED),
        has_more: subscribers.next.is_some(),
        subscribers: subscribers.rows.iter().map(|webhook| Subscriber::of(webhook, &name)).collect(),
        name: name.to_string(),
    };
    if let Some(known) = described {
        page.description = known.description;
        page.example = known.example;
        page.schema = known.schema;
        page.updated_ms = Some(known.updated_ms);
    }
    Ok(page)
}

/// Parses the name in a path. An invalid name is not found.
pub fn parse(name: &str) -> Result<EventType, PageError> {
    name.parse().map_err(|_| PageError::not_found("event type"))
}
