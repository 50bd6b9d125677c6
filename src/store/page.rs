//! Pages of a list, newest first. A cursor is a sequence number, so every page costs the same.

use std::fmt::Write as _;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{Connection, Row, ToSql};

use super::error::Result;
use super::sql;
use crate::domain::Invalid;

/// Default rows per page.
pub const DEFAULT_LIMIT: u32 = 50;
/// Maximum rows per page.
pub const MAX_LIMIT: u32 = 250;

/// Start of a page: the rows below this sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(i64);

impl Cursor {
    pub fn below(seq: i64) -> Cursor {
        Cursor(seq)
    }

    pub(super) fn seq(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.to_be_bytes()))
    }
}

impl FromStr for Cursor {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Cursor, Invalid> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(i64::from_be_bytes).filter(|seq| *seq > 0).map(Cursor).ok_or_else(|| {
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
    pub cursor: Option<Cursor>,
}

/// Part of a list, and the cursor of the next part. May hold fewer rows than the limit although more follow.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Reads a page of a table that needs no index beyond its sequence numbers.
    pub(super) fn read(
        connection: &Connection,
        select: &str,
        mut conditions: Filter,
        request: &PageRequest,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
        seq: impl Fn(&T) -> i64,
    ) -> Result<Page<T>> {
        if let Some(Cursor(below)) = request.cursor {
            conditions.and("seq < ?", below);
        }
        let limit = request.limit as usize;
        // One more row tells whether another page follows.
        let query = format!("{select} {} ORDER BY seq DESC LIMIT {}", conditions.sql(), limit + 1);
        let mut rows = sql::all(connection, &query, conditions.params(), read)?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|row| Cursor(seq(row)));
        Ok(Page { rows, next })
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
