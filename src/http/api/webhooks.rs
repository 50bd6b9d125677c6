//! `/v1/webhooks`, which answers under `/api/webhooks` too.

use std::borrow::Cow;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Administrator, JsonBody, Reader};
use super::deliveries::ATTEMPT;
use super::table::Table;
use super::{blocking, list, view};
use crate::actions::lookup;
use crate::actions::webhook::rotate_secret::{Rotated, Rotation, fingerprint};
use crate::domain::event::Tenant;
use crate::domain::time::rfc3339;
use crate::domain::webhook::{Webhook, WebhookSettings};
use crate::http::api::openapi::{Call, Codes, schema};
use crate::store::api_key::Scope;
use crate::store::webhook::{self, WebhookFilter};

pub(super) fn routes(table: &mut Table, base: &str) {
    table.at(format!("{base}/webhooks")).post(create, describe_create).get(index, describe_index);
    // One of the reference documents creates webhooks here.
    table.at(format!("{base}/webhooks/settings")).post(create, describe_settings);
    table
        .at(format!("{base}/webhooks/{{id}}"))
        .get(show, describe_show)
        .patch(change, describe_change)
        .delete(delete, describe_delete);
    table.at(format!("{base}/webhooks/{{id}}/secret")).get(secret, describe_secret);
    table.at(format!("{base}/webhooks/{{id}}/secret/rotate")).post(rotate, describe_rotate);
    table.at(format!("{base}/webhooks/{{id}}/verify")).post(verify, describe_verify);
}

/// Body that creates a webhook: the settings without `waiting`; `url` and `events` are required.
struct NewWebhook;

impl JsonSchema for NewWebhook {
    fn schema_name() -> Cow<'static, str> {
        "NewWebhook".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = settings_without("waiting", generator);
        for (field, kind) in [("url", "string"), ("events", "array")] {
            if let Some(Value::Object(property)) = schema.pointer_mut(&format!("/properties/{field}")) {
                property["type"] = kind.into();
            }
        }
        schema.insert("required".to_owned(), json!(["url", "events"]));
        schema.insert("description".to_owned(), "Settings of a new webhook.".into());
        schema
    }
}

/// Body that changes a webhook: the settings without `tenant`; `waiting` requires `active: true`.
struct WebhookChange;

impl JsonSchema for WebhookChange {
    fn schema_name() -> Cow<'static, str> {
        "WebhookChange".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = settings_without("tenant", generator);
        schema.insert("description".to_owned(), "Settings to change. Absent ones stay as they are.".into());
        let is_null = json!({"properties": {"waiting": {"const": null}}});
        let is_active = json!({"properties": {"active": {"const": true}}, "required": ["active"]});
        schema.insert("dependentSchemas".to_owned(), json!({"waiting": {"anyOf": [is_null, is_active]}}));
        schema
    }
}

fn settings_without(field: &str, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = WebhookSettings::json_schema(generator);
    if let Some(Value::Object(properties)) = schema.pointer_mut("/properties") {
        properties.shift_remove(field);
    }
    schema
}

/// Webhook of the examples.
fn example(view: fn(&Webhook) -> view::WebhookView) -> String {
    let parsed = || -> Option<Webhook> {
        let (id, tenant) = ("wh_01KF0AVD80Q5RJBBPG8YQH7XWB".parse().ok()?, Tenant::default_tenant());
        let url = "https://hooks.example/orders".parse().ok()?;
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().ok()?;
        let mut webhook = Webhook::new(id, tenant, url, "generic", secret, 1_768_471_200_000);
        webhook.events = vec!["content.*".parse().ok()?];
        Some(webhook)
    };
    let webhook = parsed().expect("a valid webhook");
    serde_json::to_string(&view(&webhook)).expect("a view is plain data")
}

/// Why a webhook may be refused.
const REFUSED: Codes = &[
    "invalid_url",
    "target_blocked",
    "invalid_events",
    "invalid_event_pattern",
    "invalid_tenant",
    "invalid_description",
    "unknown_profile",
    "invalid_secret",
    "invalid_header",
    "too_many_headers",
    "out_of_range",
    "invalid_retry",
];

fn describe_create(call: &mut Call<'_>) {
    call.named("create_webhook", "Create a webhook");
    describe_creation(call);
}

fn describe_settings(call: &mut Call<'_>) {
    call.named(
        "create_webhook_by_settings",
        "Create a webhook, at the address of one of the systems that Hookpost stands in for",
    );
    describe_creation(call);
}

fn describe_creation(call: &mut Call<'_>) {
    call.of("Webhooks")
        .says("Only this answer holds its secret. Where its profile has a challenge, the endpoint is asked before it is answered.")
        .needs(Scope::Admin)
        .takes::<NewWebhook>(r#"{"url": "https://hooks.example/orders", "events": ["content.*"]}"#)
        .answers::<view::WebhookView>(201, "The webhook, with its secret.", &example(view::webhook_with_secret))
        .leads_to(201, "/id", &["show_webhook", "change_webhook", "delete_webhook", "show_secret", "rotate_secret", "verify_webhook", "test_webhook", "replay_webhook"])
        .fails(409, &["profile_deleted", "url_changed"])
        .fails(422, REFUSED);
}

fn describe_index(call: &mut Call<'_>) {
    call.named("list_webhooks", "List webhooks")
        .of("Webhooks")
        .needs(Scope::Read)
        .pages::<WebhookQuery>()
        .answers::<list::ListResponse<view::WebhookView>>(
            200,
            "A page of them.",
            r#"{"data": [], "next_cursor": null}"#,
        )
        .fails(422, &["invalid_tenant", "invalid_value", "invalid_event_type"]);
}

fn describe_show(call: &mut Call<'_>) {
    call.named("show_webhook", "Show a webhook")
        .of("Webhooks")
        .needs(Scope::Read)
        .path::<schema::WebhookId>("id", "The id of the webhook.")
        .answers::<view::WebhookView>(200, "The webhook.", &example(view::webhook));
}

fn describe_change(call: &mut Call<'_>) {
    call.named("change_webhook", "Change, pause or bring back a webhook")
        .of("Webhooks")
        .says("What is left out stays. What waited while it was not active is resumed or discarded, as `waiting` says.")
        .needs(Scope::Admin)
        .path::<schema::WebhookId>("id", "The id of the webhook.")
        .takes::<WebhookChange>(r#"{"active": true, "waiting": "resume"}"#)
        .answers::<view::WebhookView>(200, "The webhook, as it is now.", &example(view::webhook))
        .fails(409, &["challenge_failed", "profile_deleted"])
        .fails(422, REFUSED)
        .fails(422, &["invalid_value", "waiting_without_active"]);
}

fn describe_delete(call: &mut Call<'_>) {
    call.named("delete_webhook", "Delete a webhook")
        .of("Webhooks")
        .says("What waits is discarded; the log stays.")
        .needs(Scope::Admin)
        .path::<schema::WebhookId>("id", "The id of the webhook.")
        .answers_nothing("It was deleted.");
}

fn describe_secret(call: &mut Call<'_>) {
    call.named("show_secret", "Show the secret of a webhook")
        .of("Secrets")
        .needs(Scope::Admin)
        .path::<schema::WebhookId>("id", "The id of the webhook.")
        .answers::<SecretView>(
            200,
            "The secret.",
            r#"{"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "standard_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "rotation": null}"#,
        );
}

fn describe_rotate(call: &mut Call<'_>) {
    call.named("rotate_secret", "Rotate the secret of a webhook")
        .of("Secrets")
        .says("Both secrets sign until the overlap ends, wherever a header can carry two signatures; `headers` says which secret signs what. An overlap of 0 switches, or ends a running overlap, at once.")
        .needs(Scope::Admin)
        .path::<schema::WebhookId>("id", "The id of the webhook.")
        .takes::<Rotation>(r#"{"overlap_s": 86400}"#)
        .answers::<RotatedView>(200, "The new secret.", r#"{"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "standard_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "overlap_ends_at": "2026-01-16T10:00:00.000Z",
            "headers": [{"name": "X-Webhook-Signature", "signs": "old"}, {"name": "webhook-signature", "signs": "both"}]}"#)
        .fails(409, &["rotation_running"])
        .fails(422, &["invalid_secret", "out_of_range"]);
}

fn describe_verify(call: &mut Call<'_>) {
    call.named("verify_webhook", "Ask a webhook's endpoint the challenge of its profile")
        .of("Webhooks")
        .says("An unverified webhook that passes becomes active. Answered when the endpoint answered, or did not in time.")
        .needs(Scope::Admin)
        .path::<schema::WebhookId>("id", "The id of the webhook.")
        .answers::<VerifiedView>(200, "The attempt, whatever came back.", &format!(
            r#"{ATTEMPT}, "verified": false, "reason": "The endpoint answered 410.", "state": "unverified"}}"#
        ))
        .fails(409, &["no_challenge", "url_changed"]);
}

/// `POST /v1/webhooks`.
async fn create(
    app: Data<App>,
    Administrator(caller): Administrator,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let settings: WebhookSettings = body.parse()?;
    let actions = app.actions.clone();
    let webhook = blocking(move || actions.create_webhook(&caller, settings)).await??;
    Ok(HttpResponse::Created().json(view::webhook_with_secret(&webhook)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WebhookQuery {
    /// Those of this tenant.
    #[schemars(with = "schema::TenantName")]
    tenant: Option<String>,
    /// Those in this state.
    #[schemars(with = "schema::WebhookState")]
    state: Option<String>,
    /// Those that subscribe to this event type.
    #[schemars(with = "schema::EventTypeName")]
    event: Option<String>,
    /// Rows of a page at most.
    #[schemars(with = "schema::Limit")]
    limit: Option<String>,
    /// Where the page begins.
    #[schemars(with = "schema::Cursor")]
    cursor: Option<String>,
}

/// `GET /v1/webhooks`.
async fn index(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> Result<HttpResponse, ApiError> {
    let query: WebhookQuery = extract::query(&request)?;
    let page = list::page(query.limit.as_deref(), query.cursor.as_deref())?;
    let filter = WebhookFilter {
        tenant: caller.tenant_filter(query.tenant.as_deref())?,
        state: list::parameter("state", query.state.as_deref())?,
        event: list::parameter("event", query.event.as_deref())?,
        text: None,
    };
    let store = app.actions.store.clone();
    let found = blocking(move || store.read(|connection| webhook::list(connection, &filter, &page)));
    Ok(list::show(found.await??, |webhook| view::webhook(&webhook)))
}

/// `GET /v1/webhooks/{id}`.
async fn show(app: Data<App>, Reader(caller): Reader, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let store = app.actions.store.clone();
    let found = blocking(move || store.read(|connection| lookup::webhook(connection, &caller, &id)));
    Ok(HttpResponse::Ok().json(view::webhook(&found.await??)))
}

/// `PATCH /v1/webhooks/{id}`.
async fn change(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let settings: WebhookSettings = body.parse()?;
    let actions = app.actions.clone();
    let webhook = blocking(move || actions.change_webhook(&caller, &id, settings)).await??;
    Ok(HttpResponse::Ok().json(view::webhook(&webhook)))
}

/// `DELETE /v1/webhooks/{id}`.
async fn delete(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    app.actions.delete_webhook(&caller, &id).committed().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The attempt of a challenge, and what the webhook is after it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Verified")]
struct VerifiedView {
    #[serde(flatten)]
    attempt: view::AttemptView,
    verified: bool,
    /// Why it did not pass.
    reason: Option<String>,
    #[schemars(with = "schema::WebhookState")]
    state: &'static str,
}

/// `POST /v1/webhooks/{id}/verify`: the attempt, whatever came back, and what the webhook is after it.
async fn verify(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let actions = app.actions.clone();
    let verified = blocking(move || actions.verify_webhook(&caller, &id)).await??;
    Ok(HttpResponse::Ok().json(VerifiedView {
        attempt: view::attempt(&verified.attempt),
        verified: verified.refusal.is_none(),
        reason: verified.refusal,
        state: verified.webhook.state.into_str(),
    }))
}

/// The secret of a webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Secret")]
struct SecretView {
    secret: String,
    /// The same as libraries for Standard Webhooks take it.
    standard_secret: String,
    rotation: Option<RotationView>,
}

/// A rotation whose overlap still runs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunningRotation")]
struct RotationView {
    /// The first 16 digits of the old secret's SHA-256.
    old_fingerprint: String,
    #[schemars(with = "schema::Time")]
    overlap_ends_at: String,
}

/// `GET /v1/webhooks/{id}/secret`: needs `admin`, unlike every other GET.
async fn secret(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let actions = app.actions.clone();
    let rotated = blocking(move || actions.reveal_secret(&caller, &id)).await??;
    let old = rotated.old.as_ref();
    Ok(HttpResponse::Ok().json(SecretView {
        secret: rotated.secret.as_str().to_owned(),
        standard_secret: rotated.secret.standard_form(),
        rotation: old.map(|old| RotationView {
            old_fingerprint: fingerprint(&old.secret),
            overlap_ends_at: rfc3339(old.overlap_ends_ms),
        }),
    }))
}

/// `POST /v1/webhooks/{id}/secret/rotate`.
async fn rotate(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let rotation: Rotation = body.parse()?;
    let rotated = app.actions.rotate_secret(&caller, &id, rotation).committed().await?;
    Ok(HttpResponse::Ok().json(rotated_view(&rotated)))
}

/// What a rotation led to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Rotated")]
struct RotatedView {
    secret: String,
    standard_secret: String,
    #[schemars(with = "Option<schema::Time>")]
    overlap_ends_at: Option<String>,
    headers: Vec<SignedHeader>,
}

/// Which secret signs a header until the overlap ends.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SignedHeader")]
struct SignedHeader {
    name: String,
    #[schemars(with = "schema::Signs")]
    signs: &'static str,
}

fn rotated_view(rotated: &Rotated) -> RotatedView {
    let headers = rotated.headers.iter();
    RotatedView {
        secret: rotated.secret.as_str().to_owned(),
        standard_secret: rotated.secret.standard_form(),
        overlap_ends_at: rotated.old.as_ref().map(|old| rfc3339(old.overlap_ends_ms)),
        headers: headers.map(|(name, signs)| SignedHeader { name: name.clone(), signs: signs.into_str() }).collect(),
    }
}
