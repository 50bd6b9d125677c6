//! Schemas and texts of the specification in words, as HTML.

use serde_json::Value;

/// Text as HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

/// The little of Markdown that the specification has: `code` and **bold**.
pub(super) fn marked(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            html.push_str(&code(part));
            continue;
        }
        for (index, part) in part.split("**").enumerate() {
            match index % 2 {
                1 => html.push_str(&format!("<strong>{}</strong>", escaped(part))),
                _ => html.push_str(&escaped(part)),
            }
        }
    }
    html
}

/// What a value of this schema is: a type, its bounds, its default. Empty where it may be anything.
pub(super) fn kind(schema: &Value) -> String {
    let mut parts = vec![shape(schema)];
    parts.extend(bounds(schema));
    if let Some(default) = schema.get("default") {
        parts.push(format!("{} where left out", code(&default.to_string())));
    }
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() { String::new() } else { format!("<span class=\"needed\">{}.</span>", parts.join("; ")) }
}

/// The type alone.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = escaped(name.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#type-{name}\">{name}</a>");
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(choices) = schema.get(word).and_then(Value::as_array)
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

/// One of several, its bounds with it.
fn choice(schema: &Value) -> String {
    let shape = shape(schema);
    match bounds(schema) {
        bounds if bounds.is_empty() => shape,
        bounds => format!("{shape} ({})", bounds.join(", ")),
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
        for (schema, told) in [
            (json!({"type": "integer", "minimum": 1, "maximum": 30}), "integer; 1 to 30."),
            (json!({"type": ["string", "null"], "maxLength": 9}), "string or null; at most 9 characters."),
            (json!({"enum": ["a", null]}), "one of <code>a</code>, <code>null</code>."),
            (json!({"type": "array", "items": {"$ref": "#/x/Y"}}), "array of <a href=\"#type-Y\">Y</a>."),
        ] {
            assert_eq!(kind(&schema), format!("<span class=\"needed\">{told}</span>"));
        }
        assert_eq!(kind(&json!({})), "");
    }

    #[test]
    fn what_the_specification_says_is_text_on_the_page() {
        assert_eq!(marked("a `<b>` **c** & d"), "a <code>&lt;b&gt;</code> <strong>c</strong> &amp; d");
    }
}
