//! `/events/{id}`: what came in, where it went, and why it went nowhere else.

use actix_web::web::Path;
use askama::Template;

use super::super::confirm::Confirm;
use super::super::deliveries::attempt::Body;
use super::super::deliveries::rows::{DeliveryRow, rows};
use super::super::error::PageError;
use crate::actions::{ActionError, lookup};
use crate::domain::time::Millis;
use crate::http::web::form::Submission;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::store::StoreError;
use crate::store::delivery::{self, DeliveryFilter};
use crate::store::page::PageRequest;
use crate::text::{explanation, humanize};

/// Deliveries on the page at most, the newest; the list of deliveries shows all.
const MOST: u32 = 100;

#[derive(Template)]
#[template(path = "events/show.html")]
struct ShowPage {
    frame: Frame,
    id: String,
    event_type: String,
    tenant: String,
    is_test: bool,
    created_ms: Millis,
    received_ms: Millis,
    data: Body,
    previous_data: Option<Body>,
    rows: Vec<DeliveryRow>,
    /// For the addresses of the rows: previous and next are those of the event.
    suffix: String,
    has_more: bool,
    is_live: bool,
    missed: Vec<Missed>,
    missed_count: u64,
    can_replay: bool,
    /// Where it can be sent: id and name.
    targets: Vec<(String, String)>,
}

struct Missed {
    webhook_id: String,
    url: String,
    message: String,
}

/// `GET /events/{id}`.
pub async fn show(session: Session, id: Path<String>) -> PageResult {
    session.show(move |session| show_page(session, &id)).await
}

fn show_page(session: &Session, id: &str) -> Result<ShowPage, PageError> {
    let actions = &session.app.actions;
    let full = actions.event_alone(&session.caller(), id)?;
    let event = &full.stored.event;
    let filter = DeliveryFilter { event: Some(event.id.clone()), ..DeliveryFilter::default() };
    let request = PageRequest { limit: MOST, cursor: None };
    let (page, rows) = actions.store.read(|connection| {
        let page = delivery::list(connection, &filter, &request)?;
        let rows = rows(connection, &page.rows)?;
        Ok::<_, StoreError>((page, rows))
    })?;
    let mut targets: Vec<(String, String)> = Vec::new();
    for row in rows.iter().filter(|row| !row.webhook.is_deleted()) {
        if targets.iter().all(|(id, _)| *id != row.webhook_id) {
            targets.push((row.webhook_id.clone(), row.webhook.name.clone()));
        }
    }
    let missed: Vec<Missed> = full
        .missed
        .iter()
        .map(|missed| Missed {
            webhook_id: missed.webhook_id.to_string(),
            url: missed.url.clone(),
            message: missed.message.clone(),
        })
        .collect();
    let others = missed.iter().map(|missed| {
        let host = explanation::host(&missed.url).to_owned();
        (missed.webhook_id.clone(), host)
    });
    targets.extend(others);
    let frame = session.read(|db| session.frame(db, event.event_type.to_string(), Section::Events))?;
    Ok(ShowPage {
        id: event.id.to_string(),
        event_type: event.event_type.to_string(),
        tenant: event.tenant.to_string(),
        is_test: event.test,
        created_ms: event.created_ms,
        received_ms: event.received_ms,
        data: Body::of(event.data.as_bytes()),
        previous_data: event.previous_data.as_ref().map(|data| Body::of(data.as_bytes())),
        suffix: format!("event={}", event.id),
        has_more: page.next.is_some(),
        is_live: page.rows.iter().any(|one| !one.status.is_finished()),
        rows,
        missed,
        missed_count: full.missed_count,
        can_replay: frame.may_change && !event.test,
        targets,
        frame: frame.with_api("GET", &format!("/v1/events/{}", event.id)),
    })
}

/// `GET /events/{id}/data` and `…/previous_data`: as a file, as the application spelled it.
pub async fn download(session: Session, path: Path<(String, String)>) -> PageResult {
    let (id, part) = path.into_inner();
    session
        .answer(move |session| {
            let caller = session.caller();
            let store = &session.app.actions.store;
            let event = store.read(|connection| lookup::event(connection, &caller, &id))?.event;
            let text = match part.as_str() {
                "data" => Some(event.data),
                "previous_data" => event.previous_data,
                _ => None,
            };
            let text = text.ok_or_else(|| PageError::not_found("page"))?;
            Ok(Response::File {
                media_type: "application/octet-stream",
                name: format!("{}-{part}.json", event.id),
                bytes: text.into_string().into_bytes(),
            })
        })
        .await
}

/// `POST /events/{id}/replay`: to every webhook that subscribes to it now, once that is confirmed; or to `webhook`.
pub async fn replay(submission: Submission, id: Path<String>) -> PageResult {
    submission
        .run(move |session, fields| {
            let caller = session.caller();
            let actions = &session.app.actions;
            let stored = actions.store.read(|connection| lookup::event(connection, &caller, &id))?;
            let own = format!("/events/{}", stored.event.id);
            let webhook = fields.given("webhook").map(str::to_owned);
            if webhook.is_none() && !fields.has("confirmed") {
                return ask(session, &own, stored.event.event_type.as_str());
            }
            match actions.replay_event(&caller, &id, webhook).wait() {
                Ok(made) if made.is_empty() => {
                    let message = "Nothing was queued: no webhook subscribes to this event now.";
                    Ok(session.refused(&own, message))
                }
                Ok(made) => {
                    let count = match made.len() {
                        1 => "1 delivery".to_owned(),
                        many => format!("{} deliveries", humanize::number(many as u64)),
                    };
                    let message = format!("Queued: {count}, due now. One of an inactive webhook waits for it.");
                    Ok(session.done(&own, message))
                }
                Err(ActionError::Conflict { message, .. }) => Ok(session.refused(&own, message)),
                Err(other) => Err(other.into()),
            }
        })
        .await
}

fn ask(session: &Session, own: &str, event_type: &str) -> Result<Response, PageError> {
    Confirm {
        heading: "Replay this event?".to_owned(),
        facts: vec![("Event type", event_type.to_owned())],
        effect: "Every webhook that subscribes to it now gets it once more, whether or not it got it before."
            .to_owned(),
        action: Some(format!("{own}/replay")),
        button: "Replay to all that match now".to_owned(),
        back: own.to_owned(),
        ..Confirm::default()
    }
    .show(session, Section::Events)
}
