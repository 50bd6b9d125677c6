//! Pages of a list, newest first unless the cursor says otherwise. A cursor is a sequence number, so every page costs the same.

use std::fmt::Write as _;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{Connection, Row, ToSql};

use super::error::Result;
use super::index_scan::Direction;
use super::sql;
use crate::domain::Invalid;

/// Default rows per page.
pub const DEFAULT_LIMIT: u32 = 50;
/// Maximum rows per page.
pub const MAX_LIMIT: u32 = 250;

/// Bytes of a page at which it ends, although more rows would fit: clients continue at its cursor. The row that reaches
/// the limit belongs to the page, so that every page of a list with long rows has one.
pub const PAGE_BYTES: usize = 4 << 20;

/// Start of a page: the rows below a sequence number, newest first, or those after it, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    seq: i64,
    direction: Direction,
}

impl Cursor {
    pub fn below(seq: i64) -> Cursor {
        Cursor { seq, direction: Direction::NewestFirst }
    }

    pub fn after(seq: i64) -> Cursor {
        Cursor { seq, direction: Direction::OldestFirst }
    }

    pub(super) fn going(direction: Direction, seq: i64) -> Cursor {
        Cursor { seq, direction }
    }

    pub fn seq(self) -> i64 {
        self.seq
    }

    pub(super) fn direction(self) -> Direction {
        self.direction
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.seq.to_be_bytes()))
    }
}

impl FromStr for Cursor {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Cursor, Invalid> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(i64::from_be_bytes).filter(|seq| *seq > 0).map(Cursor::below).ok_or_else(|| {
            Invalid::new(
                "invalid_cursor",
                "Invalid cursor. Use a next_cursor of a response, or omit it for the first page.",
            )
            .in_field("cursor")
        })
    }
}

/// Part of a list to return.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest {
    /// 1 to 250.
    pub limit: u32,
    /// `None`: the newest rows.
    pub cursor: Option<Cursor>,
}

impl PageRequest {
    pub(super) fn direction(&self) -> Direction {
        self.cursor.map_or(Direction::NewestFirst, Cursor::direction)
    }
}

/// Part of a list, and the cursor of the next part. May hold fewer rows than the limit although more follow.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub next: Option<Cursor>,
}

/// Number of rows that match a filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    pub count: u64,
    /// Whether rows were left out, of which none may match.
    pub is_partial: bool,
}

impl<T> Page<T> {
    pub fn empty() -> Page<T> {
        Page { rows: Vec::new(), next: None }
    }

    /// Reads a page of a table that needs no index beyond its sequence numbers.
    pub(super) fn read(
        connection: &Connection,
        select: &str,
        mut conditions: Filter,
        request: &PageRequest,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
        seq: impl Fn(&T) -> i64,
    ) -> Result<Page<T>> {
        let (beyond, order) = match request.direction() {
            Direction::NewestFirst => ("seq < ?", "DESC"),
            Direction::OldestFirst => ("seq > ?", "ASC"),
        };
        conditions.and_some(beyond, request.cursor.map(Cursor::seq));
        // One more row tells whether another page follows.
        let query = format!("{select} {} ORDER BY seq {order} LIMIT {}", conditions.sql(), request.limit + 1);
        let mut statement = connection.prepare_cached(&query)?;
        let mut found = statement.query(conditions.params())?;
        let mut page = Filling::new(request);
        while let Some(row) = found.next()? {
            if page.is_full() {
                return Ok(page.continued(seq));
            }
            page.push(read(row)?, sql::row_bytes(row)?);
        }
        Ok(page.complete())
    }
}

/// Page while its rows are read.
pub(super) struct Filling<T> {
    rows: Vec<T>,
    bytes: usize,
    limit: usize,
    direction: Direction,
}

impl<T> Filling<T> {
    pub(super) fn new(request: &PageRequest) -> Filling<T> {
        Filling { rows: Vec::new(), bytes: 0, limit: request.limit as usize, direction: request.direction() }
    }

    /// Whether the page takes no further row.
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= self.limit || self.bytes >= PAGE_BYTES
    }

    pub(super) fn push(&mut self, row: T, bytes: usize) {
        self.rows.push(row);
        self.bytes += bytes;
    }

    /// Returns the last page of a list.
    pub(super) fn complete(self) -> Page<T> {
        Page { rows: self.rows, next: None }
    }

    /// Returns a page that others follow. `seq` is the number of a row.
    pub(super) fn continued(self, seq: impl Fn(&T) -> i64) -> Page<T> {
        let next = self.rows.last().map(|row| Cursor::going(self.direction, seq(row)));
        Page { rows: self.rows, next }
    }
}

/// Conditions of a query with their parameters.
#[derive(Default)]
pub(super) struct Filter {
    sql: String,
    params: Vec<Box<dyn ToSql>>,
}

impl Filter {
    /// Adds a condition with one parameter, written `?`.
    pub(super) fn and(&mut self, condition: &str, value: impl ToSql + 'static) {
        self.params.push(Box::new(value));
        let numbered = condition.replace('?', &format!("?{}", self.params.len()));
        self.and_fixed(&numbered);
    }

    /// Adds a condition with one parameter, written `?`, if there is a value.
    pub(super) fn and_some(&mut self, condition: &str, value: Option<impl ToSql + 'static>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }

    /// Adds a condition, written with `?`, that must hold for one of some values, if there are any.
    pub(super) fn and_any<T: ToSql + 'static>(&mut self, condition: &str, values: impl Iterator<Item = T>) {
        let mut any = Vec::new();
        for value in values {
            self.params.push(Box::new(value));
            any.push(condition.replace('?', &format!("?{}", self.params.len())));
        }
        if !any.is_empty() {
            self.and_fixed(&format!("({})", any.join(" OR ")));
        }
    }

    /// Adds a condition without a parameter.
    pub(super) fn and_fixed(&mut self, condition: &str) {
        let word = if self.sql.is_empty() { "WHERE" } else { "AND" };
        write!(self.sql, " {word} {condition}").expect("writing to text succeeds");
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    pub(super) fn values(&self) -> &[Box<dyn ToSql>] {
        &self.params
    }

    pub(super) fn params(&self) -> impl rusqlite::Params + '_ {
        rusqlite::params_from_iter(self.params.iter())
    }
}
