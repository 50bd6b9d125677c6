//! A full disk, simulated by a limit on the file's pages: SQLite reports it with the same error.

use std::time::Duration;

use hookpost::store::StoreError;
use serde_json::json;

use crate::support::Hub;
use crate::support::process::{PATIENCE, wait_until};
use crate::support::receiver::Receiver;

/// No further pages.
const FULL: &str = "PRAGMA max_page_count = 1";
const ROOM: &str = "PRAGMA max_page_count = 1000000";

fn limit(hub: &Hub, pragma: &'static str) {
    let set = hub.running.app.actions.store.write(move |tx| -> Result<(), StoreError> {
        tx.connection().execute_batch(pragma)?;
        Ok(())
    });
    set.wait().unwrap();
}

/// Publishes until the disk is full. Returns the ids of the accepted events.
fn fill(hub: &Hub) -> Vec<String> {
    limit(hub, FULL);
    let filling = "x".repeat(2000);
    let mut taken = Vec::new();
    for number in 0..1000 {
        let id = format!("full-{number}");
        let body = json!({"type": "order.paid", "id": id, "data": filling});
        let answer = hub.post("/v1/events", &body);
        if answer.status == 503 {
            assert_eq!(answer.error_code(), "disk_full");
            assert_eq!(answer.header("retry-after"), Some("1"));
            return taken;
        }
        answer.expect(202);
        taken.push(id);
    }
    panic!("the disk is never full");
}

#[test]
fn a_full_disk_is_a_503_and_nothing_that_was_answered_is_lost() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    receiver.hold();
    hub.add_webhook_with(receiver.url(), &json!({"timeout_s": 30}));
    let taken = fill(&hub);
    assert!(!taken.is_empty());
    // Small events and all other writes are rejected too.
    let small = json!({"type": "order.paid", "id": "small", "data": "y".repeat(2000)});
    assert_eq!(hub.post("/v1/events", &small).status, 503);
    hub.get("/v1/events").expect(200);
    limit(&hub, ROOM);
    hub.post("/v1/events", &small).expect(202);
    receiver.release();
    hub.deliver_until_idle();
    let mut arrived: Vec<String> =
        receiver.requests().iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect();
    arrived.sort();
    let mut expected = taken;
    expected.push("small".to_owned());
    expected.sort();
    assert_eq!(arrived, expected);
}

#[test]
fn an_outcome_that_meets_a_full_disk_is_kept_and_the_delivery_is_not_sent_again() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    receiver.hold();
    hub.add_webhook_with(receiver.url(), &json!({"timeout_s": 30}));
    let delivery = hub.publish_one("order.paid", json!({}));
    receiver.wait_held(1);
    // The response is larger than the free bytes of the last page.
    receiver.behave(crate::support::receiver::Behaviour::Answer(
        crate::support::receiver::Reply::status(200).body("z".repeat(16_000)),
    ));
    limit(&hub, FULL);
    receiver.release();
    let engine = &hub.running.app.actions.engine;
    assert!(!engine.wait_until_idle(Duration::from_millis(1500)), "the outcome was stored though there is no room");
    assert_eq!(hub.status_of(&delivery), "pending");
    limit(&hub, ROOM);
    let recorded = wait_until(PATIENCE, || hub.status_of(&delivery) == "delivered");
    assert!(recorded, "the outcome was not stored once there was room");
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
    let attempts = hub.delivery(&delivery)["attempts"].clone();
    assert_eq!(attempts.as_array().unwrap().len(), 1);
}
