//! The table of deliveries.

pub mod ahead;
mod change;
pub(super) mod due;
pub(super) mod list;

pub use change::{
    Series, count_attempt, count_failure, count_success, discard, discard_test, end_interrupted_tests, finish,
    finish_test, give_up, insert, insert_replay, make_due, restart, resume, series,
};
pub use due::{DueRows, LeftOut, Loaded, Order, due, load};
pub use list::{DeliveryFilter, Match, count, count_dead_letters, list, newer, search, with_ids};
pub(super) use list::{conditions, failing_at, sources, waiting_at};

use rusqlite::{Connection, Row, named_params};

use super::error::{Result, StoreError};
use super::page::{Cursor, Page};
use super::sql::{self, read_row};
use super::{damage, event};
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::{Cause, DeliveryStatus, DiscardReason, WaitingFor};
use crate::domain::event::{EventId, EventType, Tenant};
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::time::Millis;
use crate::domain::webhook::WebhookState;

/// Delivery with the names of its event and webhook.
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
    /// Whether the pause of all deliveries holds it, which leaves out messages to contacts.
    pub is_held: bool,
    pub tenant: Tenant,
    pub status: DeliveryStatus,
    pub cause: Cause,
    pub due_ms: Option<Millis>,
    pub attempt_count: u32,
    /// Failed attempts of the current series, not counting the one that ended it.
    pub series_failures: u32,
    pub created_ms: Millis,
    pub finished_ms: Option<Millis>,
    pub last: Option<LastAttempt>,
    /// Whether the data of its event was erased.
    pub is_erased: bool,
    /// Reason why it was discarded.
    pub discard_reason: Option<DiscardReason>,
}

impl Delivery {
    pub fn reference(&self) -> DeliveryRef {
        DeliveryRef { seq: self.seq, webhook_seq: self.webhook_seq, status: self.status }
    }

    /// Returns why it is not sent while it is queued. Tests are sent in any state.
    pub fn waiting_for(&self) -> Option<WaitingFor> {
        if self.status.is_finished() || self.cause == Cause::Test {
            return None;
        }
        self.webhook_state.waiting_for().or(self.is_held.then_some(WaitingFor::DeliveriesPaused))
    }
}

/// Result of a delivery's last attempt, repeated in the delivery's row so that lists need not read attempts.
#[derive(Debug, Clone)]
pub struct LastAttempt {
    pub number: u32,
    pub code: Option<u16>,
    pub error_code: Option<ErrorCode>,
    pub duration_ms: i64,
    pub at_ms: Millis,
}

/// Delivery to change, with its webhook and the status known to the caller. The statistics need the status before and
/// after each change.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryRef {
    pub seq: i64,
    pub webhook_seq: i64,
    pub status: DeliveryStatus,
}

const SELECT: &str = "SELECT d.seq, d.id, d.event_seq, e.id AS event_id, e.type AS event_type, e.tenant, d.webhook_seq,
        w.id AS webhook_id, w.state AS webhook_state, d.status, d.cause, d.due_ms, d.attempt_count,
        d.series_failures, d.created_ms, d.finished_ms, d.last_code, d.last_error, d.last_duration_ms, d.last_at_ms,
        e.erased_ms IS NOT NULL AS is_erased,
        CASE WHEN d.status <> 'discarded' THEN NULL WHEN d.finished_ms >= e.erased_ms THEN 'event_erased'
            WHEN d.finished_ms >= w.deleted_ms THEN 'webhook_deleted' ELSE 'requested' END AS discard_reason,
        w.contact_seq IS NULL AND EXISTS (SELECT 1 FROM pause WHERE id = 1) AS is_held
    FROM delivery d JOIN event e ON e.seq = d.event_seq JOIN webhook w ON w.seq = d.webhook_seq";

pub fn get(connection: &Connection, id: DeliveryId) -> Result<Option<Delivery>> {
    match sql::first(connection, &format!("{SELECT} WHERE d.id = :id"), named_params! {":id": id}, from_row) {
        Err(error) if error.is_damage() => match seq_of(connection, id)? {
            Some(seq) => salvage(connection, seq, &error).map(Some),
            None => Err(error),
        },
        found => found,
    }
}

/// Returns what can be read of a delivery with a damaged event or counter.
fn salvage(connection: &Connection, seq: i64, error: &StoreError) -> Result<Delivery> {
    damage::report("delivery", seq, error);
    let query =
        "SELECT d.seq, d.id, d.event_seq, 'unreadable' AS event_id, t.type AS event_type, t.tenant, d.webhook_seq,
            w.id AS webhook_id, w.state AS webhook_state, d.status, d.cause, d.due_ms,
            max(d.attempt_count, 0) AS attempt_count, max(d.series_failures, 0) AS series_failures, d.created_ms,
            d.finished_ms, d.last_code, d.last_error, d.last_duration_ms, d.last_at_ms, 0 AS is_erased,
            CASE WHEN d.status <> 'discarded' THEN NULL WHEN d.finished_ms >= w.deleted_ms THEN 'webhook_deleted'
                ELSE 'requested' END AS discard_reason,
            w.contact_seq IS NULL AND EXISTS (SELECT 1 FROM pause WHERE id = 1) AS is_held
        FROM delivery d JOIN topic t ON t.seq = d.topic_seq JOIN webhook w ON w.seq = d.webhook_seq
        WHERE d.seq = :seq";
    let found = sql::first(connection, query, named_params! {":seq": seq}, from_row)?;
    let mut delivery = found.ok_or_else(|| error.clone())?;
    delivery.event_id = event::readable_id(connection, delivery.event_seq);
    Ok(delivery)
}

pub fn seq_of(connection: &Connection, id: DeliveryId) -> Result<Option<i64>> {
    sql::first(connection, "SELECT seq FROM delivery WHERE id = :id", named_params! {":id": id}, |row| row.get(0))
}

/// Returns the newest deliveries of an event, up to `limit`, oldest first. `next` leads to the older ones in the list of
/// the event's deliveries.
pub fn of_event(connection: &Connection, event_seq: i64, limit: usize) -> Result<Page<Delivery>> {
    // One more tells whether there are older ones.
    let params = named_params! {":event_seq": event_seq, ":limit": limit + 1};
    let query = format!("{SELECT} WHERE d.event_seq = :event_seq ORDER BY d.seq DESC LIMIT :limit");
    let mut rows = match sql::all(connection, &query, params, from_row) {
        Err(error) if error.is_damage() => salvage_of_event(connection, event_seq, limit + 1, &error)?,
        found => found?,
    };
    let has_older = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_older).map(|oldest| Cursor::below(oldest.seq));
    rows.reverse();
    Ok(Page { rows, next })
}

/// Returns what can be read of the newest deliveries of an event, newest first, without those of which nothing can be.
fn salvage_of_event(
    connection: &Connection,
    event_seq: i64,
    limit: usize,
    error: &StoreError,
) -> Result<Vec<Delivery>> {
    let query = "SELECT seq FROM delivery WHERE event_seq = :event_seq ORDER BY seq DESC LIMIT :limit";
    let params = named_params! {":event_seq": event_seq, ":limit": limit};
    let seqs: Vec<i64> = sql::all(connection, query, params, |row| row.get("seq"))?;
    let mut found = Vec::with_capacity(seqs.len());
    for seq in seqs {
        let query = format!("{SELECT} WHERE d.seq = :seq");
        match sql::first(connection, &query, named_params! {":seq": seq}, from_row) {
            Ok(delivery) => found.extend(delivery),
            Err(error) if error.is_damage() => found.extend(salvage(connection, seq, &error)),
            Err(error) => return Err(error),
        }
    }
    damage::report("event", event_seq, error);
    Ok(found)
}

/// Returns the ids of the deliveries created when an event was published, with their webhooks' ids, oldest first.
pub fn receipt_of(connection: &Connection, event_seq: i64) -> Result<Vec<(DeliveryId, WebhookId)>> {
    let query = "SELECT d.id AS id, w.id AS webhook_id FROM delivery d JOIN webhook w ON w.seq = d.webhook_seq
                 WHERE d.event_seq = :event_seq AND d.cause = 'event' ORDER BY d.seq";
    let params = named_params! {":event_seq": event_seq};
    sql::all(connection, query, params, |row| Ok((row.get("id")?, row.get("webhook_id")?)))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let at_ms: Option<Millis> = row.get("last_at_ms")?;
    let last = match at_ms {
        None => None,
        Some(at_ms) => Some(LastAttempt {
            number: row.get("attempt_count")?,
            code: row.get("last_code")?,
            error_code: row.get("last_error")?,
            duration_ms: row.get("last_duration_ms")?,
            at_ms,
        }),
    };
    Ok(read_row!(row, Delivery {
        seq, id, event_seq, event_id, event_type, webhook_seq, webhook_id, webhook_state, tenant, status, cause,
        due_ms, attempt_count, series_failures, created_ms, finished_ms, is_erased, discard_reason, is_held;
        last,
    }))
}
