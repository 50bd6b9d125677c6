//! `/v1/dead-letters/export`.

use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error_in, names};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::Receiver;

const EXPORT: &str = "/v1/dead-letters/export";

fn lines(answer: Answer) -> Vec<Value> {
    let answer = answer.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let disposition = answer.header("content-disposition").unwrap();
    assert!(disposition.contains("dead-letters.ndjson"), "{disposition}");
    assert!(answer.text.is_empty() || answer.text.ends_with('\n'));
    let line = |text: &str| serde_json::from_str(text).unwrap();
    answer.text.lines().map(line).collect()
}

fn failing(hub: &Hub, receiver: &Receiver, tenant: &str) -> String {
    let once = json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}, "tenant": tenant});
    hub.add_webhook_with(receiver.url(), &once)
}

#[test]
fn dead_letters_are_exported_as_lines_with_event_delivery_and_last_attempt() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = failing(&hub, &receiver, "default");
    assert!(lines(hub.get(EXPORT)).is_empty());
    let body = r#"{"type": "a.b", "id": "one", "data": {"b" :1.50}}"#;
    hub.post_text("/v1/events", body).expect(202);
    hub.publish("a.c", json!({}));
    hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).expect(200);
    hub.deliver_until_idle();
    let answer = hub.get(EXPORT);
    assert!(answer.text.contains(r#""data":{"b" :1.50}"#), "{}", answer.text);
    let found = lines(answer);
    assert_eq!(found.len(), 2);
    let line = &found[1];
    assert_eq!(names(line), ["event", "delivery", "last_attempt"]);
    assert_eq!(line["event"]["id"], "one");
    assert_eq!(line["delivery"]["webhook_id"], json!(webhook));
    assert_eq!(line["last_attempt"]["response"]["code"], 500);
    let body = line["last_attempt"]["request"]["body"].as_str().unwrap();
    assert!(body.contains(r#""data":{"b" :1.50}"#), "{body}");
}

#[test]
fn an_export_takes_the_filters_of_the_list_and_no_page() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    failing(&hub, &receiver, "ours");
    failing(&hub, &receiver, "theirs");
    for tenant in ["ours", "theirs"] {
        let body = json!({"type": "a.b", "data": 1, "tenant": tenant});
        hub.post("/v1/events", &body).expect(202);
    }
    hub.deliver_until_idle();
    for (query, expected) in [("", 2), ("?tenant=ours", 1), ("?response_code=500", 2), ("?event_type=a.c", 0)] {
        assert_eq!(lines(hub.get(&format!("{EXPORT}{query}"))).len(), expected, "{query}");
    }
    let ours = hub.make_key(Scope::Read, Some("ours"), None);
    let found = lines(hub.call_with(&ours, "GET", EXPORT, None));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["event"]["tenant"], "ours");
    for field in ["limit=5", "cursor=f_________8", "status=failed", "test=true", "nonsense=1"] {
        let name = field.split('=').next().unwrap();
        error_in(&hub.get(&format!("{EXPORT}?{field}")), 422, "unknown_parameter", name);
    }
}

#[test]
fn an_export_goes_on_over_many_pieces_and_pages() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    failing(&hub, &receiver, "default");
    let padding = "x".repeat(1_000);
    let batch: Vec<Value> = (0..600).map(|n| json!({"type": "a.b", "data": {"n": n, "padding": padding}})).collect();
    hub.post("/v1/events/batch", &json!(batch)).expect(202);
    hub.deliver_until_idle();
    let found = lines(hub.get(EXPORT));
    let numbers: Vec<i64> = found.iter().map(|line| line["event"]["data"]["n"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (0..600).rev().collect::<Vec<_>>());
}

#[test]
fn dead_letters_are_published_again_as_they_were_exported() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}}));
    for n in 0..3 {
        let event = json!({"id": format!("e-{n}"), "type": "a.b", "data": {"n": n}, "previous_data": [n]});
        hub.post("/v1/events", &event).expect(202);
    }
    hub.deliver_until_idle();
    let export = hub.get("/v1/dead-letters/export").expect(200).text;
    let publish = |hub: &Hub, text: &str| {
        let bearer = format!("Bearer {}", hub.key);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-ndjson")];
        let answer = hub.send("POST", "/v1/events/batch", &headers, text.as_bytes()).expect(202).json();
        answer["data"].as_array().unwrap().iter().map(|one| one["duplicate"] == true).collect::<Vec<_>>()
    };
    // Here they are still stored, and at another server they are new.
    assert_eq!(publish(&hub, &export), [true; 3]);
    let other = Hub::start();
    assert_eq!(publish(&other, &export), [false; 3]);
    let events: Vec<String> =
        export.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].to_string()).collect();
    assert_eq!(publish(&other, &events.join("\n")), [true; 3]);
    let shown = other.get("/v1/events/e-1").expect(200).json();
    assert_eq!((&shown["data"], &shown["previous_data"]), (&json!({"n": 1}), &json!([1])));
    hub.delete("/v1/events/e-1").expect(204);
    let erased = hub.get("/v1/events/e-1").expect(200).json();
    let refused = other.post("/v1/events/batch", &json!([erased]));
    error_in(&refused, 422, "invalid_value", "[0].data");
}
