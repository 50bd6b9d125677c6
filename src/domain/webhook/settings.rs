//! Settings of a webhook as a caller gives them, and their validation.

use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::labels::{ExternalId, metadata_schema, parse_metadata};
use super::{Limits, Webhook};
use crate::domain::Invalid;
use crate::domain::endpoint_auth::{AuthSpec, EndpointAuth};
use crate::domain::event::{EventType, Tenant};
use crate::domain::filter::{self, FilterText};
use crate::domain::header::{self, CustomHeaders};
use crate::domain::json::{Object, whole};
use crate::domain::pattern::EventPattern;
use crate::domain::problems::Problems;
use crate::domain::retry::{RetrySettings, Schedule};
use crate::domain::secret::Secret;
use crate::domain::signing::Signing;
use crate::domain::target::{MAX_URL_BYTES, TargetUrl};
use crate::domain::tls::{TlsSettings, without_key};

/// Settings of a webhook as a caller gives them, to create or change one. An absent field keeps its value, which for a
/// new webhook is the default. Where `null` has a meaning, it is `Some(None)`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// Endpoint URL. HTTPS, without user or fragment. Plain HTTP and private addresses must be allowed by the server's
    /// `--allow-target`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_URL_BYTES), regex(pattern = TargetUrl::PATTERN))]
    pub url: Option<String>,
    /// Event types to subscribe to: names, `content.*` for everything below `content`, `*` for everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), inner(regex(pattern = EventPattern::PATTERN), length(max = EventType::MAX_BYTES)))]
    pub events: Option<Vec<String>>,
    /// Condition on the content of events, in the shape of an event. The description of webhooks lists its operators.
    /// `null`: none (default).
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "filter::schema")]
    pub filter: Option<Option<FilterText>>,
    /// Tenant whose events the webhook receives. Default: the key's tenant, or `default`. Cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = Tenant::PATTERN))]
    pub tenant: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_DESCRIPTION), regex(pattern = DESCRIPTION_PATTERN))]
    pub description: Option<String>,
    /// The application's own id of the webhook, unique in its tenant. `null`: none (default).
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = ExternalId::PATTERN))]
    pub external_id: Option<Option<String>>,
    /// The application's own facts about the webhook: up to 50 texts by name. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "metadata_schema")]
    pub metadata: Option<Map<String, Value>>,
    /// `false` pauses the webhook, `true` resumes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// With `active: true`: `resume` (default) or `discard` the queued deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["resume", "discard", null]))]
    pub waiting: Option<String>,
    /// Profile that formats and signs the deliveries. Default: the key's profile, or the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = PROFILE_NAME_PATTERN))]
    pub profile: Option<String>,
    /// Signing secret. Default: generated. A change takes effect at once; rotate the secret for an overlap.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = Secret::PATTERN))]
    pub secret: Option<String>,
    /// Headers of every delivery, in addition to the profile's. A masked value keeps the stored one, unless the URL gets another scheme, host or port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "headers_schema")]
    pub headers: Option<HeaderMap>,
    /// Authentication to the endpoint. `null`: none (default).
    #[serde(deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    pub auth: Option<Option<AuthSpec>>,
    /// Timeout of an attempt in seconds, over all phases. Default: 5.
    #[serde(deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 30))]
    pub timeout_s: Option<u32>,
    /// Maximum concurrent requests. Default: 8.
    #[serde(deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub max_in_flight: Option<u32>,
    /// Maximum requests per second. `null`: unlimited (default).
    #[serde(deserialize_with = "present_whole", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000))]
    pub rate_limit_per_s: Option<Option<u32>>,
    /// Whether to deliver events strictly one after the other, in order. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// Retry schedule. What it leaves out is as in the profile. `null`: the profile's (default).
    #[serde(deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    pub retry: Option<Option<RetrySettings>>,
    /// Whether deliveries carry the Standard Webhooks headers in addition to the profile's. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_headers: Option<bool>,
    /// Signatures of deliveries: `hmac` with the secret (default), `ed25519` with a generated key pair, whose `public_key`
    /// receivers verify with, in the Standard Webhooks header `webhook-signature` and no other, or `both`. `ed25519` and
    /// `both` need `standard_headers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
    /// Template of the body, in place of the profile's format. The result must be JSON, unless the profile has another content type. `null`: the profile's format (default).
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32_768))]
    pub template: Option<Option<String>>,
    /// Client certificate, and authorities to trust in addition to the public ones. `null`: none (default).
    #[serde(deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    pub tls: Option<Option<TlsSettings>>,
}

/// Facts of a profile for the settings of its webhooks.
#[derive(Debug)]
pub struct ProfileFacts<'a> {
    /// Names of the headers that the profile sets, in lower case.
    pub header_names: Vec<String>,
    pub schedule: &'a Schedule,
}

impl WebhookSettings {
    /// Names of the settings given, without `active` and `waiting`.
    pub fn names(&self) -> Vec<String> {
        given(self).into_iter().filter(|name| name != "active" && name != "waiting").collect()
    }

    /// Applies the settings to a webhook, apart from `tenant`, `active` and `waiting`.
    ///
    /// # Errors
    /// All problems, with their fields.
    pub fn apply(self, webhook: &mut Webhook, profile: &ProfileFacts<'_>) -> Result<(), Invalid> {
        let mut problems = Problems::default();
        let reserved = &profile.header_names;
        let is_profile_given = self.profile.is_some();
        let origin = webhook.url.origin().to_owned();
        if let Some(url) = self.url.and_then(|text| problems.check(parse_url(&text))) {
            webhook.url = url;
        }
        let is_moved = webhook.url.origin() != origin;
        if let Some(events) = self.events.and_then(|events| problems.check(parse_events(&events))) {
            webhook.events = events;
        }
        if let Some(filter) = self.filter {
            let filter = filter.map(|FilterText(text)| text.parse().map(Arc::new)).transpose();
            webhook.filter = problems.check(filter).flatten();
        }
        if let Some(text) = self.description.and_then(|text| problems.check(parse_description(text))) {
            webhook.description = text;
        }
        if let Some(id) = self.external_id {
            webhook.external_id = problems.check(id.map(|text| text.parse()).transpose()).flatten();
        }
        if let Some(metadata) = self.metadata.and_then(|given| problems.check(parse_metadata(given))) {
            webhook.metadata = metadata;
        }
        if let Some(profile) = self.profile {
            webhook.profile = profile;
        }
        let in_secret = |invalid: Invalid| invalid.in_field("secret");
        if let Some(secret) = self.secret.and_then(|text| problems.check(text.parse().map_err(in_secret))) {
            webhook.secret = secret;
            webhook.old_secret = None;
        }
        let headers = webhook.headers.clone();
        let headers = match self.headers {
            Some(map) => parse_headers(map, reserved).and_then(|given| given.unmasked(&headers, is_moved)),
            None if is_moved => headers.check(reserved).and_then(CustomHeaders::without_secrets),
            // The new profile may set a header that the webhook sets too.
            None if is_profile_given => headers.check(reserved),
            None => Ok(headers),
        };
        if let Some(headers) = problems.check(headers) {
            webhook.headers = headers;
        }
        let auth = EndpointAuth::changed(self.auth, webhook.auth.take(), is_moved);
        webhook.auth = problems.check(auth).flatten();
        if webhook.auth.is_some() {
            problems.check(EndpointAuth::check_headers(&webhook.headers, reserved));
        }
        let limits = webhook.limits;
        webhook.limits = Limits {
            timeout_s: self.timeout_s.unwrap_or(limits.timeout_s),
            max_in_flight: self.max_in_flight.unwrap_or(limits.max_in_flight),
            rate_limit_per_s: self.rate_limit_per_s.unwrap_or(limits.rate_limit_per_s),
        };
        problems.check(webhook.limits.check());
        webhook.ordered = self.ordered.unwrap_or(webhook.ordered);
        if let Some(retry) = self.retry {
            // Without a field, all of it is as in the profile.
            let own = retry.filter(|retry| *retry != RetrySettings::default());
            let retry = own.map(|retry| retry.schedule(profile.schedule)).transpose();
            webhook.retry = problems.check(retry).flatten();
        }
        webhook.standard_headers = self.standard_headers.unwrap_or(webhook.standard_headers);
        webhook.signing = self.signing.unwrap_or(webhook.signing);
        problems.check(check_signing(webhook));
        webhook.template = self.template.unwrap_or(webhook.template.take());
        let tls = match self.tls {
            Some(None) => Ok(None),
            Some(Some(given)) => given.apply(webhook.tls.as_deref(), is_moved).map(|tls| tls.map(Arc::new)),
            None if is_moved => webhook.tls.take().map(without_key).transpose(),
            None => Ok(webhook.tls.take()),
        };
        webhook.tls = problems.check(tls).flatten();
        problems.end()
    }
}

/// Names of the fields given.
pub(in crate::domain) fn given(settings: &impl Serialize) -> Vec<String> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

/// Distinguishes `null` from an absent field.
pub(in crate::domain) fn present_object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    let object = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(Some(object.map(|Object(fields)| fields)))
}

fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn present_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    whole(deserializer).map(Some)
}

fn check_signing(webhook: &Webhook) -> Result<(), Invalid> {
    if webhook.standard_headers || !webhook.signing.has_ed25519() {
        return Ok(());
    }
    let message = "Ed25519 signatures are in the Standard Webhooks header webhook-signature. Turn standard_headers on, or set signing to hmac.";
    Err(Invalid::new("signing_without_standard_headers", message).in_field("signing"))
}

/// Custom headers as JSON: an object of strings, in order.
pub type HeaderMap = Map<String, Value>;

/// Schema of custom headers. Cannot express that the profile's own headers are refused too.
pub(in crate::domain) fn headers_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["object", "null"],
        "maxProperties": header::MAX_HEADERS,
        "propertyNames": {"pattern": header::NAME_PATTERN, "not": {"pattern": header::reserved_pattern()}},
        "additionalProperties": {"type": "string", "maxLength": header::MAX_VALUE_BYTES, "pattern": header::VALUE_PATTERN},
    })
}

fn parse_headers(map: HeaderMap, reserved: &[String]) -> Result<CustomHeaders, Invalid> {
    let text = |(name, value)| match value {
        Value::String(value) => Ok((name, value)),
        _ => {
            Err(Invalid::new("invalid_header", "A header value must be a string.").in_field(format!("headers.{name}")))
        }
    };
    CustomHeaders::parse(map.into_iter().map(text).collect::<Result<_, _>>()?, reserved)
}

/// Parses an endpoint URL. The error names the field `url`.
pub fn parse_url(text: &str) -> Result<TargetUrl, Invalid> {
    text.parse().map_err(|invalid: Invalid| invalid.in_field("url"))
}

/// Parses a webhook's event patterns: 1 to 256, without duplicates.
pub fn parse_events(texts: &[String]) -> Result<Vec<EventPattern>, Invalid> {
    if texts.is_empty() || texts.len() > 256 {
        let message = "Choose 1 to 256 event types or patterns. [\"*\"] subscribes to all events.";
        return Err(Invalid::new("invalid_events", message).in_field("events"));
    }
    let mut problems = Problems::default();
    let mut patterns: Vec<EventPattern> = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let parsed = text.parse().map_err(|invalid: Invalid| invalid.in_field(format!("events[{index}]")));
        patterns.extend(problems.check(parsed).filter(|pattern| !patterns.contains(pattern)));
    }
    problems.end().map(|()| patterns)
}

/// Pattern of the name of a profile.
pub const PROFILE_NAME_PATTERN: &str = "^[a-z0-9_-]{1,64}$";
/// Pattern of a description, without its maximum length.
pub const DESCRIPTION_PATTERN: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";
/// Maximum characters of a description.
pub const MAX_DESCRIPTION: usize = 1024;

/// Checks a description: at most 1,024 characters, no control characters except line breaks and tabs.
fn parse_description(text: String) -> Result<String, Invalid> {
    let is_refused = |c: char| c.is_control() && c != '\n' && c != '\t' && c != '\r';
    if text.chars().count() > MAX_DESCRIPTION || text.contains(is_refused) {
        let message = "A description has at most 1024 characters and no control characters.";
        return Err(Invalid::new("invalid_description", message).in_field("description"));
    }
    Ok(text)
}
