//! `/event-types`: the described types, and the types of published events.

use crate::domain::event::EventType;
use crate::domain::time::DAY;
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::store::event_type::{self, TypeHead};
use crate::store::page::DEFAULT_LIMIT;
use crate::store::{StoreError, event, webhook};
use crate::text::humanize;

/// Events counted for each type.
const MAX_COUNTED: u32 = 1_000;
/// Webhooks whose subscriptions are counted.
const MAX_WEBHOOKS: u32 = 5_000;

#[derive(Template)]
#[template(path = "event_types/list.html")]
pub struct EventTypesPage {
    frame: Frame,
    rows: Vec<EventTypeRow>,
    next: Option<String>,
    is_first_page: bool,
}

struct EventTypeRow {
    name: EventType,
    described: Option<TypeHead>,
    subscribers: u64,
    /// Events in the last seven days.
    volume: String,
}

/// `GET /event-types?after=`.
pub fn show(session: &Session, db: &Connection) -> Result<EventTypesPage, PageError> {
    let after = session.query.text("after");
    let limit = DEFAULT_LIMIT as usize;
    let mut names = event_type::names(db, session.tenant(), after, DEFAULT_LIMIT + 1)?;
    let has_more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| has_more);
    Ok(EventTypesPage {
        next: next.map(|name| format!("{}/event-types?after={name}", session.base())),
        rows: rows(session, db, &names)?,
        is_first_page: after.is_empty(),
        frame: session.frame(db, "Event types", Section::EventTypes)?.with_api("GET", "/v1/event-types"),
    })
}

fn rows(session: &Session, db: &Connection, names: &[EventType]) -> Result<Vec<EventTypeRow>, StoreError> {
    let tenant = session.tenant();
    let subscribers = webhook::count_subscribers(db, tenant, names, MAX_WEBHOOKS)?;
    let since = session.now() - 7 * DAY;
    let row = |(name, subscribers): (&EventType, u64)| {
        Ok(EventTypeRow {
            subscribers,
            volume: humanize::or_more(event::count_since(db, tenant, name, since, MAX_COUNTED)?, MAX_COUNTED),
            described: event_type::head(db, name)?,
            name: name.clone(),
        })
    };
    names.iter().zip(subscribers).map(row).collect()
}
