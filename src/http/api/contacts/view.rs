//! Contacts in responses.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::actions::contact::ContactInFull;
use crate::domain::contact::{Channel, QuietHoursSpec, ScopeSpec, Topic};
use crate::domain::endpoint_auth::{AuthSpec, EndpointAuth};
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::http::api::schema::{ContactId, ContactStatus, ProfileName, TenantName, Time, WebhookId};
use crate::http::api::webhooks::view::{masked_auth, shown_headers};

/// Example of a contact, without its closing brace.
pub(super) const EXAMPLE: &str = r#"{"id": "ct_01KF0AVD80W0PPFFQY8AY3BFJE", "tenant": null, "name": "On call", "email": null,
    "webhook": {"webhook_id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB", "url": "https://hooks.slack.com/services/T0/B0/x",
        "profile": "slack", "headers": {}, "auth": null},
    "scope": {"tenant": null, "webhooks": []}, "topics": ["opened", "reminder", "closed"],
    "quiet_hours": {"from": "22:00", "to": "07:00", "time_zone": "Europe/Berlin"}, "status": "ok",
    "last_told_at": "2026-01-15T10:36:00.000Z", "failing_since": null, "last_error": null,
    "created_at": "2026-01-15T10:00:00.000Z", "updated_at": "2026-01-15T10:00:00.000Z""#;

/// A person or system that is told about incidents.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Contact")]
pub(super) struct ContactView {
    id: ContactId,
    /// Tenant that owns the contact; `null` for the operator.
    tenant: Option<TenantName>,
    name: String,
    /// Address of an e-mail contact.
    email: Option<String>,
    /// Endpoint of a webhook contact.
    webhook: Option<EndpointView>,
    /// Webhooks that the contact is told about.
    scope: ScopeSpec,
    /// Messages that the contact gets.
    topics: Vec<Topic>,
    quiet_hours: Option<QuietHoursSpec>,
    status: ContactStatus,
    /// Last message that was delivered.
    last_told_at: Option<Time>,
    /// First failed attempt since the last message that was delivered.
    failing_since: Option<Time>,
    /// Why the last attempt failed.
    last_error: Option<String>,
    created_at: Time,
    updated_at: Time,
}

/// Endpoint of a contact. Only the response to its creation contains the secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ContactWebhook")]
struct EndpointView {
    /// Webhook in the tenant `hookpost` whose deliveries are the messages.
    webhook_id: WebhookId,
    url: String,
    profile: ProfileName,
    /// Values are masked if the name contains `auth`, `token`, `key`, `secret` or `cookie`.
    #[schemars(with = "BTreeMap<String, String>")]
    headers: Map<String, Value>,
    /// Authentication to the endpoint, with masked secrets.
    #[schemars(schema_with = "masked_auth")]
    auth: Option<AuthSpec>,
    /// Secret that signs the messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    secret: Option<String>,
    /// The secret in the form that Standard Webhooks libraries expect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    standard_secret: Option<String>,
}

impl EndpointView {
    fn of(webhook: &Webhook) -> EndpointView {
        EndpointView {
            webhook_id: webhook.id.into(),
            url: webhook.url.to_string(),
            profile: (&webhook.profile).into(),
            headers: shown_headers(&webhook.headers),
            auth: webhook.auth.as_ref().map(EndpointAuth::masked),
            secret: None,
            standard_secret: None,
        }
    }
}

impl ContactView {
    pub(super) fn of(full: &ContactInFull, now: Millis) -> ContactView {
        let ContactInFull { contact, webhook } = full;
        let status = &contact.status;
        ContactView {
            id: contact.id.into(),
            tenant: contact.tenant.as_ref().map(TenantName::from),
            name: contact.name.clone(),
            email: match &contact.channel {
                Channel::Email { address, .. } => Some(address.to_string()),
                Channel::Webhook { .. } => None,
            },
            webhook: webhook.as_deref().map(EndpointView::of),
            scope: (&contact.scope).into(),
            topics: contact.topics.iter().copied().collect(),
            quiet_hours: contact.quiet_hours.as_ref().map(|hours| hours.spec()),
            status: contact.health(now).into(),
            last_told_at: status.told_ms.map(Time::at),
            failing_since: status.failing_since_ms.map(Time::at),
            last_error: status.error.clone(),
            created_at: Time::at(contact.created_ms),
            updated_at: Time::at(contact.updated_ms),
        }
    }

    pub(super) fn with_secret(full: &ContactInFull, now: Millis) -> ContactView {
        let mut view = ContactView::of(full, now);
        if let (Some(endpoint), Some(webhook)) = (&mut view.webhook, &full.webhook) {
            endpoint.secret = Some(webhook.secret.as_str().to_owned());
            endpoint.standard_secret = Some(webhook.secret.standard_form());
        }
        view
    }
}
