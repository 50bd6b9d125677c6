//! The API from its clients' side: one file per resource, or per theme common to all of them.

mod answers;
mod api_keys;
mod audit;
pub mod backup;
mod bad_json;
mod bad_strings;
mod batch;
mod bulk;
mod busy_readers;
mod contacts;
mod content_filters;
mod deliveries;
mod docs;
mod edge;
mod endpoint_auth;
mod erase;
mod errors;
mod event_ids;
mod event_types;
mod events;
mod export;
mod feed;
mod filters;
mod health;
mod hosts;
mod idempotency;
mod incidents;
mod keys;
mod known_webhooks;
mod lists;
mod long_rows;
mod masks;
mod merge_patch;
mod metrics;
mod openapi;
mod own_tls;
mod portal_links;
mod rate_limits;
mod replay;
mod request_ids;
mod search;
mod secrets;
mod security_txt;
mod slow_clients;
mod stats;
mod targets;
mod tenant_deletion;
mod tenant_limits;
mod tenant_list;
mod tenants;
mod test_calls;
mod versions;
mod waiting_calls;
mod webhooks;

use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::hub::Answer;

/// Every call that requires a key: method, path with placeholders (`{w}`, `{e}`, `{d}` and `{k}` for ids), and scope.
const CALLS: [(&str, &str, Scope); 43] = [
    ("POST", "/v1/events", Scope::Publish),
    ("POST", "/v1/events/batch", Scope::Publish),
    ("GET", "/v1/events", Scope::Read),
    ("GET", "/v1/events/{e}", Scope::Read),
    ("POST", "/v1/events/{e}/replay", Scope::Admin),
    ("POST", "/v1/webhooks", Scope::Admin),
    ("POST", "/api/webhooks", Scope::Admin),
    ("POST", "/v1/webhooks/settings", Scope::Admin),
    ("GET", "/v1/webhooks", Scope::Read),
    ("GET", "/api/webhooks", Scope::Read),
    ("GET", "/v1/webhooks/{w}", Scope::Read),
    ("GET", "/api/webhooks/{w}", Scope::Read),
    ("PATCH", "/v1/webhooks/{w}", Scope::Admin),
    ("GET", "/v1/webhooks/{w}/secret", Scope::Admin),
    ("POST", "/v1/webhooks/{w}/secret/rotate", Scope::Admin),
    ("POST", "/v1/webhooks/{w}/test", Scope::Admin),
    ("POST", "/v1/webhooks/{w}/replay", Scope::Admin),
    ("POST", "/api/webhooks/{w}/replay", Scope::Admin),
    ("POST", "/v1/webhooks/test", Scope::Admin),
    ("POST", "/api/webhooks/test", Scope::Admin),
    ("GET", "/v1/deliveries", Scope::Read),
    ("GET", "/v1/deliveries/{d}", Scope::Read),
    ("GET", "/v1/deliveries/{d}/attempts", Scope::Read),
    ("POST", "/v1/deliveries/{d}/retry", Scope::Admin),
    ("POST", "/v1/deliveries/{d}/discard", Scope::Admin),
    ("POST", "/v1/deliveries/retry", Scope::Admin),
    ("POST", "/v1/deliveries/discard", Scope::Admin),
    ("GET", "/v1/search?q=order", Scope::Read),
    ("GET", "/v1/stats", Scope::Read),
    ("GET", "/v1/webhooks/{w}/stats", Scope::Read),
    ("GET", "/api/webhooks/{w}/stats", Scope::Read),
    ("GET", "/v1/dead-letters", Scope::Read),
    ("GET", "/v1/dead-letters/export", Scope::Read),
    ("GET", "/v1/tenants", Scope::Read),
    ("GET", "/v1/audit", Scope::Admin),
    ("GET", "/v1/audit/export", Scope::Admin),
    ("GET", "/v1/api-keys", Scope::Admin),
    ("POST", "/v1/api-keys", Scope::Admin),
    ("POST", "/v1/api-keys/{k}/rotate", Scope::Admin),
    ("GET", "/v1/api-keys/{k}", Scope::Admin),
    ("DELETE", "/v1/api-keys/{k}", Scope::Admin),
    // Last, because they erase the event and delete the webhook.
    ("DELETE", "/v1/events/{e}", Scope::Admin),
    ("DELETE", "/v1/webhooks/{w}", Scope::Admin),
];

/// Ids of a webhook, an event, the delivery between them, and an API key.
struct Ids {
    webhook: String,
    event: String,
    delivery: String,
    api_key: String,
}

impl Ids {
    /// Creates them in a tenant.
    fn in_tenant(hub: &Hub, tenant: &str, url: &str) -> Ids {
        let webhook = hub.add_webhook_with(url, &json!({"tenant": tenant}));
        let event = json!({"type": "order.paid", "data": {}, "tenant": tenant});
        let receipt = hub.post("/v1/events", &event).expect(202).json();
        let key = json!({"name": "listed", "scope": "read"});
        let api_key = hub.post("/v1/api-keys", &key).expect(201).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Ids {
            webhook,
            event: text(&receipt["id"]),
            delivery: text(&receipt["deliveries"][0]["id"]),
            api_key: text(&api_key["id"]),
        }
    }

    /// Replaces the placeholders of a path.
    fn fill(&self, path: &str) -> String {
        path.replace("{w}", &self.webhook)
            .replace("{e}", &self.event)
            .replace("{d}", &self.delivery)
            .replace("{k}", &self.api_key)
    }
}

/// Returns a valid body for the call at this path, if it has one.
fn body_for(path: &str, url: &str) -> Value {
    match path {
        "/v1/events" => json!({"type": "order.paid", "data": {}}),
        "/v1/events/batch" => json!([{"type": "order.paid", "data": {}}]),
        "/v1/webhooks/{w}/replay" | "/api/webhooks/{w}/replay" => {
            json!({"since": "2026-01-15T10:00:00Z"})
        }
        "/v1/api-keys" => json!({"name": "made", "scope": "read"}),
        "/v1/deliveries/retry" | "/v1/deliveries/discard" => json!({"all": true}),
        "/v1/webhooks" | "/api/webhooks" | "/v1/webhooks/settings" => {
            json!({"url": url, "events": ["order.*"]})
        }
        "/v1/webhooks/test" | "/api/webhooks/test" => json!({"event": "order.paid"}),
        _ => json!({}),
    }
}

/// Checks the status, the code and the format of an error. Returns the error.
#[track_caller]
fn error(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text);
    let form = answer.json();
    let error = &form["error"];
    assert_eq!(error["code"], code, "{form}");
    let message = error["message"].as_str().unwrap();
    let ends_well =
        message.ends_with('.') || message.contains("--allow-target") || message.ends_with("No setting opens it");
    assert!(message.len() > 10 && ends_well, "no sentence: {message}");
    assert!(matches!(error["field"], Value::Null | Value::String(_)));
    assert!(answer.text.len() < 8_000, "an error should be short");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!((&form["detail"], &form["code"], &form["field"]), (&error["message"], &error["code"], &error["field"]));
    assert_eq!(form["status"], status);
    assert!(form["type"].as_str().unwrap().ends_with(&format!("/docs/errors#{code}")), "{form}");
    assert!(!form["title"].as_str().unwrap().is_empty());
    assert_eq!(form["request_id"].as_str(), answer.header("x-request-id"));
    let first = form["errors"].get(0);
    assert_eq!(first, (status == 422).then_some(error), "{form}");
    error.clone()
}

/// Like [`error`], and checks the field.
#[track_caller]
fn error_in(answer: &Answer, status: u16, code: &str, field: &str) {
    let error = error(answer, status, code);
    assert_eq!(error["field"], field, "{error}");
}

/// Ids in a list.
#[track_caller]
fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let rows = answer.json()["data"].as_array().unwrap().clone();
    let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
    rows.iter().map(id).collect()
}

/// Numbers of webhooks, events and deliveries.
fn rows(hub: &Hub) -> [usize; 3] {
    ["webhooks", "events", "deliveries"].map(|of| ids(&hub.get(&format!("/v1/{of}?limit=250"))).len())
}

/// Names of an object's fields, in order.
fn names(of: &Value) -> Vec<&str> {
    let object = of.as_object().unwrap_or_else(|| panic!("no object: {of}"));
    object.keys().map(String::as_str).collect()
}
