//! Preview of the request that a profile builds for an example event.

use crate::actions::ActionError;
use crate::actions::profiles::preview;
use crate::domain::Invalid;
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::http::web::error::PageError;
use crate::http::web::form::{Fields, FormErrors, problem};
use crate::http::web::session::Session;
use crate::profile::Profile;
use crate::random;
use crate::store::{Connection, event_type};

/// Secret that signs previews; no webhook uses it.
const EXAMPLE_SECRET: &str = "whsec_ZXhhbXBsZSBzZWNyZXQgb2YgdGhlIHByZXZpZXc=";
/// Bytes of the body on the page.
const SHOWN_BYTES: usize = 64 << 10;

/// The form for an event, and the request.
pub struct Preview {
    pub event_type: String,
    pub data: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub secret: &'static str,
}

impl Preview {
    /// Previews the event in the fields `type` and `data`, or an example. With errors there is no request.
    pub fn of(
        session: &Session,
        db: &Connection,
        profile: &Profile,
        fields: &Fields,
    ) -> Result<(Preview, FormErrors), PageError> {
        let event_type = fields.given("type").unwrap_or("content.published").to_owned();
        let example = match event_type.parse() {
            Ok(name) => event_type::example(db, &name)?,
            Err(_) => None,
        };
        let data = fields.given("data").map(str::to_owned).or(example.map(String::from));
        let mut shown = Preview {
            event_type,
            data: data.unwrap_or_else(|| r#"{"id": 42, "title": "Hello"}"#.to_owned()),
            headers: Vec::new(),
            body: String::new(),
            secret: EXAMPLE_SECRET,
        };
        let request = shown
            .event(session, fields)
            .map_err(ActionError::from)
            .and_then(|event| preview(profile, &event, &EXAMPLE_SECRET.parse()?, session.now()));
        match request {
            Ok(request) => {
                let body = String::from_utf8_lossy(&request.body);
                shown.body = body[..body.floor_char_boundary(SHOWN_BYTES)].to_owned();
                shown.headers = request.headers;
                Ok((shown, FormErrors::default()))
            }
            Err(error) => Ok((shown, FormErrors::from(problem(error)?))),
        }
    }

    fn event(&self, session: &Session, fields: &Fields) -> Result<Event, Invalid> {
        let now = session.now();
        Ok(Event {
            id: EventId::generate(now, random::bits()),
            tenant: Tenant::default_tenant(),
            event_type: self.event_type.parse::<EventType>().map_err(|invalid| invalid.in_field("type"))?,
            created_ms: now,
            received_ms: now,
            data: fields.json("data")?.unwrap_or_else(|| self.data.as_str().into()),
            previous_data: None,
            test: false,
        })
    }
}
