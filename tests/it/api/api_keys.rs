//! `/v1/api-keys`.

use hookpost::domain::time::{DAY, HOUR, MINUTE, SECOND};
use hookpost::store::api_key::Scope;
use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{error, error_in, ids, names};
use crate::support::Hub;
use crate::support::hub::Answer;

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
    let fields = [
        "id",
        "name",
        "scope",
        "tenant",
        "profile",
        "prefix",
        "rate_limit_per_s",
        "created_at",
        "created_by",
        "expires_at",
        "last_used_at",
    ];
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
    let rotate = format!("{path}/rotate");
    for (method, path, body) in [
        ("GET", KEYS, None),
        ("POST", KEYS, Some(body)),
        ("POST", rotate.as_str(), Some("{}")),
        ("DELETE", path.as_str(), None),
    ] {
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
        ("expires_at", json!("soon"), "invalid_time"),
        ("expires_at", json!("2026-01-15T10:00:00Z"), "invalid_expires_at"),
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

/// Lists the webhooks with a key.
fn use_key(hub: &Hub, key: &Value) -> Answer {
    hub.call_with(key["key"].as_str().unwrap(), "GET", "/v1/webhooks", None)
}

/// Checks that a key is refused because it has expired.
#[track_caller]
fn assert_expired(hub: &Hub, key: &Value, at: &str) {
    let error = error(&use_key(hub, key), 401, "unauthorized");
    assert!(error["message"].as_str().unwrap().contains(&format!("expired at {at}")), "{error}");
}

#[test]
fn a_key_is_refused_from_its_end_on_and_the_list_shows_it() {
    let hub = Hub::start();
    let made = make(&hub, &json!({"name": "a", "scope": "read", "expires_at": "2026-01-15T12:00:00+01:00"}));
    assert_eq!(made["expires_at"], "2026-01-15T11:00:00.000Z");
    assert_eq!(made["created_by"], "API key test");
    hub.advance(HOUR - 1);
    use_key(&hub, &made).expect(200);
    hub.advance(1);
    assert_expired(&hub, &made, "2026-01-15T11:00:00Z");
    let listed = hub.get(KEYS).json();
    assert_eq!(listed["data"][0]["expires_at"], "2026-01-15T11:00:00.000Z");
}

#[test]
fn a_rotated_key_works_until_the_overlap_ends_beside_one_with_the_same_permissions() {
    let hub = Hub::start();
    let body = json!({"name": "shop", "scope": "read", "tenant": "ours", "profile": "github", "rate_limit_per_s": 50,
        "expires_at": "2026-02-14T10:00:00Z"});
    let old = make(&hub, &body);
    let path = format!("{KEYS}/{}/rotate", old["id"].as_str().unwrap());
    hub.advance(10 * DAY);
    let new = hub.post(&path, &json!({"overlap_s": 3600})).expect(201).json();
    for name in ["name", "scope", "tenant", "profile", "rate_limit_per_s"] {
        assert_eq!(new[name], old[name], "{name}");
    }
    assert_eq!(new["expires_at"], "2026-02-24T10:00:00.000Z", "as long as the old one");
    assert_ne!(new["key"], old["key"]);
    let listed = hub.get(KEYS).json()["data"].clone();
    assert_eq!((&listed[0]["id"], &listed[1]["id"]), (&new["id"], &old["id"]));
    assert_eq!(listed[1]["expires_at"], "2026-01-25T11:00:00.000Z");
    hub.advance(HOUR - 1);
    use_key(&hub, &old).expect(200);
    use_key(&hub, &new).expect(200);
    hub.advance(1);
    assert_expired(&hub, &old, "2026-01-25T11:00:00Z");
    use_key(&hub, &new).expect(200);
    // A key that ends before the overlap keeps its end, and the new one ends a day later for a default overlap.
    let path = format!("{KEYS}/{}/rotate", new["id"].as_str().unwrap());
    hub.advance(30 * DAY - 2 * HOUR);
    hub.post(&path, &json!({})).expect(201);
    let listed = hub.get(KEYS).json()["data"].clone();
    assert_eq!(listed[1]["expires_at"], new["expires_at"]);
}

#[test]
fn a_rotation_without_overlap_revokes_the_old_key() {
    let hub = Hub::start();
    let old = make(&hub, &json!({"name": "a", "scope": "read"}));
    let path = format!("{KEYS}/{}/rotate", old["id"].as_str().unwrap());
    for wrong in [json!(-1), json!(604_801)] {
        error_in(&hub.post(&path, &json!({"overlap_s": wrong})), 422, "out_of_range", "overlap_s");
    }
    let new = hub.post(&path, &json!({"overlap_s": 0})).expect(201).json();
    assert_eq!(new["expires_at"], Value::Null);
    error(&use_key(&hub, &old), 401, "unauthorized");
    use_key(&hub, &new).expect(200);
    assert_eq!(ids(&hub.get(KEYS)).len(), 2);
    error(&hub.post(&path, &json!({})), 404, "not_found");
}

#[test]
fn scanners_recognize_a_key_and_a_wrong_checksum_costs_no_look_up() {
    let hub = Hub::start();
    let made = make(&hub, &json!({"name": "a", "scope": "read"}));
    let text = made["key"].as_str().unwrap();
    let random = text.strip_prefix("hookpost_").unwrap();
    assert!(random.len() == 38 && random.chars().all(|c| c.is_ascii_alphanumeric()), "{text}");
    let last = if text.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{last}", &text[..text.len() - 1]);
    // A look-up would find it.
    let connection = Connection::open(hub.database()).unwrap();
    let hash = Sha256::digest(&wrong);
    assert_eq!(connection.execute("UPDATE api_key SET hash = ?1 WHERE name = 'a'", [hash.as_slice()]), Ok(1));
    error(&hub.call_with(&wrong, "GET", "/v1/webhooks", None), 401, "unauthorized");
}

#[test]
fn a_key_of_an_earlier_version_goes_on_working() {
    let hub = Hub::start();
    let old = "hp_4fJ8QwG1nC0bY3uV7kXz2mRtPqLs-a_D";
    let connection = Connection::open(hub.database()).unwrap();
    let insert = "INSERT INTO api_key (id, name, scope, prefix, hash, created_ms)
                  VALUES (x'00112233445566778899aabbccddeeff', 'old', 'read', 'hp_4fJ8Qw', ?1, 0)";
    connection.execute(insert, [Sha256::digest(old).as_slice()]).unwrap();
    hub.call_with(old, "GET", "/v1/webhooks", None).expect(200);
    let listed = hub.get(KEYS).json()["data"][0].clone();
    assert_eq!(listed["created_by"], Value::Null);
    let new = hub.post(&format!("{KEYS}/{}/rotate", listed["id"].as_str().unwrap()), &json!({})).expect(201).json();
    assert!(new["key"].as_str().unwrap().starts_with("hookpost_"));
}
