//! `/events/new`: publishing an event by hand.

use askama::Template;
use serde_json::value::RawValue;

use super::super::error::PageError;
use crate::actions::ActionError;
use crate::actions::publish::{NewEvent, Receipt};
use crate::domain::event::EventType;
use crate::domain::{Invalid, json};
use crate::http::web::form::{Fields, Problem, Submission, problem};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::store::event_type;
use crate::store::page::{MAX_LIMIT, PageRequest};

#[derive(Template)]
#[template(path = "events/new.html")]
struct NewPage {
    frame: Frame,
    /// Described event types, and whether each has an example.
    types: Vec<(String, bool)>,
    event_type: String,
    tenant: String,
    id: String,
    data: String,
    previous_data: String,
    problem: Option<Problem>,
}

impl NewPage {
    fn problem_in(&self, field: &str) -> Option<&str> {
        let problem = self.problem.as_ref()?;
        (problem.field.as_deref() == Some(field)).then_some(problem.message.as_str())
    }

    /// What is wrong with no field of the form.
    fn problem_elsewhere(&self) -> Option<&str> {
        let problem = self.problem.as_ref()?;
        let known = ["type", "tenant", "id", "data", "previous_data"];
        let field = problem.field.as_deref();
        let is_shown = field.is_some_and(|field| known.contains(&field));
        (!is_shown).then_some(problem.message.as_str())
    }
}

/// `GET /events/new?type=`: the form, with the type's example.
pub async fn show(session: Session) -> PageResult {
    session
        .show(|session| {
            session.require_operator()?;
            session.require_change()?;
            let mut fields = PublishForm::of(&session.query);
            if let Ok(name) = fields.event_type.parse::<EventType>()
                && fields.data.is_empty()
            {
                let store = &session.app.actions.store;
                let example = store.read(|connection| event_type::example(connection, &name))?;
                fields.data = example.map(String::from).unwrap_or_default();
            }
            if fields.data.is_empty() {
                fields.data = "{}".to_owned();
            }
            page(session, fields, None)
        })
        .await
}

/// `POST /events/new`: publishes the event, and goes on to its page.
pub async fn publish(submission: Submission) -> PageResult {
    submission
        .run(|session, fields| {
            session.require_operator()?;
            if session.app.is_stopping() {
                return Err(ActionError::from(crate::store::StoreError::Stopping).into());
            }
            let form = PublishForm::of(fields);
            let published = form.parse(session).and_then(|event| {
                let actions = &session.app.actions;
                actions.publish_by_hand(&session.caller(), event).wait()
            });
            match published {
                Ok(receipt) => Ok(session.done(&format!("/events/{}", receipt.id), told(&receipt))),
                Err(error) => {
                    let problem = problem(error)?;
                    Ok(Response::again(&page(session, form, Some(problem))?))
                }
            }
        })
        .await
}

fn told(receipt: &Receipt) -> String {
    match (receipt.duplicate, receipt.deliveries.len()) {
        (true, _) => "It was published before: nothing new was stored or sent.".to_owned(),
        (_, 0) => "Published. No webhook subscribes to it, so it goes nowhere.".to_owned(),
        (_, 1) => "Published. 1 delivery is queued.".to_owned(),
        (_, many) => format!("Published. {many} deliveries are queued."),
    }
}

/// What the form holds.
struct PublishForm {
    event_type: String,
    tenant: String,
    id: String,
    data: String,
    previous_data: String,
}

impl PublishForm {
    fn of(fields: &Fields) -> PublishForm {
        let trimmed = |name: &str| fields.given(name).unwrap_or_default().to_owned();
        PublishForm {
            event_type: trimmed("type"),
            tenant: trimmed("tenant"),
            id: trimmed("id"),
            data: trimmed("data"),
            previous_data: trimmed("previous_data"),
        }
    }

    fn parse(&self, session: &Session) -> Result<NewEvent, ActionError> {
        let given = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
        let limit = session.app.limits.single;
        let id = given(&self.id).map(|id| id.parse()).transpose();
        Ok(NewEvent {
            event_type: (self.event_type.parse()).map_err(|invalid: Invalid| invalid.in_field("type"))?,
            tenant: session.caller().tenant_for(given(&self.tenant).as_deref())?,
            id: id.map_err(|invalid: Invalid| invalid.in_field("id"))?,
            created_ms: None,
            data: checked(&self.data, limit).map_err(|invalid| invalid.in_field("data"))?,
            previous_data: given(&self.previous_data)
                .map(|text| checked(&text, limit))
                .transpose()
                .map_err(|invalid| invalid.in_field("previous_data"))?,
            idempotency: None,
        })
    }
}

/// JSON as the API takes it.
fn checked(text: &str, limit: usize) -> Result<Box<str>, Invalid> {
    if text.len() > limit {
        let message = format!("The data has {} bytes; {limit} are taken at most.", text.len());
        return Err(Invalid::new("too_large", message));
    }
    serde_json::from_str::<&RawValue>(text)
        .map_err(|error| Invalid::new("invalid_json", format!("This is not JSON: {error}.")))?;
    json::check(text.as_bytes())?;
    Ok(text.into())
}

fn page(session: &Session, form: PublishForm, problem: Option<Problem>) -> Result<NewPage, PageError> {
    let request = PageRequest { limit: MAX_LIMIT, cursor: None };
    let store = &session.app.actions.store;
    let types = store.read(|connection| event_type::list(connection, &request))?;
    let types = types.rows.into_iter();
    Ok(NewPage {
        frame: session.read(|db| session.frame(db, "Publish an event", Section::Events))?.with_api_body(
            "POST",
            "/v1/events",
            r#"{"type": "order.paid", "data": {"id": 1}}"#,
        ),
        types: types.map(|one| (one.name.to_string(), one.example.is_some())).collect(),
        event_type: form.event_type,
        tenant: form.tenant,
        id: form.id,
        data: form.data,
        previous_data: form.previous_data,
        problem,
    })
}
