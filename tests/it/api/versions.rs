//! Versions of resources: `ETag`, `If-Match` and `If-None-Match`.

use serde_json::{Value, json};

use super::error;
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::Receiver;

/// Sends a request with one more header.
fn with(hub: &Hub, method: &str, path: &str, header: (&str, &str), body: Value) -> Answer {
    let key = format!("Bearer {}", hub.key);
    let headers = [("Authorization", key.as_str()), ("Content-Type", "application/json"), header];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    hub.send(method, path, &headers, body.as_bytes())
}

fn tag(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("no ETag in {}", answer.text)).to_owned()
}

#[test]
fn the_second_of_two_changes_that_were_made_of_one_version_is_refused() {
    let hub = Hub::start();
    hub.call_with(&hub.key, "PUT", "/v1/profiles/ours", Some(r#"{"based_on": "generic"}"#)).expect(201);
    hub.call_with(&hub.key, "PUT", "/v1/event-types/a.b", Some(r#"{"description": "First"}"#)).expect(201);
    let webhook = format!("/v1/webhooks/{}", hub.add_webhook("http://127.0.0.1:9/"));
    for (path, method, first, second) in [
        (webhook.as_str(), "PATCH", json!({"description": "a"}), json!({"timeout_s": 9})),
        ("/v1/profiles/ours", "PUT", json!({"based_on": "generic", "title": "a"}), json!({"based_on": "stripe"})),
        ("/v1/event-types/a.b", "PUT", json!({"description": "a"}), json!({"description": "b"})),
    ] {
        let read = tag(&hub.get(path).expect(200));
        assert!(read.starts_with('"') && read.ends_with('"'), "{read}");
        let changed = with(&hub, method, path, ("If-Match", &read), first).expect(200);
        assert_ne!(tag(&changed), read, "{path}");
        assert_eq!(tag(&hub.get(path)), tag(&changed), "{path}");
        let before = hub.get(path).json();
        let said = error(&with(&hub, method, path, ("If-Match", &read), second.clone()), 412, "precondition_failed");
        assert!(said["message"].as_str().unwrap().contains("Nothing was changed"), "{said}");
        error(&with(&hub, "DELETE", path, ("If-Match", &read), Value::Null), 412, "precondition_failed");
        assert_eq!(hub.get(path).json(), before, "{path}");
        // One of several versions, one that a proxy made weak, any version, and no condition.
        let now = tag(&hub.get(path));
        let listed = format!("\"other\", W/{now}");
        with(&hub, method, path, ("If-Match", &listed), second.clone()).expect(200);
        with(&hub, method, path, ("If-Match", "*"), second.clone()).expect(200);
        hub.call_with(&hub.key, method, path, Some(&second.to_string())).expect(200);
        let last = tag(&hub.get(path));
        with(&hub, "DELETE", path, ("If-Match", &last), Value::Null).expect(204);
        hub.get(path).expect(404);
    }
}

#[test]
fn what_is_to_be_new_does_not_overwrite() {
    let hub = Hub::start();
    for (path, body) in [
        ("/v1/profiles/ours", json!({"based_on": "generic"})),
        ("/v1/event-types/a.b", json!({"description": "First"})),
    ] {
        error(&with(&hub, "PUT", path, ("If-Match", "*"), body.clone()), 412, "precondition_failed");
        with(&hub, "PUT", path, ("If-None-Match", "*"), body.clone()).expect(201);
        error(&with(&hub, "PUT", path, ("If-None-Match", "*"), body), 412, "precondition_failed");
    }
}

#[test]
fn a_client_that_has_the_version_gets_no_body() {
    let hub = Hub::start();
    hub.call_with(&hub.key, "PUT", "/v1/event-types/a.b", Some(r#"{"description": "First"}"#)).expect(201);
    let webhook = format!("/v1/webhooks/{}", hub.add_webhook("http://127.0.0.1:9/"));
    for path in [webhook.as_str(), "/v1/profiles/stripe", "/v1/event-types/a.b"] {
        let read = tag(&hub.get(path));
        for method in ["GET", "HEAD"] {
            let known = with(&hub, method, path, ("If-None-Match", &read), Value::Null).expect(304);
            assert_eq!((known.text.as_str(), tag(&known)), ("", read.clone()), "{path}");
            with(&hub, method, path, ("If-None-Match", "\"other\""), Value::Null).expect(200);
        }
        with(&hub, "GET", path, ("If-None-Match", "*"), Value::Null).expect(304);
    }
    // Others learn nothing.
    let theirs = hub.make_key(hookpost::store::api_key::Scope::Read, Some("acme"), None);
    hub.send("GET", &webhook, &[("X-API-Key", &theirs), ("If-None-Match", "*")], b"").expect(404);
}

#[test]
fn a_version_changes_with_settings_and_state_and_not_with_deliveries() {
    let hub = Hub::start();
    let receiver = Receiver::answering(200);
    let created = hub.post("/v1/webhooks", &json!({"url": receiver.url(), "events": ["*"]})).expect(201);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhooks/{id}");
    let first = tag(&created);
    assert_eq!(tag(&hub.get(&path)), first);
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    assert_eq!(hub.webhook(&id)["health"], "healthy");
    assert_eq!(tag(&hub.get(&path)), first);
    // A change that changes nothing, then one at the same time on the clock as the version before.
    assert_eq!(tag(&hub.patch(&path, &json!({"timeout_s": 5}))), first);
    let mut seen = vec![first];
    for change in [
        json!({"headers": {"X-Token": "a"}}),
        json!({"headers": {"X-Token": "b"}}),
        json!({"active": false}),
        json!({"active": true}),
    ] {
        let now = tag(&hub.patch(&path, &change).expect(200));
        assert!(!seen.contains(&now), "{change}");
        seen.push(now);
    }
    hub.post(&format!("{path}/secret/rotate"), &json!({})).expect(200);
    assert!(!seen.contains(&tag(&hub.get(&path))));
}

/// Calls of which each answers one object, with a body that creates it.
fn single_resources(hub: &Hub) -> Vec<String> {
    let receiver = Receiver::answering(410);
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({"id": 1}));
    hub.deliver_until_idle();
    let made = |path: &str, body: Value| {
        let made = hub.post(path, &body).expect(201).json();
        format!("{path}/{}", made["id"].as_str().unwrap())
    };
    hub.post("/v1/inbox", &json!({})).expect(200);
    let incidents = hub.get("/v1/incidents").json();
    let event = hub.delivery(&delivery)["event_id"].as_str().unwrap().to_owned();
    hub.call_with(&hub.key, "PUT", "/v1/event-types/a.b", Some("{}")).expect(201);
    vec![
        format!("/v1/webhooks/{webhook}"),
        format!("/v1/deliveries/{delivery}"),
        format!("/v1/events/{event}"),
        format!("/v1/incidents/{}", incidents["data"][0]["id"].as_str().unwrap()),
        "/v1/inbox".to_owned(),
        "/v1/profiles/generic".to_owned(),
        "/v1/event-types/a.b".to_owned(),
        made("/v1/contacts", json!({"name": "On call", "webhook": {"url": "http://127.0.0.1:9/"}})),
        made("/v1/api-keys", json!({"name": "shop", "scope": "read"})),
        made("/v1/portal-links", json!({"tenant": "acme"})),
    ]
}

#[test]
fn every_single_resource_has_a_version_that_a_client_can_know() {
    let hub = Hub::start();
    for path in single_resources(&hub) {
        let read = tag(&hub.get(&path).expect(200));
        assert_eq!(tag(&hub.get(&path)), read, "{path}");
        let known = with(&hub, "GET", &path, ("If-None-Match", &read), Value::Null).expect(304);
        assert!(known.text.is_empty() && tag(&known) == read, "{path}: {}", known.text);
        with(&hub, "GET", &path, ("If-None-Match", "\"other\""), Value::Null).expect(200);
    }
}

#[test]
fn what_is_deleted_by_its_version_is_kept_if_it_has_another() {
    let hub = Hub::start();
    for path in single_resources(&hub) {
        // Deliveries and incidents cannot be deleted, nor built-in profiles.
        if ["/v1/deliveries/", "/v1/incidents/", "/v1/events/", "/v1/profiles/"]
            .iter()
            .any(|kind| path.starts_with(kind))
        {
            continue;
        }
        let read = tag(&hub.get(&path).expect(200));
        error(&with(&hub, "DELETE", &path, ("If-Match", "\"other\""), Value::Null), 412, "precondition_failed");
        assert_eq!(tag(&hub.get(&path).expect(200)), read, "{path}");
        with(&hub, "DELETE", &path, ("If-Match", &read), Value::Null).expect(204);
        hub.get(&path).expect(404);
    }
}

#[test]
fn the_second_of_two_changes_of_a_contact_that_were_made_of_one_version_is_refused() {
    let hub = Hub::start();
    let body = json!({"name": "On call", "webhook": {"url": "http://127.0.0.1:9/"}});
    let made = hub.post("/v1/contacts", &body).expect(201);
    let path = format!("/v1/contacts/{}", made.json()["id"].as_str().unwrap());
    let read = tag(&hub.get(&path));
    assert_eq!(tag(&made), read);
    // Both in one millisecond of the clock.
    let changed = with(&hub, "PATCH", &path, ("If-Match", &read), json!({"name": "Ops"})).expect(200);
    assert_eq!(tag(&changed), tag(&hub.get(&path)));
    let second = with(&hub, "PATCH", &path, ("If-Match", &read), json!({"topics": ["closed"]}));
    error(&second, 412, "precondition_failed");
    let changed = with(&hub, "PATCH", &path, ("If-Match", &tag(&changed)), json!({"webhook": {"profile": "slack"}}));
    assert_ne!(tag(&changed.expect(200)), read);
}

#[test]
fn a_delivery_and_an_incident_have_another_version_after_each_attempt() {
    let hub = Hub::start();
    let receiver = Receiver::answering(410);
    hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    let path = format!("/v1/deliveries/{delivery}");
    let before = tag(&hub.get(&path));
    hub.deliver_until_idle();
    with(&hub, "GET", &path, ("If-None-Match", &before), Value::Null).expect(200);
}

#[test]
fn a_creation_names_the_path_of_what_it_created() {
    let hub = Hub::start();
    let put = |path: &str, body: &str| hub.call_with(&hub.key, "PUT", path, Some(body)).expect(201);
    let key = hub.post("/v1/api-keys", &json!({"name": "shop", "scope": "read"})).expect(201);
    let old = hub.post("/v1/api-keys", &json!({"name": "old", "scope": "read"})).expect(201);
    let rotate = format!("/v1/api-keys/{}/rotate", old.json()["id"].as_str().unwrap());
    let webhook = json!({"url": "http://127.0.0.1:9/", "events": ["*"]});
    for answer in [
        hub.post("/v1/webhooks", &webhook).expect(201),
        hub.post("/api/webhooks", &webhook).expect(201),
        hub.post("/v1/contacts", &json!({"name": "On call", "webhook": {"url": "http://127.0.0.1:9/"}})).expect(201),
        hub.post("/v1/portal-links", &json!({"tenant": "acme"})).expect(201),
        hub.post(&rotate, &json!({})).expect(201),
        put("/v1/profiles/ours", r#"{"based_on": "generic"}"#),
        put("/v1/event-types/a.b", "{}"),
        key,
    ] {
        let path = answer.header("location").unwrap_or_else(|| panic!("no Location: {}", answer.text)).to_owned();
        let read = hub.get(&path).expect(200);
        assert_eq!(tag(&read), tag(&answer), "{path}");
        let made = answer.json();
        let name = made["id"].as_str().or(made["name"].as_str()).unwrap();
        assert!(path.starts_with("/v1/") && path.ends_with(name), "{path}");
    }
}
