//! `/deliveries/{id}`: what became of one delivery, in words first, then every attempt.

use actix_web::web::Path;
use askama::Template;

use super::super::error::PageError;
use super::attempt::AttemptView;
use super::rows::Name;
use crate::actions::delivery::explain;
use crate::actions::lookup::DeliveryInFull;
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::http::web::deliveries::filter::{Criteria, below};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::store::attempt::Attempt;
use crate::store::delivery::{self, Delivery};
use crate::store::page::{Cursor, PageRequest};
use crate::store::webhook;
use crate::text::explanation;
use crate::text::explanation::{Explanation, Tone};

/// Attempts whose requests and answers stand on the page, the newest; of an older one when it is asked for.
const FULL: usize = 10;
/// Attempts on a page at most, the newest.
const MOST: usize = 200;

#[derive(Template)]
#[template(path = "deliveries/show.html")]
struct ShowPage {
    frame: Frame,
    id: String,
    status: &'static str,
    is_test: bool,
    is_live: bool,
    tone: &'static str,
    verdict: Explanation,
    event_id: String,
    event_type: String,
    tenant: String,
    webhook_id: String,
    webhook: Name,
    cause: &'static str,
    attempt_count: u32,
    created_ms: Millis,
    finished_ms: Option<Millis>,
    next_ms: Option<Millis>,
    attempts: Vec<AttemptView>,
    /// Older attempts than the page shows.
    more: usize,
    can_retry: bool,
    can_discard: bool,
    /// The list that it was opened from, and its neighbours there.
    list: String,
    suffix: String,
    newer: Option<String>,
    older: Option<String>,
    here: String,
}

/// `GET /deliveries/{id}?attempt=` and the filter of the list that it was opened from.
pub async fn show(session: Session, id: Path<String>) -> PageResult {
    session.show(move |session| show_page(session, &id)).await
}

fn show_page(session: &Session, id: &str) -> Result<ShowPage, PageError> {
    let actions = &session.app.actions;
    let full = actions.delivery_in_full(&session.caller(), id)?;
    let DeliveryInFull { delivery, attempts } = &full;
    let store = &actions.store;
    let webhook = store.read(|connection| webhook::by_seq(connection, delivery.webhook_seq))?;
    let criteria = Criteria::of(session, &session.query);
    let (newer, older) = neighbours(session, &criteria, delivery)?;
    let verdict = verdict(session, &full, webhook.as_ref())?;
    let is_test = delivery.cause == Cause::Test;
    let is_finished = delivery.status.is_finished();
    let frame = session.read(|db| session.frame(db, "Delivery", Section::Deliveries))?;
    let may_change = frame.may_change;
    let waits = delivery.webhook_state.waiting_for().is_some();
    Ok(ShowPage {
        id: delivery.id.to_string(),
        status: delivery.status.into_str(),
        is_test,
        is_live: !is_finished,
        tone: tone(verdict.tone),
        verdict,
        event_id: delivery.event_id.to_string(),
        event_type: delivery.event_type.to_string(),
        tenant: delivery.tenant.to_string(),
        webhook_id: delivery.webhook_id.to_string(),
        webhook: match &webhook {
            Some(webhook) => Name::of(&webhook.description, webhook.url.as_str()),
            None => Name::of("deleted webhook", ""),
        },
        cause: match delivery.cause {
            Cause::Event => "the event was published",
            Cause::Replay => "the event was replayed",
            Cause::Test => "a test was asked for",
        },
        attempt_count: delivery.attempt_count,
        created_ms: delivery.created_ms,
        finished_ms: delivery.finished_ms,
        next_ms: delivery.due_ms.filter(|_| !is_finished && !is_test && !waits),
        more: attempts.len().saturating_sub(MOST),
        attempts: views(session, attempts),
        can_retry: may_change && !is_test && webhook.is_some() && delivery.status != DeliveryStatus::Discarded,
        can_discard: may_change && !is_finished && !is_test,
        list: criteria.list(),
        suffix: criteria.query(),
        newer,
        older,
        here: session.here.clone(),
        frame: frame.with_api("GET", &format!("/v1/deliveries/{}", delivery.id)),
    })
}

/// The attempts, the newest first.
fn views(session: &Session, attempts: &[Attempt]) -> Vec<AttemptView> {
    let asked: Option<u32> = session.query.given("attempt").and_then(|n| n.parse().ok());
    let newest = attempts.iter().rev().take(MOST).enumerate();
    let view = |(index, attempt): (usize, &Attempt)| {
        let is_asked = asked == Some(attempt.number);
        let mut view = AttemptView::of(attempt, session.now(), index < FULL || is_asked);
        view.is_open = is_asked || (index == 0 && asked.is_none());
        view
    };
    newest.map(view).collect()
}

fn verdict(session: &Session, full: &DeliveryInFull, webhook: Option<&Webhook>) -> Result<Explanation, PageError> {
    let DeliveryInFull { delivery, attempts } = full;
    let now = session.now();
    let Some(webhook) = webhook else {
        return Ok(of_deleted(delivery, attempts.last()));
    };
    let profile = session.app.actions.profile(&webhook.profile)?;
    let last = attempts.last();
    Ok(explain::verdict(delivery, last, webhook, &profile, None, now))
}

/// Without its webhook little can be said: what the last attempt brought.
fn of_deleted(delivery: &Delivery, last: Option<&Attempt>) -> Explanation {
    let came = last.map(|attempt| explanation::short(&explain::last_in_full(attempt)));
    let headline = match (delivery.status, came) {
        (DeliveryStatus::Delivered, Some(came)) => format!("Delivered: {came}."),
        (DeliveryStatus::Discarded, _) => "Discarded.".to_owned(),
        (_, Some(came)) => format!("It failed: {came}."),
        (_, None) => "No attempt was made.".to_owned(),
    };
    Explanation {
        tone: match delivery.status {
            DeliveryStatus::Delivered => Tone::Good,
            DeliveryStatus::Failed => Tone::Bad,
            _ => Tone::Neutral,
        },
        headline,
        detail: Some("Its webhook was deleted since.".to_owned()),
        next: None,
    }
}

/// The word whose colour and icon say the same.
fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "delivered",
        Tone::Waiting => "pending",
        Tone::Trouble => "retrying",
        Tone::Bad => "failed",
        Tone::Neutral => "discarded",
    }
}

/// The addresses of the next newer and the next older delivery that the filter shows.
fn neighbours(
    session: &Session,
    criteria: &Criteria,
    delivery: &Delivery,
) -> Result<(Option<String>, Option<String>), PageError> {
    if criteria.problem.is_some() {
        return Ok((None, None));
    }
    let request = PageRequest { limit: 1, cursor: Some(Cursor::below(delivery.seq)) };
    let store = &session.app.actions.store;
    let (newer, older) = store.read(|connection| -> Result<_, PageError> {
        let newer = delivery::newer(connection, &criteria.filter, delivery.seq)?;
        let older = delivery::list(connection, &criteria.filter, &request)?;
        Ok((newer, older.rows.first().map(|delivery| delivery.id)))
    })?;
    let to = |id| below(&format!("{}/deliveries/{id}", session.base()), &criteria.query());
    Ok((newer.map(to), older.map(to)))
}

/// `GET /deliveries/{id}/attempts/{number}/request` and `…/response`: a body as a file.
pub async fn download(session: Session, path: Path<(String, u32, String)>) -> PageResult {
    let (id, number, half) = path.into_inner();
    session
        .answer(move |session| {
            let actions = &session.app.actions;
            let DeliveryInFull { delivery, attempts } = actions.delivery_in_full(&session.caller(), &id)?;
            let attempt = attempts.into_iter().find(|one| one.number == number);
            let (body, ending) = match (half.as_str(), attempt) {
                ("request", Some(attempt)) => (attempt.request_body, "json"),
                ("response", Some(attempt)) => (attempt.answer.map(|answer| answer.body), "txt"),
                _ => (None, ""),
            };
            let bytes = body.ok_or_else(|| PageError::not_found("body"))?;
            Ok(Response::File {
                media_type: "application/octet-stream",
                name: format!("{}-{number}-{half}.{ending}", delivery.id),
                bytes,
            })
        })
        .await
}
