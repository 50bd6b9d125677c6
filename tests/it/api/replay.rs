//! `/v1/events/{id}/replay` and `/v1/webhooks/{id}/replay`.

use hookpost::domain::time::HOUR;
use serde_json::{Value, json};

use super::{error, error_in};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

fn path_of(receipt: &Value) -> String {
    format!("/v1/events/{}/replay", receipt["id"].as_str().unwrap())
}

#[test]
fn an_event_is_delivered_again_to_all_that_match_now() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let first = hub.add_webhook(receiver.url());
    let receipt = hub.publish("order.paid", json!({"b" :1}));
    hub.deliver_until_idle();
    let second = hub.add_webhook_with(receiver.url(), &json!({"events": ["order.*"]}));
    hub.add_webhook_with(receiver.url(), &json!({"events": ["user.*"]}));
    hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme"}));
    let answer = hub.post(&path_of(&receipt), &json!({})).expect(202).json();
    let to: Vec<&Value> = answer["data"].as_array().unwrap().iter().map(|row| &row["webhook_id"]).collect();
    assert_eq!(to, [&json!(first), &json!(second)]);
    assert_eq!(answer["data"][0]["status"], "pending");
    assert_eq!(answer["data"][0]["event_id"], receipt["id"]);
    hub.deliver_until_idle();
    let sent = receiver.requests();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|request| request.text() == sent[0].text()));
    let id = answer["data"][0]["id"].as_str().unwrap();
    assert_eq!(hub.delivery(id)["attempts"][0]["trigger"], "initial");
    // The event now lists both replayed deliveries too.
    let event = hub.get(&format!("/v1/events/{}", receipt["id"].as_str().unwrap())).json();
    assert_eq!(event["deliveries"].as_array().unwrap().len(), 3);
}

#[test]
fn an_event_is_delivered_again_to_one_webhook_whether_or_not_it_subscribes() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let receipt = hub.publish("order.paid", json!({}));
    let other = hub.add_webhook_with(receiver.url(), &json!({"events": ["user.*"]}));
    let acme = hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme"}));
    let path = path_of(&receipt);
    let answer = hub.post(&path, &json!({"webhook_id": other})).expect(202).json();
    assert_eq!(answer["data"][0]["webhook_id"], json!(other));
    error_in(&hub.post(&path, &json!({"webhook_id": acme})), 422, "other_tenant", "webhook_id");
    error_in(&hub.post(&path, &json!({"webhook_id": 1})), 422, "invalid_type", "webhook_id");
    error_in(&hub.post(&path, &json!({"to": other})), 422, "unknown_field", "to");
    for unknown in ["wh_1", "wh_01KF0000000000000000000000"] {
        error(&hub.post(&path, &json!({"webhook_id": unknown})), 404, "not_found");
    }
    error(&hub.post("/v1/events/nobody/replay", &json!({})), 404, "not_found");
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn a_test_is_not_replayed() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let test = hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).json();
    let path = format!("/v1/events/{}/replay", test["event_id"].as_str().unwrap());
    error(&hub.post(&path, &json!({})), 409, "test_event");
}

/// Publishes a.b, a.c and a.b an hour apart from 10:00 on, then an event of another tenant.
fn three_hours(hub: &Hub) {
    for event_type in ["a.b", "a.c", "a.b"] {
        hub.publish(event_type, json!(event_type));
        hub.deliver_until_idle();
        hub.advance(HOUR);
    }
    let theirs = json!({"type": "a.b", "data": 1, "tenant": "acme"});
    hub.post("/v1/events", &theirs).expect(202);
}

#[test]
fn a_webhook_gets_its_events_of_a_span_again() {
    let hub = Hub::start();
    three_hours(&hub);
    let receiver = Receiver::start();
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"events": ["a.b", "x.*"]}));
    let all = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    let path = |id: &str| format!("/v1/webhooks/{id}/replay");
    let ten = "2026-01-15T10:00:00Z";
    let eleven = "2026-01-15T11:00:00Z";
    let noon = "2026-01-15T12:00:00Z";
    for (id, body, count) in [
        (&webhook, json!({"since": ten}), 2),
        (&webhook, json!({"since": eleven}), 1),
        (&webhook, json!({"since": ten, "until": eleven}), 1),
        (&webhook, json!({"since": ten, "event_types": ["a.c"]}), 0),
        (&webhook, json!({"since": ten, "only_failed": true}), 0),
        (&all, json!({"since": ten}), 3),
        (&all, json!({"since": ten, "until": noon}), 2),
        (&all, json!({"since": ten, "event_types": ["a.c", "b.*"]}), 1),
        (&all, json!({"since": ten, "event_types": ["a.*"]}), 3),
        (&all, json!({"since": "2027-01-01T00:00:00Z"}), 0),
    ] {
        let mut dry = body.clone();
        dry["dry_run"] = json!(true);
        let answer = hub.post(&path(id), &dry).expect(200).json();
        assert_eq!(answer, json!({"count": count}), "{body}");
    }
    assert_eq!(hub.get("/v1/deliveries").json()["data"], json!([]));
    let answer = hub.post(&path(&webhook), &json!({"since": ten})).expect(202).json();
    assert_eq!(answer, json!({"count": 2}));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 2);
    // A second call replays them again.
    hub.post(&format!("/api/webhooks/{webhook}/replay"), &json!({"since": ten})).expect(202);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 4);
}

#[test]
fn only_what_failed_is_replayed_and_not_again_once_it_got_through() {
    let hub = Hub::start();
    let receiver = Receiver::with(|request| Reply::status(if request.text().contains("a.c") { 200 } else { 500 }));
    let fields = json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}});
    let webhook = hub.add_webhook_with(receiver.url(), &fields);
    hub.add_webhook_with(Receiver::refused_url(), &fields);
    three_hours(&hub);
    let path = format!("/v1/webhooks/{webhook}/replay");
    let body = json!({"since": "2026-01-15T10:00:00Z", "only_failed": true});
    // They fail again and are replayed again, once each.
    for _ in 0..2 {
        assert_eq!(hub.post(&path, &body).expect(202).json()["count"], 2);
        hub.deliver_until_idle();
    }
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    assert_eq!(hub.post(&path, &body).expect(202).json()["count"], 2);
    // Pending and delivered ones are not replayed.
    assert_eq!(hub.post(&path, &body).expect(202).json()["count"], 0);
    hub.deliver_until_idle();
    assert_eq!(hub.post(&path, &body).expect(202).json()["count"], 0);
    assert_eq!(receiver.hits(), 3 + 2 + 2 + 2);
}

#[test]
fn each_field_of_a_replay_that_breaks_its_rule_is_named() {
    let hub = Hub::start();
    let webhook = hub.add_webhook("http://127.0.0.1:9/");
    let path = format!("/v1/webhooks/{webhook}/replay");
    error_in(&hub.post(&path, &json!({})), 422, "missing_field", "since");
    for (name, value, code, field) in [
        ("since", json!("yesterday"), "invalid_time", "since"),
        ("since", json!(5), "invalid_type", "since"),
        ("until", json!("now"), "invalid_time", "until"),
        ("until", json!("2026-01-15T10:00:00Z"), "empty_span", "until"),
        ("event_types", json!([]), "invalid_event_types", "event_types"),
        ("event_types", json!(["a", "a..b"]), "invalid_event_pattern", "event_types[1]"),
        ("event_types", json!("a"), "invalid_type", "event_types"),
        ("only_failed", json!("yes"), "invalid_type", "only_failed"),
        ("dry_run", json!(1), "invalid_type", "dry_run"),
        ("failed", json!(true), "unknown_field", "failed"),
    ] {
        let mut body = json!({"since": "2026-01-15T10:00:00Z"});
        body[name] = value;
        error_in(&hub.post(&path, &body), 422, code, field);
    }
    let body = json!({"since": "2026-01-15T10:00:00Z"});
    error(&hub.post("/v1/webhooks/wh_1/replay", &body), 404, "not_found");
}
