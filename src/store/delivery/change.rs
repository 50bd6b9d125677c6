//! Creating and changing deliveries. Every change of a status is counted in the statistics; tests are not counted.

use std::sync::Arc;

use rusqlite::{Connection, named_params};

use super::DeliveryRef;
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::{Cause, DeliveryStatus, Trigger};
use crate::domain::event::Event;
use crate::domain::id::DeliveryId;
use crate::domain::time::Millis;
use crate::store::error::StoreError;
use crate::store::sql::{self, read_row};
use crate::store::{Change, DueDelivery, WriteTx, topic};

/// State of a delivery's current series of attempts, by which the next step is decided.
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

/// Columns of the last attempt's result, which deliveries repeat so that lists need not read attempts.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub attempt_count: u32,
    pub code: Option<u16>,
    pub error_code: Option<ErrorCode>,
    pub duration_ms: i64,
    pub at_ms: Millis,
}

/// Stores a new delivery of a stored event. A test is never due: its caller sends it.
pub fn insert(
    tx: &mut WriteTx<'_>,
    event_seq: i64,
    event: &Arc<Event>,
    webhook_seq: i64,
    id: DeliveryId,
    cause: Cause,
) -> Result<DueDelivery, StoreError> {
    let now = tx.now_ms();
    let is_test = cause == Cause::Test;
    let trigger = if is_test { Trigger::Test } else { Trigger::Initial };
    let topic_seq = topic::seq_of(tx, &event.tenant, &event.event_type)?;
    sql::run(
        tx.connection(),
        "INSERT INTO delivery (id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms, topic_seq)
         VALUES (:id, :event_seq, :webhook_seq, 'pending', :cause, :due_ms, :trigger, :now, :topic_seq)",
        named_params! {
            ":id": id,
            ":event_seq": event_seq,
            ":webhook_seq": webhook_seq,
            ":cause": cause,
            ":due_ms": (!is_test).then_some(now),
            ":trigger": trigger,
            ":now": now,
            ":topic_seq": topic_seq,
        },
    )?;
    let delivery = DueDelivery {
        seq: tx.connection().last_insert_rowid(),
        id,
        webhook_seq,
        event: Arc::clone(event),
        due_ms: now,
        attempt_count: 0,
        trigger,
    };
    if !is_test {
        tx.stats().created(webhook_seq);
        tx.notify(Change::Due(delivery.clone()));
    }
    Ok(delivery)
}

/// Stores another delivery of a stored event, due now, without reading the event. Returns its sequence number, or
/// `None` if the event no longer exists. The event must not be a test: tests have no topic. The caller must notify the
/// lane with `Change::Reread`.
pub fn insert_replay(
    tx: &mut WriteTx<'_>,
    event_seq: i64,
    webhook_seq: i64,
    id: DeliveryId,
) -> Result<Option<i64>, StoreError> {
    let inserted = sql::run(
        tx.connection(),
        "INSERT INTO delivery (id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms, topic_seq)
         SELECT :id, seq, :webhook_seq, 'pending', 'replay', :now, 'initial', :now, topic_seq
         FROM event WHERE seq = :event_seq",
        named_params! {
            ":id": id,
            ":event_seq": event_seq,
            ":webhook_seq": webhook_seq,
            ":now": tx.now_ms(),
        },
    )?;
    if inserted == 0 {
        return Ok(None);
    }
    tx.stats().created(webhook_seq);
    Ok(Some(tx.connection().last_insert_rowid()))
}

/// Returns the state of a delivery's current series.
pub fn series(connection: &Connection, seq: i64) -> Result<Option<Series>, StoreError> {
    let query = "SELECT status, due_ms, attempt_count, series_failures, success_mark, origin_ms, panics
                 FROM delivery WHERE seq = :seq";
    sql::first(connection, query, named_params! {":seq": seq}, |row| {
        Ok(read_row!(row, Series {
            status, due_ms, attempt_count, origin_ms, panics;
            failures: row.get("series_failures")?,
            success_mark: row.get::<_, Option<i64>>("success_mark")?.map(|mark| mark as u64),
        }))
    })
}

/// Ends a delivery after an attempt, as delivered or failed. Returns whether the delivery exists. Its status is read
/// only if it is not the one the caller knows.
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
    tx.stats().moved(webhook_seq, before, status, 1);
    Ok(true)
}

/// Ends a test. Returns whether it was still pending.
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
    let changed = sql::run(
        tx.connection(),
        "UPDATE delivery SET status = :status, due_ms = NULL, finished_ms = :now, attempt_count = :attempt_count,
             last_code = :code, last_error = :error, last_duration_ms = :duration_ms, last_at_ms = :at
         WHERE seq = :seq AND status = :before",
        named_params! {
            ":status": status,
            ":before": before,
            ":now": tx.now_ms(),
            ":attempt_count": outcome.attempt_count,
            ":code": outcome.code,
            ":error": outcome.error_code,
            ":duration_ms": outcome.duration_ms,
            ":at": outcome.at_ms,
            ":seq": seq,
        },
    )?;
    Ok(changed == 1)
}

/// Records a failed attempt that does not end its delivery, and stores the new state of the series. The delivery is
/// retried at `due_ms`, or was finished in the meantime (`None`).
pub fn count_failure(
    tx: &mut WriteTx<'_>,
    before: DeliveryRef,
    series: &Series,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let DeliveryRef { seq, webhook_seq, status } = before;
    if status != series.status {
        tx.stats().moved(webhook_seq, status, series.status, 1);
    }
    sql::run(
        tx.connection(),
        "UPDATE delivery SET status = :status, due_ms = :due_ms, next_trigger = 'automatic',
             attempt_count = :attempt_count, series_failures = :failures, success_mark = :success_mark,
             origin_ms = :origin_ms, panics = :panics,
             last_code = :code, last_error = :error, last_duration_ms = :duration_ms, last_at_ms = :at
         WHERE seq = :seq",
        named_params! {
            ":status": series.status,
            ":due_ms": series.due_ms,
            ":attempt_count": outcome.attempt_count,
            ":failures": series.failures,
            ":success_mark": series.success_mark.map(|mark| mark as i64),
            ":origin_ms": series.origin_ms,
            ":panics": series.panics,
            ":code": outcome.code,
            ":error": outcome.error_code,
            ":duration_ms": outcome.duration_ms,
            ":at": outcome.at_ms,
            ":seq": seq,
        },
    )?;
    Ok(())
}

/// Makes a queued delivery due now, on a person's request. Its schedule continues from there.
pub fn make_due(tx: &mut WriteTx<'_>, seq: i64) -> Result<(), StoreError> {
    let statement = "UPDATE delivery SET due_ms = min(due_ms, :now), next_trigger = 'manual' WHERE seq = :seq";
    sql::run(tx.connection(), statement, named_params! {":now": tx.now_ms(), ":seq": seq}).map(drop)
}

/// Starts a new series of attempts of a finished delivery, due now. The old attempts stay in the log.
pub fn restart(tx: &mut WriteTx<'_>, delivery: DeliveryRef) -> Result<(), StoreError> {
    let DeliveryRef { seq, webhook_seq, status } = delivery;
    tx.stats().moved(webhook_seq, status, DeliveryStatus::Pending, 1);
    sql::run(
        tx.connection(),
        "UPDATE delivery SET status = 'pending', due_ms = :now, next_trigger = 'manual', finished_ms = NULL,
             series_failures = 0, success_mark = NULL, origin_ms = NULL, panics = 0
         WHERE seq = :seq",
        named_params! {":now": tx.now_ms(), ":seq": seq},
    )?;
    Ok(())
}

/// Discards a queued delivery.
pub fn discard(tx: &mut WriteTx<'_>, delivery: DeliveryRef) -> Result<(), StoreError> {
    let DeliveryRef { seq, webhook_seq, status } = delivery;
    tx.stats().moved(webhook_seq, status, DeliveryStatus::Discarded, 1);
    discard_test(tx, seq)
}

/// Discards a pending test.
pub fn discard_test(tx: &mut WriteTx<'_>, seq: i64) -> Result<(), StoreError> {
    let statement = "UPDATE delivery SET status = 'discarded', due_ms = NULL, finished_ms = :now WHERE seq = :seq";
    sql::run(tx.connection(), statement, named_params! {":now": tx.now_ms(), ":seq": seq}).map(drop)
}

/// Ends the tests that a crash or stop interrupted: their callers are gone.
pub fn end_interrupted_tests(tx: &mut WriteTx<'_>) -> Result<usize, StoreError> {
    let statement = "UPDATE delivery SET status = 'failed', finished_ms = :now
                     WHERE cause = 'test' AND status = 'pending' AND created_ms <= :now";
    sql::run(tx.connection(), statement, named_params! {":now": tx.now_ms()})
}

/// Counts an attempt in the statistics; tests and challenges are not counted. `answer_ms` is the response time.
pub fn count_attempt(tx: &mut WriteTx<'_>, webhook_seq: i64, is_retry: bool, answer_ms: Option<u64>) {
    tx.stats().attempted(webhook_seq, is_retry, answer_ms);
}

/// Counts a successful delivery, by which a webhook with a live endpoint is not disabled.
pub fn count_success(tx: &mut WriteTx<'_>, webhook_seq: i64) {
    tx.directory_mut().count_success(webhook_seq);
}
