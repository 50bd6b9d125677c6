//! `/metrics`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use hookpost::domain::time::MINUTE;
use hookpost::store::api_key::Scope;
use regex::Regex;
use serde_json::{Value, json};

use super::error;
use crate::support::receiver::{Receiver, Reply};
use crate::support::{Hub, skipped};

/// Path of promtool, the tool of Prometheus that checks metrics and rules.
const PROMTOOL: &str = "HOOKPOST_TEST_PROMTOOL";
/// If set, a missing promtool is a failure.
const REQUIRE_PROMTOOL: &str = "HOOKPOST_TEST_REQUIRE_PROMTOOL";

fn metrics(hub: &Hub) -> String {
    hub.get("/metrics").expect(200).text
}

/// Runs promtool with an input.
fn promtool(arguments: &[&str], input: &str) {
    let Some(path) = std::env::var_os(PROMTOOL) else {
        skipped(REQUIRE_PROMTOOL, "no promtool named by HOOKPOST_TEST_PROMTOOL (Debian: package prometheus)");
        return;
    };
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
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

#[test]
fn the_format_is_the_one_that_a_request_prefers() {
    let hub = Hub::start();
    let formats = [
        ("*/*", "text/plain; version=0.0.4"),
        ("text/html, text/plain;q=0.5", "text/plain; version=0.0.4"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0"),
        // As Prometheus sends it.
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
            "application/openmetrics-text; version=1.0.0",
        ),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.9", "text/plain; version=0.0.4"),
    ];
    let key = format!("Bearer {}", hub.key);
    for (accept, expected) in formats {
        let answer = hub.send("GET", "/metrics", &[("authorization", &key), ("accept", accept)], b"").expect(200);
        let media_type = answer.header("content-type").unwrap();
        assert!(media_type.starts_with(expected), "{accept}: {media_type}");
        let is_open = expected.starts_with("application");
        assert_eq!(answer.text.ends_with("# EOF\n"), is_open, "{accept}");
        let counter = if is_open { "hookpost_events_accepted" } else { "hookpost_events_accepted_total" };
        assert!(answer.text.contains(&format!("# TYPE {counter} counter\n")), "{}", answer.text);
        assert!(answer.text.contains("\nhookpost_events_accepted_total 0\n"));
    }
    let text = metrics(&hub);
    assert!(text.contains("# TYPE hookpost_build_info gauge\nhookpost_build_info{"), "{text}");
}

#[test]
fn promtool_finds_no_fault_in_the_metrics() {
    let mut hub = Hub::start();
    hub.restart_with(|options| options.metrics_webhooks = true);
    hub.add_webhook("http://127.0.0.1:9/");
    promtool(&["check", "metrics"], &metrics(&hub));
}

#[test]
fn webhooks_are_counted_by_state_and_dead_letters_without_tests() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let dead = json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}});
    let failing = hub.add_webhook_with(receiver.url(), &dead);
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    hub.publish("a.b", json!({}));
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    hub.post(&format!("/v1/webhooks/{failing}/test"), &json!({})).expect(200);
    hub.post("/v1/contacts", &json!({"name": "Chat", "webhook": {"url": receiver.url()}})).expect(201);
    let now = metrics(&hub);
    for (series, expected) in [
        ("hookpost_webhooks{state=\"active\"}", 1.0),
        ("hookpost_webhooks{state=\"paused\"}", 1.0),
        ("hookpost_webhooks{state=\"disabled\"}", 0.0),
        ("hookpost_webhooks{state=\"unverified\"}", 0.0),
        ("hookpost_dead_letters", 2.0),
        ("hookpost_incidents_open", 1.0),
    ] {
        assert_eq!(value(&now, series), expected, "{series} in {now}");
    }
}

#[test]
fn series_by_webhook_come_with_a_setting() {
    let mut hub = Hub::start();
    hub.restart_with(|options| options.metrics_webhooks = true);
    let (good, bad) = (Receiver::start(), Receiver::answering(500));
    let dead = json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}, "tenant": "acme", "events": ["a.bad"]});
    let healthy = hub.add_webhook_with(good.url(), &json!({"events": ["a.good"]}));
    let failing = hub.add_webhook_with(bad.url(), &dead);
    let paused = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false, "events": ["a.good"]}));
    hub.publish("a.good", json!({}));
    hub.publish("a.good", json!({}));
    hub.post("/v1/events", &json!({"type": "a.bad", "data": {}, "tenant": "acme"})).expect(202);
    hub.deliver_until_idle();
    let now = metrics(&hub);
    let of = |name: &str, webhook: &str, tenant: &str| {
        value(&now, &format!("hookpost_webhook_{name}{{webhook=\"{webhook}\",tenant=\"{tenant}\"}}"))
    };
    assert_eq!(of("delivered_total", &healthy, "default"), 2.0);
    assert_eq!(of("waiting", &paused, "default"), 2.0);
    assert_eq!((of("waiting", &healthy, "default"), of("in_incident", &healthy, "default")), (0.0, 0.0));
    assert_eq!((of("in_incident", &failing, "acme"), of("delivered_total", &failing, "acme")), (1.0, 0.0));
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_has_the_metrics_of_every_program() {
    let hub = Hub::start();
    let now = metrics(&hub);
    for series in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_threads",
        "process_open_fds",
        "process_max_fds",
    ] {
        assert!(value(&now, series) > 0.0, "{series} in {now}");
    }
    let start = value(&now, "process_start_time_seconds");
    let age = hookpost::clock::Clock::machine().now_ms() as f64 / 1_000.0 - start;
    assert!((0.0..86_400.0).contains(&age), "{age} s");
}

#[test]
fn alert_rules_and_dashboard_name_metrics_that_exist() {
    let mut hub = Hub::start();
    hub.restart_with(|options| options.metrics_webhooks = true);
    hub.add_webhook("http://127.0.0.1:9/");
    // As with a certificate of its own.
    hub.running.app.metrics.certificate_ends(1_000);
    let known = metrics(&hub);
    let (rules, dashboard) = (hub.get("/docs/alerts.yml").expect(200).text, hub.get("/docs/grafana.json").expect(200));
    assert_eq!(rules, fs::read_to_string("docs/alerts.yml").unwrap());
    let expressions: Vec<String> =
        dashboard.json()["panels"].as_array().unwrap().iter().flat_map(expressions).collect();
    assert!(expressions.len() >= 20);
    let documented = fs::read_to_string("docs/monitoring.md").unwrap();
    let name = Regex::new(r"\b(hookpost|process)_[a-z_]+").unwrap();
    for text in [&rules, &expressions.join("\n"), &documented] {
        let named: BTreeSet<&str> = name.find_iter(text).map(|found| found.as_str()).collect();
        assert!(named.len() > 8, "{named:?}");
        for name in named.iter().filter(|name| **name != "process_") {
            let is_known = known.lines().any(|line| {
                line.strip_prefix("# TYPE ").is_some_and(|rest| {
                    let of = rest.split(' ').next().unwrap();
                    of == *name || name.strip_suffix("_bucket") == Some(of)
                })
            });
            assert!(is_known, "{name}");
        }
    }
    // Every metric has its row.
    for line in known.lines().filter_map(|line| line.strip_prefix("# TYPE hookpost_")) {
        let name = line.split(' ').next().unwrap();
        assert!(name == "build_info" || documented.contains(&format!("`hookpost_{name}`")), "{name} has no row");
    }
    promtool(&["check", "rules", "docs/alerts.yml"], "");
}

fn expressions(panel: &Value) -> Vec<String> {
    let targets = panel["targets"].as_array().unwrap().iter();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}
