//! Publishing the same event twice.

use hookpost::domain::time::DAY;
use serde_json::{Value, json};

use super::{error, error_in, ids};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::Receiver;

fn publish(hub: &Hub, idempotency_key: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", hub.key);
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", idempotency_key)];
    hub.send("POST", "/v1/events", &headers, body.to_string().as_bytes())
}

#[test]
fn the_same_id_again_answers_the_first_receipt_for_as_long_as_the_event_is_stored() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let body = json!({"type": "order.paid", "data": {"id": 1}, "id": "order-1"});
    let mut first = hub.post("/v1/events", &body).expect(202).json();
    hub.advance(2 * DAY);
    // A webhook created later does not change the receipt.
    hub.add_webhook(receiver.url());
    let again = hub.post("/v1/events", &body).expect(202).json();
    first["duplicate"] = json!(true);
    assert_eq!(again, first);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
    assert_eq!(ids(&hub.get("/v1/events")).len(), 1);
}

#[test]
fn the_same_id_with_anything_else_is_a_conflict() {
    let hub = Hub::start();
    let body = json!({"type": "order.paid", "data": {"id": 1}, "id": "order-1"});
    hub.post("/v1/events", &body).expect(202);
    for (name, value) in [
        ("data", json!({"id": 2})),
        ("previous_data", json!({})),
        ("type", json!("order.shipped")),
        ("created_at", json!("2020-01-01T00:00:00Z")),
    ] {
        let mut other = body.clone();
        other[name] = value;
        error_in(&hub.post("/v1/events", &other), 409, "event_id_reused", "id");
    }
    assert_eq!(ids(&hub.get("/v1/events")).len(), 1);
}

#[test]
fn an_idempotency_key_holds_for_24_hours() {
    let hub = Hub::start();
    let body = json!({"type": "order.paid", "data": {"id": 1}});
    let first = publish(&hub, "k-1", &body).expect(202).json();
    hub.advance(DAY - 1);
    let again = publish(&hub, "k-1", &body).expect(202).json();
    assert_eq!(again["duplicate"], true);
    assert_eq!(again["id"], first["id"]);
    let other = json!({"type": "order.paid", "data": {"id": 2}});
    error(&publish(&hub, "k-1", &other), 409, "idempotency_key_reused");
    hub.advance(1);
    let later = publish(&hub, "k-1", &other).expect(202).json();
    assert_eq!(later["duplicate"], false);
    error(&publish(&hub, "k-1", &body), 409, "idempotency_key_reused");
}

#[test]
fn an_idempotency_key_is_a_tenants_own() {
    let hub = Hub::start();
    let mut body = json!({"type": "order.paid", "data": {"id": 1}});
    let first = publish(&hub, "k-1", &body).expect(202).json();
    body["tenant"] = json!("acme");
    let other = publish(&hub, "k-1", &body).expect(202).json();
    assert_eq!(other["duplicate"], false);
    assert_ne!(other["id"], first["id"]);
}

#[test]
fn an_idempotency_key_is_1_to_255_printable_characters() {
    let hub = Hub::start();
    let body = json!({"type": "order.paid", "data": 1});
    publish(&hub, &"k".repeat(255), &body).expect(202);
    for bad in ["", &"k".repeat(256), "clé"] {
        let answer = publish(&hub, bad, &body);
        error_in(&answer, 422, "invalid_idempotency_key", "Idempotency-Key");
    }
    assert_eq!(ids(&hub.get("/v1/events")).len(), 1);
}
