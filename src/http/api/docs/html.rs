//! Schemas and texts of the specification as HTML.

use serde_json::Value;

/// Escapes a text for HTML.
pub(super) fn escaped(text: &str) -> String {
    // `&` first: it begins every reference.
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    html.replace('"', "&quot;").replace('\'', "&#39;")
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

/// Converts the Markdown of the specification: `code` and **bold**.
pub(super) fn markdown(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            html.push_str(&code(part));
            continue;
        }
        for (index, part) in part.split("**").enumerate() {
            let part = escaped(part);
            html.push_str(&if index % 2 == 1 { format!("<strong>{part}</strong>") } else { part });
        }
    }
    html
}

/// Returns the type, bounds and default of a schema. Empty for a schema that allows anything.
pub(super) fn type_of(schema: &Value) -> String {
    let mut parts = vec![type_name(schema)];
    parts.extend(bounds(schema));
    if let Some(default) = schema.get("default") {
        parts.push(format!("default {}", code(&default.to_string())));
    }
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() { String::new() } else { format!("<span class=\"needed\">{}.</span>", parts.join("; ")) }
}

fn type_name(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = escaped(name.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#type-{name}\">{name}</a>");
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(choices) = schema.get(key).and_then(Value::as_array)
            && schema.get("properties").is_none()
        {
            let choices: Vec<String> = choices.iter().map(choice).collect();
            return choices.join(" or ");
        }
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words.iter().map(value).collect();
        return format!("one of {}", words.join(", "));
    }
    if let Some(only) = schema.get("const") {
        return value(only);
    }
    match schema.get("type") {
        Some(Value::String(name)) => named(name, schema),
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            let names: Vec<String> = names.map(|name| named(name, schema)).collect();
            names.join(" or ")
        }
        _ => String::new(),
    }
}

/// Returns a type with its bounds in parentheses.
fn choice(schema: &Value) -> String {
    let name = type_name(schema);
    match bounds(schema) {
        bounds if bounds.is_empty() => name,
        bounds => format!("{name} ({})", bounds.join(", ")),
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::String(text) => code(text),
        other => code(&other.to_string()),
    }
}

fn named(name: &str, schema: &Value) -> String {
    let inner = |key: &str| schema.get(key).filter(|inner| inner.is_object()).map(choice);
    match name {
        "array" => match inner("items") {
            Some(items) if !items.is_empty() => format!("array of {items}"),
            _ => "array".to_owned(),
        },
        "object" => match inner("additionalProperties") {
            Some(values) if !values.is_empty() => format!("object of {values}"),
            _ => "object".to_owned(),
        },
        name => name.to_owned(),
    }
}

fn bounds(schema: &Value) -> Vec<String> {
    let number =
        |key: &str| schema.get(key).map(|bound| bound.as_f64().map_or_else(|| bound.to_string(), |n| n.to_string()));
    let range = |low: &str, high: &str, unit: &str| {
        let text = match (number(low), number(high)) {
            (Some(low), Some(high)) => format!("{low} to {high}"),
            (Some(low), None) if low != "0" => format!("at least {low}"),
            (None, Some(high)) => format!("at most {high}"),
            _ => return None,
        };
        Some(format!("{text}{unit}"))
    };
    let mut all: Vec<String> = [
        range("minimum", "maximum", ""),
        range("minLength", "maxLength", " characters"),
        range("minItems", "maxItems", " elements"),
        range("minProperties", "maxProperties", " entries"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        all.push(escaped(format));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        all.push(code(pattern));
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_told_with_its_bounds() {
        for (schema, text) in [
            (json!({"type": "integer", "minimum": 1, "maximum": 30}), "integer; 1 to 30."),
            (json!({"type": ["string", "null"], "maxLength": 9}), "string or null; at most 9 characters."),
            (json!({"enum": ["a", null]}), "one of <code>a</code>, <code>null</code>."),
            (json!({"type": "array", "items": {"$ref": "#/x/Y"}}), "array of <a href=\"#type-Y\">Y</a>."),
        ] {
            assert_eq!(type_of(&schema), format!("<span class=\"needed\">{text}</span>"));
        }
        assert_eq!(type_of(&json!({})), "");
    }

    #[test]
    fn what_the_specification_says_is_text_on_the_page() {
        assert_eq!(markdown("a `<b>` **c** & d"), "a <code>&lt;b&gt;</code> <strong>c</strong> &amp; d");
    }
}
