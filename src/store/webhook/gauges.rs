//! Counts of webhooks for monitoring.

use std::collections::HashMap;

use rusqlite::{Connection, Row, named_params};

use crate::domain::event::Tenant;
use crate::domain::id::WebhookId;
use crate::domain::webhook::WebhookState;
use crate::store::error::Result;
use crate::store::sql::{self, read_row};

/// Numbers of one webhook.
#[derive(Debug, Clone)]
pub struct WebhookGauges {
    pub id: WebhookId,
    pub tenant: Tenant,
    /// Pending and retrying deliveries.
    pub waiting: u64,
    /// Delivered deliveries since the webhook was created, without tests.
    pub delivered: u64,
    /// Whether the webhook is in an open incident.
    pub in_incident: bool,
}

/// Counts webhooks by state, without those of contacts. States without a webhook are left out.
pub fn count_by_state(connection: &Connection) -> Result<HashMap<WebhookState, u64>> {
    let query = "SELECT state, count(*) AS webhooks FROM webhook
                 WHERE deleted_ms IS NULL AND contact_seq IS NULL GROUP BY state";
    let rows = sql::all(connection, query, [], |row| Ok((row.get("state")?, row.get("webhooks")?)))?;
    Ok(rows.into_iter().collect())
}

/// Returns the numbers of each webhook, in the order of their creation, without those of contacts. Reads
/// one row of each.
pub fn gauges(connection: &Connection, limit: u32) -> Result<Vec<WebhookGauges>> {
    let query = "SELECT id, tenant, max(pending_count + retrying_count, 0) AS waiting, success_count AS delivered,
                     EXISTS (SELECT 1 FROM incident_webhook m WHERE m.webhook_seq = webhook.seq AND m.ended_ms IS NULL)
                         AS in_incident
                 FROM webhook WHERE deleted_ms IS NULL AND contact_seq IS NULL ORDER BY seq LIMIT :limit";
    let params = named_params! {":limit": limit};
    let read = |row: &Row<'_>| Ok(read_row!(row, WebhookGauges { id, tenant, waiting, delivered, in_incident }));
    sql::all(connection, query, params, read)
}
