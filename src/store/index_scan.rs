//! Reads lists along an index, and checks all conditions row by row. Pages start at the newest row unless their cursor
//! says otherwise, bulk actions (`bulk`) at the oldest.
//!
//! The index only narrows the search; the conditions decide, on the row as it is when it is read.
//!
//! A scan follows one index, or several ranges of it in parallel, and examines a limited number of rows per page. If a
//! filter combines conditions that are each common but rarely true together, a page may hold fewer rows than its limit,
//! or none, although more follow; its cursor says where to continue. A single condition has an index of its own, so its
//! pages are full, unless their rows are so long that they end at a number of bytes. Exceptions are the values of nearly all deliveries (delivered, 200, not a test): an entry for each
//! would be too expensive, so those are searched in the table.

use std::collections::{BinaryHeap, VecDeque};

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, Row, ToSql};

use super::bounds::Bounds;
use super::damage;
use super::error::Result;
use super::page::{Cursor, Filter, PAGE_BYTES, Page, PageRequest, Total};
use super::sql;

/// Maximum rows fetched at once.
const CHUNK: usize = 512;

/// With more ranges than this, the table is tried first: each range costs a search of about 4 microseconds.
pub(super) const MANY: usize = 200;
/// Maximum ranges. Rows spread over more of them are not rare, and are searched only in the table.
pub(super) const MOST: usize = 1_000;
/// Maximum rows examined along a source that is only tried, or that has many ranges.
const TRIED: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    NewestFirst,
    OldestFirst,
}

/// Entries that a scan follows.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub table: &'static str,
    /// `None`: the table itself, by sequence number.
    pub index: Option<&'static str>,
    /// Condition of a range of the index; `?1` is the range's key.
    pub condition: String,
    /// Keys of the ranges.
    pub keys: Vec<Value>,
    /// Maximum rows examined, if less than the list allows.
    pub budget: usize,
}

pub(super) struct List<'a> {
    /// SELECT with a FROM that joins the source's table to `{numbers}`, the sequence numbers to read.
    pub select: &'a str,
    pub conditions: &'a Filter,
    pub bounds: Bounds,
    /// Maximum rows examined per page.
    pub budget: usize,
}

/// Rows found by one scan, in its order.
#[derive(Debug, Clone)]
pub struct Found<T> {
    pub rows: Vec<T>,
    /// Sequence number after which the next scan continues; `None` at the end.
    pub next: Option<i64>,
}

/// Maximum rows that a count examines.
pub(super) const COUNTED: usize = 10_001;

impl Source {
    pub(super) fn table(table: &'static str) -> Source {
        Source { table, index: None, condition: "true".to_owned(), keys: vec![Value::Null], budget: usize::MAX }
    }

    pub(super) fn index(
        table: &'static str,
        index: &'static str,
        condition: impl Into<String>,
        keys: Vec<Value>,
    ) -> Source {
        Source { table, index: Some(index), condition: condition.into(), keys, budget: usize::MAX }
    }

    /// Creates the sources for ranges of an index, one for each number. Many ranges together are seldom rare, so the table
    /// is tried first; with too many it is the only source, and a page may be short.
    pub(super) fn by_number(
        table: &'static str,
        index: &'static str,
        condition: &str,
        numbers: Vec<i64>,
    ) -> Vec<Source> {
        let is_common = numbers.len() > MANY;
        let keys = numbers.into_iter().map(Value::Integer).collect();
        let mut ranges = Source::index(table, index, condition, keys);
        if !is_common {
            return vec![ranges];
        }
        let mut first = Source::table(table);
        if ranges.keys.len() > MOST {
            return vec![first];
        }
        first.budget = TRIED;
        ranges.budget = TRIED;
        vec![first, ranges]
    }

    /// Query of the next numbers of one range. Each entry of an index ends with its row's number.
    pub(super) fn sql(&self, direction: Direction) -> String {
        let by = match self.index {
            Some(index) => format!("INDEXED BY {index}"),
            None => "NOT INDEXED".to_owned(),
        };
        let order = match direction {
            Direction::NewestFirst => "DESC",
            Direction::OldestFirst => "ASC",
        };
        format!(
            "SELECT seq FROM {} {by} WHERE {} AND seq >= ?2 AND seq < ?3 ORDER BY seq {order} LIMIT ?4",
            self.table, self.condition
        )
    }
}

/// Sequence numbers of a source, in the order of a scan.
pub(super) struct Walk<'c> {
    statement: CachedStatement<'c>,
    direction: Direction,
    /// Newest number of the table, for a scan of the table itself.
    newest: Option<i64>,
    /// Numbers read at once from each range.
    batch: usize,
    ranges: Vec<Range>,
    /// Rank of the next number of each unfinished range.
    heads: BinaryHeap<(i64, usize)>,
}

struct Range {
    key: Value,
    ahead: VecDeque<i64>,
    /// Numbers not read yet.
    bounds: Bounds,
}

impl<'c> Walk<'c> {
    pub(super) fn begin(
        connection: &'c Connection,
        source: &Source,
        direction: Direction,
        bounds: Bounds,
    ) -> Result<Walk<'c>> {
        let ranges = source.keys.iter().map(|key| Range { key: key.clone(), ahead: VecDeque::new(), bounds });
        let newest = match source.index {
            None => sql::value(connection, &format!("SELECT max(seq) FROM {}", source.table), [])?,
            Some(_) => None,
        };
        let mut walk = Walk {
            statement: connection.prepare_cached(&source.sql(direction))?,
            direction,
            newest,
            batch: (CHUNK / 2 / source.keys.len().max(1)).max(1),
            ranges: ranges.collect(),
            heads: BinaryHeap::with_capacity(source.keys.len()),
        };
        for range in 0..walk.ranges.len() {
            walk.advance(range)?;
        }
        Ok(walk)
    }

    fn advance(&mut self, index: usize) -> Result<()> {
        let range = &mut self.ranges[index];
        if range.ahead.is_empty() {
            let Bounds { from, below } = range.bounds;
            let read = |statement: &mut CachedStatement<'_>| -> Result<VecDeque<i64>> {
                let rows = statement.query_map((&range.key, from, below, self.batch), |row| row.get(0))?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            };
            range.ahead = match read(&mut self.statement) {
                // A page of the table is damaged: each possible number is tried, which tells the damaged rows.
                Err(error) if error.is_damage() && self.newest.is_some() => {
                    let newest = self.newest.unwrap_or_default();
                    self.direction.numbers(from, below.min(newest.saturating_add(1)), self.batch)
                }
                read => read?,
            };
            let last = range.ahead.back().copied();
            match self.direction {
                Direction::NewestFirst => range.bounds.below = last.unwrap_or(from),
                Direction::OldestFirst => range.bounds.from = last.map_or(below, |last| last + 1),
            }
        }
        if let Some(seq) = range.ahead.pop_front() {
            self.heads.push((self.direction.rank(seq), index));
        }
        Ok(())
    }

    /// Returns the next numbers, up to `count`.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<i64>> {
        let mut found = Vec::with_capacity(count);
        while found.len() < count
            && let Some((rank, range)) = self.heads.pop()
        {
            found.push(self.direction.rank(rank));
            self.advance(range)?;
        }
        Ok(found)
    }
}

impl Direction {
    /// Returns the next numbers of a span, up to `count`.
    fn numbers(self, from: i64, below: i64, count: usize) -> VecDeque<i64> {
        match self {
            Direction::NewestFirst => (from..below).rev().take(count).collect(),
            Direction::OldestFirst => (from..below).take(count).collect(),
        }
    }

    /// Maps a number to its rank and back. The greatest rank is the next number.
    fn rank(self, seq: i64) -> i64 {
        match self {
            Direction::NewestFirst => seq,
            Direction::OldestFirst => -seq,
        }
    }
}

/// Reads a page along one of several sources, each of which holds all matching rows. The first is expected to be the
/// shortest; the next one is tried if it was not.
pub(super) fn page<T>(
    connection: &Connection,
    sources: &[Source],
    list: &List<'_>,
    request: &PageRequest,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> Result<Page<T>> {
    let (limit, direction) = (request.limit as usize, request.direction());
    let mut furthest: Option<Found<T>> = None;
    for source in sources {
        let budget = list.budget.min(source.budget);
        let (found, is_full) = along(connection, (source, direction), list, budget, limit, &read)?;
        let is_whole = found.next.is_none() || is_full;
        // The rows are complete up to the last number examined.
        let rank = |found: &Found<T>| found.next.map(|seq| direction.rank(seq));
        if is_whole || furthest.as_ref().is_none_or(|other| rank(&found) < rank(other)) {
            furthest = Some(found);
        }
        if is_whole {
            break;
        }
    }
    let (rows, end) = furthest.map_or((Vec::new(), None), |found| (found.rows, found.next));
    Ok(Page { rows, next: end.map(|seq| Cursor::going(direction, seq)) })
}

/// Counts the rows that match along one of several sources, newest first. Goes to the next source as [`page`] does.
pub(super) fn count(
    connection: &Connection,
    sources: &[Source],
    list: &List<'_>,
    is_match: impl Fn(&Row<'_>) -> rusqlite::Result<bool>,
) -> Result<Total> {
    let mut most = Total { count: 0, is_partial: true };
    let read = |row: &Row<'_>| Ok(is_match(row)?.then_some(()));
    for source in sources {
        let budget = list.budget.min(source.budget);
        let (found, _) = along(connection, (source, Direction::NewestFirst), list, budget, budget, &read)?;
        let total = Total { count: found.rows.len() as u64, is_partial: found.next.is_some() };
        if !total.is_partial {
            return Ok(total);
        }
        most.count = most.count.max(total.count);
    }
    Ok(most)
}

/// Reads rows along one source, oldest first.
pub(super) fn scan<T>(
    connection: &Connection,
    source: &Source,
    list: &List<'_>,
    limit: usize,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Found<T>> {
    let read = |row: &Row<'_>| read(row).map(Some);
    along(connection, (source, Direction::OldestFirst), list, list.budget, limit, &read).map(|(found, _)| found)
}

/// Reads rows along one source. Also returns whether they fill a page.
fn along<T>(
    connection: &Connection,
    (source, direction): (&Source, Direction),
    list: &List<'_>,
    budget: usize,
    limit: usize,
    read: &impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> Result<(Found<T>, bool)> {
    let mut walk = Walk::begin(connection, source, direction, list.bounds)?;
    let mut statement = connection.prepare_cached(&list.sql())?;
    let mut rows: Vec<(i64, T)> = Vec::new();
    let (mut chunk, mut looked_at, mut bytes) = ((limit + 1).min(CHUNK), 0, 0);
    let next = loop {
        let numbers = walk.take(chunk)?;
        let Some(&last) = numbers.last() else {
            break None;
        };
        match fetch(&mut statement, list, &numbers, PAGE_BYTES - bytes, read) {
            Err(error) if error.is_damage() => {
                for seq in &numbers {
                    let found = fetch(&mut statement, list, &[*seq], PAGE_BYTES, read);
                    if let Some((found, size)) = damage::skip(source.table, *seq, found)? {
                        rows.extend(found);
                        bytes += size;
                    }
                    if bytes >= PAGE_BYTES {
                        break;
                    }
                }
            }
            found => {
                let (found, size) = found?;
                rows.extend(found);
                bytes += size;
            }
        }
        looked_at += numbers.len();
        if rows.len() > limit {
            rows.truncate(limit);
            break rows.last().map(|(seq, _)| *seq);
        }
        if bytes >= PAGE_BYTES {
            break rows.last().map(|(seq, _)| *seq);
        }
        if looked_at >= budget {
            break Some(last);
        }
        chunk = (chunk * 2).min(CHUNK).min(budget - looked_at);
    };
    let is_full = rows.len() >= limit || bytes >= PAGE_BYTES;
    Ok((Found { rows: rows.into_iter().map(|(_, row)| row).collect(), next }, is_full))
}

/// Reads the rows with these numbers that match the conditions, up to the one that reaches a size of `room` bytes. Also
/// returns their size.
fn fetch<T>(
    statement: &mut CachedStatement<'_>,
    list: &List<'_>,
    numbers: &[i64],
    room: usize,
    read: &impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> Result<(Vec<(i64, T)>, usize)> {
    let wanted = format!("{numbers:?}");
    let conditions = list.conditions.values().iter().map(|value| &**value);
    let params = conditions.chain([&wanted as &dyn ToSql]);
    let mut found = statement.query(rusqlite::params_from_iter(params))?;
    let mut rows = Vec::with_capacity(numbers.len());
    let mut bytes = 0;
    while bytes < room
        && let Some(row) = found.next()?
    {
        if let Some(value) = read(row)? {
            bytes += sql::row_bytes(row)?;
            rows.push((row.get("seq")?, value));
        }
    }
    Ok((rows, bytes))
}

impl List<'_> {
    /// Query of the rows with given numbers, in that order: the leftmost table of a `CROSS JOIN` is the outer loop.
    pub(super) fn sql(&self) -> String {
        let numbers = format!("json_each(?{})", self.conditions.values().len() + 1);
        let select = self.select.replace("{numbers}", &numbers);
        format!("{select} {}", self.conditions.sql())
    }
}

#[cfg(test)]
mod tests;
