//! Fields of a profile, and their validation.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::Invalid;
use crate::domain::event::EventType;
use crate::domain::header::{self, CustomHeaders};
use crate::domain::json::object;
use crate::domain::retry::{Gone, Schedule, ScheduleSpec};
use crate::profile::body_format::{Body, BodyFormat, Envelope, Spelling};
use crate::profile::endpoint::EndpointSpec;
use crate::profile::template::{self, Template, Use};

/// A profile, as in a file of `builtin/` or in the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProfileFields")]
pub struct ProfileSpec {
    /// 1 to 64 of `a-z 0-9 _ -`.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Short description.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub title: String,
    /// Required, unless the body is a template.
    #[serde(default)]
    pub envelope: Option<Envelope>,
    #[serde(default)]
    pub body: Body,
    /// Template of the body, with `"body": "template"`. The documentation has a page about templates.
    #[serde(default)]
    #[schemars(length(max = template::MAX_CHARS))]
    pub template: Option<String>,
    /// Content type of the body. The result of a template must be JSON for `application/json` and for types that end with
    /// `+json`; other types need a template.
    #[serde(default = "json_type")]
    #[schemars(length(max = 128), regex(pattern = CONTENT_TYPE_PATTERN))]
    pub content_type: String,
    #[serde(default)]
    pub signatures: Vec<SignatureSpec>,
    /// Additional headers, in order. Values may contain `{id}`, `{type}`, `{delivery_id}` and `{timestamp}`. A value with
    /// `{{` or `{%` is a template.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", extend("maxProperties" = 32))]
    pub headers: serde_json::Map<String, serde_json::Value>,
    #[serde(deserialize_with = "object")]
    pub retry: ScheduleSpec,
    #[serde(default = "retry_gone")]
    pub gone: Gone,
    #[serde(default)]
    pub challenge: Option<ChallengeSpec>,
    /// Requirements of the vendor on webhooks with this profile.
    #[serde(default)]
    pub endpoint: Option<EndpointSpec>,
    /// Event for previews.
    #[serde(default)]
    pub example: Option<ExampleEvent>,
}

/// Event that shows how a profile's deliveries look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleEvent {
    #[serde(rename = "type")]
    #[schemars(regex(pattern = EventType::PATTERN), length(max = EventType::MAX_BYTES))]
    pub event_type: String,
    pub data: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_data: Option<Value>,
}

/// Content type of most profiles.
pub const JSON: &str = "application/json";
const CONTENT_TYPE_PATTERN: &str = r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?[A-Za-z0-9_-]+=[A-Za-z0-9_.-]+)*$";

fn json_type() -> String {
    JSON.to_owned()
}

fn retry_gone() -> Gone {
    Gone::Retry
}

/// Regular expression of a profile's name.
pub const NAME_PATTERN: &str = crate::domain::webhook::PROFILE_NAME_PATTERN;

/// One signature header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Signature")]
pub struct SignatureSpec {
    /// Name of the header.
    #[schemars(regex(pattern = header::NAME_PATTERN))]
    pub header: String,
    /// Signed content: `{body}` once, with `{id}`, `{timestamp}` and literal text around it.
    #[schemars(regex(pattern = r"^([^{}]|\{timestamp\}|\{id\})*\{body\}([^{}]|\{timestamp\}|\{id\})*$"))]
    pub content: String,
    pub encoding: Encoding,
    /// Value of the header: `{signature}` once, optionally with `{timestamp}`.
    #[serde(default = "bare_signature")]
    #[schemars(
        length(max = 1024),
        regex(pattern = r"^([ -z|~]|\{timestamp\})*\{signature\}([ -z|~]|\{timestamp\})*$")
    )]
    pub template: String,
    /// Separator between the signatures of the new and the old secret during a rotation. Without one, the header carries a
    /// single signature, by the old secret until the overlap ends.
    #[serde(default)]
    #[schemars(regex(pattern = "^[ -~]{1,64}$"))]
    pub join: Option<String>,
    #[serde(default)]
    pub key: Key,
}

fn bare_signature() -> String {
    "{signature}".to_owned()
}

/// Encoding of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Padded, standard alphabet.
    Base64,
}

/// Key of a signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SignatureKey")]
pub enum Key {
    /// The bytes of the whole secret string.
    #[default]
    Secret,
    /// The decoded tail of a `whsec_` secret (Standard Webhooks 1.0.0).
    Standard,
}

/// Request that verifies the endpoint before a webhook becomes active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Challenge")]
pub struct ChallengeSpec {
    /// Event type of the request.
    #[schemars(regex(pattern = EventType::PATTERN), length(max = EventType::MAX_BYTES))]
    pub event: String,
    /// Field with the random text, in the request and in the JSON of the response.
    #[schemars(length(min = 1, max = 64))]
    pub field: String,
}

/// Validated profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    spec: ProfileSpec,
    form: BodyFormat,
    schedule: Schedule,
    headers: Vec<(String, String)>,
    /// Templates among the values of the headers, by the place of the header.
    header_templates: Vec<Option<Template>>,
}

impl Profile {
    /// Checks every field; the error names the invalid one.
    pub fn parse(spec: ProfileSpec) -> Result<Profile, Invalid> {
        check_name(&spec.name)?;
        if spec.title.chars().count() > 256 {
            return Err(invalid("A title is at most 256 characters.", "title"));
        }
        check_content_type(&spec)?;
        let form = parse_format(&spec)?;
        let headers = parse_headers(&spec)?;
        let header_templates = headers.iter().map(|(name, value)| header_template(name, value));
        let header_templates = header_templates.collect::<Result<_, _>>()?;
        for (index, signature) in spec.signatures.iter().enumerate() {
            signature.check().map_err(|(field, why)| invalid(why, &format!("signatures[{index}].{field}")))?;
        }
        check_no_header_twice(&spec, &headers)?;
        if let Some(challenge) = &spec.challenge {
            check_challenge(challenge, spec.envelope.as_ref())?;
        }
        if let Some(endpoint) = &spec.endpoint {
            endpoint.check().map_err(|(field, why)| invalid(&why, &format!("endpoint.{field}")))?;
        }
        if let Some(example) = &spec.example {
            example.event_type.parse::<EventType>().map_err(|error| invalid(&error.message, "example.type"))?;
        }
        Ok(Profile { form, schedule: Schedule::parse(&spec.retry)?, headers, header_templates, spec })
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    pub fn spec(&self) -> &ProfileSpec {
        &self.spec
    }

    /// Format of the bodies.
    pub fn form(&self) -> &BodyFormat {
        &self.form
    }

    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    pub fn gone(&self) -> Gone {
        self.spec.gone
    }

    /// Name and template of each additional header, in order.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Template of each header whose value is one, in the order of the headers.
    pub fn header_templates(&self) -> &[Option<Template>] {
        &self.header_templates
    }

    /// Names of all headers that the profile sets, in lower case.
    pub fn header_names(&self) -> Vec<String> {
        let signatures = self.spec.signatures.iter().map(|signature| &signature.header);
        let headers = self.headers.iter().map(|(name, _)| name);
        signatures.chain(headers).map(|name| name.to_ascii_lowercase()).collect()
    }
}

impl SignatureSpec {
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if !is_header_name(&self.header) || standard_header(&self.header).is_some() {
            return Err(("header", "Not a header name that a profile may set."));
        }
        if self.content.matches("{body}").count() != 1
            || has_unknown_placeholder(&self.content, &["{body}", "{timestamp}", "{id}"])
        {
            return Err((
                "content",
                "The signed content must contain {body} once, and may contain {id} and {timestamp}, such as {timestamp}.{body}.",
            ));
        }
        if self.template.matches("{signature}").count() != 1
            || has_unknown_placeholder(&self.template, &["{signature}", "{timestamp}"])
            || !is_header_value(&self.template)
        {
            return Err((
                "template",
                "The template must be printable ASCII without surrounding white space, contain {signature} once, and may contain {timestamp}.",
            ));
        }
        if self.join.as_deref().is_some_and(|join| join.is_empty() || join.len() > 64 || !is_printable(join)) {
            return Err((
                "join",
                "The separator of two signatures must be 1 to 64 printable ASCII characters, or null if the header carries one.",
            ));
        }
        Ok(())
    }
}

fn invalid(why: &str, field: &str) -> Invalid {
    Invalid::new("invalid_profile", why).in_field(field)
}

fn check_name(name: &str) -> Result<(), Invalid> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if (1..=64).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(invalid("A profile's name is 1 to 64 of the characters a-z 0-9 _ -.", "name"))
}

fn parse_headers(spec: &ProfileSpec) -> Result<Vec<(String, String)>, Invalid> {
    spec.headers
        .iter()
        .map(|(name, value)| {
            let field = format!("headers.{name}");
            let value = value
                .as_str()
                .ok_or_else(|| invalid("A header's value is text.", &field))?;
            if !is_header_name(name) {
                return Err(invalid("Not a header name that a profile may set.", &field));
            }
            let known = ["{id}", "{type}", "{delivery_id}", "{timestamp}"];
            if !is_header_value(value) || !is_template(value) && has_unknown_placeholder(value, &known) {
                return Err(invalid(
                    "A header's value must be printable ASCII without surrounding white space; its placeholders are {id}, {type}, {delivery_id} and {timestamp}. A value with {{ or {% is a template.",
                    &field,
                ));
            }
            if let Some((_, holds)) = standard_header(name)
                && value != holds
            {
                return Err(invalid(
                    &format!("{name} is a Standard Webhooks header; its value must be {holds}."),
                    &field,
                ));
            }
            Ok((name.clone(), value.to_owned()))
        })
        .collect()
}

/// Returns the format of the bodies: an envelope or a template, never both.
fn parse_format(spec: &ProfileSpec) -> Result<BodyFormat, Invalid> {
    let spelling = match spec.body {
        Body::Exact => Spelling::Exact,
        Body::Ecmascript => Spelling::Ecmascript,
        Body::Template => {
            if spec.envelope.is_some() {
                return Err(invalid("A profile with a template has no envelope.", "envelope"));
            }
            if spec.challenge.is_some() {
                let message = "A profile with a template has no challenge, since a challenge is an envelope.";
                return Err(invalid(message, "challenge"));
            }
            let Some(source) = &spec.template else {
                return Err(invalid("\"body\": \"template\" needs a template.", "template"));
            };
            let template = Template::parse(source, Use::Body).map_err(|error| error.invalid("template"))?;
            return Ok(BodyFormat::template(template, &spec.content_type, None));
        }
    };
    if spec.template.is_some() {
        return Err(invalid("A template needs \"body\": \"template\".", "template"));
    }
    if spec.content_type != JSON {
        return Err(invalid("An envelope is JSON. Another content type needs a template.", "content_type"));
    }
    let Some(envelope) = spec.envelope.clone() else {
        return Err(invalid("A profile needs an envelope, or \"body\": \"template\" and a template.", "envelope"));
    };
    envelope.check()?;
    Ok(BodyFormat::Envelope { envelope, body: spelling })
}

/// Checks the value of the header `Content-Type`, by the rule of [`CONTENT_TYPE_PATTERN`].
fn check_content_type(spec: &ProfileSpec) -> Result<(), Invalid> {
    let text = &spec.content_type;
    let is_token = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let mut parts = text.split(';');
    let is_type = parts
        .next()
        .and_then(|text| text.split_once('/'))
        .is_some_and(|(kind, subtype)| is_token(kind, "!#$&^_.+-") && is_token(subtype, "!#$&^_.+-"));
    let is_parameter = |text: &str| {
        let text = text.strip_prefix(' ').unwrap_or(text);
        text.split_once('=').is_some_and(|(name, value)| is_token(name, "_-") && is_token(value, "_.-"))
    };
    if text.len() > 128 || !is_type || !parts.all(is_parameter) {
        let message = "A content type is a type, a slash and a subtype, such as text/plain; charset=utf-8.";
        return Err(invalid(message, "content_type"));
    }
    Ok(())
}

fn is_template(value: &str) -> bool {
    value.contains("{{") || value.contains("{%")
}

fn header_template(name: &str, value: &str) -> Result<Option<Template>, Invalid> {
    if !is_template(value) {
        return Ok(None);
    }
    let parsed = Template::parse(value, Use::Header);
    parsed.map(Some).map_err(|error| error.invalid(&format!("headers.{name}")))
}

/// Libraries read the id and the time of a request from these two headers, so they must contain nothing else (Standard
/// Webhooks 1.0.0).
fn standard_header(name: &str) -> Option<(&'static str, &'static str)> {
    [("webhook-id", "{id}"), ("webhook-timestamp", "{timestamp}")]
        .into_iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known))
}

fn check_no_header_twice(spec: &ProfileSpec, headers: &[(String, String)]) -> Result<(), Invalid> {
    let mut seen: Vec<String> = Vec::new();
    let signatures = spec.signatures.iter().map(|signature| &signature.header);
    for name in headers.iter().map(|(name, _)| name).chain(signatures) {
        let lower = name.to_ascii_lowercase();
        if seen.contains(&lower) {
            return Err(invalid(&format!("The header {name} is set twice."), "headers"));
        }
        seen.push(lower);
    }
    if seen.len() > 32 {
        return Err(invalid("A profile sets at most 32 headers.", "headers"));
    }
    Ok(())
}

fn check_challenge(challenge: &ChallengeSpec, envelope: Option<&Envelope>) -> Result<(), Invalid> {
    challenge.event.parse::<EventType>().map_err(|error| invalid(&error.message, "challenge.event"))?;
    if challenge.field.is_empty() || challenge.field.chars().count() > 64 {
        return Err(invalid("The name of the challenge field must be 1 to 64 characters.", "challenge.field"));
    }
    let mut fields = envelope.into_iter().flat_map(Envelope::challenge_fields);
    if fields.any(|(name, _)| name == challenge.field) {
        return Err(invalid("The envelope already has a field with this name.", "challenge.field"));
    }
    Ok(())
}

/// Whether a custom header may have this name, or it is one of the three of Standard Webhooks.
fn is_header_name(name: &str) -> bool {
    let standard = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    standard.contains(&name.to_ascii_lowercase().as_str())
        || CustomHeaders::parse(vec![(name.to_owned(), String::new())], &[]).is_ok()
}

/// HTTP does not preserve white space at either end.
pub(super) fn is_header_value(text: &str) -> bool {
    text.len() <= 1024 && is_printable(text) && text.trim() == text
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

fn has_unknown_placeholder(text: &str, known: &[&str]) -> bool {
    let mut rest = text.to_owned();
    for placeholder in known {
        rest = rest.replace(placeholder, "");
    }
    rest.contains('{') || rest.contains('}')
}
