//! `/events`: what came in.

use askama::Template;

use super::super::error::PageError;
use super::super::pager::Pager;
use crate::domain::Invalid;
use crate::domain::time::{Millis, rfc3339_seconds};
use crate::http::web::deliveries::filter::{below, parse_utc};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::store::event::{self, EventFilter, StoredEvent};
use crate::store::page::{DEFAULT_LIMIT, Page, PageRequest};

/// Characters of the data in a row at most.
const PREVIEW: usize = 120;

#[derive(Template)]
#[template(path = "events/list.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<EventRow>,
    pager: Pager,
    event_type: String,
    tenant: String,
    since: String,
    until: String,
    has_filter: bool,
    problem: Option<String>,
}

struct EventRow {
    id: String,
    event_type: String,
    tenant: String,
    preview: String,
    received_ms: Millis,
    created_ms: Option<Millis>,
}

impl EventRow {
    fn of(stored: &StoredEvent) -> EventRow {
        let event = &stored.event;
        let is_later = event.received_ms.abs_diff(event.created_ms) >= 1_000;
        let mut preview: String = event.data.chars().take(PREVIEW).collect();
        if preview.len() < event.data.len() {
            preview.push('…');
        }
        EventRow {
            id: event.id.to_string(),
            event_type: event.event_type.to_string(),
            tenant: event.tenant.to_string(),
            preview,
            received_ms: event.received_ms,
            created_ms: is_later.then_some(event.created_ms),
        }
    }
}

/// `GET /events?type=&tenant=&since=&until=&cursor=`.
pub async fn show(session: Session) -> PageResult {
    session.show(list_page).await
}

fn list_page(session: &Session) -> Result<ListPage, PageError> {
    let query = &session.query;
    let (filter, problem) = match filter(session) {
        Ok(filter) => (filter, None),
        Err(invalid) => (EventFilter::default(), Some(invalid.message)),
    };
    let request = PageRequest { limit: DEFAULT_LIMIT, cursor: query.given("cursor").map(str::parse).transpose()? };
    let page = match problem {
        None => session.app.actions.store.read(|connection| event::list(connection, &filter, &request))?,
        Some(_) => Page { rows: Vec::new(), next: None },
    };
    let mut left_out = vec!["cursor", "trail"];
    if session.tenant().is_some() {
        left_out.push("tenant");
    }
    let without_cursor = query.query_without(&left_out);
    let path = format!("{}/events", session.base());
    let frame = session.read(|db| session.frame(db, "Events", Section::Events))?;
    Ok(ListPage {
        frame: frame.with_api("GET", &below("/v1/events", &api_query(session, &filter))),
        rows: page.rows.iter().map(EventRow::of).collect(),
        pager: Pager::new(&path, &without_cursor, query, page.next),
        event_type: query.text("type").to_owned(),
        tenant: query.text("tenant").to_owned(),
        since: query.text("since").to_owned(),
        until: query.text("until").to_owned(),
        has_filter: !without_cursor.is_empty(),
        problem,
    })
}

fn filter(session: &Session) -> Result<EventFilter, Invalid> {
    let query = &session.query;
    Ok(EventFilter {
        tenant: match session.tenant() {
            Some(own) => Some(own.clone()),
            None => query.given("tenant").map(str::parse).transpose()?,
        },
        event_type: query.given("type").map(str::parse).transpose()?,
        since: query.given("since").map(parse_utc).transpose()?,
        until: query.given("until").map(parse_utc).transpose()?,
    })
}

/// What the API takes for the same: its times are RFC 3339.
fn api_query(session: &Session, filter: &EventFilter) -> String {
    let mut api = url::form_urlencoded::Serializer::new(String::new());
    for name in ["type", "tenant"] {
        if let Some(text) = session.query.given(name) {
            api.append_pair(name, text);
        }
    }
    for (name, at) in [("since", filter.since), ("until", filter.until)] {
        if let Some(at) = at {
            api.append_pair(name, &rfc3339_seconds(at));
        }
    }
    api.finish()
}
