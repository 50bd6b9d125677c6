//! `/deliveries`: every delivery, by every filter, each of which stands in the address.

use askama::Template;
use strum::VariantArray;

use super::super::error::PageError;
use super::super::pager::Pager;
use super::rows::{DeliveryRow, Name, rows};
use crate::actions::lookup;
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::id::{DeliveryId, WebhookId};
use crate::http::web::deliveries::filter::{Criteria, below};
use crate::http::web::layout::{Frame, Section, capitalized, code_label};
use crate::http::web::session::{PageResult, Session};
use crate::store::delivery;
use crate::store::page::{DEFAULT_LIMIT, Page, PageRequest};
use crate::store::webhook::{self, WebhookFilter};

/// Webhooks up to which a person picks one from a list; of more, the id is typed or followed.
const FEW_WEBHOOKS: u32 = 100;

#[derive(Template)]
#[template(path = "deliveries/list.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<DeliveryRow>,
    pager: Pager,
    criteria: Criteria,
    /// Code and word.
    statuses: Vec<(&'static str, String)>,
    /// Code and words.
    errors: Vec<(&'static str, String)>,
    /// Id and name; `None` where there are too many for a list.
    webhooks: Option<Vec<(String, String)>>,
    /// What was looked for by its id and is not there.
    not_found: Option<String>,
    /// The query of the filter, for the addresses of the rows and of the bulk actions.
    suffix: String,
    here: String,
    /// What can be retried or discarded goes by the filter; of tests there is nothing.
    has_bulk: bool,
    can_discard: bool,
}

/// `GET /deliveries?status=&webhook=&event=&type=&tenant=&code=&error=&test=&from=&to=&q=&cursor=`.
pub async fn show(session: Session) -> PageResult {
    session.show(list_page).await
}

fn list_page(session: &Session) -> Result<ListPage, PageError> {
    let criteria = Criteria::of(session, &session.query);
    let query = session.query.given("q");
    if let Some(query) = query {
        go_to(session, query, &criteria)?;
    }
    let request =
        PageRequest { limit: DEFAULT_LIMIT, cursor: session.query.given("cursor").map(str::parse).transpose()? };
    let is_shown = criteria.problem.is_none() && query.is_none();
    let store = &session.app.actions.store;
    let (page, rows) = store.read(|connection| -> Result<_, PageError> {
        let page = if is_shown {
            delivery::list(connection, &criteria.filter, &request)?
        } else {
            Page { rows: Vec::new(), next: None }
        };
        let rows = rows(connection, &page.rows)?;
        Ok((page, rows))
    })?;
    let suffix = criteria.query();
    let frame = session.read(|db| session.frame(db, "Deliveries", Section::Deliveries))?;
    let path = format!("{}/deliveries", session.base());
    let api = below("/v1/deliveries", &criteria.api_query());
    let status = criteria.filter.status;
    Ok(ListPage {
        pager: Pager::new(&path, &suffix, &session.query, page.next),
        rows,
        statuses: DeliveryStatus::VARIANTS
            .iter()
            .map(|status| (status.into_str(), capitalized(status.into_str())))
            .collect(),
        errors: ErrorCode::VARIANTS.iter().map(|code| (code.into_str(), code_label(code.into_str()))).collect(),
        webhooks: webhooks(session, &criteria)?,
        not_found: query.map(str::to_owned),
        here: session.here.clone(),
        has_bulk: frame.may_change
            && is_shown
            && criteria.filter.test != Some(true)
            && status != Some(DeliveryStatus::Discarded),
        can_discard: status.is_none_or(|status| !status.is_finished()),
        frame: frame.with_api("GET", &api),
        suffix,
        criteria,
    })
}

/// Leads to what has this id: a delivery's page, an event's, or the deliveries of a webhook. Where nothing has it,
/// the list says so.
fn go_to(session: &Session, id: &str, criteria: &Criteria) -> Result<(), PageError> {
    let store = &session.app.actions.store;
    let caller = session.caller();
    let path = store.read(|connection| -> Result<_, PageError> {
        if id.parse::<DeliveryId>().is_ok() {
            let found = lookup::delivery(connection, &caller, id).is_ok();
            return Ok(found.then(|| below(&format!("/deliveries/{id}"), &criteria.query())));
        }
        if id.parse::<WebhookId>().is_ok() {
            let found = lookup::webhook(connection, &caller, id).is_ok();
            return Ok(found.then(|| below("/deliveries", &criteria.query_with("webhook", id))));
        }
        let found = lookup::event(connection, &caller, id);
        Ok(found.ok().map(|stored| format!("/events/{}", stored.event.id)))
    })?;
    match path {
        None => Ok(()),
        Some(path) => Err(PageError::Redirect { location: format!("{}{path}", session.base()) }),
    }
}

fn webhooks(session: &Session, criteria: &Criteria) -> Result<Option<Vec<(String, String)>>, PageError> {
    let filter = WebhookFilter { tenant: session.tenant().cloned(), ..WebhookFilter::default() };
    let request = PageRequest { limit: FEW_WEBHOOKS, cursor: None };
    let store = &session.app.actions.store;
    let page = store.read(|connection| webhook::list(connection, &filter, &request))?;
    if page.next.is_some() {
        return Ok(None);
    }
    let named = page.rows.iter().map(|webhook| {
        let name = Name::of(&webhook.description, webhook.url.as_str());
        (webhook.id.to_string(), name.name)
    });
    let mut named: Vec<(String, String)> = named.collect();
    named.sort_by(|one, other| one.1.cmp(&other.1));
    let chosen = criteria.text("webhook");
    if !chosen.is_empty() && named.iter().all(|(id, _)| id != chosen) {
        named.push((chosen.to_owned(), format!("{chosen} (deleted, or not there)")));
    }
    Ok(Some(named))
}
