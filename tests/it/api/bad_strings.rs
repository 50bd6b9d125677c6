//! Malicious and unusual strings in every field that is shown later.

use serde_json::{Value, json};

use super::rows;
use crate::support::Hub;
use crate::support::receiver::Receiver;

fn strings() -> Vec<String> {
    let mut strings: Vec<String> = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "{{7*7}} {% include \"x\" %} ${7*7} <%= 1 %>",
        "'; DROP TABLE webhook; --",
        "' OR '1'='1",
        "%00",
        "\0",
        "a\0b",
        "\u{202e}gnp.exe",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "a\r\nX-Injected: 1",
        "\n",
        "../../etc/passwd",
        "..\\..\\windows",
        "javascript:alert(1)",
        "=cmd()|'/C calc'!A0",
        "@SUM(1+1)",
        "`'\"\\",
        " at line 1 `x` ",
        "null",
        " ",
        "\u{feff}",
        "\u{fffd}",
    ]
    .map(str::to_owned)
    .to_vec();
    strings.push("x".repeat(1_000_000));
    strings.push("é".repeat(100_000));
    strings
}

/// Checks that a string was either accepted or rejected with a short error in the usual format. Returns whether it was
/// accepted.
#[track_caller]
fn taken(what: &str, answer: &crate::support::hub::Answer) -> bool {
    if answer.status < 300 {
        return true;
    }
    assert!(matches!(answer.status, 404 | 422), "{what}: {} {}", answer.status, answer.text);
    assert!(answer.text.len() < 6_000, "{what}: an error of {} bytes", answer.text.len());
    assert!(!answer.error_code().is_empty());
    false
}

#[test]
fn no_string_in_a_field_of_a_webhook_breaks_anything() {
    let hub = Hub::start();
    let url = "http://127.0.0.1:9/";
    let known = hub.add_webhook(url);
    let mut made = 1;
    for text in &strings() {
        let short: String = text.chars().take(40).collect();
        let mut bodies: Vec<(&str, Value)> =
            ["description", "secret", "tenant", "profile", "url", "active", "timeout_s", "ordered", "retry"]
                .map(|field| (field, json!({ field: text })))
                .to_vec();
        bodies.push(("events", json!({"events": [text]})));
        bodies.push(("events", json!({"events": [format!("{text}.*")]})));
        bodies.push(("header name", json!({"headers": {text: "v"}})));
        bodies.push(("header value", json!({"headers": {"X-A": text}})));
        bodies.push(("url path", json!({"url": format!("{url}{text}")})));
        bodies.push(("unknown", json!({text: 1})));
        bodies.push(("retry", json!({"retry": {"delays_s": [], "measured_from": text}})));
        bodies.push(("retry", json!({"retry": {"delays_s": [], text: 1}})));
        for (field, fields) in bodies {
            let what = format!("{field} {short:?}");
            let mut body = json!({"url": url, "events": ["a.b"]});
            for (name, value) in fields.as_object().unwrap() {
                body[name] = value.clone();
            }
            let answer = hub.post("/v1/webhooks", &body);
            if taken(&what, &answer) {
                made += 1;
                let id = answer.json()["id"].as_str().unwrap().to_owned();
                let read = hub.webhook(&id);
                if field == "description" {
                    assert_eq!(read["description"], json!(text));
                }
                hub.get(&format!("/v1/webhooks/{id}/secret")).expect(200);
            } else if let Some(field) = answer.json()["error"]["field"].as_str() {
                assert!(field.len() < 1_000, "{what}");
            }
            taken(&what, &hub.patch(&format!("/v1/webhooks/{known}"), &fields));
        }
    }
    assert_eq!(rows(&hub), [made, 0, 0]);
}

#[test]
fn no_string_in_a_field_of_an_event_or_a_test_breaks_anything() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    for text in &strings() {
        let short: String = text.chars().take(40).collect();
        for field in ["type", "tenant", "id", "created_at"] {
            let mut body = json!({"type": "a.b", "data": 1});
            body[field] = json!(text);
            let before = rows(&hub);
            let answer = hub.post("/v1/events", &body);
            if !taken(&format!("{field} {short:?}"), &answer) {
                assert_eq!(rows(&hub), before, "{field} {short:?}");
                assert_eq!(answer.json()["error"]["field"], field);
            }
        }
        let body = json!({"type": "a.b", "data": {"text": text}, "previous_data": text});
        if body.to_string().len() <= 1 << 20 {
            let receipt = hub.post("/v1/events", &body).expect(202).json();
            let event = hub.get(&format!("/v1/events/{}", receipt["id"].as_str().unwrap()));
            let event = event.expect(200).json();
            assert_eq!(event["data"], body["data"]);
            assert_eq!(event["previous_data"], body["previous_data"]);
        }
        let tests = [
            (format!("/v1/webhooks/{webhook}/test"), json!({"data": text})),
            (format!("/v1/webhooks/{webhook}/test"), json!({"event_type": text})),
            ("/v1/webhooks/test".to_owned(), json!({"event": "a.b", text: text.get(..9)})),
            ("/v1/webhooks/test".to_owned(), json!({"event": text})),
            ("/v1/webhooks/test".to_owned(), json!({"webhook_id": text})),
        ];
        for (path, body) in tests {
            taken(&format!("{path} {short:?}"), &hub.post(&path, &body));
        }
    }
    hub.deliver_until_idle();
    assert_eq!(hub.get("/v1/deliveries?status=failed").json()["data"], json!([]));
}

#[test]
fn no_string_in_a_query_or_a_path_breaks_anything() {
    let hub = Hub::start();
    for text in strings().iter().filter(|text| text.len() < 1_000) {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for path in [
            format!("/v1/events?type={encoded}"),
            format!("/v1/events?{encoded}=1"),
            format!("/v1/webhooks?tenant={encoded}"),
            format!("/v1/webhooks?event={encoded}"),
            format!("/v1/deliveries?event_id={encoded}"),
            format!("/v1/deliveries?status={encoded}"),
            format!("/v1/deliveries?cursor={encoded}"),
            format!("/v1/dead-letters?since={encoded}"),
            format!("/v1/webhooks/{encoded}"),
            format!("/v1/webhooks/{encoded}/secret"),
            format!("/v1/events/{encoded}"),
            format!("/v1/deliveries/{encoded}"),
            format!("/{encoded}"),
        ] {
            taken(&path, &hub.get(&path));
        }
    }
}
