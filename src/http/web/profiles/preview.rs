//! The request that a profile makes of an example event.

use super::super::error::PageError;
use crate::actions::ActionError;
use crate::actions::profiles::preview;
use crate::domain::Invalid;
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::http::web::form::{Fields, Problem, problem};
use crate::http::web::session::Session;
use crate::profile::Profile;
use crate::random;
use crate::store::event_type;

/// What previews are signed with: nobody's secret.
const EXAMPLE_SECRET: &str = "whsec_ZXhhbXBsZSBzZWNyZXQgb2YgdGhlIHByZXZpZXc=";
/// Bytes of a body that are shown at most.
const SHOWN: usize = 64 << 10;

/// A form for an event, and what became of it.
pub struct Preview {
    pub event_type: String,
    pub data: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub secret: &'static str,
    pub problem: Option<Problem>,
}

impl Preview {
    /// Of the event in these fields (`type`, `data`), or of an example.
    pub fn of(session: &Session, profile: &Profile, fields: &Fields) -> Result<Preview, PageError> {
        let event_type = fields.given("type").unwrap_or("content.published").to_owned();
        let data = match fields.given("data") {
            Some(data) => data.to_owned(),
            None => example(session, &event_type)?,
        };
        let mut shown = Preview {
            event_type,
            data,
            headers: Vec::new(),
            body: String::new(),
            secret: EXAMPLE_SECRET,
            problem: None,
        };
        let made = shown.event(session, fields).map_err(ActionError::from).and_then(|event| {
            let secret = EXAMPLE_SECRET.parse()?;
            preview(profile, &event, &secret, session.now())
        });
        match made {
            Ok(made) => {
                let body = String::from_utf8_lossy(&made.body);
                shown.body = body[..body.floor_char_boundary(SHOWN)].to_owned();
                shown.headers = made.headers;
            }
            Err(error) => shown.problem = Some(problem(error)?),
        }
        Ok(shown)
    }

    fn event(&self, session: &Session, fields: &Fields) -> Result<Event, Invalid> {
        let now = session.now();
        let event_type = self.event_type.parse::<EventType>();
        Ok(Event {
            id: EventId::generate(now, random::bits()),
            tenant: Tenant::default_tenant(),
            event_type: event_type.map_err(|invalid| invalid.in_field("type"))?,
            created_ms: now,
            received_ms: now,
            data: fields.json("data")?.unwrap_or_else(|| self.data.as_str().into()),
            previous_data: None,
            test: false,
        })
    }

    pub fn problem_in(&self, field: &str) -> Option<&str> {
        let problem = self.problem.as_ref()?;
        (problem.field.as_deref() == Some(field)).then_some(problem.message.as_str())
    }
}

/// The example of the type, where it has one.
fn example(session: &Session, event_type: &str) -> Result<String, PageError> {
    let store = &session.app.actions.store;
    let described = match event_type.parse() {
        Ok(name) => store.read(|connection| event_type::example(connection, &name))?,
        Err(_) => None,
    };
    let usual = || r#"{"id": 42, "title": "Hello"}"#.to_owned();
    Ok(described.map_or_else(usual, String::from))
}
