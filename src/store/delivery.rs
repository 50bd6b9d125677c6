//! The table of deliveries: what is due, where each stands, and the lists.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::error::StoreError;
use super::event;
use super::index_scan;
use super::page::{Filter, Page, PageRequest};
use super::row::{self, parsed, parsed_option};
use super::topic;
use super::writer::{Change, DueDelivery, WriteTx};
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::{Cause, DeliveryStatus, Trigger};
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::time::Millis;
use crate::domain::webhook::WebhookState;
use crate::store::index_scan::{Bounds, List, Source};

/// A delivery as people see it.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub seq: i64,
    pub id: DeliveryId,
    pub event_seq: i64,
    pub event_id: EventId,
    pub event_type: EventType,
    pub webhook_seq: i64,
    pub webhook_id: WebhookId,
    pub webhook_state: WebhookState,
    pub tenant: Tenant,
    pub status: DeliveryStatus,
    pub cause: Cause,
    pub due_ms: Option<Millis>,
    pub attempt_count: u32,
    /// Failed attempts of the series at hand, without one that ended it.
    pub series_failures: u32,
    pub created_ms: Millis,
    pub finished_ms: Option<Millis>,
    pub last: Option<LastAttempt>,
}

impl Delivery {
    pub fn place(&self) -> DeliveryRef {
        DeliveryRef { seq: self.seq, webhook_seq: self.webhook_seq, status: self.status }
    }
}

/// The outcome of a delivery's last attempt.
#[derive(Debug, Clone)]
pub struct LastAttempt {
    pub code: Option<u16>,
    pub error_code: Option<ErrorCode>,
    pub duration_ms: i64,
    pub at_ms: Millis,
}

/// Which deliveries a list shows, and a bulk action meets.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub webhook: Option<WebhookId>,
    pub event: Option<EventId>,
    pub status: Option<DeliveryStatus>,
    pub event_type: Option<EventType>,
    pub tenant: Option<Tenant>,
    /// The status code of the last attempt's answer.
    pub response_code: Option<u16>,
    /// The error of the last attempt.
    pub error_code: Option<ErrorCode>,
    pub test: Option<bool>,
    /// Created at or after.
    pub since: Option<Millis>,
    /// Created before.
    pub until: Option<Millis>,
}

/// What the writer has to know of a delivery to decide what follows an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    pub status: DeliveryStatus,
    pub due_ms: Option<Millis>,
    pub attempt_count: u32,
    pub failures: u32,
    pub success_mark: Option<u64>,
    pub origin_ms: Option<Millis>,
    pub panics: u32,
}

/// The columns of an attempt's outcome that a delivery repeats, so that lists need no attempts.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub attempt_count: u32,
    pub code: Option<u16>,
    pub error_code: Option<ErrorCode>,
    pub duration_ms: i64,
    pub at_ms: Millis,
}

/// Stores a new delivery of a stored event. A test is due nowhere: who asked for it sends it.
pub fn insert(
    tx: &mut WriteTx<'_>,
    event_seq: i64,
    event: &Arc<Event>,
    webhook_seq: i64,
    id: DeliveryId,
    cause: Cause,
) -> Result<DueDelivery, StoreError> {
    let now = tx.now_ms();
    let trigger = match cause {
        Cause::Test => Trigger::Test,
        Cause::Event | Cause::Replay => Trigger::Initial,
    };
    let due_ms = (cause != Cause::Test).then_some(now);
    let topic_seq = topic::seq_of(tx, &event.tenant, &event.event_type)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO delivery (id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms, topic_seq)
             VALUES (:id, :event_seq, :webhook_seq, 'pending', :cause, :due_ms, :trigger, :now, :topic_seq)",
        )?
        .execute(named_params! {
            ":id": id.to_bytes(),
            ":event_seq": event_seq,
            ":webhook_seq": webhook_seq,
            ":cause": cause.into_str(),
            ":due_ms": due_ms,
            ":trigger": trigger.into_str(),
            ":now": now,
            ":topic_seq": topic_seq,
        })?;
    let delivery = DueDelivery {
        seq: tx.connection().last_insert_rowid(),
        id,
        webhook_seq,
        event: Arc::clone(event),
        due_ms: now,
        attempt_count: 0,
        trigger,
    };
    if cause != Cause::Test {
        tx.directory_mut().tally().made(webhook_seq);
        tx.notify(Change::Due(delivery.clone()));
    }
    Ok(delivery)
}

/// A lane's order: by due time, or strictly by sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Due,
    /// Begins at this sequence number, below which everything of the webhook is finished; stops at the first that is not due.
    Sequence {
        from_seq: i64,
    },
}

/// What a lane reads from the table.
#[derive(Debug, Default)]
pub struct DueRows {
    pub rows: Vec<DueDelivery>,
    /// Rows whose stored event does not match its checksum.
    pub damaged: Vec<i64>,
    /// When the first row that is not due yet becomes due.
    pub next_due_ms: Option<Millis>,
    /// Whether the bounds cut the answer short.
    pub more: bool,
}

/// What of a webhook's deliveries is due, up to `limit` rows and about `max_bytes` of data (one row at least),
/// those left out that `skip` names. Served by the indexes `delivery_due` and `delivery_webhook`.
pub fn due(
    connection: &Connection,
    webhook_seq: i64,
    order: Order,
    now: Millis,
    limit: usize,
    max_bytes: usize,
    skip: impl Fn(i64) -> bool,
) -> Result<DueRows, StoreError> {
    let mut statement = connection.prepare_cached(&due_sql(order))?;
    let mut rows = match order {
        Order::Due => statement.query(named_params! {":webhook": webhook_seq})?,
        Order::Sequence { from_seq } => statement.query(named_params! {":webhook": webhook_seq, ":from": from_seq})?,
    };
    let mut found = DueRows::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let due_ms: Millis = row.get("due_ms")?;
        if due_ms > now {
            found.next_due_ms = Some(due_ms);
            break;
        }
        let seq: i64 = row.get("delivery_seq")?;
        if skip(seq) {
            continue;
        }
        if found.rows.len() >= limit || (bytes >= max_bytes && !found.rows.is_empty()) {
            found.more = true;
            break;
        }
        let Some(event) = event::intact(connection, row.get("event_seq")?)? else {
            found.damaged.push(seq);
            continue;
        };
        bytes += event.size_bytes();
        found.rows.push(DueDelivery {
            seq,
            id: DeliveryId::from_bytes(row.get("delivery_id")?),
            webhook_seq,
            event: Arc::new(event),
            due_ms,
            attempt_count: row.get("attempt_count")?,
            trigger: parsed(row, "next_trigger")?,
        });
    }
    Ok(found)
}

/// What a lane reads, in its order.
pub(super) fn due_sql(order: Order) -> String {
    const COLUMNS: &str =
        "d.seq AS delivery_seq, d.id AS delivery_id, d.due_ms, d.attempt_count, d.next_trigger, d.event_seq";
    match order {
        Order::Due => format!(
            "SELECT {COLUMNS} FROM delivery d INDEXED BY delivery_due
             WHERE d.webhook_seq = :webhook AND d.due_ms IS NOT NULL
             ORDER BY d.due_ms, d.seq"
        ),
        Order::Sequence { .. } => format!(
            "SELECT {COLUMNS} FROM delivery d INDEXED BY delivery_webhook
             WHERE d.webhook_seq = :webhook AND d.seq >= :from AND d.due_ms IS NOT NULL
             ORDER BY d.seq"
        ),
    }
}

/// What is known of the series of attempts at hand.
pub fn series(connection: &Connection, seq: i64) -> Result<Option<Series>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT status, due_ms, attempt_count, series_failures, success_mark, origin_ms, panics
         FROM delivery WHERE seq = :seq",
    )?;
    row::first(&mut statement, named_params! {":seq": seq}, |row| {
        Ok(Series {
            status: parsed(row, "status")?,
            due_ms: row.get("due_ms")?,
            attempt_count: row.get("attempt_count")?,
            failures: row.get("series_failures")?,
            success_mark: row.get::<_, Option<i64>>("success_mark")?.map(|mark| mark as u64),
            origin_ms: row.get("origin_ms")?,
            panics: row.get("panics")?,
        })
    })
}

/// Where a delivery stands, and whose it is, as far as whoever changes it knows: what counts deliveries by status
/// has to hear from where to where each goes.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryRef {
    pub seq: i64,
    pub webhook_seq: i64,
    pub status: DeliveryStatus,
}

/// Ends a delivery after an attempt: delivered or failed. Its status as the caller knows it is read only where it is
/// another one. Whether there was such a delivery.
pub fn finish(
    tx: &mut WriteTx<'_>,
    delivery: DeliveryRef,
    status: DeliveryStatus,
    outcome: &Outcome,
) -> Result<bool, StoreError> {
    let DeliveryRef { seq, webhook_seq, status: mut before } = delivery;
    if !end(tx, seq, before, status, outcome)? {
        match series(tx.connection(), seq)? {
            None => return Ok(false),
            Some(series) => before = series.status,
        }
        end(tx, seq, before, status, outcome)?;
    }
    let tally = tx.directory_mut().tally();
    tally.moved(webhook_seq, before, status, 1);
    Ok(true)
}

/// Ends a test, which is counted nowhere. Whether it was still awaited.
pub fn finish_test(
    tx: &mut WriteTx<'_>,
    seq: i64,
    status: DeliveryStatus,
    outcome: &Outcome,
) -> Result<bool, StoreError> {
    end(tx, seq, DeliveryStatus::Pending, status, outcome)
}

fn end(
    tx: &mut WriteTx<'_>,
    seq: i64,
    before: DeliveryStatus,
    status: DeliveryStatus,
    outcome: &Outcome,
) -> Result<bool, StoreError> {
    let changed = tx
        .connection()
        .prepare_cached(
            "UPDATE delivery SET status = :status, due_ms = NULL, finished_ms = :now, attempt_count = :attempt_count,
                 last_code = :code, last_error = :error, last_duration_ms = :duration_ms, last_at_ms = :at
             WHERE seq = :seq AND status = :before",
        )?
        .execute(named_params! {
            ":status": status.into_str(),
            ":before": before.into_str(),
            ":now": tx.now_ms(),
            ":attempt_count": outcome.attempt_count,
            ":code": outcome.code,
            ":error": outcome.error_code.map(|code| code.into_str()),
            ":duration_ms": outcome.duration_ms,
            ":at": outcome.at_ms,
            ":seq": seq,
        })?;
    Ok(changed == 1)
}

/// Counts a failed attempt of a delivery that is not finished by it: the series says where it stands from here on. It
/// will be tried again at `due_ms`, or was finished by somebody else meanwhile (`None`).
pub fn count_failure(
    tx: &mut WriteTx<'_>,
    before: DeliveryRef,
    series: &Series,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let DeliveryRef { seq, webhook_seq, status } = before;
    if status != series.status {
        let tally = tx.directory_mut().tally();
        tally.moved(webhook_seq, status, series.status, 1);
    }
    tx.connection()
        .prepare_cached(
            "UPDATE delivery SET status = :status, due_ms = :due_ms, next_trigger = 'automatic',
                 attempt_count = :attempt_count, series_failures = :failures, success_mark = :success_mark,
                 origin_ms = :origin_ms, panics = :panics,
                 last_code = :code, last_error = :error, last_duration_ms = :duration_ms, last_at_ms = :at
             WHERE seq = :seq",
        )?
        .execute(named_params! {
            ":status": series.status.into_str(),
            ":due_ms": series.due_ms,
            ":attempt_count": outcome.attempt_count,
            ":failures": series.failures,
            ":success_mark": series.success_mark.map(|mark| mark as i64),
            ":origin_ms": series.origin_ms,
            ":panics": series.panics,
            ":code": outcome.code,
            ":error": outcome.error_code.map(|code| code.into_str()),
            ":duration_ms": outcome.duration_ms,
            ":at": outcome.at_ms,
            ":seq": seq,
        })?;
    Ok(())
}

/// Makes a waiting delivery due now, asked for by a person; the schedule goes on from there.
pub fn make_due(tx: &mut WriteTx<'_>, seq: i64) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("UPDATE delivery SET due_ms = min(due_ms, :now), next_trigger = 'manual' WHERE seq = :seq")?
        .execute(named_params! {":now": tx.now_ms(), ":seq": seq})?;
    Ok(())
}

/// Starts a fresh series of attempts of a finished delivery, due now; the old attempts stay in the log.
pub fn restart(tx: &mut WriteTx<'_>, delivery: DeliveryRef) -> Result<(), StoreError> {
    let DeliveryRef { seq, webhook_seq, status } = delivery;
    let tally = tx.directory_mut().tally();
    tally.moved(webhook_seq, status, DeliveryStatus::Pending, 1);
    tx.connection()
        .prepare_cached(
            "UPDATE delivery SET status = 'pending', due_ms = :now, next_trigger = 'manual', finished_ms = NULL,
                 series_failures = 0, success_mark = NULL, origin_ms = NULL, panics = 0
             WHERE seq = :seq",
        )?
        .execute(named_params! {":now": tx.now_ms(), ":seq": seq})?;
    Ok(())
}

/// Gives up a waiting delivery.
pub fn discard(tx: &mut WriteTx<'_>, delivery: DeliveryRef) -> Result<(), StoreError> {
    let DeliveryRef { seq, webhook_seq, status } = delivery;
    let tally = tx.directory_mut().tally();
    tally.moved(webhook_seq, status, DeliveryStatus::Discarded, 1);
    discard_uncounted(tx, seq)
}

/// Gives up a waiting test.
pub fn discard_test(tx: &mut WriteTx<'_>, seq: i64) -> Result<(), StoreError> {
    discard_uncounted(tx, seq)
}

fn discard_uncounted(tx: &mut WriteTx<'_>, seq: i64) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("UPDATE delivery SET status = 'discarded', due_ms = NULL, finished_ms = :now WHERE seq = :seq")?
        .execute(named_params! {":now": tx.now_ms(), ":seq": seq})?;
    Ok(())
}

/// Ends tests that a crash or a stop left without an answer: nobody waits for them any more.
pub fn end_interrupted_tests(tx: &mut WriteTx<'_>) -> Result<usize, StoreError> {
    let ended = tx
        .connection()
        .prepare_cached(
            "UPDATE delivery SET status = 'failed', finished_ms = :now
             WHERE cause = 'test' AND status = 'pending' AND created_ms <= :now",
        )?
        .execute(named_params! {":now": tx.now_ms()})?;
    Ok(ended)
}

const SELECT: &str = "SELECT d.seq, d.id, d.event_seq, e.id AS event_id, e.type AS event_type, e.tenant, d.webhook_seq,
        w.id AS webhook_id, w.state AS webhook_state, d.status, d.cause, d.due_ms, d.attempt_count,
        d.series_failures, d.created_ms, d.finished_ms, d.last_code, d.last_error, d.last_duration_ms, d.last_at_ms
    FROM delivery d JOIN event e ON e.seq = d.event_seq JOIN webhook w ON w.seq = d.webhook_seq";

/// The delivery with this id.
pub fn get(connection: &Connection, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE d.id = :id"))?;
    row::first(&mut statement, named_params! {":id": id.to_bytes()}, from_row)
}

/// The deliveries of one event, oldest first.
pub fn of_event(connection: &Connection, event_seq: i64) -> Result<Vec<Delivery>, StoreError> {
    let sql = format!("{SELECT} WHERE d.event_seq = :event_seq ORDER BY d.seq");
    let mut statement = connection.prepare_cached(&sql)?;
    row::collect(&mut statement, named_params! {":event_seq": event_seq}, from_row)
}

/// Ids of the deliveries that publishing an event made, with their webhooks' ids, oldest first.
pub fn receipt_of(connection: &Connection, event_seq: i64) -> Result<Vec<(DeliveryId, WebhookId)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.id AS id, w.id AS webhook_id FROM delivery d JOIN webhook w ON w.seq = d.webhook_seq
         WHERE d.event_seq = :event_seq AND d.cause = 'event' ORDER BY d.seq",
    )?;
    row::collect(&mut statement, named_params! {":event_seq": event_seq}, |row| {
        Ok((DeliveryId::from_bytes(row.get("id")?), WebhookId::from_bytes(row.get("webhook_id")?)))
    })
}

/// A page of deliveries, newest first.
pub fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
    request: &PageRequest,
) -> Result<Page<Delivery>, StoreError> {
    let list = List {
        select: &list_select(),
        conditions: &conditions(filter),
        bounds: Bounds::of_page(request).within(connection, ("delivery", "created_ms"), filter.since, filter.until)?,
        budget: BUDGET,
    };
    let sources = sources(connection, filter)?;
    index_scan::page(connection, &sources, &list, request, |row| from_row(row).map(Some))
}

/// The next newer delivery than this one that a filter shows, as far as it is found among the next few thousand rows.
pub fn newer(connection: &Connection, filter: &DeliveryFilter, seq: i64) -> Result<Option<DeliveryId>, StoreError> {
    let list = List {
        select: &list_select(),
        conditions: &conditions(filter),
        bounds: Bounds::between(seq, i64::MAX - 1).within(
            connection,
            ("delivery", "created_ms"),
            filter.since,
            filter.until,
        )?,
        budget: BUDGET,
    };
    let Some(source) = sources(connection, filter)?.into_iter().next() else {
        return Ok(None);
    };
    let (rows, _) = index_scan::scan(connection, &source, &list, 1, from_row)?;
    Ok(rows.first().map(|delivery| delivery.id))
}

/// How many dead letters there are, of one tenant or of all, counted up to `most`: tests are none. Served by the
/// indexes `delivery_status` and `delivery_webhook_status`.
pub fn count_dead_letters(connection: &Connection, tenant: Option<&Tenant>, most: u32) -> Result<u64, StoreError> {
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
    let sql = format!("SELECT count(*) FROM ({rows} LIMIT ?2)");
    let count: i64 =
        connection.prepare_cached(&sql)?.query_row((tenant.map(Tenant::as_str), most), |row| row.get(0))?;
    Ok(count as u64)
}

/// Rows looked at for a page at most, along each of two ways.
const BUDGET: usize = 5_000;

pub(super) fn list_select() -> String {
    let (columns, _) = SELECT.split_once("FROM").expect("a SELECT has a FROM");
    format!(
        "{columns} FROM {{numbers}} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value
         CROSS JOIN event e ON e.seq = d.event_seq CROSS JOIN webhook w ON w.seq = d.webhook_seq"
    )
}

/// What a filter asks of a delivery `d`.
pub(super) fn conditions(filter: &DeliveryFilter) -> Filter {
    let mut conditions = Filter::default();
    if let Some(webhook) = filter.webhook {
        let id = webhook.to_bytes().to_vec();
        conditions.and("d.webhook_seq = (SELECT seq FROM webhook WHERE id = ?)", id);
    }
    if let Some(event) = &filter.event {
        let id = event.as_str().to_owned();
        conditions.and("d.event_seq = (SELECT seq FROM event WHERE id = ?)", id);
    }
    if let Some(status) = filter.status {
        conditions.and_fixed(&format!("d.status = '{status}'"));
    }
    if let Some(event_type) = &filter.event_type {
        // By the topic, so that the event of a row that is passed over is not read.
        let condition = "(SELECT type FROM topic WHERE seq = d.topic_seq) = ?";
        conditions.and(condition, event_type.as_str().to_owned());
    }
    if let Some(tenant) = &filter.tenant {
        let condition = "(SELECT tenant FROM topic WHERE seq = d.topic_seq) = ?";
        conditions.and(condition, tenant.as_str().to_owned());
    }
    if let Some(code) = filter.response_code {
        conditions.and("d.last_code = ?", i64::from(code));
    }
    if let Some(code) = filter.error_code {
        conditions.and("d.last_error = ?", code.into_str().to_owned());
    }
    match filter.test {
        Some(true) => conditions.and_fixed("d.cause = 'test'"),
        Some(false) => conditions.and_fixed("d.cause <> 'test'"),
        None => {}
    }
    if let Some(since) = filter.since {
        conditions.and("d.created_ms >= ?", since);
    }
    if let Some(until) = filter.until {
        conditions.and("d.created_ms < ?", until);
    }
    conditions
}

/// The ways to the deliveries that a filter shows, the one that is expected to be the shortest first; two at most.
pub(super) fn sources(connection: &Connection, filter: &DeliveryFilter) -> Result<Vec<Source>, StoreError> {
    let index = |index, condition: &str, key: Value| Source::index("delivery", index, condition, vec![key]);
    if let Some(event) = &filter.event {
        let key = seq_or_none(connection, "SELECT seq FROM event WHERE id = ?1", event.as_str())?;
        return Ok(vec![index("delivery_event", "event_seq = ?1", key)]);
    }
    let webhook = match filter.webhook {
        None => None,
        Some(id) => Some(seq_or_none(connection, "SELECT seq FROM webhook WHERE id = ?1", id.to_bytes())?),
    };
    let mut found = Vec::new();
    if let Some(status) = filter.status.filter(|status| is_out_of_line(*status)) {
        let webhooks = match (&webhook, &filter.tenant) {
            (Some(webhook), _) => vec![webhook.clone()],
            (None, Some(tenant)) => webhooks_of(connection, tenant)?,
            (None, None) => Vec::new(),
        };
        if !webhooks.is_empty() {
            found.push(out_of_line(status, webhooks));
        }
    }
    if filter.test == Some(true) {
        found.push(index("delivery_test", "cause = 'test'", Value::Null));
    }
    if let Some(code) = filter.error_code {
        let key = Value::Text(code.into_str().to_owned());
        found.push(index("delivery_error", "last_error = ?1", key));
    }
    if let Some(code) = filter.response_code.filter(|code| *code != 200) {
        let condition = "last_code = ?1 AND last_code IS NOT NULL AND last_code <> 200";
        found.push(index("delivery_code", condition, Value::from(i64::from(code))));
    }
    if let Some(status) = filter.status.filter(|status| *status != DeliveryStatus::Delivered) {
        let condition = format!("status = '{status}' AND status <> 'delivered'");
        found.push(index("delivery_status", &condition, Value::Null));
    }
    if let Some(webhook) = webhook {
        found.push(index("delivery_webhook", "webhook_seq = ?1", webhook));
    }
    if found.len() < WAYS && (filter.tenant.is_some() || filter.event_type.is_some()) {
        let topics = topic::matching(connection, filter.tenant.as_ref(), filter.event_type.as_ref())?;
        if found.is_empty() || topics.len() <= index_scan::MANY {
            found.extend(Source::by_number("delivery", "delivery_topic", "topic_seq = ?1", topics));
        }
    }
    if found.is_empty() {
        found.push(Source::table("delivery"));
    }
    found.truncate(WAYS);
    Ok(found)
}

/// Ways that are tried for a page at most.
const WAYS: usize = 2;

/// Webhooks of a tenant up to which the index of states by webhook is the shortest way.
const FEW_WEBHOOKS: usize = 200;

/// The way to what is retrying, failed or discarded at these webhooks.
pub(super) fn out_of_line(status: DeliveryStatus, webhooks: Vec<Value>) -> Source {
    // As literals, so that the partial index serves them.
    let condition =
        format!("webhook_seq = ?1 AND status = '{status}' AND status <> 'delivered' AND status <> 'pending'");
    Source::index("delivery", "delivery_webhook_status", condition, webhooks)
}

fn is_out_of_line(status: DeliveryStatus) -> bool {
    use DeliveryStatus::{Discarded, Failed, Retrying};
    matches!(status, Retrying | Failed | Discarded)
}

/// The webhooks of a tenant, deleted ones included; none where there are too many.
fn webhooks_of(connection: &Connection, tenant: &Tenant) -> Result<Vec<Value>, StoreError> {
    let sql = format!("SELECT seq FROM webhook WHERE tenant = ?1 LIMIT {}", FEW_WEBHOOKS + 1);
    let mut statement = connection.prepare_cached(&sql)?;
    let found = row::collect(&mut statement, [tenant.as_str()], |row| Ok(row.get(0)?))?;
    Ok(match found.len() {
        ..=FEW_WEBHOOKS => found,
        _ => Vec::new(),
    })
}

/// The number behind an id; NULL, which equals nothing, where there is none.
fn seq_or_none(connection: &Connection, sql: &str, id: impl rusqlite::ToSql) -> Result<Value, StoreError> {
    let found = connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(Value::Null))
}

fn from_row(row: &Row<'_>) -> Result<Delivery, StoreError> {
    let at_ms: Option<Millis> = row.get("last_at_ms")?;
    let last = match at_ms {
        None => None,
        Some(at_ms) => Some(LastAttempt {
            code: row.get("last_code")?,
            error_code: parsed_option(row, "last_error")?,
            duration_ms: row.get("last_duration_ms")?,
            at_ms,
        }),
    };
    Ok(Delivery {
        seq: row.get("seq")?,
        id: DeliveryId::from_bytes(row.get("id")?),
        event_seq: row.get("event_seq")?,
        event_id: parsed(row, "event_id")?,
        event_type: parsed(row, "event_type")?,
        webhook_seq: row.get("webhook_seq")?,
        webhook_id: WebhookId::from_bytes(row.get("webhook_id")?),
        webhook_state: parsed(row, "webhook_state")?,
        tenant: parsed(row, "tenant")?,
        status: parsed(row, "status")?,
        cause: parsed(row, "cause")?,
        due_ms: row.get("due_ms")?,
        attempt_count: row.get("attempt_count")?,
        series_failures: row.get("series_failures")?,
        created_ms: row.get("created_ms")?,
        finished_ms: row.get("finished_ms")?,
        last,
    })
}

/// Counts an attempt in the statistics: no test, no challenge. `answer_ms` is how long its answer took.
pub fn count_attempt(tx: &mut WriteTx<'_>, webhook_seq: i64, is_retry: bool, answer_ms: Option<u64>) {
    let tally = tx.directory_mut().tally();
    tally.attempted(webhook_seq, is_retry, answer_ms);
}

/// Counts a delivery that got through, for the rule that a webhook whose endpoint is alive is not disabled.
pub fn count_success(tx: &mut WriteTx<'_>, webhook_seq: i64) {
    tx.directory_mut().count_success(webhook_seq);
}
