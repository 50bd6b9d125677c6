//! Built-in profiles of vendors: what they need of a webhook, and what they send.

use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::receiver::Receiver;

#[test]
fn a_webhook_without_what_the_vendor_needs_is_refused_and_told_the_url() {
    let hub = Hub::start();
    let create = |url: &str, profile: &str, headers: Value| {
        let fields = json!({"url": url, "events": ["*"], "profile": profile, "headers": headers});
        hub.post("/v1/webhooks", &fields)
    };
    let telegram = "https://api.telegram.org/bot1:a/sendMessage";
    let pagerduty = "https://events.pagerduty.com/v2/enqueue";
    for (url, profile, headers, field, part) in [
        (
            telegram,
            "telegram",
            json!({}),
            "url",
            "needs the parameter chat_id in the URL, as in https://api.telegram.org/bot",
        ),
        (&format!("{telegram}?chat_id="), "telegram", json!({}), "url", "chat_id"),
        (&format!("{telegram}?chat=1"), "telegram", json!({}), "url", "chat_id"),
        (pagerduty, "pagerduty", json!({}), "headers", "needs the custom header X-Routing-Key"),
        (pagerduty, "pagerduty", json!({"X-Routing-Key": ""}), "headers", "X-Routing-Key"),
    ] {
        let refused = create(url, profile, headers).expect(422);
        assert_eq!(refused.error_code(), "incomplete_endpoint", "{profile}");
        let error = refused.json()["error"].clone();
        assert_eq!(error["field"], field, "{error}");
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    }
    create(&format!("{telegram}?chat_id=-100123"), "telegram", json!({})).expect(201);
    let made = create(pagerduty, "pagerduty", json!({"x-routing-key": "R0"})).expect(201).json();
    // The key is masked, and another setting may change without it.
    assert_eq!(made["headers"]["x-routing-key"], "••••••");
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    hub.patch(&path, &json!({"description": "On call"})).expect(200);
    hub.patch(&path, &json!({"headers": {"x-routing-key": "••••••"}})).expect(200);
    let refused = hub.patch(&path, &json!({"headers": null})).expect(422);
    assert_eq!(refused.error_code(), "incomplete_endpoint");
    let refused = hub.patch(&path, &json!({"profile": "telegram"})).expect(422);
    assert_eq!(refused.error_code(), "incomplete_endpoint");
}

#[test]
fn deliveries_of_each_vendor_have_its_content_type_and_headers() {
    let hub = Hub::start();
    for (profile, content_type, header) in [
        ("slack", "application/json", None),
        ("discord", "application/json", None),
        ("teams", "application/json", None),
        ("ntfy", "text/plain; charset=utf-8", Some(("Title", "order.ntfy"))),
        ("telegram", "application/json", None),
        ("pagerduty", "application/json", Some(("X-Routing-Key", "R0"))),
        ("cloudevents", "application/cloudevents+json", None),
        ("cloudevents-binary", "application/json", Some(("ce-source", "/hookpost/default"))),
    ] {
        let receiver = Receiver::start();
        let url = format!("{}?chat_id=1", receiver.url());
        let headers = if profile == "pagerduty" { json!({"X-Routing-Key": "R0"}) } else { json!({}) };
        let event_type = format!("order.{profile}");
        hub.add_webhook_with(url, &json!({"profile": profile, "headers": headers, "events": [event_type]}));
        let delivery = hub.publish_one(&event_type, json!({"amount": 1.5, "name": "Zoë"}));
        hub.deliver_until_idle();
        let request = receiver.last();
        assert_eq!(request.header("content-type"), Some(content_type), "{profile}");
        assert!(request.text().contains("Zoë"), "{profile}: {}", request.text());
        if let Some((name, value)) = header {
            assert_eq!(request.header(name), Some(value), "{profile}");
        }
        // The log composes the same body.
        let attempts = hub.delivery(&delivery)["attempts"].clone();
        assert_eq!(attempts[0]["request"]["body"], request.text());
    }
}
