//! The table of deliveries: what is due, where each stands, and the lists.

use std::sync::Arc;

use rusqlite::{Connection, Row, named_params};

use super::error::StoreError;
use super::event;
use super::page::{Filter, Page, PageRequest};
use super::row::{self, parsed, parsed_option};
use super::writer::{NewDelivery, Notice, WriteTx};
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::{Cause, DeliveryStatus, Trigger};
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::time::Millis;
use crate::domain::webhook::WebhookState;

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
) -> Result<NewDelivery, StoreError> {
    let now = tx.now_ms();
    let trigger = match cause {
        Cause::Test => Trigger::Test,
        Cause::Event | Cause::Replay => Trigger::Initial,
    };
    let due_ms = (cause != Cause::Test).then_some(now);
    tx.connection()
        .prepare_cached(
            "INSERT INTO delivery (id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms)
             VALUES (:id, :event_seq, :webhook_seq, 'pending', :cause, :due_ms, :trigger, :now)",
        )?
        .execute(named_params! {
            ":id": id.to_bytes(),
            ":event_seq": event_seq,
            ":webhook_seq": webhook_seq,
            ":cause": cause.as_str(),
            ":due_ms": due_ms,
            ":trigger": trigger.as_str(),
            ":now": now,
        })?;
    let delivery = NewDelivery {
        seq: tx.connection().last_insert_rowid(),
        id,
        webhook_seq,
        event: Arc::clone(event),
        due_ms: now,
        attempt_count: 0,
        trigger,
    };
    if cause != Cause::Test {
        tx.notify(Notice::Due(delivery.clone()));
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
    pub rows: Vec<NewDelivery>,
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
    const COLUMNS: &str = "d.seq AS delivery_seq, d.id AS delivery_id, d.due_ms, d.attempt_count, d.next_trigger, d.event_seq";
    let sql = match order {
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
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = match order {
        Order::Due => statement.query(named_params! {":webhook": webhook_seq})?,
        Order::Sequence { from_seq } => {
            statement.query(named_params! {":webhook": webhook_seq, ":from": from_seq})?
        }
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
        found.rows.push(NewDelivery {
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
            success_mark: row
                .get::<_, Option<i64>>("success_mark")?
                .map(|mark| mark as u64),
            origin_ms: row.get("origin_ms")?,
            panics: row.get("panics")?,
        })
    })
}

/// Ends a delivery after an attempt: delivered or failed. Whether there was such a delivery.
pub fn finish(
    tx: &mut WriteTx<'_>,
    seq: i64,
    status: DeliveryStatus,
    outcome: &Outcome,
) -> Result<bool, StoreError> {
    let changed = tx
        .connection()
        .prepare_cached(
            "UPDATE delivery SET status = :status, due_ms = NULL, finished_ms = :now, attempt_count = :attempt_count,
                 last_code = :code, last_error = :error, last_duration_ms = :duration_ms, last_at_ms = :at
             WHERE seq = :seq",
        )?
        .execute(named_params! {
            ":status": status.as_str(),
            ":now": tx.now_ms(),
            ":attempt_count": outcome.attempt_count,
            ":code": outcome.code,
            ":error": outcome.error_code.map(ErrorCode::as_str),
            ":duration_ms": outcome.duration_ms,
            ":at": outcome.at_ms,
            ":seq": seq,
        })?;
    Ok(changed == 1)
}

/// Counts a failed attempt of a delivery that stays where it is, in the state named: it will be tried again
/// at `due_ms`, or was finished by somebody else meanwhile (`None`).
pub fn count_failure(
    tx: &mut WriteTx<'_>,
    seq: i64,
    series: &Series,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "UPDATE delivery SET status = :status, due_ms = :due_ms, next_trigger = 'automatic',
                 attempt_count = :attempt_count, series_failures = :failures, success_mark = :success_mark,
                 origin_ms = :origin_ms, panics = :panics,
                 last_code = :code, last_error = :error, last_duration_ms = :duration_ms, last_at_ms = :at
             WHERE seq = :seq",
        )?
        .execute(named_params! {
            ":status": series.status.as_str(),
            ":due_ms": series.due_ms,
            ":attempt_count": outcome.attempt_count,
            ":failures": series.failures,
            ":success_mark": series.success_mark.map(|mark| mark as i64),
            ":origin_ms": series.origin_ms,
            ":panics": series.panics,
            ":code": outcome.code,
            ":error": outcome.error_code.map(ErrorCode::as_str),
            ":duration_ms": outcome.duration_ms,
            ":at": outcome.at_ms,
            ":seq": seq,
        })?;
    Ok(())
}

/// Makes a waiting delivery due now, asked for by a person; the schedule goes on from there.
pub fn make_due(tx: &mut WriteTx<'_>, seq: i64) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "UPDATE delivery SET due_ms = min(due_ms, :now), next_trigger = 'manual' WHERE seq = :seq",
        )?
        .execute(named_params! {":now": tx.now_ms(), ":seq": seq})?;
    Ok(())
}

/// Starts a fresh series of attempts, due now; the old attempts stay in the log.
pub fn restart(tx: &mut WriteTx<'_>, seq: i64) -> Result<(), StoreError> {
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
pub fn discard(tx: &mut WriteTx<'_>, seq: i64) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "UPDATE delivery SET status = 'discarded', due_ms = NULL, finished_ms = :now WHERE seq = :seq",
        )?
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
    row::first(
        &mut statement,
        named_params! {":id": id.to_bytes()},
        from_row,
    )
}

/// The deliveries of one event, oldest first.
pub fn of_event(connection: &Connection, event_seq: i64) -> Result<Vec<Delivery>, StoreError> {
    let sql = format!("{SELECT} WHERE d.event_seq = :event_seq ORDER BY d.seq");
    let mut statement = connection.prepare_cached(&sql)?;
    row::collect(
        &mut statement,
        named_params! {":event_seq": event_seq},
        from_row,
    )
}

/// Ids of the deliveries that publishing an event made, with their webhooks' ids, oldest first.
pub fn receipt_of(
    connection: &Connection,
    event_seq: i64,
) -> Result<Vec<(DeliveryId, WebhookId)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.id AS id, w.id AS webhook_id FROM delivery d JOIN webhook w ON w.seq = d.webhook_seq
         WHERE d.event_seq = :event_seq AND d.cause = 'event' ORDER BY d.seq",
    )?;
    row::collect(
        &mut statement,
        named_params! {":event_seq": event_seq},
        |row| {
            Ok((
                DeliveryId::from_bytes(row.get("id")?),
                WebhookId::from_bytes(row.get("webhook_id")?),
            ))
        },
    )
}

/// What a filter asks of a delivery `d`, its event `e` and its webhook `w`.
pub(super) fn conditions_of(filter: &DeliveryFilter) -> Filter {
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
        // As a literal, so that the partial index of dead letters serves it.
        conditions.and_fixed(&format!("d.status = '{status}'"));
    }
    if let Some(event_type) = &filter.event_type {
        conditions.and("e.type = ?", event_type.as_str().to_owned());
    }
    if let Some(tenant) = &filter.tenant {
        conditions.and("e.tenant = ?", tenant.as_str().to_owned());
    }
    if let Some(code) = filter.response_code {
        conditions.and("d.last_code = ?", i64::from(code));
    }
    if let Some(code) = filter.error_code {
        conditions.and("d.last_error = ?", code.as_str().to_owned());
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

/// A page of deliveries, newest first.
pub fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
    request: &PageRequest,
) -> Result<Page<Delivery>, StoreError> {
    let mut conditions = conditions_of(filter);
    conditions.below("d.seq", request);
    let sql = format!(
        "{SELECT} {} ORDER BY d.seq DESC LIMIT {}",
        conditions.sql(),
        request.limit + 1
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = row::collect(&mut statement, conditions.params(), from_row)?;
    Ok(Page::cut(rows, request, |delivery| delivery.seq))
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

/// Counts a delivery that got through, for the rule that a webhook whose endpoint is alive is not disabled.
pub fn count_success(tx: &mut WriteTx<'_>, webhook_seq: i64) {
    tx.directory_mut().count_success(webhook_seq);
}
