//! Lists and counts of deliveries, by index.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use rusqlite::types::Value;
use rusqlite::{Connection, named_params};

use super::{Delivery, SELECT, from_row};
use crate::domain::attempt::ErrorCode;
use crate::domain::code_pattern::CodePattern;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::event::{EventId, Tenant};
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::pattern::EventPattern;
use crate::domain::several::Several;
use crate::domain::time::Millis;
use crate::store::bounds::Bounds;
use crate::store::error::Result;
use crate::store::index_scan::{self, Found, List, Source};
use crate::store::page::{Filter, Page, PageRequest, Total};
use crate::store::search::{self, Hits, TextSearch};
use crate::store::{damage, event, sql, topic};

/// Conditions of a list of deliveries, or of a bulk action.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub webhooks: Several<WebhookId>,
    pub event: Option<EventId>,
    pub statuses: Several<DeliveryStatus>,
    pub types: Several<EventPattern>,
    pub tenant: Option<Tenant>,
    /// Status code of the last attempt's response.
    pub codes: Several<CodePattern>,
    /// Error of the last attempt.
    pub errors: Several<ErrorCode>,
    pub test: Option<bool>,
    /// Created at or after.
    pub since: Option<Millis>,
    /// Created before.
    pub until: Option<Millis>,
    /// Finished at or after.
    pub finished_since: Option<Millis>,
    /// Finished before.
    pub finished_until: Option<Millis>,
}

impl DeliveryFilter {
    /// The only status, if there is one.
    pub fn status(&self) -> Option<DeliveryStatus> {
        if let [status] = *self.statuses { Some(status) } else { None }
    }

    /// Narrows bounds to the time of creation. A delivery is created before it finishes.
    pub(in crate::store) fn within(&self, bounds: Bounds, connection: &Connection) -> Result<Bounds> {
        let until = self.until.into_iter().chain(self.finished_until).min();
        bounds.within(connection, ("delivery", "created_ms"), self.since, until)
    }
}

pub fn list(connection: &Connection, filter: &DeliveryFilter, request: &PageRequest) -> Result<Page<Delivery>> {
    let list = List {
        select: &list_select(),
        conditions: &conditions(filter),
        bounds: filter.within(Bounds::of_page(request), connection)?,
        budget: BUDGET,
    };
    index_scan::page(connection, &sources(connection, filter)?, &list, request, |row| from_row(row).map(Some))
}

/// Counts the deliveries that match a filter.
pub fn count(connection: &Connection, filter: &DeliveryFilter) -> Result<Total> {
    let list = List {
        select: COUNTED,
        conditions: &conditions(filter),
        bounds: filter.within(Bounds::between(0, i64::MAX - 1), connection)?,
        budget: index_scan::COUNTED,
    };
    index_scan::count(connection, &sources(connection, filter)?, &list, |_| Ok(true))
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
        bounds: filter.within(Bounds::of_page(request), connection)?,
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
        let delivery = damage::skip("delivery", seq, by_seq(connection, seq))?.flatten();
        rows.extend(delivery.map(|delivery| Match { delivery, excerpt }));
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
    let (columns, _) = SELECT.split_once("FROM delivery d ").expect("a SELECT has a FROM");
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
        bounds: filter.within(bounds, connection)?,
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
    let (columns, _) = SELECT.split_once("FROM delivery d ").expect("a SELECT has a FROM");
    format!(
        "{columns} FROM {{numbers}} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value
         CROSS JOIN event e ON e.seq = d.event_seq CROSS JOIN webhook w ON w.seq = d.webhook_seq"
    )
}

pub(in crate::store) const COUNTED: &str =
    "SELECT d.seq FROM {numbers} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value";

pub(in crate::store) const SEARCHED: &str = "SELECT d.seq, d.event_seq, d.id, e.id, e.data, e.previous_data
     FROM {numbers} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value CROSS JOIN event e ON e.seq = d.event_seq";

/// Conditions of a filter on table `delivery` as `d`.
pub(in crate::store) fn conditions(filter: &DeliveryFilter) -> Filter {
    let mut conditions = Filter::default();
    conditions.and_any("d.webhook_seq = (SELECT seq FROM webhook WHERE id = ?)", filter.webhooks.iter().copied());
    // Of every tenant that has this id; the tenant is a condition of its own.
    conditions.and_some("d.event_seq IN (SELECT seq FROM event WHERE id = ?)", filter.event.clone());
    if !filter.statuses.is_empty() {
        let quoted: Vec<String> = filter.statuses.iter().map(|status| format!("'{status}'")).collect();
        conditions.and_fixed(&format!("d.status IN ({})", quoted.join(", ")));
    }
    // By topic, which avoids reading the events of skipped rows.
    topic::and_types(&mut conditions, "(SELECT type FROM topic WHERE seq = d.topic_seq)", &filter.types);
    conditions.and_some("(SELECT tenant FROM topic WHERE seq = d.topic_seq) = ?", filter.tenant.clone());
    if !filter.codes.is_empty() {
        let ranges = filter.codes.iter().map(|pattern| pattern.codes());
        let ranges = ranges.map(|codes| format!("d.last_code BETWEEN {} AND {}", codes.start(), codes.end()));
        conditions.and_fixed(&format!("({})", ranges.collect::<Vec<_>>().join(" OR ")));
    }
    conditions.and_any("d.last_error = ?", filter.errors.iter().copied());
    match filter.test {
        Some(true) => conditions.and_fixed("d.cause = 'test'"),
        Some(false) => conditions.and_fixed("d.cause <> 'test'"),
        None => {}
    }
    conditions.and_some("d.created_ms >= ?", filter.since);
    conditions.and_some("d.created_ms < ?", filter.until);
    conditions.and_some("d.finished_ms >= ?", filter.finished_since);
    conditions.and_some("d.finished_ms < ?", filter.finished_until);
    conditions
}

/// Sources of the deliveries that match a filter, the one expected to be the shortest first; at most two.
pub(in crate::store) fn sources(connection: &Connection, filter: &DeliveryFilter) -> Result<Vec<Source>> {
    let index = |index, condition: &str, keys: Vec<Value>| Source::index("delivery", index, condition, keys);
    if let Some(id) = &filter.event {
        let events = event::seqs_of(connection, filter.tenant.as_ref(), id)?;
        return Ok(Source::by_number("delivery", "delivery_event", "event_seq = ?1", events));
    }
    let webhooks: Vec<Value> = filter.webhooks.iter().map(|id| webhook_key(connection, id)).collect::<Result<_>>()?;
    let mut found = Vec::new();
    use DeliveryStatus::{Delivered, Discarded, Failed, Pending, Retrying};
    if let Some(status @ (Retrying | Failed | Discarded)) = filter.status() {
        let webhooks = match &filter.tenant {
            Some(tenant) if webhooks.is_empty() => webhooks_of(connection, tenant)?,
            _ => webhooks.clone(),
        };
        if !webhooks.is_empty() {
            found.push(failing_at(status, webhooks));
        }
    }
    // Tests are queued too, but are not in this index.
    let is_queued = !filter.statuses.is_empty() && filter.statuses.iter().all(|one| matches!(one, Pending | Retrying));
    if is_queued && filter.test == Some(false) && found.is_empty() && !webhooks.is_empty() {
        found.push(waiting_at(connection, &filter.webhooks)?);
    }
    if filter.test == Some(true) {
        found.push(index("delivery_test", "cause = 'test'", vec![Value::Null]));
    }
    if !filter.errors.is_empty() {
        found.push(index("delivery_error", "last_error = ?1", texts(&filter.errors)));
    }
    let codes: BTreeSet<i64> = filter.codes.iter().flat_map(|pattern| pattern.codes()).map(i64::from).collect();
    if !codes.is_empty() && !codes.contains(&200) {
        let condition = "last_code = ?1 AND last_code IS NOT NULL AND last_code <> 200";
        found.extend(Source::by_number("delivery", "delivery_code", condition, codes.into_iter().collect()));
    }
    if !filter.statuses.is_empty() && !filter.statuses.contains(&Delivered) {
        found.push(index("delivery_status", "status = ?1 AND status <> 'delivered'", texts(&filter.statuses)));
    }
    if !webhooks.is_empty() {
        found.push(index("delivery_webhook", "webhook_seq = ?1", webhooks));
    }
    let has_types = topic::is_narrow(&filter.types);
    if found.len() < SOURCES && (filter.tenant.is_some() || has_types) {
        let topics = topic::matching(connection, filter.tenant.as_ref(), &filter.types)?;
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

/// Texts as the keys of an index.
fn texts<T: ToString>(values: &[T]) -> Vec<Value> {
    values.iter().map(|value| Value::Text(value.to_string())).collect()
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

/// Source of the queued deliveries of some webhooks, without tests.
pub(in crate::store) fn waiting_at(connection: &Connection, webhooks: &[WebhookId]) -> Result<Source> {
    let webhooks = webhooks.iter().map(|id| webhook_key(connection, id)).collect::<Result<_>>()?;
    Ok(Source::index("delivery", "delivery_waiting", "webhook_seq = ?1 AND due_ms IS NOT NULL", webhooks))
}

/// Returns the webhooks of a tenant, including deleted ones; none if there are too many.
fn webhooks_of(connection: &Connection, tenant: &Tenant) -> Result<Vec<Value>> {
    let query = format!("SELECT seq FROM webhook WHERE tenant = ?1 LIMIT {}", FEW_WEBHOOKS + 1);
    let found = sql::all(connection, &query, [tenant], |row| row.get(0))?;
    Ok(if found.len() > FEW_WEBHOOKS { Vec::new() } else { found })
}

/// Returns the number of a webhook as the key of an index; NULL, which equals nothing, if there is none.
fn webhook_key(connection: &Connection, id: &WebhookId) -> Result<Value> {
    let found = sql::first(connection, "SELECT seq FROM webhook WHERE id = ?1", [id], |row| row.get(0))?;
    Ok(found.unwrap_or(Value::Null))
}
