//! `/v1/api-keys` and `/v1/backup`. Both require a key for all tenants with the scope `admin`.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::backup;
use super::super::stream::presence;
use super::{
    Administrator, ApiResult, App, Call, Etag, Invalid, JsonBody, Preconditions, Scope, Table, blocking, created,
    extract, list, require_all_tenants, respond_tagged, schema,
};
use crate::auth::api_key::{self as auth, KeyRequest, issue, overlap, revoke, store};
use crate::domain::json::whole;
use crate::domain::time::SECOND;
use crate::domain::webhook::MAX_OVERLAP;
use crate::http::api::list::PageQuery;
use crate::store::api_key::{self, ApiKey};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/api-keys").get(index, describe_index).post(create, describe_create);
    table.at("/v1/api-keys/{id}").get(show, describe_show).delete(delete, describe_delete);
    table.at("/v1/api-keys/{id}/rotate").post(rotate, describe_rotate);
}

pub(super) fn backup_routes(table: &mut Table) {
    table.at("/v1/backup").get(download_backup, describe_backup);
}

const EXAMPLE: &str = r#"{"id": "key_01KF0AVD80W0PPFFQY8AY3BFJE", "name": "shop", "scope": "publish", "tenant": null,
    "profile": null, "prefix": "hookpost_4fJ8Qw", "rate_limit_per_s": null, "created_at": "2026-01-15T10:00:00.000Z",
    "created_by": "anna", "expires_at": null, "last_used_at": null, "key": "hookpost_4fJ8QwG1nC0bY3uV7kXz2mRtPqLsEaDh4beoBN"}"#;

fn describe_index(call: &mut Call<'_>) {
    call.operation("Keys and backups", "list_api_keys", "List API keys")
        .description("Without revoked keys. The keys themselves are not stored.")
        .scope(Scope::Admin)
        .list::<PageQuery, KeyView>();
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Keys and backups", "show_api_key", "Get an API key")
        .description(
            "Without the key itself, which is not stored. The ETag changes with the end of the key, not with its use.",
        )
        .scope(Scope::Admin)
        .path_parameter::<schema::ApiKeyId>("id")
        .response::<KeyView>(200, "The API key.", &example_without_key())
        .answers_if_changed();
}

/// Example of a key in a response other than that to its creation.
fn example_without_key() -> String {
    EXAMPLE.split(", \"key\":").next().unwrap_or_default().to_owned() + "}"
}

fn describe_create(call: &mut Call<'_>) {
    call.operation("Keys and backups", "create_api_key", "Create an API key")
        .description("Only this response contains the key: `hookpost_`, 32 random characters of `0-9A-Za-z`, and 6 that are their CRC-32 in base 62 (digits, then upper-case, then lower-case letters, most significant first). Secret scanners find keys with `hookpost_[0-9A-Za-z]{38}` and can verify the checksum.")
        .scope(Scope::Admin)
        .stores_for_tenant()
        .request_body::<KeyBody>(r#"{"name": "shop", "scope": "publish"}"#)
        .response::<KeyView>(201, "The new key.", EXAMPLE)
        .links(201, "/id", &["show_api_key", "revoke_api_key"])
        .etag(201)
        .errors(422, &["invalid_name", "invalid_value", "invalid_tenant", "reserved_tenant", "unknown_profile", "invalid_rate_limit"])
        .errors(422, &["invalid_time", "invalid_expires_at"]);
}

fn describe_rotate(call: &mut Call<'_>) {
    call.operation("Keys and backups", "rotate_api_key", "Rotate an API key")
        .description("Creates a key with the same name, scope, tenant, profile, rate limit and duration. Both keys work until the overlap ends; then requests with the old one are rejected. An overlap of 0 revokes the old key immediately.")
        .scope(Scope::Admin)
        .path_parameter::<schema::ApiKeyId>("id")
        .request_body::<RotationBody>(r#"{"overlap_s": 86400}"#)
        .response::<KeyView>(201, "The new key.", EXAMPLE)
        .links(201, "/id", &["show_api_key", "revoke_api_key"])
        .etag(201)
        .errors(422, &["out_of_range"]);
}

fn describe_delete(call: &mut Call<'_>) {
    call.operation("Keys and backups", "revoke_api_key", "Revoke an API key")
        .description("Requests with this key are rejected. This can't be undone.")
        .scope(Scope::Admin)
        .path_parameter::<schema::ApiKeyId>("id")
        .no_content("The key is revoked.")
        .takes_if_match();
}

/// An API key. The key itself is not stored.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
struct KeyView {
    id: schema::ApiKeyId,
    name: String,
    scope: schema::Scope,
    /// The tenant that the key is limited to; `null` if it is for all tenants.
    tenant: Option<schema::TenantName>,
    /// Default profile of webhooks created with this key.
    profile: Option<schema::ProfileName>,
    /// First characters of the key.
    prefix: String,
    /// Requests per second; `null` for the server's `--key-rate-limit`.
    rate_limit_per_s: Option<u32>,
    created_at: schema::Time,
    /// Creator: the name of a user, `API key` and its name, or `command line`; `null` if unknown.
    created_by: Option<String>,
    /// Requests with the key are rejected from this time on; `null` for no end.
    expires_at: Option<schema::Time>,
    /// Accurate to the minute.
    last_used_at: Option<schema::Time>,
    /// Present only in the response to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    key: Option<String>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> KeyView {
        KeyView {
            id: key.id.into(),
            name: key.name,
            scope: key.scope.into(),
            tenant: key.tenant.map(schema::TenantName::from),
            profile: key.profile.map(schema::ProfileName::from),
            prefix: key.prefix,
            rate_limit_per_s: key.rate_limit_per_s,
            created_at: schema::Time::at(key.created_ms),
            created_by: key.created_by,
            expires_at: key.ends_ms.map(schema::Time::at),
            last_used_at: key.last_used_ms.map(schema::Time::at),
            key: None,
        }
    }
}

async fn index(app: Data<App>, request: HttpRequest, Administrator(caller): Administrator) -> ApiResult {
    require_all_tenants(&caller)?;
    let page = extract::query::<PageQuery>(&request)?.parse(&request)?;
    list::show(&app, &caller, page, move |connection| api_key::page(connection, &page), KeyView::from).await
}

/// A new API key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApiKey")]
struct KeyBody {
    /// Name for people; not only white space.
    #[schemars(length(min = 1, max = 128), extend("pattern" = schema::LINE))]
    name: String,
    scope: schema::Scope,
    /// Limits the key to one tenant. Default: all tenants.
    tenant: Option<schema::TenantName>,
    /// Default profile of webhooks created with this key.
    profile: Option<schema::ProfileName>,
    /// Requests per second. Default: the server's `--key-rate-limit`.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 100_000))]
    rate_limit_per_s: Option<u32>,
    /// Rejects requests with the key from this time on. Default: no end.
    expires_at: Option<schema::Time>,
}

async fn create(app: Data<App>, Administrator(caller): Administrator, body: JsonBody) -> ApiResult {
    require_all_tenants(&caller)?;
    let body: KeyBody = body.parse()?;
    let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
    let tenant = body.tenant.as_deref().map(str::parse).transpose();
    let request = KeyRequest {
        name: body.name,
        scope: body.scope.parse().map_err(in_field("scope"))?,
        tenant: tenant.map_err(in_field("tenant"))?,
        profile: body.profile.map(|name| name.to_owned()),
        rate_limit_per_s: body.rate_limit_per_s,
        ends_ms: list::time("expires_at", body.expires_at.as_deref())?,
    };
    let (text, new) = issue(request, app.actions.clock.now_ms())?;
    let stored = store(&app.actions.store, &caller, new).committed().await?;
    Ok(new_key(text, stored))
}

/// Responds with a new key.
fn new_key(text: String, stored: ApiKey) -> HttpResponse {
    let mut response = created(format_args!("api-keys/{}", stored.id));
    response.insert_header(Etag::of(&stored).header()).json(KeyView { key: Some(text), ..stored.into() })
}

async fn show(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    conditions: Preconditions,
) -> ApiResult {
    require_all_tenants(&caller)?;
    let store = app.actions.store.clone();
    let read = move |db: &_| auth::find(db, &id).map(|key| (key.clone(), KeyView::from(key)));
    respond_tagged(&app, &caller, conditions, move || store.read(read)).await
}

/// How an API key is replaced.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApiKeyRotation")]
struct RotationBody {
    /// Seconds for which the old key still works. Default: 86400.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 0, max = MAX_OVERLAP / SECOND))]
    overlap_s: Option<i64>,
}

async fn rotate(app: Data<App>, Administrator(caller): Administrator, id: Path<String>, body: JsonBody) -> ApiResult {
    require_all_tenants(&caller)?;
    let RotationBody { overlap_s } = body.parse()?;
    let (text, new) = auth::rotate(&app.actions.store, &caller, &id, overlap(overlap_s)?).committed().await?;
    Ok(new_key(text, new))
}

async fn delete(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    conditions: Preconditions,
) -> ApiResult {
    require_all_tenants(&caller)?;
    revoke(&app.actions.store, &caller, &id, conditions.unchanged()).committed().await?;
    Ok(HttpResponse::NoContent().finish())
}

fn describe_backup(call: &mut Call<'_>) {
    call.operation("Keys and backups", "backup", "Download a copy of the database")
        .description("Streams a consistent copy, taken in small steps while the server works. One copy is made at a time. Its secrets are encrypted under the master key, which it does not contain.")
        .scope(Scope::Admin)
        .errors(409, &["backup_running"])
        .response_of_type("application/vnd.sqlite3", "An SQLite database.");
}

async fn download_backup(app: Data<App>, Administrator(caller): Administrator) -> ApiResult {
    require_all_tenants(&caller)?;
    let store = app.actions.store.clone();
    let (client, is_awaited) = presence();
    let copied = blocking(move || backup::copy(&store, &caller, is_awaited)).await??;
    drop(client);
    Ok(copied.stream(&app))
}
