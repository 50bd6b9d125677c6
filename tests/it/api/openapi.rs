//! The specification and the server agree.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::error;
use crate::support::Hub;
use hookpost::domain::event::{EventId, EventType, Tenant};
use hookpost::domain::pattern::EventPattern;
use hookpost::domain::secret::Secret;
use hookpost::store::api_key::Scope;

/// The specification as last reviewed.
const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi.json");

/// A call of the specification.
pub struct Call {
    method: String,
    pub path: String,
    pub operation: Value,
}

impl Call {
    /// Path with its parameters filled in. The documentation needs no key, so it has a page that exists.
    fn filled(&self) -> String {
        let value = if self.path.starts_with("/docs/") { "api" } else { "none" };
        let parts = self.path.split('/').map(|part| if part.starts_with('{') { value } else { part });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Required scope, if the call requires a key.
    fn scope(&self) -> Option<&str> {
        let security = self.operation["security"].as_array().unwrap();
        security.first().map(|by| by["bearer"][0].as_str().unwrap())
    }
}

pub fn specification(hub: &Hub) -> Value {
    hub.send("GET", "/openapi.json", &[], b"").expect(200).json()
}

pub fn calls(specification: &Value) -> Vec<Call> {
    let mut all = Vec::new();
    for (path, methods) in specification["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push(Call { method: method.to_uppercase(), path: path.clone(), operation: operation.clone() });
        }
    }
    assert!(all.len() > 40, "calls are missing");
    all
}

#[test]
fn a_change_of_the_specification_is_one_that_somebody_read() {
    let hub = Hub::start();
    let served = format!("{:#}\n", specification(&hub));
    if std::env::var_os("HOOKPOST_UPDATE_OPENAPI").is_some() {
        std::fs::write(SNAPSHOT, &served).unwrap();
    }
    let read = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    let differs = read.lines().zip(served.lines()).position(|(a, b)| a != b);
    let at = differs.unwrap_or(read.lines().count().min(served.lines().count()));
    assert!(
        read == served,
        "The API's specification is another one than in tests/openapi.json, from line {} on:\n- {}\n+ {}\n\
         If that is meant, run this test with HOOKPOST_UPDATE_OPENAPI=1, and read what git diff shows.",
        at + 1,
        read.lines().nth(at).unwrap_or_default(),
        served.lines().nth(at).unwrap_or_default(),
    );
}

#[test]
fn every_call_of_the_specification_is_served_and_no_other() {
    let hub = Hub::start();
    let specification = specification(&hub);
    let calls = calls(&specification);
    for call in &calls {
        // The specification mentions the aliases under /api only in its description.
        let path = call.filled();
        let alias = path.strip_prefix("/v1/webhooks").map(|rest| format!("/api/webhooks{rest}"));
        for path in [Some(path.clone()), alias].into_iter().flatten() {
            let answer = hub.send(&call.method, &path, &[], b"");
            match call.scope() {
                Some(_) => drop(error(&answer, 401, "unauthorized")),
                None => drop(answer.expect(200)),
            }
        }
    }
    assert!(calls.iter().all(|call| !call.path.starts_with("/api/")));
    assert!(specification["info"]["description"].as_str().unwrap().contains("`/api/webhooks`"));
    let paths: BTreeSet<&str> = calls.iter().map(|call| call.path.as_str()).collect();
    for path in paths {
        let known: Vec<&Call> = calls.iter().filter(|call| call.path == path).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if known.iter().any(|call| call.method == method) {
                continue;
            }
            let answer = hub.send(method, &known[0].filled(), &[], b"");
            error(&answer, 405, "method_not_allowed");
            let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(", ").collect();
            allowed.sort_unstable();
            let mut methods: Vec<&str> = known.iter().map(|call| call.method.as_str()).collect();
            if methods.contains(&"GET") {
                methods.push("HEAD");
            }
            methods.sort_unstable();
            assert_eq!(allowed, methods, "{path}");
        }
    }
}

#[test]
fn the_calls_that_other_tests_know_are_in_the_specification() {
    let hub = Hub::start();
    let specification = specification(&hub);
    let calls = calls(&specification);
    for (method, path, scope) in super::CALLS {
        let shape = |path: &str| -> Vec<String> {
            let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
            path.split('/').map(part).collect()
        };
        let path = path.split('?').next().unwrap_or_default().replace("/api/", "/v1/");
        let found = calls.iter().find(|call| call.method == method && shape(&call.path) == shape(&path));
        let found = found.unwrap_or_else(|| panic!("{method} {path} is missing"));
        assert_eq!(found.scope(), Some(scope.into_str()), "{method} {path}");
    }
}

#[test]
fn each_call_needs_the_scope_that_the_specification_says() {
    let hub = Hub::start();
    let specification = specification(&hub);
    for scope in [Scope::Publish, Scope::Read] {
        let key = hub.make_key(scope, None, None);
        for call in calls(&specification) {
            let Some(needed) = call.scope() else { continue };
            let answer = hub.call_with(&key, &call.method, &call.filled(), Some("{"));
            let refused = answer.status == 403;
            assert_eq!(
                refused,
                needed != scope.into_str(),
                "{} {} with {scope}: {}",
                call.method,
                call.path,
                answer.text
            );
        }
    }
}

#[test]
fn every_example_keeps_to_its_schema() {
    let hub = Hub::start();
    let specification = specification(&hub);
    let mut checked = 0;
    for call in calls(&specification) {
        let name = format!("{} {}", call.method, call.path);
        let mut media: Vec<&Value> = Vec::new();
        let body = &call.operation["requestBody"]["content"];
        media.extend(body.as_object().into_iter().flat_map(|all| all.values()));
        for answer in call.operation["responses"].as_object().unwrap().values() {
            let content = answer["content"].as_object();
            media.extend(content.into_iter().flat_map(|all| all.values()));
        }
        for media in media {
            let mut schema = media["schema"].clone();
            schema["components"] = specification["components"].clone();
            let validator = jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
            if let Some(example) = media.get("example") {
                let errors: Vec<String> = validator.iter_errors(example).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{name}: {errors:#?}");
                checked += 1;
            }
        }
    }
    assert!(checked > 50, "examples are missing");
}

#[test]
fn examples_of_bodies_are_taken() {
    let hub = Hub::start();
    let specification = specification(&hub);
    for call in calls(&specification) {
        let example = &call.operation["requestBody"]["content"]["application/json"]["example"];
        if example.is_null() {
            continue;
        }
        let path = match call.path.replace("{name}", "shop") {
            path if path.contains('{') => continue,
            path => path,
        };
        let answer = hub.call_with(&hub.key, &call.method, &path, Some(&example.to_string()));
        let wanted = call.operation["responses"].get(answer.status.to_string());
        assert!(wanted.is_some() && answer.status < 300, "{path}: {}", answer.text);
    }
}

/// Whether a text is a valid value of a type.
type Parses = fn(&str) -> bool;

#[test]
fn patterns_and_lengths_say_what_the_parsers_do() {
    let hub = Hub::start();
    let specification = specification(&hub);
    let long = "a".repeat(128);
    let longer = "a".repeat(129);
    let [below, too_far_below] = [126, 127].map(|length| format!("{}.*", "a".repeat(length)));
    let texts = [
        "",
        "a",
        "A-1_b",
        "a.b",
        "a..b",
        ".a",
        "a.",
        "*",
        "a.*",
        "*.a",
        "a.*.b",
        "a b",
        "é",
        "a\n",
        "~",
        &long,
        &longer,
        &below,
        &too_far_below,
        "hunter2!",
        &long[..64],
        &long[..65],
    ];
    let parses: [(&str, Parses); 5] = [
        ("TenantName", |text| text.parse::<Tenant>().is_ok()),
        ("EventTypeName", |text| text.parse::<EventType>().is_ok()),
        ("EventTypePattern", |text| text.parse::<EventPattern>().is_ok()),
        ("EventId", |text| text.parse::<EventId>().is_ok()),
        ("SecretText", |text| text.parse::<Secret>().is_ok()),
    ];
    for (name, parses) in parses {
        let schema = &specification["components"]["schemas"][name];
        for text in texts {
            let is_valid = jsonschema::is_valid(schema, &json!(text));
            assert_eq!(is_valid, parses(text), "{name}: {text:?}");
        }
    }
}

#[test]
fn every_schema_is_described_and_none_has_what_generators_of_clients_reject() {
    let hub = Hub::start();
    let specification = specification(&hub);
    for (name, schema) in specification["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name}");
        check_for_generators(name, schema);
    }
    for (path, methods) in specification["paths"].as_object().unwrap() {
        check_for_generators(path, methods);
    }
    let profiles: Vec<&String> = specification["webhooks"].as_object().unwrap().keys().collect();
    assert!(profiles.len() >= 16 && profiles.iter().any(|name| *name == "irisync"), "{profiles:?}");
}

/// Fails on schemas that openapi-python-client, openapi-generator or openapi-typescript cannot read or read wrongly.
#[track_caller]
fn check_for_generators(place: &str, schema: &Value) {
    match schema {
        Value::Array(elements) => elements.iter().for_each(|element| check_for_generators(place, element)),
        Value::Object(fields) => {
            let properties = fields.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                assert!(property.is_object(), "{place}: {name} is no object");
                assert!(property.get("default").is_none(), "{place}: {name} has a default, which makes it required");
            }
            let is_array = fields.get("type").is_some_and(|kind| kind == "array");
            assert!(!is_array || fields.contains_key("items"), "{place}: an array without items");
            assert!(!fields.contains_key("allOf"), "{place}: allOf");
            fields.values().for_each(|value| check_for_generators(place, value));
        }
        _ => {}
    }
}
