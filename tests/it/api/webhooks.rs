//! `/v1/webhooks` and its aliases.

use hookpost::domain::time::{HOUR, MINUTE};
use serde_json::{Value, json};

use super::{error, error_in, ids, names};
use crate::support::Hub;
use crate::support::receiver::Receiver;

#[test]
fn a_new_webhook_is_answered_whole_with_its_secret() {
    let hub = Hub::start();
    let body = json!({"url": "http://127.0.0.1:9/hook", "events": ["order.paid", "content.*"]});
    let webhook = hub.post("/v1/webhooks", &body).expect(201).json();
    let fields = [
        "id",
        "tenant",
        "url",
        "description",
        "external_id",
        "metadata",
        "similar",
        "events",
        "filter",
        "profile",
        "state",
        "active",
        "disabled_at",
        "disabled_reason",
        "headers",
        "auth",
        "timeout_s",
        "max_in_flight",
        "rate_limit_per_s",
        "ordered",
        "retry",
        "standard_headers",
        "signing",
        "public_key",
        "health",
        "failing_since",
        "last_success_at",
        "incident",
        "created_at",
        "updated_at",
        "secret",
        "standard_secret",
        "template",
        "tls",
    ];
    let mut expected = fields.to_vec();
    expected.sort_unstable();
    let mut found = names(&webhook);
    found.sort_unstable();
    assert_eq!(found, expected);
    assert!(webhook["id"].as_str().unwrap().starts_with("wh_"));
    assert!(webhook["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(webhook["standard_secret"], webhook["secret"]);
    for (field, value) in [
        ("tenant", json!("default")),
        ("events", json!(["order.paid", "content.*"])),
        ("profile", json!("generic")),
        ("state", json!("active")),
        ("active", json!(true)),
        ("headers", json!({})),
        ("timeout_s", json!(5)),
        ("max_in_flight", json!(8)),
        ("rate_limit_per_s", Value::Null),
        ("ordered", json!(false)),
        ("retry", Value::Null),
        ("standard_headers", json!(true)),
        ("signing", json!("hmac")),
        ("public_key", Value::Null),
        ("template", Value::Null),
        ("tls", Value::Null),
        ("created_at", json!("2026-01-15T10:00:00.000Z")),
    ] {
        assert_eq!(webhook[field], value, "{field}");
    }
}

#[test]
fn every_field_that_is_set_at_creation_is_read_back() {
    let hub = Hub::start();
    let fields = json!({
        "tenant": "acme", "description": "Orders", "profile": "standard", "active": false,
        "headers": {"X-Team": "orders"}, "timeout_s": 30, "max_in_flight": 1,
        "rate_limit_per_s": 10, "ordered": true, "standard_headers": false, "template": "{{ data }}",
        "retry": {"delays_s": [1.0, 2.5], "measured_from": "first_failure", "exhausted": "dead_letter"},
    });
    let id = hub.add_webhook_with("http://127.0.0.1:9/", &fields);
    let webhook = hub.webhook(&id);
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(&webhook[name], value, "{name}");
    }
    assert_eq!(webhook["state"], "paused");
}

#[test]
fn a_webhook_without_url_or_events_is_refused_by_the_name_of_the_field() {
    let hub = Hub::start();
    let answer = hub.post("/v1/webhooks", &json!({"events": ["*"]}));
    error_in(&answer, 422, "missing_field", "url");
    let answer = hub.post("/v1/webhooks", &json!({"url": "http://127.0.0.1/"}));
    error_in(&answer, 422, "missing_field", "events");
}

#[test]
fn each_setting_out_of_its_range_is_refused_by_name_on_create_and_on_change() {
    let hub = Hub::start();
    let id = hub.add_webhook("http://127.0.0.1:9/");
    let before = hub.webhook(&id);
    let many: Vec<String> = (0..257).map(|n| format!("a.b{n}")).collect();
    let headers: Value = (0..33).map(|n| (format!("X-{n}"), json!("v"))).collect();
    for (name, value, code, field) in [
        ("url", json!("ftp://a/"), "invalid_url", "url"),
        ("url", json!(5), "invalid_type", "url"),
        ("events", json!([]), "invalid_events", "events"),
        ("events", json!(many), "invalid_events", "events"),
        ("events", json!(["a", "a b"]), "invalid_event_pattern", "events[1]"),
        ("events", json!("*"), "invalid_type", "events"),
        ("events", json!(["a", 5]), "invalid_type", "events[1]"),
        ("description", json!("x".repeat(1025)), "invalid_description", "description"),
        ("profile", json!("nobody"), "unknown_profile", "profile"),
        ("secret", json!(""), "invalid_secret", "secret"),
        ("secret", json!("x".repeat(257)), "invalid_secret", "secret"),
        ("secret", json!("é"), "invalid_secret", "secret"),
        ("headers", json!({"Host": "a"}), "invalid_header", "headers.Host"),
        ("headers", json!({"X-A": 5}), "invalid_header", "headers.X-A"),
        ("headers", json!({"X-A": "é"}), "invalid_header", "headers.X-A"),
        ("headers", headers, "too_many_headers", "headers"),
        ("headers", json!([]), "invalid_type", "headers"),
        ("timeout_s", json!(0), "out_of_range", "timeout_s"),
        ("timeout_s", json!(31), "out_of_range", "timeout_s"),
        ("timeout_s", json!(-1), "invalid_type", "timeout_s"),
        ("timeout_s", json!(1.5), "invalid_type", "timeout_s"),
        ("timeout_s", json!("5"), "invalid_type", "timeout_s"),
        ("max_in_flight", json!(0), "out_of_range", "max_in_flight"),
        ("max_in_flight", json!(65), "out_of_range", "max_in_flight"),
        ("rate_limit_per_s", json!(0), "out_of_range", "rate_limit_per_s"),
        ("ordered", json!("yes"), "invalid_type", "ordered"),
        ("active", json!(1), "invalid_type", "active"),
        ("retry", json!({"delays_s": [-1]}), "invalid_retry", "retry.delays_s[0]"),
        ("retry", json!({"delays_s": [604_801]}), "invalid_retry", "retry.delays_s[0]"),
        ("retry", json!({"delays_s": vec![1; 101]}), "invalid_retry", "retry.delays_s"),
        ("retry", json!({"delays_s": ["a"]}), "invalid_type", "retry.delays_s[0]"),
        ("retry", json!({"delays_s": [], "often": 1}), "unknown_field", "retry.often"),
        ("retry", json!({"delays_s": [], "exhausted": "x"}), "invalid_type", "retry.exhausted"),
        ("nonsense", json!(1), "unknown_field", "nonsense"),
        ("seq", json!(1), "unknown_field", "seq"),
    ] {
        let mut body = json!({"url": "http://127.0.0.1:9/", "events": ["*"]});
        body[name] = value.clone();
        error_in(&hub.post("/v1/webhooks", &body), 422, code, field);
        let change = json!({ name: value });
        error_in(&hub.patch(&format!("/v1/webhooks/{id}"), &change), 422, code, field);
    }
    assert_eq!(hub.webhook(&id), before);
    assert_eq!(ids(&hub.get("/v1/webhooks")), [id]);
}

#[test]
fn a_change_takes_every_settable_field_and_leaves_the_others() {
    let hub = Hub::start();
    let id = hub.add_webhook("http://127.0.0.1:9/");
    hub.advance(MINUTE);
    for (field, value) in [
        ("url", json!("http://127.0.0.1:8/x")),
        ("events", json!(["a.b"])),
        ("description", json!("Orders")),
        ("profile", json!("standard")),
        ("headers", json!({"X-Team": "orders"})),
        ("timeout_s", json!(7)),
        ("max_in_flight", json!(2)),
        ("rate_limit_per_s", json!(3)),
        ("ordered", json!(true)),
        ("standard_headers", json!(false)),
        ("active", json!(false)),
    ] {
        let mut expected = hub.webhook(&id);
        expected[field] = value.clone();
        let change = json!({ field: value });
        let mut answer = hub.patch(&format!("/v1/webhooks/{id}"), &change).expect(200).json();
        if field == "active" {
            expected["state"] = json!("paused");
            expected["health"] = json!("paused");
        }
        // Each change at the same time on the clock has a time of its own.
        assert!(answer["updated_at"].as_str().unwrap().starts_with("2026-01-15T10:01:00.0"), "{answer}");
        answer["updated_at"] = expected["updated_at"].clone();
        assert_eq!(answer, expected, "{field}");
    }
}

#[test]
fn null_takes_a_rate_limit_and_a_schedule_away() {
    let hub = Hub::start();
    let fields = json!({"rate_limit_per_s": 5, "retry": {"delays_s": [1]}});
    let id = hub.add_webhook_with("http://127.0.0.1:9/", &fields);
    let change = json!({"rate_limit_per_s": null, "retry": null});
    let after = hub.patch(&format!("/v1/webhooks/{id}"), &change).expect(200).json();
    assert_eq!(after["rate_limit_per_s"], Value::Null);
    assert_eq!(after["retry"], Value::Null);
}

#[test]
fn a_webhook_that_comes_back_resumes_what_waited_or_discards_it() {
    for (waiting, hits, status) in [
        (json!({"active": true}), 1, "delivered"),
        (json!({"active": true, "waiting": "resume"}), 1, "delivered"),
        (json!({"active": true, "waiting": "discard"}), 0, "discarded"),
    ] {
        let hub = Hub::start();
        let receiver = Receiver::start();
        let id = hub.add_webhook_with(receiver.url(), &json!({"active": false}));
        let delivery = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        assert_eq!(hub.status_of(&delivery), "pending");
        assert_eq!(hub.delivery(&delivery)["waiting_for"], "webhook_paused");
        hub.patch(&format!("/v1/webhooks/{id}"), &waiting).expect(200);
        hub.deliver_until_idle();
        assert_eq!(receiver.hits(), hits, "{waiting}");
        assert_eq!(hub.status_of(&delivery), status, "{waiting}");
    }
}

#[test]
fn waiting_is_refused_where_it_says_nothing() {
    let hub = Hub::start();
    let path = format!("/v1/webhooks/{}", hub.add_webhook("http://127.0.0.1:9/"));
    let answer = hub.patch(&path, &json!({"waiting": "resume"}));
    error_in(&answer, 422, "waiting_without_active", "waiting");
    let answer = hub.patch(&path, &json!({"active": true, "waiting": "drop"}));
    error_in(&answer, 422, "invalid_value", "waiting");
}

#[test]
fn a_deleted_webhook_is_gone_and_what_waited_is_discarded() {
    let hub = Hub::start();
    let id = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    let delivery = hub.publish_one("order.paid", json!({}));
    let answer = hub.delete(&format!("/v1/webhooks/{id}")).expect(204);
    assert_eq!(answer.text, "");
    for again in [
        hub.get(&format!("/v1/webhooks/{id}")),
        hub.delete(&format!("/v1/webhooks/{id}")),
        hub.get(&format!("/v1/webhooks/{id}/secret")),
    ] {
        error(&again, 404, "not_found");
    }
    assert!(ids(&hub.get("/v1/webhooks")).is_empty());
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "discarded");
    let receipt = hub.publish("order.paid", json!({}));
    assert_eq!(receipt["deliveries"], json!([]));
}

#[test]
fn webhooks_are_listed_by_tenant_state_and_event() {
    let hub = Hub::start();
    let make = |fields: Value| hub.add_webhook_with("http://127.0.0.1:9/", &fields);
    let orders = make(json!({"events": ["order.*"]}));
    let paused = make(json!({"events": ["order.paid"], "active": false}));
    let acme = make(json!({"tenant": "acme", "events": ["user.made"]}));
    for (query, expected) in [
        ("", vec![&acme, &paused, &orders]),
        ("?tenant=acme", vec![&acme]),
        ("?tenant=default", vec![&paused, &orders]),
        ("?tenant=nobody", vec![]),
        ("?state=paused", vec![&paused]),
        ("?state=active", vec![&acme, &orders]),
        ("?state=disabled", vec![]),
        ("?event=order.paid", vec![&paused, &orders]),
        ("?event=order.shipped", vec![&orders]),
        ("?event=user.made&tenant=acme&state=active", vec![&acme]),
        ("?event=user.made&tenant=default", vec![]),
    ] {
        let found = ids(&hub.get(&format!("/v1/webhooks{query}")));
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    for (query, code, field) in [
        ("?state=asleep", "invalid_value", "state"),
        ("?event=a..b", "invalid_event_pattern", "event"),
        ("?tenant=a%20b", "invalid_tenant", "tenant"),
        ("?colour=red", "unknown_parameter", "colour"),
    ] {
        error_in(&hub.get(&format!("/v1/webhooks{query}")), 422, code, field);
    }
}

#[test]
fn the_other_paths_of_the_documents_lead_to_the_same_webhooks() {
    let hub = Hub::start();
    let body = json!({"url": "http://127.0.0.1:9/", "events": ["*"]});
    for path in ["/api/webhooks", "/v1/webhooks/settings", "/api/webhooks/settings"] {
        let made = hub.post(path, &body).expect(201).json();
        let id = made["id"].as_str().unwrap();
        assert!(made["secret"].is_string(), "{path}");
        let webhook = hub.webhook(id);
        assert_eq!(hub.get(&format!("/api/webhooks/{id}")).expect(200).json(), webhook);
        hub.get(&format!("/api/webhooks/{id}/secret")).expect(200);
        hub.patch(&format!("/api/webhooks/{id}"), &json!({"timeout_s": 9})).expect(200);
        assert_eq!(hub.webhook(id)["timeout_s"], 9);
        hub.delete(&format!("/api/webhooks/{id}")).expect(204);
        error(&hub.get(&format!("/v1/webhooks/{id}")), 404, "not_found");
    }
    assert_eq!(hub.get("/api/webhooks").expect(200).json(), hub.get("/v1/webhooks").json());
}

#[test]
fn the_profile_is_the_requests_or_else_the_keys_or_else_the_servers() {
    let hub = Hub::with(|options| options.default_profile = "standard".to_owned());
    let key = hub.make_key(hookpost::store::api_key::Scope::Admin, None, Some("generic"));
    let mut body = json!({"url": "http://127.0.0.1:9/", "events": ["*"]});
    let profile = |key: &str, body: &Value| {
        let answer = hub.call_with(key, "POST", "/v1/webhooks", Some(&body.to_string()));
        answer.expect(201).json()["profile"].clone()
    };
    assert_eq!(profile(&hub.key, &body), "standard");
    assert_eq!(profile(&key, &body), "generic");
    body["profile"] = json!("standard");
    assert_eq!(profile(&key, &body), "standard");
}

#[test]
fn a_disabled_webhook_says_when_and_why() {
    let hub = Hub::start();
    let receiver = Receiver::answering(410);
    let id = hub.add_webhook(receiver.url());
    hub.advance(HOUR);
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    let webhook = hub.webhook(&id);
    assert_eq!(webhook["state"], "disabled");
    assert_eq!(webhook["active"], false);
    assert_eq!(webhook["disabled_at"], "2026-01-15T11:00:00.000Z");
    assert!(webhook["disabled_reason"].as_str().unwrap().contains("410"));
    let back = hub.patch(&format!("/v1/webhooks/{id}"), &json!({"active": true}));
    let back = back.expect(200).json();
    assert_eq!(back["state"], "active");
    assert_eq!(back["disabled_at"], Value::Null);
    assert_eq!(back["disabled_reason"], Value::Null);
}
