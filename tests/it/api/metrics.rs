//! `/metrics`.

use hookpost::domain::time::MINUTE;
use hookpost::store::api_key::Scope;
use serde_json::json;

use super::error;
use crate::support::Hub;
use crate::support::receiver::{Receiver, Reply};

fn metrics(hub: &Hub) -> String {
    let answer = hub.get("/metrics").expect(200);
    let content_type = answer.header("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text"));
    answer.text
}

/// Value of a series.
#[track_caller]
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let text = line.unwrap_or_else(|| panic!("no {series} in {metrics}"));
    text.parse().unwrap()
}

#[test]
fn metrics_need_a_key_that_reads_all_tenants_unless_they_are_open() {
    let mut hub = Hub::start();
    let with = |hub: &Hub, key: &str| hub.call_with(key, "GET", "/metrics", None);
    error(&hub.send("GET", "/metrics", &[], b""), 401, "unauthorized");
    error(&with(&hub, "hp_wrong"), 401, "unauthorized");
    let publisher = hub.make_key(Scope::Publish, None, None);
    error(&with(&hub, &publisher), 403, "forbidden");
    let tenant = hub.make_key(Scope::Read, Some("shop"), None);
    error(&with(&hub, &tenant), 403, "forbidden");
    let reader = hub.make_key(Scope::Read, None, None);
    with(&hub, &reader).expect(200);
    hub.restart_with(|options| options.metrics_open = true);
    hub.send("GET", "/metrics", &[], b"").expect(200);
    error(&hub.post("/metrics", &json!({})), 405, "method_not_allowed");
}

#[test]
fn what_happens_is_counted() {
    let hub = Hub::start();
    let receiver = Receiver::with(|request| {
        let fail = request.text().contains(r#""fail":true"#);
        Reply::status(if fail { 500 } else { 200 })
    });
    let dead = json!({"retry": {"delays_s": [60], "exhausted": "dead_letter"}});
    let webhook = hub.add_webhook_with(receiver.url(), &dead);
    let before = metrics(&hub);
    assert_eq!(value(&before, "hookpost_events_accepted_total"), 0.0);
    for _ in 0..3 {
        hub.publish("order.paid", json!({}));
    }
    let batch = json!([{"type": "a.b", "data": {"fail": true}}, {"type": "a.b", "data": {}, "id": "x"}]);
    hub.post("/v1/events/batch", &batch).expect(202);
    let again = json!({"type": "a.b", "data": {}, "id": "x"});
    hub.post("/v1/events", &again).expect(202);
    hub.deliver_until_idle();
    hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).expect(200);
    hub.get("/v1/nothing").expect(404);
    let now = metrics(&hub);
    for (series, expected) in [
        ("hookpost_events_accepted_total", 5.0),
        ("hookpost_deliveries_finished_total{outcome=\"delivered\"}", 4.0),
        ("hookpost_deliveries_finished_total{outcome=\"failed\"}", 0.0),
        ("hookpost_attempts_total{error_code=\"none\"}", 4.0),
        ("hookpost_attempts_total{error_code=\"status\"}", 1.0),
        ("hookpost_attempts_total{error_code=\"timeout\"}", 0.0),
        ("hookpost_acceptance_seconds_count", 4.0),
        ("hookpost_first_attempt_seconds_count", 5.0),
        ("hookpost_attempt_seconds_count", 5.0),
        ("hookpost_deliveries_pending", 0.0),
        ("hookpost_deliveries_retrying", 1.0),
        ("hookpost_oldest_waiting_seconds", 0.0),
        ("hookpost_workers_busy", 0.0),
        ("hookpost_requests_total{status=\"4xx\"}", 1.0),
        ("hookpost_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        assert_eq!(value(&now, series), expected, "{series} in {now}");
    }
    for series in [
        "hookpost_workers",
        "hookpost_writer_commit_jobs_count",
        "hookpost_writer_wait_seconds_count",
        "hookpost_database_bytes",
        "hookpost_database_wal_bytes",
        "hookpost_requests_total{status=\"2xx\"}",
    ] {
        assert!(value(&now, series) > 0.0, "{series} in {now}");
    }
    assert!(now.ends_with("# EOF\n"));
    hub.clock.advance(MINUTE / 2);
    let later = metrics(&hub);
    assert_eq!(value(&later, "hookpost_oldest_waiting_seconds"), 30.0);
    hub.advance(MINUTE);
    hub.deliver_until_idle();
    let failed = "hookpost_deliveries_finished_total{outcome=\"failed\"}";
    assert_eq!(value(&metrics(&hub), failed), 1.0);
}

#[test]
fn no_label_holds_what_people_name() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let fields = json!({"tenant": "shop-17", "description": "named-by-people"});
    let webhook = hub.add_webhook_with(receiver.url(), &fields);
    let series = |text: &str| text.lines().count();
    let before = metrics(&hub);
    let event = json!({"type": "very.special", "data": {}, "tenant": "shop-17"});
    hub.post("/v1/events", &event).expect(202);
    hub.get("/v1/some/path").expect(404);
    hub.deliver_until_idle();
    let after = metrics(&hub);
    for named in ["shop-17", "very.special", "named-by-people", "some/path", &webhook] {
        assert!(!after.contains(named), "{named}");
    }
    assert_eq!(series(&before), series(&after));
}
