//! `/v1/webhooks/{id}/test` and the request formats of `/v1/webhooks/test`.

use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, error_in, rows};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::{Receiver, Reply};

#[test]
fn a_test_is_sent_at_once_and_answered_with_its_attempt() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let body = json!({"event_type": "order.paid", "data": {"id": 7}});
    let delivery = hub.post(&format!("/v1/webhooks/{webhook}/test"), &body).expect(200).json();
    assert_eq!(receiver.hits(), 1);
    assert!(receiver.last().text().contains(r#""data":{"id":7}"#));
    assert_eq!(delivery["test"], true);
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["event_type"], "order.paid");
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0]["trigger"], "test");
    assert_eq!(attempts[0]["response"]["code"], 200);
}

#[test]
fn a_test_takes_the_first_type_that_the_webhook_names_and_the_example_of_its_profile() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    for (events, event_type) in [(json!(["a.*", "b.c"]), "b.c"), (json!(["*"]), "webhook.test")] {
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"events": events}));
        let path = format!("/v1/webhooks/{webhook}/test");
        let delivery = hub.call_with(&hub.key, "POST", &path, None).expect(200).json();
        assert_eq!(delivery["event_type"], event_type);
        assert!(receiver.last().text().contains(r#""object""#));
    }
}

#[test]
fn a_test_reaches_a_paused_webhook_and_a_failed_one_is_a_200_that_disables_nothing() {
    let hub = Hub::start();
    let receiver = Receiver::answering(410);
    let paused = hub.add_webhook_with(receiver.url(), &json!({"active": false}));
    let active = hub.add_webhook(receiver.url());
    for (webhook, state) in [(&paused, "paused"), (&active, "active")] {
        let answer = hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({}));
        let delivery = answer.expect(200).json();
        assert_eq!(delivery["status"], "failed");
        assert_eq!(delivery["last_attempt"]["code"], 410);
        assert_eq!(hub.state_of(webhook), state);
    }
    assert_eq!(hub.get("/v1/dead-letters").json()["data"], json!([]));
}

#[test]
fn one_webhook_is_tested_by_the_id_in_the_body() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    for path in ["/v1/webhooks/test", "/api/webhooks/test"] {
        let body = json!({"webhook_id": webhook, "event_type": "order.paid"});
        let answer = hub.post(path, &body).expect(200).json();
        assert_eq!(answer["data"][0]["webhook_id"], json!(webhook));
        assert_eq!(answer["data"][0]["attempts"][0]["trigger"], "test");
        assert_eq!(answer.get("message"), None);
    }
    assert_eq!(receiver.hits(), 2);
}

#[test]
fn an_event_is_tested_at_every_subscriber_with_the_other_fields_as_data() {
    let hub = Hub::start();
    let [first, second, other] = [Receiver::start(), Receiver::answering(500), Receiver::start()];
    hub.add_webhook_with(first.url(), &json!({"events": ["order.*"]}));
    hub.add_webhook_with(second.url(), &json!({"events": ["order.paid"]}));
    hub.add_webhook_with(other.url(), &json!({"events": ["user.made"]}));
    hub.add_webhook_with(other.url(), &json!({"tenant": "acme"}));
    let body = r#"{"id": 1.50, "event": "order.paid", "to": {"a": [true]}}"#;
    let answer = hub.post_text("/v1/webhooks/test", body).expect(200).json();
    assert_eq!(answer["data"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(answer.get("message"), None);
    assert!(first.last().text().contains(r#""data":{"id":1.50,"to":{"a": [true]}}"#));
    assert_eq!((first.hits(), second.hits(), other.hits()), (1, 1, 0));
}

#[test]
fn an_event_is_tested_at_up_to_64_subscribers_at_a_time() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    for _ in 0..64 {
        hub.add_webhook(receiver.url());
    }
    let test = || hub.post("/v1/webhooks/test", &json!({"event": "order.paid"}));
    assert_eq!(test().expect(200).json()["data"].as_array().unwrap().len(), 64);
    hub.add_webhook(receiver.url());
    error_in(&test(), 422, "too_many_webhooks", "event");
    assert_eq!(receiver.hits(), 64);
    assert_eq!(rows(&hub), [65, 0, 64]);
}

#[test]
fn a_test_that_nobody_subscribed_to_says_so_and_stores_nothing() {
    let hub = Hub::start();
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"events": ["user.made"]}));
    let answer = hub.post("/v1/webhooks/test", &json!({"event": "order.paid"})).expect(200).json();
    assert_eq!(answer["data"], json!([]));
    assert!(answer["message"].as_str().unwrap().contains("subscribed"));
    assert_eq!(rows(&hub), [1, 0, 0]);
}

#[test]
fn a_bad_test_names_its_field_and_sends_nothing() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let by_id = format!("/v1/webhooks/{webhook}/test");
    let by_body = "/v1/webhooks/test";
    for (path, body, code, field) in [
        (by_id.as_str(), json!({"event_type": "a..b"}), "invalid_event_type", "event_type"),
        (&by_id, json!({"event_type": 5}), "invalid_type", "event_type"),
        (&by_id, json!({"event": "a.b"}), "unknown_field", "event"),
        (by_body, json!({}), "missing_field", "webhook_id"),
        (by_body, json!({"event": "a..b"}), "invalid_event_type", "event"),
        (by_body, json!({"event": 5}), "invalid_type", "event"),
        (by_body, json!({"webhook_id": 5}), "invalid_type", "webhook_id"),
        (by_body, json!({"webhook_id": webhook, "x": 1}), "unknown_field", "x"),
        (by_body, json!({"webhook_id": webhook, "event_type": ""}), "invalid_event_type", "event_type"),
    ] {
        error_in(&hub.post(path, &body), 422, code, field);
    }
    let twice = r#"{"event": "a.b", "event": "a.c"}"#;
    error_in(&hub.post_text(by_body, twice), 422, "duplicate_field", "event");
    for unknown in ["wh_1", "wh_01KF0000000000000000000000", "", "dlv_x"] {
        let answer = hub.post(by_body, &json!({"webhook_id": unknown}));
        error(&answer, 404, "not_found");
    }
    error(&hub.post("/v1/webhooks/wh_1/test", &Value::Object(<_>::default())), 404, "not_found");
    assert_eq!(receiver.hits(), 0);
    assert_eq!(rows(&hub), [1, 0, 0]);
}

/// Answers as the generic document's Python receiver: it reads `event['data']['object']`, and a missing one is its 500.
fn document_receiver() -> Receiver {
    Receiver::with(|request| {
        let event: Value = serde_json::from_slice(&request.body).unwrap();
        Reply::status(if event["data"]["object"].is_object() { 200 } else { 500 })
    })
}

/// Code that the receiver of a test answered with, and the data that it got.
fn tested(answer: &Answer, receiver: &Receiver) -> (Value, Value) {
    let delivery = answer.json();
    let delivery = if delivery["data"].is_array() { delivery["data"][0].clone() } else { delivery };
    let body: Value = serde_json::from_slice(&receiver.last().body).unwrap();
    (delivery["last_attempt"]["code"].clone(), body["data"].clone())
}

#[test]
fn a_test_without_data_has_what_the_receiver_of_the_document_reads() {
    let hub = Hub::start();
    let receiver = document_receiver();
    let id = hub.add_webhook_with(receiver.url(), &json!({"events": ["resource.created"]}));
    let by_id = |body: Value| hub.post(&format!("/v1/webhooks/{id}/test"), &body).expect(200);
    for answer in [
        by_id(json!({})),
        hub.post("/v1/webhooks/test", &json!({"webhook_id": id})).expect(200),
        hub.post("/v1/webhooks/test", &json!({"event": "resource.created"})).expect(200),
        hub.post("/v1/event-types/resource.created/test", &json!({})).expect(200),
    ] {
        let (code, data) = tested(&answer, &receiver);
        assert_eq!((code, &data["object"]["id"]), (json!(200), &json!("res_7")), "{data}");
    }
    // The tenant's newest event of the type says more, and the example of the type most. A test is no such event.
    hub.publish_one("resource.created", json!({"object": {"id": "old"}}));
    hub.publish_one("resource.created", json!({"object": {"id": "new"}}));
    hub.publish("resource.deleted", json!({"object": {"id": "other"}}));
    hub.post("/v1/events", &json!({"type": "resource.created", "data": {"object": {}}, "tenant": "acme"})).expect(202);
    by_id(json!({"data": {"object": {"id": "given"}}}));
    assert_eq!(tested(&by_id(json!({})), &receiver).1, json!({"object": {"id": "new"}}));
    let described = json!({"example": {"object": {"id": "described"}}}).to_string();
    hub.call_with(&hub.key, "PUT", "/v1/event-types/resource.created", Some(&described)).expect(201);
    assert_eq!(tested(&by_id(json!({})), &receiver).1, json!({"object": {"id": "described"}}));
}

#[test]
fn an_event_type_is_tested_at_every_subscriber_of_a_tenant() {
    let hub = Hub::start();
    let [ours, influship, acme, other] = [(); 4].map(|()| Receiver::start());
    hub.add_webhook_with(ours.url(), &json!({"events": ["creator.*"]}));
    let fields = json!({"events": ["creator.updated"], "profile": "influship", "active": false});
    hub.add_webhook_with(influship.url(), &fields);
    hub.add_webhook_with(acme.url(), &json!({"events": ["*"], "tenant": "acme"}));
    hub.add_webhook_with(other.url(), &json!({"events": ["order.paid"]}));
    let path = "/v1/event-types/creator.updated/test";
    let all = hub.post(path, &json!({})).expect(200).json();
    assert_eq!(all["data"].as_array().unwrap().len(), 2, "{all}");
    // Each gets the example of its profile.
    assert!(ours.last().text().contains("res_7"), "{}", ours.last().text());
    assert!(influship.last().text().contains("creator_id"), "{}", influship.last().text());
    assert_eq!((acme.hits(), other.hits()), (0, 0));
    let key = hub.make_key(Scope::Admin, Some("acme"), None);
    for (key, path) in [(&hub.key, format!("{path}?tenant=acme")), (&key, path.to_owned())] {
        let sent = hub.call_with(key, "POST", &path, Some(r#"{"data": {"id": 7}}"#)).expect(200).json();
        assert_eq!(sent["data"].as_array().unwrap().len(), 1);
        assert!(acme.last().text().contains(r#""data":{"id": 7}"#), "{}", acme.last().text());
    }
    assert_eq!((acme.hits(), ours.hits()), (2, 1));
    error(&hub.call_with(&key, "POST", &format!("{path}?tenant=default"), None), 403, "forbidden");
    error_in(&hub.post("/v1/event-types/a..b/test", &json!({})), 422, "invalid_event_type", "name");
    error_in(&hub.post("/v1/event-types/hookpost.test/test", &json!({})), 422, "reserved_event_type", "name");
    let nobody = hub.post("/v1/event-types/nobody.cares/test", &json!({})).expect(200).json();
    assert_eq!(nobody["data"], json!([]));
}
