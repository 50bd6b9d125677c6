//! Composing a body from an event: the envelope and the serialization.
//!
//! An event and a format always give the same bytes, so the database stores those two, never the body.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ecmascript::{self, NotJson};
use super::template::{Output, Scope, Template, TemplateError, WebhookFacts};
use crate::domain::Invalid;
use crate::domain::event::Event;
use crate::domain::time::{SECOND, rfc3339_seconds};

/// Everything besides the event that determines the bytes of a body. Its JSON is a key in the database, so a change of
/// the names here would be another format.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BodyFormat {
    Envelope {
        envelope: Envelope,
        body: Spelling,
    },
    Template {
        template: Template,
        output: Output,
        /// Only if the template uses it: each webhook has a format of its own then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        webhook: Option<WebhookFacts>,
    },
}

/// Composition of a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BodySpelling")]
pub enum Body {
    /// The envelope; `data` passes through byte for byte.
    #[default]
    Exact,
    /// The envelope in the form that JavaScript reproduces when it parses and serializes the body.
    Ecmascript,
    /// The result of the template.
    Template,
}

/// Serialization of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    Exact,
    Ecmascript,
}

/// Reason why an event gives no body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    #[error("{0}")]
    NotJson(#[from] NotJson),
    #[error("{0}")]
    Template(#[from] TemplateError),
}

impl From<ComposeError> for Invalid {
    fn from(error: ComposeError) -> Invalid {
        match error {
            ComposeError::NotJson(error) => Invalid::new("invalid_json", error.to_string()),
            ComposeError::Template(error) => Invalid::new("template_failed", error.to_string()),
        }
    }
}

/// Fields around the data, in order; or the data alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Envelope {
    Fields(Vec<Field>),
    /// Written as `"data"`.
    DataAlone,
}

/// A field of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EnvelopeField")]
pub struct Field {
    /// Name of the field.
    #[serde(rename = "field")]
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    pub value: Value,
}

/// Value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "EnvelopeValue")]
pub enum Value {
    Id,
    Type,
    /// Time of the event in whole seconds: `2026-01-15T10:00:00Z`.
    CreatedRfc3339,
    /// Time of the event in seconds since 1970.
    CreatedUnix,
    Data,
    /// `null` if the event has none.
    PreviousData,
    /// `true` on test events; the field is absent from all others.
    Test,
    /// A constant text.
    Text(String),
}

impl BodyFormat {
    /// Returns the format of a template's result for a webhook.
    pub fn template(template: Template, content_type: &str, webhook: Option<WebhookFacts>) -> BodyFormat {
        let webhook = webhook.filter(|_| template.uses_webhook());
        BodyFormat::Template { template, output: Output::of(content_type), webhook }
    }

    /// Composes the body of an event. An envelope fails only for data that is not JSON, which the API rejects.
    pub fn compose(&self, event: &Event) -> Result<Vec<u8>, ComposeError> {
        match self {
            BodyFormat::Envelope { envelope, body } => {
                let exact = envelope.compose(event);
                Ok(match body {
                    Spelling::Exact => exact.into_bytes(),
                    Spelling::Ecmascript => ecmascript::stringify(&exact)?.into_bytes(),
                })
            }
            BodyFormat::Template { template, output, webhook } => {
                let scope = Scope { event, webhook: webhook.as_ref(), attempt: None };
                Ok(template.render(*output, &scope)?.into_bytes())
            }
        }
    }

    /// Returns the format for the deliveries of one webhook.
    pub fn for_webhook(&self, facts: &WebhookFacts) -> BodyFormat {
        let mut format = self.clone();
        if let BodyFormat::Template { template, webhook, .. } = &mut format
            && template.uses_webhook()
        {
            *webhook = Some(facts.clone());
        }
        format
    }

    pub fn is_template(&self) -> bool {
        matches!(self, BodyFormat::Template { .. })
    }

    /// Returns the format as JSON, its key in the database: equal formats give equal texts.
    pub fn definition(&self) -> String {
        serde_json::to_string(self).expect("a form is plain data")
    }

    /// Parses the output of `definition`.
    pub fn from_definition(text: &str) -> Result<BodyFormat, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl Envelope {
    /// Checks the fields: 1 to 32, each name once.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let Envelope::Fields(fields) = self else {
            return Ok(());
        };
        let invalid = |why: String, field: String| Err(Invalid::new("invalid_profile", why).in_field(field));
        if fields.is_empty() || fields.len() > 32 {
            return invalid("An envelope has 1 to 32 fields.".into(), "envelope".into());
        }
        for (index, field) in fields.iter().enumerate() {
            let at = format!("envelope[{index}].field");
            if field.name.is_empty() || field.name.chars().count() > 128 {
                return invalid("A field's name is 1 to 128 characters.".into(), at);
            }
            if fields[..index].iter().any(|other| other.name == field.name) {
                return invalid(format!("The field {:?} is set twice.", field.name), at);
            }
        }
        Ok(())
    }

    /// Fields of a challenge request: all except those that hold an event's data.
    pub(super) fn challenge_fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        let fields = if let Envelope::Fields(fields) = self { fields.as_slice() } else { &[] };
        fields
            .iter()
            .filter(|field| !matches!(field.value, Value::Data | Value::PreviousData | Value::Test))
            .map(|field| (field.name.as_str(), &field.value))
    }

    fn compose(&self, event: &Event) -> String {
        let Envelope::Fields(fields) = self else {
            return event.data.clone().into();
        };
        let mut body = String::with_capacity(event.size_bytes() + 128);
        body.push('{');
        for field in fields {
            if field.value == Value::Test && !event.test {
                continue;
            }
            push_name(&mut body, &field.name);
            field.value.push(&mut body, event);
        }
        body.push('}');
        body
    }
}

impl Value {
    fn push(&self, body: &mut String, event: &Event) {
        match self {
            Value::Id => push_text(body, event.id.as_str()),
            Value::Type => push_text(body, event.event_type.as_str()),
            Value::CreatedRfc3339 => push_text(body, &rfc3339_seconds(event.created_ms)),
            Value::CreatedUnix => body.push_str(&event.created_ms.div_euclid(SECOND).to_string()),
            Value::Data => body.push_str(&event.data),
            Value::PreviousData => body.push_str(event.previous_data.as_deref().unwrap_or("null")),
            Value::Test => body.push_str("true"),
            Value::Text(text) => push_text(body, text),
        }
    }
}

/// Appends a member's name, after a comma unless it is the object's first.
fn push_name(body: &mut String, name: &str) {
    if body.len() > 1 {
        body.push(',');
    }
    push_text(body, name);
    body.push(':');
}

fn push_text(body: &mut String, text: &str) {
    body.push_str(&serde_json::to_string(text).expect("text is always JSON"));
}

impl JsonSchema for Envelope {
    fn schema_name() -> Cow<'static, str> {
        "Envelope".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The fields around the data, in order, each name once; or \"data\" for the data alone.",
            "anyOf": [
                {"type": "array", "items": schemas.subschema_for::<Field>(), "minItems": 1, "maxItems": 32},
                {"type": "string", "const": "data"},
            ],
        })
    }
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Envelope::Fields(fields) => fields.serialize(serializer),
            Envelope::DataAlone => "data".serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Envelope, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Envelope;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of fields, or \"data\" for the data alone")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Envelope, E> {
                if text == "data" {
                    return Ok(Envelope::DataAlone);
                }
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Envelope, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = seq.next_element()? {
                    fields.push(field);
                }
                Ok(Envelope::Fields(fields))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Composes the body of a challenge request: the envelope without its data, then the random text. A template has no
/// envelope; profiles with one have no challenge.
pub fn compose_challenge(format: Option<&BodyFormat>, event: &Event, field: &str, challenge: &str) -> Vec<u8> {
    let mut body = String::from("{");
    if let Some(BodyFormat::Envelope { envelope, .. }) = format {
        for (name, value) in envelope.challenge_fields() {
            push_name(&mut body, name);
            value.push(&mut body, event);
        }
    }
    push_name(&mut body, field);
    push_text(&mut body, challenge);
    body.push('}');
    let body = match format {
        Some(BodyFormat::Envelope { body: Spelling::Ecmascript, .. }) => {
            ecmascript::stringify(&body).expect("the body is JSON")
        }
        _ => body,
    };
    body.into_bytes()
}
