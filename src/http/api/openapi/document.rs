//! The document around the operations.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::received;
use super::schemas::Schemas;
use crate::http::api::table::Table;
use crate::http::error::{ErrorBody, PROBLEM_JSON};

/// Error codes. They are stable: part of the API.
pub(in super::super) type Codes = &'static [&'static str];

const ABOUT: &str = "\
Hookpost stores events, signs them, delivers them to every subscribed webhook, and shows the result.

**Authentication.** Send an API key as `Authorization: Bearer <key>` or as `X-API-Key: <key>`. Its scope sets the \
permissions: `publish` publishes events, `read` allows every GET except those of secrets, keys and backups, `admin` \
allows everything. A key is for all tenants or for one; a tenant's key cannot see other tenants' resources.

**Errors** have one form under every path, `application/problem+json` (RFC 9457). `code` is stable, `detail` states the \
problem and the fix, `field` names the invalid field or parameter, and `errors` lists all problems of a request. The object \
`error` repeats `code`, `field` and, as `message`, the detail. An unknown path is a 404, \
an unsupported method a 405 with `Allow`. Unknown fields and parameters are a 422 that names them.

**Lists** are sorted newest first and paginated: `limit` sets the page size, and `next_cursor` of a page is the `cursor` \
of the next. It is null on the last page.

**Idempotency.** An event's own `id` makes publishing safe to retry for as long as the event is stored; an \
`Idempotency-Key` header does so for 24 hours.

**Filters.** A webhook's `filter` is JSON in the shape of an event, with `type`, `tenant`, `id`, `data` and \
`previous_data`: `{\"data\": {\"amount\": {\"$gte\": 100}, \"tags\": \"urgent\"}}`. All conditions must hold. The syntax is \
Hookdeck's (npm `simple-json-match`): a value equals the field or an element of its array; a list means that each is an \
element. Operators are `$eq`, `$neq`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`, `$nin` (a list, or part of a text), \
`$startsWith`, `$endsWith`, `$exist`, and `$or`, `$and` and `$not`, which take conditions. `$changed` compares a field below \
`data` with `previous_data`. Numbers compare by all their digits. A filter has at most 16 KiB, 16 levels and 500 conditions; an \
event whose filter cannot be decided within about 20 milliseconds is delivered.

**Request ids.** Every response has an `X-Request-Id` header: the caller's own id if it sent one of 1 to 64 characters \
`A-Z a-z 0-9 _ -`, otherwise a new one. The server's log contains it.

**Limits.** A body is at most 1 MiB (the server's `--max-body`), a batch at most 16 MiB. JSON is nested at most 128 \
levels deep. A key may have a rate limit, and each tenant \
has limits, which `GET /v1/stats` shows; beyond them the response is a 429 with `Retry-After`, or a 422 for a webhook too many.

**Aliases.** Every path under `/v1/webhooks` is also available under `/api/webhooks`.";

/// Groups of operations, in the order of the documentation.
const TAGS: [(&str, &str); 15] = [
    ("Events", "Events that the application publishes."),
    ("Webhooks", "URLs that subscribe to event types. Paths under `/v1/webhooks` also work under `/api/webhooks`."),
    ("Secrets", "Secrets that sign deliveries."),
    ("Tests", "Test deliveries, returned with the endpoint's response."),
    ("Deliveries", "One event for one webhook, with every attempt."),
    ("Incidents", "The trouble of endpoints, from the first failures until deliveries succeed again."),
    ("Contacts", "People and systems that are told about incidents."),
    ("Search", "Anything by an id, a name or text in events."),
    ("Event types", "Descriptions, examples and schemas of event types, shared by all tenants."),
    (
        "Profiles",
        "Formats of deliveries: envelope or template, signatures, headers, retries. A template is a text in the language of MiniJinja. `{{ data.title }}` prints a value: in JSON as JSON, and between quotation marks as text. `{% if %}`, `{% for %}`, `{% set %}` and `{% with %}` are its statements. It can use `event` (`id`, `type`, `tenant`, `created_at`, `created_unix`, `test`), `data`, `previous_data` and `webhook` (`id`, `description`), and in headers `delivery.id` and `attempt.timestamp`.",
    ),
    ("Inbox", "The built-in receiver of a tenant."),
    ("Tenants", "Customers of the application, each with what it has."),
    ("Keys and backups", "Require a key for all tenants with the scope `admin`."),
    ("Received deliveries", "Requests that your webhooks receive, by profile."),
    ("Health and documentation", "No key required."),
];

/// Error responses shared by many operations.
fn common_responses() -> Value {
    let error = |description: &str, codes: Codes, headers: Map<String, Value>| {
        let mut response = error_response(description, codes);
        if !headers.is_empty() {
            response["headers"] = headers.into();
        }
        response
    };
    let challenge = json!({"WWW-Authenticate": {"required": true, "schema": {"type": "string", "const": "Bearer"}}});
    let challenge = challenge.as_object().cloned().unwrap_or_default();
    json!({
        "Malformed": error(
            "Invalid JSON, or the body arrived too slowly.",
            &["malformed_json", "body_too_slow", "incomplete_body"],
            Map::new(),
        ),
        "TooLarge": error("The body is too large.", &["too_large"], Map::new()),
        "WrongMediaType": error(
            "Unsupported media type or encoding of the body.",
            &["unsupported_media_type", "unsupported_encoding"],
            Map::new(),
        ),
        "Unauthorized": error("Missing or unknown API key.", &["unauthorized"], challenge),
        "Forbidden": error("The key lacks the scope, or is for another tenant.", &["forbidden"], Map::new()),
        "TooManyRequests": error(
            "Rate limit exceeded; see `Retry-After`.",
            &["rate_limited"],
            retry_after(),
        ),
        "Internal": error("Internal error. The server's log has details under the request id in the message.", &["internal_error"], Map::new()),
        "Unavailable": error(
            "Temporarily unavailable: the disk is full, the database is locked, or the server is stopping.",
            UNAVAILABLE,
            retry_after(),
        ),
    })
}

const UNAVAILABLE: Codes =
    &["disk_full", "database_busy", "overloaded", "stopping", "store_unavailable", "interrupted"];

/// Returns the `Retry-After` header of 429 and 503 responses.
pub(super) fn retry_after() -> Map<String, Value> {
    let header = json!({
        "description": "Seconds to wait before retrying.",
        "required": true,
        "schema": {"type": "integer", "minimum": 0},
    });
    Map::from_iter([("Retry-After".to_owned(), header)])
}

/// Returns the response of an error with one of these codes. They are an extension and part of the text: a schema that
/// listed them would be a type of its own for each call in generated clients.
pub(super) fn error_response(description: &str, codes: &[&str]) -> Value {
    let named: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    json!({
        "description": format!("{description} Codes: {}.", named.join(", ")),
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
        "x-error-codes": codes,
    })
}

/// Builds the specification of all routes.
pub(super) fn build(table: Table) -> Value {
    let mut schemas = Schemas::new();
    schemas.response::<ErrorBody<'static>>();
    let mut paths = Map::new();
    for path in table.paths {
        let mut calls = Map::new();
        for entry in path.calls {
            let mut call = Call::new(&mut schemas);
            (entry.describe)(&mut call);
            if entry.keeps_answer {
                call.keeps_answer();
            }
            let operation = serde_json::to_value(call.finish()).expect("an operation is plain data");
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
        "webhooks": received::webhooks(),
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key. `hookpost keys create` creates the first one."},
                "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The API key in its own header."},
            },
            "responses": common_responses(),
        },
    });
    schemas.insert_into(&mut document);
    document
}
