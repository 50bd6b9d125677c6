//! `/deliveries/{id}`: the explanation of a delivery, then every attempt; retrying or discarding it.

use actix_web::web::Path;

use super::attempt::{AttemptDetail, AttemptView};
use super::filter::{Criteria, below};
use crate::actions::ActionError;
use crate::actions::delivery::explain;
use crate::actions::lookup::{self, DeliveryInFull};
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::http::web::{
    Confirm, Connection, Fields, Frame, PageError, PageResult, Response, Section, Session, Template,
};
use crate::store::attempt::Attempt;
use crate::store::delivery::{self, Delivery};
use crate::store::page::{Cursor, PageRequest};
use crate::store::webhook;
use crate::text::explanation::{self, Explanation, Tone};

/// Newest attempts with request and response. Older ones are headings with a link.
const MAX_DETAILED: usize = 10;
/// Newest attempts on the page.
const MAX_ATTEMPTS: usize = 200;

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
    /// Attempts beyond `MAX_ATTEMPTS`.
    more: usize,
    is_test: bool,
    can_retry: bool,
    can_discard: bool,
    /// Filter of the list that the visitor came from, and the neighbours in it.
    criteria: Criteria,
    newer: Option<String>,
    older: Option<String>,
    here: String,
}

/// `GET /deliveries/{id}?attempt=`, with the filter of the list that the visitor came from.
pub fn show(session: &Session, db: &Connection, id: &str) -> Result<DeliveryPage, PageError> {
    let DeliveryInFull { delivery, attempts } = lookup::delivery_in_full(db, &session.caller(), id)?;
    let webhook = webhook::by_seq(db, delivery.webhook_seq)?;
    let criteria = Criteria::of(session, &session.query);
    let (newer, older) = neighbours(session, db, &criteria, &delivery)?;
    let verdict = match &webhook {
        Some(webhook) => verdict(session, &delivery, attempts.last(), webhook)?,
        None => verdict_without_webhook(&delivery, attempts.last()),
    };
    let is_test = delivery.cause == Cause::Test;
    let is_finished = delivery.status.is_finished();
    let is_inactive = delivery.webhook_state.waiting_for().is_some();
    let frame = session.frame(db, "Delivery", Section::Deliveries)?;
    let may_change = frame.may_change && !is_test;
    Ok(DeliveryPage {
        tone: tone(verdict.tone),
        verdict,
        cause: match delivery.cause {
            Cause::Event => "event published",
            Cause::Replay => "event replayed",
            Cause::Test => "test requested",
        },
        next_ms: delivery.due_ms.filter(|_| !is_finished && !is_test && !is_inactive),
        more: attempts.len().saturating_sub(MAX_ATTEMPTS),
        attempts: views(session, &delivery, &attempts),
        is_test,
        can_retry: may_change && webhook.is_some() && delivery.status != DeliveryStatus::Discarded,
        can_discard: may_change && !is_finished,
        webhook,
        criteria,
        newer,
        older,
        here: session.here.clone(),
        frame: frame.with_api("GET", &format!("/v1/deliveries/{}", delivery.id)),
        delivery,
    })
}

/// Attempts, newest first.
fn views(session: &Session, delivery: &Delivery, attempts: &[Attempt]) -> Vec<AttemptView> {
    let asked: Option<u32> = session.query.given("attempt").and_then(|n| n.parse().ok());
    let path = format!("/deliveries/{}", delivery.id);
    let view = |(index, attempt): (usize, &Attempt)| {
        let is_asked = asked == Some(attempt.number);
        let is_detailed = index < MAX_DETAILED || is_asked;
        let detail = is_detailed.then(|| AttemptDetail::of(attempt, Some(path.clone()), session.now()));
        AttemptView::of(attempt, detail, is_asked || (index == 0 && asked.is_none()))
    };
    attempts.iter().rev().take(MAX_ATTEMPTS).enumerate().map(view).collect()
}

fn verdict(
    session: &Session,
    delivery: &Delivery,
    last: Option<&Attempt>,
    webhook: &Webhook,
) -> Result<Explanation, PageError> {
    let profile = session.app.actions.profile(&webhook.profile)?;
    Ok(explain::explain(delivery, last, webhook, &profile, None, session.now()))
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
    if criteria.problem.is_some() {
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
            let DeliveryInFull { delivery, attempts } =
                session.read(|db| Ok(lookup::delivery_in_full(db, &session.caller(), &id)?))?;
            let attempt = attempts.into_iter().find(|attempt| attempt.number == number);
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
    match (after.webhook_state.waiting_for(), before.status.is_finished()) {
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
