//! `/v1/events`.

use hookpost::domain::time::{HOUR, MINUTE};
use serde_json::{Value, json};

use super::{error, error_in, ids, names};
use crate::support::Hub;
use crate::support::receiver::Receiver;

#[test]
fn a_published_event_is_answered_with_its_deliveries() {
    let hub = Hub::start();
    let webhook = hub.add_webhook("http://127.0.0.1:9/");
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"events": ["user.made"]}));
    let receipt = hub.publish("order.paid", json!({"id": 1}));
    assert_eq!(names(&receipt).len(), 3, "{receipt}");
    assert!(receipt["id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(receipt["duplicate"], false);
    let deliveries = receipt["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 1, "{receipt}");
    assert_eq!(deliveries[0]["webhook_id"], json!(webhook));
    assert!(deliveries[0]["id"].as_str().unwrap().starts_with("dlv_"));
}

#[test]
fn an_event_is_shown_as_it_was_sent_with_its_deliveries() {
    let hub = Hub::start();
    hub.add_webhook("http://127.0.0.1:9/");
    let body = json!({
        "type": "order.paid", "data": {"id": 1}, "previous_data": [2], "tenant": "default",
        "id": "order-1_paid", "created_at": "2026-01-15T10:00:00+01:00",
    });
    let receipt = hub.post("/v1/events", &body).expect(202).json();
    assert_eq!(receipt["id"], "order-1_paid");
    let event = hub.get("/v1/events/order-1_paid").expect(200).json();
    for (name, value) in [
        ("type", json!("order.paid")),
        ("data", json!({"id": 1})),
        ("previous_data", json!([2])),
        ("tenant", json!("default")),
        ("id", json!("order-1_paid")),
        ("created_at", json!("2026-01-15T09:00:00.000Z")),
        ("test", json!(false)),
    ] {
        assert_eq!(event[name], value, "{name}");
    }
    assert_eq!(event["deliveries"][0]["id"], receipt["deliveries"][0]["id"]);
    let listed = hub.get("/v1/events").expect(200).json();
    assert_eq!(listed["data"][0]["id"], "order-1_paid");
    assert_eq!(listed["data"][0].get("deliveries"), None);
}

#[test]
fn an_event_says_why_each_other_webhook_of_its_tenant_got_none() {
    let hub = Hub::start();
    let url = "http://127.0.0.1:9/";
    let got = hub.add_webhook(url);
    let other = hub.add_webhook_with(url, &json!({"events": ["user.*", "order.lost"]}));
    let widened = hub.add_webhook_with(url, &json!({"events": ["user.*"]}));
    let many: Vec<String> = (0..30).map(|n| format!("x.y{n}")).collect();
    let busy = hub.add_webhook_with(url, &json!({"events": many}));
    let gone = hub.add_webhook_with(url, &json!({"events": ["user.*"]}));
    hub.add_webhook_with(url, &json!({"tenant": "acme"}));
    hub.advance(MINUTE);
    let receipt = hub.publish("order.paid", json!({}));
    hub.advance(MINUTE);
    let later = hub.add_webhook(url);
    let wider = json!({"events": ["order.*"]});
    hub.patch(&format!("/v1/webhooks/{widened}"), &wider).expect(200);
    hub.delete(&format!("/v1/webhooks/{gone}")).expect(204);
    let path = format!("/v1/events/{}", receipt["id"].as_str().unwrap());
    let event = hub.get(&path).expect(200).json();
    assert_eq!(event["deliveries"][0]["webhook_id"], json!(got));
    assert_eq!(event["not_delivered_count"], 4);
    let missed = event["not_delivered"].as_array().unwrap();
    for (row, webhook, reason, says) in [
        (&missed[0], &other, "not_subscribed", "user.*, order.lost, and not to order.paid"),
        (&missed[1], &widened, "subscribed_later", "order.paid now"),
        (&missed[2], &busy, "not_subscribed", "x.y9 and 20 more"),
        (&missed[3], &later, "created_later", "10:02:00"),
    ] {
        assert_eq!(names(row), ["webhook_id", "url", "reason", "message"]);
        assert_eq!(row["webhook_id"], json!(webhook));
        assert_eq!(row["url"], json!(url));
        assert_eq!(row["reason"], reason);
        assert!(row["message"].as_str().unwrap().contains(says), "{row}");
    }
    assert_eq!(missed.len(), 4, "{event}");
    assert_eq!(hub.get("/v1/events").json()["data"][0].get("not_delivered"), None);
    // A replay to the webhook removes it from the list.
    hub.post(&format!("{path}/replay"), &json!({"webhook_id": later})).expect(202);
    assert_eq!(hub.get(&path).json()["not_delivered_count"], 3);
}

#[test]
fn an_event_tells_of_250_webhooks_that_got_none_and_counts_them_all() {
    let hub = Hub::start();
    for _ in 0..253 {
        hub.add_webhook_with("http://127.0.0.1:9/", &json!({"events": ["user.made"]}));
    }
    let receipt = hub.publish("order.paid", json!({}));
    let path = format!("/v1/events/{}", receipt["id"].as_str().unwrap());
    let event = hub.get(&path).expect(200).json();
    assert_eq!(event["not_delivered"].as_array().unwrap().len(), 250);
    assert_eq!(event["not_delivered_count"], 253);
}

#[test]
fn data_is_kept_as_it_was_spelled() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let data = r#"{"b" :1e400,"a":12345678901234567890123, "a":1.50,"é":"\u00e9"}"#;
    let body = format!(r#"{{"type":"a.b","data":{data}}}"#);
    let receipt = hub.post_text("/v1/events", &body).expect(202).json();
    hub.deliver_until_idle();
    assert!(receiver.last().text().contains(data), "{}", receiver.last().text());
    let path = format!("/v1/events/{}", receipt["id"].as_str().unwrap());
    assert!(hub.get(&path).expect(200).text.contains(data));
}

#[test]
fn each_field_of_an_event_that_breaks_its_rule_is_named() {
    let hub = Hub::start();
    for (name, value, code) in [
        ("type", json!(""), "invalid_event_type"),
        ("type", json!("a..b"), "invalid_event_type"),
        ("type", json!("*"), "invalid_event_type"),
        ("type", json!("a".repeat(129)), "invalid_event_type"),
        ("type", json!(5), "invalid_type"),
        ("type", Value::Null, "invalid_type"),
        ("tenant", json!(""), "invalid_tenant"),
        ("tenant", json!("a b"), "invalid_tenant"),
        ("tenant", json!("a".repeat(65)), "invalid_tenant"),
        ("tenant", json!([]), "invalid_type"),
        ("id", json!(""), "invalid_event_id"),
        ("id", json!("a.b"), "invalid_event_id"),
        ("id", json!("a".repeat(129)), "invalid_event_id"),
        ("id", json!(7), "invalid_type"),
        ("created_at", json!("yesterday"), "invalid_time"),
        ("created_at", json!(1_768_471_200), "invalid_type"),
        ("nonsense", json!(1), "unknown_field"),
    ] {
        let mut body = json!({"type": "order.paid", "data": {}});
        body[name] = value;
        error_in(&hub.post("/v1/events", &body), 422, code, name);
    }
    for (body, field) in [(json!({"data": 1}), "type"), (json!({"type": "a"}), "data")] {
        error_in(&hub.post("/v1/events", &body), 422, "missing_field", field);
    }
    assert!(ids(&hub.get("/v1/events")).is_empty());
    for fine in [
        json!({"type": "a".repeat(128), "data": null, "id": "i".repeat(128)}),
        json!({"type": "a", "data": null, "tenant": "t".repeat(64)}),
    ] {
        hub.post("/v1/events", &fine).expect(202);
    }
}

#[test]
fn an_unknown_event_is_a_404() {
    let hub = Hub::start();
    for id in ["evt_nobody", "%00", "%ff", "a.b", "..%2f..", &"a".repeat(500)] {
        error(&hub.get(&format!("/v1/events/{id}")), 404, "not_found");
    }
}

#[test]
fn events_are_listed_by_type_tenant_and_time() {
    let hub = Hub::start();
    let publish = |event_type: &str, tenant: &str| {
        let body = json!({"type": event_type, "data": 1, "tenant": tenant});
        let receipt = hub.post("/v1/events", &body).expect(202).json();
        hub.advance(HOUR);
        receipt["id"].as_str().unwrap().to_owned()
    };
    let at_ten = publish("a.b", "default");
    let at_eleven = publish("a.b.c", "default");
    let at_noon = publish("a.b", "acme");
    for (query, expected) in [
        ("", vec![&at_noon, &at_eleven, &at_ten]),
        ("?type=a.b", vec![&at_noon, &at_ten]),
        ("?tenant=default", vec![&at_eleven, &at_ten]),
        ("?since=2026-01-15T11:00:00Z", vec![&at_noon, &at_eleven]),
        ("?until=2026-01-15T11:00:00Z", vec![&at_ten]),
        ("?since=2026-01-15T11:00:00Z&until=2026-01-15T12:00:00Z", vec![&at_eleven]),
        ("?type=a.b&tenant=acme", vec![&at_noon]),
    ] {
        let found = ids(&hub.get(&format!("/v1/events{query}")));
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    for (query, code, field) in [
        ("?type=a..b", "invalid_event_pattern", "type"),
        ("?since=now", "invalid_time", "since"),
        ("?until=2026", "invalid_time", "until"),
        ("?tenant=", "invalid_tenant", "tenant"),
        ("?id=a", "unknown_parameter", "id"),
    ] {
        error_in(&hub.get(&format!("/v1/events{query}")), 422, code, field);
    }
    hub.advance(MINUTE);
}

#[test]
fn an_event_with_the_id_batch_is_shown_like_any_other() {
    let hub = Hub::start();
    hub.get("/v1/events/batch").expect(404);
    let event = json!({"type": "order.paid", "data": 7, "id": "batch"});
    hub.post("/v1/events", &event).expect(202);
    let shown = hub.get("/v1/events/batch").expect(200).json();
    assert_eq!(shown["id"], "batch");
    assert_eq!(shown["data"], 7);
    let more = json!([{"type": "order.paid", "data": {}}]);
    hub.post("/v1/events/batch", &more).expect(202);
}

#[test]
fn an_event_may_have_happened_up_to_the_last_moment_of_9999() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    for (given, shown) in [
        ("9999-12-30T22:00:01Z", "9999-12-30T22:00:01.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ("9999-12-31T12:00:00+09:30", "9999-12-31T02:30:00.000Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
    ] {
        let event = json!({"type": "a.b", "data": 1, "created_at": given});
        let id = hub.post("/v1/events", &event).expect(202).json()["id"].as_str().unwrap().to_owned();
        assert_eq!(hub.get(&format!("/v1/events/{id}")).json()["created_at"], shown);
        hub.deliver_until_idle();
        let body: Value = serde_json::from_slice(&receiver.last().body).unwrap();
        assert_eq!(body["created_at"], format!("{}Z", &shown[..19]));
    }
    for given in
        ["9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z", "+010000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"]
    {
        let event = json!({"type": "a.b", "data": 1, "created_at": given});
        error_in(&hub.post("/v1/events", &event), 422, "invalid_time", "created_at");
    }
    // The pages show it too.
    let page = hub.administrator().page("/events");
    assert!(page.holds("9999"), "{page}");
}
