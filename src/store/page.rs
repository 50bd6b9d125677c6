//! Pages of a list: newest first, cut by sequence number, so that a page costs the same however far down it is.

use std::fmt::Write as _;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::Invalid;

/// Rows of a page where nobody says.
pub const DEFAULT_LIMIT: u32 = 50;
/// Rows of a page at most.
pub const MAX_LIMIT: u32 = 250;

/// Where a page begins: below this sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(i64);

impl Cursor {
    /// Where the rows below this number begin.
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
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(i64::from_be_bytes)
            .filter(|seq| *seq > 0)
            .map(Cursor)
            .ok_or_else(|| {
                Invalid::new(
                    "invalid_cursor",
                    "This is no cursor that an answer gave out. Leave it out to begin at the newest.",
                )
                .in_field("cursor")
            })
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest {
    /// 1 to 250.
    pub limit: u32,
    pub cursor: Option<Cursor>,
}

/// Part of a list, and where the next part begins. It may hold fewer rows than asked for though more follow.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of rows that were asked for with one more than the limit.
    pub(super) fn cut(mut rows: Vec<T>, request: &PageRequest, seq: impl Fn(&T) -> i64) -> Page<T> {
        let limit = request.limit as usize;
        let next = if rows.len() > limit {
            rows.truncate(limit);
            rows.last().map(|row| Cursor(seq(row)))
        } else {
            None
        };
        Page { rows, next }
    }
}

/// Conditions of a list and their parameters, put together as they are asked for.
#[derive(Default)]
pub(super) struct Filter {
    sql: String,
    params: Vec<rusqlite::types::Value>,
}

impl Filter {
    /// Adds a condition whose one parameter stands as `?`.
    pub(super) fn and(&mut self, condition: &str, value: impl Into<rusqlite::types::Value>) {
        self.params.push(value.into());
        let numbered = condition.replace('?', &format!("?{}", self.params.len()));
        self.and_fixed(&numbered);
    }

    /// Adds a condition without a parameter.
    pub(super) fn and_fixed(&mut self, condition: &str) {
        let word = if self.sql.is_empty() { "WHERE" } else { "AND" };
        write!(self.sql, " {word} {condition}").expect("writing to text succeeds");
    }

    /// Begins below the cursor of a page.
    pub(super) fn below(&mut self, column: &str, request: &PageRequest) {
        if let Some(Cursor(seq)) = request.cursor {
            self.and(&format!("{column} < ?"), seq);
        }
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// The parameters of the conditions, in order.
    pub(super) fn values(&self) -> &[rusqlite::types::Value] {
        &self.params
    }

    pub(super) fn params(&self) -> impl rusqlite::Params + '_ {
        rusqlite::params_from_iter(self.params.iter())
    }
}
