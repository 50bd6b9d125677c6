//! Settings of a contact as a caller gives them, and their validation.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Contact, EmailAddress, QuietHours, QuietHoursSpec, Scope, Topic, WebhookPattern};
use crate::domain::Invalid;
use crate::domain::endpoint_auth::AuthSpec;
use crate::domain::event::Tenant;
use crate::domain::json::Object;
use crate::domain::problems::Problems;
use crate::domain::secret::Secret;
use crate::domain::target::{MAX_URL_BYTES, TargetUrl};
use crate::domain::webhook::{HeaderMap, PROFILE_NAME_PATTERN, WebhookSettings, given, headers_schema, present_object};

/// Pattern of a contact's name, without its maximum length.
pub const NAME_PATTERN: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// Settings of a contact as a caller gives them, to create or change one. An absent field keeps its value, which for a new
/// contact is the default.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContactSettings {
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = super::MAX_NAME), regex(pattern = NAME_PATTERN))]
    pub name: Option<String>,
    /// Tenant that owns the contact, and whose webhooks it is told about. Default: the key's tenant, or the operator. Cannot
    /// be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = Tenant::PATTERN))]
    pub tenant: Option<String>,
    /// Address of an e-mail contact. A tenant's address gets messages once it is confirmed by the link in an e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = EmailAddress::MAX_BYTES))]
    pub email: Option<String>,
    /// Endpoint of a webhook contact. Give either this or `email`.
    #[serde(deserialize_with = "object_or_null", skip_serializing_if = "Option::is_none")]
    pub webhook: Option<ContactWebhook>,
    /// Webhooks that the contact is told about. Default: all of its owner's.
    #[serde(deserialize_with = "object_or_null", skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeSpec>,
    /// Messages that the contact gets. Default: all except `digest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub topics: Option<Vec<Topic>>,
    /// Hours of each day in which messages wait. They are joined into one. `null`: none (default).
    #[serde(deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<Option<QuietHoursSpec>>,
}

fn object_or_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let given = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(given.map(|Object(fields)| fields))
}

/// Webhooks that a contact is told about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ContactScope")]
pub struct ScopeSpec {
    /// Tenant of the webhooks. `null`: all tenants. A tenant's contact is limited to that tenant.
    #[schemars(regex(pattern = Tenant::PATTERN))]
    pub tenant: Option<String>,
    /// Patterns of which one must match a webhook's id, name or host, in any case. `*` stands for any characters. Empty: all
    /// webhooks.
    #[schemars(length(max = super::MAX_PATTERNS), inner(length(min = 1, max = WebhookPattern::MAX_CHARS)))]
    pub webhooks: Vec<String>,
}

impl From<&Scope> for ScopeSpec {
    fn from(scope: &Scope) -> ScopeSpec {
        ScopeSpec {
            tenant: scope.tenant.as_ref().map(ToString::to_string),
            webhooks: scope.webhooks.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Endpoint of a contact, with the settings of a webhook that apply to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ContactWebhookSettings")]
pub struct ContactWebhook {
    /// Endpoint URL. HTTPS, without user or fragment. Plain HTTP and private addresses must be allowed by the server's
    /// `--allow-target`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_URL_BYTES), regex(pattern = TargetUrl::PATTERN))]
    pub url: Option<String>,
    /// Profile that formats and signs the messages, such as `slack`. Default: the key's profile, or the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = PROFILE_NAME_PATTERN))]
    pub profile: Option<String>,
    /// Signing secret. Default: generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = Secret::PATTERN))]
    pub secret: Option<String>,
    /// Headers of every message, in addition to the profile's, such as `X-Routing-Key` of PagerDuty. A masked
    /// value keeps the stored one, unless the URL gets another scheme, host or port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "headers_schema")]
    pub headers: Option<HeaderMap>,
    /// Authentication to the endpoint. `null`: none (default).
    #[serde(deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    pub auth: Option<Option<AuthSpec>>,
}

impl From<ContactWebhook> for WebhookSettings {
    fn from(given: ContactWebhook) -> WebhookSettings {
        let ContactWebhook { url, profile, secret, headers, auth } = given;
        WebhookSettings { url, profile, secret, headers, auth, ..WebhookSettings::default() }
    }
}

impl ContactSettings {
    /// Names of the settings given.
    pub fn names(&self) -> Vec<String> {
        given(self)
    }

    /// Applies the settings to a contact, apart from `tenant`, `email` and `webhook`.
    ///
    /// # Errors
    /// All problems, with their fields.
    pub fn apply(&self, contact: &mut Contact) -> Result<(), Invalid> {
        let mut problems = Problems::default();
        if let Some(name) = self.name.as_ref().and_then(|name| problems.check(super::parse_name(name))) {
            contact.name = name;
        }
        let owner = contact.tenant.as_ref();
        if let Some(scope) = self.scope.as_ref().and_then(|spec| problems.check(parse_scope(spec, owner))) {
            contact.scope = scope;
        }
        if let Some(topics) = self.topics.as_ref().and_then(|topics| problems.check(parse_topics(topics, owner))) {
            contact.topics = topics;
        }
        if let Some(spec) = &self.quiet_hours {
            contact.quiet_hours = problems.check(spec.as_ref().map(QuietHours::parse).transpose()).flatten();
        }
        problems.end()
    }
}

fn parse_scope(spec: &ScopeSpec, owner: Option<&Tenant>) -> Result<Scope, Invalid> {
    let in_field = |invalid: Invalid| invalid.in_field("scope.tenant");
    let named: Option<Tenant> = spec.tenant.as_deref().map(|text| text.parse().map_err(in_field)).transpose()?;
    if owner.is_some() && named.is_some() && named.as_ref() != owner {
        let message = "A tenant's contact is told about the webhooks of that tenant only.";
        return Err(in_field(Invalid::new("invalid_scope", message)));
    }
    if spec.webhooks.len() > super::MAX_PATTERNS {
        let message = format!("A contact has at most {} patterns.", super::MAX_PATTERNS);
        return Err(Invalid::new("invalid_pattern", message).in_field("scope.webhooks"));
    }
    let mut problems = Problems::default();
    let parse = |(index, text): (usize, &String)| {
        let in_field = |invalid: Invalid| invalid.in_field(format!("scope.webhooks[{index}]"));
        problems.check(text.parse().map_err(in_field))
    };
    let webhooks = spec.webhooks.iter().enumerate().filter_map(parse).collect();
    problems.end().map(|()| Scope { tenant: owner.cloned().or(named), webhooks })
}

fn parse_topics(topics: &[Topic], owner: Option<&Tenant>) -> Result<BTreeSet<Topic>, Invalid> {
    let invalid = |message: String| Err(Invalid::new("invalid_topics", message).in_field("topics"));
    if topics.is_empty() {
        return invalid("Choose at least one kind of message.".to_owned());
    }
    if let Some(topic) = topics.iter().find(|topic| !topic.is_for(owner)) {
        return invalid(format!("Only contacts of the operator get messages of the kind {topic}."));
    }
    Ok(topics.iter().copied().collect())
}
