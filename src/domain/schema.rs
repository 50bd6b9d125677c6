//! JSON Schemas that event data is validated against.
//!
//! A schema never fetches anything, and its regular expressions run in linear time: validation costs grow with the data
//! alone.

use std::fmt;

use jsonschema::{PatternOptions, Retrieve, Uri, ValidationError, Validator};
use serde_json::Value;

use super::Invalid;

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
        let value: Value =
            serde_json::from_str(text).map_err(|error| invalid(format!("The schema is not JSON: {error}.")))?;
        if !matches!(value, Value::Object(_) | Value::Bool(_)) {
            return Err(invalid("A schema must be an object, true or false.".to_owned()));
        }
        let patterns = PatternOptions::regex().size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES);
        let validator =
            jsonschema::options().with_retriever(FetchNothing).with_pattern_options(patterns).build(&value).map_err(
                |error| {
                    invalid(format!(
                        "This is not a usable JSON Schema: {}. References must stay within the schema (#/$defs/…).",
                        describe(&error)
                    ))
                },
            )?;
        Ok(Schema { text: text.into(), validator })
    }

    /// Original text of the schema.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Validates JSON. The error names the violations by JSON pointer (RFC 6901).
    pub fn check(&self, data: &str) -> Result<(), Invalid> {
        let violation = |text: String| Invalid::new("schema_violation", text);
        let value: Value =
            serde_json::from_str(data).map_err(|error| violation(format!("The data cannot be read: {error}.")))?;
        let mut errors = self.validator.iter_errors(&value);
        let named: Vec<String> = errors.by_ref().take(NAMED).map(|error| describe(&error)).collect();
        if named.is_empty() {
            return Ok(());
        }
        let more = match errors.next() {
            Some(_) => "; and more",
            None => "",
        };
        Err(violation(format!("The data does not match the schema of its event type: {}{more}.", named.join("; "))))
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

    #[test]
    fn a_violation_says_where_and_names_the_first_few() {
        let schema = Schema::parse(
            r##"{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"},
                "lines": {"items": {"$ref": "#/$defs/line"}}}, "$defs": {"line": {"type": "string"}}}"##,
        )
        .unwrap();
        assert_eq!(schema.check(r#"{"id": 1, "lines": ["a"]}"#), Ok(()));
        let broken = schema.check(r#"{"id": "x", "lines": ["a", 2, 3, 4, 5]}"#).unwrap_err();
        assert_eq!(broken.code, "schema_violation");
        for part in ["/id", "/lines/1", "and more"] {
            assert!(broken.message.contains(part), "{}", broken.message);
        }
        let missing = schema.check("{}").unwrap_err().message;
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
                let _ = schema.check(r#"{"a": [1]}"#);
            }
        }
        let tree = Schema::parse(r##"{"properties": {"next": {"$ref": "#"}, "n": {"type": "number"}}}"##);
        let deep = format!("{}{{\"n\": \"\"}}{}", r#"{"next": "#.repeat(120), "}".repeat(120));
        assert!(tree.unwrap().check(&deep).is_err());
    }
}
