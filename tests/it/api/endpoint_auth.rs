//! The setting `auth` of webhooks.

use std::fs;

use hookpost::domain::header::MASK;
use hookpost::store::{Connection, beside};
use serde_json::{Value, json};

use super::error_in;
use crate::support::Hub;
use crate::support::receiver::Receiver;

const SECRET: &str = "hunter2-of-the-endpoint";

fn basic() -> Value {
    json!({"type": "basic", "username": "anna", "password": SECRET})
}

fn bearer() -> Value {
    json!({"type": "bearer", "token": SECRET})
}

fn oauth2() -> Value {
    json!({"type": "oauth2", "token_url": "http://127.0.0.1:9/token", "client_id": "a", "client_secret": SECRET})
}

/// The setting as responses show it.
fn masked(auth: &Value) -> Value {
    let mut masked = auth.clone();
    for secret in ["password", "token", "client_secret"] {
        if let Some(value) = masked.get_mut(secret) {
            *value = json!(MASK);
        }
    }
    if auth["type"] == "oauth2" {
        for (field, value) in [("scope", Value::Null), ("audience", Value::Null), ("client_auth", json!("basic"))] {
            masked[field] = value;
        }
    }
    masked
}

/// The setting as it is stored, open.
fn stored(hub: &Hub, id: &str) -> Value {
    let webhook =
        hub.running.app.actions.store.read(|connection| hookpost::store::webhook::get(connection, id.parse().unwrap()));
    webhook.unwrap().unwrap().auth.map_or(Value::Null, |auth| serde_json::to_value(auth.spec()).unwrap())
}

#[test]
fn credentials_are_masked_in_every_response_and_encrypted_in_the_database() {
    let hub = Hub::start();
    for auth in [basic(), bearer(), oauth2()] {
        let made = hub.create("http://127.0.0.1:9/", &json!({"auth": auth}));
        assert_eq!(made["auth"], masked(&auth));
        let id = made["id"].as_str().unwrap();
        let path = format!("/v1/webhooks/{id}");
        for answer in [hub.get(&path), hub.get("/v1/webhooks"), hub.patch(&path, &json!({"description": "x"}))] {
            let text = answer.expect(200).text;
            assert!(!text.contains(SECRET) && text.contains(MASK), "{text}");
        }
    }
    for path in [hub.database(), beside(&hub.database(), "-wal")] {
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{}", path.display());
    }
    let page = hub.administrator().page("/settings/audit");
    assert!(page.contains("created the webhook") && !page.holds(SECRET));
}

#[test]
fn a_masked_value_keeps_the_stored_one_and_null_removes_it() {
    let hub = Hub::start();
    for auth in [basic(), bearer(), oauth2()] {
        let id = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"auth": auth}));
        let path = format!("/v1/webhooks/{id}");
        let before = stored(&hub, &id);
        hub.patch(&path, &json!({"auth": hub.webhook(&id)["auth"], "url": "http://127.0.0.1:9/other"})).expect(200);
        assert_eq!(stored(&hub, &id), before);
        hub.patch(&path, &json!({"auth": null})).expect(200);
        assert_eq!((stored(&hub, &id), &hub.webhook(&id)["auth"]), (Value::Null, &Value::Null));
        error_in(&hub.patch(&path, &json!({"auth": masked(&auth)})), 422, "invalid_auth", &secret_of(&auth));
    }
}

/// Field of the secret of a setting.
fn secret_of(auth: &Value) -> String {
    let names = ["password", "token", "client_secret"];
    let name = names.iter().find(|name| auth.get(*name).is_some()).unwrap();
    format!("auth.{name}")
}

#[test]
fn a_stored_secret_is_not_sent_to_another_origin_unless_it_is_given_again() {
    let hub = Hub::start();
    for auth in [basic(), bearer(), oauth2()] {
        let id = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"auth": auth}));
        let path = format!("/v1/webhooks/{id}");
        for change in [
            json!({"url": "http://localhost:9/"}),
            json!({"url": "http://127.0.0.1:10/"}),
            json!({"url": "http://localhost:9/", "auth": masked(&auth)}),
        ] {
            error_in(&hub.patch(&path, &change), 422, "invalid_auth", &secret_of(&auth));
            assert_eq!(hub.webhook(&id)["url"], "http://127.0.0.1:9/");
        }
        hub.patch(&path, &json!({"url": "http://localhost:9/", "auth": auth})).expect(200);
        hub.patch(&path, &json!({"url": "http://127.0.0.1:9/", "auth": null})).expect(200);
    }
    // The client secret goes to the token endpoint.
    let id = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"auth": oauth2()}));
    let path = format!("/v1/webhooks/{id}");
    let mut moved = masked(&oauth2());
    moved["token_url"] = json!("http://localhost:9/token");
    error_in(&hub.patch(&path, &json!({"auth": moved})), 422, "invalid_auth", "auth.client_secret");
    moved["token_url"] = json!("http://127.0.0.1:9/v2/token");
    hub.patch(&path, &json!({"auth": moved})).expect(200);
    assert_eq!(stored(&hub, &id)["client_secret"], SECRET);
}

#[test]
fn each_fault_of_the_setting_is_named() {
    let hub = Hub::start();
    let with = |auth: Value, field: &str, value: Value| {
        let mut auth = auth;
        auth[field] = value;
        auth
    };
    for (auth, code, field) in [
        (with(basic(), "username", json!("a:b")), "invalid_auth", "auth.username"),
        (with(basic(), "password", json!("")), "invalid_auth", "auth.password"),
        (with(bearer(), "token", json!("a b")), "invalid_auth", "auth.token"),
        (with(oauth2(), "client_id", json!("")), "invalid_auth", "auth.client_id"),
        (with(oauth2(), "scope", json!("a  b")), "invalid_auth", "auth.scope"),
        (with(oauth2(), "token_url", json!("http://10.1.2.3/token")), "target_blocked", "auth.token_url"),
        (with(oauth2(), "token_url", json!("https://a@127.0.0.1/")), "invalid_url", "auth.token_url"),
    ] {
        let body = json!({"url": "http://127.0.0.1:9/", "events": ["*"], "auth": auth});
        error_in(&hub.post("/v1/webhooks", &body), 422, code, field);
        let id = hub.add_webhook_with("http://127.0.0.1:9/", &json!({}));
        error_in(&hub.patch(&format!("/v1/webhooks/{id}"), &json!({"auth": auth})), 422, code, field);
    }
    for (auth, field) in [
        (json!({"type": "digest"}), "auth.type"),
        (json!({"type": "bearer"}), "auth"),
        (json!({"type": "bearer", "token": "a", "scope": "b"}), "auth"),
        (json!({"type": "bearer", "token": 5}), "auth"),
        (json!("Bearer x"), "auth"),
        (json!([]), "auth"),
        (json!({}), "auth"),
    ] {
        let body = json!({"url": "http://127.0.0.1:9/", "events": ["*"], "auth": auth});
        let answer = hub.post("/v1/webhooks", &body);
        let named = answer.json()["error"]["field"].clone();
        assert!(answer.status == 422 && named.as_str().unwrap().starts_with(field), "{}", answer.text);
    }
}

#[test]
fn a_header_and_the_setting_do_not_both_authenticate() {
    let hub = Hub::start();
    let body = json!({"url": "http://127.0.0.1:9/", "events": ["*"], "auth": bearer(),
        "headers": {"authorization": "Bearer two"}});
    error_in(&hub.post("/v1/webhooks", &body), 422, "invalid_auth", "auth");
    let id = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"auth": bearer()}));
    let path = format!("/v1/webhooks/{id}");
    error_in(&hub.patch(&path, &json!({"headers": {"Authorization": "two"}})), 422, "invalid_auth", "auth");
    hub.patch(&path, &json!({"headers": {"Authorization": "two"}, "auth": null})).expect(200);
    error_in(&hub.patch(&path, &json!({"auth": basic()})), 422, "invalid_auth", "auth");
    // A profile that sets the header.
    let profile = json!({"based_on": "generic", "headers": {"Authorization": "Shop {type}"}});
    let put = hub.call_with(&hub.key, "PUT", "/v1/profiles/shop", Some(&profile.to_string()));
    assert!(put.status < 300, "{}", put.text);
    let body = json!({"url": "http://127.0.0.1:9/", "events": ["*"], "auth": bearer(), "profile": "shop"});
    error_in(&hub.post("/v1/webhooks", &body), 422, "invalid_auth", "auth");
    hub.patch(&path, &json!({"headers": null, "auth": bearer()})).expect(200);
    error_in(&hub.patch(&path, &json!({"profile": "shop"})), 422, "invalid_auth", "auth");
}

#[test]
fn a_deleted_webhook_leaves_no_credentials() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let id = hub.add_webhook_with(receiver.url(), &json!({"auth": basic()}));
    hub.delete(&format!("/v1/webhooks/{id}")).expect(204);
    let connection = Connection::open(hub.database()).unwrap();
    let left: Option<String> = connection.query_row("SELECT auth FROM webhook", [], |row| row.get(0)).unwrap();
    assert_eq!(left, None);
}
