//! Tenants: what exists under a name. There is no table of them: a tenant exists while it has webhooks, events, contacts,
//! keys, portal links or an inbox, and each of these tables has an index by its name.

pub mod deletion;
mod deletion_step;

use rusqlite::{Connection, Row, named_params};

use super::error::Result;
use super::sql::{self, read_row};
use crate::domain::event::Tenant;
use crate::domain::needle::Needle;
use crate::domain::time::Millis;

pub use deletion::TenantDeletion;

/// Dead letters of a tenant that are counted at most.
pub const MOST_DEAD_LETTERS: u64 = 1_000;
/// Rows that a page reads to count, after which it ends early.
const BUDGET: u64 = 20_000;
/// Names that a search examines for one page.
const NAMES: u32 = 10_000;

/// A tenant with counts.
#[derive(Debug, Clone)]
pub struct TenantSummary {
    pub name: Tenant,
    pub webhooks: WebhookCounts,
    /// Pending and retrying deliveries, without tests.
    pub queued: u64,
    /// At most [`MOST_DEAD_LETTERS`].
    pub dead_letters: u64,
    /// When the newest stored event was received.
    pub last_event_ms: Option<Millis>,
    pub deletion: Option<TenantDeletion>,
}

/// Webhooks of a tenant by state, without those of contacts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookCounts {
    pub active: u64,
    pub paused: u64,
    pub disabled: u64,
    pub unverified: u64,
}

impl WebhookCounts {
    pub fn total(self) -> u64 {
        self.active + self.paused + self.disabled + self.unverified
    }
}

/// Part of the list of tenants, by name.
#[derive(Debug, Clone)]
pub struct TenantPage {
    pub rows: Vec<TenantSummary>,
    /// Name after which the next page begins.
    pub next: Option<Tenant>,
}

/// Whether a tenant exists.
pub fn exists(connection: &Connection, name: &Tenant) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM topic WHERE tenant = :name)
                     OR EXISTS (SELECT 1 FROM webhook WHERE tenant = :name)
                     OR EXISTS (SELECT 1 FROM contact WHERE tenant = :name)
                     OR EXISTS (SELECT 1 FROM inbox WHERE tenant = :name)
                     OR EXISTS (SELECT 1 FROM portal_link WHERE tenant = :name)
                     OR EXISTS (SELECT 1 FROM api_key WHERE tenant = :name AND revoked_ms IS NULL)
                     OR EXISTS (SELECT 1 FROM tenant_deletion WHERE tenant = :name)";
    sql::value(connection, query, named_params! {":name": name})
}

/// Returns the first tenant after a name, in alphabetical order. Seeks in an index of each table.
fn following(connection: &Connection, after: &str) -> Result<Option<Tenant>> {
    let query = "SELECT min(name) FROM (
                     SELECT (SELECT min(tenant) FROM topic WHERE tenant > :after) AS name
                     UNION ALL SELECT (SELECT min(tenant) FROM webhook WHERE tenant > :after)
                     UNION ALL SELECT (SELECT min(tenant) FROM contact WHERE tenant > :after)
                     UNION ALL SELECT (SELECT min(tenant) FROM inbox WHERE tenant > :after)
                     UNION ALL SELECT (SELECT min(tenant) FROM portal_link WHERE tenant > :after)
                     UNION ALL SELECT (SELECT min(tenant) FROM api_key WHERE tenant > :after AND revoked_ms IS NULL)
                     UNION ALL SELECT (SELECT min(tenant) FROM tenant_deletion WHERE tenant > :after))";
    sql::value(connection, query, named_params! {":after": after})
}

/// Returns up to `limit` tenants in alphabetical order after a name.
pub fn names(connection: &Connection, after: &str, limit: u32) -> Result<Vec<Tenant>> {
    let mut found: Vec<Tenant> = Vec::new();
    while found.len() < limit as usize {
        let after = found.last().map_or(after, Tenant::as_str);
        match following(connection, after)? {
            Some(name) => found.push(name),
            None => break,
        }
    }
    Ok(found)
}

/// Returns a page of the tenants whose name contains a text, in alphabetical order after a name. It may have fewer rows than
/// `limit` although more follow, since it ends once much was counted or many names were examined.
pub fn page(connection: &Connection, needle: Option<&Needle>, after: &str, limit: u32) -> Result<TenantPage> {
    let mut rows = Vec::new();
    let (mut after, mut budget) = (after.to_owned(), BUDGET);
    for _ in 0..NAMES {
        let Some(name) = following(connection, &after)? else {
            return Ok(TenantPage { rows, next: None });
        };
        if rows.len() >= limit as usize || budget == 0 {
            break;
        }
        after = name.to_string();
        if needle.is_none_or(|needle| needle.is_in(name.as_str().as_bytes())) {
            let (row, examined) = summary(connection, name)?;
            budget = budget.saturating_sub(examined);
            rows.push(row);
        }
    }
    Ok(TenantPage { rows, next: after.parse().ok() })
}

/// Returns a tenant with counts.
pub fn get(connection: &Connection, name: &Tenant) -> Result<Option<TenantSummary>> {
    match exists(connection, name)? {
        true => Ok(Some(summary(connection, name.clone())?.0)),
        false => Ok(None),
    }
}

/// Counts what a tenant has. Returns the number of rows read, too.
fn summary(connection: &Connection, name: Tenant) -> Result<(TenantSummary, u64)> {
    let key = named_params! {":tenant": name};
    let query = "SELECT coalesce(sum(is_live AND state = 'active'), 0) AS active,
                     coalesce(sum(is_live AND state = 'paused'), 0) AS paused,
                     coalesce(sum(is_live AND state = 'disabled'), 0) AS disabled,
                     coalesce(sum(is_live AND state = 'unverified'), 0) AS unverified,
                     coalesce(sum(max(pending_count + retrying_count, 0)), 0) AS queued, count(*) AS webhook_rows
                 FROM (SELECT state, pending_count, retrying_count, deleted_ms IS NULL AND contact_seq IS NULL AS is_live
                       FROM webhook WHERE tenant = :tenant)";
    let read = |row: &Row<'_>| {
        let counts = read_row!(row, WebhookCounts { active, paused, disabled, unverified });
        Ok((counts, row.get::<_, u64>("queued")?, row.get::<_, u64>("webhook_rows")?))
    };
    let (webhooks, queued, webhook_rows) = sql::first(connection, query, key, read)?.unwrap_or_default();
    let query = "SELECT count(*) FROM (
                     SELECT 1 FROM webhook w CROSS JOIN delivery d INDEXED BY delivery_webhook_status
                     WHERE w.tenant = :tenant AND d.webhook_seq = w.seq AND d.status = 'failed'
                         AND d.status <> 'delivered' AND d.status <> 'pending' AND d.cause <> 'test' LIMIT :most)";
    let params = named_params! {":tenant": name, ":most": MOST_DEAD_LETTERS};
    let dead_letters: u64 = sql::value(connection, query, params)?;
    let query = "SELECT max(newest), count(*) FROM (
                     SELECT (SELECT max(event.seq) FROM event WHERE event.topic_seq = t.seq) AS newest
                     FROM topic t WHERE t.tenant = :tenant)";
    let (newest, topics): (Option<i64>, u64) =
        sql::first(connection, query, key, |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default();
    let query = "SELECT received_ms FROM event WHERE seq = :seq";
    let last_event_ms = sql::first(connection, query, named_params! {":seq": newest}, |row| row.get(0))?;
    let deletion = deletion::get(connection, &name)?;
    let summary = TenantSummary { name, webhooks, queued, dead_letters, last_event_ms, deletion };
    Ok((summary, 1 + webhook_rows + dead_letters + topics))
}

/// Numbers of what a tenant has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    pub webhooks: u64,
    /// With finished ones and tests.
    pub deliveries: u64,
    /// Without tests.
    pub events: u64,
    pub contacts: u64,
    /// Keys that are not revoked.
    pub api_keys: u64,
    /// Portal links and sessions that can be used.
    pub portal_links: u64,
}

/// Returns what is counted in one read: all but deliveries and events.
pub fn small_contents(connection: &Connection, tenant: &Tenant, now: Millis) -> Result<Contents> {
    let query =
        "SELECT (SELECT count(*) FROM webhook WHERE tenant = :tenant AND deleted_ms IS NULL AND contact_seq IS NULL)
                     AS webhooks,
                 (SELECT count(*) FROM contact WHERE tenant = :tenant) AS contacts,
                 (SELECT count(*) FROM api_key WHERE tenant = :tenant AND revoked_ms IS NULL) AS api_keys,
                 (SELECT count(*) FROM portal_link WHERE tenant = :tenant AND ends_ms > :now) AS portal_links";
    let params = named_params! {":tenant": tenant, ":now": now};
    let read = |row: &Row<'_>| {
        Ok(read_row!(row, Contents { webhooks, contacts, api_keys, portal_links; deliveries: 0, events: 0 }))
    };
    Ok(sql::first(connection, query, params, read)?.unwrap_or_default())
}

/// Rows counted in several reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// By webhook.
    Deliveries,
    /// By topic.
    Events,
}

/// Returns the webhooks or topics of a tenant, by which its deliveries or events are counted.
pub fn owners(connection: &Connection, tenant: &Tenant, counted: Counted) -> Result<Vec<i64>> {
    let query = match counted {
        Counted::Deliveries => "SELECT seq FROM webhook WHERE tenant = :tenant",
        Counted::Events => "SELECT seq FROM topic WHERE tenant = :tenant",
    };
    sql::all(connection, query, named_params! {":tenant": tenant}, |row| row.get(0))
}

/// Rows that one read counts.
const COUNTED_AT_ONCE: u64 = 50_000;

/// Counts rows of a webhook or topic after a number, in one read. Returns the number after which the next read goes on; `None`
/// at the end.
pub fn count_after(connection: &Connection, counted: Counted, owner: i64, after: i64) -> Result<(u64, Option<i64>)> {
    let query = match counted {
        Counted::Deliveries => {
            "SELECT count(*), max(seq) FROM (
                 SELECT seq FROM delivery INDEXED BY delivery_webhook WHERE webhook_seq = :owner AND seq > :after
                 ORDER BY seq LIMIT :limit)"
        }
        Counted::Events => {
            "SELECT count(*), max(seq) FROM (
                 SELECT seq FROM event INDEXED BY event_topic WHERE topic_seq = :owner AND seq > :after
                 ORDER BY seq LIMIT :limit)"
        }
    };
    let params = named_params! {":owner": owner, ":after": after, ":limit": COUNTED_AT_ONCE};
    let read = |row: &Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, Option<i64>>(1)?));
    let (count, last) = sql::first(connection, query, params, read)?.unwrap_or_default();
    Ok((count, last.filter(|_| count == COUNTED_AT_ONCE)))
}
