//! String literals, patterns and expressions of each language.

use super::Language;
use super::choice::{Check, SignaturePosition, TimestampPosition};

/// Returns a string literal.
pub fn text(language: Language, text: &str) -> String {
    let json = || serde_json::to_string(text).expect("text is always JSON");
    match language {
        Language::Php => format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'")),
        Language::Ruby if text.is_ascii() => json().replace('#', r"\#"),
        // Bytes beside the bytes of a body.
        Language::Ruby => format!("{}.b", json().replace('#', r"\#")),
        Language::Rust => format!("{text:?}"),
        Language::Node | Language::Python | Language::Go => json(),
    }
}

/// Returns a header's name as a literal, in the form that the language's requests use.
pub fn header(language: Language, name: &str) -> String {
    match language {
        Language::Node | Language::Rust => text(language, &name.to_ascii_lowercase()),
        Language::Php | Language::Ruby => {
            let name = name.to_ascii_uppercase().replace('-', "_");
            text(language, &format!("HTTP_{name}"))
        }
        Language::Python | Language::Go => text(language, name),
    }
}

/// Returns a regular expression that takes the header's value apart.
pub fn pattern(language: Language, place: &SignaturePosition) -> String {
    let (signature, timestamp) = ("(.+)", "([0-9]{1,12})");
    let parts = match &place.timestamp {
        None => signature.to_owned(),
        Some(TimestampPosition::First(between)) => format!("{timestamp}{}{signature}", escaped(between)),
        Some(TimestampPosition::Last(between)) => format!("{signature}{}{timestamp}", escaped(between)),
    };
    let inner = format!("{}{parts}{}", escaped(&place.before), escaped(&place.after));
    match language {
        Language::Node => format!("/^{inner}$/"),
        Language::Python => format!("r\"^{inner}$\""),
        Language::Php => text(language, &format!("/^{inner}$/")),
        Language::Ruby => format!(r"/\A{inner}\z/"),
        Language::Go | Language::Rust => text(language, &format!("^{inner}$")),
    }
}

/// Escapes every character that is special in a regular expression of any of the languages.
fn escaped(literal: &str) -> String {
    let mut text = String::with_capacity(literal.len());
    for c in literal.chars() {
        if !c.is_ascii_alphanumeric() && !" ,=:;_-".contains(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Returns the variables that the parts of the value are assigned to.
pub fn groups(language: Language, place: &SignaturePosition) -> &'static str {
    let (only, timestamp_first, signature_first) = match language {
        Language::Node | Language::Ruby => ("given", "timestamp, given", "given, timestamp"),
        Language::Python => ("(given,)", "timestamp, given", "given, timestamp"),
        Language::Php => ("$given", "$timestamp, $given", "$given, $timestamp"),
        Language::Rust => ("given", "(timestamp, given)", "(given, timestamp)"),
        Language::Go => {
            ("given = parts[1]", "timestamp, given := parts[1], parts[2]", "given, timestamp := parts[1], parts[2]")
        }
    };
    match place.timestamp {
        None => only,
        Some(TimestampPosition::First(_)) => timestamp_first,
        Some(TimestampPosition::Last(_)) => signature_first,
    }
}

/// Returns the Rust expression that takes the value apart, without a regular expression.
pub fn rust_parts(place: &SignaturePosition) -> String {
    if place.is_whole() {
        return ".as_str()".to_owned();
    }
    let mut code = String::new();
    for (call, text) in [("strip_prefix", &place.before), ("strip_suffix", &place.after)] {
        if !text.is_empty() {
            code.push_str(&format!(".{call}({text:?})?"));
        }
    }
    match &place.timestamp {
        None => code,
        Some(TimestampPosition::First(between)) => format!("{code}.split_once({between:?})?"),
        Some(TimestampPosition::Last(between)) => format!("{code}.rsplit_once({between:?})?"),
    }
}

/// Returns the code that concatenates the signed content or feeds it to the MAC.
pub fn signed(language: Language, check: &Check) -> String {
    let (before, after) = check.spec.content.split_once("{body}").unwrap_or((&check.spec.content, ""));
    let (before, after) = (terms(language, before, check), terms(language, after, check));
    match language {
        Language::Node => {
            let update = |terms: &[String]| {
                if terms.is_empty() { String::new() } else { format!(".update({})", terms.join(" + ")) }
            };
            format!("{}.update(body){}", update(&before), update(&after))
        }
        Language::Python => {
            let encoded = |terms: &[String]| match terms {
                [] => None,
                [one] => Some(format!("{one}.encode()")),
                several => Some(format!("({}).encode()", several.join(" + "))),
            };
            let parts = [encoded(&before), Some("body".to_owned()), encoded(&after)];
            parts.into_iter().flatten().collect::<Vec<_>>().join(" + ")
        }
        Language::Go => {
            let write = |terms: &[String]| {
                if terms.is_empty() { None } else { Some(format!("io.WriteString(mac, {})", terms.join("+"))) }
            };
            let writes = [write(&before), Some("mac.Write(body)".to_owned()), write(&after)];
            writes.into_iter().flatten().collect::<Vec<_>>().join("\n\t\t")
        }
        Language::Php | Language::Ruby => {
            let (body, plus) = match language {
                Language::Php => ("$body", " . "),
                _ => ("body", " + "),
            };
            let all = before.into_iter().chain([body.to_owned()]).chain(after);
            all.collect::<Vec<_>>().join(plus)
        }
        Language::Rust => {
            let bytes = |term: String| format!("mac.update({term}.as_bytes());");
            let all = before.into_iter().map(bytes);
            let all = all.chain(["mac.update(body);".to_owned()]);
            let all = all.chain(after.into_iter().map(bytes));
            all.collect::<Vec<_>>().join("\n    ")
        }
    }
}

/// Returns the variables and literals on one side of the body, in order.
fn terms(language: Language, content: &str, check: &Check) -> Vec<String> {
    let id_header = check.id_header.as_deref().unwrap_or_default();
    let (id, timestamp) = match language {
        Language::Php => ("$id".to_owned(), "$timestamp"),
        Language::Python => ("event_id".to_owned(), "timestamp"),
        Language::Go => (format!("header.Get({})", header(language, id_header)), "timestamp"),
        _ => ("id".to_owned(), "timestamp"),
    };
    let mut terms = Vec::new();
    let mut rest = content;
    while let Some(at) = rest.find('{') {
        if at > 0 {
            terms.push(text(language, &rest[..at]));
        }
        let end = rest[at..].find('}').map_or(rest.len(), |end| at + end + 1);
        terms.push(match &rest[at..end] {
            "{id}" => id.clone(),
            "{timestamp}" => timestamp.to_owned(),
            literal => text(language, literal),
        });
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        terms.push(text(language, rest));
    }
    terms
}
