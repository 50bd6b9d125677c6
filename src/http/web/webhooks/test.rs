//! `/webhooks/{id}/test`: a real signed request, and what came back. What is shown is read from the log, where it
//! stays as any other delivery.

use actix_web::web::Path;
use askama::Template;
use serde_json::value::RawValue;

use super::super::error::PageError;
use super::form::known_types;
use super::header;
use super::turn;
use crate::actions::delivery::explain;
use crate::actions::lookup;
use crate::actions::lookup::DeliveryInFull;
use crate::actions::test_event::TestEvent;
use crate::domain::Invalid;
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::event::EventType;
use crate::domain::json;
use crate::domain::pattern::EventPattern;
use crate::domain::webhook::Webhook;
use crate::http::web::deliveries::attempt::AttemptDetail;
use crate::http::web::form::{Problem, Submission, problem};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::http::web::webhooks::header::{Head, Tab};
use crate::store::{StoreError, event_type};
use crate::text::explanation::Explanation;

/// Types that are offered at most.
const OFFERED: usize = 100;

#[derive(Template)]
#[template(path = "webhooks/test.html")]
struct TestPage {
    frame: Frame,
    head: Head,
    /// Types that the webhook subscribes to.
    types: Vec<String>,
    event_type: String,
    data: String,
    timeout_s: u32,
    problem: Option<Problem>,
    outcome: Option<TestOutcome>,
}

/// What came of a test.
struct TestOutcome {
    delivery: String,
    is_good: bool,
    verdict: Explanation,
    attempt: Option<AttemptDetail>,
}

impl TestPage {
    fn of(session: &Session, webhook: &Webhook, event_type: String, data: String) -> Result<TestPage, PageError> {
        session.require_change()?;
        let head = Head::of(session, webhook, Tab::None);
        let frame = session.read(|db| session.frame(db, "Send test event", Section::Webhooks))?;
        Ok(TestPage {
            frame: frame.with_api_body(
                "POST",
                &format!("/v1/webhooks/{}/test", webhook.id),
                r#"{"event_type": "content.published", "data": {}}"#,
            ),
            head,
            types: offered(session, webhook)?,
            event_type,
            data,
            timeout_s: webhook.limits.timeout_s,
            problem: None,
            outcome: None,
        })
    }

    fn problem_in(&self, field: &str) -> Option<&str> {
        let problem = self.problem.as_ref()?;
        (problem.field.as_deref() == Some(field)).then_some(problem.message.as_str())
    }

    fn has_other_problem(&self) -> bool {
        self.problem.is_some() && self.problem_in("event_type").is_none() && self.problem_in("data").is_none()
    }
}

/// The types that a webhook names, and those of its patterns that were described.
fn offered(session: &Session, webhook: &Webhook) -> Result<Vec<String>, StoreError> {
    let mut types: Vec<String> = webhook
        .events
        .iter()
        .filter(|pattern| matches!(pattern, EventPattern::Exact(_)))
        .map(ToString::to_string)
        .collect();
    for known in known_types(session)? {
        let wanted = known.name.parse().is_ok_and(|name| webhook.wants(&name));
        if wanted && !types.contains(&known.name) {
            types.push(known.name);
        }
    }
    types.truncate(OFFERED);
    Ok(types)
}

/// The example of a type; an empty object where it has none.
fn example(session: &Session, event_type: &str) -> Result<String, StoreError> {
    let Ok(name) = event_type.parse::<EventType>() else {
        return Ok("{}".to_owned());
    };
    let store = &session.app.actions.store;
    let found = store.read(|connection| event_type::example(connection, &name))?;
    Ok(found.map_or_else(|| "{}".to_owned(), Into::into))
}

/// `GET /webhooks/{id}/test?type=`, and with `delivery=` what came of one.
pub async fn show(session: Session, id: Path<String>) -> PageResult {
    session.show(move |session| test_page(session, &id)).await
}

fn test_page(session: &Session, id: &str) -> Result<TestPage, PageError> {
    let webhook = header::find(session, id)?;
    if let Some(delivery) = session.query.given("delivery") {
        return result_page(session, &webhook, delivery);
    }
    let event_type = match session.query.given("type") {
        Some(named) => named.to_owned(),
        None => offered(session, &webhook)?.into_iter().next().unwrap_or_else(|| "webhook.test".to_owned()),
    };
    let data = example(session, &event_type)?;
    TestPage::of(session, &webhook, event_type, data)
}

fn result_page(session: &Session, webhook: &Webhook, id: &str) -> Result<TestPage, PageError> {
    let actions = &session.app.actions;
    let full = actions.delivery_in_full(&session.caller(), id)?;
    let delivery = &full.delivery;
    if delivery.webhook_seq != webhook.seq || delivery.cause != Cause::Test {
        return Err(PageError::not_found("test of this webhook"));
    }
    let event = delivery.event_id.as_str();
    let stored = actions.store.read(|connection| lookup::event(connection, &session.caller(), event))?;
    let event_type = delivery.event_type.to_string();
    let mut page = TestPage::of(session, webhook, event_type, stored.event.data.into())?;
    page.outcome = Some(outcome(session, webhook, &full));
    Ok(page)
}

fn outcome(session: &Session, webhook: &Webhook, full: &DeliveryInFull) -> TestOutcome {
    let attempt = full.attempts.last();
    let profiles = session.app.actions.store.profiles();
    // A profile in use cannot be deleted; without one the default tells the same of a test.
    let profile = profiles.find(&webhook.profile).unwrap_or_else(crate::profile::standard);
    let now = session.now();
    TestOutcome {
        delivery: full.delivery.id.to_string(),
        is_good: full.delivery.status == DeliveryStatus::Delivered,
        verdict: explain::explain(&full.delivery, attempt, webhook, &profile, None, now),
        attempt: attempt
            .map(|attempt| AttemptDetail::of(attempt, Some(format!("/deliveries/{}", full.delivery.id)), now)),
    }
}

/// `POST /webhooks/{id}/test`: sends, waits for the answer, and shows it; with `example` only fills in the example of
/// the type.
pub async fn send(submission: Submission, id: Path<String>) -> PageResult {
    let turn = turn(&submission.app().tests).await?;
    submission
        .run(move |session, fields| {
            let _turn = turn;
            let webhook = header::find(session, &id)?;
            let event_type = fields.text("event_type").trim().to_owned();
            if fields.has("example") {
                let data = example(session, &event_type)?;
                let page = TestPage::of(session, &webhook, event_type, data)?;
                return Ok(Response::page(actix_web::http::StatusCode::OK, &page));
            }
            let data = fields.text("data").trim();
            let wrong = match parse(data) {
                Err(invalid) => invalid.into(),
                Ok(parsed) => {
                    let test = TestEvent { event_type: Some(event_type.clone()), data: Some(parsed) };
                    match session.app.actions.test_webhook(&session.caller(), &id, test) {
                        Ok(full) => return Ok(sent(session, &webhook, &full)),
                        Err(error) => problem(error)?,
                    }
                }
            };
            let mut page = TestPage::of(session, &webhook, event_type, data.to_owned())?;
            page.problem = Some(wrong);
            Ok(Response::again(&page))
        })
        .await
}

/// To the page of the result, which can be loaded again without sending again.
fn sent(session: &Session, webhook: &Webhook, full: &DeliveryInFull) -> Response {
    let (base, id) = (session.base(), &full.delivery.id);
    Response::To(format!("{base}/webhooks/{}/test?delivery={id}#result", webhook.id), None)
}

fn parse(data: &str) -> Result<Box<str>, Invalid> {
    let wrong = |why: String| Invalid::new("invalid_json", why).in_field("data");
    let text = if data.is_empty() { "{}" } else { data };
    json::check(text.as_bytes()).map_err(|invalid| invalid.in_field("data"))?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| wrong(format!("This is not JSON: {error}.")))?;
    Ok(raw.get().into())
}
