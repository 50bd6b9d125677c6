//! Changes of resources by JSON Merge Patch (RFC 7396): null restores a default, objects are merged, and values that the
//! resource already has change nothing, so that the object of a GET can be sent back.
//!
//! The change is made of the resource as it is stored, in the transaction of the change. Values keep their text, because
//! the numbers of a filter may be longer than a double.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::{ApiError, Invalid, extract};
use crate::domain::json::Fields;
use crate::domain::problems::Problems;
use crate::domain::time::parse_rfc3339;

type Object = Vec<(String, Box<RawValue>)>;

/// Members of an object that are merged.
#[derive(Clone, Copy)]
pub(super) enum Members {
    Named,
    /// Names of headers, which have no case.
    Headers,
    /// If the member of this name differs, the objects are of different kinds, and one replaces the other.
    OfKind(&'static str),
}

/// Body of a `PATCH`.
pub(super) struct MergePatch(Object);

impl<'de> Deserialize<'de> for MergePatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MergePatch, D::Error> {
        Fields::deserialize(deserializer).map(|Fields(members)| MergePatch(members))
    }
}

/// How the fields of a resource change. Those not named here are replaced as a whole.
#[derive(Default)]
pub(super) struct Rules {
    /// Refused, unless they have the stored value.
    pub read_only: &'static [&'static str],
    /// Left out: they change by themselves after they were read.
    pub by_itself: &'static [&'static str],
    /// Refused if null.
    pub required: &'static [&'static str],
    /// Applied even if they have the stored value.
    pub always: &'static [&'static str],
    /// Compared as text.
    pub exact: &'static [&'static str],
    /// Objects whose members are merged.
    pub merged: &'static [(&'static str, Members)],
    /// Objects with rules of their own.
    pub nested: Vec<(&'static str, Rules)>,
    /// Values that null restores, of fields that cannot be null.
    pub defaults: Map<String, Value>,
}

/// Returns defaults that are written as an object.
pub(super) fn defaults(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

impl MergePatch {
    /// Whether a field is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| given == name)
    }

    /// Returns the settings that turn the resource, as responses show it, into the one that the patch describes.
    ///
    /// # Errors
    /// All problems at once.
    pub(super) fn settings<T: DeserializeOwned>(&self, stored: &impl Serialize, rules: &Rules) -> Result<T, Invalid> {
        let mut problems = Problems::default();
        let changed = change(&self.0, Some(&*raw(stored)), rules, "", &mut problems);
        let parsed = extract::parse(object(&changed).as_bytes()).map_err(ApiError::into_invalid);
        let settings = problems.check(parsed);
        problems.end()?;
        Ok(settings.expect("settings that could not be parsed are a problem"))
    }
}

/// Returns the members that change something. `path` is that of the object, with a dot at its end.
fn change(given: &Object, stored: Option<&RawValue>, rules: &Rules, path: &str, problems: &mut Problems) -> Object {
    let stored = stored.map(members).unwrap_or_default();
    let mut changed = Object::new();
    for (index, (name, value)) in given.iter().enumerate() {
        let is = |names: &[&str]| names.contains(&name.as_str());
        let before = stored.iter().find(|(stored, _)| stored == name).map(|(_, value)| &**value);
        let is_same = before.is_some_and(|before| is_same(before, value, is(rules.exact)));
        let nested = rules.nested.iter().find(|(nested, _)| nested == name);
        let merged = rules.merged.iter().find(|(merged, _)| merged == name);
        let field = format!("{path}{name}");
        if given[..index].iter().any(|(earlier, _)| earlier == name) {
            let message = format!("The field {name} appears twice.");
            problems.add(Invalid::new("duplicate_field", message).in_field(field));
        } else if is(rules.read_only) {
            if !is_same {
                problems.add(read_only(&field));
            }
        } else if is(rules.by_itself) || is_same && !is(rules.always) {
        } else if value.get() == "null" {
            match rules.defaults.get(name) {
                Some(default) => changed.push((name.clone(), raw(default))),
                None if is(rules.required) => problems.add(without_default(&field)),
                None => changed.push((name.clone(), value.clone())),
            }
        } else if let (Some((_, rules)), true) = (nested, value.get().starts_with('{')) {
            let inner = change(&members(value), before, rules, &format!("{field}."), problems);
            changed.push((name.clone(), RawValue::from_string(object(&inner)).unwrap_or_default()));
        } else if let (Some((_, kind)), Some(given)) = (merged, parsed(value)) {
            changed.push((name.clone(), raw(&merge(before.and_then(parsed), given, *kind))));
        } else {
            changed.push((name.clone(), value.clone()));
        }
    }
    changed
}

/// Merges an object into the stored one (RFC 7396, section 2).
fn merge(stored: Option<Value>, given: Value, members: Members) -> Value {
    let Value::Object(given) = given else { return given };
    let is_other = |stored: &Map<String, Value>| match members {
        Members::OfKind(kind) => given.get(kind).is_some_and(|given| stored.get(kind) != Some(given)),
        Members::Named | Members::Headers => false,
    };
    let mut merged = match stored {
        Some(Value::Object(stored)) if !is_other(&stored) => stored,
        _ => Map::new(),
    };
    for (name, value) in given {
        if matches!(members, Members::Headers) && !merged.contains_key(&name) {
            merged.retain(|stored, _| !stored.eq_ignore_ascii_case(&name));
        }
        if value.is_null() {
            merged.shift_remove(&name);
        } else {
            merged.insert(name, value);
        }
    }
    Value::Object(merged)
}

/// Whether two values are the same. Times may be spelled differently.
fn is_same(stored: &RawValue, given: &RawValue, exact: bool) -> bool {
    if compact(stored.get()) == compact(given.get()) {
        return true;
    }
    match (parsed(stored), parsed(given)) {
        (Some(Value::String(stored)), Some(Value::String(given))) => {
            stored == given || parse_rfc3339(&stored).is_ok_and(|at| parse_rfc3339(&given) == Ok(at))
        }
        (stored, given) => !exact && stored.is_some() && stored == given,
    }
}

/// Returns JSON without white space between its tokens.
fn compact(json: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let is_kept = |letter: &char| {
        let is_space = !is_text && letter.is_ascii_whitespace();
        if *letter == '"' && !is_escaped {
            is_text = !is_text;
        }
        is_escaped = is_text && *letter == '\\' && !is_escaped;
        !is_space
    };
    json.chars().filter(is_kept).collect()
}

/// Returns a value, unless it has a number that no double can hold.
fn parsed(value: &RawValue) -> Option<Value> {
    serde_json::from_str(value.get()).ok()
}

fn members(object: &RawValue) -> Object {
    serde_json::from_str(object.get()).map(|Fields(members)| members).unwrap_or_default()
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_default()
}

fn object(members: &Object) -> String {
    let texts = members.iter().map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), value.get()));
    format!("{{{}}}", texts.collect::<Vec<_>>().join(","))
}

fn read_only(field: &str) -> Invalid {
    let message = format!("{field} cannot be changed. Leave it out, or send the value that a GET returns.");
    Invalid::new("read_only", message).in_field(field)
}

fn without_default(field: &str) -> Invalid {
    let message = format!("{field} has no default that null could restore. Give a value, or leave the field out.");
    Invalid::new("null_without_default", message).in_field(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn objects_are_merged_as_in_the_examples_of_rfc_7396() {
        for (stored, given, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        ] {
            assert_eq!(merge(Some(stored.clone()), given.clone(), Members::Named), merged, "{stored} {given}");
        }
    }

    #[test]
    fn equal_values_may_be_spelled_differently_but_long_numbers_are_not_rounded() {
        assert!(is_same(&text("5"), &text("5"), true));
        assert!(is_same(&text(r#"{"a":[1,"b \" c"]}"#), &text(r#"{ "a" : [1, "b \" c"] }"#), true));
        assert!(is_same(&text(r#""2026-01-15T10:00:00.000Z""#), &text(r#""2026-01-15T11:00:00+01:00""#), false));
        assert!(is_same(&text(r#"{"a":1,"b":2}"#), &text(r#"{"b":2,"a":1}"#), false));
        assert!(!is_same(&text("12345678901234567890123"), &text("12345678901234567890124"), true));
        assert!(!is_same(&text(r#""a b""#), &text(r#""ab""#), false));
        assert!(!is_same(&text("null"), &text("1e400"), false));
    }
}
