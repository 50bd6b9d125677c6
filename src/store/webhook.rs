//! The table of webhooks.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, named_params};
use std::sync::Arc;

use super::error::StoreError;
use super::index_scan;
use super::page::{Filter, Page, PageRequest};
use super::row::{self, parsed, parsed_option};
use super::writer::{Change, WriteTx};
use crate::domain::event::{EventType, Tenant};
use crate::domain::header::CustomHeaders;
use crate::domain::id::WebhookId;
use crate::domain::pattern::EventPattern;
use crate::domain::retry::{Schedule, ScheduleSpec};
use crate::domain::time::Millis;
use crate::domain::webhook::{Limits, OldSecret, Sweep, Webhook, WebhookState, parse_events};
use crate::store::index_scan::{Bounds, List, Source};

/// Which webhooks a list shows.
#[derive(Debug, Clone, Default)]
pub struct WebhookFilter {
    pub tenant: Option<Tenant>,
    pub state: Option<WebhookState>,
    /// Those that subscribed to this event type.
    pub event: Option<EventType>,
    /// Those with this text in their URL or description, whatever its case (of ASCII letters), or with this id.
    pub text: Option<String>,
}

/// The webhook with this id, unless it was deleted.
pub fn get(connection: &Connection, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM webhook WHERE id = :id AND deleted_ms IS NULL")?;
    row::first(&mut statement, named_params! {":id": id.to_bytes()}, from_row)
}

/// The webhook with this number, unless it was deleted; as of the transaction at hand.
pub fn by_seq(connection: &Connection, seq: i64) -> Result<Option<Webhook>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM webhook WHERE seq = :seq AND deleted_ms IS NULL")?;
    row::first(&mut statement, named_params! {":seq": seq}, from_row)
}

/// Every webhook that is not deleted, with the number of its deliveries that got through.
pub(super) fn all(connection: &Connection) -> Result<Vec<(Webhook, u64)>, StoreError> {
    let mut statement = connection.prepare("SELECT * FROM webhook WHERE deleted_ms IS NULL")?;
    row::collect(&mut statement, [], |row| Ok((from_row(row)?, row.get::<_, i64>("success_count")? as u64)))
}

/// A page of webhooks, newest first.
pub fn list(
    connection: &Connection,
    filter: &WebhookFilter,
    request: &PageRequest,
) -> Result<Page<Webhook>, StoreError> {
    let mut conditions = Filter::default();
    conditions.and_fixed("deleted_ms IS NULL");
    if let Some(tenant) = &filter.tenant {
        conditions.and("tenant = ?", tenant.as_str().to_owned());
    }
    if let Some(text) = &filter.text {
        match text.parse::<WebhookId>() {
            Ok(id) => conditions.and("webhook.id = ?", id.to_bytes().to_vec()),
            Err(_) => conditions.and("instr(lower(url || char(10) || description), lower(?)) > 0", text.clone()),
        }
    }
    if let Some(state) = filter.state {
        conditions.and("state = ?", state.into_str().to_owned());
    }
    let list = List { select: LIST, conditions: &conditions, bounds: Bounds::of_page(request), budget: BUDGET };
    // Patterns cannot be matched in SQL.
    let read = |row: &Row<'_>| {
        let wants = match &filter.event {
            Some(event) => patterns(row)?.iter().any(|pattern| pattern.matches(event)),
            None => true,
        };
        wants.then(|| from_row(row)).transpose()
    };
    index_scan::page(connection, &[source(filter)], &list, request, read)
}

pub(super) const LIST: &str =
    "SELECT webhook.* FROM {numbers} AS wanted CROSS JOIN webhook ON webhook.seq = wanted.value";

/// Rows looked at for a page at most.
const BUDGET: usize = 2_000;

/// The shortest way to the webhooks that a filter shows.
pub(super) fn source(filter: &WebhookFilter) -> Source {
    if let Some(tenant) = &filter.tenant {
        let key = Value::Text(tenant.as_str().to_owned());
        return Source::index("webhook", "webhook_tenant", "tenant = ?1", vec![key]);
    }
    if let Some(state) = filter.state {
        let key = Value::Text(state.into_str().to_owned());
        return Source::index("webhook", "webhook_state", "state = ?1", vec![key]);
    }
    Source::table("webhook")
}

/// The webhooks of a tenant whose URL's path ends like this, newest first, `limit` at most.
pub fn pointing_at(
    connection: &Connection,
    tenant: &Tenant,
    path_end: &str,
    limit: usize,
) -> Result<Vec<Webhook>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM webhook
         WHERE tenant = :tenant AND deleted_ms IS NULL AND instr(url, :path_end) > 0 ORDER BY seq DESC",
    )?;
    let params = named_params! {":tenant": tenant.as_str(), ":path_end": path_end};
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let webhook = from_row(row)?;
        if webhook.url.path().ends_with(path_end) {
            found.push(webhook);
        }
    }
    Ok(found)
}

/// A webhook that has no delivery of an event.
#[derive(Debug, Clone)]
pub struct Bystander {
    pub id: WebhookId,
    pub url: String,
    pub events: Vec<EventPattern>,
    pub created_ms: Millis,
}

/// The webhooks of a tenant without a delivery of an event, oldest first, `limit` at most.
pub fn bystanders(
    connection: &Connection,
    tenant: &Tenant,
    event_seq: i64,
    limit: u32,
) -> Result<Vec<Bystander>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, url, events, created_ms FROM webhook
         WHERE tenant = :tenant AND deleted_ms IS NULL
           AND seq NOT IN (SELECT webhook_seq FROM delivery WHERE event_seq = :event_seq)
         ORDER BY seq LIMIT :limit",
    )?;
    let params = named_params! {":tenant": tenant.as_str(), ":event_seq": event_seq, ":limit": limit};
    row::collect(&mut statement, params, |row| {
        let events: Vec<String> = row::json(&row.get::<_, String>("events")?, "events")?;
        Ok(Bystander {
            id: WebhookId::from_bytes(row.get("id")?),
            url: row.get("url")?,
            events: parse_events(&events).map_err(|_| row::corrupt("events"))?,
            created_ms: row.get("created_ms")?,
        })
    })
}

/// How many webhooks of a tenant have no delivery of an event.
pub fn count_bystanders(connection: &Connection, tenant: &Tenant, event_seq: i64) -> Result<u64, StoreError> {
    let count: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM webhook
             WHERE tenant = :tenant AND deleted_ms IS NULL
               AND seq NOT IN (SELECT webhook_seq FROM delivery WHERE event_seq = :event_seq)",
        )?
        .query_row(named_params! {":tenant": tenant.as_str(), ":event_seq": event_seq}, |row| row.get(0))?;
    Ok(count as u64)
}

/// How many webhooks somebody has to look at, by state. Served by the index `webhook_attention`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attention {
    pub disabled: u64,
    pub unverified: u64,
}

/// Counts what [`Attention`] says, of one tenant or of all.
pub fn attention(connection: &Connection, tenant: Option<&Tenant>) -> Result<Attention, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(state = 'disabled'), 0), coalesce(sum(state = 'unverified'), 0) FROM webhook
         WHERE state IN ('disabled', 'unverified') AND deleted_ms IS NULL
           AND tenant = coalesce(:tenant, tenant)",
    )?;
    let tenant = tenant.map(Tenant::as_str);
    Ok(statement.query_row(named_params! {":tenant": tenant}, |row| {
        Ok(Attention { disabled: row.get::<_, i64>(0)? as u64, unverified: row.get::<_, i64>(1)? as u64 })
    })?)
}

/// Webhooks that use a profile, newest first, `limit` at most.
pub fn with_profile(connection: &Connection, profile: &str, limit: u32) -> Result<Vec<Webhook>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM webhook WHERE profile = :profile AND deleted_ms IS NULL ORDER BY seq DESC LIMIT :limit",
    )?;
    let params = named_params! {":profile": profile, ":limit": limit};
    row::collect(&mut statement, params, from_row)
}

/// What each webhook subscribed to, of one tenant or of all, `limit` webhooks at most.
pub fn subscriptions(
    connection: &Connection,
    tenant: Option<&Tenant>,
    limit: u32,
) -> Result<Vec<Vec<EventPattern>>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT events FROM webhook WHERE deleted_ms IS NULL AND tenant = coalesce(:tenant, tenant) LIMIT :limit",
    )?;
    let params = named_params! {":tenant": tenant.map(Tenant::as_str), ":limit": limit};
    row::collect(&mut statement, params, patterns)
}

/// Active webhooks with deliveries that failed and are tried again, the most of them first, with how many those are.
/// Reads the counts that webhooks carry, and no delivery.
pub fn failing(
    connection: &Connection,
    tenant: Option<&Tenant>,
    limit: u32,
) -> Result<Vec<(Webhook, u64)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM webhook
         WHERE state = 'active' AND deleted_ms IS NULL AND retrying_count > 0 AND tenant = coalesce(:tenant, tenant)
         ORDER BY retrying_count DESC, seq DESC LIMIT :limit",
    )?;
    let params = named_params! {":tenant": tenant.map(Tenant::as_str), ":limit": limit};
    row::collect(&mut statement, params, |row| Ok((from_row(row)?, row.get::<_, i64>("retrying_count")? as u64)))
}

/// Stores a new webhook; its `seq` is assigned here.
pub fn insert(tx: &mut WriteTx<'_>, mut webhook: Webhook) -> Result<Arc<Webhook>, StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO webhook (id, tenant, url, description, events, profile, secret, old_secret,
                 overlap_ends_ms, state, disabled_ms, disabled_reason, headers, timeout_s, max_in_flight,
                 rate_limit_per_s, ordered, retry, standard_headers, created_ms, updated_ms, verified_url, sweep, sweep_up_to_seq)
             VALUES (:id, :tenant, :url, :description, :events, :profile, :secret, :old_secret,
                 :overlap_ends_ms, :state, :disabled_ms, :disabled_reason, :headers, :timeout_s, :max_in_flight,
                 :rate_limit_per_s, :ordered, :retry, :standard_headers, :created_ms, :updated_ms, :verified_url, :sweep, :sweep_up_to_seq)",
        )
        .and_then(|mut statement| execute(&mut statement, &webhook, Key::Id))?;
    webhook.seq = tx.connection().last_insert_rowid();
    let webhook = Arc::new(webhook);
    tx.notify(Change::Webhook(Arc::clone(&webhook)));
    Ok(webhook)
}

/// Stores a changed webhook.
pub fn update(tx: &mut WriteTx<'_>, webhook: Webhook) -> Result<Arc<Webhook>, StoreError> {
    tx.connection()
        .prepare_cached(
            "UPDATE webhook SET tenant = :tenant, url = :url, description = :description, events = :events,
                 profile = :profile, secret = :secret, old_secret = :old_secret, overlap_ends_ms = :overlap_ends_ms,
                 state = :state, disabled_ms = :disabled_ms, disabled_reason = :disabled_reason, headers = :headers,
                 timeout_s = :timeout_s, max_in_flight = :max_in_flight, rate_limit_per_s = :rate_limit_per_s,
                 ordered = :ordered, retry = :retry, standard_headers = :standard_headers, created_ms = :created_ms,
                 updated_ms = :updated_ms, verified_url = :verified_url, sweep = :sweep, sweep_up_to_seq = :sweep_up_to_seq
             WHERE seq = :seq",
        )
        .and_then(|mut statement| execute(&mut statement, &webhook, Key::Seq))?;
    let webhook = Arc::new(webhook);
    tx.notify(Change::Webhook(Arc::clone(&webhook)));
    Ok(webhook)
}

/// Takes a webhook away. Its row stays for the log, without its secrets; what waits is discarded by a sweep.
pub fn delete(tx: &mut WriteTx<'_>, webhook_seq: i64) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "UPDATE webhook SET deleted_ms = :now, secret = '', old_secret = NULL, headers = '[]',
                 sweep = 'discard', sweep_up_to_seq = (SELECT coalesce(max(seq), 0) FROM delivery)
             WHERE seq = :seq",
        )?
        .execute(named_params! {":now": tx.now_ms(), ":seq": webhook_seq})?;
    tx.notify(Change::WebhookGone { webhook_seq });
    Ok(())
}

/// Forgets secrets whose overlap has ended.
pub fn forget_old_secrets(tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
    let now = tx.now_ms();
    let is_over = |webhook: &Webhook| {
        let old = webhook.old_secret.as_ref();
        old.is_some_and(|old| old.overlap_ends_ms <= now)
    };
    let over = tx.directory().iter().filter(|webhook| is_over(webhook));
    for webhook in over.cloned().collect::<Vec<_>>() {
        let mut webhook = (*webhook).clone();
        webhook.old_secret = None;
        update(tx, webhook)?;
    }
    Ok(())
}

/// The public id of a webhook, deleted ones included.
pub fn id_of(connection: &Connection, webhook_seq: i64) -> Result<WebhookId, StoreError> {
    let bytes: [u8; 16] = connection
        .prepare_cached("SELECT id FROM webhook WHERE seq = :seq")?
        .query_row(named_params! {":seq": webhook_seq}, |row| row.get(0))?;
    Ok(WebhookId::from_bytes(bytes))
}

enum Key {
    Id,
    Seq,
}

fn execute(statement: &mut rusqlite::Statement<'_>, webhook: &Webhook, key: Key) -> rusqlite::Result<usize> {
    let events: Vec<String> = webhook.events.iter().map(ToString::to_string).collect();
    let headers: Vec<(&str, &str)> = webhook.headers.iter().collect();
    let retry = webhook.retry.as_ref().map(|retry| json(&retry.spec()));
    let old = webhook.old_secret.as_ref();
    let bind: &[(&str, &dyn rusqlite::ToSql)] = named_params! {
        ":tenant": webhook.tenant.as_str(),
        ":url": webhook.url.as_str(),
        ":description": webhook.description,
        ":events": json(&events),
        ":profile": webhook.profile,
        ":secret": webhook.secret.as_str(),
        ":old_secret": old.map(|old| old.secret.as_str()),
        ":overlap_ends_ms": old.map(|old| old.overlap_ends_ms),
        ":state": webhook.state.into_str(),
        ":disabled_ms": webhook.disabled_ms,
        ":disabled_reason": webhook.disabled_reason,
        ":headers": json(&headers),
        ":timeout_s": webhook.limits.timeout_s,
        ":max_in_flight": webhook.limits.max_in_flight,
        ":rate_limit_per_s": webhook.limits.rate_limit_per_s,
        ":ordered": webhook.ordered,
        ":retry": retry,
        ":standard_headers": webhook.standard_headers,
        ":created_ms": webhook.created_ms,
        ":updated_ms": webhook.updated_ms,
        ":verified_url": webhook.verified_url,
        ":sweep": webhook.sweep.map(|sweep| sweep.waiting.into_str()),
        ":sweep_up_to_seq": webhook.sweep.map(|sweep| sweep.up_to_seq),
    };
    let id = webhook.id.to_bytes();
    let key: (&str, &dyn rusqlite::ToSql) = match key {
        Key::Id => (":id", &id),
        Key::Seq => (":seq", &webhook.seq),
    };
    let mut all = bind.to_vec();
    all.push(key);
    statement.execute(&all[..])
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain lists are always JSON")
}

fn patterns(row: &Row<'_>) -> Result<Vec<EventPattern>, StoreError> {
    let text = row.get_ref("events")?.as_str();
    let text = text.map_err(|_| row::corrupt("events"))?;
    let events: Vec<String> = row::json(text, "events")?;
    parse_events(&events).map_err(|_| row::corrupt("events"))
}

fn from_row(row: &Row<'_>) -> Result<Webhook, StoreError> {
    let headers: String = row.get("headers")?;
    let retry: Option<String> = row.get("retry")?;
    let retry = retry
        .map(|text| {
            let spec: ScheduleSpec = row::json(&text, "retry")?;
            Schedule::parse(&spec).map_err(|_| row::corrupt("retry"))
        })
        .transpose()?;
    let old_secret = match (parsed_option(row, "old_secret")?, row.get("overlap_ends_ms")?) {
        (Some(secret), Some(overlap_ends_ms)) => Some(OldSecret { secret, overlap_ends_ms }),
        _ => None,
    };
    let sweep = match (parsed_option(row, "sweep")?, row.get("sweep_up_to_seq")?) {
        (Some(waiting), Some(up_to_seq)) => Some(Sweep { waiting, up_to_seq }),
        _ => None,
    };
    Ok(Webhook {
        seq: row.get("seq")?,
        id: WebhookId::from_bytes(row.get("id")?),
        tenant: parsed(row, "tenant")?,
        url: parsed(row, "url")?,
        description: row.get("description")?,
        events: patterns(row)?,
        profile: row.get("profile")?,
        secret: parsed(row, "secret")?,
        old_secret,
        state: parsed(row, "state")?,
        disabled_ms: row.get("disabled_ms")?,
        disabled_reason: row.get("disabled_reason")?,
        headers: CustomHeaders::trusted(row::json(&headers, "headers")?),
        limits: Limits {
            timeout_s: row.get("timeout_s")?,
            max_in_flight: row.get("max_in_flight")?,
            rate_limit_per_s: row.get("rate_limit_per_s")?,
        },
        ordered: row.get("ordered")?,
        retry,
        standard_headers: row.get("standard_headers")?,
        created_ms: row.get("created_ms")?,
        updated_ms: row.get("updated_ms")?,
        verified_url: row.get("verified_url")?,
        sweep,
    })
}
