//! `/events`: the events that match the filter in the URL.

use crate::domain::Invalid;
use crate::domain::needle::Needle;
use crate::domain::time::{Millis, rfc3339_seconds};
use crate::domain::zone::Twice;
use crate::http::web::date_field;
use crate::http::web::deliveries::filter::below;
use crate::http::web::layout::{Html, marked};
use crate::http::web::pager::Pager;
use crate::http::web::{Fields, Frame, PageError, Section, Session, Template};
use crate::store::event::{self, EventFilter, EventPreview};
use crate::store::search::Hits;

#[derive(Template)]
#[template(path = "events/list.html")]
pub struct EventsPage {
    frame: Frame,
    rows: Vec<EventPreview>,
    pager: Pager,
    query: Fields,
    has_filter: bool,
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

/// `GET /events?q=&type=&tenant=&since=&until=&cursor=`.
pub fn show(session: &Session) -> Result<EventsPage, PageError> {
    date_field::require_exact(session, "since", "until")?;
    let query = &session.query;
    let request = query.page_request()?;
    let (filter, needle, problem) = match filter(session) {
        Ok((filter, needle)) => (filter, needle, None),
        Err(invalid) => (EventFilter::default(), None, Some(invalid.message)),
    };
    let Hits { page, back_to_ms } = match (&needle, &problem) {
        (_, Some(_)) => Hits::none(),
        (Some(needle), None) => {
            session.search(needle, |db, text| event::search_previews(db, &filter, text, &request))?
        }
        (None, None) => {
            let page = session.read(|db| Ok(event::previews(db, &filter, &request)?))?;
            Hits { page, back_to_ms: None }
        }
    };
    let mut left_out = vec!["cursor", "trail"];
    if session.tenant().is_some() {
        left_out.push("tenant");
    }
    let without_cursor = query.query_without(&left_out);
    let frame = session.read(|db| session.frame(db, "Events", Section::Events))?;
    Ok(EventsPage {
        pager: Pager::new(&format!("{}/events", frame.base), &without_cursor, query, page.next),
        frame: frame.with_api("GET", &below("/v1/events", &api_query(session, &filter))),
        rows: page.rows,
        query: query.clone(),
        has_filter: !without_cursor.is_empty(),
        problem,
        needle,
        back_to_ms,
    })
}

fn filter(session: &Session) -> Result<(EventFilter, Option<Needle>), Invalid> {
    let query = &session.query;
    let filter = EventFilter {
        tenant: match session.tenant() {
            Some(own) => Some(own.clone()),
            None => query.given("tenant").map(str::parse).transpose()?,
        },
        event_type: query.given("type").map(str::parse).transpose()?,
        since: query.given("since").map(|text| date_field::parse(text, session.zone(), Twice::First)).transpose()?,
        until: query.given("until").map(|text| date_field::parse(text, session.zone(), Twice::Second)).transpose()?,
    };
    Ok((filter, query.given("q").map(str::parse).transpose()?))
}

/// Query string of the API, whose times are RFC 3339.
fn api_query(session: &Session, filter: &EventFilter) -> String {
    let text = |name: &str| session.query.given(name).map(str::to_owned);
    let fields = [
        ("q", text("q")),
        ("type", text("type")),
        ("tenant", text("tenant")),
        ("since", filter.since.map(rfc3339_seconds)),
        ("until", filter.until.map(rfc3339_seconds)),
    ];
    let given = fields.into_iter().filter_map(|(name, text)| Some((name, text?)));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish()
}
