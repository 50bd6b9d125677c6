//! Erasing the payload of an event: what people may have asked to be forgotten goes, and the row stays for the history.
//!
//! First its waiting deliveries are discarded, so that nothing is sent of it any more; then the event is erased, and last
//! what its attempts sent and got. What SQLite frees on the way is overwritten.

use rusqlite::{Connection, named_params};

use super::StoredEvent;
use crate::domain::delivery::Cause;
use crate::domain::time::Millis;
use crate::store::delivery::{self, DeliveryRef};
use crate::store::error::Result;
use crate::store::sql;
use crate::store::{Change, WriteTx};

/// Maximum deliveries that one step discards.
const DISCARDED: usize = 100;
/// Maximum attempts that one step erases.
const ATTEMPTS: u32 = 200;

/// Discards the waiting deliveries of an event after one, in one step. Returns where the next step continues; `None` if no
/// delivery waits any more.
pub fn discard_waiting(tx: &mut WriteTx<'_>, event_seq: i64, after: i64) -> Result<Option<i64>> {
    let query = "SELECT seq, webhook_seq, status, cause FROM delivery
                 WHERE event_seq = :event_seq AND seq > :after AND status IN ('pending', 'retrying') ORDER BY seq LIMIT :most";
    let params = named_params! {":event_seq": event_seq, ":after": after, ":most": DISCARDED};
    let waiting = sql::all(tx.connection(), query, params, |row| {
        let (seq, webhook_seq, status) = (row.get("seq")?, row.get("webhook_seq")?, row.get("status")?);
        Ok((DeliveryRef { seq, webhook_seq, status }, row.get::<_, Cause>("cause")?))
    })?;
    for (waiting, cause) in &waiting {
        match cause {
            Cause::Test => delivery::discard_test(tx, waiting.seq)?,
            Cause::Event | Cause::Replay => delivery::discard(tx, *waiting)?,
        }
        tx.notify(Change::Withdrawn { webhook_seq: waiting.webhook_seq, delivery_seq: waiting.seq });
    }
    Ok(waiting.last().filter(|_| waiting.len() == DISCARDED).map(|(last, _)| last.seq))
}

/// Erases the data of an event, and its copies in the inbox of its tenant. `begun` is the time of the first step: deliveries
/// discarded since then are those of the erasure.
pub fn erase(tx: &mut WriteTx<'_>, stored: &StoredEvent, begun: Millis) -> Result<()> {
    tx.note_erasure();
    let mut event = stored.event.clone();
    event.data = "null".into();
    event.previous_data = None;
    overwriting(tx.connection(), |connection| {
        sql::run(
            connection,
            "UPDATE event SET data = :data, previous_data = NULL, checksum = :checksum, erased_ms = coalesce(erased_ms, :begun)
             WHERE seq = :seq",
            named_params! {
                ":data": event.data, ":checksum": event.checksum(), ":begun": begun, ":seq": stored.seq,
            },
        )?;
        sql::run(
            connection,
            "DELETE FROM inbox_request WHERE event_id = :id AND inbox_seq = (SELECT seq FROM inbox WHERE tenant = :tenant)",
            named_params! {":id": event.id, ":tenant": event.tenant},
        )
    })
}

/// Erases what the attempts of an event sent and got, in one step that begins after an attempt of a delivery. Returns where
/// the next step continues; `None` at the end.
pub fn erase_attempts(tx: &mut WriteTx<'_>, event_seq: i64, after: (i64, u32)) -> Result<Option<(i64, u32)>> {
    let (mut seq, mut number) = after;
    let mut room = ATTEMPTS;
    overwriting(tx.connection(), |connection| {
        loop {
            let query = "SELECT seq, attempt_count FROM delivery WHERE event_seq = :event_seq AND seq >= :seq ORDER BY seq LIMIT 1";
            let params = named_params! {":event_seq": event_seq, ":seq": seq};
            let found =
                sql::first(connection, query, params, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?)))?;
            let Some((delivery_seq, count)) = found else {
                return Ok(None);
            };
            if delivery_seq != seq {
                (seq, number) = (delivery_seq, 0);
            }
            let last = count.min(number.saturating_add(room));
            erase_between(connection, seq, number, last)?;
            room -= (last - number).min(room);
            // A delivery without attempts costs a look-up.
            room = room.saturating_sub(1);
            (seq, number) = if last < count { (seq, last) } else { (seq + 1, 0) };
            if room == 0 {
                return Ok(Some((seq, number)));
            }
        }
    })
}

fn erase_between(connection: &Connection, delivery_seq: i64, after: u32, up_to: u32) -> Result<()> {
    sql::run(
        connection,
        "UPDATE attempt SET request_headers = '', body_format_seq = NULL, response_headers = NULL, response_body = NULL,
             same_response_as = NULL
         WHERE delivery_seq = :delivery_seq AND number > :after AND number <= :up_to",
        named_params! {":delivery_seq": delivery_seq, ":after": after, ":up_to": up_to},
    )
}

/// Erases an attempt that has just been stored, if its event was erased during the request.
pub fn hide_if_erased(tx: &mut WriteTx<'_>, delivery_seq: i64, number: u32) -> Result<()> {
    if !tx.has_erasures() {
        return Ok(());
    }
    let query = "SELECT e.erased_ms IS NOT NULL FROM delivery d JOIN event e ON e.seq = d.event_seq WHERE d.seq = :seq";
    let is_erased = sql::first(tx.connection(), query, named_params! {":seq": delivery_seq}, |row| row.get(0))?;
    if is_erased.unwrap_or(false) {
        erase_between(tx.connection(), delivery_seq, number - 1, number)?;
    }
    Ok(())
}

/// Has SQLite overwrite what a change frees.
fn overwriting<T>(connection: &Connection, change: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    sql::overwrite(connection, true)?;
    let changed = change(connection);
    sql::overwrite(connection, false)?;
    changed
}
