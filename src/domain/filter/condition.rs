//! Conditions of a filter, and whether they hold for a value.
//!
//! The rules, odd ones included, are those of `simple-json-match` 1.3.0, so that a filter means here what it means there.
//! It evaluates in two ways, which differ in what they expect: `matchJsonToSchema` ([`Condition::matches`]) for the event
//! and for conditions in lists, `recursivelyMatchValue` ([`Condition::holds`]) for the value of a field.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::number::Number;
use super::value::{Json, Object};
use super::work::{Exhausted, Work};

/// Condition on a value.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Scalar that the value, or an element of the array, is loosely equal to.
    Is(Json<'static>),
    /// Conditions that each hold for an element of the array.
    Elements(Vec<Condition>),
    /// `$or` of a field.
    Any(Vec<Condition>),
    /// Operators, which all hold.
    Tests(Vec<Test>),
    /// Clauses about an object, which all hold.
    Object(Vec<Clause>),
}

/// Part of a condition on an object.
#[derive(Debug, Clone)]
pub enum Clause {
    Field(Box<str>, Condition),
    Not(Box<Condition>),
    Or(Vec<Condition>),
    And(Vec<Condition>),
}

/// Operator with its operand.
#[derive(Debug, Clone)]
pub enum Test {
    Equal(Json<'static>),
    NotEqual(Json<'static>),
    Order(Order, Json<'static>),
    In(Values),
    NotIn(Values),
    StartsWith(Vec<Box<str>>),
    EndsWith(Vec<Box<str>>),
    Exists(bool),
    Changed(Changed),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Greater,
    AtLeast,
    Less,
    AtMost,
}

/// Operand of `$in` and `$nin`.
#[derive(Debug, Clone)]
pub enum Values {
    /// Texts and numbers, one of which is strictly equal.
    List(Vec<Json<'static>>),
    /// Part of a text.
    Part(Box<str>),
}

/// Operand of `$changed`, with the names from `data` to the field.
#[derive(Debug, Clone)]
pub struct Changed {
    pub is_changed: bool,
    pub path: Vec<Box<str>>,
}

/// Event that a condition is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub data: &'a Json<'a>,
    pub previous_data: Option<&'a Json<'a>>,
}

type Held = Result<bool, Exhausted>;

impl Condition {
    /// Whether the condition holds for the value of a field.
    pub fn holds(&self, value: &Json<'_>, subject: Subject<'_>, work: &mut Work) -> Held {
        work.step()?;
        match (self, value) {
            (Condition::Tests(tests), _) => all(tests, |test| test.holds(Some(value), subject, work)),
            (Condition::Elements(conditions), Json::Array(elements)) => {
                all(conditions, |condition| any(elements, |element| condition.holds(element, subject, work)))
            }
            (_, Json::Array(elements)) => any(elements, |element| self.holds(element, subject, work)),
            (Condition::Is(wanted), _) => loosely_equal(value, wanted, work),
            (Condition::Any(conditions), _) => any(conditions, |condition| condition.matches(value, subject, work)),
            // There an array is an object whose names are positions.
            (Condition::Elements(conditions), Json::Object(object)) => {
                all(conditions.iter().enumerate(), |(place, condition)| {
                    condition.holds_for_field(&place.to_string(), object, subject, work)
                })
            }
            (Condition::Object(clauses), Json::Object(object)) => all(clauses, |clause| {
                work.step()?;
                clause.holds(value, object, subject, work)
            }),
            (Condition::Elements(_) | Condition::Object(_), _) => Ok(false),
        }
    }

    /// Whether the condition, as one of a list or of `$not`, holds for a value.
    pub fn matches(&self, value: &Json<'_>, subject: Subject<'_>, work: &mut Work) -> Held {
        match (self, value) {
            (Condition::Object(clauses), value) if value.is_scalar() => match clauses.as_slice() {
                [Clause::Not(condition)] => {
                    work.step()?;
                    Ok(!condition.matches(value, subject, work)?)
                }
                _ => self.holds(value, subject, work),
            },
            // There the operators are names of fields. Those of ours are not.
            (Condition::Tests(tests), Json::Object(_)) => {
                all(tests, |test| Ok(matches!(test, Test::Changed(_)) && test.holds(Some(value), subject, work)?))
            }
            _ => self.holds(value, subject, work),
        }
    }

    pub fn holds_for_field(&self, name: &str, object: &Object<'_>, subject: Subject<'_>, work: &mut Work) -> Held {
        work.bytes(name.len())?;
        match object.get(name) {
            Some(value) => self.holds(value, subject, work),
            None => self.holds_without_value(subject, work),
        }
    }

    /// Whether the condition holds if the field does not exist. Only `$exist` and `$changed` expect that.
    fn holds_without_value(&self, subject: Subject<'_>, work: &mut Work) -> Held {
        let expects_none = |test: &Test| matches!(test, Test::Exists(false) | Test::Changed(_));
        match self {
            Condition::Tests(tests) if tests.iter().any(expects_none) => {
                all(tests, |test| test.holds(None, subject, work))
            }
            _ => Ok(false),
        }
    }
}

impl Clause {
    pub fn holds(&self, value: &Json<'_>, object: &Object<'_>, subject: Subject<'_>, work: &mut Work) -> Held {
        match self {
            Clause::Field(name, condition) => condition.holds_for_field(name, object, subject, work),
            Clause::Not(condition) => Ok(!condition.matches(value, subject, work)?),
            Clause::Or(conditions) => any(conditions, |condition| condition.matches(value, subject, work)),
            Clause::And(conditions) => all(conditions, |condition| condition.matches(value, subject, work)),
        }
    }
}

impl Test {
    /// Whether the test holds for a value; `None` if the field does not exist.
    pub fn holds(&self, value: Option<&Json<'_>>, subject: Subject<'_>, work: &mut Work) -> Held {
        work.step()?;
        let text = match value {
            Some(Json::Text(text)) => Some(&**text),
            _ => None,
        };
        match self {
            Test::Equal(wanted) => equal(value, wanted, work),
            Test::NotEqual(wanted) => Ok(!equal(value, wanted, work)?),
            Test::Order(order, wanted) => in_order(value, *order, wanted, work),
            Test::In(values) => Ok(values.contain(value, work)? == Some(true)),
            Test::NotIn(values) => Ok(values.contain(value, work)? == Some(false)),
            Test::StartsWith(starts) => {
                let Some(text) = text else { return Ok(false) };
                work.bytes(starts.iter().map(|start| start.len()).sum())?;
                Ok(starts.iter().any(|start| text.starts_with(&**start)))
            }
            Test::EndsWith(ends) => {
                let Some(text) = text else { return Ok(false) };
                work.bytes(ends.iter().map(|end| end.len()).sum())?;
                Ok(ends.iter().any(|end| text.ends_with(&**end)))
            }
            Test::Exists(exists) => Ok(*exists == value.is_some()),
            Test::Changed(changed) => Ok(changed.is_changed == changed.has_changed(subject, work)?),
        }
    }
}

impl Values {
    /// Whether a value is one of these. `None` if values of its type cannot be.
    fn contain(&self, value: Option<&Json<'_>>, work: &mut Work) -> Result<Option<bool>, Exhausted> {
        match (self, value) {
            (Values::List(values), Some(value)) if value.is_scalar() => {
                for wanted in values {
                    work.step()?;
                    let is_same_type =
                        matches!((value, wanted), (Json::Text(_), Json::Text(_)) | (Json::Number(_), Json::Number(_)));
                    if is_same_type && value.equals(wanted, false, work)? {
                        return Ok(Some(true));
                    }
                }
                Ok(Some(false))
            }
            (Values::Part(part), Some(Json::Text(text))) => {
                work.bytes(text.len())?;
                Ok(Some(text.contains(&**part)))
            }
            _ => Ok(None),
        }
    }
}

impl Changed {
    /// Whether the field differs from the one in `previous_data`. Without `previous_data` nothing has changed.
    fn has_changed(&self, subject: Subject<'_>, work: &mut Work) -> Held {
        let Some(previous) = subject.previous_data else { return Ok(false) };
        match (self.find(subject.data, work)?, self.find(previous, work)?) {
            (Some(now), Some(before)) => Ok(!now.equals(before, false, work)?),
            (None, None) => Ok(false),
            _ => Ok(true),
        }
    }

    /// Returns the value that the path leads to, through objects.
    pub fn find<'a>(&self, value: &'a Json<'a>, work: &mut Work) -> Result<Option<&'a Json<'a>>, Exhausted> {
        let mut value = value;
        for name in &self.path {
            work.step()?;
            match value {
                Json::Object(object) => match object.get(name) {
                    Some(inner) => value = inner,
                    None => return Ok(None),
                },
                _ => return Ok(None),
            }
        }
        Ok(Some(value))
    }
}

impl Order {
    fn allows(self, order: Ordering) -> bool {
        match self {
            Order::Greater => order.is_gt(),
            Order::AtLeast => order.is_ge(),
            Order::Less => order.is_lt(),
            Order::AtMost => order.is_le(),
        }
    }
}

fn all<T>(items: impl IntoIterator<Item = T>, mut holds: impl FnMut(T) -> Held) -> Held {
    for item in items {
        if !holds(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any<T>(items: impl IntoIterator<Item = T>, mut holds: impl FnMut(T) -> Held) -> Held {
    for item in items {
        if holds(item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `==` of JavaScript (ECMA-262, `sec-islooselyequal`) for scalars; an object equals none.
fn loosely_equal(one: &Json<'_>, two: &Json<'_>, work: &mut Work) -> Held {
    match (one, two) {
        (Json::Array(_) | Json::Object(_), _) | (_, Json::Array(_) | Json::Object(_)) => Ok(false),
        (Json::Null, _) | (_, Json::Null) => Ok(matches!((one, two), (Json::Null, Json::Null))),
        (Json::Text(_), Json::Text(_)) | (Json::Bool(_), Json::Bool(_)) => one.equals(two, true, work),
        _ => {
            let (one, two) = numbers(one, two, work)?;
            Ok(one.is_some() && one == two)
        }
    }
}

/// `$eq`: loosely equal scalars, else equal texts of `JSON.stringify`.
fn equal(value: Option<&Json<'_>>, wanted: &Json<'static>, work: &mut Work) -> Held {
    match (value, wanted) {
        (None, _) => Ok(matches!(wanted, Json::Null)),
        (Some(value), _) if value.is_scalar() == wanted.is_scalar() => match value.is_scalar() {
            true => loosely_equal(value, wanted, work),
            false => value.equals(wanted, true, work),
        },
        // A text that is the other value's JSON.
        (Some(Json::Text(text)), other) => is_printed(text, other, work),
        (Some(other), Json::Text(text)) => is_printed(text, other, work),
        _ => Ok(false),
    }
}

/// Whether a text is what `JSON.stringify` returns for an array or object.
fn is_printed(text: &str, value: &Json<'_>, work: &mut Work) -> Held {
    // One of them is from a filter, whose JSON prints as at most eight times its size.
    if !text.starts_with(['[', '{']) || text.len() > 8 * super::MAX_BYTES {
        return Ok(false);
    }
    // The text is read again rather than the value printed, which may be long.
    work.bytes(text.len() * 64)?;
    let Some(read) = Json::read(text) else { return Ok(false) };
    if !read.equals(value, true, work)? {
        return Ok(false);
    }
    let mut printed = String::new();
    read.print(&mut printed, text.len());
    Ok(printed == text)
}

/// `<`, `<=`, `>` and `>=` of JavaScript (ECMA-262, `sec-islessthan`) for texts and numbers.
fn in_order(value: Option<&Json<'_>>, order: Order, wanted: &Json<'static>, work: &mut Work) -> Held {
    let ordering = match (value, wanted) {
        (Some(Json::Text(value)), Json::Text(wanted)) => {
            work.bytes(value.len().min(wanted.len()))?;
            // JavaScript compares UTF-16 units, which order some characters differently than UTF-8.
            Some(value.encode_utf16().cmp(wanted.encode_utf16()))
        }
        (Some(value @ (Json::Text(_) | Json::Number(_))), wanted) => {
            let (value, wanted) = numbers(value, wanted, work)?;
            value.zip(wanted).map(|(value, wanted)| value.cmp(&wanted))
        }
        _ => None,
    };
    Ok(ordering.is_some_and(|ordering| order.allows(ordering)))
}

/// Reads both values as numbers.
fn numbers<'a>(
    one: &'a Json<'_>,
    two: &'a Json<'_>,
    work: &mut Work,
) -> Result<(Option<Number<'a>>, Option<Number<'a>>), Exhausted> {
    let size = |value: &Json<'_>| match value {
        Json::Number(text) | Json::Text(text) => text.len(),
        _ => 0,
    };
    work.bytes(size(one) + size(two))?;
    Ok((one.number(), two.number()))
}

/// Builds the object that a filter is applied to.
pub fn event_object<'a>(
    texts: [(&'static str, &'a str); 3],
    data: Json<'a>,
    previous_data: Option<Json<'a>>,
) -> Object<'a> {
    let texts = texts.into_iter().map(|(name, text)| (Cow::Borrowed(name), Json::Text(Cow::Borrowed(text))));
    let previous = previous_data.map(|data| (Cow::Borrowed("previous_data"), data));
    Object::new(texts.chain([(Cow::Borrowed("data"), data)]).chain(previous))
}
