//! `/v1/api-keys`: for keys with the scope `admin` over all tenants only.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Administrator, JsonBody, require_all_tenants};
use super::table::Table;
use super::{blocking, list};
use crate::auth::api_key::{KeyRequest, issue, revoke, store};
use crate::domain::Invalid;
use crate::domain::json::whole;
use crate::domain::time::rfc3339;
use crate::http::api::openapi::{Call, schema};
use crate::store::api_key::{self, ApiKey, Scope};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/api-keys").get(index, describe_index).post(create, describe_create);
    table.at("/v1/api-keys/{id}").delete(delete, describe_delete);
}

const EXAMPLE: &str = r#"{"id": "key_01KF0AVD80W0PPFFQY8AY3BFJE", "name": "shop", "scope": "publish", "tenant": null,
    "profile": null, "prefix": "hp_4fJ8Qw", "rate_limit_per_s": null, "created_at": "2026-01-15T10:00:00.000Z", "last_used_at": null,
    "key": "hp_4fJ8QwG1nC0bY3uV7kXz2mRtPqLsEaDh"}"#;

fn describe_index(call: &mut Call<'_>) {
    call.named("list_api_keys", "List API keys")
        .of("Keys and backups")
        .says("Those that were not revoked. Their texts are stored nowhere.")
        .needs(Scope::Admin)
        .pages::<KeyQuery>()
        .answers::<list::ListResponse<KeyView>>(200, "A page of them.", r#"{"data": [], "next_cursor": null}"#);
}

fn describe_create(call: &mut Call<'_>) {
    call.named("create_api_key", "Make an API key")
        .of("Keys and backups")
        .says("The answer holds the key, which is never shown again.")
        .needs(Scope::Admin)
        .takes::<KeyBody>(r#"{"name": "shop", "scope": "publish"}"#)
        .answers::<KeyView>(201, "The key.", EXAMPLE)
        .leads_to(201, "/id", &["revoke_api_key"])
        .fails(422, &["invalid_name", "invalid_value", "invalid_tenant", "unknown_profile", "invalid_rate_limit"]);
}

fn describe_delete(call: &mut Call<'_>) {
    call.named("revoke_api_key", "Revoke an API key")
        .of("Keys and backups")
        .says("No request with it is taken from here on.")
        .needs(Scope::Admin)
        .path::<schema::ApiKeyId>("id", "The id of the key.")
        .answers_nothing("It was revoked.");
}

/// A key, without its text, which is stored nowhere.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
struct KeyView {
    #[schemars(with = "schema::ApiKeyId")]
    id: String,
    name: String,
    #[schemars(with = "schema::Scope")]
    scope: &'static str,
    /// The one tenant that it is for; `null`: for all.
    #[schemars(with = "Option<schema::TenantName>")]
    tenant: Option<String>,
    /// The profile of webhooks made with it that name none.
    #[schemars(with = "Option<schema::ProfileName>")]
    profile: Option<String>,
    /// How it begins, by which people know it.
    prefix: String,
    /// Requests a second; `null`: as the server's `--key-rate-limit` says.
    rate_limit_per_s: Option<u32>,
    #[schemars(with = "schema::Time")]
    created_at: String,
    /// To the minute.
    #[schemars(with = "Option<schema::Time>")]
    last_used_at: Option<String>,
    /// In the answer to its creation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    key: Option<String>,
}

fn view(of: ApiKey) -> KeyView {
    KeyView {
        id: of.id.to_string(),
        name: of.name,
        scope: of.scope.into_str(),
        tenant: of.tenant.map(|tenant| tenant.to_string()),
        profile: of.profile,
        prefix: of.prefix,
        rate_limit_per_s: of.rate_limit_per_s,
        created_at: rfc3339(of.created_ms),
        last_used_at: of.last_used_ms.map(rfc3339),
        key: None,
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeyQuery {
    /// Rows of a page at most.
    #[schemars(with = "schema::Limit")]
    limit: Option<String>,
    /// Where the page begins.
    #[schemars(with = "schema::Cursor")]
    cursor: Option<String>,
}

/// `GET /v1/api-keys`: those that were not revoked, newest first.
async fn index(
    app: Data<App>,
    request: HttpRequest,
    Administrator(caller): Administrator,
) -> Result<HttpResponse, ApiError> {
    require_all_tenants(&caller)?;
    let query: KeyQuery = extract::query(&request)?;
    let page = list::page(query.limit.as_deref(), query.cursor.as_deref())?;
    let store = app.actions.store.clone();
    let found = blocking(move || store.read(|connection| api_key::page(connection, &page)));
    Ok(list::show(found.await??, view))
}

/// A key to be made: `name` (1 to 128 characters) and `scope` are needed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApiKey")]
struct KeyBody {
    /// For people; not white space alone.
    #[schemars(
        length(min = 1, max = 128),
        regex(
            pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
        )
    )]
    name: String,
    #[schemars(with = "schema::Scope")]
    scope: String,
    /// The one tenant it is for; all where left out.
    #[schemars(with = "Option<schema::TenantName>")]
    tenant: Option<String>,
    /// The profile of webhooks made with it that name none.
    #[schemars(with = "Option<schema::ProfileName>")]
    profile: Option<String>,
    /// Requests a second in place of the server's `--key-rate-limit`.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 100_000))]
    rate_limit_per_s: Option<u32>,
}

/// `POST /v1/api-keys`: 201 with the key, which is never shown again.
async fn create(
    app: Data<App>,
    Administrator(caller): Administrator,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    require_all_tenants(&caller)?;
    let body: KeyBody = body.parse()?;
    let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
    let tenant = body.tenant.as_deref().map(str::parse).transpose();
    let request = KeyRequest {
        name: body.name,
        scope: body.scope.parse().map_err(in_field("scope"))?,
        tenant: tenant.map_err(in_field("tenant"))?,
        profile: body.profile,
        rate_limit_per_s: body.rate_limit_per_s,
    };
    let (text, new) = issue(request, app.actions.clock.now_ms())?;
    let stored = store(&app.actions.store, &caller, new).committed().await?;
    Ok(HttpResponse::Created().json(KeyView { key: Some(text), ..view(stored) }))
}

/// `DELETE /v1/api-keys/{id}`: no request with it is taken from here on.
async fn delete(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    require_all_tenants(&caller)?;
    revoke(&app.actions.store, &caller, &id).committed().await?;
    Ok(HttpResponse::NoContent().finish())
}
