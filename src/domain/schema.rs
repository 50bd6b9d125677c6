//! JSON Schemas that event data is validated against.
//!
//! A schema never fetches anything, and its regular expressions run in linear time. A recursive schema may still visit a
//! value again and again: a number of times that grows exponentially with the depth of the data if `jsonschema` collects
//! the errors of `anyOf` and `oneOf`, and with the schema alone if it decides. So every visit is counted, by a keyword
//! that is added to each subschema, and a check ends when its budget is used up.

mod visits;

use std::fmt;
use std::panic::resume_unwind;

use jsonschema::{PatternOptions, Retrieve, Uri, ValidationError, Validator};
use serde_json::Value;

use self::visits::{VISIT, Visit, count_visits, on_deep_stack, within};
use super::Invalid;

pub use self::visits::CheckBudget;

/// Maximum size of a schema's text.
pub const MAX_SCHEMA_BYTES: usize = 64 << 10;

/// Maximum memory of one regular expression, compiled and while running.
const REGEX_BYTES: usize = 256 << 10;

/// Maximum number of violations in a message.
const NAMED: usize = 3;

/// A compiled JSON Schema: draft 2020-12, or the draft that its `$schema` names (4, 6, 7, 2019-09).
pub struct Schema {
    text: Box<str>,
    validator: Validator,
}

/// Refuses references to other documents.
struct FetchNothing;

impl Retrieve for FetchNothing {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("{uri} lies outside the schema, and nothing is fetched").into())
    }
}

impl Schema {
    /// Compiles a schema. A `$ref` may only point within the schema.
    pub fn parse(text: &str) -> Result<Schema, Invalid> {
        let invalid = |message: String| Invalid::new("invalid_schema", message).in_field("schema");
        if text.len() > MAX_SCHEMA_BYTES {
            return Err(invalid(format!("A schema must be at most {MAX_SCHEMA_BYTES} bytes.")));
        }
        let mut value: Value =
            serde_json::from_str(text).map_err(|error| invalid(format!("The schema is not JSON: {error}.")))?;
        if !matches!(value, Value::Object(_) | Value::Bool(_)) {
            return Err(invalid("A schema must be an object, true or false.".to_owned()));
        }
        count_visits(&mut value);
        let patterns = PatternOptions::regex().size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES);
        let options = jsonschema::options()
            .with_retriever(FetchNothing)
            .with_pattern_options(patterns)
            .with_keyword(VISIT, |_, _, _| Ok(Box::new(Visit)));
        let built = on_deep_stack(|| options.build(&value).map_err(|error| describe(&error)));
        let validator = built.unwrap_or_else(|panic| resume_unwind(panic)).map_err(|error| {
            invalid(format!(
                "This is not a usable JSON Schema: {error}. References must stay within the schema (#/$defs/…)."
            ))
        })?;
        Ok(Schema { text: text.into(), validator })
    }

    /// Original text of the schema.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Validates JSON within a budget. The error names the violations by JSON pointer (RFC 6901), as far as the budget
    /// allows.
    pub fn check(&self, data: &str, budget: &mut CheckBudget) -> Result<(), Invalid> {
        let violation = |text: String| Err(Invalid::new("schema_violation", text));
        let value: Value = match serde_json::from_str(data) {
            Ok(value) => value,
            Err(error) => return violation(format!("The data cannot be read: {error}.")),
        };
        match within(&mut budget.deciding, || self.validator.is_valid(&value)) {
            Some(true) => return Ok(()),
            Some(false) => {}
            None => {
                return violation(
                    "The data could not be checked against the schema of its event type, because the check takes too long. \
                     Send less data, or simplify the schema."
                        .to_owned(),
                );
            }
        }
        let named = within(&mut budget.naming, || self.violations(&value));
        violation(match named {
            Some(named) => format!("The data does not match the schema of its event type: {named}."),
            None => {
                "The data does not match the schema of its event type. It is nested too deeply, or too large, to say \
                     where."
                    .to_owned()
            }
        })
    }

    /// Describes the first violations.
    fn violations(&self, value: &Value) -> String {
        let mut errors = self.validator.iter_errors(value);
        let named: Vec<String> = errors.by_ref().take(NAMED).map(|error| describe(&error)).collect();
        let more = if errors.next().is_some() { "; and more" } else { "" };
        format!("{}{more}", named.join("; "))
    }
}

/// Describes one violation: where and what. Omits the value, which the sender has.
fn describe(error: &ValidationError<'_>) -> String {
    let at = error.instance_path().as_str();
    let at = if at.is_empty() { "the whole" } else { at };
    let what = error.masked().to_string();
    let what = what.trim_end_matches('.');
    let cut = what.floor_char_boundary(160);
    if what.len() > cut { format!("at {at}: {}…", &what[..cut]) } else { format!("at {at}: {what}") }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &Schema, data: &str) -> Result<(), Invalid> {
        schema.check(data, &mut CheckBudget::default())
    }

    #[test]
    fn a_violation_says_where_and_names_the_first_few() {
        let schema = Schema::parse(
            r##"{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"},
                "lines": {"items": {"$ref": "#/$defs/line"}}}, "$defs": {"line": {"type": "string"}}}"##,
        )
        .unwrap();
        assert_eq!(check(&schema, r#"{"id": 1, "lines": ["a"]}"#), Ok(()));
        let broken = check(&schema, r#"{"id": "x", "lines": ["a", 2, 3, 4, 5]}"#).unwrap_err();
        assert_eq!(broken.code, "schema_violation");
        for part in ["/id", "/lines/1", "and more"] {
            assert!(broken.message.contains(part), "{}", broken.message);
        }
        let missing = check(&schema, "{}").unwrap_err().message;
        assert!(missing.contains("\"id\" is a required"), "{missing}");
    }

    #[test]
    fn what_is_no_schema_or_leads_elsewhere_is_refused() {
        let long = format!(r#"{{"description": "{}"}}"#, "x".repeat(MAX_SCHEMA_BYTES));
        for bad in [
            "[]",
            "5",
            r#"{"type": "thing"}"#,
            r#"{"$ref": "https://example.com/a.json"}"#,
            r#"{"$ref": "file:///etc/passwd"}"#,
            r#"{"$ref": "other.json"}"#,
            r##"{"$ref": "#/$defs/none"}"##,
            r#"{"$schema": "https://example.com/draft"}"#,
            r#"{"pattern": "(?=a)b"}"#,
            r#"{"pattern": "("}"#,
            r#"{"pattern": "((a{1000}){1000}){1000}"}"#,
            &long,
        ] {
            let error = Schema::parse(bad).unwrap_err();
            assert_eq!(error.code, "invalid_schema", "{error}");
            assert_eq!(error.field.as_deref(), Some("schema"));
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        for text in [
            r##"{"$ref": "#"}"##,
            r##"{"allOf": [{"$ref": "#"}]}"##,
            r##"{"not": {"$ref": "#"}}"##,
            r##"{"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}"##,
            r##"{"$dynamicRef": "#x", "$dynamicAnchor": "x"}"##,
            r##"{"$defs": {"a": {"allOf": [{"if": true, "then": {"$ref": "#/$defs/a"}}]}}, "$ref": "#/$defs/a"}"##,
        ] {
            if let Ok(schema) = Schema::parse(text) {
                let _ = check(&schema, r#"{"a": [1]}"#);
            }
        }
        let tree = Schema::parse(r##"{"properties": {"next": {"$ref": "#"}, "n": {"type": "number"}}}"##);
        let deep = format!("{}{{\"n\": \"\"}}{}", r#"{"next": "#.repeat(120), "}".repeat(120));
        assert!(check(&tree.unwrap(), &deep).is_err());
    }

    /// Data of a depth.
    type Nested = fn(usize) -> String;

    /// Schemas that visit a value again and again, each with data that does so at a depth.
    fn costly() -> Vec<(Schema, Nested)> {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let named = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        let parse = |text: &str| Schema::parse(text).unwrap();
        vec![
            (
                parse(
                    r##"{"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [{"type": "string"}, {"items": {"$ref": "#/$defs/n"},
                        "type": "array"}, {"type": "array", "items": {"$ref": "#/$defs/n"}}]}}}"##,
                ),
                nested as Nested,
            ),
            (parse(r##"{"oneOf": [{"type": "string"}, {"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}"##), nested),
            (
                parse(
                    r##"{"type": "object", "allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}"##,
                ),
                named,
            ),
            (
                parse(
                    r##"{"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/n", "definitions": {"n":
                        {"anyOf": [{"type": "string"}, {"properties": {"a": {"$ref": "#/definitions/n"}}, "type": "object"},
                        {"additionalProperties": {"$ref": "#/definitions/n"}, "type": "object"}]}}}"##,
                ),
                named,
            ),
        ]
    }

    #[test]
    fn the_cost_of_a_check_is_bounded_at_any_depth() {
        for (schema, data) in costly() {
            for depth in [2, 14, 16, 18, 20, 100] {
                let mut budget = CheckBudget::default();
                let refused = schema.check(&data(depth), &mut budget).unwrap_err();
                assert!(refused.message.contains("does not match"), "{schema:?}: {}", refused.message);
                assert!(budget.deciding > 49_000_000, "{schema:?} at {depth}: {budget:?}");
                // Once it is used up, so is the memory.
                assert_eq!(refused.message.contains("to say where"), budget.naming == 0, "{schema:?} at {depth}");
                assert!(depth != 2 || budget.naming > 0, "{schema:?}");
                assert!(depth < 20 || budget.naming == 0, "{schema:?}");
            }
        }
    }

    #[test]
    fn a_schema_that_branches_without_end_cannot_be_decided_and_says_so() {
        // 2⁴⁰ paths to the last definition, whatever the data.
        for (last, data) in [(r#"{"type": "string"}"#, "1"), (r#"{"type": "number"}"#, "1")] {
            let mut defs = vec![format!(r#""d40": {last}"#)];
            for n in 0..40 {
                let next = format!(r##"{{"$ref": "#/$defs/d{}"}}"##, n + 1);
                let keyword = if last.contains("string") { "anyOf" } else { "allOf" };
                defs.push(format!(r#""d{n}": {{"{keyword}": [{next}, {next}]}}"#));
            }
            let schema =
                Schema::parse(&format!(r##"{{"$ref": "#/$defs/d0", "$defs": {{{}}}}}"##, defs.join(","))).unwrap();
            let mut budget = CheckBudget { deciding: 10_000, naming: 10_000 };
            let refused = schema.check(data, &mut budget).unwrap_err();
            assert!(refused.message.contains("takes too long"), "{}", refused.message);
            assert_eq!(budget.deciding, 0);
        }
    }

    #[test]
    fn a_long_chain_of_references_does_not_overflow_the_stack() {
        for draft in ["https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema"] {
            let chain = |count: usize| {
                let to = |n: usize| format!(r##"{{"$ref": "#/$defs/d{n}"}}"##);
                let mut defs: Vec<String> = (0..count).map(|n| format!(r#""d{n}": {}"#, to(n + 1))).collect();
                defs.push(format!(r#""d{count}": {{"items": {}, "type": ["array", "null"]}}"#, to(0)));
                let text = format!(r#"{{"$schema": "{draft}", "items": {}, "$defs": {{{}}}}}"#, to(0), defs.join(","));
                Schema::parse(&text).unwrap()
            };
            let nested = |depth: usize, value: &str| format!("{}{value}{}", "[".repeat(depth), "]".repeat(depth));
            let usual = chain(3);
            assert_eq!(check(&usual, &nested(127, "null")), Ok(()), "{draft}");
            let refused = check(&usual, &nested(40, "1")).unwrap_err();
            assert!(refused.message.contains("at /0/0/0"), "{draft}: {}", refused.message);
            let long = chain(1_500);
            for value in ["null", "1"] {
                let refused = check(&long, &nested(127, value)).unwrap_err();
                assert!(refused.message.contains("takes too long"), "{draft}: {}", refused.message);
            }
        }
    }

    #[test]
    fn counting_changes_no_verdict() {
        for (schema, good, bad) in [
            (r#"{"const": {"allOf": 1}}"#, r#"{"allOf": 1}"#, r#"{"allOf": [1]}"#),
            (r#"{"enum": [{"a": 1}]}"#, r#"{"a": 1}"#, r#"{"a": 1, "allOf": []}"#),
            (r#"{"properties": {"enum": {"type": "string"}}}"#, r#"{"enum": ""}"#, r#"{"enum": 1}"#),
            (r#"{"dependentRequired": {"a": ["b"]}}"#, r#"{"a": 1, "b": 1}"#, r#"{"a": 1}"#),
            (
                r##"{"allOf": [{"type": "object"}, {"required": ["a"]}], "properties": {"b": {"$ref": "#/allOf/1"}}}"##,
                r#"{"a": 1, "b": {"a": 1}}"#,
                r#"{"a": 1, "b": {}}"#,
            ),
            (
                r#"{"properties": {"a": true}, "anyOf": [{"properties": {"b": true}}], "unevaluatedProperties": false}"#,
                r#"{"a": 1, "b": 1}"#,
                r#"{"a": 1, "c": 1}"#,
            ),
            (
                r##"{"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/a", "type": "string",
                    "definitions": {"a": {"type": "number"}}}"##,
                "1",
                r#""""#,
            ),
        ] {
            let schema = Schema::parse(schema).unwrap();
            assert_eq!(check(&schema, good), Ok(()), "{schema:?}");
            assert!(check(&schema, bad).is_err(), "{schema:?}");
        }
        assert!(Schema::parse(r#"{"allOf": []}"#).is_err());
    }
}
