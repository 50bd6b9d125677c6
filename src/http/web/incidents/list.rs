//! `/incidents`: open and closed incidents, newest first.

use crate::actions::{ActionError, lookup};
use crate::domain::time::Millis;
use crate::http::web::pager::Pager;
use crate::http::web::{Connection, Fields, Frame, PageError, Section, Session, Template};
use crate::store::incident::read::{self, Incident, IncidentFilter};
use crate::store::page::Page;
use crate::text::humanize;

#[derive(Template)]
#[template(path = "incidents/list.html")]
pub struct ListPage {
    frame: Frame,
    rows: Vec<Incident>,
    query: Fields,
    /// Webhook of the filter.
    webhook: Option<String>,
    pager: Pager,
    now_ms: Millis,
}

impl ListPage {
    fn duration(&self, incident: &Incident) -> String {
        let until = incident.recovered_ms.or(incident.closed_ms).unwrap_or(self.now_ms);
        humanize::duration(until - incident.since_ms)
    }
}

/// `GET /incidents?status=&webhook=&cursor=`.
pub fn show(session: &Session, db: &Connection) -> Result<ListPage, PageError> {
    let query = &session.query;
    let webhook = query.given("webhook").map(|id| lookup::webhook(db, &session.caller(), id)).transpose()?;
    let filter = IncidentFilter {
        tenant: session.tenant().cloned(),
        webhook_seq: webhook.as_ref().map(|webhook| webhook.seq),
        is_open: match query.text("status") {
            "open" => Some(true),
            "closed" => Some(false),
            _ => None,
        },
        ..IncidentFilter::default()
    };
    let page: Page<Incident> = read::list(db, &filter, &query.page_request().map_err(ActionError::from)?)?;
    let frame = session.frame(db, "Incidents", Section::Incidents)?;
    let without_cursor = query.query_without(&["cursor", "trail"]);
    let api = without_cursor.replace("webhook=", "webhook_id=");
    Ok(ListPage {
        pager: Pager::new(&format!("{}/incidents", frame.base), &without_cursor, query, page.next),
        rows: page.rows,
        query: query.clone(),
        webhook: webhook.map(|webhook| webhook.name()),
        now_ms: session.now(),
        frame: frame.with_api("GET", &format!("/v1/incidents?{api}")),
    })
}
