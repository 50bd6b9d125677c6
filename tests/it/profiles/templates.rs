//! Templates of profiles and webhooks.

use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::{Behaviour, Receiver, Reply};

/// Profile of a chat.
fn chat() -> Value {
    json!({
        "body": "template",
        "template": "{\"text\": \"{{ event.type }}: {{ data.title }}\", \"of\": {{ webhook.description }}}",
        "headers": {"X-Kind": "{type}", "X-Title": "{{ data.title|rfc2047 }} {{ delivery.id[:4] }}"},
        "signatures": [{"header": "X-Sig", "content": "{body}", "encoding": "hex"}],
        "retry": {"delays_s": [1, 1, 1]},
    })
}

fn put(hub: &Hub, spec: &Value) -> Answer {
    hub.call_with(&hub.key, "PUT", "/v1/profiles/chat", Some(&spec.to_string()))
}

fn with(spec: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut spec = spec.clone();
    spec[field] = value.into();
    spec
}

#[test]
fn a_profile_sends_what_its_template_gives_and_signs_that() {
    let hub = Hub::start();
    let receiver = Receiver::answering(200);
    let made = put(&hub, &chat()).expect(201).json();
    assert_eq!((&made["envelope"], &made["content_type"]), (&Value::Null, &json!("application/json")));
    let webhook = json!({"profile": "chat", "secret": "s3cret", "description": "Shop \"A\""});
    hub.add_webhook_with(receiver.url(), &webhook);
    let delivery = hub.publish_one("order.paid", json!({"title": "Grüße \"x\""}));
    hub.deliver_until_idle();
    let request = receiver.last();
    assert_eq!(request.text(), r#"{"text": "order.paid: Grüße \"x\"", "of": "Shop \"A\""}"#);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("x-kind"), Some("order.paid"));
    assert_eq!(request.header("x-title"), Some("=?UTF-8?B?R3LDvMOfZSAieCI=?= dlv_"));
    let profile = hookpost::profile::Profile::parse(serde_json::from_value(with(&chat(), "name", "chat")).unwrap());
    let secret = "s3cret".parse().unwrap();
    hookpost::profile::verify::verify(&profile.unwrap(), &secret, &request.headers, &request.body).unwrap();
    // The log composes the same body.
    let attempt = hub.delivery(&delivery)["attempts"][0].clone();
    assert_eq!(attempt["request"]["body"], request.text());
}

#[test]
fn a_text_may_have_any_content_type() {
    let hub = Hub::start();
    let receiver = Receiver::answering(200);
    let plain = with(&chat(), "content_type", "text/plain; charset=utf-8");
    put(
        &hub,
        &with(&plain, "template", "{{ data.title }}{% if data.n > 12345678901234567890122 %} {{ data.n }}{% endif %}"),
    )
    .expect(201);
    hub.add_webhook_with(receiver.url(), &json!({"profile": "chat"}));
    hub.post_text("/v1/events", r#"{"type":"a.b","data":{"title":"say \"hi\"","n":12345678901234567890123}}"#)
        .expect(202);
    hub.deliver_until_idle();
    assert_eq!(receiver.last().text(), "say \"hi\" 12345678901234567890123");
    assert_eq!(receiver.last().header("content-type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn a_fault_in_a_template_is_refused_with_its_line_and_column() {
    let hub = Hub::start();
    let receiver = Receiver::answering(200);
    let webhook = hub.add_webhook(receiver.url());
    let broken = "{\n  \"a\": {{ data.a|shout }}}";
    let header = json!({"X-A": "{{ data.a"});
    for (spec, field, part) in [
        (with(&chat(), "template", broken), "template", "Line 2, column "),
        (with(&chat(), "template", Value::Null), "template", "needs a template"),
        (with(&chat(), "headers", header), "headers.X-A", "Line 1, column "),
        (with(&chat(), "envelope", "data"), "envelope", "no envelope"),
        (with(&chat(), "content_type", "json"), "content_type", "a slash"),
        (with(&chat(), "content_type", "text/plain\r\nX-A: b"), "content_type", "a slash"),
        (with(&chat(), "challenge", json!({"event": "a.b", "field": "c"})), "challenge", "no challenge"),
        (with(&chat(), "body", "exact"), "template", "needs \"body\""),
        (with(&chat(), "example", json!({"type": "a b", "data": {}})), "example.type", "dotted name"),
    ] {
        let refused = put(&hub, &spec).expect(422);
        let error = &refused.json()["error"];
        assert_eq!(error["field"], field, "{error}");
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
        hub.post("/v1/profiles/preview", &json!({"profile": spec, "event": {"type": "a.b"}})).expect(422);
    }
    let refused = hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"template": broken})).expect(422);
    assert_eq!(refused.error_code(), "invalid_template");
    assert_eq!(refused.json()["error"]["field"], "template");
    let fields = json!({"url": receiver.url(), "events": ["*"], "template": "{{ now() }}"});
    assert_eq!(hub.post("/v1/webhooks", &fields).expect(422).error_code(), "invalid_template");
    let fields = json!({"url": receiver.url(), "events": ["*"], "profile": "influship", "template": "{}"});
    assert_eq!(hub.post("/v1/webhooks", &fields).expect(422).error_code(), "invalid_template");
    // A preview shows the fault that an event causes.
    let failing = with(&chat(), "template", "{\"a\": {{ data.missing }}}");
    let preview = json!({"profile": failing, "event": {"type": "a.b", "data": {}}});
    let refused = hub.post("/v1/profiles/preview", &preview).expect(422);
    assert_eq!(refused.error_code(), "template_failed");
    assert_eq!(refused.json()["error"]["message"], "Line 1, column 10: `data.missing` is undefined.");
}

#[test]
fn an_event_that_a_template_fails_with_is_a_dead_letter_at_once_and_can_be_retried() {
    let hub = Hub::start();
    let receiver = Receiver::answering(200);
    put(&hub, &with(&chat(), "template", "{\"a\": {{ data.a }}}")).expect(201);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"profile": "chat"}));
    for data in [json!({"title": "t"}), json!({"a": 1}), json!({"a": 1, "title": "é".repeat(2_000)})] {
        hub.publish("a.b", data);
    }
    let delivery = hub.publish_one("a.b", json!({"title": "t"}));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 0);
    assert_eq!(hub.status_of(&delivery), "failed");
    assert_eq!(hub.state_of(&webhook), "active");
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["attempt_count"], 1);
    let attempt = hub.delivery(&delivery)["attempts"][0].clone();
    assert_eq!(attempt["error"]["code"], "template_failed");
    assert_eq!(
        attempt["error"]["message"],
        "The template failed with this event, so nothing was sent. Line 1, column 10: `data.a` is undefined."
    );
    let failed = hub.get("/v1/deliveries?error_code=template_failed").expect(200).json();
    assert_eq!(failed["data"].as_array().unwrap().len(), 4);
    // The retry uses the corrected template, since the attempt that failed sent nothing.
    put(&hub, &with(&chat(), "template", "{\"a\": {{ data.a|default(0) }}}")).expect(200);
    hub.post(&format!("/v1/deliveries/{delivery}/retry"), &json!({})).expect(202);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
    assert_eq!(receiver.last().text(), r#"{"a": 0}"#);
}

/// Has a delivery fail, changes something, and returns the bodies of its two attempts and of a later delivery.
fn bodies_around(hub: &mut Hub, receiver: &Receiver, restarts: bool, change: impl FnOnce(&Hub)) -> [String; 3] {
    receiver.behave(Behaviour::Answer(Reply::status(500)));
    let delivery = hub.publish_one("a.b", json!({"title": "t"}));
    hub.deliver_until_idle();
    let first = receiver.last().text().to_owned();
    change(hub);
    if restarts {
        hub.restart();
    }
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    hub.advance(2_000);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
    let second = receiver.last().text().to_owned();
    let attempts = hub.delivery(&delivery)["attempts"].clone();
    for attempt in attempts.as_array().unwrap() {
        assert_eq!(attempt["request"]["body"], *first, "the log");
    }
    hub.publish("a.b", json!({"title": "t"}));
    hub.deliver_until_idle();
    [first, second, receiver.last().text().to_owned()]
}

#[test]
fn the_attempts_of_a_delivery_send_the_same_bytes_whatever_is_changed_between_them() {
    let mut hub = Hub::start();
    let receiver = Receiver::answering(200);
    let spec = json!({"envelope": [{"field": "a", "value": "data"}], "retry": {"delays_s": [1, 1]}});
    put(&hub, &spec).expect(201);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"profile": "chat", "description": "one"}));
    let path = format!("/v1/webhooks/{webhook}");
    let changed = |bodies: [String; 3], later: &str| {
        let [first, second, third] = bodies;
        assert_eq!(first, second);
        assert_eq!(third, later);
    };
    // An envelope.
    let bodies = bodies_around(&mut hub, &receiver, false, |hub| {
        put(hub, &with(&spec, "envelope", json!([{"field": "b", "value": "data"}]))).expect(200);
    });
    changed(bodies, r#"{"b":{"title":"t"}}"#);
    // From an envelope to a template.
    let bodies = bodies_around(&mut hub, &receiver, true, |hub| {
        put(hub, &chat()).expect(200);
    });
    changed(bodies, r#"{"text": "a.b: t", "of": "one"}"#);
    // What the template says about the webhook.
    let bodies = bodies_around(&mut hub, &receiver, true, |hub| {
        hub.patch(&path, &json!({"description": "two"})).expect(200);
    });
    changed(bodies, r#"{"text": "a.b: t", "of": "two"}"#);
    // The webhook's own template, and back.
    let bodies = bodies_around(&mut hub, &receiver, false, |hub| {
        let after = hub.patch(&path, &json!({"template": "[{{ data.title }}]"})).expect(200).json();
        assert_eq!(after["template"], "[{{ data.title }}]");
    });
    changed(bodies, r#"["t"]"#);
    let bodies = bodies_around(&mut hub, &receiver, true, |hub| {
        hub.patch(&path, &json!({"template": null})).expect(200);
    });
    changed(bodies, r#"{"text": "a.b: t", "of": "two"}"#);
}
