//! How lists are read: along an index, with everything else that is asked for checked row by row. Pages begin at
//! the newest row; what meets a whole list (`bulk`) begins at the oldest.
//!
//! A walk is a hint and the conditions are the truth: a row may change between the two, and then counts as it is.
//!
//! A walk follows the entries of one index, or several ranges of it side by side, and looks at so many rows a page
//! at most. Where a filter combines conditions of which each is common and both together are rare, a page may so
//! hold fewer rows than asked for, or none, though more follow: its cursor says where to go on. One condition
//! alone is an index of its own, and its pages are full; but for what nearly every delivery is (delivered, answered
//! with 200, no test), which would cost every delivery an entry: that is looked for in the table.

use std::collections::{BinaryHeap, VecDeque};

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row};

use crate::domain::time::Millis;
use crate::store::error::StoreError;
use crate::store::page::{Cursor, Filter, Page, PageRequest};

/// Rows that are fetched at once at most.
const CHUNK: usize = 512;

/// Ranges from which on it pays to try the table first: each costs a search of its own, some 4 microseconds.
pub(super) const MANY: usize = 200;
/// Ranges at most: what is spread over more of them is not rare, and is looked for in the table alone.
pub(super) const MOST: usize = 1_000;
/// Rows looked at on a way that is tried only, or that is made of many ranges.
const TRIED: usize = 1_000;

/// Where a walk begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    NewestFirst,
    OldestFirst,
}

/// The entries that a walk follows.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The table, and the index in it; without one it is followed by its sequence numbers.
    pub table: &'static str,
    pub index: Option<&'static str>,
    /// What picks a range of the index; `?1` stands for the range's key.
    pub condition: String,
    /// A range each.
    pub keys: Vec<Value>,
    /// Rows looked at along it at most, where that is less than what the list allows.
    pub budget: usize,
}

/// Sequence numbers that a walk stays within.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Included.
    pub from: i64,
    /// Not included.
    pub below: i64,
}

/// What a page is made of.
pub(super) struct List<'a> {
    /// Selects rows of the source's table; ends with its `FROM`, in which `{numbers}` stands for the numbers wanted.
    pub select: &'a str,
    pub conditions: &'a Filter,
    pub bounds: Bounds,
    /// Rows looked at for one page at most.
    pub budget: usize,
}

impl Source {
    /// The whole table, newest first.
    pub(super) fn table(table: &'static str) -> Source {
        Source { table, index: None, condition: "true".to_owned(), keys: vec![Value::Null], budget: usize::MAX }
    }

    /// Ranges of an index.
    pub(super) fn index(
        table: &'static str,
        index: &'static str,
        condition: impl Into<String>,
        keys: Vec<Value>,
    ) -> Source {
        Source { table, index: Some(index), condition: condition.into(), keys, budget: usize::MAX }
    }

    /// Ranges of an index, one for each number. Where there are very many, what they hold together is seldom rare,
    /// so the table is tried first; where there are too many, it is the only way, and a page may be short.
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

    /// The next numbers of one range: each entry of an index ends with its row's number.
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

impl Bounds {
    /// Below the cursor of a page.
    pub(super) fn of_page(request: &PageRequest) -> Bounds {
        Bounds { from: 0, below: request.cursor.map_or(i64::MAX, Cursor::seq) }
    }

    /// Above one number, and up to another.
    pub(super) fn between(after: i64, up_to: i64) -> Bounds {
        Bounds { from: after.saturating_add(1), below: up_to.saturating_add(1) }
    }

    /// The same within two times, as far as they are given. `column` holds the time that a row was stored at; it
    /// grows with the sequence numbers but for a clock that was set back.
    pub(super) fn within(
        self,
        connection: &Connection,
        (table, column): (&str, &str),
        since: Option<Millis>,
        until: Option<Millis>,
    ) -> Result<Bounds, StoreError> {
        let mut bounds = self;
        if since.is_none() && until.is_none() {
            return Ok(bounds);
        }
        let set_back: Millis = set_back(connection)?;
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

/// How far the clock was set back at most, ever.
pub(super) fn set_back(connection: &Connection) -> Result<Millis, StoreError> {
    let found =
        connection.prepare_cached("SELECT set_back_ms FROM clock WHERE one = 1")?.query_row([], |row| row.get(0))?;
    Ok(found)
}

/// The latest time that a row may have been stored at.
pub(super) fn furthest(connection: &Connection) -> Result<Millis, StoreError> {
    let newest: Millis = connection
        .prepare_cached(
            "SELECT max(coalesce((SELECT created_ms FROM delivery ORDER BY seq DESC LIMIT 1), 0),
                        coalesce((SELECT received_ms FROM event ORDER BY seq DESC LIMIT 1), 0))",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(newest + set_back(connection)?)
}

/// Notes that the clock was set back by so much, further than ever before.
pub(super) fn note_set_back(connection: &Connection, by: Millis) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE clock SET set_back_ms = max(set_back_ms, ?1) WHERE one = 1")?.execute([by])?;
    Ok(())
}

/// The first number whose time is this one or later, found by halves; one past the last where there is none.
fn first_at(connection: &Connection, table: &str, column: &str, time: Millis) -> Result<i64, StoreError> {
    let (mut low, mut high) = connection
        .prepare_cached(&format!("SELECT (SELECT min(seq) FROM {table}), (SELECT max(seq) FROM {table})"))?
        .query_row([], |row| {
            let ends: (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok((ends.0.unwrap_or(0), ends.1.unwrap_or(0) + 1))
        })?;
    let mut statement = connection
        .prepare_cached(&format!("SELECT seq, {column} FROM {table} WHERE seq >= ?1 ORDER BY seq LIMIT 1"))?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, Millis)> =
            statement.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((seq, at)) if at < time => low = seq + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Sequence numbers of a source, falling or rising.
struct Walk<'c> {
    statement: CachedStatement<'c>,
    direction: Direction,
    /// Numbers asked for at once, in each range.
    batch: usize,
    ranges: Vec<Range>,
    /// The next number of each range that is not at its end, with its sign turned where numbers rise: the greatest
    /// is next.
    heads: BinaryHeap<(i64, usize)>,
}

struct Range {
    key: Value,
    ahead: VecDeque<i64>,
    /// What is left of it.
    bounds: Bounds,
}

impl<'c> Walk<'c> {
    fn begin(
        connection: &'c Connection,
        source: &Source,
        direction: Direction,
        bounds: Bounds,
    ) -> Result<Walk<'c>, StoreError> {
        let ranges = source.keys.iter().map(|key| Range { key: key.clone(), ahead: VecDeque::new(), bounds });
        let mut walk = Walk {
            statement: connection.prepare_cached(&source.sql(direction))?,
            direction,
            batch: (CHUNK / 2 / source.keys.len().max(1)).max(1),
            ranges: ranges.collect(),
            heads: BinaryHeap::with_capacity(source.keys.len()),
        };
        for range in 0..walk.ranges.len() {
            walk.advance(range)?;
        }
        Ok(walk)
    }

    fn advance(&mut self, index: usize) -> Result<(), StoreError> {
        let range = &mut self.ranges[index];
        if range.ahead.is_empty() {
            let Bounds { from, below } = range.bounds;
            let mut rows = self.statement.query((&range.key, from, below, self.batch as i64))?;
            while let Some(row) = rows.next()? {
                range.ahead.push_back(row.get(0)?);
            }
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

    /// The next numbers, up to so many.
    fn take(&mut self, count: usize) -> Result<Vec<i64>, StoreError> {
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
    /// A number such that the greatest comes first; doing it twice gives the number back.
    fn rank(self, seq: i64) -> i64 {
        match self {
            Direction::NewestFirst => seq,
            Direction::OldestFirst => -seq,
        }
    }
}

/// A page of what several sources lead to as well: each holds all rows that are wanted. The first is expected to
/// be the shortest way; the next one is tried where it was not.
pub(super) fn page<T>(
    connection: &Connection,
    sources: &[Source],
    list: &List<'_>,
    request: &PageRequest,
    read: impl Fn(&Row<'_>) -> Result<Option<T>, StoreError>,
) -> Result<Page<T>, StoreError> {
    let limit = request.limit as usize;
    let mut furthest: Option<Stretch<T>> = None;
    for source in sources {
        let way = Way { source, direction: Direction::NewestFirst, budget: list.budget.min(source.budget) };
        let found = along(connection, &way, list, limit, &read)?;
        let is_whole = found.end.is_none() || found.rows.len() == limit;
        // Each holds everything down to its end.
        if is_whole || furthest.as_ref().is_none_or(|other| found.end < other.end) {
            furthest = Some(found);
        }
        if is_whole {
            break;
        }
    }
    let (rows, end) = furthest.map_or((Vec::new(), None), |found| (found.rows, found.end));
    Ok(Page { rows, next: end.map(Cursor::below) })
}

/// Rows from the oldest on, along one source, and the number of the row after which to go on; `None` at the end.
pub(super) fn scan<T>(
    connection: &Connection,
    source: &Source,
    list: &List<'_>,
    limit: usize,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<(Vec<T>, Option<i64>), StoreError> {
    let way = Way { source, direction: Direction::OldestFirst, budget: list.budget };
    let found = along(connection, &way, list, limit, &|row| read(row).map(Some))?;
    Ok((found.rows, found.end))
}

/// How a source is followed.
struct Way<'a> {
    source: &'a Source,
    direction: Direction,
    /// Rows looked at at most.
    budget: usize,
}

/// Rows that were found, and the last number that was looked at; `None` where nothing is left beyond it.
struct Stretch<T> {
    rows: Vec<T>,
    end: Option<i64>,
}

fn along<T>(
    connection: &Connection,
    way: &Way<'_>,
    list: &List<'_>,
    limit: usize,
    read: &impl Fn(&Row<'_>) -> Result<Option<T>, StoreError>,
) -> Result<Stretch<T>, StoreError> {
    let mut walk = Walk::begin(connection, way.source, way.direction, list.bounds)?;
    let mut statement = connection.prepare_cached(&list.sql())?;
    let mut rows: Vec<(i64, T)> = Vec::new();
    let (mut chunk, mut looked_at) = (limit + 1, 0);
    let end = loop {
        let numbers = walk.take(chunk)?;
        let Some(&last) = numbers.last() else {
            break None;
        };
        let mut params = list.conditions.values().to_vec();
        params.push(Value::Text(format!("{numbers:?}")));
        let mut found = statement.query(rusqlite::params_from_iter(params))?;
        while let Some(row) = found.next()? {
            if let Some(value) = read(row)? {
                rows.push((row.get("seq")?, value));
            }
        }
        looked_at += numbers.len();
        if rows.len() > limit {
            rows.truncate(limit);
            break rows.last().map(|(seq, _)| *seq);
        }
        if looked_at >= way.budget {
            break Some(last);
        }
        chunk = (chunk * 2).min(CHUNK).min(way.budget - looked_at);
    };
    Ok(Stretch { rows: rows.into_iter().map(|(_, row)| row).collect(), end })
}

impl List<'_> {
    /// The rows with certain numbers, in the order of the numbers: the leftmost table of a `CROSS JOIN` is the outer
    /// loop.
    pub(super) fn sql(&self) -> String {
        let numbers = format!("json_each(?{})", self.conditions.values().len() + 1);
        let select = self.select.replace("{numbers}", &numbers);
        format!("{select} {}", self.conditions.sql())
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::delivery::DeliveryStatus;
    use crate::store::bulk;
    use crate::store::delivery::{self, DeliveryFilter};
    use crate::store::migrate;
    use crate::store::page::PageRequest;

    /// 30,000 deliveries in turn to two webhooks of two tenants: the first has a code of 500 but for the oldest, the
    /// other one has 500 for that alone, so that each condition is common and both together mean one row.
    const ROWS: &str = "
        INSERT INTO webhook (seq, id, tenant, url, description, events, profile, secret, state, headers, timeout_s,
            max_in_flight, ordered, standard_headers, created_ms, updated_ms)
        SELECT value, CAST(printf('%016d', value) AS BLOB), 't' || value, 'https://example.com/', '', '[]', 'generic',
            's', 'active', '[]', 5, 8, 0, 1, 0, 0 FROM generate;
        INSERT INTO topic SELECT value, 't' || value, 'a.b' FROM generate;
        INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data, topic_seq)
        SELECT value, 'e' || value, 't' || value, 'a.b', 0, 0, 0, 0, '{}', value FROM generate;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
        INSERT INTO delivery (seq, id, event_seq, webhook_seq, status, cause, next_trigger, attempt_count, created_ms,
            finished_ms, last_code, last_error, last_duration_ms, last_at_ms, topic_seq)
        SELECT i, CAST(printf('%016d', i) AS BLOB), 1 + i % 2, 1 + i % 2, 'failed', 'event', 'initial', 1, i, i,
            iif((i % 2 = 0) = (i > 2), 500, 404), 'status', 1, i, 1 + i % 2 FROM n;";

    #[test]
    fn filters_that_are_rare_only_together_are_found_by_going_on_past_short_pages() {
        let connection = migrate::in_memory();
        connection.execute_batch("CREATE TEMP TABLE generate (value); INSERT INTO generate VALUES (1), (2);").unwrap();
        connection.execute_batch(ROWS).unwrap();
        let filter = DeliveryFilter {
            tenant: Some("t2".parse().unwrap()),
            response_code: Some(500),
            ..DeliveryFilter::default()
        };
        let mut request = PageRequest { limit: 50, cursor: None };
        let (mut seqs, mut pages) = (Vec::new(), 0);
        loop {
            let page = delivery::list(&connection, &filter, &request).unwrap();
            seqs.extend(page.rows.iter().map(|row| row.seq));
            pages += 1;
            match page.next {
                Some(next) => request.cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(seqs, [1]);
        assert!(pages > 1, "{pages}");

        let newest = DeliveryFilter { since: Some(29_999), ..DeliveryFilter::default() };
        for (filter, wanted) in [(&filter, vec![1]), (&newest, vec![29_999, 30_000])] {
            let (mut seqs, mut after) = (Vec::new(), Some(0));
            while let Some(from) = after {
                let states = [DeliveryStatus::Failed];
                let found = bulk::deliveries(&connection, filter, &states, from, 30_000).unwrap();
                seqs.extend(found.rows);
                after = found.next;
            }
            assert_eq!(seqs, wanted);
        }
    }
}
