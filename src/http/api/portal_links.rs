//! `/v1/portal-links`: one-time links that open the portal of a tenant, and the sessions that they opened.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Administrator, ApiError, ApiResult, App, Call, Etag, JsonBody, Preconditions, Reader, Scope, Table, blocking,
    created, extract, respond_tagged, schema,
};
use crate::auth::portal::{self, LinkRequest};
use crate::domain::json::whole;
use crate::domain::time::SECOND;
use crate::http::api::list::{self, page};
use crate::store::portal_link::{self, ListedLink};

pub(super) fn routes(table: &mut Table) {
    table
        .at("/v1/portal-links")
        .get(index, describe_index)
        .post(create, describe_create)
        .delete(end_all, describe_end_all);
    table.at("/v1/portal-links/{id}").get(show, describe_show).delete(end, describe_end);
}

const EXAMPLE: &str = r#"{
    "id": "pl_01KF0AVD80W0PPFFQY8AY3BFJE", "url": "https://hooks.example.com/portal?token=Lyi5CFrkcKC0lVxkO9YY5FTu06nP5qDlQxK9V7zW1c8",
    "expires_at": "2026-01-15T10:10:00.000Z"}"#;

fn describe_index(call: &mut Call<'_>) {
    call.operation("Keys and backups", "list_portal_links", "List portal links and sessions")
        .description("Links that are unused, and links whose session is open. A link opens one session, and both end with the API key that made the link.")
        .scope(Scope::Read)
        .list::<LinksQuery, LinkView>()
        .errors(422, &["invalid_tenant"]);
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Keys and backups", "show_portal_link", "Get a portal link or session")
        .description("Without its URL. The ETag changes when the link is used, not with its session.")
        .scope(Scope::Read)
        .path_parameter::<schema::PortalLinkId>("id")
        .response::<LinkView>(200, "The link.", r#"{"id": "pl_01KF0AVD80W0PPFFQY8AY3BFJE", "tenant": "acme",
            "subject": "jo@acme.example", "api_key_id": "key_01KF0AVD80W0PPFFQY8AY3BFJE",
            "created_at": "2026-01-15T10:00:00.000Z", "expires_at": "2026-01-15T10:10:00.000Z", "session_s": 3600, "session": null}"#)
        .answers_if_changed();
}

fn describe_create(call: &mut Call<'_>) {
    call.operation("Keys and backups", "create_portal_link", "Create a portal link")
        .description("The link works once and opens the pages of its tenant for a session of up to 24 hours, which also ends after 12 hours without use. Previewing the link does not use it up: the page has a button that does. A tenant has at most 1,000 links and sessions; beyond that, the oldest one ends.")
        .scope(Scope::Admin)
        .stores_for_tenant()
        .request_body::<LinkBody>(r#"{"tenant": "acme", "subject": "jo@acme.example", "expires_s": 600, "session_s": 3600}"#)
        .response::<NewLinkView>(201, "The link. It won't be shown again.", EXAMPLE)
        .links(201, "/id", &["show_portal_link", "end_portal_link"])
        .etag(201)
        .errors(422, &["invalid_tenant", "reserved_tenant", "invalid_subject", "out_of_range"]);
}

fn describe_end_all(call: &mut Call<'_>) {
    call.operation("Keys and backups", "end_portal_links", "End all portal links and sessions of a tenant")
        .scope(Scope::Admin)
        .query_parameters::<EndQuery>()
        .response::<EndedView>(200, "The links and sessions have ended.", r#"{"ended": 3}"#)
        .errors(422, &["missing_parameter", "invalid_tenant"]);
}

fn describe_end(call: &mut Call<'_>) {
    call.operation("Keys and backups", "end_portal_link", "End a portal link and its session")
        .scope(Scope::Admin)
        .path_parameter::<schema::PortalLinkId>("id")
        .no_content("The link and its session have ended.")
        .takes_if_match();
}

/// A new portal link.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPortalLink")]
struct LinkBody {
    tenant: schema::TenantName,
    /// Person of the tenant. The audit log shows it as the actor of the session's changes.
    #[schemars(length(min = 1, max = 128), extend("pattern" = schema::LINE))]
    subject: Option<String>,
    /// Seconds until the unused link expires. Default: 600.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 60, max = 86_400))]
    expires_s: Option<i64>,
    /// Seconds until the session ends. Default: 86400.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 60, max = 86_400))]
    session_s: Option<i64>,
}

/// A new portal link. Its URL is shown only here.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedPortalLink")]
struct NewLinkView {
    id: schema::PortalLinkId,
    url: String,
    /// Time at which the unused link expires.
    expires_at: schema::Time,
}

/// A portal link that is unused or whose session is open.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PortalLink")]
struct LinkView {
    id: schema::PortalLinkId,
    tenant: schema::TenantName,
    /// Person of the tenant.
    subject: Option<String>,
    /// The API key that made the link.
    api_key_id: schema::ApiKeyId,
    created_at: schema::Time,
    /// Time at which the unused link expires, or the session ends.
    expires_at: schema::Time,
    /// Longest duration of the session in seconds.
    session_s: i64,
    /// The open session; `null` if the link is unused.
    session: Option<SessionView>,
}

/// Session that a portal link opened.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PortalSession")]
struct SessionView {
    started_at: schema::Time,
    /// Accurate to the minute.
    last_used_at: schema::Time,
}

impl From<ListedLink> for LinkView {
    fn from(listed: ListedLink) -> LinkView {
        let link = listed.link;
        let session = link.opened_ms.map(|opened_ms| SessionView {
            started_at: schema::Time::at(opened_ms),
            last_used_at: schema::Time::at(listed.seen_ms.unwrap_or(opened_ms)),
        });
        LinkView {
            id: link.id.into(),
            tenant: link.tenant.into(),
            subject: link.subject,
            api_key_id: listed.api_key_id.into(),
            created_at: schema::Time::at(link.created_ms),
            expires_at: schema::Time::at(link.ends_ms),
            session_s: link.session_ms / SECOND,
            session,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinksQuery {
    /// Only of this tenant.
    tenant: Option<schema::TenantName>,
    /// Largest number of rows in the page.
    limit: Option<schema::Limit>,
    /// Start of the page.
    cursor: Option<schema::Cursor>,
}

async fn index(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let query: LinksQuery = extract::query(&request)?;
    let tenant = caller.tenant_filter(query.tenant.as_deref())?;
    let part = page(&request, query.limit.as_deref(), query.cursor.as_deref())?;
    let now = app.actions.clock.now_ms();
    list::show(&app, &caller, part, move |db| portal_link::page(db, tenant.as_ref(), now, &part), LinkView::from).await
}

async fn create(app: Data<App>, Administrator(caller): Administrator, body: JsonBody) -> ApiResult {
    let body: LinkBody = body.parse()?;
    let tenant = caller.tenant_for(Some(&body.tenant))?;
    let request = LinkRequest { tenant, subject: body.subject, expires_s: body.expires_s, session_s: body.session_s };
    let (token, link) = portal::create(&app.actions.store, &caller, request).committed().await?;
    let url = app.site.url(&format!("/portal?token={token}"));
    let expires_at = schema::Time::at(link.ends_ms);
    let mut response = created(format_args!("portal-links/{}", link.id));
    Ok(response.insert_header(Etag::of(&link).header()).json(NewLinkView { id: link.id.into(), url, expires_at }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EndQuery {
    /// Tenant whose links and sessions end. Default: the key's tenant; required if the key is for all tenants.
    tenant: Option<schema::TenantName>,
}

/// Numbers of ended links and sessions.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EndedPortalLinks")]
struct EndedView {
    /// Number of links and sessions that ended.
    ended: u64,
}

async fn end_all(app: Data<App>, request: HttpRequest, Administrator(caller): Administrator) -> ApiResult {
    let query: EndQuery = extract::query(&request)?;
    if query.tenant.is_none() && caller.tenant.is_none() {
        let message = "Name the tenant whose links and sessions end: ?tenant=NAME.";
        return Err(ApiError::invalid("missing_parameter", message).in_field("tenant"));
    }
    let tenant = caller.tenant_for(query.tenant.as_deref())?;
    let store = app.actions.store.clone();
    let ended = blocking(move || portal::end_all(&store, &caller, &tenant)).await??;
    Ok(HttpResponse::Ok().json(EndedView { ended }))
}

async fn show(app: Data<App>, Reader(caller): Reader, id: Path<String>, conditions: Preconditions) -> ApiResult {
    let (store, now, reader) = (app.actions.store.clone(), app.actions.clock.now_ms(), caller.clone());
    let read =
        move |db: &_| portal::find(db, &caller, &id, now).map(|listed| (listed.link.clone(), LinkView::from(listed)));
    respond_tagged(&app, &reader, conditions, move || store.read(read)).await
}

async fn end(
    app: Data<App>,
    Administrator(caller): Administrator,
    id: Path<String>,
    conditions: Preconditions,
) -> ApiResult {
    portal::end(&app.actions.store, &caller, &id, conditions.unchanged()).committed().await?;
    Ok(HttpResponse::NoContent().finish())
}
