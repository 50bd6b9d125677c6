//! `/v1/events/batch`.

use hookpost::domain::time::DAY;
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, error_in, ids};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::Receiver;

const BATCH: &str = "/v1/events/batch";

fn send(hub: &Hub, content_type: &str, body: &str) -> Answer {
    let headers = [("x-api-key", hub.key.as_str()), ("content-type", content_type)];
    hub.send("POST", BATCH, &headers, body.as_bytes())
}

fn under_key(hub: &Hub, key: &str, body: &Value) -> Answer {
    let headers = [("x-api-key", hub.key.as_str()), ("idempotency-key", key)];
    hub.send("POST", BATCH, &headers, body.to_string().as_bytes())
}

fn events(count: usize) -> Vec<Value> {
    let event = |n| json!({"type": "order.paid", "data": n});
    (0..count).map(event).collect()
}

#[test]
fn a_batch_is_answered_with_a_receipt_for_each_event_in_their_order() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"events": ["order.*"], "ordered": true}));
    let batch = json!([
        {"type": "order.paid", "data": 1, "id": "first"},
        {"type": "user.made", "data": 2},
        {"type": "order.shipped", "data": {"b" : 1.50}},
    ]);
    let answer = hub.post(BATCH, &batch).expect(202).json();
    let receipts = answer["data"].as_array().unwrap();
    assert_eq!(receipts.len(), 3, "{answer}");
    assert_eq!(receipts[0]["id"], "first");
    assert_eq!(receipts[0]["duplicate"], false);
    assert_eq!(receipts[0]["deliveries"][0]["webhook_id"], json!(webhook));
    assert_eq!(receipts[1]["deliveries"], json!([]));
    hub.deliver_until_idle();
    let sent: Vec<Value> = receiver
        .requests()
        .iter()
        .map(|request| serde_json::from_str::<Value>(request.text()).unwrap()["data"].clone())
        .collect();
    assert_eq!(sent, [json!(1), json!({"b": 1.5})]);
}

#[test]
fn a_batch_comes_as_lines_too() {
    let hub = Hub::start();
    let lines = "{\"type\":\"a.b\",\"data\":1.50}\r\n\n  {\"type\":\"a.c\",\"data\":\"é\"}\n\n";
    for content_type in ["application/x-ndjson", "application/ndjson; charset=utf-8", "APPLICATION/NDJSON"] {
        let answer = send(&hub, content_type, lines).expect(202).json();
        assert_eq!(answer["data"].as_array().unwrap().len(), 2, "{answer}");
    }
    let id = hub.get("/v1/events?type=a.b").json()["data"][0]["id"].as_str().unwrap().to_owned();
    assert!(hub.get(&format!("/v1/events/{id}")).text.contains(r#""data":1.50"#));
    let bad = "{\"type\":\"a.b\",\"data\":1}\n\n{\"type\":\"a.b\",}\n";
    error_in(&send(&hub, "application/x-ndjson", bad), 400, "malformed_json", "[1]");
    for other in ["text/plain", "application/jsonl", "", "application/x-ndjson2"] {
        error(&send(&hub, other, lines), 415, "unsupported_media_type");
    }
    assert_eq!(ids(&hub.get("/v1/events")).len(), 6);
}

#[test]
fn one_bad_event_is_named_by_its_index_and_nothing_of_the_batch_is_stored() {
    let hub = Hub::start();
    hub.publish("a.b", json!({}));
    hub.post("/v1/events", &json!({"type": "a.b", "data": 1, "id": "taken"})).expect(202);
    let tenant = hub.make_key(Scope::Publish, Some("ours"), None);
    for (status, code, name, value) in [
        (422, "invalid_event_type", ".type", json!("a..b")),
        (422, "invalid_type", ".type", json!(7)),
        (422, "invalid_event_id", ".id", json!("a.b")),
        (422, "invalid_time", ".created_at", json!("now")),
        (422, "invalid_tenant", ".tenant", json!("")),
        (422, "unknown_field", ".nonsense", json!(1)),
        (409, "event_id_reused", ".id", json!("taken")),
    ] {
        let mut batch = events(5);
        batch[3][&name[1..]] = value;
        error_in(&hub.post(BATCH, &json!(batch)), status, code, &format!("[3]{name}"));
    }
    let mut batch = events(5);
    batch[2] = json!({"type": "a.b"});
    error_in(&hub.post(BATCH, &json!(batch)), 422, "missing_field", "[2].data");
    for other in [json!(null), json!("a"), json!([]), json!(5)] {
        batch[2] = other;
        error_in(&hub.post(BATCH, &json!(batch)), 422, "invalid_type", "[2]");
    }
    let deep = format!(r#"[{{"type":"a.b","data":{}{}}}]"#, "[".repeat(128), "]".repeat(128));
    error_in(&hub.post_text(BATCH, &deep), 422, "too_deep", "[0]");
    batch = events(2);
    batch[1]["tenant"] = json!("theirs");
    let answer = hub.call_with(&tenant, "POST", BATCH, Some(&json!(batch).to_string()));
    error_in(&answer, 403, "forbidden", "[1]");
    assert_eq!(ids(&hub.get("/v1/events")).len(), 2);
    let fine = format!(r#"[{{"type":"a.b","data":{}{}}}]"#, "[".repeat(127), "]".repeat(127));
    hub.post_text(BATCH, &fine).expect(202);
}

#[test]
fn a_batch_that_is_no_array_or_no_json_is_refused() {
    let hub = Hub::start();
    for (body, status, code) in [
        ("", 400, "malformed_json"),
        ("[", 400, "malformed_json"),
        ("[1,]", 400, "malformed_json"),
        ("[] []", 400, "malformed_json"),
        ("{}", 422, "invalid_type"),
        ("null", 422, "invalid_type"),
        (r#"{"type":"a.b","data":1}"#, 422, "invalid_type"),
        ("[]", 422, "invalid_batch"),
    ] {
        error(&hub.post_text(BATCH, body), status, code);
    }
    error(&send(&hub, "application/ndjson", "\n \n"), 422, "invalid_batch");
}

#[test]
fn a_batch_holds_a_thousand_events_and_not_one_more() {
    let hub = Hub::start();
    let answer = hub.post(BATCH, &json!(events(1_000))).expect(202).json();
    assert_eq!(answer["data"].as_array().unwrap().len(), 1_000);
    let refused = hub.post(BATCH, &json!(events(1_001)));
    let message = error(&refused, 422, "invalid_batch")["message"].clone();
    assert!(message.as_str().unwrap().contains("1001"), "{message}");
    let lines = "{}\n".repeat(1_001);
    error(&send(&hub, "application/ndjson", &lines), 422, "invalid_batch");
}

#[test]
fn a_batch_is_larger_than_a_single_body_and_each_of_its_events_is_not() {
    let hub = Hub::start();
    let sized = |bytes: usize| json!({"type": "a.b", "data": "x".repeat(bytes)});
    hub.post(BATCH, &json!([sized(900_000), sized(900_000), sized(900_000)])).expect(202);
    let answer = hub.post(BATCH, &json!([sized(10), sized(1 << 20)]));
    error_in(&answer, 413, "too_large", "[1]");
    let answer = hub.post(BATCH, &json!("x".repeat(16 << 20)));
    error(&answer, 413, "too_large");
    assert_eq!(ids(&hub.get("/v1/events")).len(), 3);
}

#[test]
fn an_id_deduplicates_within_the_batch_and_against_what_is_stored() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let event = |id: &str| json!({"type": "a.b", "data": 1, "id": id});
    let first = hub.post("/v1/events", &event("one")).expect(202).json();
    let batch = json!([event("two"), event("one"), event("two")]);
    let answer = hub.post(BATCH, &batch).expect(202).json();
    let data = &answer["data"];
    assert_eq!(
        (&data[0]["duplicate"], &data[1]["duplicate"], &data[2]["duplicate"]),
        (&json!(false), &json!(true), &json!(true))
    );
    assert_eq!(data[1]["deliveries"], first["deliveries"]);
    assert_eq!(data[2]["deliveries"], data[0]["deliveries"]);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 2);
    let mut other = event("three");
    let same = other.clone();
    other["data"] = json!(2);
    let answer = hub.post(BATCH, &json!([same, other]));
    error_in(&answer, 409, "event_id_reused", "[1].id");
    error(&hub.get("/v1/events/three"), 404, "not_found");
}

#[test]
fn an_idempotency_key_holds_for_the_whole_batch_for_24_hours() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let batch = json!(events(3));
    let mut first = under_key(&hub, "k-1", &batch).expect(202).json();
    hub.advance(DAY - 1);
    let again = under_key(&hub, "k-1", &batch).expect(202).json();
    for receipt in first["data"].as_array_mut().unwrap() {
        receipt["duplicate"] = json!(true);
    }
    assert_eq!(again, first);
    error(&under_key(&hub, "k-1", &json!(events(2))), 409, "idempotency_key_reused");
    let mut elsewhere = events(3);
    elsewhere[0]["tenant"] = json!("acme");
    let other = under_key(&hub, "k-1", &json!(elsewhere)).expect(202).json();
    assert_eq!(other["data"][0]["duplicate"], false);
    let single = [("x-api-key", hub.key.as_str()), ("idempotency-key", "k-1")];
    let body = json!({"type": "a.b", "data": 1}).to_string();
    error(&hub.send("POST", "/v1/events", &single, body.as_bytes()), 409, "idempotency_key_reused");
    hub.advance(1);
    let later = under_key(&hub, "k-1", &batch).expect(202).json();
    assert_eq!(later["data"][0]["duplicate"], false);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 8);
}
