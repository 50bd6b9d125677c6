//! Webhooks in responses.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::domain::endpoint_auth::{AuthSpec, EndpointAuth};
use crate::domain::header::CustomHeaders;
use crate::domain::id::WebhookId;
use crate::domain::retry::ScheduleSpec;
use crate::domain::signing::Signing;
use crate::domain::webhook::{Metadata, Webhook, WebhookState};
use crate::domain::{filter, header};
use crate::http::api::certificates::TlsView;
use crate::http::api::incidents::ConditionView;
use crate::http::api::schema;
use crate::store::incident::read::{self, Condition};
use crate::store::{Connection, StoreError};

/// Example of a webhook, without its closing brace.
pub(super) const EXAMPLE: &str = r#"{"id": "wh_01KF0AVD80Q5RJBBPG8YQH7XWB", "tenant": "default", "url": "https://hooks.example/orders",
    "description": "", "external_id": null, "metadata": {}, "events": ["content.*"], "filter": null, "profile": "generic", "state": "active", "active": true, "disabled_at": null,
    "disabled_reason": null, "headers": {}, "auth": null, "timeout_s": 5, "max_in_flight": 8, "rate_limit_per_s": null, "ordered": false,
    "retry": null, "standard_headers": true, "signing": "hmac", "public_key": null, "template": null, "tls": null, "health": "healthy", "failing_since": null,
    "last_success_at": "2026-01-15T10:02:00.000Z", "incident": null,
    "created_at": "2026-01-15T10:00:00.000Z",
    "updated_at": "2026-01-15T10:00:00.000Z""#;

/// Example of the fields of a secret.
pub(in crate::http::api) const SECRETS: &str = r#""secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "standard_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw""#;

/// A webhook. Its secret is not in responses other than that to its creation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub(in crate::http::api) struct WebhookView {
    id: schema::WebhookId,
    tenant: schema::TenantName,
    /// Destination of deliveries.
    url: String,
    /// Note for people.
    description: String,
    /// The application's own id of the webhook.
    external_id: Option<schema::ExternalId>,
    /// The application's own facts about the webhook.
    metadata: Metadata,
    /// Subscribed event types.
    events: Vec<schema::EventTypePattern>,
    /// Condition on the content of events, as given.
    #[schemars(schema_with = "filter::schema")]
    filter: Option<Box<RawValue>>,
    /// Format of deliveries.
    profile: schema::ProfileName,
    state: schema::WebhookState,
    /// Whether the state is `active`.
    active: bool,
    /// When Hookpost disabled the webhook.
    disabled_at: Option<schema::Time>,
    /// Reason why the webhook is disabled or unverified.
    disabled_reason: Option<String>,
    /// Additional headers of every delivery. Values are masked if the name contains `auth`, `token`, `key`, `secret` or `cookie`.
    #[schemars(with = "BTreeMap<String, String>")]
    headers: Map<String, Value>,
    /// Authentication to the endpoint, with masked secrets.
    #[schemars(schema_with = "masked_auth")]
    auth: Option<AuthSpec>,
    /// Timeout of an attempt in seconds, over all its phases.
    timeout_s: u32,
    /// Largest number of concurrent requests.
    max_in_flight: u32,
    /// Largest number of requests per second.
    rate_limit_per_s: Option<u32>,
    /// Whether events are delivered strictly one after the other.
    ordered: bool,
    /// Retry schedule that replaces the profile's.
    retry: Option<ScheduleSpec>,
    /// Whether deliveries also have the Standard Webhooks headers.
    standard_headers: bool,
    /// Signatures of deliveries.
    signing: Signing,
    /// Key that verifies Ed25519 signatures. Null until `signing` first needs it.
    public_key: Option<schema::PublicKey>,
    /// Template of the body, in place of the profile's format.
    template: Option<String>,
    /// Client certificate and additional authorities.
    tls: Option<TlsView>,
    #[serde(flatten)]
    condition: ConditionView,
    created_at: schema::Time,
    updated_at: schema::Time,
}

/// A new webhook with its secret, which only this response contains.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedWebhook")]
pub(super) struct CreatedView {
    #[serde(flatten)]
    webhook: WebhookView,
    /// Secret that signs deliveries.
    secret: String,
    /// The secret in the form that Standard Webhooks libraries expect.
    standard_secret: String,
    /// Other webhooks of the tenant with the same URL and event types: up to 10, newest first.
    similar: Vec<schema::WebhookId>,
}

impl CreatedView {
    pub(super) fn of(webhook: &Webhook, similar: Vec<WebhookId>) -> CreatedView {
        CreatedView {
            webhook: WebhookView::of(webhook, None),
            secret: webhook.secret.as_str().to_owned(),
            standard_secret: webhook.secret.standard_form(),
            similar: similar.into_iter().map(schema::WebhookId::from).collect(),
        }
    }
}

/// Schema of [`AuthSpec`] in responses: each secret is a mask.
pub(in crate::http::api) fn masked_auth(generator: &mut SchemaGenerator) -> Schema {
    let mut kinds = AuthSpec::json_schema(generator);
    if let Some(Value::Array(kinds)) = kinds.get_mut("oneOf") {
        for kind in &mut *kinds {
            for secret in ["password", "token", "client_secret"] {
                if let Some(property) = kind["properties"].get_mut(secret) {
                    *property = json!({"type": "string", "description": format!("Masked: `{}`.", header::MASK)});
                }
            }
        }
        kinds.push(json!({"type": "null"}));
    }
    kinds
}

/// Returns custom headers with masked secrets.
pub(in crate::http::api) fn shown_headers(headers: &CustomHeaders) -> Map<String, Value> {
    headers.iter().map(|(name, value)| (name.to_owned(), header::shown(name, value).into())).collect()
}

impl WebhookView {
    pub(super) fn of(webhook: &Webhook, condition: Option<Condition>) -> WebhookView {
        WebhookView {
            id: webhook.id.into(),
            tenant: (&webhook.tenant).into(),
            url: webhook.url.to_string(),
            description: webhook.description.clone(),
            external_id: webhook.external_id.as_ref().map(schema::ExternalId::from),
            metadata: webhook.metadata.clone(),
            events: webhook.events.iter().map(schema::EventTypePattern::from).collect(),
            filter: webhook.filter.as_ref().and_then(|filter| RawValue::from_string(filter.text().into()).ok()),
            profile: (&webhook.profile).into(),
            state: webhook.state.into(),
            active: webhook.state == WebhookState::Active,
            disabled_at: webhook.disabled_ms.map(schema::Time::at),
            disabled_reason: webhook.disabled_reason.clone(),
            headers: shown_headers(&webhook.headers),
            auth: webhook.auth.as_ref().map(EndpointAuth::masked),
            timeout_s: webhook.limits.timeout_s,
            max_in_flight: webhook.limits.max_in_flight,
            rate_limit_per_s: webhook.limits.rate_limit_per_s,
            ordered: webhook.ordered,
            retry: webhook.retry.as_ref().map(|retry| retry.spec()),
            standard_headers: webhook.standard_headers,
            signing: webhook.signing,
            public_key: webhook.key_pair.as_ref().map(|pair| pair.public_key().into()),
            template: webhook.template.clone(),
            tls: webhook.tls.as_deref().map(TlsView::from),
            condition: ConditionView::of(webhook, condition),
            created_at: schema::Time::at(webhook.created_ms),
            updated_at: schema::Time::at(webhook.updated_ms),
        }
    }

    /// Shows webhooks with their conditions.
    pub(in crate::http::api) fn read_all(
        connection: &Connection,
        webhooks: &[Webhook],
    ) -> Result<Vec<WebhookView>, StoreError> {
        let seqs: Vec<i64> = webhooks.iter().map(|webhook| webhook.seq).collect();
        let conditions = read::conditions(connection, &seqs)?;
        let view = |webhook: &Webhook| WebhookView::of(webhook, conditions.get(&webhook.seq).copied());
        Ok(webhooks.iter().map(view).collect())
    }

    pub(super) fn read(connection: &Connection, webhook: &Webhook) -> Result<WebhookView, StoreError> {
        Ok(WebhookView::of(webhook, read::condition(connection, webhook.seq)?))
    }
}
