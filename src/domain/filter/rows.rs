//! Simple filters as rows of a form: a field, an operator and a value, all of which hold.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::parse::invalid;
use super::value::Json;
use super::{Condition, Filter};
use crate::domain::Invalid;

/// Operator of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<RowOperator>)]
pub enum RowOperator {
    /// A value, equal or contained.
    #[default]
    Is,
    IsNot,
    AtLeast,
    Greater,
    AtMost,
    Less,
    OneOf,
    NoneOf,
    Contains,
    StartsWith,
    EndsWith,
    Exists,
    Missing,
    Changed,
}

impl RowOperator {
    /// Name of the operator in JSON; `None` for a plain value.
    fn json(self) -> Option<&'static str> {
        Some(match self {
            RowOperator::Is => return None,
            RowOperator::IsNot => "$neq",
            RowOperator::AtLeast => "$gte",
            RowOperator::Greater => "$gt",
            RowOperator::AtMost => "$lte",
            RowOperator::Less => "$lt",
            RowOperator::OneOf | RowOperator::Contains => "$in",
            RowOperator::NoneOf => "$nin",
            RowOperator::StartsWith => "$startsWith",
            RowOperator::EndsWith => "$endsWith",
            RowOperator::Exists | RowOperator::Missing => "$exist",
            RowOperator::Changed => "$changed",
        })
    }

    /// Whether the operator compares with a value.
    fn has_value(self) -> bool {
        !matches!(self, RowOperator::Exists | RowOperator::Missing | RowOperator::Changed)
    }

    /// Returns the operator of a condition in JSON, if a row can have it.
    fn of(name: &str, operand: &Json<'_>) -> Option<RowOperator> {
        use RowOperator as Op;
        let by_value = [Op::IsNot, Op::AtLeast, Op::Greater, Op::AtMost, Op::Less, Op::StartsWith, Op::EndsWith];
        match (name, operand) {
            ("$in", Json::Array(_)) => Some(Op::OneOf),
            ("$in", Json::Text(_)) => Some(Op::Contains),
            ("$nin", Json::Array(_)) => Some(Op::NoneOf),
            ("$exist", Json::Bool(exists)) => Some(if *exists { Op::Exists } else { Op::Missing }),
            ("$changed", Json::Bool(true)) => Some(Op::Changed),
            (name, operand) if operand.is_scalar() => by_value.into_iter().find(|op| op.json() == Some(name)),
            _ => None,
        }
    }

    /// Reads the typed value as JSON.
    fn operand(self, value: &str) -> String {
        let value = value.trim();
        match self {
            RowOperator::Exists | RowOperator::Changed => "true".to_owned(),
            RowOperator::Missing => "false".to_owned(),
            RowOperator::OneOf | RowOperator::NoneOf => match Json::read(value) {
                Some(Json::Array(_)) => value.to_owned(),
                _ => {
                    let values = value.split(',').map(str::trim).filter(|part| !part.is_empty());
                    let values: Vec<String> = values.map(|part| scalar(part, false)).collect();
                    format!("[{}]", values.join(","))
                }
            },
            RowOperator::Contains | RowOperator::StartsWith | RowOperator::EndsWith => match Json::read(value) {
                Some(Json::Text(_)) => value.to_owned(),
                _ => quoted(value),
            },
            RowOperator::Is | RowOperator::IsNot => scalar(value, true),
            RowOperator::AtLeast | RowOperator::Greater | RowOperator::AtMost | RowOperator::Less => {
                scalar(value, false)
            }
        }
    }

    /// Returns a value as one types it; `None` if a row cannot have it.
    fn typed(self, operand: &Json<'_>) -> Option<String> {
        let typed = match operand {
            _ if !self.has_value() => return Some(String::new()),
            Json::Array(values) => {
                let plain: Option<Vec<String>> = values.iter().map(plain).collect();
                let plain = plain?.join(", ");
                if is_same(&self.operand(&plain), operand) { plain } else { json(operand) }
            }
            scalar => {
                let plain = plain(scalar)?;
                if is_same(&self.operand(&plain), operand) { plain } else { json(operand) }
            }
        };
        // An empty field is one that was not filled in.
        let typed = if typed.trim().is_empty() { json(operand) } else { typed };
        is_same(&self.operand(&typed), operand).then_some(typed)
    }
}

/// Row of the form, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Path of the field, such as `data.amount`.
    pub field: String,
    pub operator: RowOperator,
    pub value: String,
}

impl Row {
    fn is_blank(&self) -> bool {
        self.field.trim().is_empty() && self.value.trim().is_empty() && self.operator == RowOperator::default()
    }
}

impl Filter {
    /// Returns the rows that make this filter; `None` if rows cannot.
    pub fn rows(&self) -> Option<Vec<Row>> {
        let Condition::Object(_) = &self.condition else { return None };
        let mut rows = Vec::new();
        collect("", &Json::read(&self.text)?, &mut rows)?;
        Some(rows)
    }
}

/// Adds the rows of an object of fields.
fn collect(path: &str, value: &Json<'_>, rows: &mut Vec<Row>) -> Option<()> {
    let row = |operator: RowOperator, operand: &Json<'_>| {
        Some(Row { field: path.to_owned(), operator, value: operator.typed(operand)? })
    };
    let Json::Object(object) = value else {
        rows.push(row(RowOperator::Is, value).filter(|_| value.is_scalar())?);
        return Some(());
    };
    let members = object.in_order(usize::MAX);
    if members.is_empty() && !path.is_empty() {
        return None;
    }
    for member in members {
        if member.name.starts_with('$') {
            rows.push(row(RowOperator::of(&member.name, &member.value)?, &member.value)?);
            continue;
        }
        let is_plain = !member.name.is_empty() && !member.name.contains('.') && member.name.trim() == member.name;
        let dot = if path.is_empty() { "" } else { "." };
        collect(&format!("{path}{dot}{}", is_plain.then_some(&member.name)?), &member.value, rows)?;
    }
    Some(())
}

/// Returns the JSON of the filter that rows make. Blank rows are left out; `None` if no other is left.
pub fn of_rows(rows: &[Row]) -> Result<Option<String>, Invalid> {
    let mut root = Tree::default();
    for (row, number) in rows.iter().zip(1..).filter(|(row, _)| !row.is_blank()) {
        let fault = |message: &str| invalid("filter", format!("Row {number}: {message}"));
        if row.field.trim().is_empty() {
            return Err(fault("Enter the field, such as data.amount, or clear the row."));
        }
        if !row.operator.has_value() && !row.value.trim().is_empty() {
            return Err(fault("This operator compares with no value. Clear the value, or choose another operator."));
        }
        if row.operator.has_value() && row.value.trim().is_empty() {
            return Err(fault("Enter a value. For an empty text, write \"\"."));
        }
        let mut tree = &mut root;
        for name in row.field.split('.').map(str::trim) {
            if name.is_empty() || name.starts_with('$') {
                return Err(fault("Write the field as names with dots between them, such as data.amount."));
            }
            tree = tree.child(name).ok_or_else(|| fault(REPEATED))?;
        }
        let operand = row.operator.operand(&row.value);
        tree.put(row.operator.json(), operand).ok_or_else(|| fault(REPEATED))?;
    }
    Ok((!root.children.is_empty()).then(|| root.json()))
}

const REPEATED: &str =
    "Another row has a condition on this field that cannot stand beside this one. Write the filter as JSON, with $and.";

/// JSON of a condition in the making: a value, operators, or fields.
#[derive(Default)]
struct Tree {
    value: Option<String>,
    tests: Vec<(&'static str, String)>,
    children: Vec<(String, Tree)>,
}

impl Tree {
    /// Returns the condition on a field; `None` if this is not one on fields.
    fn child(&mut self, name: &str) -> Option<&mut Tree> {
        if self.value.is_some() || !self.tests.is_empty() {
            return None;
        }
        let at = self.children.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.children.push((name.to_owned(), Tree::default()));
            self.children.len() - 1
        });
        self.children.get_mut(at).map(|(_, tree)| tree)
    }

    /// Sets a value or adds an operator. Returns `None` if it cannot stand beside what is there.
    fn put(&mut self, operator: Option<&'static str>, operand: String) -> Option<()> {
        let is_new = self.value.is_none() && self.children.is_empty();
        match operator {
            Some(name) if is_new && self.tests.iter().all(|(known, _)| *known != name) => {
                self.tests.push((name, operand));
            }
            None if is_new && self.tests.is_empty() => self.value = Some(operand),
            _ => return None,
        }
        Some(())
    }

    fn json(&self) -> String {
        if let Some(value) = &self.value {
            return value.clone();
        }
        let tests = self.tests.iter().map(|(name, operand)| format!("{}:{operand}", quoted(name)));
        let children = self.children.iter().map(|(name, tree)| format!("{}:{}", quoted(name), tree.json()));
        format!("{{{}}}", tests.chain(children).collect::<Vec<_>>().join(","))
    }
}

/// Reads a typed value: a number, a quoted text, with `words` also `true`, `false` and `null`; else a text as it is.
fn scalar(value: &str, words: bool) -> String {
    match Json::read(value) {
        Some(Json::Number(_) | Json::Text(_)) => value.to_owned(),
        Some(Json::Bool(_) | Json::Null) if words => value.to_owned(),
        _ => quoted(value),
    }
}

/// Returns a scalar without quotes.
fn plain(value: &Json<'_>) -> Option<String> {
    match value {
        Json::Text(text) => Some(text.to_string()),
        Json::Number(text) => Some(text.to_string()),
        Json::Bool(_) | Json::Null => Some(json(value)),
        Json::Array(_) | Json::Object(_) => None,
    }
}

fn json(value: &Json<'_>) -> String {
    match value {
        Json::Number(text) => text.to_string(),
        Json::Array(values) => format!("[{}]", values.iter().map(json).collect::<Vec<_>>().join(", ")),
        other => {
            let mut text = String::new();
            other.print(&mut text, usize::MAX - 1);
            text
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    Json::Text(text.into()).print(&mut out, usize::MAX - 1);
    out
}

/// Whether a text is JSON of a value, with the same spelling of numbers.
fn is_same(text: &str, value: &Json<'_>) -> bool {
    Json::read(text).is_some_and(|read| json(&read) == json(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(field: &str, operator: RowOperator, value: &str) -> Row {
        Row { field: field.to_owned(), operator, value: value.to_owned() }
    }

    #[test]
    fn rows_make_a_filter_and_the_filter_makes_the_rows_again() {
        use RowOperator as Op;
        for (rows, expected) in [
            (
                vec![row("data.amount", Op::AtLeast, "100.50"), row("data.amount", Op::Less, "1e3")],
                r#"{"data":{"amount":{"$gte":100.50,"$lt":1e3}}}"#,
            ),
            (
                vec![
                    row("data.a.b", Op::Is, "paid"),
                    row("data.a.c", Op::IsNot, "null"),
                    row("type", Op::StartsWith, "order."),
                ],
                r#"{"data":{"a":{"b":"paid","c":{"$neq":null}}},"type":{"$startsWith":"order."}}"#,
            ),
            (vec![row("data.country", Op::OneOf, "DE, AT, 5")], r#"{"data":{"country":{"$in":["DE","AT",5]}}}"#),
            (
                vec![row("data.country", Op::NoneOf, r#"["a, b", "5"]"#)],
                r#"{"data":{"country":{"$nin":["a, b", "5"]}}}"#,
            ),
            (
                vec![row("data.n", Op::Is, "\"5\""), row("data.t", Op::Is, "true"), row("data.e", Op::Is, "\"\"")],
                r#"{"data":{"n":"5","t":true,"e":""}}"#,
            ),
            (
                vec![row("data.text", Op::Contains, "5"), row("data.text", Op::EndsWith, "x\"y")],
                r#"{"data":{"text":{"$in":"5","$endsWith":"x\"y"}}}"#,
            ),
            (
                vec![row("data.a", Op::Exists, ""), row("data.b", Op::Missing, ""), row("data.c", Op::Changed, "")],
                r#"{"data":{"a":{"$exist":true},"b":{"$exist":false},"c":{"$changed":true}}}"#,
            ),
        ] {
            let text = of_rows(&rows).unwrap().unwrap();
            assert_eq!(text, expected);
            assert_eq!(text.parse::<Filter>().unwrap().rows(), Some(rows), "{text}");
        }
    }

    #[test]
    fn a_filter_that_rows_cannot_express_has_none() {
        for text in [
            r#"{"$or": [{"type": "a"}]}"#,
            r#"{"data": {"$not": {"a": 1}}}"#,
            r#"{"data": ["a"]}"#,
            r#"{"data": {"a.b": 1}}"#,
            r#"{"data": {"": 1}}"#,
            r#"{"data": {"a": {}}}"#,
            r#"{"data": {"a": {"$eq": 1}}}"#,
            r#"{"data": {"a": {"$changed": false}}}"#,
            r#"{"data": {"a": {"$startsWith": ["a"]}}}"#,
        ] {
            assert_eq!(text.parse::<Filter>().unwrap().rows(), None, "{text}");
        }
        assert_eq!("{}".parse::<Filter>().unwrap().rows(), Some(Vec::new()));
    }

    #[test]
    fn rows_that_contradict_each_other_or_lack_a_part_are_refused_by_their_number() {
        use RowOperator as Op;
        let blank = Row::default();
        assert_eq!(of_rows(&[blank.clone(), blank.clone()]), Ok(None));
        for (rows, says) in [
            (vec![blank, row("data.a", Op::AtLeast, " ")], "Row 2: Enter a value."),
            (vec![row("data..a", Op::Exists, "")], "Row 1: Write the field"),
            (vec![row("data.$or", Op::Exists, "")], "Row 1: Write the field"),
            (vec![row("data.a", Op::Is, "1"), row("data.a", Op::Is, "2")], "Row 2: Another row"),
            (vec![row("data.a", Op::Is, "1"), row("data.a", Op::IsNot, "2")], "Row 2: Another row"),
            (vec![row("data.a.b", Op::Is, "1"), row("data.a", Op::Exists, "")], "Row 2: Another row"),
            (vec![row("data.a", Op::Exists, ""), row("data.a.b", Op::Is, "1")], "Row 2: Another row"),
        ] {
            let error = of_rows(&rows).unwrap_err();
            assert!(error.message.starts_with(says), "{error}");
        }
    }
}
