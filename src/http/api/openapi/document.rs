//! The document around the calls.

use serde_json::{Map, Value, json};

use crate::http::api::openapi::call::Call;
use crate::http::api::openapi::schemas::Schemas;
use crate::http::api::table::Table;

/// Codes of errors: stable words, part of the API.
pub(in super::super) type Codes = &'static [&'static str];

const ABOUT: &str = "\
Hookpost stores events, signs them, delivers them to every webhook that subscribed, and shows what happened.

**Keys.** Send an API key as `Authorization: Bearer <key>` or as `X-API-Key: <key>`. Its scope says what it may do: \
`publish` publishes events, `read` makes every GET but those of secrets, keys and backups, `admin` does everything. \
A key is for all tenants or for one; what belongs to another tenant does not exist for it.

**Errors** have one form, `{\"error\": {\"code\", \"message\", \"field\"}}`, under every path. The code is a stable word, the \
message says what happened and what to do, and the field is named where there is one. A path that does not exist is \
a 404, a method that a path does not take a 405 with `Allow`. Fields and parameters that are not known are a 422 that \
names them.

**Lists** are newest first, in pages: `limit` says how long they are, `next_cursor` of one is the `cursor` of the next, \
and null on the last.

**Again.** An event's own `id` makes publishing it safe to repeat for as long as the event is stored, an \
`Idempotency-Key` does for 24 hours.

**Request ids.** Every answer carries `X-Request-Id`: the caller's own, where it sent one of 1 to 64 of \
`A-Z a-z 0-9 _ -`, else a new one. The server's log names it.

**Limits.** A body has 1 MiB at most (the server's `--max-body` sets it), a batch 16 MiB; JSON is nested 128 levels \
deep at most. A key may have a limit of requests a second; beyond it the answer is a 429 with `Retry-After`.";

/// The groups of calls, in the order of the page.
const TAGS: [(&str, &str); 9] = [
    ("Events", "What happened, as the application hands it over."),
    ("Webhooks", "URLs that subscribed to event types. They answer under `/api/webhooks` too."),
    ("Secrets", "What deliveries are signed with."),
    ("Tests", "Deliveries that a person asks for, answered with what came back."),
    ("Deliveries", "One event bound for one webhook, with every attempt."),
    ("Event types", "Descriptions, examples and schemas of event types; all tenants share them."),
    ("Profiles", "How deliveries look: envelope, signatures, headers, retries."),
    ("Keys and backups", "For keys that have the scope `admin` for all tenants."),
    ("Health and documentation", "Needs no key."),
];

/// What the answers of every call share.
fn common_responses() -> Value {
    let error = |description: &str, codes: Codes, headers: Map<String, Value>| {
        let mut response = json!({
            "description": description,
            "content": {"application/json": {"schema": codes_schema(codes)}},
        });
        if !headers.is_empty() {
            response["headers"] = headers.into();
        }
        response
    };
    let challenge = json!({"WWW-Authenticate": {"required": true, "schema": {"type": "string", "const": "Bearer"}}});
    let challenge = challenge.as_object().cloned().unwrap_or_default();
    json!({
        "Malformed": error(
            "What came is no JSON, or came too slowly.",
            &["malformed_json", "body_too_slow", "incomplete_body"],
            Map::new(),
        ),
        "TooLarge": error("The body is too large.", &["too_large"], Map::new()),
        "WrongMediaType": error(
            "The body is of another kind.",
            &["unsupported_media_type", "unsupported_encoding"],
            Map::new(),
        ),
        "Unauthorized": error("No key, or none that exists.", &["unauthorized"], challenge),
        "Forbidden": error("The key's scope is too small, or it is for another tenant.", &["forbidden"], Map::new()),
        "TooManyRequests": error(
            "More requests than the key may make; `Retry-After` says when to come again.",
            &["rate_limited"],
            retry_after(),
        ),
        "Internal": error("A fault of the server. Its log tells more, under the id in the message.", &["internal_error"], Map::new()),
        "Unavailable": error(
            "It may work in a moment: the disk is full, the database is held, or the server stops.",
            UNAVAILABLE,
            retry_after(),
        ),
    })
}

const UNAVAILABLE: Codes =
    &["disk_full", "database_busy", "overloaded", "stopping", "store_unavailable", "interrupted"];

/// The header of a 429 and of a 503.
pub(super) fn retry_after() -> Map<String, Value> {
    let header = json!({
        "description": "Seconds to wait before the call is made again.",
        "required": true,
        "schema": {"type": "integer", "minimum": 0},
    });
    Map::from_iter([("Retry-After".to_owned(), header)])
}

/// The form of errors, with the codes that it may hold.
pub(super) fn codes_schema(codes: &[&str]) -> Value {
    json!({
        "allOf": [
            {"$ref": "#/components/schemas/Error"},
            {"type": "object", "properties": {"error": {"type": "object", "properties": {"code": {"enum": codes}}}}},
        ],
    })
}

/// The specification of everything in the table.
pub(super) fn of(table: Table) -> Value {
    let mut schemas = Schemas::new();
    schemas.shown::<super::super::super::error::ErrorBody<'static>>();
    let mut paths = Map::new();
    for path in table.paths {
        let mut calls = Map::new();
        for entry in path.calls {
            let mut call = Call::new(&mut schemas, &path.path);
            (entry.describe)(&mut call);
            let operation = call.finish(&entry.method);
            let operation = serde_json::to_value(operation).expect("an operation is plain data");
            calls.insert(entry.method.as_str().to_ascii_lowercase(), operation);
        }
        paths.insert(path.path, calls.into());
    }
    let tags = TAGS.map(|(name, description)| json!({"name": name, "description": description}));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hookpost",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key; `hookpost keys create` makes the first one."},
                "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key in a header of its own."},
            },
            "responses": common_responses(),
        },
    });
    schemas.settle(&mut document);
    document
}
