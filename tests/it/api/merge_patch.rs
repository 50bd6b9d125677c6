//! `PATCH` as RFC 7396 has it: null restores a default, objects are merged, and the object of a GET can be sent back.

use serde_json::{Map, Value, json};

use super::{error, error_in};
use crate::support::Hub;
use crate::support::receiver::Receiver;

/// Fields of the error with their codes, in order.
fn problems(answer: &crate::support::hub::Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    all.iter().map(|one| (text(&one["code"]), text(&one["field"]))).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(code, field)| ((*code).to_owned(), (*field).to_owned())).collect()
}

#[test]
fn retries_given_in_part_keep_the_rest_of_the_profiles() {
    let hub = Hub::start();
    let irisync = json!({"delays_s": [1.0], "measured_from": "first_failure", "exhausted": "dead_letter"});
    let made = hub.create("http://127.0.0.1:9/", &json!({"profile": "irisync", "retry": {"delays_s": [1]}}));
    assert_eq!(made["retry"], irisync);
    let plain = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"profile": "irisync"}));
    let path = format!("/v1/webhooks/{plain}");
    let changed = hub.patch(&path, &json!({"retry": {"delays_s": [1]}})).expect(200).json();
    assert_eq!(changed["retry"], irisync);
    // What the webhook has of its own stays too, and null restores the profile's.
    hub.patch(&path, &json!({"retry": {"exhausted": "disable"}})).expect(200);
    let changed = hub.patch(&path, &json!({"retry": {"delays_s": [2, 3]}})).expect(200).json();
    let own = json!({"delays_s": [2.0, 3.0], "measured_from": "first_failure", "exhausted": "disable"});
    assert_eq!(changed["retry"], own);
    let changed = hub.patch(&path, &json!({"retry": {"exhausted": null}})).expect(200).json();
    assert_eq!(changed["retry"]["exhausted"], "dead_letter");
    let changed = hub.patch(&path, &json!({"retry": {"delays_s": null}})).expect(200).json();
    assert_eq!(changed["retry"]["delays_s"], json!([300.0, 1800.0, 7200.0, 18000.0, 36000.0]));
}

#[test]
fn a_profile_based_on_another_with_retries_in_part_keeps_the_rest_of_them() {
    let hub = Hub::start();
    let body = json!({"based_on": "irisync", "retry": {"delays_s": [1]}}).to_string();
    let made = hub.call_with(&hub.key, "PUT", "/v1/profiles/ours", Some(&body)).expect(201).json();
    let retry = json!({"delays_s": [1.0], "measured_from": "first_failure", "exhausted": "dead_letter"});
    assert_eq!(made["retry"], retry);
}

#[test]
fn a_failing_irisync_webhook_with_delays_of_its_own_is_not_disabled() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let fields = json!({"profile": "irisync", "retry": {"delays_s": [1]}});
    let id = hub.add_webhook_with(receiver.url(), &fields);
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    hub.advance(5_000);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "failed");
    assert_eq!(hub.state_of(&id), "active");
}

#[test]
fn null_restores_each_default_of_a_webhook() {
    let hub = Hub::with(|options| options.default_profile = "standard".to_owned());
    let usual = hub.webhook(&hub.add_webhook("http://127.0.0.1:9/"));
    let fields = json!({
        "description": "Orders", "profile": "irisync", "headers": {"X-Team": "a"}, "timeout_s": 9, "max_in_flight": 2,
        "rate_limit_per_s": 3, "ordered": true, "retry": {"delays_s": [300]}, "standard_headers": true, "signing": "both",
        "template": "{\"id\": {{ event.id | tojson }}}", "filter": {"data": {"id": 1}},
        "auth": {"type": "bearer", "token": "t0ken"},
    });
    let path = format!("/v1/webhooks/{}", hub.add_webhook_with("http://127.0.0.1:9/", &fields));
    for field in fields.as_object().unwrap().keys() {
        let changed = hub.patch(&path, &json!({ field: null })).expect(200).json();
        assert_eq!(changed[field], usual[field], "{field}");
    }
}

#[test]
fn null_without_a_default_is_refused_by_the_name_of_the_field() {
    let hub = Hub::start();
    let path = format!("/v1/webhooks/{}", hub.add_webhook("http://127.0.0.1:9/"));
    let before = hub.get(&path).json();
    for field in ["url", "events", "secret", "active"] {
        let answer = hub.patch(&path, &json!({ field: null }));
        error_in(&answer, 422, "null_without_default", field);
        assert!(answer.text.contains("has no default"), "{}", answer.text);
    }
    assert_eq!(hub.get(&path).json(), before);
    let body = json!({"name": "On call", "webhook": {"url": "http://127.0.0.1:9/"}});
    let contact = hub.post("/v1/contacts", &body).expect(201).json();
    let path = format!("/v1/contacts/{}", contact["id"].as_str().unwrap());
    let nulls = json!({"name": null, "webhook": {"url": null, "secret": null}});
    let answer = hub.patch(&path, &nulls);
    error_in(&answer, 422, "null_without_default", "name");
    let code = "null_without_default";
    assert_eq!(problems(&answer), pairs(&[(code, "name"), (code, "webhook.url"), (code, "webhook.secret")]));
    error_in(&hub.patch(&path, &json!({"webhook": null})), 422, code, "webhook");
}

#[test]
fn null_restores_each_default_of_a_contact() {
    let hub = Hub::start();
    let plain = json!({"name": "On call", "webhook": {"url": "http://127.0.0.1:9/"}});
    let usual = hub.post("/v1/contacts", &plain).expect(201).json();
    let body = json!({
        "name": "On call", "scope": {"tenant": "acme", "webhooks": ["a*"]}, "topics": ["closed"],
        "quiet_hours": {"from": "22:00", "to": "07:00", "time_zone": "Europe/Berlin"},
        "webhook": {"url": "http://127.0.0.1:9/", "profile": "standard", "headers": {"X-Team": "a"},
            "auth": {"type": "bearer", "token": "t0ken"}},
    });
    let made = hub.post("/v1/contacts", &body).expect(201).json();
    let path = format!("/v1/contacts/{}", made["id"].as_str().unwrap());
    for field in ["scope", "topics", "quiet_hours"] {
        let changed = hub.patch(&path, &json!({ field: null })).expect(200).json();
        assert_eq!(changed[field], usual[field], "{field}");
    }
    for field in ["profile", "headers", "auth"] {
        let changed = hub.patch(&path, &json!({"webhook": { field: null }})).expect(200).json();
        assert_eq!(changed["webhook"][field], usual["webhook"][field], "{field}");
    }
}

#[test]
fn null_removes_a_header_of_a_webhook_and_of_a_contact_and_the_specification_says_so() {
    let hub = Hub::start();
    let fields = json!({"url": "http://127.0.0.1:9/", "headers": {"X-Team": "a", "X-Zone": "eu"}});
    let contact = hub.post("/v1/contacts", &json!({"name": "On call", "webhook": fields})).expect(201).json();
    let path = format!("/v1/contacts/{}", contact["id"].as_str().unwrap());
    let change = json!({"webhook": {"headers": {"X-Team": null}}});
    let changed = hub.patch(&path, &change).expect(200).json();
    let names: Vec<_> = changed["webhook"]["headers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["X-Zone"]);
    for field in ["url", "secret"] {
        let refused = hub.patch(&path, &json!({"webhook": { field: null }}));
        assert_eq!(refused.expect(422).error_code(), "null_without_default", "{field}");
    }
    let specification = super::openapi::specification(&hub);
    let schemas = &specification["components"]["schemas"];
    let reference = schemas["ContactChange"]["properties"]["webhook"]["$ref"].as_str().unwrap();
    let of_contact = &schemas[reference.rsplit('/').next().unwrap()]["properties"];
    for properties in [&schemas["WebhookChange"]["properties"], of_contact] {
        assert_eq!(properties["headers"]["additionalProperties"]["type"], json!(["string", "null"]));
        for field in ["url", "secret"] {
            assert_eq!(properties[field]["type"], "string", "{field}");
        }
    }
}

#[test]
fn objects_are_merged_and_null_removes_a_member() {
    let hub = Hub::start();
    let auth = json!({"type": "basic", "username": "u", "password": "p4ss"});
    let fields = json!({"headers": {"X-Team": "a", "X-Zone": "eu"}, "auth": auth});
    let receiver = Receiver::start();
    let path = format!("/v1/webhooks/{}", hub.add_webhook_with(receiver.url(), &fields));
    let changed = hub.patch(&path, &json!({"headers": {"x-team": "b", "X-More": "1"}})).expect(200).json();
    assert_eq!(changed["headers"], json!({"X-Zone": "eu", "x-team": "b", "X-More": "1"}));
    let changed = hub.patch(&path, &json!({"headers": {"X-Zone": null, "x-more": null}})).expect(200).json();
    assert_eq!(changed["headers"], json!({"x-team": "b"}));
    assert_eq!(hub.patch(&path, &json!({"headers": {}})).expect(200).json()["headers"], json!({"x-team": "b"}));
    // A part of the authentication keeps the stored password; another type begins anew.
    hub.patch(&path, &json!({"auth": {"username": "v"}})).expect(200);
    hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(receiver.requests()[0].header("authorization"), Some("Basic djpwNHNz"));
    let changed = hub.patch(&path, &json!({"auth": {"type": "bearer", "token": "t"}})).expect(200).json();
    assert_eq!(changed["auth"]["type"], "bearer");
}

#[test]
fn the_object_of_a_get_can_be_sent_back_and_changes_nothing() {
    let hub = Hub::start();
    hub.add_webhook("http://127.0.0.1:9/");
    let fields = json!({
        "description": "Orders", "profile": "irisync", "headers": {"X-Team": "a", "X-Api-Key": "s3cret"}, "timeout_s": 9,
        "rate_limit_per_s": 3, "retry": {"delays_s": [300]}, "signing": "both", "filter": {"data": {"id": null}},
        "auth": {"type": "oauth2", "token_url": "http://127.0.0.1:9/token", "client_id": "c", "client_secret": "s"},
    });
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &fields);
    let body =
        json!({"name": "On call", "webhook": {"url": "http://127.0.0.1:9/", "headers": {"X-Api-Key": "s3cret"}}});
    let contact = hub.post("/v1/contacts", &body).expect(201).json();
    for path in [format!("/v1/webhooks/{webhook}"), format!("/v1/contacts/{}", contact["id"].as_str().unwrap())] {
        let read = hub.get(&path).expect(200).json();
        hub.advance(60_000);
        assert_eq!(hub.patch(&path, &read).expect(200).json(), read, "{path}");
        // Times in another spelling are the same times.
        let mut other = read.clone();
        let at = read["created_at"].as_str().unwrap().replace(".000Z", "+00:00");
        other["created_at"] = json!(at);
        assert_eq!(hub.patch(&path, &other).expect(200).json(), read, "{path}");
        assert_eq!(hub.get(&path).json(), read);
    }
}

#[test]
fn a_disabled_webhook_that_is_sent_back_as_read_stays_disabled() {
    let hub = Hub::start();
    let receiver = Receiver::answering(410);
    let id = hub.add_webhook(receiver.url());
    hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let path = format!("/v1/webhooks/{id}");
    let mut read = hub.get(&path).json();
    assert_eq!(read["state"], "disabled");
    read["description"] = json!("Orders");
    let changed = hub.patch(&path, &read).expect(200).json();
    assert_eq!((&changed["state"], &changed["description"]), (&json!("disabled"), &json!("Orders")));
    // On its own, it pauses.
    let changed = hub.patch(&path, &json!({"active": false})).expect(200).json();
    assert_eq!(changed["state"], "paused");
}

#[test]
fn a_read_only_field_that_is_changed_is_refused_and_says_so() {
    let hub = Hub::start();
    let webhook = hub.add_webhook("http://127.0.0.1:9/");
    let body = json!({"name": "On call", "webhook": {"url": "http://127.0.0.1:9/"}});
    let contact = hub.post("/v1/contacts", &body).expect(201).json();
    let settable = [
        "url",
        "external_id",
        "metadata",
        "description",
        "events",
        "filter",
        "profile",
        "active",
        "headers",
        "auth",
        "timeout_s",
        "max_in_flight",
        "rate_limit_per_s",
        "ordered",
        "retry",
        "standard_headers",
        "signing",
        "template",
        "tls",
        "name",
        "email",
        "webhook",
        "scope",
        "topics",
        "quiet_hours",
    ];
    // They follow deliveries, and may have changed since they were read.
    let by_itself = ["health", "failing_since", "last_success_at", "incident"];
    let of_contact = ["status", "last_told_at", "failing_since", "last_error"];
    for (path, by_itself) in [
        (format!("/v1/webhooks/{webhook}"), by_itself),
        (format!("/v1/contacts/{}", contact["id"].as_str().unwrap()), of_contact),
    ] {
        let read = hub.get(&path).json();
        let fields: &Map<String, Value> = read.as_object().unwrap();
        let mut refused = 0;
        for field in fields.keys().filter(|field| !settable.contains(&field.as_str())) {
            let answer = hub.patch(&path, &json!({ field: "2020-01-01T00:00:00Z" }));
            if by_itself.contains(&field.as_str()) {
                answer.expect(200);
                continue;
            }
            error_in(&answer, 422, "read_only", field);
            assert!(answer.text.contains("cannot be changed"), "{}", answer.text);
            refused += 1;
        }
        assert!(refused >= 4, "{path}: {refused}");
        assert_eq!(hub.get(&path).json(), read);
    }
    let path = format!("/v1/contacts/{}", contact["id"].as_str().unwrap());
    error_in(&hub.patch(&path, &json!({"webhook": {"webhook_id": webhook}})), 422, "read_only", "webhook.webhook_id");
}

#[test]
fn all_rules_that_a_webhook_breaks_are_named_at_once() {
    let hub = Hub::start();
    let wrong = json!({
        "url": "ftp://example.com/", "events": ["a..b", "ok", "c d"], "filter": {"colour": 1}, "description": "x".repeat(1_025),
        "profile": "nobody", "timeout_s": 31, "max_in_flight": 0, "headers": {"Host": "x"}, "secret": "",
        "template": "{{", "retry": {"delays_s": [-1]},
    });
    let expected = pairs(&[
        ("invalid_url", "url"),
        ("unknown_profile", "profile"),
        ("invalid_event_pattern", "events[0]"),
        ("invalid_event_pattern", "events[2]"),
        ("invalid_filter", "filter.colour"),
        ("invalid_description", "description"),
        ("invalid_secret", "secret"),
        ("invalid_header", "headers.Host"),
        ("out_of_range", "timeout_s"),
        ("out_of_range", "max_in_flight"),
        ("invalid_retry", "retry.delays_s[0]"),
        ("invalid_template", "template"),
    ]);
    let answer = hub.post("/v1/webhooks", &wrong);
    error(&answer, 422, "invalid_url");
    assert_eq!(problems(&answer), expected);
    let path = format!("/v1/webhooks/{}", hub.add_webhook("http://127.0.0.1:9/"));
    let answer = hub.patch(&path, &wrong);
    assert_eq!(problems(&answer), expected);
    let answer = hub.post("/v1/webhooks", &json!({"timeout_s": 31}));
    assert_eq!(
        problems(&answer),
        pairs(&[("missing_field", "url"), ("missing_field", "events"), ("out_of_range", "timeout_s")])
    );
}

#[test]
fn all_rules_that_a_contact_an_event_type_or_a_profile_breaks_are_named_at_once() {
    let hub = Hub::start();
    let wrong = json!({
        "name": " ", "topics": [], "scope": {"webhooks": ["ok", ""]},
        "quiet_hours": {"from": "25:00", "to": "07:00", "time_zone": "UTC"},
        "webhook": {"url": "ftp://example.com/", "headers": {"Host": "x"}},
    });
    let expected = pairs(&[
        ("invalid_name", "name"),
        ("invalid_pattern", "scope.webhooks[1]"),
        ("invalid_topics", "topics"),
        ("invalid_quiet_hours", "quiet_hours.from"),
        ("invalid_url", "webhook.url"),
        ("invalid_header", "webhook.headers.Host"),
    ]);
    assert_eq!(problems(&hub.post("/v1/contacts", &wrong)), expected);
    let right = json!({"name": "On call", "webhook": {"url": "http://127.0.0.1:9/"}});
    let contact = hub.post("/v1/contacts", &right).expect(201).json();
    let path = format!("/v1/contacts/{}", contact["id"].as_str().unwrap());
    let mut found = problems(&hub.patch(&path, &wrong));
    let mut expected = expected;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let wrong = json!({"description": "x".repeat(5_000), "example": "x".repeat(70_000), "schema": {"type": 5}});
    let answer = hub.call_with(&hub.key, "PUT", "/v1/event-types/a.b", Some(&wrong.to_string()));
    assert_eq!(
        problems(&answer),
        pairs(&[("invalid_description", "description"), ("invalid_example", "example"), ("invalid_schema", "schema")])
    );

    let wrong =
        json!({"based_on": "generic", "title": "x".repeat(257), "headers": {"X a": "b"}, "retry": {"delays_s": [-1]}});
    let answer = hub.call_with(&hub.key, "PUT", "/v1/profiles/ours", Some(&wrong.to_string()));
    assert_eq!(
        problems(&answer),
        pairs(&[
            ("invalid_profile", "title"),
            ("invalid_profile", "headers.X a"),
            ("invalid_retry", "retry.delays_s[0]")
        ])
    );
}
