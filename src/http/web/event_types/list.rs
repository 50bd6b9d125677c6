//! `/event-types`: those that are described, and those that were seen all the same.

use askama::Template;

use super::super::error::PageError;
use crate::domain::event::EventType;
use crate::domain::time::DAY;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::store::page::DEFAULT_LIMIT;
use crate::store::{Connection, StoreError, event, event_type, webhook};
use crate::text::humanize;

/// Events of a type that are counted at most.
const MOST_COUNTED: u32 = 1_000;
/// Webhooks whose subscriptions are counted at most.
const MOST_WEBHOOKS: u32 = 5_000;

#[derive(Template)]
#[template(path = "event_types/list.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<EventTypeRow>,
    next: Option<String>,
    is_further: bool,
}

struct EventTypeRow {
    name: String,
    description: String,
    is_described: bool,
    has_example: bool,
    has_schema: bool,
    subscribers: usize,
    /// Events of the last seven days.
    volume: String,
}

/// `GET /event-types?after=`.
pub async fn show(session: Session) -> PageResult {
    session.show(list_page).await
}

fn list_page(session: &Session) -> Result<ListPage, PageError> {
    let after = session.query.text("after").to_owned();
    let limit = DEFAULT_LIMIT;
    let store = &session.app.actions.store;
    let (rows, next) = store.read(|connection| -> Result<_, StoreError> {
        let mut names = event_type::names(connection, session.tenant(), &after, limit + 1)?;
        let has_more = names.len() > limit as usize;
        names.truncate(limit as usize);
        let next = names.last().filter(|_| has_more).map(ToString::to_string);
        Ok((rows(connection, session, names)?, next))
    })?;
    let frame = session.read(|db| session.frame(db, "Event types", Section::EventTypes))?;
    Ok(ListPage {
        next: next.map(|name| format!("{}/event-types?after={name}", frame.base)),
        rows,
        is_further: !after.is_empty(),
        frame: frame.with_api("GET", "/v1/event-types"),
    })
}

fn rows(connection: &Connection, session: &Session, names: Vec<EventType>) -> Result<Vec<EventTypeRow>, StoreError> {
    let tenant = session.tenant();
    let subscriptions = webhook::subscriptions(connection, tenant, MOST_WEBHOOKS)?;
    let since = session.now() - 7 * DAY;
    let row = |name: EventType| {
        let described = event_type::get(connection, &name)?;
        let count = event::count_since(connection, tenant, &name, since, MOST_COUNTED)?;
        let wants = subscriptions.iter().filter(|patterns| patterns.iter().any(|pattern| pattern.matches(&name)));
        let described = described.as_ref();
        Ok(EventTypeRow {
            subscribers: wants.count(),
            volume: counted(count, MOST_COUNTED),
            description: described.map_or_else(String::new, |of| of.description.clone()),
            is_described: described.is_some(),
            has_example: described.is_some_and(|of| of.example.is_some()),
            has_schema: described.is_some_and(|of| of.schema.is_some()),
            name: name.to_string(),
        })
    };
    names.into_iter().map(row).collect()
}

/// A count that ended at a limit.
pub fn counted(count: u64, most: u32) -> String {
    match count {
        count if count >= most.into() => format!("{} or more", humanize::number(count)),
        count => humanize::number(count),
    }
}
