//! Reading a filter. What `simple-json-match` would ignore without a word is refused here, with its place.

use std::borrow::Cow;

use super::condition::{Changed, Clause, Condition, Order, Test, Values};
use super::value::{Json, Object, javascript_number};
use crate::domain::Invalid;

/// Maximum levels of nesting in a filter.
pub const MAX_DEPTH: usize = 16;
/// Maximum conditions in a filter: fields, operators, and elements of lists.
pub const MAX_CONDITIONS: usize = 500;

/// Fields of an event that a filter may name.
pub const FIELDS: [&str; 5] = ["type", "tenant", "id", "data", "previous_data"];
/// Operators that stand beside others on a field.
const TESTS: [&str; 12] =
    ["$eq", "$neq", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$startsWith", "$endsWith", "$exist", "$changed"];
const LOGIC: [&str; 3] = ["$not", "$or", "$and"];

/// Builds an error about a place, such as `filter.data.amount.$gte`.
pub(super) fn invalid(place: &str, message: impl Into<String>) -> Invalid {
    Invalid::new("invalid_filter", message).in_field(place)
}

/// Position in a filter while it is read.
#[derive(Clone)]
struct Place {
    /// `filter.data.amount`.
    text: String,
    /// Names of fields from the event.
    path: Vec<Box<str>>,
    depth: usize,
}

impl Place {
    fn invalid(&self, message: impl Into<String>) -> Invalid {
        invalid(&self.text, message)
    }

    fn is_event(&self) -> bool {
        self.path.is_empty()
    }

    fn at(&self, name: &str) -> Place {
        Place { text: format!("{}.{name}", self.text), depth: self.depth + 1, ..self.clone() }
    }

    fn at_field(&self, name: &str) -> Place {
        let mut place = self.at(name);
        place.path.push(name.into());
        place
    }

    fn at_index(&self, index: usize) -> Place {
        Place { text: format!("{}[{index}]", self.text), depth: self.depth + 1, ..self.clone() }
    }
}

/// Reads the condition on an event. Also returns the number of conditions in it.
pub fn condition(filter: Json<'_>) -> Result<(Condition, usize), Invalid> {
    let place = Place { text: "filter".to_owned(), path: Vec::new(), depth: 0 };
    let mut reading = Reading { conditions: 0 };
    let condition = reading.condition(filter, &place)?;
    Ok((condition, reading.conditions))
}

struct Reading {
    conditions: usize,
}

impl Reading {
    fn condition(&mut self, value: Json<'_>, place: &Place) -> Result<Condition, Invalid> {
        self.count(1, place)?;
        if place.is_event() && !matches!(value, Json::Object(_)) {
            return Err(place.invalid(
                "A condition on the event must be an object of fields, such as {\"data\": {\"status\": \"paid\"}}.",
            ));
        }
        match value {
            Json::Object(object) => self.object(object, place),
            Json::Array(elements) => self.list(elements, place).map(Condition::Elements),
            scalar => Ok(Condition::Is(scalar.into_owned())),
        }
    }

    fn count(&mut self, more: usize, place: &Place) -> Result<(), Invalid> {
        self.conditions += more;
        if self.conditions > MAX_CONDITIONS {
            return Err(place.invalid(format!(
                "A filter has at most {MAX_CONDITIONS} conditions, counting fields, operators and elements of lists."
            )));
        }
        if place.depth > MAX_DEPTH {
            return Err(place.invalid(format!("A filter is nested at most {MAX_DEPTH} levels deep.")));
        }
        Ok(())
    }

    fn list(&mut self, elements: Vec<Json<'_>>, place: &Place) -> Result<Vec<Condition>, Invalid> {
        let read = |(index, element)| self.condition(element, &place.at_index(index));
        elements.into_iter().enumerate().map(read).collect()
    }

    fn object(&mut self, object: Object<'_>, place: &Place) -> Result<Condition, Invalid> {
        let members: Vec<(Cow<'_, str>, Json<'_>)> = object.into_members().collect();
        let names: Vec<String> = members.iter().map(|(name, _)| name.to_string()).collect();
        for name in &names {
            check_name(name, &names, place)?;
        }
        if names.iter().any(|name| TESTS.contains(&name.as_str())) {
            let tests = members.into_iter().map(|(name, operand)| self.test(&name, operand, place));
            return tests.collect::<Result<_, _>>().map(Condition::Tests);
        }
        let mut clauses = Vec::with_capacity(members.len());
        for (name, value) in members {
            let inner = place.at(&name);
            clauses.push(match &*name {
                "$or" if place.is_event() => Clause::Or(self.conditions(value, &inner)?),
                "$or" => return self.conditions(value, &inner).map(Condition::Any),
                "$and" => Clause::And(self.conditions(value, &inner)?),
                "$not" => Clause::Not(Box::new(self.negated(value, &inner)?)),
                _ => Clause::Field((*name).into(), self.condition(value, &place.at_field(&name))?),
            });
        }
        Ok(Condition::Object(clauses))
    }

    /// Reads the operand of `$or` or `$and`.
    fn conditions(&mut self, value: Json<'_>, place: &Place) -> Result<Vec<Condition>, Invalid> {
        match value {
            Json::Array(elements) if !elements.is_empty() => {
                if let Some(index) = elements.iter().position(|element| matches!(element, Json::Null)) {
                    return Err(place
                        .at_index(index)
                        .invalid("Must be a condition. To find null, use {\"$eq\": null}."));
                }
                self.list(elements, place)
            }
            _ => Err(place.invalid("Must be a list of at least one condition.")),
        }
    }

    fn negated(&mut self, value: Json<'_>, place: &Place) -> Result<Condition, Invalid> {
        let is_ignored = match &value {
            Json::Null => true,
            Json::Text(text) => text.is_empty(),
            Json::Number(_) | Json::Bool(_) => value.number() == Some(super::number::Number::ZERO),
            Json::Array(_) | Json::Object(_) => false,
        };
        if is_ignored {
            return Err(place.invalid("Must be a condition. To exclude a value, use {\"$neq\": value} on its field."));
        }
        self.condition(value, place)
    }

    fn test(&mut self, name: &str, operand: Json<'_>, place: &Place) -> Result<Test, Invalid> {
        let path = &place.path;
        let place = place.at(name);
        self.count(1, &place)?;
        Ok(match name {
            "$eq" => Test::Equal(whole_value(operand, &place)?),
            "$neq" => Test::NotEqual(whole_value(operand, &place)?),
            "$gt" => Test::Order(Order::Greater, text_or_number(operand, &place)?),
            "$gte" => Test::Order(Order::AtLeast, text_or_number(operand, &place)?),
            "$lt" => Test::Order(Order::Less, text_or_number(operand, &place)?),
            "$lte" => Test::Order(Order::AtMost, text_or_number(operand, &place)?),
            "$in" => Test::In(self.values(operand, &place)?),
            "$nin" => Test::NotIn(self.values(operand, &place)?),
            "$startsWith" => Test::StartsWith(self.texts(operand, &place)?),
            "$endsWith" => Test::EndsWith(self.texts(operand, &place)?),
            "$exist" => Test::Exists(true_or_false(&operand, &place)?),
            _ => {
                let Some(("data", path)) = path.split_first().map(|(first, rest)| (&**first, rest)) else {
                    return Err(place.invalid("$changed compares data with previous_data, so it belongs below data."));
                };
                Test::Changed(Changed { is_changed: true_or_false(&operand, &place)?, path: path.to_vec() })
            }
        })
    }

    fn values(&mut self, operand: Json<'_>, place: &Place) -> Result<Values, Invalid> {
        match operand {
            Json::Array(elements) => {
                self.count(elements.len(), place)?;
                let read = |(index, element)| text_or_number(element, &place.at_index(index));
                elements.into_iter().enumerate().map(read).collect::<Result<_, _>>().map(Values::List)
            }
            Json::Text(part) => Ok(Values::Part((*part).into())),
            Json::Number(part) => Ok(Values::Part(javascript_number(&part).into())),
            _ => Err(place.invalid("Must be a list of texts and numbers, or a part of a text.")),
        }
    }

    fn texts(&mut self, operand: Json<'_>, place: &Place) -> Result<Vec<Box<str>>, Invalid> {
        let text = |value: Json<'_>, place: &Place| match value {
            Json::Text(text) => Ok((*text).into()),
            _ => Err(place.invalid("Must be a text, or a list of texts.")),
        };
        match operand {
            Json::Array(elements) => {
                self.count(elements.len(), place)?;
                elements.into_iter().enumerate().map(|(index, value)| text(value, &place.at_index(index))).collect()
            }
            other => Ok(vec![text(other, place)?]),
        }
    }
}

/// Refuses names that no rule knows, and combinations of which a part would be ignored.
fn check_name(name: &str, names: &[String], place: &Place) -> Result<(), Invalid> {
    let is_test = TESTS.contains(&name);
    let at = place.at(name);
    if name == "$ref" {
        return Err(at.invalid("References to other fields ($ref) are not supported."));
    }
    if name.starts_with('$') && !is_test && !LOGIC.contains(&name) {
        let known: Vec<&str> = TESTS.iter().chain(&LOGIC).copied().collect();
        return Err(at.invalid(format!("There is no operator {name}. There are {}.", known.join(", "))));
    }
    if place.is_event() && is_test {
        return Err(
            at.invalid(format!("{name} needs a field, such as {{\"data\": {{\"amount\": {{\"{name}\": …}}}}}}."))
        );
    }
    if place.is_event() && !name.starts_with('$') && !FIELDS.contains(&name) {
        let (last, first) = FIELDS.split_last().unwrap_or((&"", &[]));
        let fields = format!("{} and {last}", first.join(", "));
        return Err(at.invalid(format!("An event has no field {name}. It has {fields}; its content is below data.")));
    }
    let stands_alone = name == "$or" && !place.is_event();
    let others_fit = |other: &String| other == name || (is_test && TESTS.contains(&other.as_str()));
    if (is_test || stands_alone) && !names.iter().all(others_fit) {
        let with = if is_test { "only other operators" } else { "nothing else" };
        return Err(at.invalid(format!(
            "{name} on a field may stand with {with} in one object. Combine conditions with $and: [{{…}}, {{…}}]."
        )));
    }
    Ok(())
}

fn text_or_number(operand: Json<'_>, place: &Place) -> Result<Json<'static>, Invalid> {
    match operand {
        Json::Text(_) | Json::Number(_) => Ok(operand.into_owned()),
        _ => Err(place.invalid("Must be a text or a number.")),
    }
}

fn true_or_false(operand: &Json<'_>, place: &Place) -> Result<bool, Invalid> {
    match operand {
        Json::Bool(value) => Ok(*value),
        _ => Err(place.invalid("Must be true or false.")),
    }
}

fn whole_value(operand: Json<'_>, place: &Place) -> Result<Json<'static>, Invalid> {
    match &operand {
        Json::Object(object) if object.get("$ref").is_some() => {
            Err(place.at("$ref").invalid("References to other fields ($ref) are not supported."))
        }
        _ => Ok(operand.into_owned()),
    }
}
