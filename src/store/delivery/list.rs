//! Lists and counts of deliveries, by index.

use std::ops::RangeInclusive;

use rusqlite::types::Value;
use rusqlite::{Connection, named_params};

use super::{Delivery, SELECT, from_row};
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::event::{EventId, EventType, Tenant};
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::time::Millis;
use crate::store::bounds::Bounds;
use crate::store::error::Result;
use crate::store::index_scan::{self, Found, List, Source};
use crate::store::page::{Filter, Page, PageRequest};
use crate::store::search::{self, Hits, TextSearch};
use crate::store::{event, sql, topic};

/// Conditions of a list of deliveries, or of a bulk action.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub webhook: Option<WebhookId>,
    pub event: Option<EventId>,
    pub status: Option<DeliveryStatus>,
    pub event_type: Option<EventType>,
    pub tenant: Option<Tenant>,
    /// Status code of the last attempt's response.
    pub response_code: Option<u16>,
    /// Error of the last attempt.
    pub error_code: Option<ErrorCode>,
    pub test: Option<bool>,
    /// Created at or after.
    pub since: Option<Millis>,
    /// Created before.
    pub until: Option<Millis>,
}

pub fn list(connection: &Connection, filter: &DeliveryFilter, request: &PageRequest) -> Result<Page<Delivery>> {
    let list = List {
        select: &list_select(),
        conditions: &conditions(filter),
        bounds: Bounds::of_page(request).within(connection, ("delivery", "created_ms"), filter.since, filter.until)?,
        budget: BUDGET,
    };
    index_scan::page(connection, &sources(connection, filter)?, &list, request, |row| from_row(row).map(Some))
}

/// Delivery that a search found, with an excerpt of its event's data.
#[derive(Debug, Clone)]
pub struct Match {
    pub delivery: Delivery,
    pub excerpt: String,
}

/// Returns a page of the deliveries that match a filter and whose id, event id, data or previous data contains a text,
/// newest first.
pub fn search(
    connection: &Connection,
    filter: &DeliveryFilter,
    TextSearch { needle, timer }: &TextSearch,
    request: &PageRequest,
) -> Result<Hits<Match>> {
    let list = List {
        select: SEARCHED,
        conditions: &conditions(filter),
        bounds: Bounds::of_page(request).within(connection, ("delivery", "created_ms"), filter.since, filter.until)?,
        budget: usize::MAX,
    };
    let Some(source) = sources(connection, filter)?.into_iter().next() else {
        return Ok(Hits::none());
    };
    // Deliveries of one event follow each other.
    let mut last: Option<(i64, Option<String>)> = None;
    let found = search::along(connection, &source, &list, request.limit, timer, |row| {
        let event_seq: i64 = row.get(1)?;
        let of_event = match &last {
            Some((seq, excerpt)) if *seq == event_seq => excerpt.clone(),
            _ => {
                let id = std::str::from_utf8(row.get_ref(3)?.as_bytes()?).unwrap_or_default();
                let previous = row.get_ref(5)?.as_bytes_or_null()?;
                let excerpt = search::excerpt(needle, &[id], row.get_ref(4)?.as_bytes()?, previous);
                last = Some((event_seq, excerpt.clone()));
                excerpt
            }
        };
        let excerpt = match of_event {
            Some(excerpt) => Some(excerpt),
            None => {
                let id: DeliveryId = row.get(2)?;
                let data = row.get_ref(4)?.as_bytes()?;
                needle
                    .is_in_id(&id.to_string())
                    .then(|| search::preview(&data[..data.len().min(search::PREVIEW_BYTES)]))
            }
        };
        excerpt.map(|excerpt| Ok((row.get(0)?, excerpt))).transpose()
    })?;
    let mut rows = Vec::with_capacity(found.rows.len());
    for (seq, excerpt) in found.rows {
        rows.extend(by_seq(connection, seq)?.map(|delivery| Match { delivery, excerpt }));
    }
    search::hits(Found { rows, next: found.next }, |seq| {
        let query = "SELECT created_ms FROM delivery WHERE seq >= ?1 ORDER BY seq LIMIT 1";
        sql::first(connection, query, [seq], |row| row.get(0))
    })
}

fn by_seq(connection: &Connection, seq: i64) -> Result<Option<Delivery>> {
    sql::first(connection, &format!("{SELECT} WHERE d.seq = ?1"), [seq], from_row)
}

/// Returns up to `limit` deliveries whose ids are from the first to the last one, newest first. Examines 1,000 entries of
/// the unique index.
pub fn with_ids(
    connection: &Connection,
    tenant: Option<&Tenant>,
    ids: &RangeInclusive<DeliveryId>,
    limit: u32,
) -> Result<Vec<Delivery>> {
    let (columns, _) = SELECT.split_once("FROM").expect("a SELECT has a FROM");
    let query = format!(
        "{columns} FROM (SELECT seq FROM delivery WHERE id >= :first AND id <= :last LIMIT 1000) AS near
         CROSS JOIN delivery d ON d.seq = near.seq
         CROSS JOIN event e ON e.seq = d.event_seq CROSS JOIN webhook w ON w.seq = d.webhook_seq
         WHERE e.tenant = coalesce(:tenant, e.tenant) LIMIT :limit"
    );
    let params = named_params! {":first": ids.start(), ":last": ids.end(), ":tenant": tenant, ":limit": limit};
    let mut found = sql::all(connection, &query, params, from_row)?;
    found.sort_by_key(|delivery| std::cmp::Reverse(delivery.seq));
    Ok(found)
}

/// Returns the next newer delivery that matches a filter, if it is among the next few thousand rows.
pub fn newer(connection: &Connection, filter: &DeliveryFilter, seq: i64) -> Result<Option<DeliveryId>> {
    let bounds = Bounds::between(seq, i64::MAX - 1);
    let list = List {
        select: &list_select(),
        conditions: &conditions(filter),
        bounds: bounds.within(connection, ("delivery", "created_ms"), filter.since, filter.until)?,
        budget: BUDGET,
    };
    let Some(source) = sources(connection, filter)?.into_iter().next() else {
        return Ok(None);
    };
    let found = index_scan::scan(connection, &source, &list, 1, from_row)?;
    Ok(found.rows.first().map(|delivery| delivery.id))
}

/// Counts the dead letters of one tenant, or of all, up to `most`; tests are not counted. Uses the indexes
/// `delivery_status` and `delivery_webhook_status`.
pub fn count_dead_letters(connection: &Connection, tenant: Option<&Tenant>, most: u32) -> Result<u64> {
    let rows = match tenant {
        None => {
            "SELECT 1 FROM delivery d INDEXED BY delivery_status
             WHERE d.status = 'failed' AND d.status <> 'delivered' AND d.cause <> 'test' AND ?1 IS NULL"
        }
        Some(_) => {
            "SELECT 1 FROM webhook w CROSS JOIN delivery d INDEXED BY delivery_webhook_status ON d.webhook_seq = w.seq
             WHERE w.tenant = ?1 AND d.status = 'failed' AND d.status <> 'delivered' AND d.status <> 'pending'
               AND d.cause <> 'test'"
        }
    };
    sql::value(connection, &format!("SELECT count(*) FROM ({rows} LIMIT ?2)"), (tenant, most))
}

/// Maximum rows examined per page, along each of two sources.
const BUDGET: usize = 5_000;

pub(in crate::store) fn list_select() -> String {
    let (columns, _) = SELECT.split_once("FROM").expect("a SELECT has a FROM");
    format!(
        "{columns} FROM {{numbers}} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value
         CROSS JOIN event e ON e.seq = d.event_seq CROSS JOIN webhook w ON w.seq = d.webhook_seq"
    )
}

pub(in crate::store) const SEARCHED: &str = "SELECT d.seq, d.event_seq, d.id, e.id, e.data, e.previous_data
     FROM {numbers} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value CROSS JOIN event e ON e.seq = d.event_seq";

/// Conditions of a filter on table `delivery` as `d`.
pub(in crate::store) fn conditions(filter: &DeliveryFilter) -> Filter {
    let mut conditions = Filter::default();
    conditions.and_some("d.webhook_seq = (SELECT seq FROM webhook WHERE id = ?)", filter.webhook);
    // Of every tenant that has this id; the tenant is a condition of its own.
    conditions.and_some("d.event_seq IN (SELECT seq FROM event WHERE id = ?)", filter.event.clone());
    if let Some(status) = filter.status {
        conditions.and_fixed(&format!("d.status = '{status}'"));
    }
    // By topic, which avoids reading the events of skipped rows.
    conditions.and_some("(SELECT type FROM topic WHERE seq = d.topic_seq) = ?", filter.event_type.clone());
    conditions.and_some("(SELECT tenant FROM topic WHERE seq = d.topic_seq) = ?", filter.tenant.clone());
    conditions.and_some("d.last_code = ?", filter.response_code);
    conditions.and_some("d.last_error = ?", filter.error_code);
    match filter.test {
        Some(true) => conditions.and_fixed("d.cause = 'test'"),
        Some(false) => conditions.and_fixed("d.cause <> 'test'"),
        None => {}
    }
    conditions.and_some("d.created_ms >= ?", filter.since);
    conditions.and_some("d.created_ms < ?", filter.until);
    conditions
}

/// Sources of the deliveries that match a filter, the one expected to be the shortest first; at most two.
pub(in crate::store) fn sources(connection: &Connection, filter: &DeliveryFilter) -> Result<Vec<Source>> {
    let index = |index, condition: &str, key: Value| Source::index("delivery", index, condition, vec![key]);
    if let Some(id) = &filter.event {
        let events = event::seqs_of(connection, filter.tenant.as_ref(), id)?;
        return Ok(Source::by_number("delivery", "delivery_event", "event_seq = ?1", events));
    }
    let webhook = match &filter.webhook {
        None => None,
        Some(id) => Some(webhook_key(connection, id)?),
    };
    let mut found = Vec::new();
    use DeliveryStatus::{Delivered, Discarded, Failed, Retrying};
    if let Some(status @ (Retrying | Failed | Discarded)) = filter.status {
        let webhooks = match (&webhook, &filter.tenant) {
            (Some(webhook), _) => vec![webhook.clone()],
            (None, Some(tenant)) => webhooks_of(connection, tenant)?,
            (None, None) => Vec::new(),
        };
        if !webhooks.is_empty() {
            found.push(failing_at(status, webhooks));
        }
    }
    if filter.test == Some(true) {
        found.push(index("delivery_test", "cause = 'test'", Value::Null));
    }
    if let Some(code) = filter.error_code {
        found.push(index("delivery_error", "last_error = ?1", Value::Text(code.to_string())));
    }
    if let Some(code) = filter.response_code.filter(|code| *code != 200) {
        let condition = "last_code = ?1 AND last_code IS NOT NULL AND last_code <> 200";
        found.push(index("delivery_code", condition, Value::from(i64::from(code))));
    }
    if let Some(status) = filter.status.filter(|status| *status != Delivered) {
        let condition = format!("status = '{status}' AND status <> 'delivered'");
        found.push(index("delivery_status", &condition, Value::Null));
    }
    if let Some(webhook) = webhook {
        found.push(index("delivery_webhook", "webhook_seq = ?1", webhook));
    }
    if found.len() < SOURCES && (filter.tenant.is_some() || filter.event_type.is_some()) {
        let topics = topic::matching(connection, filter.tenant.as_ref(), filter.event_type.as_ref())?;
        if found.is_empty() || topics.len() <= index_scan::MANY {
            found.extend(Source::by_number("delivery", "delivery_topic", "topic_seq = ?1", topics));
        }
    }
    if found.is_empty() {
        found.push(Source::table("delivery"));
    }
    found.truncate(SOURCES);
    Ok(found)
}

/// Maximum sources tried for a page.
const SOURCES: usize = 2;

/// Maximum webhooks of a tenant for which the index of statuses by webhook is the shortest source.
const FEW_WEBHOOKS: usize = 200;

/// Source of the retrying, failed or discarded deliveries of some webhooks.
pub(in crate::store) fn failing_at(status: DeliveryStatus, webhooks: Vec<Value>) -> Source {
    // Literals, as the partial index requires.
    let condition =
        format!("webhook_seq = ?1 AND status = '{status}' AND status <> 'delivered' AND status <> 'pending'");
    Source::index("delivery", "delivery_webhook_status", condition, webhooks)
}

/// Returns the webhooks of a tenant, including deleted ones; none if there are too many.
fn webhooks_of(connection: &Connection, tenant: &Tenant) -> Result<Vec<Value>> {
    let query = format!("SELECT seq FROM webhook WHERE tenant = ?1 LIMIT {}", FEW_WEBHOOKS + 1);
    let found = sql::all(connection, &query, [tenant], |row| row.get(0))?;
    Ok(if found.len() > FEW_WEBHOOKS { Vec::new() } else { found })
}

/// Returns the number of a webhook as the key of an index; NULL, which equals nothing, if there is none.
pub(in crate::store) fn webhook_key(connection: &Connection, id: &WebhookId) -> Result<Value> {
    let found = sql::first(connection, "SELECT seq FROM webhook WHERE id = ?1", [id], |row| row.get(0))?;
    Ok(found.unwrap_or(Value::Null))
}
