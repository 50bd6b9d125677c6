//! `/v1/portal-links`: a link by which the people of one tenant come to the pages that are theirs.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{Administrator, JsonBody};
use super::resource;
use crate::auth::people;
use crate::domain::Invalid;
use crate::domain::time::{SECOND, rfc3339};
use crate::store::StoreError;

/// How long a link is good for where nobody says, in seconds.
const DEFAULT_S: i64 = 600;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/v1/portal-links").route(web::post().to(create)));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkBody {
    tenant: String,
    /// 60 to 86400; until then the link opens a session, once.
    expires_s: Option<i64>,
}

#[derive(Serialize)]
struct LinkView {
    url: String,
    expires_at: String,
}

/// `POST /v1/portal-links`: 201 with the link, which is stored nowhere.
async fn create(
    app: Data<App>,
    Administrator(caller): Administrator,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let body: LinkBody = body.parse()?;
    let tenant = caller.tenant_for(Some(&body.tenant))?;
    let expires_s = body.expires_s.unwrap_or(DEFAULT_S);
    if !(60..=86_400).contains(&expires_s) {
        return Err(Invalid::new(
            "out_of_range",
            "expires_s is 60 to 86400: a minute to a day.",
        )
        .in_field("expires_s")
        .into());
    }
    let made = app.actions.store.write(move |tx| -> Result<_, StoreError> {
        let ends_ms = tx.now_ms() + expires_s * SECOND;
        let token = people::portal_link(tx.connection(), &tenant, tx.now_ms(), ends_ms)?;
        Ok((token, ends_ms))
    });
    let (token, ends_ms) = made.committed().await?;
    Ok(HttpResponse::Created().json(LinkView {
        url: app.site.url(&format!("/portal?token={token}")),
        expires_at: rfc3339(ends_ms),
    }))
}
