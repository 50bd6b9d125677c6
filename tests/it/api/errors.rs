//! One format of errors under every path.

use serde_json::json;

use super::{CALLS, Ids, error, rows};
use crate::support::Hub;

#[test]
fn what_does_not_exist_is_a_404_in_the_form() {
    let hub = Hub::start();
    for path in [
        "/v1",
        "/v1/",
        "/v2/events",
        "/v1/events/a/b",
        "/v1/webhooks//secret",
        "/api",
        "/api/events",
        "/v1/%00",
        "/v1/%ff%fe",
        "/v1/..%2fevents",
        "/v1/webhooks/a/b/c/d",
        "/v1/webhooks/wh_1/nothing",
        "/favicon.ico",
        "/v1/webhooks/%ff",
        "/v1/webhooks/wh_%00",
    ] {
        error(&hub.get(path), 404, "not_found");
    }
}

#[test]
fn a_method_that_a_path_does_not_take_is_a_405_in_the_form() {
    let hub = Hub::start();
    let ids = Ids::in_tenant(&hub, "default", "http://127.0.0.1:9/");
    for (_, path, _) in CALLS {
        // Every path under `/api` exists under `/v1` too.
        let addressed = path.replace("/api/", "/v1/");
        let known = |method: &str| CALLS.iter().any(|call| call.0 == method && call.1 == addressed);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"] {
            // `batch` is a valid event id.
            let shows = ["GET", "DELETE"].contains(&method) && addressed == "/v1/events/batch";
            if !known(method) && !shows {
                let body = if method == "GET" { "" } else { "{}" };
                let key = [("x-api-key", hub.key.as_str())];
                let answer = hub.send(method, &ids.fill(path), &key, body.as_bytes());
                error(&answer, 405, "method_not_allowed");
            }
        }
    }
    for path in ["/healthz", "/readyz"] {
        error(&hub.post(path, &json!({})), 405, "method_not_allowed");
    }
}

#[test]
fn what_is_not_json_by_its_headers_is_a_415() {
    let hub = Hub::start();
    let ids = Ids::in_tenant(&hub, "default", "http://127.0.0.1:9/");
    let before = rows(&hub);
    let key = ("x-api-key", hub.key.as_str());
    for (method, path, _) in CALLS {
        let takes_no_body = path.contains("{d}");
        if method == "GET" || method == "DELETE" || takes_no_body {
            continue;
        }
        for content_type in ["text/plain", "application/xml", "", "multipart/form-data", "json"] {
            let headers = [key, ("content-type", content_type)];
            let answer = hub.send(method, &ids.fill(path), &headers, b"{}");
            error(&answer, 415, "unsupported_media_type");
        }
        for encoding in ["gzip", "br", "deflate", "gzip, identity", ""] {
            let json = ("content-type", "application/json");
            let headers = [key, json, ("content-encoding", encoding)];
            let answer = hub.send(method, &ids.fill(path), &headers, b"\x1f\x8b\x08\0");
            error(&answer, 415, "unsupported_encoding");
        }
    }
    assert_eq!(rows(&hub), before);
}

#[test]
fn json_is_taken_by_any_of_its_names() {
    let hub = Hub::start();
    let key = ("x-api-key", hub.key.as_str());
    let body = br#"{"type": "a.b", "data": 1}"#;
    hub.send("POST", "/v1/events", &[key], body).expect(202);
    for content_type in
        ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8", "application/cloudevents+json"]
    {
        let headers = [key, ("content-type", content_type), ("content-encoding", "identity")];
        hub.send("POST", "/v1/events", &headers, body).expect(202);
    }
}

#[test]
fn a_body_over_the_limit_is_a_413_and_one_at_the_limit_is_taken() {
    let hub = Hub::start();
    let limit = 1 << 20;
    let sized = |bytes: usize| {
        let frame = r#"{"type":"a.b","data":""}"#;
        format!(r#"{{"type":"a.b","data":"{}"}}"#, "x".repeat(bytes - frame.len()))
    };
    hub.post_text("/v1/events", &sized(limit - 1)).expect(202);
    hub.post_text("/v1/events", &sized(limit)).expect(202);
    let too_large = sized(limit + 1);
    let webhook = hub.add_webhook("http://127.0.0.1:9/");
    for (method, path) in [
        ("POST", "/v1/events"),
        ("POST", "/v1/webhooks"),
        ("POST", "/api/webhooks"),
        ("POST", "/v1/webhooks/settings"),
        ("PATCH", "/v1/webhooks/{w}"),
        ("POST", "/v1/webhooks/{w}/secret/rotate"),
        ("POST", "/v1/webhooks/{w}/test"),
        ("POST", "/v1/webhooks/test"),
        ("POST", "/v1/webhooks/{w}/replay"),
        ("POST", "/v1/deliveries/retry"),
        ("POST", "/v1/deliveries/discard"),
        ("POST", "/v1/api-keys"),
    ] {
        let path = path.replace("{w}", &webhook);
        let answer = hub.call_with(&hub.key, method, &path, Some(&too_large));
        error(&answer, 413, "too_large");
    }
    assert_eq!(rows(&hub), [1, 2, 0]);
}

#[test]
fn the_operator_sets_the_limit_of_a_body() {
    let hub = Hub::with(|options| options.max_body = 30);
    hub.post_text("/v1/events", r#"{"type":"a.b", "data":12345678"#.get(..29).unwrap()).expect(400);
    hub.post_text("/v1/events", r#"{"type":"a.b", "data":1234567}"#).expect(202);
    let answer = hub.post_text("/v1/events", r#"{"type":"a.b", "data":12345678}"#);
    error(&answer, 413, "too_large");
}

#[test]
fn all_fields_of_the_wrong_type_are_named_at_once_in_the_words_of_json() {
    let hub = Hub::start();
    let body = json!({"url": 5, "events": "*", "timeout_s": -1, "colour": "red"});
    let answer = hub.post("/v1/webhooks", &body);
    error(&answer, 422, "invalid_type");
    let form = answer.json();
    let all = form["errors"].as_array().unwrap();
    let fields: Vec<&str> = all.iter().map(|one| one["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["url", "events", "timeout_s", "colour"], "{form}");
    assert_eq!(all[0]["message"], "Must be a string, not 5.");
    assert_eq!(all[1]["message"], "Must be an array, not a string.");
    assert!(!answer.text.contains("sequence") && !answer.text.contains("expected"), "{form}");
}
