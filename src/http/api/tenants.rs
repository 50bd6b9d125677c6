//! `/v1/tenants`: tenants with counts, and their deletion.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list::ListId;
use super::openapi::schema;
use super::{
    Administrator, ApiError, ApiResult, App, Call, Preconditions, Reader, Scope, Table, extract, list, respond,
    respond_to_one,
};
use crate::actions::ActionError;
use crate::domain::event::Tenant;
use crate::store::StoreError;
use crate::store::tenant::{self, Contents, MOST_DEAD_LETTERS, TenantDeletion, TenantPage, TenantSummary};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/tenants").get(index, describe_index);
    table.at("/v1/tenants/{tenant}").get(show, describe_show).delete(delete, describe_delete);
}

const EXAMPLE: &str = r#"{"name": "acme", "webhooks": {"active": 3, "paused": 0, "disabled": 1, "unverified": 0},
    "queued_deliveries": 12, "dead_letters": 3, "last_event_at": "2026-01-15T10:00:00.000Z", "deletion": null}"#;
const CONTENTS: &str =
    r#"{"webhooks": 4, "deliveries": 52017, "events": 20934, "contacts": 1, "api_keys": 1, "portal_links": 0}"#;

fn describe_index(call: &mut Call<'_>) {
    call.operation("Tenants", "list_tenants", "List tenants")
        .description("In the order of their names. A tenant exists while it has webhooks, events, contacts, API keys, portal links or an inbox. A page may have fewer tenants than `limit` although more follow: it ends once much was counted or many names were searched. A key of one tenant lists this tenant.")
        .scope(Scope::Read)
        .query_parameters::<TenantsQuery>()
        .errors(422, &["invalid_limit", "invalid_cursor", "invalid_search"])
        .response::<TenantList>(200, "One page of the list.", r#"{"data": [], "next_cursor": null}"#);
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Tenants", "show_tenant", "Get a tenant")
        .scope(Scope::Read)
        .path_parameter::<schema::TenantName>("tenant")
        .response::<TenantView>(200, "The tenant.", EXAMPLE)
        .answers_if_changed();
}

fn describe_delete(call: &mut Call<'_>) {
    call.operation("Tenants", "delete_tenant", "Delete a tenant")
        .description("Deletes the tenant's webhooks, events, deliveries, attempts, incidents, statistics, contacts and their messages, API keys, portal links and sessions, and its inbox. With `dry_run=true` it only counts; without, `confirm` must repeat the name. From the response on nothing is sent for the tenant, its keys and sessions are rejected, and publishing to it is a 409. The rows are deleted in the background, also after a restart; until the end, `GET /v1/tenants/{tenant}` has `deletion`. Then it is a 404, and the name can be used again. Entries of the audit log stay. Requires a key for all tenants.")
        .scope(Scope::Admin)
        .is_job()
        .path_parameter::<schema::TenantName>("tenant")
        .query_parameters::<DeleteQuery>()
        .response::<ContentsView>(200, "With `dry_run`: what the tenant has.", CONTENTS)
        .response::<ContentsView>(202, "What is deleted from now on.", CONTENTS)
        .errors(422, &["invalid_value", "not_confirmed", "reserved_tenant"]);
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TenantsQuery {
    /// Only tenants whose name contains this text, in any case.
    q: Option<schema::SearchText>,
    /// Largest number of rows in the page.
    limit: Option<schema::Limit>,
    /// Start of the page.
    cursor: Option<schema::NameCursor>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteQuery {
    /// Only count.
    #[schemars(with = "bool")]
    dry_run: Option<String>,
    /// The name of the tenant again.
    confirm: Option<schema::TenantName>,
}

/// One page of the tenants, by name.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TenantPage")]
struct TenantList {
    data: Vec<TenantView>,
    /// `cursor` of the next page; null on the last page.
    next_cursor: Option<schema::NameCursor>,
}

/// A tenant with counts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tenant")]
struct TenantView {
    name: schema::TenantName,
    webhooks: WebhookCountsView,
    /// Pending and retrying deliveries.
    queued_deliveries: u64,
    /// Failed deliveries. At most 1,000 are counted.
    #[schemars(range(max = MOST_DEAD_LETTERS))]
    dead_letters: u64,
    /// Time at which the newest stored event was received.
    last_event_at: Option<schema::Time>,
    /// Set while the tenant is being deleted.
    deletion: Option<DeletionView>,
}

/// Webhooks of a tenant by state.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TenantWebhooks")]
struct WebhookCountsView {
    active: u64,
    paused: u64,
    disabled: u64,
    unverified: u64,
}

/// Deletion of a tenant that is under way.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TenantDeletion")]
struct DeletionView {
    begun_at: schema::Time,
    /// Deliveries when it began.
    deliveries: u64,
    /// Events when it began.
    events: u64,
    deleted_deliveries: u64,
    deleted_events: u64,
}

/// Numbers of what a tenant has.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TenantContents")]
struct ContentsView {
    webhooks: u64,
    /// In any status, with tests.
    deliveries: u64,
    events: u64,
    contacts: u64,
    /// Keys that are not revoked.
    api_keys: u64,
    /// Links and sessions of the portal that can be used.
    portal_links: u64,
}

impl From<TenantSummary> for TenantView {
    fn from(found: TenantSummary) -> TenantView {
        let tenant::WebhookCounts { active, paused, disabled, unverified } = found.webhooks;
        TenantView {
            name: found.name.into(),
            webhooks: WebhookCountsView { active, paused, disabled, unverified },
            queued_deliveries: found.queued,
            dead_letters: found.dead_letters,
            last_event_at: found.last_event_ms.map(schema::Time::at),
            deletion: found.deletion.map(DeletionView::from),
        }
    }
}

impl From<TenantDeletion> for DeletionView {
    fn from(deletion: TenantDeletion) -> DeletionView {
        let TenantDeletion { begun_ms, deliveries, events, deleted_deliveries, deleted_events, .. } = deletion;
        let begun_at = schema::Time::at(begun_ms);
        DeletionView { begun_at, deliveries, events, deleted_deliveries, deleted_events }
    }
}

impl From<Contents> for ContentsView {
    fn from(contents: Contents) -> ContentsView {
        let Contents { webhooks, deliveries, events, contacts, api_keys, portal_links } = contents;
        ContentsView { webhooks, deliveries, events, contacts, api_keys, portal_links }
    }
}

async fn index(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let query: TenantsQuery = extract::query(&request)?;
    let id = ListId::of(request.path(), request.query_string());
    let limit = list::parse_limit(query.limit.as_deref())?;
    let needle = list::parameter("q", query.q.as_deref())?;
    let after = query.cursor.as_deref().map(|text| id.parse_name(text)).transpose()?.unwrap_or_default();
    let (store, own) = (app.actions.store.clone(), caller.tenant.clone());
    respond(&app, &caller, move || {
        let page = match own {
            None => store.read(|connection| tenant::page(connection, needle.as_ref(), &after, limit))?,
            Some(own) => TenantPage {
                rows: store
                    .read(|connection| tenant::get(connection, &own))?
                    .into_iter()
                    .filter(|found| needle.as_ref().is_none_or(|needle| needle.is_in(found.name.as_str().as_bytes())))
                    .collect(),
                next: None,
            },
        };
        let next_cursor = page.next.map(|name| id.cursor_after(name.as_str()));
        Ok::<_, StoreError>(TenantList { data: page.rows.into_iter().map(TenantView::from).collect(), next_cursor })
    })
    .await
}

async fn show(app: Data<App>, Reader(caller): Reader, name: Path<String>, conditions: Preconditions) -> ApiResult {
    let name = parse_name(&name)?;
    let (store, reader) = (app.actions.store.clone(), caller.clone());
    respond_to_one(&app, &reader, conditions, move || {
        let found = if caller.sees(&name) { store.read(|connection| tenant::get(connection, &name))? } else { None };
        found.map(TenantView::from).ok_or(ActionError::NotFound("tenant"))
    })
    .await
}

async fn delete(
    app: Data<App>,
    request: HttpRequest,
    Administrator(caller): Administrator,
    name: Path<String>,
) -> ApiResult {
    let query: DeleteQuery = extract::query(&request)?;
    let name = parse_name(&name)?;
    let dry_run = match query.dry_run.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            let message = format!("{other:?} is not one of true, false.");
            return Err(ApiError::invalid("invalid_value", message).in_field("dry_run"));
        }
    };
    if caller.tenant.is_none() && !dry_run && query.confirm.as_deref() != Some(name.as_str()) {
        let message = format!(
            "Nothing was deleted. Repeat the name to delete the tenant and all that it has: ?confirm={name}. With ?dry_run=true the call only counts."
        );
        return Err(ApiError::invalid("not_confirmed", message).in_field("confirm"));
    }
    let state = app.clone();
    let work = move |caller: &_| {
        let go_on = || !state.is_stopping();
        state.actions.delete_tenant(caller, &name, dry_run, &go_on)
    };
    let contents = ContentsView::from(app.jobs.run(caller, work).await??);
    Ok(if dry_run { HttpResponse::Ok().json(contents) } else { HttpResponse::Accepted().json(contents) })
}

/// Parses the name in a path. An invalid name is a 404, because no tenant can have it.
fn parse_name(name: &str) -> Result<Tenant, ApiError> {
    name.parse().map_err(|_| ApiError::not_found("No such tenant."))
}
