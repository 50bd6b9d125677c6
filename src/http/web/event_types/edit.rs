//! The form that describes an event type: a new one, or one that was published or described before.

use super::show::parse;
use crate::actions::ActionError;
use crate::actions::event_types::TypeDescription;
use crate::domain::Invalid;
use crate::domain::event::EventType;
use crate::http::web::{
    Confirm, Connection, Fields, FormErrors, Frame, PageError, Response, Section, Session, Template, problem,
};
use crate::store::event_type;

const DELETE_EFFECT: &str =
    "Its description, example and schema are deleted. Its events and subscribed webhooks are not changed.";

#[derive(Template)]
#[template(path = "event_types/edit.html")]
pub struct EventTypeForm {
    frame: Frame,
    /// `None` if the form asks for the name.
    name: Option<String>,
    typed_name: String,
    description: String,
    example: String,
    schema: String,
    is_described: bool,
    errors: FormErrors,
}

impl EventTypeForm {
    const FIELDS: &[&str] = &["name", "description", "example", "schema"];

    /// The form with the stored description.
    fn of(session: &Session, db: &Connection, name: Option<&EventType>) -> Result<EventTypeForm, PageError> {
        session.require_shared_change()?;
        let described = match name {
            Some(name) => event_type::get(db, name)?,
            None => None,
        };
        let title = name.map_or_else(|| "Create event type".to_owned(), ToString::to_string);
        let path = format!("/v1/event-types/{}", name.map_or("NAME", EventType::as_str));
        let is_described = described.is_some();
        let (description, example, schema) = match described {
            Some(known) => (known.description, known.example, known.schema),
            None => (String::new(), None, None),
        };
        let frame = session.frame(db, title, Section::EventTypes)?;
        Ok(EventTypeForm {
            frame: frame.with_api_body("PUT", &path, r#"{"description": "…", "example": {"id": 1}}"#),
            name: name.map(ToString::to_string),
            typed_name: String::new(),
            description,
            example: example.unwrap_or_default().into(),
            schema: schema.unwrap_or_default().into(),
            is_described,
            errors: FormErrors::default(),
        })
    }

    /// Path of the page that the form belongs to.
    fn path(&self) -> String {
        match &self.name {
            Some(name) => format!("/event-types/{name}"),
            None => "/event-types".to_owned(),
        }
    }

    fn action(&self) -> String {
        match &self.name {
            Some(_) => format!("{}/edit", self.path()),
            None => "/new-event-type".to_owned(),
        }
    }
}

/// `GET /new-event-type`.
pub fn blank(session: &Session, db: &Connection) -> Result<EventTypeForm, PageError> {
    EventTypeForm::of(session, db, None)
}

/// `GET /event-types/{name}/edit`.
pub fn show(session: &Session, db: &Connection, name: &str) -> Result<EventTypeForm, PageError> {
    EventTypeForm::of(session, db, Some(&parse(name)?))
}

/// `POST /new-event-type`. Refuses a type that is described already, to overwrite nothing.
pub fn create(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    session.require_shared_change()?;
    let name = fields.text("name").trim().parse::<EventType>().map_err(|invalid| invalid.in_field("name"));
    let saved = name.map_err(ActionError::from).and_then(|name| {
        if session.app.actions.store.read(|db| event_type::get(db, &name))?.is_some() {
            let message = format!("{name} already has a description. Open it in the list to change it.");
            return Err(Invalid::new("name_taken", message).in_field("name").into());
        }
        save(session, name, fields)
    });
    respond(session, None, fields, saved)
}

/// `POST /event-types/{name}/edit`.
pub fn change(session: &Session, fields: &Fields, name: &str) -> Result<Response, PageError> {
    session.require_shared_change()?;
    let name = parse(name)?;
    let saved = save(session, name.clone(), fields);
    respond(session, Some(&name), fields, saved)
}

fn save(session: &Session, name: EventType, fields: &Fields) -> Result<EventType, ActionError> {
    let new = TypeDescription {
        name,
        description: fields.text("description").trim().to_owned(),
        example: fields.json("example")?,
        schema: fields.json("schema")?,
    };
    let (described, _) = session.app.actions.put_event_type(&session.caller(), new)?.wait()?;
    Ok(described.name)
}

fn respond(
    session: &Session,
    name: Option<&EventType>,
    fields: &Fields,
    saved: Result<EventType, ActionError>,
) -> Result<Response, PageError> {
    let error = match saved {
        Ok(name) => return Ok(session.done(&format!("/event-types/{name}"), format!("{name} was saved."))),
        Err(error) => error,
    };
    let form = EventTypeForm {
        typed_name: fields.text("name").to_owned(),
        description: fields.text("description").to_owned(),
        example: fields.text("example").to_owned(),
        schema: fields.text("schema").to_owned(),
        errors: FormErrors::from(problem(error)?),
        ..session.read(|db| EventTypeForm::of(session, db, name))?
    };
    Ok(Response::again(&form))
}

/// `POST /event-types/{name}/delete`.
pub fn delete(session: &Session, fields: &Fields, name: &str) -> Result<Response, PageError> {
    session.require_shared_change()?;
    let name = parse(name)?;
    if !fields.has("confirmed") {
        return Confirm {
            heading: format!("Delete the description of {name}?"),
            effect: DELETE_EFFECT.to_owned(),
            action: Some(format!("/event-types/{name}/delete")),
            back: format!("/event-types/{name}"),
            button: "Delete".to_owned(),
            is_danger: true,
            ..Confirm::default()
        }
        .show(session, Section::EventTypes);
    }
    session.app.actions.delete_event_type(&session.caller(), name.clone()).wait()?;
    Ok(session.done("/event-types", format!("The description of {name} was deleted.")))
}
