//! `/events/new`: publishes an event by hand.

use serde_json::value::RawValue;

use crate::actions::ActionError;
use crate::actions::lookup;
use crate::actions::publish::{CheckTime, NewEvent, Receipt};
use crate::domain::event::{EventId, EventType, Tenant};
use crate::domain::{Invalid, json};
use crate::http::web::layout::event_path;
use crate::http::web::{
    Connection, Fields, FormErrors, Frame, PageError, PageResult, Response, Section, Session, Submission, Template,
    problem,
};
use crate::store::event::StoredEvent;
use crate::store::page::MAX_LIMIT;
use crate::store::{StoreError, event_type};

#[derive(Template)]
#[template(path = "events/new.html")]
pub struct PublishPage {
    frame: Frame,
    /// Path of the event that is edited and sent again.
    origin: Option<String>,
    /// Described event types, and whether each has an example.
    types: Vec<(String, bool)>,
    form: PublishForm,
    errors: FormErrors,
}

impl PublishPage {
    const FIELDS: &[&str] = &["type", "tenant", "id", "data", "previous_data"];

    fn of(session: &Session, db: &Connection, form: PublishForm, errors: FormErrors) -> Result<PublishPage, PageError> {
        let types = event_type::heads(db, MAX_LIMIT)?;
        let origin = form.resend.as_ref().map(|id| match &*form.resend_tenant {
            "" => format!("/events/{id}"),
            tenant => format!("/events/{id}?tenant={tenant}"),
        });
        let title = if origin.is_some() { "Edit and resend" } else { "Publish event" };
        let frame = session.frame(db, title, Section::Events)?;
        Ok(PublishPage {
            frame: frame.with_api_body("POST", "/v1/events", r#"{"type": "order.paid", "data": {"id": 1}}"#),
            origin,
            types: types.into_iter().map(|known| (known.name.to_string(), known.has_example)).collect(),
            form,
            errors,
        })
    }
}

/// `GET /events/new?type=`: the form, filled in with the example of the type; with `resend`, with a stored event.
pub fn show(session: &Session, db: &Connection) -> Result<PublishPage, PageError> {
    session.require_shared_change()?;
    let mut form = PublishForm::of(&session.query);
    if let Some(event) = form.origin(session, db)? {
        let StoredEvent { event, .. } = event;
        form.event_type = event.event_type.to_string();
        form.tenant = event.tenant.to_string();
        form.resend_tenant = event.tenant.to_string();
        form.data = event.data.into();
        form.previous_data = event.previous_data.map(Into::into).unwrap_or_default();
    }
    if form.data.is_empty() {
        form.data = "{}".to_owned();
        if let Ok(name) = form.event_type.parse::<EventType>()
            && let Some(example) = event_type::example(db, &name)?
        {
            form.data = example.into();
        }
    }
    PublishPage::of(session, db, form, FormErrors::default())
}

/// `POST /events/new`: publishes the event and redirects to its page.
pub async fn submit(submission: Submission) -> PageResult {
    let permit = submission.app().check_permit(CheckTime::Schema, &Tenant::default_tenant()).await;
    submission
        .run(move |session, fields| {
            let _permit = permit?;
            publish(session, fields)
        })
        .await
}

fn publish(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    session.require_operator()?;
    if session.app.refuses_events() {
        return Err(ActionError::from(StoreError::Stopping).into());
    }
    let form = PublishForm::of(fields);
    let published = form.parse(session).and_then(|event| {
        let actions = &session.app.actions;
        let tenant = event.tenant.clone();
        Ok((actions.publish_by_hand(&session.caller(), event).wait()?, tenant))
    });
    match published {
        Ok((receipt, tenant)) => Ok(session.done(&event_path(&receipt.id, Some(&tenant)), message(&receipt))),
        Err(error) => {
            let errors = FormErrors::from(problem(error)?);
            Ok(Response::again(&session.read(|db| PublishPage::of(session, db, form, errors))?))
        }
    }
}

fn message(receipt: &Receipt) -> String {
    match (receipt.duplicate, receipt.deliveries.len()) {
        (true, _) => "This event was published before. Nothing was stored or sent.".to_owned(),
        (_, 0) => "Published. No webhook receives it.".to_owned(),
        (_, 1) => "Published. 1 delivery is queued.".to_owned(),
        (_, many) => format!("Published. {many} deliveries are queued."),
    }
}

struct PublishForm {
    event_type: String,
    tenant: String,
    id: String,
    data: String,
    previous_data: String,
    /// Event to edit and send again.
    resend: Option<EventId>,
    resend_tenant: String,
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
            resend: fields.given("resend").and_then(|id| id.parse().ok()),
            resend_tenant: fields.given("resend_tenant").or(fields.given("tenant")).unwrap_or_default().to_owned(),
        }
    }

    /// The event to edit and send again, if it can be.
    fn origin(&self, session: &Session, db: &Connection) -> Result<Option<StoredEvent>, ActionError> {
        let Some(id) = &self.resend else { return Ok(None) };
        let tenant = Some(&*self.resend_tenant).filter(|tenant| !tenant.is_empty());
        let stored = lookup::event(db, &session.caller(), id.as_str(), tenant)?;
        if stored.event.test || stored.damaged {
            return Err(ActionError::NotFound("event to resend"));
        }
        Ok(Some(stored))
    }

    fn parse(&self, session: &Session) -> Result<NewEvent, ActionError> {
        let origin = session.app.actions.store.read(|db| self.origin(session, db))?;
        if let Some(origin) = &origin
            && *self.tenant != *origin.event.tenant.as_str()
        {
            let message = format!("A resent event stays in its tenant, {}.", origin.event.tenant);
            return Err(Invalid::new("tenant_differs", message).in_field("tenant").into());
        }
        let given = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
        let limit = session.app.limits.single;
        let id = given(&self.id).map(|id| id.parse()).transpose();
        let event = NewEvent {
            event_type: (self.event_type.parse()).map_err(|invalid: Invalid| invalid.in_field("type"))?,
            tenant: session.caller().tenant_for(given(&self.tenant).as_deref())?,
            id: id.map_err(|invalid: Invalid| invalid.in_field("id"))?,
            created_ms: None,
            data: checked("data", &self.data, limit)?,
            previous_data: given(&self.previous_data).map(|text| checked("previous_data", &text, limit)).transpose()?,
            idempotency: None,
            resent_from_seq: origin.map(|origin| origin.seq),
        };
        Ok(event.unreserved()?)
    }
}

/// Validates JSON as the API does.
fn checked(field: &str, text: &str, limit: usize) -> Result<Box<str>, Invalid> {
    if text.len() > limit {
        let message = format!("{} bytes exceed the limit of {limit} bytes.", text.len());
        return Err(Invalid::new("too_large", message).in_field(field));
    }
    serde_json::from_str::<&RawValue>(text)
        .map_err(|error| Invalid::new("invalid_json", format!("Invalid JSON: {error}.")).in_field(field))?;
    json::check(text.as_bytes()).map_err(|invalid| invalid.in_field(field))?;
    Ok(text.into())
}
