//! Errors of JSON bodies and queries, in the words of the API instead of those of the parser.

use serde::Deserialize;
use serde::de::value::MapDeserializer;
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

use super::error::ApiError;
use crate::domain::Invalid;
use crate::domain::json::Fields;

/// Problems that one response lists.
const MOST: usize = 20;
/// Longest body whose further problems are looked for, in bytes: it is parsed once for each.
const LONGEST: usize = 64 << 10;

/// Describes the first problem of a body, at a path such as `retry.delays_s[0]`; 400 if the body is not JSON.
pub fn of_body(error: &serde_json::Error, path: &str) -> ApiError {
    if error.classify() != Category::Data {
        let place = match (error.line(), error.column()) {
            (0, _) => String::new(),
            (line, column) => format!(" at line {line}, column {column}"),
        };
        let fault = if error.is_eof() { "ends too early" } else { "is not valid JSON" };
        return ApiError::malformed("malformed_json", format!("The body {fault}{place}."));
    }
    let text = error.to_string();
    describe(text.split(" at line ").next().unwrap_or_default(), "field").within(path.trim_matches(['.', '?']))
}

/// Describes an unknown query parameter.
pub fn of_query(text: &str) -> ApiError {
    let name = quoted(text).next().unwrap_or_default().to_owned();
    let message = match text.strip_prefix("unknown field ") {
        Some(rest) => unknown("parameter", rest),
        None => format!("Invalid query: {text}."),
    };
    ApiError::invalid("unknown_parameter", message).in_field(name)
}

/// Returns all problems of an object, one per field, the first one first. Each found field is left out of the next look.
pub fn all_of_body<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Vec<Invalid> {
    let mut found = Vec::new();
    if body.len() > LONGEST {
        return found;
    }
    let Ok(fields) = serde_json::from_slice::<Fields<&'de RawValue>>(body) else { return found };
    let mut fields = fields.0;
    while found.len() < MOST {
        let entries = fields.iter().map(|(name, value)| (name.as_str(), *value));
        let parsed = serde_path_to_error::deserialize::<_, T>(MapDeserializer::new(entries));
        let Err(error) = parsed else { break };
        let path = error.path().to_string();
        let top = match error.path().iter().next() {
            Some(Segment::Map { key }) => key.clone(),
            _ => quoted(&error.inner().to_string()).next().unwrap_or_default().to_owned(),
        };
        found.push(of_body(error.inner(), &path).into_invalid());
        let before = fields.len();
        fields.retain(|(name, _)| *name != top);
        if fields.len() == before {
            break;
        }
    }
    found
}

/// Translates a sentence of serde.
fn describe(text: &str, noun: &str) -> ApiError {
    let name = quoted(text).next().unwrap_or_default();
    if let Some(rest) = text.strip_prefix("unknown field ") {
        return ApiError::invalid("unknown_field", unknown(noun, rest)).in_field(name);
    }
    if text.starts_with("missing field ") {
        return Invalid::missing_field(name).into();
    }
    if text.starts_with("duplicate field ") {
        return ApiError::invalid("duplicate_field", format!("The field {name} appears twice.")).in_field(name);
    }
    let message = if let Some(rest) = text.strip_prefix("unknown variant ") {
        let known: Vec<&str> = quoted(rest).skip(1).collect();
        format!("{name:?} is not one of {}.", known.join(", "))
    } else if let Some(rest) = ["invalid type: ", "invalid value: "].iter().find_map(|start| text.strip_prefix(start)) {
        let (found, expected) = rest.rsplit_once(", expected ").unwrap_or((rest, "another value"));
        format!("Must be {}, not {}.", kind(expected), value(found))
    } else {
        let mut letters = text.chars();
        let first = letters.next().unwrap_or_default().to_uppercase();
        format!("{first}{}.", letters.as_str().trim_end_matches('.'))
    };
    ApiError::invalid("invalid_type", message)
}

/// Describes an unknown name from "`x`, expected one of `a`, `b`".
fn unknown(noun: &str, rest: &str) -> String {
    let mut names = quoted(rest);
    let name = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    match known.as_slice() {
        [] => format!("Unknown {noun} {name}."),
        known => format!("Unknown {noun} {name}. Valid {noun}s: {}.", known.join(", ")),
    }
}

/// Returns the parts of a sentence between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns the JSON name of an expected type of serde or Rust.
fn kind(expected: &str) -> &str {
    match expected {
        "a sequence" | "a list" => "an array",
        "a map" | "string or map" => "an object",
        "a borrowed string" | "string" | "variant identifier" => "a string",
        "f64" | "f32" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "any valid JSON value" => "a value",
        text if text.starts_with("struct ") || text.starts_with("enum ") => "an object",
        text => text,
    }
}

/// Returns the JSON name of a found value. A text is not quoted: it may be a secret.
fn value(found: &str) -> &str {
    match found.split(' ').next().unwrap_or_default() {
        "sequence" => "an array",
        "map" => "an object",
        "string" | "character" => "a string",
        "null" | "unit" => "null",
        _ => quoted(found).next().unwrap_or("another value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::WebhookSettings;

    fn problems(body: &str) -> Vec<(String, String)> {
        let all = all_of_body::<WebhookSettings>(body.as_bytes());
        all.into_iter().map(|one| (one.field.unwrap_or_default(), one.message)).collect()
    }

    fn pair(field: &str, message: &str) -> (String, String) {
        (field.to_owned(), message.to_owned())
    }

    #[test]
    fn all_problems_of_a_body_are_found_in_the_words_of_json() {
        let body = r#"{"url": 5, "events": "*", "timeout_s": -1, "ordered": "yes", "headers": [], "description": null,
            "retry": {"delays_s": [1, {}]}, "auth": "x", "rate_limit_per_s": 1.5}"#;
        assert_eq!(
            problems(body),
            [
                pair("url", "Must be a string, not 5."),
                pair("events", "Must be an array, not a string."),
                pair("timeout_s", "Must be a whole number within its range, not -1."),
                pair("ordered", "Must be a boolean, not a string."),
                pair("headers", "Must be an object, not an array."),
                pair("retry.delays_s[1]", "Must be a number, not an object."),
                pair("auth", "Must be an object, not a string."),
                pair("rate_limit_per_s", "Must be a whole number within its range, not 1.5."),
            ]
        );
        assert_eq!(problems("{}"), []);
    }

    #[test]
    fn unknown_fields_and_values_name_the_valid_ones() {
        let all = problems(r#"{"uri": "x", "signing": "rsa"}"#);
        assert_eq!(all.len(), 2);
        assert!(all[0].1.starts_with("Unknown field uri. Valid fields: url, events, "), "{all:?}");
        assert_eq!(all[1], pair("signing", "\"rsa\" is not one of hmac, ed25519, both."));
    }

    #[test]
    fn text_that_is_not_json_is_located() {
        let error = serde_json::from_str::<serde_json::Value>("{\"a\": 1,\n x}").unwrap_err();
        assert_eq!(of_body(&error, "").message(), "The body is not valid JSON at line 2, column 2.");
        let error = serde_json::from_str::<serde_json::Value>("{\"a\": ").unwrap_err();
        assert_eq!(of_body(&error, "").message(), "The body ends too early at line 1, column 6.");
    }

    #[test]
    fn a_long_body_or_many_problems_cost_a_bounded_time() {
        let long = format!(r#"{{"url": 5, "description": "{}"}}"#, "x".repeat(LONGEST));
        assert_eq!(problems(&long), []);
        let fields: Vec<String> = (0..1_000).map(|number| format!("\"x{number}\": 1")).collect();
        assert_eq!(problems(&format!("{{{}}}", fields.join(","))).len(), MOST);
    }
}
