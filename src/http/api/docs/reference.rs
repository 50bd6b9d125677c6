//! The reference of the API, rendered from the specification.

use askama::Template;
use serde_json::Value;

use super::Frame;
use super::guide::ApiCall;
use super::html::{markdown, type_of};

#[derive(Template)]
#[template(path = "docs/reference.html")]
struct Page {
    frame: Frame,
    /// HTML, like every `about` and `kind`.
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

struct Call {
    id: String,
    method: String,
    path: String,
    title: String,
    about: String,
    scope: String,
    parameters: Vec<Field>,
    body: String,
    fields: Vec<Field>,
    curl: String,
    responses: Vec<Response>,
}

struct Field {
    name: String,
    place: String,
    required: bool,
    about: String,
    kind: String,
}

struct Response {
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
    /// Label of required fields: required in a request, always present in a response.
    required_label: &'static str,
    fields: Vec<Field>,
}

/// Renders the specification.
pub(super) fn render(frame: Frame, specification: &Value) -> String {
    let mut groups: Vec<Group> = elements(&specification["tags"])
        .map(|tag| Group {
            name: text(&tag["name"]),
            // A group and a call may have the same name.
            anchor: format!("group-{}", text(&tag["name"]).to_lowercase().replace(' ', "-")),
            about: markdown(&text(&tag["description"])),
            calls: Vec::new(),
        })
        .collect();
    for (path, methods) in entries(&specification["paths"]).chain(entries(&specification["webhooks"])) {
        for (method, operation) in entries(methods) {
            if let Some(group) = groups.iter_mut().find(|group| operation["tags"][0] == *group.name) {
                group.calls.push(call(specification, path, method, operation));
            }
        }
    }
    let types = entries(&specification["components"]["schemas"]).map(|(name, schema)| Named {
        name: name.clone(),
        about: markdown(&text(&schema["description"])),
        kind: if schema.get("properties").is_some() { String::new() } else { type_of(schema) },
        required_label: if schema["additionalProperties"] == false { "required" } else { "always present" },
        fields: fields(schema),
    });
    let page = Page {
        frame,
        about: text(&specification["info"]["description"]).split("\n\n").map(markdown).collect(),
        groups,
        types: types.collect(),
    };
    page.render().unwrap_or_else(|error| unreachable!("the page is text: {error}"))
}

/// Returns all calls, for links and for the search.
pub(super) fn calls(specification: &Value) -> Vec<ApiCall> {
    let paths = entries(&specification["paths"]);
    let operations = paths.flat_map(|(path, methods)| entries(methods).map(move |(method, call)| (path, method, call)));
    let calls = operations.map(|(path, method, operation)| ApiCall {
        id: text(&operation["operationId"]),
        name: format!("{} {path}", method.to_uppercase()),
        title: text(&operation["summary"]),
        about: text(&operation["description"]),
    });
    calls.collect()
}

fn call(specification: &Value, path: &str, method: &str, operation: &Value) -> Call {
    let parameters = elements(&operation["parameters"]).map(|parameter| Field {
        name: text(&parameter["name"]),
        place: text(&parameter["in"]),
        required: parameter["required"] == true,
        about: markdown(&text(&parameter["description"])),
        kind: type_of(&parameter["schema"]),
    });
    let body = operation.get("requestBody");
    let media = body.map_or(&Value::Null, |body| &body["content"]["application/json"]);
    let responses = entries(&operation["responses"]);
    Call {
        id: text(&operation["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        title: text(&operation["summary"]),
        about: markdown(&text(&operation["description"])),
        scope: text(&operation["security"][0]["bearer"][0]),
        parameters: parameters.collect(),
        body: body.map_or_else(String::new, |body| {
            let types: Vec<String> =
                entries(&body["content"]).map(|(name, _)| format!("<code>{name}</code>")).collect();
            let optional = if body["required"] == true { "" } else { " Optional." };
            format!("{}. {}{optional}", types.join(" or "), type_of(&media["schema"]))
        }),
        fields: fields(resolve(specification, &media["schema"])),
        curl: curl(path, method, operation, media.get("example")),
        responses: responses.map(|(status, value)| response(status, resolve(specification, value))).collect(),
    }
}

fn response(status: &str, response: &Value) -> Response {
    let media = entries(&response["content"]).next();
    let schema = media.map_or(&Value::Null, |(_, media)| &media["schema"]);
    let codes = &schema["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"];
    let example = media.and_then(|(_, media)| media.get("example"));
    let name = media.map(|(name, _)| format!("<code>{name}</code>")).unwrap_or_default();
    Response {
        status: status.to_owned(),
        about: markdown(&text(&response["description"])),
        kind: if codes.is_array() { String::new() } else { [name, type_of(schema)].join(" ") },
        codes: elements(codes).map(text).collect(),
        example: example.map(|example| format!("{example:#}")).unwrap_or_default(),
    }
}

fn fields(schema: &Value) -> Vec<Field> {
    let is_required = |name: &String| elements(&schema["required"]).any(|required| required == name);
    entries(&schema["properties"])
        .map(|(name, schema)| Field {
            name: name.clone(),
            place: String::new(),
            required: is_required(name),
            about: markdown(&text(&schema["description"])),
            kind: type_of(schema),
        })
        .collect()
}

/// Returns a command line that makes the call.
fn curl(path: &str, method: &str, operation: &Value, body: Option<&Value>) -> String {
    let method = match (method, body) {
        ("get", _) | ("post", Some(_)) => String::new(),
        (method, _) => format!(" -X {}", method.to_uppercase()),
    };
    let mut line = format!("curl -s{method} \"$HOOKPOST{}\"", with_variables(path));
    if elements(&operation["security"]).next().is_some() {
        line.push_str(" \\\n  -H \"Authorization: Bearer $KEY\"");
    }
    if let Some(body) = body {
        let body = body.to_string().replace('\'', "'\\''");
        line.push_str(&format!(" \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'"));
    }
    line
}

/// Returns a path with shell variables in place of its parameters.
fn with_variables(path: &str) -> String {
    let parts = path.split('/').map(|part| {
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        name.map_or_else(|| part.to_owned(), |name| format!("${}", name.to_uppercase()))
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Returns the target of a reference; any other value itself.
fn resolve<'a>(specification: &'a Value, value: &'a Value) -> &'a Value {
    let target = value.get("$ref").and_then(Value::as_str);
    target.and_then(|target| specification.pointer(target.trim_start_matches('#'))).unwrap_or(value)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
