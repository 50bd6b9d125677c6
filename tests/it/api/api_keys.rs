//! `/v1/api-keys`.

use hookpost::domain::time::{MINUTE, SECOND};
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, error_in, ids, names};
use crate::support::Hub;

const KEYS: &str = "/v1/api-keys";

fn make(hub: &Hub, body: &Value) -> Value {
    hub.post(KEYS, body).expect(201).json()
}

fn last_used(hub: &Hub, id: &Value) -> Value {
    // The writer commits in order, so every use before this event is recorded afterwards.
    hub.publish("a.b", json!({}));
    let keys = hub.get(KEYS).expect(200).json();
    let mut keys = keys["data"].as_array().unwrap().iter();
    keys.find(|key| key["id"] == *id).unwrap()["last_used_at"].clone()
}

#[test]
fn a_key_is_shown_once_and_works_until_it_is_revoked() {
    let hub = Hub::start();
    let body = json!({"name": "shop", "scope": "read", "tenant": "ours", "profile": "github"});
    let made = make(&hub, &body);
    let fields =
        ["id", "name", "scope", "tenant", "profile", "prefix", "rate_limit_per_s", "created_at", "last_used_at"];
    let mut all = fields.to_vec();
    all.push("key");
    assert_eq!(names(&made), all);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name}");
    }
    let text = made["key"].as_str().unwrap();
    assert!(text.starts_with(made["prefix"].as_str().unwrap()), "{made}");
    hub.call_with(text, "GET", "/v1/events", None).expect(200);
    error(&hub.call_with(text, "GET", KEYS, None), 403, "forbidden");
    let list = hub.get(KEYS);
    assert!(!list.text.contains(text));
    assert_eq!(names(&list.json()["data"][0]), fields);
    let path = format!("{KEYS}/{}", made["id"].as_str().unwrap());
    assert_eq!(hub.delete(&path).expect(204).text, "");
    error(&hub.call_with(text, "GET", "/v1/events", None), 401, "unauthorized");
    error(&hub.delete(&path), 404, "not_found");
    assert_eq!(ids(&hub.get(KEYS)).len(), 1);
}

#[test]
fn keys_are_listed_newest_first_by_pages() {
    let hub = Hub::start();
    let made: Vec<Value> = (0..3).map(|n| make(&hub, &json!({"name": format!("k{n}"), "scope": "publish"}))).collect();
    let first = hub.get(&format!("{KEYS}?limit=2"));
    assert_eq!(json!(ids(&first)), json!([made[2]["id"], made[1]["id"]]));
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let rest = ids(&hub.get(&format!("{KEYS}?limit=2&cursor={cursor}")));
    assert_eq!(rest.len(), 2);
    assert_eq!(json!(rest[0]), made[0]["id"]);
    error_in(&hub.get(&format!("{KEYS}?limit=0")), 422, "invalid_limit", "limit");
    error_in(&hub.get(&format!("{KEYS}?name=a")), 422, "unknown_parameter", "name");
}

#[test]
fn keys_are_the_business_of_an_all_tenant_admin() {
    let hub = Hub::start();
    let made = make(&hub, &json!({"name": "a", "scope": "read"}));
    let path = format!("{KEYS}/{}", made["id"].as_str().unwrap());
    let tenant = hub.make_key(Scope::Admin, Some("ours"), None);
    let body = r#"{"name": "b", "scope": "read", "tenant": "ours"}"#;
    for (method, path, body) in [("GET", KEYS, None), ("POST", KEYS, Some(body)), ("DELETE", path.as_str(), None)] {
        error(&hub.call_with(&tenant, method, path, body), 403, "forbidden");
    }
    hub.call_with(made["key"].as_str().unwrap(), "GET", "/v1/events", None).expect(200);
}

#[test]
fn each_field_of_a_key_that_breaks_its_rule_is_named() {
    let hub = Hub::start();
    for (name, value, code) in [
        ("name", json!(""), "invalid_name"),
        ("name", json!("a".repeat(129)), "invalid_name"),
        ("name", json!("a\nb"), "invalid_name"),
        ("name", json!(5), "invalid_type"),
        ("scope", json!("root"), "invalid_value"),
        ("tenant", json!("a b"), "invalid_tenant"),
        ("profile", json!("nobody"), "unknown_profile"),
        ("nonsense", json!(1), "unknown_field"),
    ] {
        let mut body = json!({"name": "a", "scope": "read"});
        body[name] = value;
        error_in(&hub.post(KEYS, &body), 422, code, name);
    }
    error_in(&hub.post(KEYS, &json!({"name": "a"})), 422, "missing_field", "scope");
    for id in ["key_1", "wh_01KF0000000000000000000000", "key_01KF0000000000000000000000", "%00"] {
        error(&hub.delete(&format!("{KEYS}/{id}")), 404, "not_found");
    }
    assert_eq!(ids(&hub.get(KEYS)).len(), 1);
}

#[test]
fn a_key_may_carry_a_profile_that_people_made() {
    let hub = Hub::start();
    hub.call_with(&hub.key, "PUT", "/v1/profiles/mine", Some(r#"{"based_on": "generic"}"#)).expect(201);
    let made = make(&hub, &json!({"name": "a", "scope": "admin", "profile": "mine"}));
    let body = json!({"url": "http://127.0.0.1:9/", "events": ["*"]}).to_string();
    let webhook = hub.call_with(made["key"].as_str().unwrap(), "POST", "/v1/webhooks", Some(&body));
    assert_eq!(webhook.expect(201).json()["profile"], "mine");
}

#[test]
fn the_last_use_of_a_key_is_noted_at_most_once_a_minute() {
    let hub = Hub::start();
    let made = make(&hub, &json!({"name": "a", "scope": "read"}));
    let (id, key) = (&made["id"], made["key"].as_str().unwrap());
    let use_it = || drop(hub.call_with(key, "GET", "/v1/events", None).expect(200));
    assert_eq!(last_used(&hub, id), Value::Null);
    use_it();
    assert_eq!(last_used(&hub, id), "2026-01-15T10:00:00.000Z");
    hub.advance(MINUTE - SECOND);
    use_it();
    assert_eq!(last_used(&hub, id), "2026-01-15T10:00:00.000Z");
    hub.advance(SECOND);
    use_it();
    assert_eq!(last_used(&hub, id), "2026-01-15T10:01:00.000Z");
}
