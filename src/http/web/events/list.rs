//! `/events`: the events that match the filter in the URL.

use crate::domain::Invalid;
use crate::domain::needle::Needle;
use crate::domain::time::{Millis, parse_rfc3339, rfc3339_seconds};
use crate::domain::zone::Twice;
use crate::http::web::date_field;
use crate::http::web::layout::{Html, marked};
use crate::http::web::list_query::{self, Chip, ListQuery, Parameter, below, query_of, total, total_words};
use crate::http::web::pager::Pager;
use crate::http::web::suggestions::Suggestions;
use crate::http::web::{Frame, PageError, Section, Session, Template};
use crate::store::event::{self, EventFilter, EventPreview};
use crate::store::search::Hits;
use crate::text::humanize::to_the_second;

#[derive(Template)]
#[template(path = "events/list.html")]
pub struct EventsPage {
    frame: Frame,
    rows: Vec<EventPreview>,
    pager: Pager,
    query: ListQuery,
    chips: Vec<Chip>,
    /// Number of matches in words; empty for a search.
    total: String,
    suggestions: Suggestions,
    problem: Option<String>,
    /// Text that was searched for.
    needle: Option<Needle>,
    /// Time of the oldest event searched, if older ones are left.
    back_to_ms: Option<Millis>,
}

impl EventsPage {
    /// Whether the event was received later than a second after it occurred.
    fn is_late(event: &EventPreview) -> bool {
        event.received_ms.abs_diff(event.created_ms) >= 1_000
    }

    fn marked(&self, text: &str) -> Html {
        marked(self.needle.as_ref(), text)
    }
}

const PARAMETERS: &[Parameter] = &[
    Parameter::one("q", "q", "Text"),
    Parameter::several("type", "type", "Event type"),
    Parameter::one("tenant", "tenant", "Tenant"),
    Parameter::one("since", "since", "Received at or after"),
    Parameter::one("until", "until", "Received before"),
];

/// `GET /events?q=&type=&tenant=&since=&until=&cursor=`.
pub fn show(session: &Session) -> Result<EventsPage, PageError> {
    date_field::require_exact(session, "since", "until")?;
    let query = ListQuery::of(&session.query, PARAMETERS, session.tenant().is_some());
    let request = session.query.page_request()?;
    let (filter, needle, problem) = match filter(session, &query) {
        Ok((filter, needle)) => (filter, needle, None),
        Err(invalid) => (EventFilter::default(), None, Some(invalid.message)),
    };
    let (Hits { page, back_to_ms }, total) = match (&needle, &problem) {
        (_, Some(_)) => (Hits::none(), String::new()),
        (Some(needle), None) => {
            let hits = session.search(needle, |db, text| event::search_previews(db, &filter, text, &request))?;
            (hits, String::new())
        }
        (None, None) => session.read(|db| {
            let page = event::previews(db, &filter, &request)?;
            let total = total(&page, &request, || event::count(db, &filter))?;
            Ok((Hits { page, back_to_ms: None }, total_words(total, "event")))
        })?,
    };
    let path = format!("{}/events", session.base());
    let chips = query.chips(&path, |name, value| match name {
        "since" | "until" => {
            parse_rfc3339(value).map_or_else(|_| value.to_owned(), |at| to_the_second(at, session.zone()))
        }
        _ => value.to_owned(),
    });
    let (frame, suggestions) = session.read(|db| {
        let frame = session.frame(db, list_query::title(&chips, "Events"), Section::Events)?;
        Ok((frame, Suggestions::read(session, db)?))
    })?;
    Ok(EventsPage {
        pager: Pager::new(&path, &query.query(), &session.query, page.next),
        frame: frame.with_api("GET", &below("/v1/events", &api_query(&query, &filter))),
        rows: page.rows,
        query,
        chips,
        total,
        suggestions,
        problem,
        needle,
        back_to_ms,
    })
}

fn filter(session: &Session, query: &ListQuery) -> Result<(EventFilter, Option<Needle>), Invalid> {
    let filter = EventFilter {
        tenant: match session.tenant() {
            Some(own) => Some(own.clone()),
            None => query.given("tenant").map(str::parse).transpose()?,
        },
        types: query.given("type").map(str::parse).transpose()?.unwrap_or_default(),
        since: query.given("since").map(|text| date_field::parse(text, session.zone(), Twice::First)).transpose()?,
        until: query.given("until").map(|text| date_field::parse(text, session.zone(), Twice::Second)).transpose()?,
    };
    Ok((filter, query.given("q").map(str::parse).transpose()?))
}

/// Query string of the API, whose times are RFC 3339.
fn api_query(query: &ListQuery, filter: &EventFilter) -> String {
    let pairs = query.api_pairs(|name, text| {
        let time = match name {
            "since" => filter.since,
            "until" => filter.until,
            _ => None,
        };
        time.map_or_else(|| text.to_owned(), rfc3339_seconds)
    });
    query_of(pairs.iter().map(|(name, text)| (*name, text.as_str())))
}
