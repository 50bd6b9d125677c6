//! `/v1/inbox`: the URL of a tenant's built-in inbox. The pages open the inbox and show its requests.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Administrator, ApiError, ApiResult, App, Call, Preconditions, Reader, Scope, Table, extract, respond_tagged, schema,
};
use crate::store::inbox::Inbox;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/inbox").get(show, describe_show).post(open, describe_open).delete(close, describe_close);
    table.at("/v1/inbox/rotate").post(rotate, describe_rotate);
}

const EXAMPLE: &str = r#"{"tenant": "default", "url": "https://hooks.example.com/in/4tXCGZ5QTrSdGz8bqXbYpM2k"}"#;

fn describe_show(call: &mut Call<'_>) {
    call.operation("Inbox", "show_inbox", "Get the URL of the inbox")
        .scope(Scope::Read)
        .query_parameters::<InboxQuery>()
        .response::<InboxView>(200, "The inbox.", EXAMPLE)
        .answers_if_changed()
        .errors(404, &["not_found"])
        .errors(422, &["invalid_tenant"]);
}

fn describe_open(call: &mut Call<'_>) {
    call.operation("Inbox", "open_inbox", "Open the inbox")
        .description(
            "Returns the inbox if it is open already. Webhooks may target it whatever addresses the server allows.",
        )
        .scope(Scope::Admin)
        .stores_for_tenant()
        .query_parameters::<InboxQuery>()
        .response::<InboxView>(200, "The inbox.", EXAMPLE)
        .errors(422, &["invalid_tenant"]);
}

fn describe_rotate(call: &mut Call<'_>) {
    call.operation("Inbox", "rotate_inbox", "Change the URL of the inbox")
        .description("The old URL is refused from then on. Webhooks that point at it fail until their URL is changed.")
        .scope(Scope::Admin)
        .query_parameters::<InboxQuery>()
        .response::<InboxView>(200, "The inbox with its new URL.", EXAMPLE)
        .errors(404, &["not_found"])
        .errors(422, &["invalid_tenant"]);
}

fn describe_close(call: &mut Call<'_>) {
    call.operation("Inbox", "close_inbox", "Close the inbox")
        .description("Deletes the requests in it. Webhooks that point at it fail. When the inbox is opened again, it has another URL.")
        .scope(Scope::Admin)
        .query_parameters::<InboxQuery>()
        .no_content("The inbox is closed.")
        .takes_if_match()
        .errors(404, &["not_found"])
        .errors(422, &["invalid_tenant"]);
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InboxQuery {
    /// Tenant of the inbox. Default: the key's tenant, or `default`.
    tenant: Option<schema::TenantName>,
}

/// The built-in inbox of a tenant.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Inbox")]
struct InboxView {
    tenant: schema::TenantName,
    /// URL that receives requests. Anyone who knows it can send some.
    url: String,
}

impl InboxView {
    fn of(inbox: &Inbox, app: &App) -> InboxView {
        InboxView { tenant: (&inbox.tenant).into(), url: app.site.url(&format!("/in/{}", inbox.token)) }
    }
}

async fn show(app: Data<App>, request: HttpRequest, Reader(caller): Reader, conditions: Preconditions) -> ApiResult {
    let query: InboxQuery = extract::query(&request)?;
    let (actions, reader, shown) = (app.actions.clone(), caller.clone(), app.clone());
    let read = move || {
        let found = actions.inbox(&caller, query.tenant.as_deref())?;
        let inbox = found.ok_or_else(|| ApiError::not_found("This inbox is not open. POST /v1/inbox opens it."))?;
        let view = InboxView::of(&inbox, &shown);
        Ok::<_, ApiError>((inbox, view))
    };
    respond_tagged(&app, &reader, conditions, read).await
}

async fn open(app: Data<App>, request: HttpRequest, Administrator(caller): Administrator) -> ApiResult {
    let query: InboxQuery = extract::query(&request)?;
    let inbox = app.actions.open_inbox(&caller, query.tenant.as_deref()).committed().await?;
    Ok(HttpResponse::Ok().json(InboxView::of(&inbox, &app)))
}

async fn rotate(app: Data<App>, request: HttpRequest, Administrator(caller): Administrator) -> ApiResult {
    let query: InboxQuery = extract::query(&request)?;
    let inbox = app.actions.change_inbox_url(&caller, query.tenant.as_deref()).committed().await?;
    Ok(HttpResponse::Ok().json(InboxView::of(&inbox, &app)))
}

async fn close(
    app: Data<App>,
    request: HttpRequest,
    Administrator(caller): Administrator,
    conditions: Preconditions,
) -> ApiResult {
    let query: InboxQuery = extract::query(&request)?;
    app.actions.close_inbox(&caller, query.tenant.as_deref(), conditions.unchanged()).committed().await?;
    Ok(HttpResponse::NoContent().finish())
}
