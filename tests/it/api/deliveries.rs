//! `/v1/deliveries` and `/v1/dead-letters`.

use hookpost::domain::time::HOUR;
use serde_json::{Value, json};

use super::{error, error_in, ids, names};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

/// Fields of a webhook whose deliveries become dead letters after the first attempt.
fn one_attempt() -> Value {
    json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}})
}

#[test]
fn a_delivery_shows_every_attempt_whole() {
    let hub = Hub::start();
    let reply = Reply::status(500).header("X-Why", "no").body("broken");
    let receiver = Receiver::behaving(Behaviour::Answer(reply));
    let webhook = hub.add_webhook(receiver.url());
    let receipt = hub.publish("order.paid", json!({"id": 1}));
    let id = receipt["deliveries"][0]["id"].as_str().unwrap();
    hub.deliver_until_idle();
    let delivery = hub.delivery(id);
    let fields = [
        "id",
        "event_id",
        "event_type",
        "webhook_id",
        "tenant",
        "status",
        "waiting_for",
        "discard_reason",
        "test",
        "attempt_count",
        "next_attempt_at",
        "created_at",
        "finished_at",
        "last_attempt",
        "attempts",
        "attempts_next_cursor",
    ];
    assert_eq!(sorted(names(&delivery)), sorted(fields.to_vec()));
    assert_eq!(delivery["event_id"], receipt["id"]);
    assert_eq!(delivery["webhook_id"], json!(webhook));
    assert_eq!(delivery["status"], "retrying");
    assert_eq!(delivery["attempt_count"], 1);
    assert!(delivery["next_attempt_at"].as_str().unwrap().starts_with("2026-01-15T10:01:0"));
    let last = &delivery["last_attempt"];
    assert_eq!(sorted(names(last)), ["at", "code", "duration_ms", "error_code"]);
    assert_eq!((&last["code"], &last["error_code"]), (&json!(500), &json!("status")));

    let attempt = &delivery["attempts"][0];
    let fields = [
        "id",
        "number",
        "trigger",
        "started_at",
        "duration_ms",
        "timings",
        "remote_address",
        "connections",
        "token_renewed",
        "request",
        "response",
        "error",
    ];
    assert_eq!(sorted(names(attempt)), sorted(fields.to_vec()));
    assert!(attempt["id"].as_str().unwrap().starts_with("att_"));
    assert_eq!(attempt["number"], 1);
    assert_eq!(attempt["trigger"], "initial");
    assert_eq!(attempt["started_at"], "2026-01-15T10:00:00.000Z");
    assert_eq!(attempt["connections"], 1);
    let address = format!("127.0.0.1:{}", receiver.port());
    assert_eq!(attempt["remote_address"], json!(address));
    let timings = ["connect_ms", "first_byte_ms", "resolve_ms", "tls_ms", "token_ms"];
    assert_eq!(sorted(names(&attempt["timings"])), timings);
    assert_eq!(sorted(names(&attempt["request"])), ["body", "headers", "url"]);
    assert_eq!(attempt["request"]["url"], json!(receiver.url()));
    assert_eq!(attempt["request"]["body"], receiver.last().text());
    assert!(attempt["request"]["headers"]["webhook-id"].is_string(), "{attempt}");
    let response = &attempt["response"];
    assert_eq!(sorted(names(response)), ["body", "body_truncated", "code", "headers", "same_as_attempt"]);
    assert_eq!(response["code"], 500);
    assert_eq!(response["body"], "broken");
    assert_eq!(response["body_truncated"], false);
    assert!(response["headers"].to_string().to_lowercase().contains(r#""x-why":"no""#));
    assert_eq!(sorted(names(&attempt["error"])), ["code", "message"]);
    assert_eq!(attempt["error"]["code"], "status");
}

#[test]
fn an_attempt_without_an_answer_says_why() {
    let hub = Hub::start();
    hub.add_webhook(Receiver::refused_url());
    let id = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let attempt = &hub.delivery(&id)["attempts"][0];
    assert_eq!(attempt["response"], Value::Null);
    assert_eq!(attempt["error"]["code"], "connect_refused");
}

#[test]
fn deliveries_are_listed_by_every_filter() {
    let hub = Hub::start();
    let good = Receiver::start();
    let bad = Receiver::answering(503);
    let ours = hub.add_webhook_with(good.url(), &json!({"events": ["a.b"]}));
    let mut fields = one_attempt();
    fields["tenant"] = json!("acme");
    let theirs = hub.add_webhook_with(bad.url(), &fields);
    fields["tenant"] = json!("lost");
    hub.add_webhook_with(Receiver::refused_url(), &fields);
    let publish = |tenant: &str, event_type: &str| {
        let body = json!({"type": event_type, "data": 1, "tenant": tenant, "id": format!("of-{tenant}")});
        let receipt = hub.post("/v1/events", &body).expect(202).json();
        hub.deliver_until_idle();
        hub.advance(HOUR);
        receipt["deliveries"][0]["id"].as_str().unwrap().to_owned()
    };
    let delivered = publish("default", "a.b");
    let failed = publish("acme", "a.c");
    let refused = publish("lost", "a.c");
    let test = hub.post(&format!("/v1/webhooks/{ours}/test"), &json!({})).expect(200).json();
    let test = test["id"].as_str().unwrap().to_owned();
    let by_webhook = format!("?webhook_id={theirs}");
    for (query, expected) in [
        ("", vec![&test, &refused, &failed, &delivered]),
        (by_webhook.as_str(), vec![&failed]),
        ("?event_id=of-acme", vec![&failed]),
        ("?event_id=nobody", vec![]),
        ("?status=delivered", vec![&test, &delivered]),
        ("?status=failed", vec![&refused, &failed]),
        ("?status=pending", vec![]),
        ("?event_type=a.c", vec![&refused, &failed]),
        ("?tenant=acme", vec![&failed]),
        ("?response_code=503", vec![&failed]),
        ("?response_code=200", vec![&test, &delivered]),
        ("?error_code=status", vec![&failed]),
        ("?error_code=connect_refused", vec![&refused]),
        ("?test=true", vec![&test]),
        ("?test=false", vec![&refused, &failed, &delivered]),
        ("?since=2026-01-15T12:00:00Z", vec![&test, &refused]),
        ("?until=2026-01-15T11:00:00Z", vec![&delivered]),
        ("?since=2026-01-15T11:00:00Z&until=2026-01-15T12:00:00Z", vec![&failed]),
        ("?status=failed&event_type=a.c&tenant=lost&test=false", vec![&refused]),
    ] {
        let answer = hub.get(&format!("/v1/deliveries{query}"));
        assert_eq!(ids(&answer).iter().collect::<Vec<_>>(), expected, "{query}");
        assert!(!answer.text.contains("\"attempts\""));
    }
    for (query, code, field) in [
        ("webhook_id=evt_1", "invalid_parameter", "webhook_id"),
        ("event_id=a.b", "invalid_event_id", "event_id"),
        ("status=lost", "invalid_value", "status"),
        ("event_type=a..b", "invalid_event_pattern", "event_type"),
        ("tenant=a.b", "invalid_tenant", "tenant"),
        ("response_code=many", "invalid_parameter", "response_code"),
        ("response_code=99999", "invalid_parameter", "response_code"),
        ("error_code=bad", "invalid_parameter", "error_code"),
        ("test=1", "invalid_parameter", "test"),
        ("since=now", "invalid_time", "since"),
        ("until=now", "invalid_time", "until"),
        ("sort=asc", "unknown_parameter", "sort"),
    ] {
        error_in(&hub.get(&format!("/v1/deliveries?{query}")), 422, code, field);
    }
    let letters = |query: &str| ids(&hub.get(&format!("/v1/dead-letters{query}")));
    assert_eq!(letters(""), [refused, failed.clone()]);
    assert_eq!(letters("?tenant=acme"), [failed]);
    for (query, field) in [("status=failed", "status"), ("test=true", "test")] {
        let answer = hub.get(&format!("/v1/dead-letters?{query}"));
        error_in(&answer, 422, "unknown_parameter", field);
    }
}

#[test]
fn a_failed_delivery_is_retried_by_hand_in_a_fresh_series() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &one_attempt());
    let id = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&id), "failed");
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    let path = format!("/v1/deliveries/{id}/retry");
    let retried = hub.call_with(&hub.key, "POST", &path, None).expect(202).json();
    assert_eq!(retried["id"], json!(id));
    hub.deliver_until_idle();
    let delivery = hub.delivery(&id);
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["attempts"][1]["trigger"], "manual");
    // A delivered delivery may be sent again too.
    hub.post(&path, &json!({})).expect(202);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 3);
}

#[test]
fn a_delivery_that_waits_is_discarded_once_and_for_good() {
    let hub = Hub::start();
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    let id = hub.publish_one("order.paid", json!({}));
    let path = |verb: &str| format!("/v1/deliveries/{id}/{verb}");
    let discarded = hub.call_with(&hub.key, "POST", &path("discard"), None).expect(202).json();
    assert_eq!(discarded["status"], "discarded");
    assert!(discarded["finished_at"].is_string());
    error(&hub.post(&path("discard"), &json!({})), 409, "delivery_finished");
    error(&hub.post(&path("retry"), &json!({})), 409, "delivery_discarded");
}

#[test]
fn a_test_or_a_delivery_of_a_deleted_webhook_is_not_retried() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &one_attempt());
    let test = hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).json();
    let path = format!("/v1/deliveries/{}", test["id"].as_str().unwrap());
    error(&hub.post(&format!("{path}/retry"), &json!({})), 409, "test_delivery");
    error(&hub.post(&format!("{path}/discard"), &json!({})), 409, "delivery_finished");
    let id = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
    let answer = hub.post(&format!("/v1/deliveries/{id}/retry"), &json!({}));
    error(&answer, 409, "webhook_deleted");
}

#[test]
fn an_unknown_delivery_is_a_404() {
    let hub = Hub::start();
    for id in ["dlv_1", "evt_01KF0000000000000000000000", "dlv_01KF0000000000000000000000", "%00"] {
        error(&hub.get(&format!("/v1/deliveries/{id}")), 404, "not_found");
        for verb in ["retry", "discard"] {
            let answer = hub.post(&format!("/v1/deliveries/{id}/{verb}"), &json!({}));
            error(&answer, 404, "not_found");
        }
    }
}
