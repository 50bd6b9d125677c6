//! `/v1/portal-links`: one-time links that open the portal of a tenant.

use actix_web::HttpResponse;
use actix_web::web::Data;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Administrator, ApiResult, App, Call, Invalid, JsonBody, Scope, Table, schema};
use crate::actions::audit::AuditEntry;
use crate::auth::users;
use crate::domain::audit_action::AuditAction;
use crate::domain::json::whole;
use crate::domain::time::SECOND;
use crate::store::StoreError;

/// Default validity of a link in seconds.
const DEFAULT_S: i64 = 600;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/portal-links").post(create, describe_create);
}

fn describe_create(call: &mut Call<'_>) {
    call.operation("Keys and backups", "create_portal_link", "Create a portal link")
        .description("The link works once and opens the pages of its tenant for a session of up to 24 hours. Previewing the link does not use it up: the page has a button that does.")
        .scope(Scope::Admin)
        .request_body::<LinkBody>(r#"{"tenant": "acme", "expires_s": 600}"#)
        .response::<LinkView>(201, "The link. It won't be shown again.", r#"{
            "url": "https://hooks.example.com/portal?token=Lyi5CFrkcKC0lVxkO9YY5FTu06nP5qDlQxK9V7zW1c8",
            "expires_at": "2026-01-15T10:10:00.000Z"}"#)
        .errors(422, &["invalid_tenant", "out_of_range"]);
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPortalLink")]
struct LinkBody {
    tenant: schema::TenantName,
    /// Seconds until the unused link expires. Default: 600.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 60, max = 86_400))]
    expires_s: Option<i64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PortalLink")]
struct LinkView {
    url: String,
    expires_at: schema::Time,
}

async fn create(app: Data<App>, Administrator(caller): Administrator, body: JsonBody) -> ApiResult {
    let body: LinkBody = body.parse()?;
    let tenant = caller.tenant_for(Some(&body.tenant))?;
    let expires_s = body.expires_s.unwrap_or(DEFAULT_S);
    if !(60..=86_400).contains(&expires_s) {
        return Err(Invalid::new("out_of_range", "expires_s must be from 60 to 86400: a minute to a day.")
            .in_field("expires_s")
            .into());
    }
    let written = app.actions.store.write(move |tx| -> Result<_, StoreError> {
        let ends_ms = tx.now_ms() + expires_s * SECOND;
        let token = users::portal_link(tx.connection(), &tenant, tx.now_ms(), ends_ms)?;
        caller.audit(tx, AuditEntry::new(AuditAction::PortalLinkMade, &tenant).in_tenant(&tenant))?;
        Ok((token, ends_ms))
    });
    let (token, ends_ms) = written.committed().await?;
    Ok(HttpResponse::Created()
        .json(LinkView { url: app.site.url(&format!("/portal?token={token}")), expires_at: schema::Time::at(ends_ms) }))
}
