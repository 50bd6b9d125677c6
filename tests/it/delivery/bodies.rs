//! The request body, unchanged on every attempt, and its headers.

use hookpost::domain::time::MINUTE;
use serde_json::{Value, json};

use super::{pass, retry};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

#[test]
fn data_passes_through_byte_by_byte() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    for data in [
        r#"{"z":1,"a":2,"m":3}"#,
        r#"{"n":12345678901234567890123,"f":1.10,"e":1E+2,"z":-0.0,"big":1e400}"#,
        r#"{"a":1,"a":2,"a":1}"#,
        r#"{"text":"héllo 日本 \u00e9 😀 \ud83d\ude00 \/ \u2028"}"#,
        "{ \"a\" :\t1 ,\n  \"b\":[ 1, 2 ]\r\n}",
        r#""just text""#,
        "0.30000000000000004",
        "[]",
        "null",
    ] {
        let body = format!(r#"{{"type":"order.paid","data":{data},"previous_data":{data}}}"#);
        let receipt = hub.post_text("/v1/events", &body).expect(202).json();
        hub.deliver_until_idle();
        let id = receipt["id"].as_str().unwrap();
        let expected = format!(
            r#"{{"id":"{id}","type":"order.paid","created_at":"2026-01-15T10:00:00Z","data":{data},"previous_data":{data}}}"#
        );
        assert_eq!(receiver.last().text(), expected);
        let delivery = receipt["deliveries"][0]["id"].as_str().unwrap();
        let shown = hub.delivery(delivery);
        assert_eq!(shown["attempts"][0]["request"]["body"], expected.as_str());
    }
}

#[test]
fn the_generic_body_says_null_where_there_is_no_previous_data() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let event = r#"{"type":"order.paid","data":{},"id":"order-7","created_at":"2026-01-15T09:30:00.999+01:00"}"#;
    hub.post_text("/v1/events", event).expect(202);
    hub.deliver_until_idle();
    assert_eq!(
        receiver.last().text(),
        r#"{"id":"order-7","type":"order.paid","created_at":"2026-01-15T08:30:00Z","data":{},"previous_data":null}"#
    );
    assert_eq!(receiver.last().header("webhook-id"), Some("order-7"));
}

#[test]
fn every_attempt_sends_the_same_bytes_also_after_a_restart() {
    let mut hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &retry(&[60, 60, 60]));
    let event = r#"{"type":"order.paid","data":{"b":1.10,"a":12345678901234567890123,"b": 2}}"#;
    hub.post_text("/v1/events", event).expect(202);
    hub.deliver_until_idle();
    pass(&hub, MINUTE + MINUTE / 10);
    hub.restart();
    pass(&hub, MINUTE + MINUTE / 10);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    for (index, request) in requests.iter().enumerate() {
        assert_eq!(request.body, requests[0].body);
        assert_eq!(request.header("webhook-id"), requests[0].header("webhook-id"));
        let timestamp: i64 = request.header("webhook-timestamp").unwrap().parse().unwrap();
        let expected = 1_768_471_200 + 66 * index as i64;
        assert_eq!(timestamp, expected, "the attempt's own time");
    }
}

#[test]
fn every_request_is_a_post_of_json_by_hookpost() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url_at("/a/b?c=d"));
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    let request = receiver.last();
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/a/b?c=d");
    assert_eq!(request.header("content-type"), Some("application/json"));
    let agent = concat!("Hookpost/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(agent));
    assert_eq!(request.header("accept-encoding"), None);
    let names: Vec<String> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    for name in &names {
        let times = names.iter().filter(|other| *other == name).count();
        assert_eq!(times, 1, "{name} in {names:?}");
    }
}

#[test]
fn custom_headers_are_sent_and_secret_ones_masked_in_the_log() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let headers = json!({"Authorization": "Bearer s3cret", "X-Api-Key": "k3y", "X-Team": "blue"});
    hub.add_webhook_with(receiver.url(), &json!({"headers": headers}));
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let request = receiver.last();
    for (name, value) in headers.as_object().unwrap() {
        assert_eq!(request.header(name), value.as_str());
    }
    let answer = hub.get(&format!("/v1/deliveries/{delivery}")).expect(200);
    assert!(!answer.text.contains("s3cret"), "{}", answer.text);
    assert!(!answer.text.contains("k3y"), "{}", answer.text);
    let shown = answer.json()["attempts"][0]["request"]["headers"].clone();
    assert_eq!(shown["Authorization"], "••••••");
    assert_eq!(shown["X-Api-Key"], "••••••");
    assert_eq!(shown["X-Team"], "blue");
}

#[test]
fn the_log_keeps_16_kib_of_the_answer() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &retry(&[]));
    for (bytes, truncated) in [(0, false), (16 * 1024, false), (16 * 1024 + 1, true), (1 << 20, true)] {
        let reply = Reply::status(200).header("X-Answer", "yes").body(vec![b'a'; bytes]);
        receiver.behave(Behaviour::Answer(reply));
        let delivery = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        let shown = hub.delivery(&delivery);
        assert_eq!(shown["status"], "delivered", "{bytes}");
        let response: &Value = &shown["attempts"][0]["response"];
        assert_eq!(response["code"], 200);
        assert_eq!(response["headers"]["x-answer"], "yes");
        let kept = response["body"].as_str().unwrap().len();
        assert_eq!(kept, bytes.min(16 * 1024));
        assert_eq!(response["body_truncated"], truncated, "{bytes}");
    }
}

#[test]
fn the_standard_headers_can_be_turned_off() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"standard_headers": false}));
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    let request = receiver.last();
    assert!(request.header("X-Webhook-Signature").is_some());
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert_eq!(request.header(name), None);
    }
}
