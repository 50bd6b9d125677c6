//! `/event-types/{name}`: what a type means, an example, and who gets it.

use actix_web::web::Path;
use askama::Template;

use super::super::error::PageError;
use super::list::counted;
use crate::domain::event::EventType;
use crate::domain::time::{DAY, Millis};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::store::page::PageRequest;
use crate::store::webhook::WebhookFilter;
use crate::store::{Connection, StoreError, event, event_type, webhook};

/// Subscribers shown at most.
const MOST_SHOWN: u32 = 50;
/// Events counted at most.
const MOST_COUNTED: u32 = 10_000;

#[derive(Template)]
#[template(path = "event_types/show.html")]
struct ShowPage {
    frame: Frame,
    name: String,
    description: String,
    example: Option<Box<str>>,
    schema: Option<Box<str>>,
    is_described: bool,
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
    events: String,
}

/// `GET /event-types/{name}`.
pub async fn show(session: Session, name: Path<String>) -> PageResult {
    session.show(move |session| show_page(session, &name)).await
}

fn show_page(session: &Session, name: &str) -> Result<ShowPage, PageError> {
    let name = known(name)?;
    let tenant = session.tenant();
    let store = &session.app.actions.store;
    let frame = session.read(|db| session.frame(db, name.to_string(), Section::EventTypes))?;
    store.read(|connection| {
        let described = event_type::get(connection, &name)?;
        if described.is_none() && !event_type::was_seen(connection, tenant, &name)? {
            return Err(PageError::not_found("event type"));
        }
        let since = session.now() - 7 * DAY;
        let count = event::count_since(connection, tenant, &name, since, MOST_COUNTED)?;
        let (subscribers, has_more) = subscribers(connection, session, &name)?;
        let is_described = described.is_some();
        let described = described.as_ref();
        Ok(ShowPage {
            frame: frame.with_api("GET", &format!("/v1/event-types/{name}")),
            name: name.to_string(),
            is_described,
            description: described.map_or_else(String::new, |of| of.description.clone()),
            example: described.and_then(|of| of.example.clone()),
            schema: described.and_then(|of| of.schema.clone()),
            updated_ms: described.map(|of| of.updated_ms),
            volume: counted(count, MOST_COUNTED),
            subscribers,
            has_more,
        })
    })
}

/// The name in a path; one that no type can have names nothing.
pub fn known(name: &str) -> Result<EventType, PageError> {
    name.parse().map_err(|_| PageError::not_found("event type"))
}

/// The webhooks whose patterns match, and whether there may be more.
fn subscribers(
    connection: &Connection,
    session: &Session,
    name: &EventType,
) -> Result<(Vec<Subscriber>, bool), StoreError> {
    let filter =
        WebhookFilter { tenant: session.tenant().cloned(), event: Some(name.clone()), ..WebhookFilter::default() };
    let request = PageRequest { limit: MOST_SHOWN, cursor: None };
    let page = webhook::list(connection, &filter, &request)?;
    let rows = page.rows.into_iter().map(|webhook| {
        let matching = webhook.events.iter().filter(|pattern| pattern.matches(name));
        let matching: Vec<String> = matching.map(ToString::to_string).collect();
        Subscriber {
            id: webhook.id.to_string(),
            tenant: webhook.tenant.to_string(),
            state: webhook.state.into_str(),
            events: matching.join(", "),
            name: match webhook.description.trim() {
                "" => webhook.url.as_str().to_owned(),
                description => description.to_owned(),
            },
        }
    });
    Ok((rows.collect(), page.next.is_some()))
}
