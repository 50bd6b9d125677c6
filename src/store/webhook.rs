//! The table of webhooks.

pub mod gauges;
mod known;
mod row;

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, named_params, params_from_iter};

use super::bounds::Bounds;
use super::damage;
use super::error::Result;
use super::index_scan::{self, List, Source};
use super::page::{Cursor, Filter, Page, PageRequest, Total};
use super::search::{self, TextSearch};
use super::sql::{self, read_row};
use super::used_seq::{self, Numbered};
use super::{Change, WriteTx, incident};
use crate::domain;
use crate::domain::event::{EventType, Tenant};
use crate::domain::id::WebhookId;
use crate::domain::incident::EntryKind;
use crate::domain::pattern::EventPattern;
use crate::domain::several::Several;
use crate::domain::time::Millis;
use crate::domain::webhook::{Webhook, WebhookState};
use row::{columns, from_row, patterns, places};

pub use known::{by_external_id, by_settings, similar};
pub(super) use row::OPEN;

#[derive(Debug, Clone, Default)]
pub struct WebhookFilter {
    pub tenant: Option<Tenant>,
    pub states: Several<WebhookState>,
    /// Subscribed to a type that matches one of these patterns.
    pub events: Several<EventPattern>,
}

/// Returns the webhook with this id, unless it was deleted.
pub fn get(connection: &Connection, id: WebhookId) -> Result<Option<Webhook>> {
    let query = format!("SELECT *, {OPEN} FROM webhook WHERE id = :id AND deleted_ms IS NULL");
    sql::first(connection, &query, named_params! {":id": id}, from_row)
}

/// Returns the webhook with this number, unless it was deleted, as of the current transaction.
pub fn by_seq(connection: &Connection, seq: i64) -> Result<Option<Webhook>> {
    let query = format!("SELECT *, {OPEN} FROM webhook WHERE seq = :seq AND deleted_ms IS NULL");
    sql::first(connection, &query, named_params! {":seq": seq}, from_row)
}

/// Counts of a webhook's deliveries, without tests.
#[derive(Debug)]
pub(super) struct DeliveryCounts {
    pub seq: i64,
    pub tenant: Tenant,
    pub successes: u64,
    pub last_success_ms: Option<Millis>,
    /// Pending and retrying.
    pub queued: i64,
}

/// Returns all webhooks that are not deleted.
pub(super) fn all(connection: &Connection) -> Result<Vec<Webhook>> {
    let query = format!("SELECT *, {OPEN} FROM webhook WHERE deleted_ms IS NULL");
    sql::all(connection, &query, [], from_row)
}

/// Returns the counts of all webhooks that are not deleted, and of deleted ones with queued deliveries.
pub(super) fn delivery_counts(connection: &Connection) -> Result<Vec<DeliveryCounts>> {
    let query = "SELECT seq, tenant, success_count AS successes, last_success_ms,
                     pending_count + retrying_count AS queued
                 FROM webhook WHERE deleted_ms IS NULL OR pending_count + retrying_count > 0";
    let read = |row: &Row<'_>| Ok(read_row!(row, DeliveryCounts { seq, tenant, successes, last_success_ms, queued }));
    sql::all(connection, query, [], read)
}

/// Counts the webhooks of a tenant that are not deleted, without those of contacts.
pub fn count(connection: &Connection, tenant: &Tenant) -> Result<u64> {
    let query = "SELECT count(*) FROM webhook WHERE tenant = :tenant AND deleted_ms IS NULL AND contact_seq IS NULL";
    sql::value(connection, query, named_params! {":tenant": tenant})
}

/// Largest number of webhooks, and of queued deliveries, that one tenant has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LargestTenant {
    pub webhooks: u64,
    pub queued: u64,
}

/// Reads the counters of all webhooks, not the deliveries.
pub fn largest_tenant(connection: &Connection) -> Result<LargestTenant> {
    let query = "SELECT max(coalesce(max(webhooks), 0), 0) AS webhooks, max(coalesce(max(queued), 0), 0) AS queued
                 FROM (SELECT sum(deleted_ms IS NULL AND contact_seq IS NULL) AS webhooks, sum(pending_count + retrying_count) AS queued
                       FROM webhook GROUP BY tenant)";
    let found = sql::first(connection, query, [], |row| Ok(read_row!(row, LargestTenant { webhooks, queued })))?;
    Ok(found.unwrap_or_default())
}

pub fn list(connection: &Connection, filter: &WebhookFilter, request: &PageRequest) -> Result<Page<Webhook>> {
    let select = list_select();
    let conditions = conditions(filter);
    let list = List { select: &select, conditions: &conditions, bounds: Bounds::of_page(request), budget: BUDGET };
    let read = |row: &Row<'_>| filter.wants(row)?.then(|| from_row(row)).transpose();
    index_scan::page(connection, &[source(filter)], &list, request, read)
}

/// Counts the webhooks that match a filter.
pub fn count_matching(connection: &Connection, filter: &WebhookFilter) -> Result<Total> {
    let list = List {
        select: COUNTED,
        conditions: &conditions(filter),
        bounds: Bounds::between(0, i64::MAX - 1),
        budget: index_scan::COUNTED,
    };
    index_scan::count(connection, &[source(filter)], &list, |row| filter.wants(row))
}

/// Returns a page of the webhooks that match a filter and contain a text in their ids, URL or description, newest first.
/// Decrypts only those.
pub fn search(
    connection: &Connection,
    filter: &WebhookFilter,
    TextSearch { needle, timer }: &TextSearch,
    request: &PageRequest,
) -> Result<Page<Webhook>> {
    let conditions = conditions(filter);
    let list = List { select: SEARCHED, conditions: &conditions, bounds: Bounds::of_page(request), budget: usize::MAX };
    let found = search::along(connection, &source(filter), &list, request.limit, timer, |row| {
        let id: WebhookId = row.get(1)?;
        let texts = [row.get_ref(2)?.as_bytes()?, row.get_ref(3)?.as_bytes()?];
        let external_id = row.get_ref(4)?.as_bytes_or_null()?;
        let mut texts = texts.into_iter().chain(external_id);
        let is_match = texts.any(|text| needle.is_in(text)) || needle.is_in_id(&id.to_string());
        if is_match && filter.wants(row)? { row.get(0).map(Some) } else { Ok(None) }
    })?;
    let mut rows = Vec::with_capacity(found.rows.len());
    for seq in found.rows {
        rows.extend(damage::skip("webhook", seq, by_seq(connection, seq))?.flatten());
    }
    Ok(Page { rows, next: found.next.map(Cursor::below) })
}

impl WebhookFilter {
    /// Whether a webhook subscribes to the types. Patterns cannot be matched in SQL.
    fn wants(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        if self.events.is_empty() {
            return Ok(true);
        }
        let subscribed = patterns(row)?;
        Ok(self.events.iter().any(|wanted| subscribed.iter().any(|pattern| pattern.overlaps(wanted))))
    }
}

/// Conditions of a filter, without that on the event type.
fn conditions(filter: &WebhookFilter) -> Filter {
    let mut conditions = Filter::default();
    conditions.and_fixed("deleted_ms IS NULL AND contact_seq IS NULL");
    conditions.and_some("tenant = ?", filter.tenant.clone());
    conditions.and_any("state = ?", filter.states.iter().copied());
    conditions
}

pub(super) fn list_select() -> String {
    format!("SELECT webhook.*, {OPEN} FROM {{numbers}} AS wanted CROSS JOIN webhook ON webhook.seq = wanted.value")
}

pub(super) const COUNTED: &str =
    "SELECT webhook.seq, webhook.events FROM {numbers} AS wanted CROSS JOIN webhook ON webhook.seq = wanted.value";

pub(super) const SEARCHED: &str = "SELECT webhook.seq, webhook.id, webhook.url, webhook.description,
         webhook.external_id, webhook.events
     FROM {numbers} AS wanted CROSS JOIN webhook ON webhook.seq = wanted.value";

/// Maximum rows examined per page.
const BUDGET: usize = 2_000;

/// Source of the webhooks that match a filter.
pub(super) fn source(filter: &WebhookFilter) -> Source {
    if let Some(tenant) = &filter.tenant {
        return Source::index("webhook", "webhook_tenant", "tenant = ?1", vec![Value::Text(tenant.to_string())]);
    }
    if !filter.states.is_empty() {
        let states = filter.states.iter().map(|state| Value::Text(state.to_string()));
        return Source::index("webhook", "webhook_state", "state = ?1", states.collect());
    }
    Source::table("webhook")
}

/// Returns up to `limit` webhooks of a tenant whose URL path ends with `path_end`, newest first.
pub fn pointing_at(connection: &Connection, tenant: &Tenant, path_end: &str, limit: usize) -> Result<Vec<Webhook>> {
    let query = format!(
        "SELECT *, {OPEN} FROM webhook
         WHERE tenant = :tenant AND deleted_ms IS NULL AND instr(url, :path_end) > 0 ORDER BY seq DESC"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let rows = statement.query_map(named_params! {":tenant": tenant, ":path_end": path_end}, from_row)?;
    let ends = |webhook: &rusqlite::Result<Webhook>| match webhook {
        Ok(webhook) => webhook.url.path().ends_with(path_end),
        Err(_) => true,
    };
    Ok(rows.filter(ends).take(limit).collect::<rusqlite::Result<_>>()?)
}

/// Webhook without a delivery of some event.
#[derive(Debug, Clone)]
pub struct Bystander {
    pub id: WebhookId,
    pub url: String,
    pub events: Vec<EventPattern>,
    pub filter: Option<Arc<domain::filter::Filter>>,
    pub created_ms: Millis,
}

/// Returns what `show` makes of up to `limit` webhooks of a tenant without a delivery of an event, oldest first.
pub fn bystanders<T>(
    connection: &Connection,
    tenant: &Tenant,
    event_seq: i64,
    limit: u32,
    mut show: impl FnMut(Bystander) -> T,
) -> Result<Vec<T>> {
    let query = "SELECT id, url, events, filter, created_ms FROM webhook
                 WHERE tenant = :tenant AND deleted_ms IS NULL AND contact_seq IS NULL
                   AND seq NOT IN (SELECT webhook_seq FROM delivery WHERE event_seq = :event_seq)
                 ORDER BY seq LIMIT :limit";
    let params = named_params! {":tenant": tenant, ":event_seq": event_seq, ":limit": limit};
    sql::all(connection, query, params, |row| {
        Ok(show(read_row!(row, Bystander { id, url, created_ms; events: patterns(row)?, filter: row::filter(row)? })))
    })
}

/// Counts the webhooks of a tenant without a delivery of an event.
pub fn count_bystanders(connection: &Connection, tenant: &Tenant, event_seq: i64) -> Result<u64> {
    let query = "SELECT count(*) FROM webhook
                 WHERE tenant = :tenant AND deleted_ms IS NULL AND contact_seq IS NULL
                   AND seq NOT IN (SELECT webhook_seq FROM delivery WHERE event_seq = :event_seq)";
    sql::value(connection, query, named_params! {":tenant": tenant, ":event_seq": event_seq})
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attention {
    pub disabled: u64,
    pub unverified: u64,
}

/// Counts the disabled and unverified webhooks of one tenant, or of all. Uses the index `webhook_attention`.
pub fn attention(connection: &Connection, tenant: Option<&Tenant>) -> Result<Attention> {
    let query = "SELECT coalesce(sum(state = 'disabled'), 0) AS disabled,
                     coalesce(sum(state = 'unverified'), 0) AS unverified
                 FROM webhook
                 WHERE state IN ('disabled', 'unverified') AND deleted_ms IS NULL
                   AND tenant = coalesce(:tenant, tenant)";
    let found = sql::first(connection, query, named_params! {":tenant": tenant}, |row| {
        Ok(read_row!(row, Attention { disabled, unverified }))
    })?;
    Ok(found.unwrap_or_default())
}

/// Webhook in a list that names many, without its settings.
#[derive(Debug, Clone)]
pub struct Label {
    pub id: WebhookId,
    pub url: String,
    pub description: String,
}

impl Label {
    pub fn name(&self) -> String {
        domain::webhook::name(&self.description, &self.url)
    }
}

/// Returns the label of the webhook with this number, unless it was deleted.
pub fn label(connection: &Connection, seq: i64) -> Result<Option<Label>> {
    let query = "SELECT id, url, description FROM webhook WHERE seq = :seq AND deleted_ms IS NULL";
    sql::first(connection, query, named_params! {":seq": seq}, label_from_row)
}

/// Returns the labels of up to `limit` webhooks of one tenant, or of all, newest first.
pub fn newest_labels(connection: &Connection, tenant: Option<&Tenant>, limit: u32) -> Result<Vec<Label>> {
    let query = "SELECT id, url, description FROM webhook
                 WHERE deleted_ms IS NULL AND contact_seq IS NULL AND tenant = coalesce(:tenant, tenant)
                 ORDER BY seq DESC LIMIT :limit";
    sql::all(connection, query, named_params! {":tenant": tenant, ":limit": limit}, label_from_row)
}

/// Returns up to `limit` webhooks that use a profile, newest first.
pub fn with_profile(connection: &Connection, profile: &str, limit: u32) -> Result<Vec<Label>> {
    let query = "SELECT id, url, description FROM webhook WHERE profile = :profile AND deleted_ms IS NULL ORDER BY seq DESC LIMIT :limit";
    sql::all(connection, query, named_params! {":profile": profile, ":limit": limit}, label_from_row)
}

/// Counts the webhooks that subscribe to each of some event types, among up to `limit` of one tenant, or of all.
pub fn count_subscribers(
    connection: &Connection,
    tenant: Option<&Tenant>,
    names: &[EventType],
    limit: u32,
) -> Result<Vec<u64>> {
    let query = "SELECT events FROM webhook
         WHERE deleted_ms IS NULL AND contact_seq IS NULL AND tenant = coalesce(:tenant, tenant) LIMIT :limit";
    let mut counts = vec![0; names.len()];
    sql::each(connection, query, named_params! {":tenant": tenant, ":limit": limit}, |row| {
        let patterns = patterns(row)?;
        for (count, name) in counts.iter_mut().zip(names) {
            *count += u64::from(patterns.iter().any(|pattern| pattern.matches(name)));
        }
        Ok(())
    })?;
    Ok(counts)
}

/// Returns up to `limit` webhooks with a certificate that ends by this time, soonest first.
pub fn expiring(connection: &Connection, tenant: Option<&Tenant>, by_ms: Millis, limit: u32) -> Result<Vec<Webhook>> {
    let query = format!(
        "SELECT *, {OPEN} FROM webhook INDEXED BY webhook_tls_end
         WHERE tls_ends_ms <= :by AND tenant = coalesce(:tenant, tenant) ORDER BY tls_ends_ms, seq LIMIT :limit"
    );
    let params = named_params! {":by": by_ms, ":tenant": tenant, ":limit": limit};
    sql::all(connection, &query, params, from_row)
}

/// Returns the webhooks with retrying deliveries.
pub fn retrying(connection: &Connection) -> Result<HashSet<i64>> {
    let mut statement = connection.prepare_cached("SELECT seq FROM webhook WHERE retrying_count > 0")?;
    let seqs = statement.query_map([], |row| row.get(0))?;
    Ok(seqs.collect::<rusqlite::Result<_>>()?)
}

/// Stores a new webhook and assigns its `seq`.
pub fn insert(tx: &mut WriteTx<'_>, mut webhook: Webhook) -> Result<Arc<Webhook>> {
    let next = used_seq::next(tx, Numbered::Webhook)?;
    webhook.seq = insert_numbered(tx.connection(), next, &webhook)?;
    Ok(changed(tx, webhook))
}

/// Inserts the row of a webhook, for tests. Returns its `seq`.
pub fn insert_row(connection: &Connection, webhook: &Webhook) -> Result<i64> {
    insert_numbered(connection, None, webhook)
}

/// Inserts the row of a webhook with this number, or the next one. Returns the number.
fn insert_numbered(connection: &Connection, seq: Option<i64>, webhook: &Webhook) -> Result<i64> {
    let (mut names, mut values) = columns(webhook);
    names.push("seq");
    values.push(Box::new(seq));
    let statement = format!("INSERT INTO webhook ({}) VALUES ({})", names.join(", "), places(&names).join(", "));
    sql::run(connection, &statement, params_from_iter(values))?;
    Ok(connection.last_insert_rowid())
}

pub fn update(tx: &mut WriteTx<'_>, webhook: Webhook) -> Result<Arc<Webhook>> {
    let (names, mut values) = columns(&webhook);
    let assignments: Vec<String> =
        names.iter().zip(places(&names)).map(|(name, place)| format!("{name} = {place}")).collect();
    values.push(Box::new(webhook.seq));
    let statement = format!("UPDATE webhook SET {} WHERE seq = ?{}", assignments.join(", "), values.len());
    sql::run(tx.connection(), &statement, params_from_iter(values))?;
    Ok(changed(tx, webhook))
}

fn changed(tx: &mut WriteTx<'_>, webhook: Webhook) -> Arc<Webhook> {
    let webhook = Arc::new(webhook);
    tx.notify(Change::Webhook(Arc::clone(&webhook)));
    webhook
}

/// Deletes a webhook. Its row stays for the log, without secrets; a sweep discards its queued deliveries.
pub fn delete(tx: &mut WriteTx<'_>, webhook_seq: i64) -> Result<()> {
    sql::run(
        tx.connection(),
        "UPDATE webhook SET deleted_ms = :now, secret = '', old_secret = NULL, ed25519_key = NULL, old_ed25519_key = NULL,
             headers = '[]', auth = NULL, tls = NULL, tls_ends_ms = NULL,
             sweep = 'discard', sweep_up_to_seq = (SELECT coalesce(max(seq), 0) FROM delivery)
         WHERE seq = :seq",
        named_params! {":now": tx.now_ms(), ":seq": webhook_seq},
    )?;
    incident::left(tx, webhook_seq, EntryKind::Deleted)?;
    tx.notify(Change::WebhookGone { webhook_seq });
    Ok(())
}

/// Deletes old secrets whose overlap has ended, in one step. Returns whether more may remain.
pub fn delete_old_secrets(tx: &mut WriteTx<'_>, now: Millis) -> Result<bool> {
    const STEP: usize = 100;
    let has_ended = |webhook: &Webhook| webhook.old_secret.as_ref().is_some_and(|old| old.overlap_ends_ms <= now);
    let ended: Vec<_> = tx.directory().iter().filter(|webhook| has_ended(webhook)).take(STEP).cloned().collect();
    let more = ended.len() == STEP;
    for webhook in ended {
        update(tx, Webhook { old_secret: None, ..(*webhook).clone() })?;
    }
    Ok(more)
}

/// Returns the public id of a webhook, which may be deleted.
pub fn id_of(connection: &Connection, webhook_seq: i64) -> Result<WebhookId> {
    sql::value(connection, "SELECT id FROM webhook WHERE seq = :seq", named_params! {":seq": webhook_seq})
}

fn label_from_row(row: &Row<'_>) -> rusqlite::Result<Label> {
    Ok(read_row!(row, Label { id, url, description }))
}
