//! `/profiles/{name}`: the rules of a profile, a preview, verification code, and its webhooks.

use std::sync::Arc;

use strum::VariantArray;

use crate::actions::ActionError;
use crate::actions::profiles::Sample;
use crate::domain::Invalid;
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::domain::retry::{Exhausted, Gone};
use crate::http::web::webhooks::form::SchedulePreview;
use crate::http::web::{Connection, Fields, FormErrors, Frame, PageError, Section, Session, Template, problem};
use crate::profile::body_format::{Body, Envelope, Value};
use crate::profile::snippet::{Credential, Language, Snippet, snippet};
use crate::profile::spec::{Encoding, Key, SignatureSpec};
use crate::profile::{self, Profile};
use crate::random;
use crate::store::{event_type, webhook};

/// Webhooks on the page.
const MAX_WEBHOOKS: u32 = 50;

#[derive(Template)]
#[template(path = "profiles/show.html")]
pub struct ProfilePage {
    frame: Frame,
    profile: Arc<Profile>,
    is_built_in: bool,
    /// Fields of the body and their values. Empty if the body is the data alone.
    fields: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    /// Further rules, in sentences.
    rules: Vec<String>,
    schedule: SchedulePreview,
    preview: Preview,
    errors: FormErrors,
    language: Language,
    code: Option<Snippet>,
    /// ID and name.
    webhooks: Vec<(String, String)>,
    has_more: bool,
    json: String,
}

impl ProfilePage {
    /// Whether the code takes the secret in the spelling of Standard Webhooks.
    fn wants_standard(&self) -> bool {
        self.code.as_ref().is_some_and(|code| code.credential == Credential::StandardSecret)
    }
}

/// `GET /profiles/{name}?type=&data=&lang=`.
pub fn show(session: &Session, db: &Connection, name: &str) -> Result<ProfilePage, PageError> {
    session.require_operator()?;
    let profile = session.app.actions.profile(name)?;
    let webhooks = webhook::with_profile(db, name, MAX_WEBHOOKS + 1)?;
    let language = session.query.text("lang").parse().unwrap_or(Language::Node);
    let (preview, errors) = Preview::of(session, db, &profile, &session.query)?;
    let frame = session.frame(db, format!("Profile {name}"), Section::Profiles)?;
    let spec = profile.spec();
    let shown = webhooks.iter().take(MAX_WEBHOOKS as usize);
    Ok(ProfilePage {
        frame: frame.with_api("GET", &format!("/v1/profiles/{name}")),
        is_built_in: profile::find(name).is_some(),
        fields: fields(spec.envelope.as_ref()),
        headers: headers(&profile),
        rules: rules(&profile),
        schedule: SchedulePreview::of(profile.schedule(), session.now(), session.zone()),
        preview,
        errors,
        language,
        code: snippet(&profile, true, language),
        webhooks: shown.map(|webhook| (webhook.id.to_string(), webhook.name())).collect(),
        has_more: webhooks.len() > MAX_WEBHOOKS as usize,
        json: serde_json::to_string_pretty(spec).unwrap_or_default(),
        profile,
    })
}

fn fields(envelope: Option<&Envelope>) -> Vec<(String, String)> {
    match envelope {
        Some(Envelope::Fields(fields)) => {
            fields.iter().map(|field| (field.name.clone(), describe(&field.value))).collect()
        }
        _ => Vec::new(),
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Id => "event ID".to_owned(),
        Value::Type => "event type".to_owned(),
        Value::CreatedRfc3339 => "time of the event, such as 2026-01-15T10:00:00Z".to_owned(),
        Value::CreatedUnix => "time of the event, in Unix seconds".to_owned(),
        Value::Data => "data of the event".to_owned(),
        Value::PreviousData => "previous data, or null".to_owned(),
        Value::Test => "true for test events; otherwise omitted".to_owned(),
        Value::Text(text) => format!("always \"{text}\""),
    }
}

fn headers(profile: &Profile) -> Vec<(String, String)> {
    let signatures = profile.spec().signatures.iter().map(|spec| (spec.header.clone(), describe_signature(spec)));
    signatures.chain(profile.headers().iter().cloned()).collect()
}

fn describe_signature(spec: &SignatureSpec) -> String {
    let encoding = match spec.encoding {
        Encoding::Hex => "hexadecimal",
        Encoding::Base64 => "base64",
    };
    let key = match spec.key {
        Key::Secret => "the secret",
        Key::Standard => "the decoded secret (Standard Webhooks)",
    };
    let rotation = match spec.join {
        Some(_) => "During a rotation it has the signatures of both secrets.",
        None => "During a rotation it has the signature of the old secret.",
    };
    format!(
        "{}, where {{signature}} is the {encoding} HMAC-SHA256 of {} with {key}. {rotation}",
        spec.template, spec.content
    )
}

fn rules(profile: &Profile) -> Vec<String> {
    let spec = profile.spec();
    let body = match spec.body {
        Body::Exact => "The data is sent byte for byte as the application published it.",
        Body::Ecmascript => {
            "The body is formatted as JavaScript prints it: receivers can verify JSON.stringify of the parsed body."
        }
        Body::Template => {
            "If the template fails with an event, the delivery becomes a dead letter at once; the webhook stays active."
        }
    };
    let exhausted = match profile.schedule().exhausted {
        Exhausted::Disable => {
            "A delivery that runs out of attempts becomes a dead letter, and the webhook is disabled unless another delivery succeeded in the meantime."
        }
        Exhausted::DeadLetter => {
            "A delivery that runs out of attempts becomes a dead letter; the webhook stays active."
        }
    };
    let gone = match profile.gone() {
        Gone::Disable => "A 410 Gone response disables the webhook at once.",
        Gone::Retry => "A 410 Gone response is treated like any other failure.",
    };
    let mut rules = [body, exhausted, gone].map(str::to_owned).to_vec();
    if let Some(challenge) = &spec.challenge {
        rules.push(format!(
            "A new endpoint first receives a {} request with a random \"{}\". It receives events once it responds with that text.",
            challenge.event, challenge.field
        ));
    }
    rules
}

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
        let (example_type, example_data, _) = profile::example_parts(Some(profile));
        let event_type = fields.given("type").unwrap_or(&example_type).to_owned();
        let of_type = match event_type.parse() {
            Ok(name) => event_type::example(db, &name)?,
            Err(_) => None,
        };
        let data = fields.given("data").map(str::to_owned).or(of_type.map(String::from)).unwrap_or(example_data);
        let shown = Preview { event_type, data, headers: Vec::new(), body: String::new(), secret: EXAMPLE_SECRET };
        let sample = Sample { profile, template: None, webhook: None };
        let event = shown.event(session, fields).map_err(ActionError::from);
        match event.and_then(|event| Preview::compose(session, &sample, &event)) {
            Ok(composed) => Ok((Preview { data: shown.data, ..composed }, FormErrors::default())),
            Err(error) => Ok((shown, FormErrors::from(problem(error)?))),
        }
    }

    /// Previews an event.
    pub fn compose(session: &Session, sample: &Sample<'_>, event: &Event) -> Result<Preview, ActionError> {
        let request = sample.request(event, &EXAMPLE_SECRET.parse()?, session.now())?;
        let body = String::from_utf8_lossy(&request.body);
        Ok(Preview {
            event_type: event.event_type.to_string(),
            data: String::new(),
            headers: [vec![("Content-Type".to_owned(), request.content_type)], request.headers].concat(),
            body: body[..body.floor_char_boundary(SHOWN_BYTES)].to_owned(),
            secret: EXAMPLE_SECRET,
        })
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
