//! `/v1/audit`: changes with their actors, and failed sign-ins.

use actix_web::HttpRequest;
use actix_web::web::Data;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::export;
use super::openapi::schema::{AuditAction, Cursor, Limit, SortOrder, TenantName, Time};
use super::{Administrator, ApiError, ApiResult, App, Call, Codes, Scope, Table, extract, list, require_all_tenants};
use crate::store::audit::{self, AuditFilter, AuditRecord};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/audit").get(index, describe_index);
    table.at("/v1/audit/export").get(export, describe_export);
}

const FILTER_CODES: Codes = &["invalid_value", "invalid_tenant", "invalid_time"];

const EXAMPLE: &str = r#"{"id": 42, "at": "2026-01-15T10:00:00.000Z", "actor": "anna", "address": "192.0.2.7",
    "action": "api_key.created", "subject": "key_01KF0AVD80W0PPFFQY8AY3BFJE", "tenant": null, "detail": "shop, publish", "count": 1}"#;

fn describe_index(call: &mut Call<'_>) {
    call.operation("Keys and backups", "list_audit", "List the audit log")
        .description("Changes made with the API, on the pages and on the command line, and failed sign-ins. Publishing events with the API is not listed. Entries are kept for `--audit-days`.")
        .scope(Scope::Admin)
        .list::<AuditQuery, AuditView>()
        .response::<list::ListResponse<AuditView>>(200, "One page of the list.", &format!(r#"{{"data": [{EXAMPLE}], "next_cursor": null}}"#))
        .errors(422, FILTER_CODES);
}

fn describe_export(call: &mut Call<'_>) {
    call.operation("Keys and backups", "export_audit", "Download the audit log")
        .description(
            "Streams all matching entries, newest first, one JSON object per line (NDJSON), in the form of the list.",
        )
        .scope(Scope::Admin)
        .query_parameters::<AuditQuery>()
        .without_parameters(&["order", "limit", "cursor"])
        .response_of_type("application/x-ndjson", "One entry per line.")
        .errors(422, FILTER_CODES);
}

/// An entry of the audit log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub(in crate::http) struct AuditView {
    /// Grows with each entry.
    id: i64,
    at: Time,
    /// Name of a user, `API key` and its name, `portal of` a tenant, `command line`, or `not signed in`.
    actor: String,
    /// Address of the client; `null` for commands, and for a `count` over many addresses.
    address: Option<String>,
    action: AuditAction,
    /// Id or name of the changed object.
    subject: String,
    /// Tenant of the object; `null` if all tenants share it.
    tenant: Option<TenantName>,
    detail: String,
    /// How often it happened within a minute. Above 1 for failed sign-ins only.
    count: u32,
}

impl From<AuditRecord> for AuditView {
    fn from(entry: AuditRecord) -> AuditView {
        AuditView {
            id: entry.seq,
            at: Time::at(entry.at_ms),
            actor: entry.actor,
            address: entry.address,
            action: entry.action.into(),
            subject: entry.subject,
            tenant: entry.tenant.map(TenantName::from),
            detail: entry.detail,
            count: entry.count,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// Only this action.
    action: Option<AuditAction>,
    /// Only this actor, spelled as in the list.
    actor: Option<String>,
    /// Only objects of this tenant.
    tenant: Option<TenantName>,
    /// At or after this time.
    since: Option<Time>,
    /// Before this time.
    until: Option<Time>,
    /// Order of the rows. Default: newest first.
    order: Option<SortOrder>,
    /// Largest number of rows in the page.
    limit: Option<Limit>,
    /// Start of the page.
    cursor: Option<Cursor>,
}

impl AuditQuery {
    fn filter(&self) -> Result<AuditFilter, ApiError> {
        Ok(AuditFilter {
            action: list::parameter("action", self.action.as_deref())?,
            actor: self.actor.clone(),
            tenant: list::parameter("tenant", self.tenant.as_deref())?,
            since: list::time("since", self.since.as_deref())?,
            until: list::time("until", self.until.as_deref())?,
        })
    }
}

async fn index(app: Data<App>, request: HttpRequest, Administrator(caller): Administrator) -> ApiResult {
    require_all_tenants(&caller)?;
    let query: AuditQuery = extract::query(&request)?;
    let filter = query.filter()?;
    let (limit, cursor, order) = (query.limit.as_deref(), query.cursor.as_deref(), query.order.as_deref());
    let page = list::ordered_page(&request, limit, cursor, order)?;
    list::show(&app, &caller, page, move |connection| audit::list(connection, &filter, &page), AuditView::from).await
}

async fn export(app: Data<App>, request: HttpRequest, Administrator(caller): Administrator) -> ApiResult {
    require_all_tenants(&caller)?;
    let query: AuditQuery = extract::query(&request)?;
    list::refuse_page(query.limit.as_deref(), query.cursor.as_deref())?;
    list::refuse("order", query.order.is_some(), "An export has one order")?;
    export::audit(&app, query.filter()?).await
}
