//! The condition of a filter that does not hold, to explain why an event was not delivered.

use super::condition::{Clause, Condition, Subject, Test};
use super::value::Json;
use super::work::{Exhausted, Work};

/// Maximum bytes of a value in an explanation.
const SHOWN_BYTES: usize = 80;

/// A condition that does not hold, with what was found in its place.
#[derive(Debug, Clone)]
pub struct Mismatch<'f> {
    /// Path of the field, such as `data.amount`; empty for the event.
    pub path: String,
    pub wanted: Wanted<'f>,
    pub found: Found,
}

/// Expectation of a condition.
#[derive(Debug, Clone)]
pub enum Wanted<'f> {
    /// This value, as JSON.
    Value(String),
    Test(&'f Test),
    /// An array with an element for each of so many conditions.
    Elements(usize),
    /// One of so many conditions.
    OneOf(usize),
    /// A condition that does not hold.
    Not,
    /// An object with certain fields.
    Fields,
}

/// Value of the event in the place of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// JSON, shortened.
    Value(String),
    /// Array, of so many elements.
    Array(usize),
    Object,
}

impl Found {
    fn of(value: &Json<'_>) -> Found {
        match value {
            Json::Array(elements) => Found::Array(elements.len()),
            Json::Object(_) => Found::Object,
            scalar => Found::Value(scalar.shown()),
        }
    }
}

impl Json<'_> {
    /// JSON, shortened. A number keeps its spelling.
    pub fn shown(&self) -> String {
        let mut text = match self {
            Json::Number(text) => text.chars().take(SHOWN_BYTES + 1).collect(),
            other => {
                let mut text = String::new();
                other.print(&mut text, SHOWN_BYTES);
                text
            }
        };
        if text.len() > SHOWN_BYTES {
            text.truncate(text.floor_char_boundary(SHOWN_BYTES));
            text.push('…');
        }
        text
    }
}

/// Returns the first condition that does not hold for a value; `None` if all do.
pub(super) fn of<'f>(
    condition: &'f Condition,
    value: &Json<'_>,
    subject: Subject<'_>,
    work: &mut Work,
) -> Result<Option<Mismatch<'f>>, Exhausted> {
    let mut search = Search { subject, work, path: Vec::new() };
    search.failing(condition, value)
}

struct Search<'s, 'f> {
    subject: Subject<'s>,
    work: &'s mut Work,
    path: Vec<&'f str>,
}

impl<'f> Search<'_, 'f> {
    fn failing(&mut self, condition: &'f Condition, value: &Json<'_>) -> Result<Option<Mismatch<'f>>, Exhausted> {
        if condition.holds(value, self.subject, self.work)? {
            return Ok(None);
        }
        match (condition, value) {
            (Condition::Tests(tests), _) => self.failing_test(tests, Some(value)),
            (Condition::Object(clauses), Json::Object(object)) => {
                for clause in clauses {
                    if clause.holds(value, object, self.subject, self.work)? {
                        continue;
                    }
                    let wanted = match clause {
                        Clause::Field(name, condition) => {
                            self.path.push(name);
                            let found = match object.get(name) {
                                Some(value) => self.failing(condition, value),
                                None => self.failing_without_value(condition),
                            };
                            self.path.pop();
                            return found;
                        }
                        Clause::And(conditions) => {
                            return self.failing_of(conditions, value);
                        }
                        Clause::Or(conditions) => Wanted::OneOf(conditions.len()),
                        Clause::Not(_) => Wanted::Not,
                    };
                    return Ok(Some(self.mismatch(wanted, Found::Object)));
                }
                Ok(None)
            }
            // With one element, that one is what failed.
            (_, Json::Array(elements)) if elements.len() == 1 && !matches!(condition, Condition::Elements(_)) => {
                self.failing(condition, &elements[0])
            }
            _ => Ok(Some(self.mismatch(wanted(condition), Found::of(value)))),
        }
    }

    /// Returns the first of the conditions of `$and` that does not hold.
    fn failing_of(&mut self, conditions: &'f [Condition], value: &Json<'_>) -> Result<Option<Mismatch<'f>>, Exhausted> {
        for condition in conditions {
            if !condition.matches(value, self.subject, self.work)? {
                let found = self.failing(condition, value)?;
                // A condition of a list may fail where that of a field holds: operators apply to no object there.
                return Ok(Some(found.unwrap_or_else(|| self.mismatch(wanted(condition), Found::of(value)))));
            }
        }
        Ok(None)
    }

    fn failing_without_value(&mut self, condition: &'f Condition) -> Result<Option<Mismatch<'f>>, Exhausted> {
        match condition {
            Condition::Tests(tests) => self.failing_test(tests, None),
            _ => Ok(Some(self.mismatch(wanted(condition), Found::Nothing))),
        }
    }

    fn failing_test(&mut self, tests: &'f [Test], value: Option<&Json<'_>>) -> Result<Option<Mismatch<'f>>, Exhausted> {
        let found = value.map_or(Found::Nothing, Found::of);
        for test in tests {
            if !test.holds(value, self.subject, self.work)? {
                return Ok(Some(self.mismatch(Wanted::Test(test), found)));
            }
        }
        // Without a value, tests that hold are not enough.
        Ok(tests.first().map(|test| self.mismatch(Wanted::Test(test), found)))
    }

    fn mismatch(&self, wanted: Wanted<'f>, found: Found) -> Mismatch<'f> {
        Mismatch { path: self.path.join("."), wanted, found }
    }
}

fn wanted(condition: &Condition) -> Wanted<'_> {
    match condition {
        Condition::Is(value) => Wanted::Value(value.shown()),
        Condition::Elements(conditions) => Wanted::Elements(conditions.len()),
        Condition::Any(conditions) => Wanted::OneOf(conditions.len()),
        Condition::Tests(tests) => tests.first().map_or(Wanted::Fields, Wanted::Test),
        Condition::Object(clauses) => match clauses.as_slice() {
            [Clause::Not(_)] => Wanted::Not,
            [Clause::Or(conditions)] => Wanted::OneOf(conditions.len()),
            _ => Wanted::Fields,
        },
    }
}
