//! Validation of a profile's fields.

use super::{ChallengeSpec, JSON, ProfileSpec, SignatureSpec};
use crate::domain::Invalid;
use crate::domain::event::EventType;
use crate::domain::header::CustomHeaders;
use crate::profile::body_format::{Body, BodyFormat, Envelope, Spelling};
use crate::profile::template::{Template, Use};

impl SignatureSpec {
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
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

pub fn invalid(why: &str, field: &str) -> Invalid {
    Invalid::new("invalid_profile", why).in_field(field)
}

pub fn check_name(name: &str) -> Result<(), Invalid> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if (1..=64).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(invalid("A profile's name is 1 to 64 of the characters a-z 0-9 _ -.", "name"))
}

pub fn parse_headers(spec: &ProfileSpec) -> Result<Vec<(String, String)>, Invalid> {
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
pub fn parse_format(spec: &ProfileSpec) -> Result<BodyFormat, Invalid> {
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
pub fn check_content_type(spec: &ProfileSpec) -> Result<(), Invalid> {
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

pub fn is_template(value: &str) -> bool {
    value.contains("{{") || value.contains("{%")
}

pub fn header_template(name: &str, value: &str) -> Result<Option<Template>, Invalid> {
    if !is_template(value) {
        return Ok(None);
    }
    let parsed = Template::parse(value, Use::Header);
    parsed.map(Some).map_err(|error| error.invalid(&format!("headers.{name}")))
}

/// Libraries read the id and the time of a request from these two headers, so they must contain nothing else (Standard
/// Webhooks 1.0.0).
pub fn standard_header(name: &str) -> Option<(&'static str, &'static str)> {
    [("webhook-id", "{id}"), ("webhook-timestamp", "{timestamp}")]
        .into_iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known))
}

pub fn check_no_header_twice(spec: &ProfileSpec, headers: &[(String, String)]) -> Result<(), Invalid> {
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

pub fn check_challenge(challenge: &ChallengeSpec, envelope: Option<&Envelope>) -> Result<(), Invalid> {
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
pub fn is_header_name(name: &str) -> bool {
    let standard = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    standard.contains(&name.to_ascii_lowercase().as_str())
        || CustomHeaders::parse(vec![(name.to_owned(), String::new())], &[]).is_ok()
}

/// HTTP does not preserve white space at either end.
pub(in crate::profile) fn is_header_value(text: &str) -> bool {
    text.len() <= 1024 && is_printable(text) && text.trim() == text
}

pub fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

pub fn has_unknown_placeholder(text: &str, known: &[&str]) -> bool {
    let mut rest = text.to_owned();
    for placeholder in known {
        rest = rest.replace(placeholder, "");
    }
    rest.contains('{') || rest.contains('}')
}
