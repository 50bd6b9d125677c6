//! Creating and changing deliveries. Every change of a status is counted in the statistics; tests are not counted.

use std::sync::Arc;

use rusqlite::{Connection, named_params};

use super::{DeliveryRef, LastAttempt};
use crate::domain::delivery::{Cause, DeliveryStatus, Trigger};
use crate::domain::event::Event;
use crate::domain::id::DeliveryId;
use crate::domain::time::Millis;
use crate::store::error::Result;
use crate::store::sql::{self, read_row, row_params};
use crate::store::used_seq::{self, Numbered};
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

/// Stores a new delivery of a stored event. A test is never due: its caller sends it.
pub fn insert(
    tx: &mut WriteTx<'_>,
    event_seq: i64,
    event: &Arc<Event>,
    webhook_seq: i64,
    id: DeliveryId,
    cause: Cause,
) -> Result<DueDelivery> {
    let now = tx.now_ms();
    let is_test = cause == Cause::Test;
    let trigger = if is_test { Trigger::Test } else { Trigger::Initial };
    let topic_seq = topic::seq_of(tx, &event.tenant, &event.event_type)?;
    let mut delivery =
        DueDelivery { seq: 0, id, webhook_seq, event: Arc::clone(event), due_ms: now, attempt_count: 0, trigger };
    sql::run(
        tx.connection(),
        "INSERT INTO delivery (seq, id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms, topic_seq)
         VALUES (:next, :id, :event_seq, :webhook_seq, 'pending', :cause, :due_ms, :trigger, :now, :topic_seq)",
        row_params!(delivery {
            id, webhook_seq, trigger;
            event_seq: event_seq, cause: cause, due_ms: (!is_test).then_some(now), now: now, topic_seq: topic_seq,
            next: used_seq::next(tx, Numbered::Delivery)?,
        }),
    )?;
    delivery.seq = tx.connection().last_insert_rowid();
    if !is_test {
        tx.directory_mut().count_created(webhook_seq);
        tx.notify(Change::Due(delivery.clone()));
    }
    Ok(delivery)
}

/// Stores another delivery of a stored event, due now, without reading the event. Returns `false` if the event no
/// longer exists. The event must not be a test: tests have no topic. The caller must notify the
/// lane with `Change::Reread`.
pub fn insert_replay(tx: &mut WriteTx<'_>, event_seq: i64, webhook_seq: i64, id: DeliveryId) -> Result<bool> {
    let inserted = sql::change(
        tx.connection(),
        "INSERT INTO delivery (seq, id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms, topic_seq)
         SELECT :next, :id, seq, :webhook_seq, 'pending', 'replay', :now, 'initial', :now, topic_seq
         FROM event WHERE seq = :event_seq",
        named_params! {
            ":next": used_seq::next(tx, Numbered::Delivery)?, ":id": id, ":event_seq": event_seq,
            ":webhook_seq": webhook_seq, ":now": tx.now_ms(),
        },
    )?;
    if inserted == 0 {
        return Ok(false);
    }
    tx.directory_mut().count_created(webhook_seq);
    Ok(true)
}

pub fn series(connection: &Connection, seq: i64) -> Result<Option<Series>> {
    let query = "SELECT status, due_ms, attempt_count, series_failures, success_mark, origin_ms, panics
                 FROM delivery WHERE seq = :seq";
    sql::first(connection, query, named_params! {":seq": seq}, |row| {
        Ok(read_row!(row, Series {
            status, due_ms, attempt_count, success_mark, origin_ms, panics;
            failures: row.get("series_failures")?,
        }))
    })
}

/// Ends a delivery after an attempt, as delivered or failed. Returns whether the delivery exists. Its status is read
/// only if it is not the one the caller knows.
pub fn finish(tx: &mut WriteTx<'_>, delivery: DeliveryRef, status: DeliveryStatus, last: &LastAttempt) -> Result<bool> {
    let DeliveryRef { seq, webhook_seq, status: mut before } = delivery;
    if !end(tx, seq, before, status, last)? {
        match series(tx.connection(), seq)? {
            None => return Ok(false),
            Some(series) => before = series.status,
        }
        end(tx, seq, before, status, last)?;
    }
    tx.directory_mut().count_moved(webhook_seq, before, status);
    Ok(true)
}

/// Ends a waiting delivery that cannot be sent, as failed. Overwrites counters that may not be readable. Returns whether
/// the delivery was waiting.
pub fn give_up(tx: &mut WriteTx<'_>, seq: i64, webhook_seq: i64, last: &LastAttempt) -> Result<bool> {
    let query = "SELECT status FROM delivery WHERE seq = :seq AND due_ms IS NOT NULL";
    let before = sql::first(tx.connection(), query, named_params! {":seq": seq}, |row| row.get("status"))?;
    let Some(before) = before else {
        return Ok(false);
    };
    sql::run(
        tx.connection(),
        "UPDATE delivery SET status = 'failed', due_ms = NULL, next_trigger = 'automatic', finished_ms = :now,
             attempt_count = :number, series_failures = max(series_failures, 0), panics = 0,
             last_code = :code, last_error = :error_code, last_duration_ms = :duration_ms, last_at_ms = :at_ms
         WHERE seq = :seq",
        row_params!(last { number, code, error_code, duration_ms, at_ms; now: tx.now_ms(), seq: seq }),
    )?;
    tx.directory_mut().count_moved(webhook_seq, before, DeliveryStatus::Failed);
    Ok(true)
}

/// Ends a test. Returns whether it was still pending.
pub fn finish_test(tx: &mut WriteTx<'_>, seq: i64, status: DeliveryStatus, last: &LastAttempt) -> Result<bool> {
    end(tx, seq, DeliveryStatus::Pending, status, last)
}

fn end(
    tx: &mut WriteTx<'_>,
    seq: i64,
    before: DeliveryStatus,
    status: DeliveryStatus,
    last: &LastAttempt,
) -> Result<bool> {
    let changed = sql::change(
        tx.connection(),
        "UPDATE delivery SET status = :status, due_ms = NULL, finished_ms = :now, attempt_count = :number,
             last_code = :code, last_error = :error_code, last_duration_ms = :duration_ms, last_at_ms = :at_ms
         WHERE seq = :seq AND status = :before",
        row_params!(last {
            number, code, error_code, duration_ms, at_ms;
            status: status, before: before, now: tx.now_ms(), seq: seq,
        }),
    )?;
    Ok(changed == 1)
}

/// Records a failed attempt that does not end its delivery, and stores the new state of the series. The delivery is
/// retried at `due_ms`, or was finished in the meantime (`None`).
pub fn count_failure(tx: &mut WriteTx<'_>, before: DeliveryRef, series: &Series, last: &LastAttempt) -> Result<()> {
    let DeliveryRef { seq, webhook_seq, status } = before;
    if status != series.status {
        tx.directory_mut().count_moved(webhook_seq, status, series.status);
    }
    sql::run(
        tx.connection(),
        "UPDATE delivery SET status = :status, due_ms = :due_ms, next_trigger = 'automatic',
             attempt_count = :number, series_failures = :failures, success_mark = :success_mark,
             origin_ms = :origin_ms, panics = :panics,
             last_code = :code, last_error = :error_code, last_duration_ms = :duration_ms, last_at_ms = :at_ms
         WHERE seq = :seq",
        row_params!(last {
            number, code, error_code, duration_ms, at_ms;
            status: series.status, due_ms: series.due_ms, failures: series.failures, panics: series.panics,
            success_mark: series.success_mark, origin_ms: series.origin_ms, seq: seq,
        }),
    )
}

/// Makes a queued delivery due now, on a person's request. Its schedule continues from there.
pub fn make_due(tx: &mut WriteTx<'_>, seq: i64) -> Result<()> {
    let statement = "UPDATE delivery SET due_ms = min(due_ms, :now), next_trigger = 'manual' WHERE seq = :seq";
    sql::run(tx.connection(), statement, named_params! {":now": tx.now_ms(), ":seq": seq})
}

/// Starts a new series of attempts of a finished delivery, due now. The old attempts stay in the log.
pub fn restart(tx: &mut WriteTx<'_>, delivery: DeliveryRef) -> Result<()> {
    let DeliveryRef { seq, webhook_seq, status } = delivery;
    let query = "SELECT finished_ms FROM delivery WHERE seq = :seq";
    let finished_ms = sql::first(tx.connection(), query, named_params! {":seq": seq}, |row| row.get("finished_ms"))?;
    sql::run(
        tx.connection(),
        "UPDATE delivery SET status = 'pending', due_ms = :now, next_trigger = 'manual', finished_ms = NULL,
             series_failures = 0, success_mark = NULL, origin_ms = NULL, panics = 0
         WHERE seq = :seq",
        named_params! {":now": tx.now_ms(), ":seq": seq},
    )?;
    tx.directory_mut().count_moved(webhook_seq, status, DeliveryStatus::Pending);
    if let Some(finished_ms) = finished_ms.flatten() {
        tx.directory_mut().count_reopened(webhook_seq, status, finished_ms);
    }
    Ok(())
}

/// Starts a new series of attempts of a retrying delivery, due now, after its webhook was resumed.
pub fn resume(tx: &mut WriteTx<'_>, delivery: DeliveryRef) -> Result<()> {
    let DeliveryRef { seq, webhook_seq, status } = delivery;
    sql::run(
        tx.connection(),
        "UPDATE delivery SET due_ms = :now, series_failures = 0, success_mark = NULL, origin_ms = NULL, panics = 0,
             status = 'pending'
         WHERE seq = :seq",
        named_params! {":now": tx.now_ms(), ":seq": seq},
    )?;
    tx.directory_mut().count_moved(webhook_seq, status, DeliveryStatus::Pending);
    Ok(())
}

pub fn discard(tx: &mut WriteTx<'_>, delivery: DeliveryRef) -> Result<()> {
    let DeliveryRef { seq, webhook_seq, status } = delivery;
    // Counted last: callers go on after a row that cannot be changed.
    discard_test(tx, seq)?;
    tx.directory_mut().count_moved(webhook_seq, status, DeliveryStatus::Discarded);
    Ok(())
}

pub fn discard_test(tx: &mut WriteTx<'_>, seq: i64) -> Result<()> {
    let statement = "UPDATE delivery SET status = 'discarded', due_ms = NULL, finished_ms = :now WHERE seq = :seq";
    sql::run(tx.connection(), statement, named_params! {":now": tx.now_ms(), ":seq": seq})
}

/// Ends the tests that a crash or stop interrupted: their callers are gone. They are among the newest.
pub fn end_interrupted_tests(tx: &mut WriteTx<'_>) -> Result<usize> {
    let statement = "UPDATE delivery SET status = 'failed', finished_ms = :now
                     WHERE status = 'pending' AND seq IN (
                         SELECT seq FROM delivery INDEXED BY delivery_test WHERE cause = 'test'
                         ORDER BY seq DESC LIMIT 1000)";
    sql::change(tx.connection(), statement, named_params! {":now": tx.now_ms()})
}

/// Counts an attempt in the statistics; tests and challenges are not counted. `answer_ms` is the response time.
pub fn count_attempt(tx: &mut WriteTx<'_>, webhook_seq: i64, is_retry: bool, answer_ms: Option<u64>) {
    tx.directory_mut().count_attempt(webhook_seq, is_retry, answer_ms);
}

/// Counts a successful delivery, by which a webhook with a live endpoint is not disabled.
pub fn count_success(tx: &mut WriteTx<'_>, webhook_seq: i64) {
    let now = tx.now_ms();
    tx.directory_mut().count_success(webhook_seq, now);
}
