//! Templates of bodies and of header values, in the language of MiniJinja.
//!
//! `syntax` has MiniJinja's own parser read the text into a `program`. `render` runs it here rather than in MiniJinja's
//! machine, for two reasons. Its operators have no bound: `{% set a = a ~ a %}` thirty times takes a gigabyte, and its compiler
//! computes constants of that size while a template is saved. And its numbers are doubles, but a payload's must come out
//! as the application wrote them.
//!
//! A template sees values only: no clock, no chance, no files, no other template. So an event, a template and its
//! [`Scope`] always give the same text. Each step and each 64 bytes that are read or built count against [`MAX_STEPS`],
//! which bounds the time and the memory; nesting is bounded when a template is parsed, so nothing here recurses deeply.

mod condition;
mod filter;
mod number;
mod operations;
mod print;
mod program;
mod render;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::Invalid;
use crate::domain::event::Event;
use crate::domain::time::{SECOND, rfc3339_seconds};
use program::{Place, Statement};
use value::Value;

/// Maximum length of a template.
pub const MAX_CHARS: usize = 32_768;
/// Maximum length of a rendered text. A payload of the largest size fits with what is around it.
pub const MAX_OUTPUT_BYTES: usize = 2 << 20;
/// Maximum steps of a rendering: evaluated parts of expressions, items of lists, and 64 bytes of text each.
pub const MAX_STEPS: u32 = 250_000;

/// A parsed template. Cheap to clone; templates are equal if their texts are.
#[derive(Debug, Clone)]
pub struct Template(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    source: Box<str>,
    body: Vec<Statement>,
    uses_webhook: bool,
}

/// Place of a template, which decides the names that it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The body of a request, which is the same on every attempt.
    Body,
    /// The value of a header, which may differ between attempts.
    Header,
}

/// Form of the rendered text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// A value is printed as JSON, and within quotation marks as the content of a string. The result is checked.
    Json,
    /// A text is printed as it is, any other value as JSON.
    Text,
}

impl Output {
    /// Returns the form for a content type: JSON for `application/json` and all that end with `+json`.
    pub fn of(content_type: &str) -> Output {
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media_type == "application/json" || media_type.ends_with("+json") { Output::Json } else { Output::Text }
    }
}

/// Facts of a webhook that a template can use: those that are no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WebhookFacts {
    pub id: String,
    pub description: String,
}

/// Values that a template can use.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    pub event: &'a Event,
    pub webhook: Option<&'a WebhookFacts>,
    /// Id of the delivery and time of the attempt, in seconds since 1970; for headers only.
    pub attempt: Option<(&'a str, &'a str)>,
}

/// Fault of a template: of its text, or of its rendering with an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", self.prefix())]
pub struct TemplateError {
    /// Line and column in the template, from 1; the column in characters. `None` if the fault is in no one place.
    pub at: Option<(usize, usize)>,
    pub message: String,
}

impl TemplateError {
    fn prefix(&self) -> String {
        self.at.map(|(line, column)| format!("Line {line}, column {column}: ")).unwrap_or_default()
    }

    /// Returns the error of a field that holds the template.
    pub fn invalid(&self, field: &str) -> Invalid {
        Invalid::new("invalid_template", self.to_string()).in_field(field)
    }
}

/// Fault at a place of the template's text.
struct Fault {
    at: Option<Place>,
    message: String,
}

impl Fault {
    fn new(message: impl Into<String>) -> Fault {
        Fault { at: None, message: message.into() }
    }

    fn at(mut self, place: Place) -> Fault {
        self.at.get_or_insert(place);
        self
    }

    fn in_source(self, source: &str) -> TemplateError {
        let position = |place: Place| {
            let before = source.get(..place.start).unwrap_or(source);
            let line = before.rfind('\n').map_or(0, |end| end + 1);
            (before.matches('\n').count() + 1, before[line..].chars().count() + 1)
        };
        TemplateError { at: self.at.map(position), message: self.message }
    }
}

impl Template {
    /// Parses a template. The error has the place of the fault.
    pub fn parse(source: &str, usage: Use) -> Result<Template, TemplateError> {
        if source.chars().count() > MAX_CHARS {
            let message = format!("A template is at most {MAX_CHARS} characters.");
            return Err(TemplateError { at: None, message });
        }
        let (body, uses_webhook) = syntax::parse(source, usage).map_err(|fault| fault.in_source(source))?;
        Ok(Template(Arc::new(Parsed { source: source.into(), body, uses_webhook })))
    }

    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether the result depends on the webhook.
    pub fn uses_webhook(&self) -> bool {
        self.0.uses_webhook
    }

    /// Renders the template.
    pub fn render(&self, output: Output, scope: &Scope<'_>) -> Result<String, TemplateError> {
        let event = scope.event;
        let created_at = rfc3339_seconds(event.created_ms);
        let created_unix = event.created_ms.div_euclid(SECOND).to_string();
        let mut names = vec![
            (
                "event",
                Value::object([
                    ("id", Value::lent(event.id.as_str())),
                    ("type", Value::lent(event.event_type.as_str())),
                    ("tenant", Value::lent(event.tenant.as_str())),
                    ("created_at", Value::lent(&created_at)),
                    ("created_unix", Value::number(&created_unix)),
                    ("test", Value::Bool(event.test)),
                ]),
            ),
            ("data", Value::json(&event.data)),
            ("previous_data", event.previous_data.as_deref().map_or(Value::Null, Value::json)),
        ];
        if let Some(webhook) = scope.webhook {
            let facts = [("id", Value::lent(&webhook.id)), ("description", Value::lent(&webhook.description))];
            names.push(("webhook", Value::object(facts)));
        }
        if let Some((delivery_id, timestamp)) = scope.attempt {
            names.push(("delivery", Value::object([("id", Value::lent(delivery_id))])));
            names.push(("attempt", Value::object([("timestamp", Value::number(timestamp))])));
        }
        let text = render::render(self.source(), &self.0.body, output, names);
        let text = text.map_err(|fault| fault.in_source(self.source()))?;
        if output == Output::Json
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&text)
        {
            let message = format!("The result is not JSON: {error} of the result.");
            return Err(TemplateError { at: None, message });
        }
        Ok(text)
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Template) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Template {}

impl Hash for Template {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source().hash(state);
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.source().serialize(serializer)
    }
}

/// A template of a body.
impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
        let source = String::deserialize(deserializer)?;
        Template::parse(&source, Use::Body).map_err(serde::de::Error::custom)
    }
}
