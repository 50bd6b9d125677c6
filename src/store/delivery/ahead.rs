//! Waiting deliveries that were stored while the clock was ahead. Their due times are as far ahead, so they would wait for
//! a time that comes late or never; once the clock is right again, their waits are counted from now.

use rusqlite::{Connection, named_params};

use crate::domain::retry::LONGEST_WAIT;
use crate::domain::time::{MINUTE, Millis};
use crate::store::WriteTx;
use crate::store::bounds::Bounds;
use crate::store::error::Result;
use crate::store::index_scan::{self, Found, List, Source};
use crate::store::page::Filter;
use crate::store::sql;
use crate::store::sql_types::Json;

/// A clock that was ahead by less needs no correction: the time comes by itself.
pub const LEAST: Millis = MINUTE;
/// Maximum rows that one step changes.
const STEP: usize = 500;
/// Maximum rows that one read examines.
const BUDGET: usize = 20_000;

/// Returns the deliveries after `after` that the clock cannot have made due at their time: pending ones, which are due
/// when they are stored; retrying ones whose last attempt lies ahead; and any due later than the longest wait. Those
/// already brought back are due before their last attempt.
pub fn ahead(connection: &Connection, now: Millis, after: i64) -> Result<Found<i64>> {
    let list = List {
        select: SELECT,
        conditions: &conditions(now),
        bounds: Bounds::between(after, i64::MAX - 1),
        budget: BUDGET,
    };
    index_scan::scan(connection, &source(), &list, STEP, |row| row.get("seq"))
}

pub(in crate::store) const SELECT: &str =
    "SELECT d.seq FROM {numbers} AS wanted CROSS JOIN delivery d ON d.seq = wanted.value";

pub(in crate::store) fn source() -> Source {
    let waiting = ["pending", "retrying"].map(|status| status.to_owned().into());
    Source::index("delivery", "delivery_status", "status = ?1 AND status <> 'delivered'", waiting.to_vec())
}

pub(in crate::store) fn conditions(now: Millis) -> Filter {
    let mut conditions = Filter::default();
    let limit = now.saturating_add(LEAST);
    let condition = format!(
        "d.due_ms > ? AND (d.status = 'pending' OR (d.due_ms > d.last_at_ms AND d.last_at_ms > ?)
                           OR d.due_ms - {LONGEST_WAIT} > ?)"
    );
    conditions.and(&condition, limit);
    conditions
}

/// Counts the waits of these deliveries from now: a pending one is due now, a retrying one after the wait that followed
/// its last attempt. Returns the number changed.
pub fn bring_back(tx: &mut WriteTx<'_>, seqs: &[i64]) -> Result<usize> {
    sql::change(
        tx.connection(),
        "UPDATE delivery SET due_ms = new.due_ms, origin_ms = origin_ms - (delivery.due_ms - new.due_ms)
         FROM (SELECT seq, :now + CASE WHEN status = 'retrying' AND due_ms - last_at_ms <= :longest
                                       THEN max(0, due_ms - last_at_ms) ELSE 0 END AS due_ms
               FROM delivery WHERE seq IN (SELECT value FROM json_each(:seqs))) AS new
         WHERE delivery.seq = new.seq AND delivery.due_ms > new.due_ms",
        named_params! {":now": tx.now_ms(), ":longest": LONGEST_WAIT, ":seqs": Json(seqs)},
    )
}
