//! `/v1/portal-links`: a link by which the people of one tenant come to the pages that are theirs.

use actix_web::HttpResponse;
use actix_web::web::Data;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{Administrator, JsonBody};
use super::table::Table;
use crate::actions::audit::AuditEntry;
use crate::auth::users;
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::json::whole;
use crate::domain::time::{SECOND, rfc3339};
use crate::http::api::openapi::{Call, schema};
use crate::store::StoreError;
use crate::store::api_key::Scope;

/// How long a link is good for where nobody says, in seconds.
const DEFAULT_S: i64 = 600;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/portal-links").post(create, describe_create);
}

fn describe_create(call: &mut Call<'_>) {
    call.named("create_portal_link", "Make a link to the portal of a tenant")
        .of("Keys and backups")
        .says("It works once and opens the pages limited to that tenant, for a session of up to 24 hours. Looking at it uses nothing up: the page has one button that does.")
        .needs(Scope::Admin)
        .takes::<LinkBody>(r#"{"tenant": "acme", "expires_s": 600}"#)
        .answers::<LinkView>(201, "The link, shown this once.", r#"{
            "url": "https://hooks.example.com/portal?token=Lyi5CFrkcKC0lVxkO9YY5FTu06nP5qDlQxK9V7zW1c8",
            "expires_at": "2026-01-15T10:10:00.000Z"}"#)
        .fails(422, &["invalid_tenant", "out_of_range"]);
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPortalLink")]
struct LinkBody {
    #[schemars(with = "schema::TenantName")]
    tenant: String,
    /// Seconds for which the link opens a session, once; 600 where left out.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 60, max = 86_400))]
    expires_s: Option<i64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PortalLink")]
struct LinkView {
    url: String,
    #[schemars(with = "schema::Time")]
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
        return Err(Invalid::new("out_of_range", "expires_s is 60 to 86400: a minute to a day.")
            .in_field("expires_s")
            .into());
    }
    let made = app.actions.store.write(move |tx| -> Result<_, StoreError> {
        let ends_ms = tx.now_ms() + expires_s * SECOND;
        let token = users::portal_link(tx.connection(), &tenant, tx.now_ms(), ends_ms)?;
        caller.audit(tx, AuditEntry::new(AuditAction::PortalLinkMade, &tenant).in_tenant(&tenant))?;
        Ok((token, ends_ms))
    });
    let (token, ends_ms) = made.committed().await?;
    Ok(HttpResponse::Created()
        .json(LinkView { url: app.site.url(&format!("/portal?token={token}")), expires_at: rfc3339(ends_ms) }))
}
