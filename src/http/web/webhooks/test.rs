//! `/webhooks/{id}/test`: sends a real signed request and shows it with the response, as logged.

use super::form::known_types;
use super::header::{self, Head, Tab};
use crate::actions::ActionError;
use crate::actions::delivery::explain;
use crate::actions::lookup::{self, DeliveryInFull};
use crate::actions::test_event::{TestEvent, shipped_data, test_data};
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::pattern::EventPattern;
use crate::domain::webhook::Webhook;
use crate::http::web::deliveries::attempt::AttemptDetail;
use crate::http::web::{
    Connection, Fields, FormErrors, Frame, PageError, Response, Section, Session, Template, problem,
};
use crate::store::event;
use crate::text::explanation::Explanation;

/// Suggested event types at most.
const MAX_TYPES: usize = 100;

#[derive(Template)]
#[template(path = "webhooks/test.html")]
pub struct TestPage {
    frame: Frame,
    head: Head,
    /// Event types that the webhook subscribes to.
    types: Vec<String>,
    event_type: String,
    data: String,
    timeout_s: u32,
    errors: FormErrors,
    outcome: Option<TestOutcome>,
}

struct TestOutcome {
    delivery: String,
    is_good: bool,
    verdict: Explanation,
    attempt: Option<AttemptDetail>,
}

fn form_page(
    session: &Session,
    db: &Connection,
    webhook: &Webhook,
    event_type: String,
    data: String,
) -> Result<TestPage, PageError> {
    session.require_change()?;
    let frame = session.frame(
        db,
        header::title(&webhook.name(), &webhook.id.to_string(), "Send test event"),
        Section::Webhooks,
    )?;
    Ok(TestPage {
        frame: frame.with_api_body(
            "POST",
            &format!("/v1/webhooks/{}/test", webhook.id),
            r#"{"event_type": "content.published", "data": {}}"#,
        ),
        head: Head::of(session, webhook, Tab::None),
        types: subscribed_types(session, db, webhook)?,
        event_type,
        data,
        timeout_s: webhook.limits.timeout_s,
        errors: FormErrors::default(),
        outcome: None,
    })
}

/// Event types that the webhook names, and known ones that its patterns match.
fn subscribed_types(session: &Session, db: &Connection, webhook: &Webhook) -> Result<Vec<String>, PageError> {
    let is_exact = |pattern: &&EventPattern| matches!(pattern, EventPattern::Exact(_));
    let mut types: Vec<String> = webhook.events.iter().filter(is_exact).map(ToString::to_string).collect();
    for known in known_types(session, db)? {
        let is_wanted = known.name.parse().is_ok_and(|name| webhook.wants(&name));
        if is_wanted && !types.contains(&known.name) {
            types.push(known.name);
        }
    }
    types.truncate(MAX_TYPES);
    Ok(types)
}

/// Data that a test of a type has if none is given.
fn example(session: &Session, db: &Connection, webhook: &Webhook, event_type: &str) -> Result<String, PageError> {
    let profile = session.app.actions.profile(&webhook.profile)?;
    let data = match event_type.parse() {
        Ok(name) => test_data(db, &webhook.tenant, &name, &profile)?,
        Err(_) => shipped_data(&profile),
    };
    Ok(data.into())
}

/// `GET /webhooks/{id}/test?type=`; with `delivery=`, the result of a test.
pub fn show(session: &Session, db: &Connection, id: &str) -> Result<TestPage, PageError> {
    let webhook = header::find(session, db, id)?;
    if let Some(delivery) = session.query.given("delivery") {
        return result_page(session, db, &webhook, delivery);
    }
    let event_type = match session.query.given("type") {
        Some(event_type) => event_type.to_owned(),
        None => {
            let types = subscribed_types(session, db, &webhook)?;
            types.into_iter().next().unwrap_or_else(|| "webhook.test".to_owned())
        }
    };
    let data = example(session, db, &webhook, &event_type)?;
    form_page(session, db, &webhook, event_type, data)
}

fn result_page(session: &Session, db: &Connection, webhook: &Webhook, id: &str) -> Result<TestPage, PageError> {
    let caller = session.caller();
    let DeliveryInFull { delivery, attempts, .. } = lookup::delivery_in_full(db, &caller, id)?;
    if delivery.webhook_seq != webhook.seq || delivery.cause != Cause::Test {
        return Err(PageError::not_found("test of this webhook"));
    }
    let event = event::by_seq(db, delivery.event_seq)?.ok_or_else(|| PageError::not_found("event"))?.event;
    let attempt = attempts.last();
    let profiles = session.app.actions.store.profiles();
    // A profile in use cannot be deleted; the default only satisfies the type.
    let profile = profiles.find(&webhook.profile).unwrap_or_else(crate::profile::standard);
    let now = session.now();
    let outcome = TestOutcome {
        delivery: delivery.id.to_string(),
        is_good: delivery.status == DeliveryStatus::Delivered,
        verdict: explain::explain(&delivery, attempt, webhook, &profile, None, now, session.zone()),
        attempt: attempt.map(|attempt| AttemptDetail::of(attempt, Some(format!("/deliveries/{}", delivery.id)), now)),
    };
    let page = form_page(session, db, webhook, delivery.event_type.to_string(), event.data.into())?;
    Ok(TestPage { outcome: Some(outcome), ..page })
}

/// `POST /webhooks/{id}/test`: sends, waits for the response, and redirects to the result, which can be reloaded
/// without sending again. With `example`, fills in the example of the type instead.
pub fn send(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let webhook = session.read(|db| header::find(session, db, id))?;
    let event_type = fields.text("event_type").trim().to_owned();
    if fields.has("example") {
        let page = session.read(|db| {
            let data = example(session, db, &webhook, &event_type)?;
            form_page(session, db, &webhook, event_type, data)
        })?;
        return Ok(Response::ok(&page));
    }
    let sent = fields.json("data").map_err(ActionError::from).and_then(|data| {
        let data = data.or_else(|| Some("{}".into()));
        let test = TestEvent { event_type: Some(event_type.clone()), data };
        session.app.actions.test_webhook(&session.caller(), id, test)
    });
    match sent {
        Ok(sent) => {
            let path = format!("/webhooks/{}/test?delivery={}#result", webhook.id, sent.delivery.id);
            Ok(Response::To(format!("{}{path}", session.base()), None))
        }
        Err(error) => {
            let errors = problem(error)?.into();
            let data = fields.text("data").trim().to_owned();
            let page = session.read(|db| form_page(session, db, &webhook, event_type, data))?;
            Ok(Response::again(&TestPage { errors, ..page }))
        }
    }
}
