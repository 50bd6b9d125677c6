//! `/events/{id}`: the event, its deliveries, and the webhooks that did not receive it.

use actix_web::web::Path;

use crate::actions::{ActionError, lookup, show_event};
use crate::domain::event::Event;
use crate::domain::time::Millis;
use crate::http::web::deliveries::attempt::BodyView;
use crate::http::web::deliveries::rows::DeliveryTable;
use crate::http::web::{
    Confirm, Connection, Fields, Frame, PageError, PageResult, Response, Section, Session, Template,
};
use crate::store::delivery::{self, DeliveryFilter};
use crate::store::event::{Resends, StoredEvent};
use crate::store::page::PageRequest;
use crate::text::humanize;

/// Newest deliveries on the page. The list of deliveries has all.
const MAX_DELIVERIES: u32 = 100;

#[derive(Template)]
#[template(path = "events/show.html")]
pub struct EventPage {
    frame: Frame,
    event: Event,
    is_damaged: bool,
    erased_ms: Option<Millis>,
    resends: Resends,
    data: BodyView,
    previous_data: Option<BodyView>,
    table: DeliveryTable,
    has_more: bool,
    is_live: bool,
    missed: Vec<show_event::Missed>,
    missed_count: u64,
    can_replay: bool,
    can_erase: bool,
    /// Path of the form that replays it.
    replay: String,
    /// Path of the form that erases it.
    erase: String,
    /// Webhooks to replay to: ID and name.
    targets: Vec<(String, String)>,
}

impl EventPage {
    /// Path of a part as a file.
    fn file(&self, part: &str) -> String {
        below_event(&self.frame.event_path(&self.event.id, &self.event.tenant), part)
    }
}

/// Path of a part of an event, or of an action on it: before the query of its path.
fn below_event(event: &str, part: &str) -> String {
    match event.split_once('?') {
        Some((path, query)) => format!("{path}/{part}?{query}"),
        None => format!("{event}/{part}"),
    }
}

/// `GET /events/{id}?tenant=`.
pub fn show(session: &Session, db: &Connection, id: &str) -> Result<EventPage, PageError> {
    let found = show_event::event_alone(db, &session.caller(), id, session.query.given("tenant"))?;
    let resends = found.resends;
    let StoredEvent { event, erased_ms, damaged: is_damaged, .. } = found.stored;
    let (event_id, tenant) = (Some(event.id.clone()), Some(event.tenant.clone()));
    let filter = DeliveryFilter { event: event_id, tenant, ..DeliveryFilter::default() };
    let page = delivery::list(db, &filter, &PageRequest { limit: MAX_DELIVERIES, cursor: None })?;
    let is_live = page.rows.iter().any(|delivery| !delivery.status.is_finished());
    let path = session.event_path(&event);
    let whose = if session.tenant().is_none() { format!("&tenant={}", event.tenant) } else { String::new() };
    let table = DeliveryTable::read(db, page.rows, format!("event={}{whose}", event.id))?;
    let mut targets: Vec<(String, String)> = Vec::new();
    for row in &table.rows {
        if let Some(webhook) = &row.webhook
            && targets.iter().all(|(id, _)| *id != webhook.id.to_string())
        {
            targets.push((webhook.id.to_string(), webhook.name()));
        }
    }
    targets.extend(found.missed.iter().map(|missed| (missed.webhook_id.to_string(), missed.url.clone())));
    let frame = session.frame(db, format!("{} · {}", event.event_type, event.id), Section::Events)?;
    Ok(EventPage {
        data: BodyView::of(event.data.as_bytes(), false),
        previous_data: event.previous_data.as_ref().map(|data| BodyView::of(data.as_bytes(), false)),
        table: DeliveryTable { has_event: false, ..table },
        has_more: page.next.is_some(),
        is_live,
        missed: found.missed,
        missed_count: found.missed_count,
        can_replay: frame.may_change && !event.test && !is_damaged && erased_ms.is_none(),
        can_erase: frame.may_change && erased_ms.is_none(),
        targets,
        frame: frame.with_api("GET", &format!("/v1{path}")),
        replay: below_event(&path, "replay"),
        erase: below_event(&path, "erase"),
        event,
        is_damaged,
        erased_ms,
        resends,
    })
}

fn find(session: &Session, id: &str) -> Result<Event, PageError> {
    let tenant = session.query.given("tenant");
    session.read(|db| Ok(lookup::event(db, &session.caller(), id, tenant)?.event))
}

/// `GET /events/{id}/data` and `…/previous_data`: the JSON as a file, as it was published.
pub async fn download(session: Session, path: Path<(String, String)>) -> PageResult {
    let (id, part) = path.into_inner();
    session
        .answer(move |session| {
            let event = find(session, &id)?;
            let text = match part.as_str() {
                "data" => Some(event.data),
                "previous_data" => event.previous_data,
                _ => None,
            };
            Ok(Response::File {
                media_type: "application/octet-stream",
                name: format!("{}-{part}.json", event.id),
                bytes: text.ok_or_else(|| PageError::not_found("page"))?.into_string().into_bytes(),
            })
        })
        .await
}

/// `POST /events/{id}/replay`: to `webhook`, or after a confirmation to every webhook that subscribes to it now.
pub fn replay(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let event = find(session, id)?;
    let path = session.event_path(&event);
    let webhook = fields.given("webhook").map(str::to_owned);
    if webhook.is_none() && !fields.has("confirmed") {
        return Confirm {
            heading: "Replay this event?".to_owned(),
            facts: vec![("Event type", event.event_type.to_string())],
            effect: "Every webhook whose subscriptions and filter match it now receives it again.".to_owned(),
            action: Some(below_event(&path, "replay")),
            button: "Replay to all subscribers".to_owned(),
            back: path,
            ..Confirm::default()
        }
        .show(session, Section::Events);
    }
    let which = (id, Some(event.tenant.as_str()));
    match session.app.actions.replay_event(&session.caller(), which, webhook).wait() {
        Ok(queued) if queued.is_empty() => Ok(session
            .refused(&path, "Nothing was queued: no webhook receives this event, by its subscriptions and filter.")),
        Ok(queued) => {
            let count = humanize::counted(queued.len() as u64, "delivery");
            let message =
                format!("Queued: {count}. Deliveries of inactive webhooks are sent when the webhook is resumed.");
            Ok(session.done(&path, message))
        }
        Err(ActionError::Conflict { message, .. }) => Ok(session.refused(&path, message)),
        Err(other) => Err(other.into()),
    }
}

/// `POST /events/{id}/erase`: after a confirmation.
pub fn erase(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let event = find(session, id)?;
    let path = session.event_path(&event);
    if !fields.has("confirmed") {
        return Confirm {
            heading: "Erase the data of this event?".to_owned(),
            facts: vec![("Event type", event.event_type.to_string()), ("ID", event.id.to_string())],
            effect: "Its data, and what its attempts sent and received, are deleted. Queued deliveries are discarded. This can't be undone."
                .to_owned(),
            action: Some(below_event(&path, "erase")),
            button: "Erase data".to_owned(),
            is_danger: true,
            back: path,
            ..Confirm::default()
        }
        .show(session, Section::Events);
    }
    let go_on = || !session.app.is_stopping();
    session.app.actions.erase_event(&session.caller(), id, Some(event.tenant.as_str()), &go_on)?;
    Ok(session.done(&path, "Erased."))
}
