//! Custom headers with sensitive names: masked wherever they are shown, delivered unchanged.

use hookpost::domain::header::MASK;
use serde_json::{Value, json};

use super::error_in;
use crate::support::Hub;
use crate::support::receiver::Receiver;

/// Names that contain `auth`, `token`, `key`, `secret` or `cookie`, each with its own value.
const SENSITIVE: [(&str, &str); 6] = [
    ("Authorization", "Bearer one"),
    ("X-API-Key", "value two"),
    ("x-token", "value three"),
    ("Cookie", "value=four"),
    ("My-Secret", "value five"),
    ("X-AUTHOR", "value six"),
];

fn headers() -> Value {
    let mut headers: Value = SENSITIVE.iter().map(|(n, v)| (*n, json!(v))).collect();
    headers["X-Team"] = json!("orders");
    headers
}

fn assert_masked(text: &str) {
    for (_, value) in SENSITIVE {
        assert!(!text.contains(value), "{value} shows in {text}");
    }
    assert!(text.contains(MASK), "{text}");
    assert!(text.contains("orders"), "{text}");
}

#[test]
fn sensitive_headers_are_masked_in_every_answer_and_sent_in_full() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let made = hub.create(receiver.url(), &json!({"headers": headers()}));
    assert_masked(&made.to_string());
    let id = made["id"].as_str().unwrap();
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    for (name, value) in SENSITIVE {
        assert_eq!(receiver.last().header(name), Some(value));
    }
    for path in [format!("/v1/webhooks/{id}"), "/v1/webhooks".to_owned(), format!("/v1/deliveries/{delivery}")] {
        assert_masked(&hub.get(&path).expect(200).text);
    }
    assert_masked(&hub.post(&format!("/v1/webhooks/{id}/test"), &json!({})).text);
}

#[test]
fn writing_back_what_was_read_changes_no_header() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let id = hub.add_webhook_with(receiver.url(), &json!({"headers": headers()}));
    let read = hub.webhook(&id)["headers"].clone();
    let path = format!("/v1/webhooks/{id}");
    let answer = hub.patch(&path, &json!({"headers": read})).expect(200);
    assert_masked(&answer.text);
    hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    for (name, value) in SENSITIVE {
        assert_eq!(receiver.last().header(name), Some(value));
    }
    // Removed headers are no longer sent.
    hub.patch(&path, &json!({"headers": {"Authorization": MASK}})).expect(200);
    hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(receiver.last().header("authorization"), Some("Bearer one"));
    assert_eq!(receiver.last().header("x-token"), None);
}

#[test]
fn a_mask_that_stands_for_nothing_is_refused() {
    let hub = Hub::start();
    let body = json!({"url": "http://127.0.0.1:9/", "events": ["*"], "headers": {"X-Token": MASK}});
    let answer = hub.post("/v1/webhooks", &body);
    error_in(&answer, 422, "invalid_header", "headers.X-Token");
    let id = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"headers": {"X-Key": "a"}}));
    let change = json!({"headers": {"X-Key": MASK, "X-Token": MASK}});
    let answer = hub.patch(&format!("/v1/webhooks/{id}"), &change);
    error_in(&answer, 422, "invalid_header", "headers.X-Token");
}

#[test]
fn a_secret_value_is_not_sent_to_another_origin_unless_it_is_given_again() {
    let hub = Hub::start();
    let [receiver, other] = [Receiver::start(), Receiver::start()];
    let given = json!({"X-Token": "value three", "X-Team": "orders"});
    let id = hub.add_webhook_with(receiver.url(), &json!({"headers": given}));
    let path = format!("/v1/webhooks/{id}");
    let masked = hub.webhook(&id)["headers"].clone();
    for change in [
        json!({"url": other.url()}),
        json!({"url": other.url(), "headers": masked}),
        json!({"url": receiver.url().replace("127.0.0.1", "localhost")}),
    ] {
        let refused = hub.patch(&path, &change);
        error_in(&refused, 422, "invalid_header", "headers.X-Token");
        assert_eq!(hub.webhook(&id)["url"], receiver.url());
    }
    // Another path of the same origin is the same receiver.
    hub.patch(&path, &json!({"url": receiver.url_at("/other"), "headers": masked})).expect(200);
    hub.patch(&path, &json!({"url": receiver.url()})).expect(200);
    hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(receiver.last().header("x-token"), Some("value three"));
    // With a value, or without the header, the webhook moves.
    hub.patch(&path, &json!({"url": other.url(), "headers": given})).expect(200);
    hub.patch(&path, &json!({"url": receiver.url(), "headers": {"X-Team": "orders"}})).expect(200);
    hub.patch(&path, &json!({"url": other.url()})).expect(200);
}
