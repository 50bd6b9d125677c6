//! Lists of long rows: a page ends at a number of bytes, and its cursor leads to the rest.

use serde_json::{Value, json};

use hookpost::store::Connection;

use super::ids;
use crate::support::Hub;
use crate::support::receiver::Receiver;

/// Bytes at which a page ends.
const PAGE_BYTES: usize = 4 << 20;
/// Bytes of data of each event.
const LONG: usize = 1_000_000;
/// Maximum bytes of a response: a page, the row that ended it, and the other fields.
const MOST: usize = PAGE_BYTES + LONG + (64 << 10);

fn long() -> Value {
    json!("x".repeat(LONG))
}

/// Opens each page of a list from a path with a query. Returns the values of a field, newest first.
fn whole_list(hub: &Hub, path: &str, field: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut next = path.to_owned();
    loop {
        let answer = hub.get(&next).expect(200);
        assert!(answer.text.len() < MOST, "{} bytes in one response", answer.text.len());
        let page = answer.json();
        let rows = page["data"].as_array().unwrap();
        assert!(!rows.is_empty(), "a page without progress");
        found.extend(rows.iter().map(|row| row[field].clone()));
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("{path}&cursor={cursor}"),
            None => return found,
        }
    }
}

#[test]
fn a_list_of_long_events_loses_none_between_its_pages() {
    let hub = Hub::start();
    let mut published: Vec<Value> = (0..9).map(|_| hub.publish("a.b", long())["id"].clone()).collect();
    published.reverse();
    for query in ["limit=250", "limit=250&tenant=default", "limit=2", "limit=250&type=a.b&since=2026-01-15T10:00:00Z"] {
        assert_eq!(whole_list(&hub, &format!("/v1/events?{query}"), "id"), published, "{query}");
    }
}

#[test]
fn a_delivery_shows_its_newest_attempts_and_a_list_has_all() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("a.b", long());
    hub.deliver_until_idle();
    let path = format!("/v1/deliveries/{delivery}");
    assert_eq!(hub.delivery(&delivery)["attempts_next_cursor"], Value::Null);
    for _ in 1..9 {
        hub.post(&format!("{path}/retry"), &json!({})).expect(202);
        hub.deliver_until_idle();
    }
    let answer = hub.get(&path).expect(200);
    assert!(answer.text.len() < MOST, "{} bytes in one response", answer.text.len());
    let shown = answer.json();
    let attempts = shown["attempts"].as_array().unwrap();
    let newest: Vec<u64> = attempts.iter().map(|attempt| attempt["number"].as_u64().unwrap()).collect();
    assert_eq!(newest, [5, 6, 7, 8, 9]);
    assert!(attempts.iter().all(|attempt| attempt["request"]["body"].as_str().unwrap().len() > LONG));
    let cursor = shown["attempts_next_cursor"].as_str().unwrap();
    let earlier = whole_list(&hub, &format!("{path}/attempts?cursor={cursor}"), "number");
    assert_eq!(earlier, [4, 3, 2, 1]);
    for query in ["limit=250", "limit=2"] {
        let all = whole_list(&hub, &format!("{path}/attempts?{query}"), "number");
        assert_eq!(all, [9, 8, 7, 6, 5, 4, 3, 2, 1], "{query}");
    }
}

#[test]
fn an_event_shows_its_newest_thousand_deliveries_and_the_list_has_all() {
    let mut hub = Hub::start();
    let webhook = hub.add_webhook_with("https://example.com/", &json!({"active": false}));
    let event = hub.publish("a.b", json!({}))["id"].clone();
    let event = event.as_str().unwrap();
    hub.stop();
    let script = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
                  INSERT INTO delivery (id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms, topic_seq)
                  SELECT CAST(printf('%016d', i) AS BLOB), event_seq, webhook_seq, status, cause, due_ms, next_trigger,
                      created_ms, topic_seq FROM delivery, n WHERE delivery.seq = 1;";
    Connection::open(hub.database()).unwrap().execute_batch(script).unwrap();
    hub.restart();
    let shown = hub.get(&format!("/v1/events/{event}")).expect(200).json();
    let mut found: Vec<Value> =
        shown["deliveries"].as_array().unwrap().iter().map(|delivery| delivery["id"].clone()).collect();
    assert_eq!(found.len(), 1_000);
    found.reverse();
    let list = format!("/v1/deliveries?limit=250&event_id={event}&tenant=default");
    let cursor = shown["deliveries_next_cursor"].as_str().unwrap();
    found.extend(whole_list(&hub, &format!("{list}&cursor={cursor}"), "id"));
    assert_eq!(found, whole_list(&hub, &list, "id"));
    assert_eq!(found.len(), 1_100);
    hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
}

#[test]
fn a_test_of_many_subscribers_leaves_out_the_attempts_that_would_be_too_much() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    for _ in 0..6 {
        hub.add_webhook(receiver.url());
    }
    let answer = hub.post("/v1/webhooks/test", &json!({"event": "a.b", "text": long()})).expect(200);
    assert!(answer.text.len() < MOST, "{} bytes in one response", answer.text.len());
    let sent = answer.json()["data"].as_array().unwrap().clone();
    assert_eq!(sent.len(), 6);
    let counts: Vec<usize> = sent.iter().map(|delivery| delivery["attempts"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [1, 1, 1, 1, 1, 0]);
    let cursor = sent[5]["attempts_next_cursor"].as_str().unwrap();
    let path = format!("/v1/deliveries/{}/attempts?cursor={cursor}", sent[5]["id"].as_str().unwrap());
    assert_eq!(whole_list(&hub, &path, "number"), [1]);
}

#[test]
fn a_batch_of_duplicates_has_no_more_receipts_than_a_new_one() {
    let hub = Hub::start();
    for _ in 0..11 {
        hub.add_webhook_with("https://example.com/", &json!({"active": false}));
    }
    let event = |number: usize| json!({"type": "a.b", "data": {}, "id": format!("e{number}")});
    for half in [0..500, 500..1_000] {
        hub.post("/v1/events/batch", &half.map(event).collect()).expect(202);
    }
    let again = hub.post("/v1/events/batch", &(0..1_000).map(event).collect());
    assert_eq!(again.expect(422).error_code(), "too_many_deliveries");
    assert_eq!(ids(&hub.get("/v1/events?limit=250")).len(), 250);
}
