//! `/v1/stats` and `/v1/webhooks/{id}/stats`.

use hookpost::domain::time::{DAY, HOUR, MINUTE, Millis};
use hookpost::store::api_key::Scope;
use hookpost::store::stats::{self, Hour, Of, WaitingCounts};
use hookpost::store::{Connection, StoreError};
use serde_json::{Value, json};

use super::{error_in, names};
use crate::support::Hub;
use crate::support::hub::NOON;
use crate::support::receiver::{Receiver, Reply};

/// Starts a receiver that responds with 500 to requests with `"fail": true`, and with 200 to all others.
fn choosy() -> Receiver {
    Receiver::with(|request| {
        let fail = request.text().contains(r#""fail":true"#);
        Reply::status(if fail { 500 } else { 200 })
    })
}

fn once() -> Value {
    json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}})
}

fn stats_of(hub: &Hub, webhook: &str, window: &str) -> Value {
    let path = format!("/v1/webhooks/{webhook}/stats?window={window}");
    hub.get(&path).expect(200).json()
}

/// Statistics without the limits of tenants.
fn overall(hub: &Hub, query: &str) -> Value {
    let mut stats = hub.get(&format!("/v1/stats{query}")).expect(200).json();
    stats.as_object_mut().unwrap().remove("tenant_limits").unwrap();
    stats
}

/// Delivered, failed, pending and retrying deliveries, and retry attempts.
fn counts(stats: &Value) -> [u64; 5] {
    ["delivered", "failed", "pending", "retrying", "retry_attempts"].map(|name| stats[name].as_u64().unwrap())
}

fn merge_old(hub: &Hub) {
    let now = hub.clock.now_ms();
    while hub.running.app.actions.store.write(move |tx| stats::merge_old(tx, now)).wait().unwrap() {}
}

fn read<T>(hub: &Hub, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> T {
    hub.running.app.actions.store.read(read).unwrap()
}

fn rows(hub: &Hub) -> i64 {
    let connection = Connection::open(hub.database()).unwrap();
    connection.query_row("SELECT count(*) FROM stats", [], |row| row.get(0)).unwrap()
}

/// Publishes events and waits until the engine is idle.
fn publish(hub: &Hub, count: usize, data: &Value) {
    for _ in 0..count {
        hub.publish("order.paid", data.clone());
    }
    hub.deliver_until_idle();
}

#[test]
fn statistics_before_anything_happened_are_zeros_and_nulls() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    for stats in [overall(&hub, ""), stats_of(&hub, &webhook, "24h")] {
        assert_eq!(
            names(&stats),
            [
                "window",
                "since",
                "delivered",
                "failed",
                "pending",
                "retrying",
                "retry_attempts",
                "success_rate",
                "average_response_ms",
                "p95_response_ms"
            ]
        );
        assert_eq!(stats["window"], "24h");
        assert_eq!(stats["since"], "2026-01-14T10:00:00.000Z");
        assert_eq!(counts(&stats), [0; 5]);
        for name in ["success_rate", "average_response_ms", "p95_response_ms"] {
            assert_eq!(stats[name], Value::Null, "{name}");
        }
    }
}

#[test]
fn successes_failures_and_retries_are_counted_as_they_are_recorded() {
    let hub = Hub::start();
    let receiver = choosy();
    let webhook =
        hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [60], "exhausted": "dead_letter"}}));
    publish(&hub, 3, &json!({}));
    publish(&hub, 1, &json!({"fail": true}));
    assert_eq!(counts(&stats_of(&hub, &webhook, "1h")), [3, 0, 0, 1, 0]);
    hub.advance(2 * MINUTE);
    hub.deliver_until_idle();
    let stats = stats_of(&hub, &webhook, "1h");
    assert_eq!(counts(&stats), [3, 1, 0, 0, 1]);
    assert_eq!(stats["success_rate"], 0.75);
    assert!(stats["average_response_ms"].as_f64().unwrap() >= 0.0);
    assert!(stats["p95_response_ms"].as_f64().unwrap() > 0.0);
    let mut all = overall(&hub, "?window=1h");
    assert_eq!(all, stats);
    all = overall(&hub, "?window=30d");
    assert_eq!(counts(&all), [3, 1, 0, 0, 1]);
}

#[test]
fn what_waits_is_counted_apart_and_discarding_counts_as_nothing() {
    let hub = Hub::start();
    let receiver = choosy();
    let webhook = hub.add_webhook(receiver.url());
    publish(&hub, 1, &json!({"fail": true}));
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": false})).expect(200);
    publish(&hub, 4, &json!({}));
    assert_eq!(counts(&stats_of(&hub, &webhook, "24h")), [0, 0, 4, 1, 0]);
    let waiting = read(&hub, |connection| stats::waiting(connection, &Of::All));
    assert_eq!(waiting, WaitingCounts { pending: 4, retrying: 1 });
    let discarded = hub.publish_one("order.paid", json!({}));
    hub.post(&format!("/v1/deliveries/{discarded}/discard"), &json!({})).expect(202);
    assert_eq!(counts(&stats_of(&hub, &webhook, "24h")), [0, 0, 4, 1, 0]);
    // A resumed delivery starts a new series, so it is pending again. Deleting the webhook discards the rest.
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": true})).expect(200);
    hub.deliver_until_idle();
    assert_eq!(counts(&stats_of(&hub, &webhook, "24h")), [4, 0, 0, 1, 1]);
    hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
    assert_eq!(counts(&overall(&hub, "")), [4, 0, 0, 0, 1]);
}

#[test]
fn a_delivery_counts_once_where_it_finished_last_whoever_retried_it() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &once());
    let ids: Vec<String> = (0..4).map(|_| hub.publish_one("order.paid", json!({}))).collect();
    hub.deliver_until_idle();
    assert_eq!(counts(&stats_of(&hub, &webhook, "24h")), [0, 4, 0, 0, 0]);
    receiver.behave(crate::support::receiver::Behaviour::deciding(|_| Reply::status(200)));
    hub.post(&format!("/v1/deliveries/{}/retry", ids[0]), &json!({})).expect(202);
    hub.deliver_until_idle();
    let stats = stats_of(&hub, &webhook, "24h");
    assert_eq!(counts(&stats), [1, 3, 0, 0, 1]);
    assert_eq!(stats["success_rate"], 0.25);
    // The rows of five minutes have become one of an hour, then one of a day.
    for (id, days) in [(&ids[1], 0), (&ids[2], 9)] {
        hub.clock.advance(3 * HOUR + days * DAY);
        let now = hub.clock.now_ms();
        let store = &hub.running.app.actions.store;
        while store.write(move |tx| stats::merge_old(tx, now)).wait().unwrap() {}
        hub.post(&format!("/v1/deliveries/{id}/retry"), &json!({})).expect(202);
        hub.deliver_until_idle();
    }
    assert_eq!(counts(&stats_of(&hub, &webhook, "30d")), [3, 1, 0, 0, 3]);
    assert_eq!(counts(&overall(&hub, "?window=30d")), [3, 1, 0, 0, 3]);
    // A delivered one that is sent again is nowhere until it finishes.
    receiver.behave(crate::support::receiver::Behaviour::deciding(|_| Reply::status(500)));
    let again = json!({"webhook_id": webhook, "status": "delivered"});
    assert_eq!(hub.post("/v1/deliveries/retry", &again).expect(202).json()["count"], 3);
    hub.deliver_until_idle();
    assert_eq!(counts(&stats_of(&hub, &webhook, "30d")), [0, 4, 0, 0, 6]);
}

#[test]
fn tests_are_counted_nowhere() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).expect(200);
    let gone = hub.add_webhook(Receiver::refused_url());
    hub.post(&format!("/v1/webhooks/{gone}/test"), &json!({})).expect(200);
    for stats in [overall(&hub, ""), stats_of(&hub, &webhook, "24h"), stats_of(&hub, &gone, "24h")] {
        assert_eq!(counts(&stats), [0; 5]);
        assert_eq!(stats["average_response_ms"], Value::Null);
    }
    assert_eq!(rows(&hub), 0);
}

#[test]
fn an_attempt_without_an_answer_has_no_response_time() {
    let hub = Hub::start();
    let webhook = hub.add_webhook_with(Receiver::refused_url(), &once());
    publish(&hub, 1, &json!({}));
    let stats = stats_of(&hub, &webhook, "24h");
    assert_eq!(counts(&stats), [0, 1, 0, 0, 0]);
    assert_eq!(stats["success_rate"], 0.0);
    assert_eq!(stats["p95_response_ms"], Value::Null);
}

#[test]
fn a_window_forgets_what_is_older_and_each_keeps_what_is_its_own() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let mut delivered = 0;
    // For each step: deliveries published, waiting time, and the counts of the four windows.
    for (step, wait, seen) in [
        (1, 50 * MINUTE, [1, 1, 1, 1]),
        (2, 20 * MINUTE, [2, 3, 3, 3]),
        (3, 5 * HOUR, [0, 6, 6, 6]),
        (4, 23 * HOUR, [0, 4, 10, 10]),
        (5, 5 * DAY, [0, 0, 15, 15]),
        (6, 9 * DAY, [0, 0, 0, 21]),
        (7, 40 * DAY, [0, 0, 0, 0]),
    ] {
        publish(&hub, step, &json!({}));
        delivered += step as u64;
        hub.advance(wait);
        for merged in [false, true] {
            if merged {
                merge_old(&hub);
            }
            for (window, seen) in ["1h", "24h", "7d", "30d"].iter().zip(seen) {
                let stats = stats_of(&hub, &webhook, window);
                assert_eq!(stats["delivered"], seen, "{window} after step {step}: {stats}");
                assert_eq!(overall(&hub, &format!("?window={window}")), stats);
            }
        }
    }
    assert_eq!(delivered, 28);
    assert_eq!(rows(&hub), 0, "what is older than any window is forgotten");
}

#[test]
fn merging_keeps_every_sum_and_few_rows() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    for _ in 0..40 {
        publish(&hub, 1, &json!({}));
        hub.advance(7 * MINUTE);
    }
    let before = stats_of(&hub, &webhook, "30d");
    assert_eq!(before["delivered"], 40);
    // The maintenance thread merges too, as the clock moves. Without merging, each publication has a row of its own.
    merge_old(&hub);
    assert!(rows(&hub) < 50, "{} of 80", rows(&hub));
    assert_eq!(stats_of(&hub, &webhook, "30d"), before);
    hub.advance(20 * DAY);
    merge_old(&hub);
    assert_eq!(rows(&hub), 2, "a day of the webhook and one of all");
    let mut after = stats_of(&hub, &webhook, "30d");
    after["since"] = before["since"].clone();
    assert_eq!(after, before);
}

#[test]
fn a_tenants_key_sees_its_own_alone() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let [ours, theirs] =
        ["ours", "theirs"].map(|tenant| hub.add_webhook_with(receiver.url(), &json!({"tenant": tenant})));
    for (tenant, count) in [("ours", 2), ("theirs", 3)] {
        for _ in 0..count {
            let event = json!({"type": "order.paid", "data": {}, "tenant": tenant});
            hub.post("/v1/events", &event).expect(202);
        }
    }
    hub.deliver_until_idle();
    assert_eq!(counts(&overall(&hub, "")), [5, 0, 0, 0, 0]);
    assert_eq!(counts(&overall(&hub, "?tenant=ours")), [2, 0, 0, 0, 0]);
    let key = hub.make_key(Scope::Read, Some("ours"), None);
    let get = |path: &str| hub.call_with(&key, "GET", path, None);
    assert_eq!(counts(&get("/v1/stats").expect(200).json()), [2, 0, 0, 0, 0]);
    get("/v1/stats?tenant=theirs").expect(403);
    let own = get(&format!("/v1/webhooks/{ours}/stats")).expect(200);
    assert_eq!(counts(&own.json()), [2, 0, 0, 0, 0]);
    get(&format!("/v1/webhooks/{theirs}/stats")).expect(404);
    // Statistics outlive the webhook, both its tenant's and the overall ones.
    hub.delete(&format!("/v1/webhooks/{ours}")).expect(204);
    assert_eq!(counts(&get("/v1/stats").expect(200).json()), [2, 0, 0, 0, 0]);
    get(&format!("/v1/webhooks/{ours}/stats")).expect(404);
}

#[test]
fn an_unknown_window_is_refused() {
    let hub = Hub::start();
    for window in ["", "1", "2h", "1H", "30d "] {
        let path = format!("/v1/stats?window={}", window.replace(' ', "%20"));
        error_in(&hub.get(&path), 422, "invalid_value", "window");
    }
    error_in(&hub.get("/v1/stats?webhook_id=x"), 422, "unknown_parameter", "webhook_id");
}

#[test]
fn statistics_survive_a_restart_and_go_on_from_there() {
    let mut hub = Hub::start();
    let receiver = choosy();
    let webhook = hub.add_webhook(receiver.url());
    publish(&hub, 2, &json!({}));
    publish(&hub, 1, &json!({"fail": true}));
    hub.restart();
    assert_eq!(counts(&stats_of(&hub, &webhook, "24h")), [2, 0, 0, 1, 0]);
    publish(&hub, 1, &json!({}));
    assert_eq!(counts(&stats_of(&hub, &webhook, "24h")), [3, 0, 0, 1, 0]);
}

#[test]
fn hours_for_pages_come_for_one_for_some_and_for_all() {
    let hub = Hub::start();
    let receiver = choosy();
    let first = hub.add_webhook_with(receiver.url(), &once());
    hub.add_webhook_with(receiver.url(), &json!({"events": ["other.*"]}));
    hub.advance(30 * MINUTE);
    publish(&hub, 2, &json!({}));
    hub.advance(20 * MINUTE);
    publish(&hub, 1, &json!({"fail": true}));
    hub.advance(20 * MINUTE);
    publish(&hub, 3, &json!({}));
    let hours =
        [(NOON, 2, 1), (NOON + HOUR, 3, 0)].map(|(start_ms, delivered, failed)| Hour { start_ms, delivered, failed });
    let id = first.parse().unwrap();
    let seq = read(&hub, |connection| hookpost::store::webhook::get(connection, id)).unwrap().seq;
    let from = NOON - 23 * HOUR;
    for of in [Of::All, Of::Webhook(seq), Of::Tenant("default".parse().unwrap())] {
        let found = read(&hub, |connection| stats::by_hour(connection, &of, from));
        assert_eq!(found, hours, "{of:?}");
    }
    let each = read(&hub, |connection| stats::by_hour_of_each(connection, &[seq, seq + 1, 99], from));
    assert_eq!(each.len(), 1);
    assert_eq!(each[&seq], hours);
    let last = read(&hub, |connection| stats::last_finished(connection, &[seq, seq + 1]));
    assert_eq!(last.into_iter().collect::<Vec<_>>(), [(seq, hub.clock.now_ms())]);
}

#[test]
fn the_oldest_waiting_is_told_whether_it_is_pending_or_retries() {
    let hub = Hub::start();
    let receiver = choosy();
    let webhook =
        hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [86_400], "exhausted": "dead_letter"}}));
    let oldest = |of: &Of| -> Option<Millis> { read(&hub, |connection| stats::oldest_waiting(connection, of)) };
    assert_eq!(oldest(&Of::All), None);
    publish(&hub, 1, &json!({}));
    assert_eq!(oldest(&Of::All), None);
    hub.advance(HOUR);
    publish(&hub, 1, &json!({"fail": true}));
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": false})).expect(200);
    hub.advance(HOUR);
    publish(&hub, 2, &json!({}));
    assert_eq!(oldest(&Of::All), Some(NOON + HOUR));
    assert_eq!(oldest(&Of::Tenant("default".parse().unwrap())), Some(NOON + HOUR));
    assert_eq!(oldest(&Of::Tenant("other".parse().unwrap())), None);
    // Without the retrying delivery, the oldest waiting one is an hour younger.
    hub.post("/v1/deliveries/discard", &json!({"status": "retrying"})).expect(202);
    assert_eq!(oldest(&Of::All), Some(NOON + 2 * HOUR));
}

#[test]
fn a_batch_that_is_rolled_back_counts_nothing() {
    let hub = Hub::start();
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    let first = json!({"type": "order.paid", "data": 1, "id": "taken"});
    hub.post("/v1/events", &first).expect(202);
    let batch = json!([
        {"type": "order.paid", "data": 2},
        {"type": "order.paid", "data": 3, "id": "taken"},
    ]);
    hub.post("/v1/events/batch", &batch).expect(409);
    assert_eq!(counts(&stats_of(&hub, &webhook, "24h")), [0, 0, 1, 0, 0]);
}
