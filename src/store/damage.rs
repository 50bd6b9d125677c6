//! Log of rows that cannot be read. Each row is logged once, however often it is met, and the number of rows is bounded.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::error::StoreError;

/// Maximum rows that are logged one by one.
const MOST: usize = 1_000;

static LOGGED: Mutex<Logged> = Mutex::new(Logged(BTreeSet::new()));

/// Logs that a row cannot be read or changed, unless the log has it already.
pub fn report(table: &'static str, seq: i64, error: &StoreError) {
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    match logged.next(table, seq) {
        Line::Row => log::error!(
            "number {seq} of table {table} is damaged and skipped: {error}. Stop Hookpost and run `hookpost check`."
        ),
        Line::Last => log::error!("more than {MOST} rows are damaged; further ones are not logged"),
        Line::Nothing => {}
    }
}

/// Returns `None` in place of an error about a damaged row, which is logged. For callers that go on with other rows.
pub fn skip<T>(table: &'static str, seq: i64, result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_damage() => {
            report(table, seq, &error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

struct Logged(BTreeSet<(&'static str, i64)>);

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Row,
    /// The last line before the log says nothing more.
    Last,
    Nothing,
}

impl Logged {
    fn next(&mut self, table: &'static str, seq: i64) -> Line {
        if self.0.len() > MOST || !self.0.insert((table, seq)) {
            return Line::Nothing;
        }
        if self.0.len() > MOST { Line::Last } else { Line::Row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_logged_once_and_a_thousand_rows_at_most() {
        let mut logged = Logged(BTreeSet::new());
        assert_eq!(logged.next("event", 1), Line::Row);
        assert_eq!(logged.next("event", 1), Line::Nothing);
        assert_eq!(logged.next("delivery", 1), Line::Row);
        let lines: Vec<Line> = (2..2_000).map(|seq| logged.next("event", seq)).collect();
        assert_eq!(lines.iter().filter(|line| **line == Line::Row).count(), MOST - 2);
        assert_eq!(lines.iter().filter(|line| **line == Line::Last).count(), 1);
        assert_eq!(logged.0.len(), MOST + 1);
    }
}
