//! Webhooks that a contact is told about.

use std::fmt;
use std::str::FromStr;

use crate::domain::Invalid;
use crate::domain::event::Tenant;
use crate::domain::id::WebhookId;
use crate::domain::webhook::{self, Webhook};

/// Patterns of one contact at most.
pub const MAX_PATTERNS: usize = 50;

/// Webhooks that a contact is told about: those of a tenant, or of all, that match one of the patterns, or any if there
/// are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    pub tenant: Option<Tenant>,
    pub webhooks: Vec<WebhookPattern>,
}

/// Facts about a webhook that a scope selects by. Also known of one that was deleted.
#[derive(Debug, Clone, Copy)]
pub struct ScopedWebhook<'a> {
    pub tenant: &'a Tenant,
    pub id: WebhookId,
    pub description: &'a str,
    pub url: &'a str,
    /// With or without the port.
    pub host: &'a str,
}

impl<'a> From<&'a Webhook> for ScopedWebhook<'a> {
    fn from(webhook: &'a Webhook) -> ScopedWebhook<'a> {
        let Webhook { tenant, id, description, url, .. } = webhook;
        ScopedWebhook { tenant, id: *id, description, url: url.as_str(), host: url.host_key() }
    }
}

impl Scope {
    /// Whether the scope has this webhook in it.
    pub fn covers<'a>(&self, webhook: impl Into<ScopedWebhook<'a>>) -> bool {
        let webhook = webhook.into();
        if self.tenant.as_ref().is_some_and(|tenant| tenant != webhook.tenant) {
            return false;
        }
        self.webhooks.is_empty() || self.webhooks.iter().any(|pattern| pattern.matches(&webhook))
    }

    /// Whether the scope has every webhook in it.
    pub fn is_all(&self) -> bool {
        self.tenant.is_none() && self.webhooks.is_empty()
    }
}

/// Pattern of a webhook's id, name or host, in any case. `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookPattern(Box<str>);

impl WebhookPattern {
    pub const MAX_CHARS: usize = 100;

    /// Pattern in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn matches(&self, webhook: &ScopedWebhook<'_>) -> bool {
        let is_match = |text: &str| is_like(&self.0, &text.to_lowercase());
        let host = webhook.host.rsplit_once(':').map_or(webhook.host, |(host, _)| host);
        is_match(host)
            || is_match(webhook.host)
            || is_match(&webhook.id.to_string())
            || is_match(&webhook::name(webhook.description, webhook.url))
    }
}

/// Whether a text is like a pattern with `*`. Steps grow with the product of the lengths at most.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(last) = parts.next_back() else { return pattern == text };
    let Some(rest) = text.strip_prefix(first) else { return false };
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

impl FromStr for WebhookPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<WebhookPattern, Invalid> {
        let text = text.trim();
        let chars = text.chars().count();
        if (1..=WebhookPattern::MAX_CHARS).contains(&chars) && !text.chars().any(char::is_control) {
            return Ok(WebhookPattern(text.to_lowercase().into()));
        }
        let message = "A pattern has 1 to 100 characters, such as *.example.com or billing*.";
        Err(Invalid::new("invalid_pattern", message).in_field("scope.webhooks"))
    }
}

impl fmt::Display for WebhookPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(tenant: Option<&str>, patterns: &[&str]) -> Scope {
        Scope {
            tenant: tenant.map(|text| text.parse().unwrap()),
            webhooks: patterns.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn a_scope_is_a_tenant_and_patterns_of_ids_names_and_hosts() {
        let (acme, id) = ("acme".parse().unwrap(), WebhookId::from_bytes([7; 16]));
        let webhook = ScopedWebhook {
            tenant: &acme,
            id,
            description: "Billing of Acme\nsecond line",
            url: "https://hooks.acme.example:8443/in",
            host: "hooks.acme.example:8443",
        };
        for (tenant, patterns, expected) in [
            (None, &[][..], true),
            (Some("acme"), &[], true),
            (Some("globex"), &[], false),
            (Some("globex"), &["*"], false),
            (None, &["*"], true),
            (None, &["billing"], false),
            (None, &["BILLING*"], true),
            (None, &["billing of acme"], true),
            (None, &["*second*"], false),
            (None, &["hooks.acme.example"], true),
            (None, &["hooks.acme.example:8443"], true),
            (None, &["*.acme.example"], true),
            (None, &["*.example:*"], true),
            (None, &["acme.example"], false),
            (None, &["globex*", "hooks.*.example"], true),
            (None, &[&id.to_string()], true),
            (None, &["wh_*"], true),
        ] {
            assert_eq!(scope(tenant, patterns).covers(webhook), expected, "{tenant:?} {patterns:?}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters_and_the_rest_for_itself() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("**", "x", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("*b*b*", "ab", false),
            ("*.com", "x.com", true),
            ("*.com", "com", false),
            ("x.c?m", "x.com", false),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
