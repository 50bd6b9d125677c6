//! Ranges of sequence numbers, and those of a range of time.
//!
//! Sequence numbers grow with time, so a time is found by binary search. If the clock is set back, the search is widened by
//! as much, until the rows from before are deleted.

use rusqlite::Connection;

use super::error::Result;
use super::index_scan::Direction;
use super::page::PageRequest;
use super::sql;
use crate::domain::time::Millis;

/// Range of sequence numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Inclusive.
    pub from: i64,
    /// Exclusive.
    pub below: i64,
}

impl Bounds {
    /// Numbers on the side of the cursor where its page is.
    pub(super) fn of_page(request: &PageRequest) -> Bounds {
        match request.cursor.map(|cursor| (cursor.direction(), cursor.seq())) {
            None => Bounds { from: 0, below: i64::MAX },
            Some((Direction::NewestFirst, seq)) => Bounds { from: 0, below: seq },
            Some((Direction::OldestFirst, seq)) => Bounds { from: seq.saturating_add(1), below: i64::MAX },
        }
    }

    /// Numbers after one, up to and including another.
    pub(super) fn between(after: i64, up_to: i64) -> Bounds {
        Bounds { from: after.saturating_add(1), below: up_to.saturating_add(1) }
    }

    /// Narrows the bounds to rows stored from `since` and before `until`. `column` holds the time at which a row was
    /// stored, which grows with the sequence numbers unless the clock was set back.
    pub(super) fn within(
        self,
        connection: &Connection,
        (table, column): (&str, &str),
        since: Option<Millis>,
        until: Option<Millis>,
    ) -> Result<Bounds> {
        let mut bounds = self;
        if since.is_none() && until.is_none() {
            return Ok(bounds);
        }
        let set_back = set_back(connection)?;
        if let Some(since) = since {
            let begin = first_at(connection, table, column, since.saturating_sub(set_back))?;
            bounds.from = bounds.from.max(begin);
        }
        if let Some(until) = until {
            let end = first_at(connection, table, column, until.saturating_add(set_back))?;
            bounds.below = bounds.below.min(end);
        }
        Ok(bounds)
    }
}

/// Returns the furthest that the clock was set back while rows were stored that still exist.
pub(super) fn set_back(connection: &Connection) -> Result<Millis> {
    sql::value(connection, "SELECT set_back_ms FROM clock WHERE one = 1", [])
}

/// Returns the time of the newest row, 0 if there is none.
pub(super) fn newest_ms(connection: &Connection) -> Result<Millis> {
    let query = "SELECT max(coalesce((SELECT created_ms FROM delivery ORDER BY seq DESC LIMIT 1), 0),
                            coalesce((SELECT received_ms FROM event ORDER BY seq DESC LIMIT 1), 0))";
    sql::value(connection, query, [])
}

/// Records that the clock was set back, to this much before the latest time of a row.
pub(super) fn note_set_back(connection: &Connection, by: Millis) -> Result<()> {
    let statement = "UPDATE clock SET set_back_ms = max(set_back_ms, ?1),
                         delivery_seq = (SELECT coalesce(max(seq), 0) FROM delivery),
                         event_seq = (SELECT coalesce(max(seq), 0) FROM event)
                     WHERE one = 1";
    sql::run(connection, statement, [by])
}

/// Forgets that the clock was set back, if no row from before is left. Returns whether it did.
pub(super) fn forget_set_back(connection: &Connection) -> Result<bool> {
    let statement = "UPDATE clock SET set_back_ms = 0
                     WHERE one = 1 AND set_back_ms > 0
                         AND delivery_seq < (SELECT coalesce(min(seq), 0) FROM delivery)
                         AND event_seq < (SELECT coalesce(min(seq), 0) FROM event)";
    Ok(sql::change(connection, statement, [])? == 1)
}

/// Returns the first sequence number whose time is `time` or later, by binary search; one past the last if there is none.
fn first_at(connection: &Connection, table: &str, column: &str, time: Millis) -> Result<i64> {
    let mut low = sql::value(connection, &format!("SELECT coalesce(min(seq), 0) FROM {table}"), [])?;
    let mut high: i64 = sql::value(connection, &format!("SELECT coalesce(max(seq), 0) + 1 FROM {table}"), [])?;
    let query = format!("SELECT seq, {column} FROM {table} WHERE seq >= ?1 ORDER BY seq LIMIT 1");
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, Millis)> =
            sql::first(connection, &query, [middle], |row| Ok((row.get(0)?, row.get(1)?)))?;
        match found {
            Some((seq, at)) if at < time => low = seq + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
