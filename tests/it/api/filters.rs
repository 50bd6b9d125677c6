//! Filters of lists, alone and combined, page by page.

use serde_json::{Value, json};

use super::{error_in, ids};
use crate::support::Hub;
use crate::support::hub::NOON;
use crate::support::receiver::Receiver;

/// Returns the ids of a list, read in pages of `limit`. A page with a cursor may have fewer rows.
fn all(hub: &Hub, list: &str, query: &str, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = hub.get(&format!("{list}?limit={limit}&{query}{cursor}"));
        let page = ids(&answer);
        assert!(page.len() <= limit);
        found.extend(page);
        match &answer.json()["next_cursor"] {
            Value::Null => return found,
            next => cursor = format!("&cursor={}", next.as_str().unwrap()),
        }
    }
}

/// Creates two tenants with two webhooks each, one of which fails, and events of three types within three minutes.
fn mixed() -> (Hub, Vec<Receiver>) {
    let hub = Hub::start();
    let receivers = vec![Receiver::start(), Receiver::answering(500), Receiver::answering(204)];
    for tenant in ["default", "acme"] {
        for (receiver, delays) in receivers.iter().zip([json!([]), json!([]), json!([60])]) {
            let retry = json!({"delays_s": delays, "exhausted": "dead_letter"});
            let fields = json!({"tenant": tenant, "retry": retry});
            hub.add_webhook_with(receiver.url(), &fields);
        }
    }
    hub.add_webhook("http://127.0.0.1:9/");
    for minute in 0..3 {
        for event_type in ["order.paid", "order.sent", "user.made"] {
            for tenant in ["default", "acme"] {
                let event = json!({"type": event_type, "tenant": tenant, "data": minute});
                hub.post("/v1/events", &event).expect(202);
            }
        }
        hub.deliver_until_idle();
        hub.advance(60_000);
    }
    let paused = hub.add_webhook_with(receivers[0].url(), &json!({"active": false}));
    hub.publish("user.gone", json!({}));
    hub.deliver_until_idle();
    let waiting = ids(&hub.get(&format!("/v1/deliveries?webhook_id={paused}")));
    hub.post(&format!("/v1/deliveries/{}/discard", waiting[0]), &json!({})).expect(202);
    hub.publish("user.gone", json!({}));
    hub.deliver_until_idle();
    hub.post(&format!("/v1/webhooks/{paused}/test"), &json!({})).expect(200);
    // Replayed deliveries are found like any other.
    let webhooks = ids(&hub.get("/v1/webhooks?tenant=acme"));
    let span = json!({"since": "2026-01-15T10:01:00Z", "until": "2026-01-15T10:02:00Z"});
    hub.post(&format!("/v1/webhooks/{}/replay", webhooks[0]), &span).expect(202);
    hub.deliver_until_idle();
    (hub, receivers)
}

fn matches(row: &Value, name: &str, value: &str) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match name {
        "since" => row["created_at"].as_str().unwrap() >= value,
        "until" => row["created_at"].as_str().unwrap() < value,
        "finished_since" => row["finished_at"].as_str().is_some_and(|at| at >= value),
        "finished_until" => row["finished_at"].as_str().is_some_and(|at| at < value),
        _ => {
            let held = match name {
                "response_code" => text(&row["last_attempt"]["code"]),
                "error_code" => text(&row["last_attempt"]["error_code"]),
                _ => text(&row[name]),
            };
            value.split(',').any(|one| match (one.strip_suffix(".*"), one.strip_suffix("xx")) {
                (Some(above), _) => held.starts_with(&format!("{above}.")),
                (_, Some(digit)) => held.len() == 3 && held.starts_with(digit),
                _ => held == one || one == "*",
            })
        }
    }
}

#[test]
fn every_pair_of_filters_shows_the_deliveries_that_both_mean_in_order() {
    let (hub, _receivers) = mixed();
    let whole = hub.get("/v1/deliveries?limit=250").expect(200).json();
    let whole = whole["data"].as_array().unwrap();
    let webhooks = ids(&hub.get("/v1/webhooks"));
    let events = ids(&hub.get("/v1/events"));
    let both = format!("{},{}", webhooks[0], webhooks[3]);
    let mut filters: Vec<(&str, &str)> = vec![
        ("tenant", "acme"),
        ("tenant", "nobody"),
        ("event_type", "order.paid"),
        ("event_type", "user.gone"),
        ("event_type", "webhook.test"),
        ("test", "true"),
        ("test", "false"),
        ("since", "2026-01-15T10:01:00.000Z"),
        ("until", "2026-01-15T10:02:00.000Z"),
        ("until", "2026-01-15T10:00:00.000Z"),
        ("response_code", "200"),
        ("response_code", "204"),
        ("response_code", "500"),
        ("error_code", "status"),
        ("error_code", "connect_refused"),
        ("event_type", "order.*"),
        ("event_type", "*"),
        ("event_type", "order.*,user.gone"),
        ("event_type", "nothing.*"),
        ("status", "failed,retrying"),
        ("status", "pending,retrying"),
        ("status", "delivered,failed"),
        ("response_code", "5xx"),
        ("response_code", "2xx,500"),
        ("response_code", "1xx,3xx,5xx"),
        ("error_code", "status,connect_refused"),
        ("finished_since", "2026-01-15T10:01:00.000Z"),
        ("finished_until", "2026-01-15T10:01:00.000Z"),
        ("webhook_id", &both),
        ("webhook_id", &webhooks[0]),
        ("webhook_id", &webhooks[3]),
        ("event_id", &events[0]),
        ("event_id", "nothing"),
    ];
    for status in ["pending", "retrying", "delivered", "failed", "discarded"] {
        filters.push(("status", status));
        assert!(whole.iter().any(|row| row["status"] == status), "{status}");
    }
    for first in &filters {
        for second in &filters {
            if first.0 == second.0 && first != second {
                continue;
            }
            let mut query = format!("{}={}", first.0, first.1);
            if first != second {
                query = format!("{query}&{}={}", second.0, second.1);
            }
            let wanted = whole
                .iter()
                .filter(|row| matches(row, first.0, first.1) && matches(row, second.0, second.1))
                .map(|row| row["id"].as_str().unwrap().to_owned());
            let wanted: Vec<_> = wanted.collect();
            assert_eq!(all(&hub, "/v1/deliveries", &query, 7), wanted, "{query}");
        }
    }
}

#[test]
fn the_filters_of_events_and_of_webhooks_show_what_they_mean() {
    let (hub, _receivers) = mixed();
    let events = hub.get("/v1/events?limit=250").expect(200).json();
    let events = events["data"].as_array().unwrap();
    for (query, tests) in [
        ("type=order.paid", vec![("type", "order.paid")]),
        ("tenant=acme", vec![("tenant", "acme")]),
        ("tenant=nobody", vec![("tenant", "nobody")]),
        ("type=webhook.test", vec![("type", "webhook.test")]),
        ("type=order.*", vec![("type", "order.*")]),
        ("type=order.sent,user.*&tenant=acme", vec![("type", "order.sent,user.*"), ("tenant", "acme")]),
        ("tenant=acme&type=order.sent", vec![("tenant", "acme"), ("type", "order.sent")]),
        (
            "since=2026-01-15T10:01:00Z&until=2026-01-15T10:02:00Z&type=user.made",
            vec![("since", "2026-01-15T10:01:00.000Z"), ("until", "2026-01-15T10:02:00.000Z"), ("type", "user.made")],
        ),
    ] {
        let wanted = events
            .iter()
            .filter(|row| tests.iter().all(|(name, value)| matches(row, name, value)))
            .map(|row| row["id"].as_str().unwrap().to_owned());
        let wanted: Vec<_> = wanted.collect();
        assert_eq!(all(&hub, "/v1/events", query, 2), wanted, "{query}");
    }
    assert_eq!(all(&hub, "/v1/webhooks", "tenant=acme", 2).len(), 3);
    assert_eq!(all(&hub, "/v1/webhooks", "state=paused", 2).len(), 1);
    assert_eq!(all(&hub, "/v1/webhooks", "state=active&event=a.b", 2).len(), 7);
    assert_eq!(all(&hub, "/v1/webhooks", "state=active,paused&event=a.*", 2).len(), 8);
    let some = json!({"events": ["invoice.paid"], "description": "Accounting", "active": false});
    let accounting = hub.add_webhook_with("http://127.0.0.1:9/books", &some);
    assert_eq!(all(&hub, "/v1/webhooks", "event=stock.*", 2).len(), 8);
    assert_eq!(all(&hub, "/v1/webhooks", "event=invoice.*,stock.*", 2).len(), 9);
    for text in ["accounting", "/BOOKS", &accounting[..20]] {
        assert_eq!(all(&hub, "/v1/webhooks", &format!("q={text}"), 2), [accounting.as_str()], "{text}");
    }
    assert_eq!(all(&hub, "/v1/webhooks", "q=accounting&state=active", 2), [""; 0]);
    error_in(&hub.get("/v1/webhooks?q=+"), 422, "invalid_search", "q");
}

#[test]
fn a_wrong_value_among_several_is_refused_in_its_field() {
    let hub = Hub::start();
    for (query, code, field) in [
        ("status=failed,lost", "invalid_value", "status"),
        ("status=failed,", "invalid_value", "status"),
        ("response_code=5x", "invalid_parameter", "response_code"),
        ("response_code=500,many", "invalid_parameter", "response_code"),
        ("event_type=order*", "invalid_event_pattern", "event_type"),
        ("error_code=no", "invalid_parameter", "error_code"),
        ("webhook_id=x", "invalid_parameter", "webhook_id"),
        ("test=perhaps", "invalid_parameter", "test"),
        ("finished_since=noon", "invalid_time", "finished_since"),
    ] {
        error_in(&hub.get(&format!("/v1/deliveries?{query}")), 422, code, field);
    }
    let many = (0..21).map(|n| format!("t{n}")).collect::<Vec<_>>().join(",");
    error_in(&hub.get(&format!("/v1/events?type={many}")), 422, "invalid_value", "type");
    let wrong = hub.post("/v1/deliveries/retry", &json!({"response_code": "5x", "dry_run": true}));
    error_in(&wrong, 422, "invalid_parameter", "response_code");
}

#[test]
fn nothing_is_missed_where_the_clock_was_set_back() {
    let mut hub = Hub::start();
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    for step in [3_600_000, -3_000_000, 60_000, 3_600_000, 60_000] {
        hub.publish("order.paid", json!({}));
        hub.clock.advance(step);
        hub.publish("order.paid", json!({}));
        hub.restart();
    }
    for list in ["/v1/deliveries", "/v1/events"] {
        let time = match list {
            "/v1/events" => "received_at",
            _ => "created_at",
        };
        let whole = hub.get(list).json();
        let whole = whole["data"].as_array().unwrap();
        for minutes in 0..150 {
            let at = NOON + minutes * 60_000;
            let at = hookpost::domain::time::rfc3339(at);
            for (name, is_since) in [("since", true), ("until", false)] {
                let wanted = whole
                    .iter()
                    .filter(|row| (row[time].as_str().unwrap() >= at.as_str()) == is_since)
                    .map(|row| row["id"].as_str().unwrap().to_owned());
                let wanted: Vec<_> = wanted.collect();
                assert_eq!(all(&hub, list, &format!("{name}={at}"), 3), wanted, "{list} {name} {at}");
            }
        }
    }
    let bad = hub.get("/v1/deliveries?since=noon");
    error_in(&bad, 422, "invalid_time", "since");
}
