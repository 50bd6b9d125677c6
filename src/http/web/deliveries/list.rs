//! `/deliveries`: the deliveries that match the filter in the URL.

use strum::VariantArray;

use super::filter::{Criteria, below};
use super::rows::DeliveryTable;
use crate::actions::{ActionError, lookup};
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::time::Millis;
use crate::http::web::date_field;
use crate::http::web::layout::{capitalized, code_label};
use crate::http::web::pager::Pager;
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::store::delivery;
use crate::store::page::{Cursor, Page, PageRequest};
use crate::store::webhook::{self, WebhookFilter};

/// Webhooks in the drop-down list. With more, the filter is a text field for an ID.
const MAX_WEBHOOKS: u32 = 100;

#[derive(Template)]
#[template(path = "deliveries/list.html")]
pub struct DeliveriesPage {
    frame: Frame,
    table: DeliveryTable,
    pager: Pager,
    criteria: Criteria,
    /// Code and label.
    statuses: Vec<(&'static str, String)>,
    /// Code and label.
    errors: Vec<(&'static str, String)>,
    /// ID and name; `None` if there are too many.
    webhooks: Option<Vec<(String, String)>>,
    /// Time of the oldest delivery searched, if older ones are left.
    back_to_ms: Option<Millis>,
    here: String,
    can_discard: bool,
}

/// `GET /deliveries?q=&status=&webhook=&event=&type=&tenant=&code=&error=&test=&from=&to=&cursor=`.
pub fn show(session: &Session) -> Result<DeliveriesPage, PageError> {
    date_field::require_exact(session, "from", "to")?;
    let criteria = Criteria::of(session, &session.query);
    let request = session.query.page_request()?;
    let Some(needle) = &criteria.needle else {
        return session.read(|db| {
            let page = match criteria.problem {
                None => delivery::list(db, &criteria.filter, &request)?,
                Some(_) => Page::empty(),
            };
            let table = DeliveryTable::read(db, page.rows, criteria.query())?;
            list(session, db, criteria, (table, page.next, None))
        });
    };
    if let Some(path) = session.read(|db| Ok(path_of_id(session, db, needle.as_str(), &criteria)))? {
        return Err(PageError::Redirect { location: format!("{}{path}", session.base()) });
    }
    let hits = session.search(needle, |db, text| delivery::search(db, &criteria.filter, text, &request))?;
    session.read(|db| {
        let table = DeliveryTable::read_found(db, hits.page.rows, &criteria)?;
        list(session, db, criteria, (table, hits.page.next, hits.back_to_ms))
    })
}

/// The page with these rows.
fn list(
    session: &Session,
    db: &Connection,
    criteria: Criteria,
    (mut table, next, back_to_ms): (DeliveryTable, Option<Cursor>, Option<Millis>),
) -> Result<DeliveriesPage, PageError> {
    let frame = session.frame(db, "Deliveries", Section::Deliveries)?;
    let path = format!("{}/deliveries", session.base());
    let status = criteria.filter.status;
    table.has_ticks = frame.may_change
        && criteria.problem.is_none()
        && criteria.filter.test != Some(true)
        && status != Some(DeliveryStatus::Discarded);
    Ok(DeliveriesPage {
        pager: Pager::new(&path, &table.query, &session.query, next),
        table,
        statuses: DeliveryStatus::VARIANTS
            .iter()
            .map(|status| (status.into_str(), capitalized(status.into_str())))
            .collect(),
        errors: ErrorCode::VARIANTS.iter().map(|code| (code.into_str(), code_label(code.into_str()))).collect(),
        webhooks: webhooks(session, db, &criteria)?,
        back_to_ms,
        here: session.here.clone(),
        can_discard: status.is_none_or(|status| !status.is_finished()),
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

/// Webhooks to filter by, in the order of their names.
fn webhooks(
    session: &Session,
    db: &Connection,
    criteria: &Criteria,
) -> Result<Option<Vec<(String, String)>>, PageError> {
    let filter = WebhookFilter { tenant: session.tenant().cloned(), ..WebhookFilter::default() };
    let page = webhook::list(db, &filter, &PageRequest { limit: MAX_WEBHOOKS, cursor: None })?;
    if page.next.is_some() {
        return Ok(None);
    }
    let mut named: Vec<_> = page.rows.iter().map(|webhook| (webhook.id.to_string(), webhook.name())).collect();
    named.sort_by(|one, other| one.1.cmp(&other.1));
    let chosen = criteria.text("webhook");
    if !chosen.is_empty() && named.iter().all(|(id, _)| id != chosen) {
        named.push((chosen.to_owned(), format!("{chosen} (deleted or unknown)")));
    }
    Ok(Some(named))
}
