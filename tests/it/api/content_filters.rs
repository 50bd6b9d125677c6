//! The filter of a webhook: saved, applied when events are published and replayed, and explained.

use std::time::{Duration, Instant};

use hookpost::domain::time::MINUTE;
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error_in, ids};
use crate::support::Hub;
use crate::support::receiver::Receiver;

const URL: &str = "http://127.0.0.1:9/";

fn large_orders() -> Value {
    json!({"data": {"amount": {"$gte": 100}}})
}

fn filtered(hub: &Hub, filter: &Value) -> String {
    hub.add_webhook_with(URL, &json!({"filter": filter}))
}

/// Webhooks that an event is delivered to.
fn recipients(receipt: &Value) -> Vec<String> {
    let deliveries = receipt["deliveries"].as_array().unwrap().iter();
    deliveries.map(|delivery| delivery["webhook_id"].as_str().unwrap().to_owned()).collect()
}

fn event(hub: &Hub, receipt: &Value) -> Value {
    hub.get(&format!("/v1/events/{}", receipt["id"].as_str().unwrap())).expect(200).json()
}

#[test]
fn an_event_is_delivered_only_where_the_filter_matches() {
    let mut hub = Hub::start();
    let all = hub.add_webhook(URL);
    let large = filtered(&hub, &large_orders());
    let eu = filtered(&hub, &json!({"data": {"country": {"$in": ["DE", "AT"]}, "tags": "urgent"}}));
    for restart in [false, true] {
        if restart {
            hub.restart();
        }
        for (data, expected) in [
            (json!({"amount": 99.99}), vec![&all]),
            (json!({"amount": 100}), vec![&all, &large]),
            (json!({"amount": "250", "country": "AT", "tags": ["new", "urgent"]}), vec![&all, &large, &eu]),
            (json!([]), vec![&all]),
        ] {
            assert_eq!(
                recipients(&hub.publish("order.paid", data.clone())),
                expected.into_iter().cloned().collect::<Vec<_>>(),
                "{data}"
            );
        }
    }
}

#[test]
fn a_filter_may_be_about_everything_that_an_event_has() {
    let hub = Hub::start();
    let by = |filter: Value| hub.add_webhook_with(URL, &json!({"filter": filter, "tenant": "acme"}));
    let by_type = by(json!({"type": {"$startsWith": "order."}}));
    let by_tenant = by(json!({"tenant": "acme"}));
    let by_id = by(json!({"id": "o-1"}));
    let by_generated_id = by(json!({"id": {"$startsWith": "evt_"}}));
    let changed = by(json!({"data": {"status": {"$changed": true, "$eq": "paid"}}}));
    let created = by(json!({"previous_data": {"$exist": false}}));
    let publish = |more: Value| {
        let mut body = json!({"type": "order.paid", "tenant": "acme", "data": {"status": "paid"}});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        recipients(&hub.post("/v1/events", &body).expect(202).json())
    };
    assert_eq!(publish(json!({"id": "o-1"})), [&by_type, &by_tenant, &by_id, &created].map(String::clone));
    assert_eq!(
        publish(json!({"previous_data": {"status": "open"}})),
        [&by_type, &by_tenant, &by_generated_id, &changed].map(String::clone)
    );
    assert_eq!(
        publish(json!({"type": "user.made", "previous_data": {"status": "paid"}})),
        [&by_tenant, &by_generated_id].map(String::clone)
    );
}

#[test]
fn numbers_are_compared_by_all_their_digits() {
    let hub = Hub::start();
    let filter = r#"{"url": "http://127.0.0.1:9/", "events": ["*"], "filter": {"data": {"n": {"$gt": 12345678901234567890123}}}}"#;
    hub.post_text("/v1/webhooks", filter).expect(201);
    for (number, count) in [
        ("12345678901234567890124", 1),
        ("12345678901234567890123", 0),
        ("1.2345678901234567890123e22", 0),
        ("1e400", 1),
    ] {
        let body = format!(r#"{{"type": "a.b", "data": {{"n": {number}}}}}"#);
        let receipt = hub.post_text("/v1/events", &body).expect(202).json();
        assert_eq!(recipients(&receipt).len(), count, "{number}");
    }
}

#[test]
fn a_filter_is_answered_as_given_changed_and_removed() {
    let hub = Hub::start();
    let body = r#"{"url": "http://127.0.0.1:9/", "events": ["*"], "filter": {"data" : {"amount":{"$gte":1.50}} }}"#;
    let created = hub.post_text("/v1/webhooks", body).expect(201);
    assert!(created.text.contains(r#""filter":{"data" : {"amount":{"$gte":1.50}} },"#), "{}", created.text);
    let webhook = created.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhooks/{webhook}");
    hub.patch(&path, &json!({"description": "x"})).expect(200);
    assert!(hub.get(&path).text.contains(r#""filter":{"data" : {"amount":{"$gte":1.50}} },"#));
    assert!(recipients(&hub.publish("a.b", json!({"amount": 1}))).is_empty());
    hub.patch(&path, &json!({"filter": {"data": {"amount": 1}}})).expect(200);
    assert_eq!(recipients(&hub.publish("a.b", json!({"amount": 1}))).len(), 1);
    assert!(recipients(&hub.publish("a.b", json!({"amount": 2}))).is_empty());
    let removed = hub.patch(&path, &json!({"filter": null})).expect(200).json();
    assert_eq!(removed["filter"], Value::Null);
    assert_eq!(recipients(&hub.publish("a.b", json!({"amount": 2}))).len(), 1);
    // The audit log names the setting.
    let log = hub.get("/v1/audit").expect(200).text;
    assert!(log.contains(r#""detail":"filter""#), "{log}");
}

#[test]
fn a_filter_that_makes_no_sense_is_refused_with_its_place() {
    let hub = Hub::start();
    let webhook = hub.add_webhook(URL);
    let path = format!("/v1/webhooks/{webhook}");
    for (filter, place) in [
        (json!({"data": {"amount": {"$gte": null}}}), "filter.data.amount.$gte"),
        (json!({"amount": 5}), "filter.amount"),
        (json!({"data": {"a": {"$regex": "(a+)+"}}}), "filter.data.a.$regex"),
        (json!([]), "filter"),
        (json!("x"), "filter"),
        (json!({"data": "x".repeat(16 << 10)}), "filter"),
    ] {
        let body = json!({"url": URL, "events": ["*"], "filter": filter});
        error_in(&hub.post("/v1/webhooks", &body), 422, "invalid_filter", place);
        error_in(&hub.patch(&path, &json!({"filter": filter})), 422, "invalid_filter", place);
    }
    assert_eq!(hub.webhook(&webhook)["filter"], Value::Null);
}

#[test]
fn each_event_of_a_batch_goes_where_its_filter_lets_it() {
    let hub = Hub::start();
    let large = filtered(&hub, &large_orders());
    let theirs = hub.add_webhook_with(URL, &json!({"filter": {"data": {"amount": 1}}, "tenant": "acme"}));
    let batch: Vec<Value> = [("default", 1), ("default", 100), ("acme", 1), ("acme", 100)]
        .map(|(tenant, amount)| json!({"type": "a.b", "tenant": tenant, "data": {"amount": amount}}))
        .into();
    let receipts = hub.post("/v1/events/batch", &json!(batch)).expect(202).json();
    let to: Vec<_> = receipts["data"].as_array().unwrap().iter().map(recipients).collect();
    assert_eq!(to, [vec![], vec![large], vec![theirs], vec![]]);
}

#[test]
fn an_excluded_event_names_the_condition_and_the_value_found() {
    let hub = Hub::start();
    let large = filtered(&hub, &large_orders());
    let status = filtered(&hub, &json!({"data": {"status": {"$changed": true}}}));
    let later = filtered(&hub, &large_orders());
    hub.advance(MINUTE);
    let receipt = hub.publish("order.paid", json!({"amount": 99.50}));
    hub.patch(&format!("/v1/webhooks/{later}"), &json!({"filter": {"data": {"amount": 99.5}}})).expect(200);
    let event = event(&hub, &receipt);
    assert_eq!(event["not_delivered_count"], 3);
    for (row, (webhook, reason, says)) in event["not_delivered"].as_array().unwrap().iter().zip([
        (&large, "filtered", "Its filter does not match: data.amount must be at least 100, but is 99.5."),
        (&status, "filtered", "Its filter does not match: data.status must have changed, but has not."),
        (&later, "subscribed_later", "its filter matches now, and did not"),
    ]) {
        assert_eq!((&row["webhook_id"], &row["reason"]), (&json!(webhook), &json!(reason)));
        assert!(row["message"].as_str().unwrap().contains(says), "{row}");
    }
}

#[test]
fn a_replay_to_all_respects_filters_and_one_to_a_webhook_does_not() {
    let hub = Hub::start();
    let receipt = hub.publish("order.paid", json!({"amount": 5}));
    let path = format!("/v1/events/{}/replay", receipt["id"].as_str().unwrap());
    let large = filtered(&hub, &large_orders());
    let small = filtered(&hub, &json!({"data": {"amount": {"$lt": 100}}}));
    let to = |body: &Value| -> Vec<String> {
        let rows = hub.post(&path, body).expect(202).json();
        rows["data"].as_array().unwrap().iter().map(|row| row["webhook_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(to(&json!({})), [small]);
    assert_eq!(to(&json!({"webhook_id": large})), [large]);
}

#[test]
fn a_replay_of_a_webhook_sends_what_its_filter_lets_through() {
    let hub = Hub::start();
    for amount in [5, 100, 7, 250] {
        hub.publish("order.paid", json!({"amount": amount}));
        hub.advance(MINUTE);
    }
    let large = filtered(&hub, &large_orders());
    let path = format!("/v1/webhooks/{large}/replay");
    let replay = |dry_run: bool| {
        hub.post(&path, &json!({"since": "2026-01-15T00:00:00Z", "dry_run": dry_run}))
            .expect(if dry_run { 200 } else { 202 })
            .json()
    };
    assert_eq!(replay(true)["count"], 2);
    assert_eq!(replay(false)["count"], 2);
    assert_eq!(ids(&hub.get(&format!("/v1/deliveries?webhook_id={large}"))).len(), 2);
}

#[test]
fn a_test_event_is_sent_whatever_the_filter_says() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"filter": {"type": "never.sent"}}));
    hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).expect(200);
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn a_paused_webhook_queues_only_what_its_filter_lets_through() {
    let hub = Hub::start();
    let webhook = hub.add_webhook_with(URL, &json!({"filter": large_orders(), "active": false}));
    hub.publish("order.paid", json!({"amount": 5}));
    hub.publish("order.paid", json!({"amount": 500}));
    assert_eq!(ids(&hub.get(&format!("/v1/deliveries?webhook_id={webhook}"))).len(), 1);
}

#[test]
fn excluded_deliveries_need_no_room_in_the_queue() {
    let hub = Hub::with(|options| options.tenant_limits.queued = 1);
    hub.add_webhook_with(URL, &json!({"active": false}));
    filtered(&hub, &large_orders());
    hub.publish("order.paid", json!({"amount": 5}));
}

#[test]
fn a_tenants_own_key_sets_its_filters() {
    let hub = Hub::start();
    let acme = hub.make_key(Scope::Admin, Some("acme"), None);
    let body = json!({"url": URL, "events": ["*"], "filter": large_orders()}).to_string();
    let created = hub.call_with(&acme, "POST", "/v1/webhooks", Some(&body)).expect(201).json();
    assert_eq!(created["filter"], large_orders());
}

/// A tenant whose webhooks have filters as costly as they may be does not hold up the events of others.
#[test]
fn hostile_filters_on_a_large_event_end_and_hold_up_nobody_else() {
    let hub = Hub::start();
    let condition = json!({"data": {"$or": [{"a": 2}, 2, "x"]}});
    let hostile = json!({"tenant": "acme", "filter": {"$or": vec![condition; 80]}});
    for _ in 0..4 {
        hub.add_webhook_with(URL, &hostile);
    }
    let other = hub.add_webhook_with(URL, &json!({"filter": large_orders()}));
    let data = vec![json!(1); 450_000];
    let large = json!({"type": "a.b", "tenant": "acme", "data": data}).to_string();
    std::thread::scope(|scope| {
        let publish = || hub.post_text("/v1/events", &large).expect(202).json();
        let hostile: Vec<_> = (0..2).map(|_| scope.spawn(publish)).collect();
        let mut slowest = Duration::ZERO;
        while hostile.iter().any(|thread| !thread.is_finished()) {
            let begin = Instant::now();
            assert_eq!(recipients(&hub.publish("a.b", json!({"amount": 100}))), std::slice::from_ref(&other));
            slowest = slowest.max(begin.elapsed());
        }
        // A filter that cannot be decided lets the event through.
        for thread in hostile {
            assert!(!recipients(&thread.join().unwrap()).is_empty());
        }
        assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    });
}
