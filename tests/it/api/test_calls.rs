//! `/v1/webhooks/{id}/test` and the request formats of `/v1/webhooks/test`.

use serde_json::{Value, json};

use super::{error, error_in, rows};
use crate::support::Hub;
use crate::support::receiver::Receiver;

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
fn a_test_takes_the_first_type_that_the_webhook_names_and_no_data() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    for (events, event_type) in [(json!(["a.*", "b.c"]), "b.c"), (json!(["*"]), "webhook.test")] {
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"events": events}));
        let path = format!("/v1/webhooks/{webhook}/test");
        let delivery = hub.call_with(&hub.key, "POST", &path, None).expect(200).json();
        assert_eq!(delivery["event_type"], event_type);
        assert!(receiver.last().text().contains(r#""data":{}"#));
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
