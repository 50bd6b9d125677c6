//! Webhooks that the application knows by its own id, by their URL, or by what they have in common.

use rusqlite::{Connection, named_params};

use super::row::patterns;
use crate::domain::event::Tenant;
use crate::domain::id::WebhookId;
use crate::domain::pattern::EventPattern;
use crate::domain::webhook::{ExternalId, Webhook};
use crate::store::error::Result;
use crate::store::sql;

/// Returns the id of the webhook with an external id.
pub fn by_external_id(connection: &Connection, tenant: &Tenant, id: &ExternalId) -> Result<Option<WebhookId>> {
    let query = "SELECT id FROM webhook WHERE tenant = :tenant AND external_id = :id AND deleted_ms IS NULL";
    sql::first(connection, query, named_params! {":tenant": tenant, ":id": id}, |row| row.get("id"))
}

/// Returns the id of the webhook that was created at the path of a compatible system for a URL.
pub fn by_settings(connection: &Connection, tenant: &Tenant, url: &str) -> Result<Option<WebhookId>> {
    let query = "SELECT id FROM webhook
                 WHERE tenant = :tenant AND url = :url AND by_settings = 1 AND deleted_ms IS NULL ORDER BY seq DESC LIMIT 1";
    sql::first(connection, query, named_params! {":tenant": tenant, ":url": url}, |row| row.get("id"))
}

/// Returns the ids of other webhooks of the tenant with the same URL and event types, newest first, up to `limit`.
pub fn similar(connection: &Connection, webhook: &Webhook, limit: usize) -> Result<Vec<WebhookId>> {
    let query = "SELECT id, events FROM webhook
                 WHERE tenant = :tenant AND url = :url AND seq <> :seq AND deleted_ms IS NULL AND contact_seq IS NULL
                 ORDER BY seq DESC";
    let mut statement = connection.prepare_cached(query)?;
    let params = named_params! {":tenant": webhook.tenant, ":url": webhook.url, ":seq": webhook.seq};
    let is_same = |events: &[EventPattern]| {
        events.len() == webhook.events.len() && events.iter().all(|event| webhook.events.contains(event))
    };
    let found = statement.query_map(params, |row| is_same(&patterns(row)?).then(|| row.get("id")).transpose())?;
    Ok(found.filter_map(rusqlite::Result::transpose).take(limit).collect::<rusqlite::Result<_>>()?)
}
