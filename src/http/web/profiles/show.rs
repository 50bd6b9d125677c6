//! `/profiles/{name}`: what a profile says, in words and as an example.

use actix_web::web::Path;
use askama::Template;
use strum::VariantArray;

use super::super::error::PageError;
use super::preview::Preview;
use crate::domain::retry::{Exhausted, Gone};
use crate::http::web::layout::{Frame, Section, capitalized};
use crate::http::web::session::{PageResult, Session};
use crate::profile::body_format::{Body, Envelope, Value};
use crate::profile::snippet::{Language, Snippet, snippet};
use crate::profile::spec::{Encoding, Key, SignatureSpec};
use crate::profile::{self, Profile};
use crate::store::webhook;
use crate::text::humanize;
use crate::text::retry_preview;
use crate::text::retry_preview::Planned;

/// Webhooks shown at most.
const MOST_SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "profiles/show.html")]
struct ShowPage {
    frame: Frame,
    name: String,
    title: String,
    is_built_in: bool,
    /// Each field of the body, and what it holds; none where the data alone is the body.
    fields: Vec<(String, String)>,
    /// Each header, and what it holds.
    headers: Vec<(String, String)>,
    /// What else it says, a sentence each.
    rules: Vec<String>,
    steps: Vec<Planned>,
    note: String,
    preview: Preview,
    languages: &'static [Language],
    language: Language,
    code: Option<Snippet>,
    webhooks: Vec<(String, String)>,
    has_more: bool,
    json: String,
}

impl ShowPage {
    /// Which spelling of a secret the code takes.
    fn wants_standard(&self) -> bool {
        let code = self.code.as_ref();
        code.is_some_and(|code| code.secret == Key::Standard)
    }

    /// What an attempt is called in the schedule, as on the pages of webhooks.
    fn nth(attempt: u32) -> String {
        format!("{} attempt", capitalized(&humanize::ordinal(attempt)))
    }
}

/// `GET /profiles/{name}?type=&data=&lang=`.
pub async fn show(session: Session, name: Path<String>) -> PageResult {
    session.show(move |session| show_page(session, &name)).await
}

fn show_page(session: &Session, name: &str) -> Result<ShowPage, PageError> {
    session.require_operator()?;
    let actions = &session.app.actions;
    let profile = actions.profile(name)?;
    let store = &actions.store;
    let found = store.read(|connection| webhook::with_profile(connection, name, MOST_SHOWN + 1))?;
    let language = session.query.text("lang").parse().unwrap_or(Language::Node);
    let frame = session.read(|db| session.frame(db, format!("Profile {name}"), Section::Profiles))?;
    let spec = profile.spec();
    Ok(ShowPage {
        frame: frame.with_api("GET", &format!("/v1/profiles/{name}")),
        name: name.to_owned(),
        title: spec.title.clone(),
        is_built_in: profile::find(name).is_some(),
        fields: fields(&spec.envelope),
        headers: headers(&profile),
        rules: rules(&profile),
        steps: retry_preview::schedule(profile.schedule(), session.now()),
        note: retry_preview::note(profile.schedule()),
        preview: Preview::of(session, &profile, &session.query)?,
        languages: Language::VARIANTS,
        language,
        code: snippet(&profile, true, language),
        has_more: found.len() > MOST_SHOWN as usize,
        webhooks: found
            .into_iter()
            .take(MOST_SHOWN as usize)
            .map(|webhook| {
                let name = match webhook.description.trim() {
                    "" => webhook.url.as_str().to_owned(),
                    description => description.to_owned(),
                };
                (webhook.id.to_string(), name)
            })
            .collect(),
        json: serde_json::to_string_pretty(spec).unwrap_or_default(),
    })
}

fn fields(envelope: &Envelope) -> Vec<(String, String)> {
    let Envelope::Fields(fields) = envelope else {
        return Vec::new();
    };
    let fields = fields.iter();
    fields.map(|field| (field.name.clone(), holds(&field.value))).collect()
}

fn holds(value: &Value) -> String {
    match value {
        Value::Id => "the event's id".to_owned(),
        Value::Type => "its type".to_owned(),
        Value::CreatedRfc3339 => "when it happened, such as 2026-01-15T10:00:00Z".to_owned(),
        Value::CreatedUnix => "when it happened, in seconds since 1970".to_owned(),
        Value::Data => "the event's data".to_owned(),
        Value::PreviousData => "the data before, or null".to_owned(),
        Value::Test => "true on test events; on others the field is left out".to_owned(),
        Value::Text(text) => format!("always \"{text}\""),
    }
}

fn headers(profile: &Profile) -> Vec<(String, String)> {
    let signatures = profile.spec().signatures.iter();
    let signatures = signatures.map(|of| (of.header.clone(), signed(of)));
    let others = profile.headers().iter().cloned();
    signatures.chain(others).collect()
}

fn signed(of: &SignatureSpec) -> String {
    let encoding = match of.encoding {
        Encoding::Hex => "hexadecimal",
        Encoding::Base64 => "base64",
    };
    let key = match of.key {
        Key::Secret => "the secret",
        Key::Standard => "the decoded secret (Standard Webhooks)",
    };
    let while_rotating = match of.join {
        Some(_) => "both secrets' signatures while rotating",
        None => "the old secret's until a rotation ends",
    };
    format!(
        "{}, where {{signature}} is the {encoding} HMAC-SHA256 of {} with {key}; {while_rotating}",
        of.template, of.content
    )
}

fn rules(profile: &Profile) -> Vec<String> {
    let spec = profile.spec();
    let mut rules = vec![match spec.body {
        Body::Exact => "The data is sent as the application spelled it, byte for byte.".to_owned(),
        Body::Ecmascript => "The body is spelled as JavaScript prints it, so that a receiver may verify JSON.stringify of what it parsed.".to_owned(),
    }];
    rules.push(match profile.exhausted() {
        Exhausted::Disable => "When the attempts are used up, the delivery is a dead letter and the webhook is disabled, unless another one got through meanwhile.".to_owned(),
        Exhausted::DeadLetter => "When the attempts are used up, the delivery is a dead letter; the webhook stays active.".to_owned(),
    });
    rules.push(match profile.gone() {
        Gone::Disable => "An answer of 410 Gone disables the webhook at once.".to_owned(),
        Gone::Retry => "An answer of 410 Gone is retried as any other failure.".to_owned(),
    });
    if let Some(challenge) = &spec.challenge {
        rules.push(format!(
            "A new endpoint gets a {} with a random \"{}\" first, and is sent events once it answers with the same.",
            challenge.event, challenge.field
        ));
    }
    rules
}
