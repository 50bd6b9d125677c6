//! The form that describes an event type: a new one, or one that was published or described before.

use actix_web::http::StatusCode;

use super::show::parse;
use crate::actions::ActionError;
use crate::actions::event_types::TypeDescription;
use crate::actions::unchanged::Unchanged;
use crate::domain::Invalid;
use crate::domain::event::EventType;
use crate::http::etag;
use crate::http::web::made_of::{self, ChangedPart, MadeOf, Part};
use crate::http::web::{
    Confirm, Connection, Fields, FormErrors, Frame, PageError, Response, Section, Session, Template, problem,
};
use crate::store::event_type::{self, DescribedType};

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
    /// Values that the form was made of.
    made_of: MadeOf,
    conflict: Option<Vec<ChangedPart>>,
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
        let (example, schema) = (example.unwrap_or_default(), schema.unwrap_or_default());
        Ok(EventTypeForm {
            made_of: MadeOf::of(&parts(&description, &example, &schema)),
            conflict: None,
            frame: frame.with_api_body("PUT", &path, r#"{"description": "…", "example": {"id": 1}}"#),
            name: name.map(ToString::to_string),
            typed_name: String::new(),
            description,
            example: example.into(),
            schema: schema.into(),
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
        save(session, name, fields, Unchanged::when(|stored| stored.is_none()))
    });
    respond(session, None, fields, saved)
}

/// `POST /event-types/{name}/edit`.
pub fn change(session: &Session, fields: &Fields, name: &str) -> Result<Response, PageError> {
    session.require_shared_change()?;
    let name = parse(name)?;
    let stored = session.read(|db| Ok(event_type::get(db, &name)?))?;
    let unchanged = match &stored {
        Some(stored) if changed_meanwhile(stored, fields).is_empty() => etag::still(stored),
        Some(_) => return respond(session, Some(&name), fields, Err(ActionError::Changed)),
        None => Unchanged::when(|stored| stored.is_none()),
    };
    let saved = save(session, name.clone(), fields, unchanged);
    respond(session, Some(&name), fields, saved)
}

fn parts(description: &str, example: &str, schema: &str) -> Vec<Part> {
    made_of::parts(&[
        ("description", "Description", description),
        ("example", "Example data (JSON)", example),
        ("schema", "JSON Schema", schema),
    ])
}

fn changed_meanwhile(stored: &DescribedType, fields: &Fields) -> Vec<ChangedPart> {
    let text = |json: &Option<Box<str>>| json.clone().unwrap_or_default();
    let stored = parts(&stored.description, &text(&stored.example), &text(&stored.schema));
    let trimmed = |name: &str| fields.text(name).trim();
    let typed = parts(trimmed("description"), trimmed("example"), trimmed("schema"));
    made_of::changed_meanwhile(&MadeOf::of_fields(fields), stored, typed)
}

fn save(
    session: &Session,
    name: EventType,
    fields: &Fields,
    unchanged: Unchanged<DescribedType>,
) -> Result<EventType, ActionError> {
    let new = TypeDescription {
        name,
        description: fields.text("description").trim().to_owned(),
        example: fields.json("example")?,
        schema: fields.json("schema")?,
    };
    let (described, _) = session.app.actions.put_event_type(&session.caller(), new, unchanged)?.wait()?;
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
    let (form, stored) = session.read(|db| {
        let stored = name.map(|name| event_type::get(db, name)).transpose()?.flatten();
        Ok((EventTypeForm::of(session, db, name)?, stored))
    })?;
    let changed = match (&error, &stored) {
        (ActionError::Changed, Some(stored)) => changed_meanwhile(stored, fields),
        _ => Vec::new(),
    };
    let text = |field: &str| made_of::taken(&changed, field).unwrap_or(fields.text(field)).to_owned();
    let form = EventTypeForm {
        typed_name: text("name"),
        description: text("description"),
        example: text("example"),
        schema: text("schema"),
        ..form
    };
    if let ActionError::Changed = error {
        return Ok(Response::page(StatusCode::CONFLICT, &EventTypeForm { conflict: Some(changed), ..form }));
    }
    let made_of = MadeOf::of_fields(fields);
    Ok(Response::again(&EventTypeForm { errors: FormErrors::from(problem(error)?), made_of, ..form }))
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
    session.app.actions.delete_event_type(&session.caller(), name.clone(), Unchanged::default()).wait()?;
    Ok(session.done("/event-types", format!("The description of {name} was deleted.")))
}
