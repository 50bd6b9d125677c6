//! `/deliveries/{id}`: the explanation of a delivery, then every attempt; retrying or discarding it.

use actix_web::web::Path;

use super::attempt::{AttemptDetail, AttemptView};
use super::filter::Criteria;
use crate::actions::ActionError;
use crate::actions::delivery::explain;
use crate::actions::lookup;
use crate::delivery::endpoint::body_format_definition;
use crate::domain::delivery::{Cause, DeliveryStatus, WaitingFor};
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::http::web::list_query::below;
use crate::http::web::pager::Pager;
use crate::http::web::{
    Confirm, Connection, Fields, Frame, PageError, PageResult, Response, Section, Session, Template,
};
use crate::store::attempt::{self, Attempt};
use crate::store::body_format;
use crate::store::delivery::{self, Delivery};
use crate::store::event::{self, StoredEvent};
use crate::store::page::{Cursor, PageRequest};
use crate::store::webhook;
use crate::text::explanation::{self, Explanation, Tone};

/// First attempts of a page with request and response. The others are headings with a link.
const MAX_DETAILED: usize = 10;

#[derive(Template)]
#[template(path = "deliveries/show.html")]
pub struct DeliveryPage {
    frame: Frame,
    delivery: Delivery,
    /// `None` if it was deleted.
    webhook: Option<Webhook>,
    tone: &'static str,
    verdict: Explanation,
    cause: &'static str,
    next_ms: Option<Millis>,
    attempts: Vec<AttemptView>,
    pager: Pager,
    /// Query of this page without the attempt that is asked for.
    page_query: String,
    is_test: bool,
    can_retry: bool,
    can_discard: bool,
    /// Whether further attempts send the body of the first, though new deliveries have another format.
    keeps_former_body: bool,
    /// Filter of the list that the visitor came from, and the neighbours in it.
    criteria: Criteria,
    newer: Option<String>,
    older: Option<String>,
    here: String,
}

/// `GET /deliveries/{id}?attempt=&cursor=`, with the filter of the list that the visitor came from.
pub fn show(session: &Session, db: &Connection, id: &str) -> Result<DeliveryPage, PageError> {
    let delivery = lookup::delivery(db, &session.caller(), id)?;
    let request = session.query.page_request()?;
    let page = attempt::page(db, &delivery, None, &request)?;
    let last = attempt::page(db, &delivery, None, &PageRequest { limit: 1, cursor: None })?.rows.pop();
    let webhook = webhook::by_seq(db, delivery.webhook_seq)?;
    let criteria = Criteria::of(session, &session.query);
    let (newer, older) = neighbours(session, db, &criteria, &delivery)?;
    let verdict = match &webhook {
        Some(webhook) => verdict(session, &delivery, last.as_ref(), webhook)?,
        None => verdict_without_webhook(&delivery, last.as_ref()),
    };
    let is_test = delivery.cause == Cause::Test;
    let is_finished = delivery.status.is_finished();
    let name = webhook.as_ref().map_or_else(|| "deleted webhook".to_owned(), Webhook::name);
    let title = format!("{} {} · {name}", delivery.event_type, delivery.status);
    let frame = session.frame(db, title, Section::Deliveries)?;
    let may_change = frame.may_change && !is_test;
    Ok(DeliveryPage {
        tone: tone(verdict.tone),
        verdict,
        cause: match delivery.cause {
            Cause::Event => "event published",
            Cause::Replay => "event replayed",
            Cause::Test => "test requested",
        },
        next_ms: delivery.due_ms.filter(|_| !is_finished && !is_test && delivery.waiting_for().is_none()),
        attempts: views(session, db, &delivery, page.rows)?,
        pager: Pager::new(
            &format!("{}/deliveries/{}", frame.base, delivery.id),
            &criteria.query(),
            &session.query,
            page.next,
        ),
        page_query: session.query.query_without(&["attempt"]),
        is_test,
        can_retry: may_change && webhook.is_some() && delivery.status != DeliveryStatus::Discarded,
        can_discard: may_change && !is_finished,
        keeps_former_body: keeps_former_body(session, db, &delivery, webhook.as_ref())?,
        webhook,
        criteria,
        newer,
        older,
        here: session.here.clone(),
        frame: frame.with_api("GET", &format!("/v1/deliveries/{}", delivery.id)),
        delivery,
    })
}

/// Whether the delivery's attempts have another body format than new deliveries of its webhook.
fn keeps_former_body(
    session: &Session,
    db: &Connection,
    delivery: &Delivery,
    webhook: Option<&Webhook>,
) -> Result<bool, PageError> {
    let Some(webhook) = webhook.filter(|_| delivery.attempt_count > 0 && delivery.cause != Cause::Test) else {
        return Ok(false);
    };
    let profile = session.app.actions.store.profiles().find(&webhook.profile);
    let current = profile.and_then(|profile| body_format_definition(webhook, &profile));
    let first = body_format::of_first_attempt(db, delivery.seq)?;
    Ok(matches!((first, current), (Some(first), Some(current)) if first != current))
}

/// Attempts, newest first. Those with details are read again one by one, because each may have a long body.
fn views(
    session: &Session,
    db: &Connection,
    delivery: &Delivery,
    attempts: Vec<Attempt>,
) -> Result<Vec<AttemptView>, PageError> {
    let asked: Option<u32> = session.query.given("attempt").and_then(|n| n.parse().ok());
    let path = format!("/deliveries/{}", delivery.id);
    let event = event::by_seq(db, delivery.event_seq)?;
    let event = event.as_ref().and_then(StoredEvent::whole);
    let view = |(index, attempt): (usize, Attempt)| {
        let is_asked = asked == Some(attempt.number);
        let detail = if index < MAX_DETAILED || is_asked {
            let mut whole = attempt::get(db, delivery.seq, attempt.number, event)?;
            lookup::mask_signatures(db, &session.caller(), &mut whole)?;
            whole.map(|whole| AttemptDetail::of(&whole, Some(path.clone()), session.now()))
        } else {
            None
        };
        Ok(AttemptView::of(&attempt, detail, is_asked || (index == 0 && asked.is_none())))
    };
    attempts.into_iter().enumerate().map(view).collect()
}

fn verdict(
    session: &Session,
    delivery: &Delivery,
    last: Option<&Attempt>,
    webhook: &Webhook,
) -> Result<Explanation, PageError> {
    let profile = session.app.actions.profile(&webhook.profile)?;
    Ok(explain::explain(delivery, last, webhook, &profile, None, session.now(), session.zone()))
}

/// Explanation of a delivery whose webhook was deleted: the outcome of its last attempt.
fn verdict_without_webhook(delivery: &Delivery, last: Option<&Attempt>) -> Explanation {
    let outcome = last.map(|attempt| explanation::short(&explain::last_in_full(attempt)));
    let (tone, headline) = match (delivery.status, outcome) {
        (DeliveryStatus::Delivered, Some(outcome)) => (Tone::Good, format!("Delivered: {outcome}.")),
        (DeliveryStatus::Discarded, _) => (Tone::Neutral, "Discarded.".to_owned()),
        (DeliveryStatus::Failed, Some(outcome)) => (Tone::Bad, format!("Failed: {outcome}.")),
        (_, Some(outcome)) => (Tone::Neutral, format!("Failed: {outcome}.")),
        (_, None) => (Tone::Neutral, "No attempts.".to_owned()),
    };
    Explanation { tone, headline, detail: Some("The webhook was deleted.".to_owned()), next: None }
}

/// Status with the colour and icon of a tone.
fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "delivered",
        Tone::Waiting => "pending",
        Tone::Trouble => "retrying",
        Tone::Bad => "failed",
        Tone::Neutral => "discarded",
    }
}

/// URLs of the next newer and next older delivery within the filter.
fn neighbours(
    session: &Session,
    db: &Connection,
    criteria: &Criteria,
    delivery: &Delivery,
) -> Result<(Option<String>, Option<String>), PageError> {
    // The neighbours in a search are known to its list only.
    if criteria.problem.is_some() || criteria.needle.is_some() {
        return Ok((None, None));
    }
    let request = PageRequest { limit: 1, cursor: Some(Cursor::below(delivery.seq)) };
    let newer = delivery::newer(db, &criteria.filter, delivery.seq)?;
    let older = delivery::list(db, &criteria.filter, &request)?.rows.first().map(|delivery| delivery.id);
    let url = |id| below(&format!("{}/deliveries/{id}", session.base()), &criteria.query());
    Ok((newer.map(url), older.map(url)))
}

/// `GET /deliveries/{id}/attempts/{number}/request` and `…/response`: a body as a file.
pub async fn download(session: Session, path: Path<(String, u32, String)>) -> PageResult {
    let (id, number, half) = path.into_inner();
    session
        .answer(move |session| {
            let (delivery, attempt) = session.read(|db| Ok(lookup::attempt(db, &session.caller(), &id, number)?))?;
            let (body, extension) = match (half.as_str(), attempt) {
                ("request", Some(attempt)) => (attempt.request_body, "json"),
                ("response", Some(attempt)) => (attempt.answer.map(|answer| answer.body), "txt"),
                _ => (None, ""),
            };
            Ok(Response::File {
                media_type: "application/octet-stream",
                name: format!("{}-{number}-{half}.{extension}", delivery.id),
                bytes: body.ok_or_else(|| PageError::not_found("body"))?,
            })
        })
        .await
}

/// `POST /deliveries/{id}/retry`.
pub fn retry(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let caller = session.caller();
    let before = session.read(|db| Ok(lookup::delivery(db, &caller, id)?))?;
    let back = session.back(fields, &format!("/deliveries/{}", before.id));
    match session.app.actions.retry(&caller, id).wait() {
        Ok(after) => Ok(session.done(&back, queued(&before, &after))),
        Err(ActionError::Conflict { message, .. }) => Ok(session.refused(&back, message)),
        Err(other) => Err(other.into()),
    }
}

/// Message after a retry. Says that the delivery is queued, not that it succeeded.
fn queued(before: &Delivery, after: &Delivery) -> &'static str {
    match (after.waiting_for(), before.status.is_finished()) {
        (Some(WaitingFor::DeliveriesPaused), _) => "Queued until deliveries are resumed.",
        (Some(_), _) => "Queued until the webhook is active.",
        (None, true) => "Queued for retry now. A new series of attempts starts.",
        (None, false) => "Queued for retry now.",
    }
}

/// `POST /deliveries/{id}/discard`. Asks for confirmation first.
pub fn discard(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let caller = session.caller();
    let delivery = session.read(|db| Ok(lookup::delivery(db, &caller, id)?))?;
    let path = format!("/deliveries/{}", delivery.id);
    let back = session.back(fields, &path);
    if !fields.has("confirmed") {
        return Confirm {
            heading: "Discard this delivery?".to_owned(),
            facts: vec![("Delivery", delivery.id.to_string()), ("Event type", delivery.event_type.to_string())],
            effect: "It will not be sent. This can't be undone.".to_owned(),
            action: Some(format!("{path}/discard")),
            button: "Discard".to_owned(),
            is_danger: true,
            back,
            ..Confirm::default()
        }
        .show(session, Section::Deliveries);
    }
    match session.app.actions.discard(&caller, id).wait() {
        Ok(_) => Ok(session.done(&back, "Discarded. It will not be sent.")),
        Err(ActionError::Conflict { message, .. }) => Ok(session.refused(&back, message)),
        Err(other) => Err(other.into()),
    }
}
