//! `/v1/webhooks`.

mod put;
pub(super) mod view;

use std::borrow::Cow;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::view::{CreatedView, EXAMPLE, SECRETS, WebhookView};
use super::attempts::{self, AttemptView};
use super::merge_patch::{Members, MergePatch, Rules, defaults};
use super::{
    Administrator, ApiResult, App, Call, Codes, Etag, JsonBody, Preconditions, Reader, Scope, Table, blocking, created,
    extract, list, respond_tagged, schema, secrets,
};
use crate::actions::{ActionError, lookup};
use crate::domain::id::WebhookId;
use crate::domain::webhook::{Limits, Webhook, WebhookSettings};
use crate::store::page::Page;
use crate::store::search::Hits;
use crate::store::webhook::{self, WebhookFilter};
use crate::store::{Connection, StoreError};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/webhooks").post(create, describe_create).get(index, describe_index);
    // One of the reference documents creates webhooks here.
    table.at("/v1/webhooks/settings").post(put::by_url, put::describe_settings);
    table.at("/v1/webhooks/by-external-id/{external_id}").put(put::by_external_id, put::describe_put);
    let webhook = table.at("/v1/webhooks/{id}");
    webhook.get(show, describe_show).patch(change, describe_change).delete(delete, describe_delete);
    secrets::routes(table);
    table.at("/v1/webhooks/{id}/verify").post(verify, describe_verify);
}

/// Body that creates a webhook: the settings without `waiting`; `url` and `events` are required.
struct NewWebhook;

impl JsonSchema for NewWebhook {
    fn schema_name() -> Cow<'static, str> {
        "NewWebhook".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = schema::without::<WebhookSettings>("waiting", generator);
        schema::require_values(&mut schema, &["url", "events"]);
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
        let mut schema = schema::without::<WebhookSettings>("tenant", generator);
        schema.insert("description".to_owned(), "Settings to change. Absent ones stay as they are.".into());
        schema::require_values(&mut schema, &["url", "events", "secret", "active"]);
        schema::with_null_members(&mut schema, &["headers", "metadata"]);
        let is_null = json!({"properties": {"waiting": {"const": null}}});
        let is_active = json!({"properties": {"active": {"const": true}}, "required": ["active"]});
        schema.insert("dependentSchemas".to_owned(), json!({"waiting": {"anyOf": [is_null, is_active]}}));
        schema
    }
}

/// Codes of invalid webhooks.
const INVALID_CODES: Codes = &[
    "invalid_url",
    "target_blocked",
    "invalid_events",
    "invalid_event_pattern",
    "invalid_filter",
    "invalid_tenant",
    "invalid_description",
    "invalid_external_id",
    "invalid_metadata",
    "unknown_profile",
    "invalid_secret",
    "invalid_header",
    "too_many_headers",
    "invalid_auth",
    "out_of_range",
    "invalid_retry",
    "signing_without_standard_headers",
    "invalid_template",
    "incomplete_endpoint",
    "invalid_tls",
];

fn describe_create(call: &mut Call<'_>) {
    describe_creation(call.operation("Webhooks", "create_webhook", "Create a webhook"));
}

fn describe_creation(call: &mut Call<'_>) {
    call.description(
        "Only this response contains the secret. If the profile has a challenge, it runs before the response. `similar` names other webhooks with the same URL and event types: this one may have been created twice.",
    )
    .scope(Scope::Admin)
    .stores_for_tenant()
    .waits_for_receiver()
    .request_body::<NewWebhook>(r#"{"url": "https://hooks.example/orders", "events": ["content.*"]}"#)
    .response::<CreatedView>(201, "The webhook with its secret.", &format!("{EXAMPLE}, {SECRETS}, \"similar\": []}}"))
    .etag(201)
    .links(
        201,
        "/id",
        &[
            "show_webhook",
            "change_webhook",
            "delete_webhook",
            "show_secret",
            "rotate_secret",
            "verify_webhook",
            "test_webhook",
            "replay_webhook",
        ],
    )
    .errors(409, &["profile_deleted", "external_id_taken"])
    .errors(422, INVALID_CODES)
    .errors(422, &["webhook_limit"]);
}

fn describe_index(call: &mut Call<'_>) {
    call.operation("Webhooks", "list_webhooks", "List webhooks")
        .scope(Scope::Read)
        .description("With `q`, a search that needs no index: it goes from the newest webhook back for up to 0.3 seconds, and `next_cursor` goes on.")
        .list::<WebhookQuery, WebhookView>()
        .errors(422, &["invalid_tenant", "invalid_value", "invalid_event_pattern", "invalid_search"]);
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Webhooks", "show_webhook", "Get a webhook")
        .scope(Scope::Read)
        .path_parameter::<schema::WebhookId>("id")
        .response::<WebhookView>(200, "The webhook.", &format!("{EXAMPLE}}}"))
        .description("The ETag changes with the settings and the state. It does not change with deliveries: `health`, `failing_since`, `last_success_at` and `incident` have no part in it.")
        .answers_if_changed();
}

fn describe_change(call: &mut Call<'_>) {
    call.operation("Webhooks", "change_webhook", "Update, pause or resume a webhook")
        .description("A JSON Merge Patch (RFC 7396): omitted fields are unchanged, null restores the default, and the members of `headers`, `auth`, `retry` and `metadata` are merged. The object of a GET can be sent back: fields that cannot be changed are ignored if they have the stored value, and refused otherwise. With `active: true`, `waiting` sets whether queued deliveries are resumed or discarded.")
        .scope(Scope::Admin)
        .waits_for_receiver()
        .path_parameter::<schema::WebhookId>("id")
        .request_body::<WebhookChange>(r#"{"active": true, "waiting": "resume"}"#)
        .response::<WebhookView>(200, "The updated webhook.", &format!("{EXAMPLE}}}"))
        .etag(200)
        .takes_if_match()
        .errors(409, &["challenge_failed", "profile_deleted", "webhook_changed", "external_id_taken", "contact_webhook"])
        .errors(422, INVALID_CODES)
        .errors(422, &["invalid_value", "waiting_without_active", "read_only", "null_without_default"]);
}

fn describe_delete(call: &mut Call<'_>) {
    call.operation("Webhooks", "delete_webhook", "Delete a webhook")
        .description("Discards its queued deliveries. The log is kept.")
        .scope(Scope::Admin)
        .path_parameter::<schema::WebhookId>("id")
        .no_content("The webhook is deleted.")
        .takes_if_match()
        .errors(409, &["contact_webhook"]);
}

fn describe_verify(call: &mut Call<'_>) {
    call.operation("Webhooks", "verify_webhook", "Run the challenge of a webhook's profile")
        .description("An unverified webhook that passes becomes active. The response follows when the endpoint responds or times out.")
        .scope(Scope::Admin)
        .waits_for_receiver()
        .path_parameter::<schema::WebhookId>("id")
        .response::<VerifiedView>(200, "The attempt, successful or not.", &format!(
            r#"{}, "verified": false, "reason": "The endpoint answered 410.", "state": "unverified"}}"#,
            attempts::EXAMPLE
        ))
        .errors(409, &["no_challenge", "webhook_changed", "contact_webhook"]);
}

async fn create(app: Data<App>, Administrator(caller): Administrator, body: JsonBody) -> ApiResult {
    let settings: WebhookSettings = body.parse()?;
    let actions = app.actions.clone();
    let work = move |caller: &_| -> Result<_, ActionError> {
        let webhook = actions.create_webhook(caller, settings)?;
        let similar = actions.similar_webhooks(&webhook)?;
        Ok((webhook, similar))
    };
    let (webhook, similar) = app.receiver_calls.run(caller, work).await??;
    Ok(respond_created(&webhook, similar))
}

fn respond_created(webhook: &Webhook, similar: Vec<WebhookId>) -> HttpResponse {
    let mut response = created(format_args!("webhooks/{}", webhook.id));
    response.insert_header(Etag::of(webhook).header()).json(CreatedView::of(webhook, similar))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WebhookQuery {
    /// Only webhooks of this tenant.
    tenant: Option<schema::TenantName>,
    /// Only webhooks in these states.
    state: Option<schema::WebhookStates>,
    /// Only webhooks that subscribe to these event types.
    event: Option<schema::EventTypePatterns>,
    /// Only webhooks whose id, `external_id`, URL or description contains this text.
    q: Option<schema::SearchText>,
    /// Largest number of rows in the page.
    limit: Option<schema::Limit>,
    /// Start of the page.
    cursor: Option<schema::Cursor>,
}

async fn index(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let query: WebhookQuery = extract::query(&request)?;
    let page = list::page(&request, query.limit.as_deref(), query.cursor.as_deref())?;
    let filter = WebhookFilter {
        tenant: caller.tenant_filter(query.tenant.as_deref())?,
        states: list::parameter("state", query.state.as_deref())?.unwrap_or_default(),
        events: list::parameter("event", query.event.as_deref())?.unwrap_or_default(),
    };
    if let Some(needle) = list::parameter("q", query.q.as_deref())? {
        let read = move |connection: &_, text: &_| {
            let page = views(connection, webhook::search(connection, &filter, text, &page)?)?;
            Ok(Hits { page, back_to_ms: None })
        };
        return list::search(&app, &caller, (needle, page), read, |view| view).await;
    }
    let read = move |connection: &Connection| -> Result<_, StoreError> {
        views(connection, webhook::list(connection, &filter, &page)?)
    };
    list::show(&app, &caller, page, read, |view| view).await
}

fn views(connection: &Connection, Page { rows, next }: Page<Webhook>) -> Result<Page<WebhookView>, StoreError> {
    Ok(Page { rows: WebhookView::read_all(connection, &rows)?, next })
}

async fn show(app: Data<App>, Reader(caller): Reader, id: Path<String>, conditions: Preconditions) -> ApiResult {
    let store = app.actions.store.clone();
    let reader = caller.clone();
    let read = move |connection: &Connection| -> Result<_, ActionError> {
        let webhook = lookup::webhook(connection, &caller, &id)?;
        let view = WebhookView::read(connection, &webhook)?;
        Ok((webhook, view))
    };
    respond_tagged(&app, &reader, conditions, move || store.snapshot(read)).await
}

async fn change(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    conditions: Preconditions,
    body: JsonBody,
) -> ApiResult {
    let patch: MergePatch = body.parse()?;
    let actions = app.actions.clone();
    // These may look up the host of a URL, or challenge the endpoint.
    let may_call = ["url", "profile", "auth", "active"].into_iter().any(|name| patch.has(name));
    let rules = rules(&patch, actions.profile_for(&caller));
    let settings_for = move |stored: &Webhook| patch.settings(&WebhookView::of(stored, None), &rules);
    let work = move |caller: &_| -> Result<_, ActionError> {
        let webhook = actions.change_webhook_by(caller, &id, settings_for, conditions.unchanged())?;
        let view = actions.store.read(|connection| WebhookView::read(connection, &webhook))?;
        Ok((Etag::of(&*webhook), view))
    };
    let (tag, view) = match may_call {
        true => app.receiver_calls.run(caller, work).await??,
        false => blocking(move || work(&caller)).await??,
    };
    Ok(HttpResponse::Ok().insert_header(tag.header()).json(view))
}

/// How a patch changes a webhook.
fn rules(patch: &MergePatch, default_profile: &str) -> Rules {
    // An inactive webhook that is sent back as it was read is not paused.
    let is_sent_back = patch.has("state") && !patch.has("waiting");
    Rules {
        read_only: &[
            "id",
            "tenant",
            "state",
            "disabled_at",
            "disabled_reason",
            "public_key",
            "created_at",
            "updated_at",
            "standard_secret",
            "similar",
        ],
        by_itself: &["health", "failing_since", "last_success_at", "incident"],
        required: &["url", "events", "secret", "active"],
        always: if is_sent_back { &[] } else { &["active"] },
        exact: &["filter"],
        merged: &[
            ("headers", Members::Headers),
            ("auth", Members::OfKind("type")),
            ("retry", Members::Named),
            ("metadata", Members::Named),
        ],
        nested: vec![("tls", Rules { read_only: &["not_after"], ..Rules::default() })],
        defaults: defaults(json!({
            "description": "", "metadata": {}, "profile": default_profile, "headers": {}, "timeout_s": Limits::DEFAULT.timeout_s,
            "max_in_flight": Limits::DEFAULT.max_in_flight, "ordered": false, "standard_headers": true, "signing": "hmac",
        })),
    }
}

async fn delete(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    conditions: Preconditions,
) -> ApiResult {
    app.actions.delete_webhook(&caller, &id, conditions.unchanged()).committed().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Result of a challenge.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Verified")]
struct VerifiedView {
    #[serde(flatten)]
    attempt: AttemptView,
    verified: bool,
    /// Reason why the challenge failed.
    reason: Option<String>,
    state: schema::WebhookState,
}

async fn verify(app: Data<App>, Administrator(caller): Administrator, id: Path<String>) -> ApiResult {
    let actions = app.actions.clone();
    let work = move |caller: &_| actions.verify_webhook(caller, &id);
    let verified = app.receiver_calls.run(caller, work).await??;
    Ok(HttpResponse::Ok().json(VerifiedView {
        attempt: AttemptView::from(&verified.attempt),
        verified: verified.refusal.is_none(),
        reason: verified.refusal,
        state: verified.webhook.state.into(),
    }))
}
