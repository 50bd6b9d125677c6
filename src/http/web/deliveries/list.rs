//! `/deliveries`: the deliveries that match the filter in the URL.

use strum::VariantArray;

use super::filter::Criteria;
use super::rows::DeliveryTable;
use crate::actions::{ActionError, lookup};
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::time::Millis;
use crate::http::web::date_field;
use crate::http::web::layout::code_label;
use crate::http::web::list_query::{self, Chip, below, total, total_words};
use crate::http::web::pager::Pager;
use crate::http::web::suggestions::Suggestions;
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::store::delivery;
use crate::store::page::{Cursor, Page, PageRequest};
use crate::store::webhook::{self, WebhookFilter};

#[derive(Template)]
#[template(path = "deliveries/list.html")]
pub struct DeliveriesPage {
    frame: Frame,
    table: DeliveryTable,
    pager: Pager,
    criteria: Criteria,
    chips: Vec<Chip>,
    /// Number of matches in words; empty for a search.
    total: String,
    suggestions: Suggestions,
    /// Code and label.
    errors: Vec<(&'static str, String)>,
    /// Time of the oldest delivery searched, if older ones are left.
    back_to_ms: Option<Millis>,
    here: String,
    can_discard: bool,
}

/// `GET /deliveries?q=&status=&webhook=&event=&type=&tenant=&code=&error=&test=&from=&to=&finished_from=&finished_to=&cursor=`.
pub fn show(session: &Session) -> Result<DeliveriesPage, PageError> {
    date_field::require_exact(session, "from", "to")?;
    date_field::require_exact(session, "finished_from", "finished_to")?;
    let criteria = by_name(session, Criteria::of(session, &session.query))?;
    let request = session.query.page_request()?;
    let Some(needle) = &criteria.needle else {
        return session.read(|db| {
            let (page, total) = match criteria.problem {
                None => {
                    let page = delivery::list(db, &criteria.filter, &request)?;
                    let total = total(&page, &request, || delivery::count(db, &criteria.filter))?;
                    (page, total_words(total, "delivery"))
                }
                Some(_) => (Page::empty(), String::new()),
            };
            let table = DeliveryTable::read(db, page.rows, criteria.query())?;
            list(session, db, criteria, (table, page.next, None), total)
        });
    };
    if let Some(path) = session.read(|db| Ok(path_of_id(session, db, needle.as_str(), &criteria)))? {
        return Err(PageError::Redirect { location: format!("{}{path}", session.base()) });
    }
    let hits = session.search(needle, |db, text| delivery::search(db, &criteria.filter, text, &request))?;
    session.read(|db| {
        let table = DeliveryTable::read_found(db, hits.page.rows, &criteria)?;
        list(session, db, criteria, (table, hits.page.next, hits.back_to_ms), String::new())
    })
}

/// Finds the webhook that a filter names by its description or URL, and leads to the list with its ID.
fn by_name(session: &Session, mut criteria: Criteria) -> Result<Criteria, PageError> {
    let Some(text) = criteria.query.given("webhook") else {
        return Ok(criteria);
    };
    if text.split(',').all(|id| id.trim().parse::<WebhookId>().is_ok()) {
        return Ok(criteria);
    }
    let Ok(needle) = text.parse() else {
        return Ok(criteria);
    };
    let filter = WebhookFilter { tenant: session.tenant().cloned(), ..WebhookFilter::default() };
    let request = PageRequest { limit: MAX_NAMED, cursor: None };
    let found = session.search(&needle, |db, text| webhook::search(db, &filter, text, &request))?.rows;
    let named: Vec<_> = found.iter().filter(|webhook| webhook.name().eq_ignore_ascii_case(text)).collect();
    let only = match (named.as_slice(), found.as_slice()) {
        ([webhook], _) => Some(webhook.id),
        ([], [webhook]) => Some(webhook.id),
        _ => None,
    };
    if let Some(id) = only {
        let path = below("/deliveries", &criteria.query_with("webhook", &id.to_string()));
        return Err(PageError::Redirect { location: format!("{}{path}", session.base()) });
    }
    let what = if found.is_empty() { "No webhook matches" } else { "Several webhooks match" };
    criteria.problem = Some(format!("{what} “{text}”. Choose one of the suggestions, or enter an ID such as wh_…."));
    Ok(criteria)
}

/// Webhooks read to find one by its name.
const MAX_NAMED: u32 = 20;

/// The page with these rows.
fn list(
    session: &Session,
    db: &Connection,
    criteria: Criteria,
    (mut table, next, back_to_ms): (DeliveryTable, Option<Cursor>, Option<Millis>),
    total: String,
) -> Result<DeliveriesPage, PageError> {
    let name = |id: &str| Some(lookup::webhook(db, &session.caller(), id).ok()?.name());
    let chips = criteria.chips(&format!("{}/deliveries", session.base()), name);
    let frame = session.frame(db, list_query::title(&chips, "Deliveries"), Section::Deliveries)?;
    let path = format!("{}/deliveries", session.base());
    let statuses = &criteria.filter.statuses;
    table.has_ticks = frame.may_change
        && criteria.problem.is_none()
        && criteria.filter.test != Some(true)
        && **statuses != [DeliveryStatus::Discarded];
    Ok(DeliveriesPage {
        pager: Pager::new(&path, &table.query, &session.query, next),
        table,
        chips,
        total,
        suggestions: Suggestions::read(session, db)?,
        errors: ErrorCode::VARIANTS.iter().map(|code| (code.into_str(), code_label(code.into_str()))).collect(),
        back_to_ms,
        here: session.here.clone(),
        can_discard: statuses.is_empty() || statuses.iter().any(|status| !status.is_finished()),
        frame: frame.with_api("GET", &below("/v1/deliveries", &criteria.api_query())),
        criteria,
    })
}

/// Path for an ID: the delivery, the event, or the deliveries of the webhook. The other filters stay.
fn path_of_id(session: &Session, db: &Connection, id: &str, criteria: &Criteria) -> Option<String> {
    let caller = session.caller();
    let criteria = criteria.without_text();
    if id.parse::<DeliveryId>().is_ok() {
        lookup::delivery(db, &caller, id).ok()?;
        return Some(below(&format!("/deliveries/{id}"), &criteria.query()));
    }
    if id.parse::<WebhookId>().is_ok() {
        lookup::webhook(db, &caller, id).ok()?;
        return Some(below("/deliveries", &criteria.query_with("webhook", id)));
    }
    match lookup::event(db, &caller, id, None) {
        Ok(stored) => Some(session.event_path(&stored.event)),
        // Several tenants have the id.
        Err(ActionError::Conflict { .. }) => Some(below("/deliveries", &criteria.query_with("event", id))),
        Err(_) => None,
    }
}
