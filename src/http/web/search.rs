//! `/search`: everything that a text leads to, by kind.

use std::collections::HashMap;

use crate::actions::find::{self, Exact, Named};
use crate::domain::needle::Needle;
use crate::domain::time::Millis;
use crate::http::web::deliveries::rows::DeliveryTable;
use crate::http::web::layout::{Html, event_path, marked};
use crate::http::web::pager::Pager;
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::store::delivery;
use crate::store::event::{self, EventFilter, EventPreview};
use crate::store::incident::read::{self, Condition};
use crate::store::page::PageRequest;
use crate::store::search::Hits;

pub const PATH: &str = "/search";

/// Events on a page. Each shows its deliveries.
const MAX_EVENTS: u32 = 20;
/// Deliveries shown of an event. Its page has all.
const MAX_DELIVERIES: usize = 3;

#[derive(Template)]
#[template(path = "search.html")]
pub struct SearchPage {
    frame: Frame,
    needle: Option<Needle>,
    problem: Option<String>,
    named: Named,
    /// Of the webhooks found by name.
    conditions: HashMap<i64, Condition>,
    /// Deliveries whose id begins with the text.
    deliveries: DeliveryTable,
    events: Vec<EventRow>,
    pager: Pager,
    /// Time of the oldest event searched, if older ones are left.
    back_to_ms: Option<Millis>,
    /// Query of the lists with the same text.
    text_query: String,
}

struct EventRow {
    event: EventPreview,
    deliveries: DeliveryTable,
    has_more: bool,
}

impl SearchPage {
    fn marked(&self, text: impl AsRef<str>) -> Html {
        marked(self.needle.as_ref(), text.as_ref())
    }

    fn is_empty(&self) -> bool {
        let Named { webhooks, event_types, tenants, .. } = &self.named;
        self.events.is_empty()
            && self.deliveries.rows.is_empty()
            && webhooks.is_empty()
            && event_types.is_empty()
            && tenants.is_empty()
    }
}

/// `GET /search?q=&cursor=`. A whole id leads to what has it.
pub fn show(session: &Session) -> Result<SearchPage, PageError> {
    let query = &session.query;
    let cursor = query.page_request()?.cursor;
    let (needle, problem) = match query.given("q").map(str::parse::<Needle>).transpose() {
        Ok(needle) => (needle, None),
        Err(invalid) => (None, Some(invalid.message)),
    };
    let Some(needle) = needle else {
        return session.read(|db| page(session, db, None, problem, Named::default(), Hits::none()));
    };
    let caller = session.caller();
    let exact = session.read(|db| Ok(find::exact(db, &caller, needle.as_str())))?;
    if let Some(path) = exact.map(|exact| path(session, exact)) {
        return Err(PageError::Redirect { location: format!("{}{path}", session.base()) });
    }
    let (names, text) = (session.app.search_names(needle.clone()), session.app.search(needle.clone()));
    let store = &session.app.actions.store;
    let mut named = match cursor {
        None => store.read(|db| Named::find(db, &caller, &names))?,
        Some(_) => Named::default(),
    };
    let filter = EventFilter { tenant: session.tenant().cloned(), ..EventFilter::default() };
    let request = PageRequest { limit: MAX_EVENTS, cursor };
    let hits = store.read(|db| event::search_previews(db, &filter, &text, &request))?;
    let hits = hits.with_older(std::mem::take(&mut named.events));
    session.read(|db| page(session, db, Some(needle), None, named, hits))
}

fn path(session: &Session, exact: Exact) -> String {
    match exact {
        Exact::Delivery(id) => format!("/deliveries/{id}"),
        Exact::Webhook(id) => format!("/webhooks/{id}"),
        Exact::Event(event) => event_path(&event.id, session.tenant().is_none().then_some(&event.tenant)),
    }
}

fn page(
    session: &Session,
    db: &Connection,
    needle: Option<Needle>,
    problem: Option<String>,
    mut named: Named,
    hits: Hits<EventPreview>,
) -> Result<SearchPage, PageError> {
    let text_query = session.query.query_without(&["cursor", "trail"]);
    let deliveries = std::mem::take(&mut named.deliveries);
    let row = |event: EventPreview| {
        let found = delivery::of_event(db, event.seq, MAX_DELIVERIES)?;
        let deliveries = DeliveryTable::read(db, found.rows, String::new())?;
        Ok(EventRow { event, deliveries, has_more: found.next.is_some() })
    };
    let title = match &needle {
        Some(needle) => format!("{} · Search", needle.as_str()),
        None => "Search".to_owned(),
    };
    let frame = session.frame(db, title, Section::None)?;
    Ok(SearchPage {
        pager: Pager::new(&format!("{}{PATH}", frame.base), &text_query, &session.query, hits.page.next),
        frame: frame.with_api("GET", &format!("/v1/search?{text_query}")),
        needle,
        problem,
        deliveries: DeliveryTable::read(db, deliveries, String::new())?,
        events: hits.page.rows.into_iter().map(row).collect::<Result<_, PageError>>()?,
        back_to_ms: hits.back_to_ms,
        conditions: read::conditions(db, &named.webhooks.iter().map(|webhook| webhook.seq).collect::<Vec<_>>())?,
        named,
        text_query,
    })
}
