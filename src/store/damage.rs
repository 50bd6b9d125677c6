//! Rows that cannot be read. Each is logged once, however often it is met, and their number is bounded.
//!
//! SQLite commits nothing of a transaction in which a statement met a damaged page. So jobs of the writer do not touch
//! the rows that are known to be damaged: the first job that meets one is undone, the next one leaves it out.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::error::StoreError;

/// Maximum rows that are logged one by one.
const MOST: usize = 1_000;
/// Maximum rows that a writer remembers. With more, a job that meets them fails.
const MOST_SKIPPED: usize = 100_000;

static LOGGED: Mutex<Logged> = Mutex::new(Logged(BTreeSet::new()));

thread_local! {
    /// Whether a statement of this thread met a damaged page.
    static PAGE_MET: Cell<bool> = const { Cell::new(false) };
    /// Rows on damaged pages that jobs of this writer's thread have skipped.
    static SKIPPED: RefCell<BTreeSet<(&'static str, i64)>> = const { RefCell::new(BTreeSet::new()) };
}

pub(super) fn page_met() {
    PAGE_MET.set(true);
}

/// Returns whether a statement of this thread met a damaged page since the last call.
pub(super) fn take_page_met() -> bool {
    PAGE_MET.take()
}

/// Whether [`skip`] has skipped a row on a damaged page before, in a job of the same writer.
pub fn is_known(table: &'static str, seq: i64) -> bool {
    SKIPPED.with_borrow(|skipped| skipped.contains(&(table, seq)))
}

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
            if matches!(error, StoreError::DamagedPage(_)) {
                SKIPPED.with_borrow_mut(|skipped| {
                    if skipped.len() < MOST_SKIPPED {
                        skipped.insert((table, seq));
                    }
                });
            }
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
