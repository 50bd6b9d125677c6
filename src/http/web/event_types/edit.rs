//! Describing an event type: a new one, one that was seen, one that is described already.

use actix_web::web::Path;
use askama::Template;

use super::super::confirm::Confirm;
use super::super::error::PageError;
use super::show::known;
use crate::actions::ActionError;
use crate::actions::event_types::TypeDescription;
use crate::domain::Invalid;
use crate::domain::event::EventType;
use crate::http::web::form::{Fields, Problem, Submission, problem};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::store::event_type;

#[derive(Template)]
#[template(path = "event_types/edit.html")]
struct EditPage {
    frame: Frame,
    /// The type; `None` where its name is to be typed.
    name: Option<String>,
    typed_name: String,
    description: String,
    example: String,
    schema: String,
    /// Whether something was said about it before.
    is_described: bool,
    problem: Option<Problem>,
}

impl EditPage {
    /// The form as it was sent.
    fn again(
        session: &Session,
        name: Option<&EventType>,
        fields: &Fields,
        problem: Problem,
    ) -> Result<EditPage, PageError> {
        Ok(EditPage {
            typed_name: fields.text("name").to_owned(),
            description: fields.text("description").to_owned(),
            example: fields.text("example").to_owned(),
            schema: fields.text("schema").to_owned(),
            problem: Some(problem),
            ..EditPage::of(session, name)?
        })
    }

    /// The form with what was said so far.
    fn of(session: &Session, name: Option<&EventType>) -> Result<EditPage, PageError> {
        session.require_administrator()?;
        let store = &session.app.actions.store;
        let described = match name {
            Some(name) => store.read(|connection| event_type::get(connection, name))?,
            None => None,
        };
        let title = name.map_or_else(|| "Create event type".to_owned(), ToString::to_string);
        let is_described = described.is_some();
        let call = format!("/v1/event-types/{}", name.map_or_else(|| "NAME".to_owned(), ToString::to_string));
        let (description, example, schema) = match described {
            Some(of) => (of.description, of.example, of.schema),
            None => (String::new(), None, None),
        };
        Ok(EditPage {
            frame: session.read(|db| session.frame(db, title, Section::EventTypes))?.with_api_body(
                "PUT",
                &call,
                r#"{"description": "…", "example": {"id": 1}}"#,
            ),
            name: name.map(ToString::to_string),
            typed_name: String::new(),
            description,
            example: example.unwrap_or_default().into(),
            schema: schema.unwrap_or_default().into(),
            is_described,
            problem: None,
        })
    }

    fn action(&self) -> String {
        match &self.name {
            Some(name) => format!("/event-types/{name}/edit"),
            None => "/new-event-type".to_owned(),
        }
    }

    fn cancel(&self) -> String {
        match &self.name {
            Some(name) => format!("/event-types/{name}"),
            None => "/event-types".to_owned(),
        }
    }

    fn problem_in(&self, field: &str) -> Option<&str> {
        let problem = self.problem.as_ref()?;
        (problem.field.as_deref() == Some(field)).then_some(problem.message.as_str())
    }

    /// What is wrong with none of the fields.
    fn other_problem(&self) -> Option<&str> {
        let fields = ["name", "description", "example", "schema"];
        let problem = self.problem.as_ref()?;
        let field = problem.field.as_deref().unwrap_or_default();
        (!fields.contains(&field)).then_some(problem.message.as_str())
    }
}

/// `GET /new-event-type`.
pub async fn blank(session: Session) -> PageResult {
    session.show(|session| EditPage::of(session, None)).await
}

/// `GET /event-types/{name}/edit`.
pub async fn show(session: Session, name: Path<String>) -> PageResult {
    session.show(move |session| EditPage::of(session, Some(&known(&name)?))).await
}

/// `POST /new-event-type`: refuses a name that is described, so that nothing is lost by mistake.
pub async fn create(form: Submission) -> PageResult {
    form.run(|session, fields| {
        session.require_administrator()?;
        let name = fields.text("name").trim().parse::<EventType>();
        let name = name.map_err(|invalid| invalid.in_field("name"));
        let stored = name.map_err(ActionError::from).and_then(|name| {
            let store = &session.app.actions.store;
            if store.read(|connection| event_type::get(connection, &name))?.is_some() {
                let taken = format!("{name} is described already. Open it in the list to change it.");
                return Err(Invalid::new("name_taken", taken).in_field("name").into());
            }
            put(session, name, fields)
        });
        answer(session, None, fields, stored)
    })
    .await
}

/// `POST /event-types/{name}/edit`.
pub async fn change(form: Submission, name: Path<String>) -> PageResult {
    form.run(move |session, fields| {
        session.require_administrator()?;
        let name = known(&name)?;
        let stored = put(session, name.clone(), fields);
        answer(session, Some(&name), fields, stored)
    })
    .await
}

fn put(session: &Session, name: EventType, fields: &Fields) -> Result<EventType, ActionError> {
    let new = TypeDescription {
        name,
        description: fields.text("description").trim().to_owned(),
        example: fields.json("example")?,
        schema: fields.json("schema")?,
    };
    let (described, _) = session.app.actions.put_event_type(&session.caller(), new)?.wait()?;
    Ok(described.name)
}

fn answer(
    session: &Session,
    name: Option<&EventType>,
    fields: &Fields,
    stored: Result<EventType, ActionError>,
) -> Result<Response, PageError> {
    match stored {
        Ok(name) => Ok(session.done(&format!("/event-types/{name}"), format!("{name} was saved."))),
        Err(error) => {
            let page = EditPage::again(session, name, fields, problem(error)?)?;
            Ok(Response::again(&page))
        }
    }
}

/// `POST /event-types/{name}/delete`.
pub async fn delete(form: Submission, name: Path<String>) -> PageResult {
    form.run(move |session, fields| {
        session.require_administrator()?;
        let name = known(&name)?;
        if fields.text("confirmed") != "yes" {
            return Confirm {
                heading: format!("Delete what is said about {name}?"),
                effect:
                    "Its description, example and schema go. Its events and the webhooks that subscribe to it go on."
                        .to_owned(),
                action: Some(format!("/event-types/{name}/delete")),
                back: format!("/event-types/{name}"),
                button: "Delete".to_owned(),
                is_danger: true,
                ..Confirm::default()
            }
            .show(session, Section::EventTypes);
        }
        let deleted = session.app.actions.delete_event_type(&session.caller(), name.clone());
        deleted.wait()?;
        Ok(session.done("/event-types", format!("What was said about {name} was deleted.")))
    })
    .await
}
