//! Searches by text, without an index: newest first, in short reads, until a page is full or the time is over.
//!
//! A search of a table reads its rows in their order, a span of sequence numbers at a time. A search with a filter
//! follows the index of the filter, and reads each row by its number.

use rusqlite::{Connection, Row, ToSql};

use super::bounds::Bounds;
use super::damage;
use super::error::Result;
use super::index_scan::{Direction, Found, List, Source, Walk};
use super::page::{Cursor, Page};
use super::sql;
use crate::clock::Timer;
use crate::domain::needle::Needle;
use crate::domain::time::Millis;

/// Maximum rows of one read.
const STEP: usize = 512;
/// Bytes of rows after which the timer is read.
const TIMED_BYTES: usize = 256 << 10;

/// Text of a search, and its time limit.
#[derive(Debug, Clone)]
pub struct TextSearch {
    pub needle: Needle,
    pub timer: Timer,
}

/// Rows that a search found. `next` of the page leads on if more rows follow, of which none may match.
#[derive(Debug, Clone)]
pub struct Hits<T> {
    pub page: Page<T>,
    /// Time of the oldest row searched, if more rows follow.
    pub back_to_ms: Option<Millis>,
}

impl<T> Hits<T> {
    pub fn none() -> Hits<T> {
        Hits { page: Page::empty(), back_to_ms: None }
    }
}

/// Sequence numbers of one read.
enum Step {
    Numbers(Vec<i64>),
    /// All rows of the table in these bounds.
    Span(Bounds),
}

/// Sequence numbers of a source, newest first, in steps.
enum Steps<'c> {
    Walk(Walk<'c>),
    /// Numbers of the table that are left.
    Table(Bounds),
}

impl<'c> Steps<'c> {
    fn begin(connection: &'c Connection, source: &Source, bounds: Bounds) -> Result<Steps<'c>> {
        if source.index.is_some() {
            return Ok(Steps::Walk(Walk::begin(connection, source, Direction::NewestFirst, bounds)?));
        }
        // Two statements, each of which SQLite answers from one end of the table.
        let ends = |end: &str| format!("SELECT coalesce({end}(seq), 0) FROM {}", source.table);
        let oldest: i64 = sql::value(connection, &ends("min"), [])?;
        let newest: i64 = sql::value(connection, &ends("max"), [])?;
        Ok(Steps::Table(Bounds { from: bounds.from.max(oldest), below: bounds.below.min(newest.saturating_add(1)) }))
    }

    fn next(&mut self) -> Result<Option<Step>> {
        match self {
            Steps::Walk(walk) => {
                let numbers = walk.take(STEP)?;
                Ok((!numbers.is_empty()).then_some(Step::Numbers(numbers)))
            }
            Steps::Table(left) if left.from >= left.below => Ok(None),
            Steps::Table(left) => {
                let span = Bounds { from: left.from.max(left.below - STEP as i64), below: left.below };
                left.below = span.from;
                Ok(Some(Step::Span(span)))
            }
        }
    }
}

impl Step {
    /// Each number alone.
    fn singles(&self) -> Vec<Step> {
        match self {
            Step::Numbers(numbers) => numbers.iter().map(|number| Step::Numbers(vec![*number])).collect(),
            Step::Span(span) => {
                (span.from..span.below).rev().map(|seq| Step::Span(Bounds { from: seq, below: seq + 1 })).collect()
            }
        }
    }

    /// Oldest number.
    fn end(&self) -> i64 {
        match self {
            Step::Numbers(numbers) => numbers.last().copied().unwrap_or_default(),
            Step::Span(span) => span.from,
        }
    }
}

/// A search under way.
struct Search<'a, T, F> {
    connection: &'a Connection,
    table: &'static str,
    list: &'a List<'a>,
    timer: &'a Timer,
    limit: usize,
    read: F,
    found: Vec<T>,
    /// Bytes read since the timer was read.
    untimed: usize,
}

/// Searches along a source, whose list selects the number of a row first. `read` returns what it makes of a row that matches. `next` is the last row
/// examined, unless no more follow.
pub(super) fn along<T>(
    connection: &Connection,
    source: &Source,
    list: &List<'_>,
    limit: u32,
    timer: &Timer,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> Result<Found<T>> {
    let mut steps = Steps::begin(connection, source, list.bounds)?;
    let (table, limit) = (source.table, limit as usize);
    let mut search = Search { connection, table, list, timer, limit, read, found: Vec::new(), untimed: 0 };
    let mut next = steps.next()?;
    while let Some(step) = next {
        let stopped_at = search.step(&step)?;
        if stopped_at.is_some() {
            return Ok(Found { rows: search.found, next: stopped_at });
        }
        next = steps.next()?;
        if next.is_some() && timer.is_over() {
            return Ok(Found { rows: search.found, next: Some(step.end()) });
        }
    }
    Ok(Found { rows: search.found, next: None })
}

impl<T, F: FnMut(&Row<'_>) -> rusqlite::Result<Option<T>>> Search<'_, T, F> {
    /// Examines the rows of a step. Returns the number of the row where the search stops, if it does.
    fn step(&mut self, step: &Step) -> Result<Option<i64>> {
        let found_before = self.found.len();
        match self.examine(step) {
            Err(error) if error.is_damage() => {
                self.found.truncate(found_before);
                for single in step.singles() {
                    let examined = self.examine(&single);
                    if let Some(Some(seq)) = damage::skip(self.table, single.end(), examined)? {
                        return Ok(Some(seq));
                    }
                }
                Ok(None)
            }
            examined => examined,
        }
    }

    fn examine(&mut self, step: &Step) -> Result<Option<i64>> {
        let (query, params) = self.query(step);
        let mut statement = self.connection.prepare_cached(&query)?;
        let values = self.list.conditions.values().iter().chain(&params).map(|value| &**value);
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            self.found.extend((self.read)(row)?);
            self.untimed += sql::row_bytes(row)?;
            if self.found.len() >= self.limit || self.is_over() {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }

    /// Query of a step, newest first, with the parameters that follow those of the conditions.
    fn query(&self, step: &Step) -> (String, Vec<Box<dyn ToSql>>) {
        match step {
            Step::Numbers(numbers) => (self.list.sql(), vec![Box::new(format!("{numbers:?}"))]),
            Step::Span(Bounds { from, below }) => {
                (span_sql(self.list, self.table), vec![Box::new(*from), Box::new(*below)])
            }
        }
    }

    fn is_over(&mut self) -> bool {
        if self.untimed < TIMED_BYTES {
            return false;
        }
        self.untimed = 0;
        self.timer.is_over()
    }
}

/// Query of the rows of a table in some bounds, newest first.
pub(super) fn span_sql(list: &List<'_>, table: &str) -> String {
    let first = list.conditions.values().len() + 1;
    let second = first + 1;
    let numbers = format!("(SELECT seq AS value FROM {table} NOT INDEXED WHERE seq >= ?{first} AND seq < ?{second})");
    format!("{} {} ORDER BY wanted.value DESC", list.select.replace("{numbers}", &numbers), list.conditions.sql())
}

/// Returns an excerpt of the data around the text; its beginning, if an id contains the text.
pub(super) fn excerpt(needle: &Needle, ids: &[&str], data: &[u8], previous: Option<&[u8]>) -> Option<String> {
    if let Some(found) = needle.find(data) {
        return Some(around(data, found.start));
    }
    if let Some((previous, found)) = previous.and_then(|data| Some((data, needle.find(data)?))) {
        return Some(format!("previous_data: {}", around(previous, found.start)));
    }
    ids.iter().any(|id| needle.is_in_id(id)).then(|| around(data, 0))
}

/// Returns part of a text with some context before a place.
fn around(text: &[u8], place: usize) -> String {
    // A match near the beginning is shown with all that is before it.
    let from = if place <= PREVIEW_CHARS / 2 { 0 } else { place - PREVIEW_CHARS / 3 };
    let part = &text[from..text.len().min(from + PREVIEW_BYTES)];
    // The first character may be cut.
    let skipped = part.iter().take_while(|byte| **byte & 0xc0 == 0x80).count();
    let ellipsis = if from > 0 { "…" } else { "" };
    format!("{ellipsis}{}", preview(&part[skipped..]))
}

/// Characters of a preview.
const PREVIEW_CHARS: usize = 120;
/// Bytes that hold the characters of a preview, and one more, which tells whether the text goes on.
pub(super) const PREVIEW_BYTES: usize = (PREVIEW_CHARS + 1) * 4;

/// Returns the beginning of a text; with an ellipsis if it goes on.
pub(super) fn preview(text: &[u8]) -> String {
    let mut shown = String::from_utf8_lossy(text).into_owned();
    if let Some((end, _)) = shown.char_indices().nth(PREVIEW_CHARS) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// Returns a page of what a search found. `at` reads the time of the oldest row searched, by its number.
pub(super) fn hits<T>(found: Found<T>, at: impl FnOnce(i64) -> Result<Option<Millis>>) -> Result<Hits<T>> {
    let back_to_ms = match found.next.map(at) {
        // A damaged row: its time is not said.
        Some(Err(error)) if error.is_damage() => None,
        Some(time) => time?,
        None => None,
    };
    Ok(Hits { page: Page { rows: found.rows, next: found.next.map(Cursor::below) }, back_to_ms })
}

#[cfg(test)]
mod tests;
