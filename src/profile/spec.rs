//! Fields of a profile.

mod checks;

pub(super) use checks::is_header_value;
use checks::{
    check_challenge, check_content_type, check_name, check_no_header_twice, header_template, invalid, parse_format,
    parse_headers,
};
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::Invalid;
use crate::domain::event::EventType;
use crate::domain::header::{self};
use crate::domain::json::object;
use crate::domain::problems::Problems;
use crate::domain::retry::{Gone, Schedule, ScheduleSpec};
use crate::profile::body_format::{Body, BodyFormat, Envelope};
use crate::profile::endpoint::EndpointSpec;
use crate::profile::template::{self, Template};

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
        let mut problems = Problems::default();
        problems.check(check_name(&spec.name));
        if spec.title.chars().count() > 256 {
            problems.add(invalid("A title is at most 256 characters.", "title"));
        }
        problems.check(check_content_type(&spec));
        let form = problems.check(parse_format(&spec));
        let headers = problems.check(parse_headers(&spec)).unwrap_or_default();
        let templates = headers.iter().map(|(name, value)| header_template(name, value));
        let header_templates = templates.filter_map(|template| problems.check(template)).collect();
        for (index, signature) in spec.signatures.iter().enumerate() {
            let checked = signature.check();
            problems.check(checked.map_err(|(field, why)| invalid(why, &format!("signatures[{index}].{field}"))));
        }
        problems.check(check_no_header_twice(&spec, &headers));
        if let Some(challenge) = &spec.challenge {
            problems.check(check_challenge(challenge, spec.envelope.as_ref()));
        }
        if let Some(endpoint) = &spec.endpoint {
            let checked = endpoint.check();
            problems.check(checked.map_err(|(field, why)| invalid(&why, &format!("endpoint.{field}"))));
        }
        if let Some(example) = &spec.example {
            let checked = example.event_type.parse::<EventType>();
            problems.check(checked.map_err(|error| invalid(&error.message, "example.type")));
        }
        let schedule = problems.check(Schedule::parse(&spec.retry));
        problems.end()?;
        let form = form.expect("a format that could not be parsed is a problem");
        let schedule = schedule.expect("a schedule that could not be parsed is a problem");
        Ok(Profile { form, schedule, headers, header_templates, spec })
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
