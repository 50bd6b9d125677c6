//! The page, read from the specification.

use std::collections::BTreeMap;

use askama::Template;
use serde_json::Value;

use super::words::{kind, marked};

#[derive(Template)]
#[template(path = "docs.html")]
struct Page {
    version: String,
    /// As HTML, as is every `about` and `kind`.
    about: Vec<String>,
    groups: Vec<Group>,
    types: Vec<Named>,
}

struct Group {
    name: String,
    anchor: String,
    about: String,
    calls: Vec<Call>,
}

#[derive(Clone)]
struct Call {
    id: String,
    method: String,
    path: String,
    /// The path under `/api`, where there is one.
    also: String,
    title: String,
    about: String,
    scope: String,
    parameters: Vec<Field>,
    body: String,
    fields: Vec<Field>,
    curl: String,
    answers: Vec<ResponseView>,
}

#[derive(Clone)]
struct Field {
    name: String,
    place: String,
    required: bool,
    about: String,
    kind: String,
}

#[derive(Clone)]
struct ResponseView {
    status: String,
    about: String,
    kind: String,
    codes: Vec<String>,
    example: String,
}

struct Named {
    name: String,
    about: String,
    kind: String,
    /// What it means that a field is required: it must be there, or always is.
    always: &'static str,
    fields: Vec<Field>,
}

/// The specification as HTML.
pub(super) fn of(specification: &Value) -> String {
    let aliases = aliases(specification);
    let mut groups: Vec<Group> = each(&specification["tags"])
        .map(|tag| Group {
            name: text(&tag["name"]),
            anchor: text(&tag["name"]).to_lowercase().replace(' ', "-"),
            about: marked(&text(&tag["description"])),
            calls: Vec::new(),
        })
        .collect();
    for (path, methods) in entries(&specification["paths"]) {
        for (method, operation) in entries(methods) {
            let id = text(&operation["operationId"]);
            if id.starts_with("api_") {
                continue;
            }
            let also = aliases.get(&format!("api_{id}")).cloned();
            let call = call(specification, path, method, operation, also);
            let tag = text(&operation["tags"][0]);
            if let Some(group) = groups.iter_mut().find(|group| group.name == tag) {
                group.calls.push(call);
            }
        }
    }
    let page = Page {
        version: text(&specification["info"]["version"]),
        about: text(&specification["info"]["description"]).split("\n\n").map(marked).collect(),
        groups,
        types: entries(&specification["components"]["schemas"])
            .map(|(name, schema)| Named {
                name: name.clone(),
                about: marked(&text(&schema["description"])),
                kind: match schema.get("properties") {
                    Some(_) => String::new(),
                    None => kind(schema),
                },
                always: if schema["additionalProperties"] == Value::Bool(false) { "needed" } else { "always there" },
                fields: fields(schema),
            })
            .collect(),
    };
    page.render().unwrap_or_else(|error| unreachable!("the page is text: {error}"))
}

/// The paths of calls that are there twice, by their ids.
fn aliases(specification: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (path, methods) in entries(&specification["paths"]) {
        for (_, operation) in entries(methods) {
            all.insert(text(&operation["operationId"]), path.clone());
        }
    }
    all
}

fn call(specification: &Value, path: &str, method: &str, operation: &Value, also: Option<String>) -> Call {
    let parameters = each(&operation["parameters"]).map(|parameter| Field {
        name: text(&parameter["name"]),
        place: text(&parameter["in"]),
        required: parameter["required"] == true,
        about: marked(&text(&parameter["description"])),
        kind: kind(&parameter["schema"]),
    });
    let body = operation.get("requestBody");
    let media = body.map_or(&Value::Null, |body| &body["content"]["application/json"]);
    let schema = resolved(specification, &media["schema"]);
    let answers =
        entries(&operation["responses"]).map(|(status, answer)| self::answer(status, resolved(specification, answer)));
    Call {
        id: text(&operation["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        also: also.unwrap_or_default(),
        title: text(&operation["summary"]),
        about: marked(&text(&operation["description"])),
        scope: text(&operation["security"][0]["bearer"][0]),
        parameters: parameters.collect(),
        body: body.map_or_else(String::new, |body| {
            let types: Vec<String> =
                entries(&body["content"]).map(|(name, _)| format!("<code>{name}</code>")).collect();
            let optional = if body["required"] == true { "" } else { " It may be left out." };
            format!("{}. {}{optional}", types.join(" or "), kind(&media["schema"]))
        }),
        fields: fields(schema),
        curl: curl(path, method, operation, media.get("example")),
        answers: answers.collect(),
    }
}

fn answer(status: &str, answer: &Value) -> ResponseView {
    let media = entries(&answer["content"]).next();
    let schema = media.map_or(&Value::Null, |(_, media)| &media["schema"]);
    let codes = &schema["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"];
    let example = media.and_then(|(_, media)| media.get("example"));
    let name = media.map(|(name, _)| format!("<code>{name}</code>"));
    ResponseView {
        status: status.to_owned(),
        about: marked(&text(&answer["description"])),
        kind: if codes.is_array() { String::new() } else { [name.unwrap_or_default(), kind(schema)].join(" ") },
        codes: each(codes).map(text).collect(),
        example: example.map(pretty).unwrap_or_default(),
    }
}

fn fields(schema: &Value) -> Vec<Field> {
    let required: Vec<&Value> = each(&schema["required"]).collect();
    entries(&schema["properties"])
        .map(|(name, schema)| Field {
            name: name.clone(),
            place: String::new(),
            required: required.iter().any(|needed| *needed == name),
            about: marked(&text(&schema["description"])),
            kind: kind(schema),
        })
        .collect()
}

/// A command line that makes the call.
fn curl(path: &str, method: &str, operation: &Value, body: Option<&Value>) -> String {
    let method = match (method, body) {
        ("get", _) | ("post", Some(_)) => String::new(),
        (method, _) => format!(" -X {}", method.to_uppercase()),
    };
    let path = with_variables(path);
    let mut line = format!("curl -s{method} \"$HOOKPOST{path}\"");
    if !each(&operation["security"]).collect::<Vec<_>>().is_empty() {
        line.push_str(" \\\n  -H \"Authorization: Bearer $KEY\"");
    }
    if let Some(body) = body {
        line.push_str(" \\\n  -H 'Content-Type: application/json' \\\n  -d '");
        line.push_str(&body.to_string().replace('\'', "'\\''"));
        line.push('\'');
    }
    line
}

/// A path whose parameters are variables of a shell.
fn with_variables(path: &str) -> String {
    let parts = path.split('/').map(|part| {
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        name.map_or_else(|| part.to_owned(), |name| format!("${}", name.to_uppercase()))
    });
    parts.collect::<Vec<_>>().join("/")
}

/// What a reference leads to; anything else is itself.
fn resolved<'a>(specification: &'a Value, value: &'a Value) -> &'a Value {
    let target = value.get("$ref").and_then(Value::as_str);
    target.and_then(|target| specification.pointer(target.trim_start_matches('#'))).unwrap_or(value)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
