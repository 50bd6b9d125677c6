//! `/v1/api-keys`: for keys with the scope `admin` over all tenants only.

use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, Administrator, JsonBody, require_all_tenants};
use super::{blocking, list, resource};
use crate::auth::api_key::{KeyRequest, issue, revoke, store};
use crate::domain::Invalid;
use crate::domain::time::rfc3339;
use crate::store::api_key::{self, ApiKey};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(
        resource("/v1/api-keys")
            .route(web::get().to(index))
            .route(web::post().to(create)),
    );
    config.service(resource("/v1/api-keys/{id}").route(web::delete().to(delete)));
}

/// A key, without its text, which is stored nowhere.
#[derive(Serialize)]
struct KeyView {
    id: String,
    name: String,
    scope: &'static str,
    /// `null`: for all tenants.
    tenant: Option<String>,
    profile: Option<String>,
    prefix: String,
    /// Requests a second; `null`: as the server's `--key-rate-limit` says.
    rate_limit_per_s: Option<u32>,
    created_at: String,
    /// To the minute.
    last_used_at: Option<String>,
    /// In the answer to its creation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

fn view(of: ApiKey) -> KeyView {
    KeyView {
        id: of.id.to_string(),
        name: of.name,
        scope: of.scope.as_str(),
        tenant: of.tenant.map(|tenant| tenant.to_string()),
        profile: of.profile,
        prefix: of.prefix,
        rate_limit_per_s: of.rate_limit_per_s,
        created_at: rfc3339(of.created_ms),
        last_used_at: of.last_used_ms.map(rfc3339),
        key: None,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyQuery {
    limit: Option<String>,
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
    Ok(list::show(found.await?, view))
}

/// A key to be made: `name` (1 to 128 bytes) and `scope` are needed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    name: String,
    scope: String,
    /// The one tenant it is for; all where left out.
    tenant: Option<String>,
    /// The profile of webhooks made with it that name none.
    profile: Option<String>,
    /// Requests a second, 1 to 100,000, in place of the server's `--key-rate-limit`.
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
    Ok(HttpResponse::Created().json(KeyView {
        key: Some(text),
        ..view(stored)
    }))
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
