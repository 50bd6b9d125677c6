//! `/v1/event-types`, and the effects of a type's schema and example.

use std::time::{Duration, Instant};

use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, error_in, rows};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::Receiver;

const ORDER: &str = r#"{"description": "An order was paid.", "example": {"id": 1.50, "id2" : [true]},
    "schema": {"type": "object", "required": ["id"], "properties": {"id": {"type": "number", "maximum": 100}}}}"#;

fn put(hub: &Hub, name: &str, body: &str) -> Answer {
    let path = format!("/v1/event-types/{name}");
    hub.call_with(&hub.key, "PUT", &path, Some(body))
}

fn publish(hub: &Hub, data: &Value) -> Answer {
    let body = json!({"type": "order.paid", "data": data});
    hub.post("/v1/events", &body)
}

#[test]
fn an_event_type_is_made_changed_listed_and_forgotten() {
    let mut hub = Hub::start();
    let made = put(&hub, "order.paid", ORDER).expect(201);
    // The example keeps its original spelling.
    assert!(made.text.contains(r#""example":{"id": 1.50, "id2" : [true]}"#), "{}", made.text);
    let made = made.json();
    assert_eq!(made["name"], "order.paid");
    assert_eq!(made["description"], "An order was paid.");
    assert_eq!(made["schema"]["required"], json!(["id"]));
    assert_eq!(made["created_at"], "2026-01-15T10:00:00.000Z");
    hub.advance(1_000);
    let changed = put(&hub, "order.paid", r#"{"name": "order.paid"}"#).expect(200);
    let changed = changed.json();
    for gone in ["example", "schema"] {
        assert_eq!(changed[gone], Value::Null);
    }
    assert_eq!(changed["created_at"], made["created_at"]);
    assert_eq!(changed["updated_at"], "2026-01-15T10:00:01.000Z");
    put(&hub, "user.made", "{}").expect(201);
    hub.restart();
    let list = hub.get("/v1/event-types").expect(200).json();
    let names: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["user.made", "order.paid"]);
    let first = hub.get("/v1/event-types?limit=1").expect(200).json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = hub.get(&format!("/v1/event-types?limit=1&cursor={cursor}")).json();
    assert_eq!(second["data"][0]["name"], "order.paid");
    assert_eq!(second["next_cursor"], Value::Null);
    hub.delete("/v1/event-types/order.paid").expect(204);
    for answer in [
        hub.get("/v1/event-types/order.paid"),
        hub.delete("/v1/event-types/order.paid"),
        hub.get("/v1/event-types/a..b"),
    ] {
        error(&answer, 404, "not_found");
    }
}

#[test]
fn an_event_that_breaks_the_schema_of_its_type_is_refused_and_says_where() {
    let mut hub = Hub::start();
    publish(&hub, &json!([])).expect(202);
    put(&hub, "order.paid", ORDER).expect(201);
    for (data, said) in [
        (json!({}), "\"id\" is a required property"),
        (json!({"id": "x"}), "at /id: "),
        (json!({"id": 101}), "at /id: "),
        (json!([]), "at the whole: "),
    ] {
        let answer = publish(&hub, &data);
        error_in(&answer, 422, "schema_violation", "data");
        assert!(answer.text.contains(&said.replace('"', "\\\"")), "{}", answer.text);
    }
    publish(&hub, &json!({"id": 1.5})).expect(202);
    hub.publish("order.paid.late", json!([]));
    assert_eq!(rows(&hub), [0, 3, 0]);
    // The schema survives a restart, can be changed, and is removed with the type.
    hub.restart();
    error_in(&publish(&hub, &json!({})), 422, "schema_violation", "data");
    put(&hub, "order.paid", r#"{"schema": {"maxProperties": 0}}"#).expect(200);
    publish(&hub, &json!({})).expect(202);
    error_in(&publish(&hub, &json!({"id": 1})), 422, "schema_violation", "data");
    hub.delete("/v1/event-types/order.paid").expect(204);
    publish(&hub, &json!({"id": 1})).expect(202);
}

#[test]
fn large_data_is_held_to_the_schema_too() {
    let hub = Hub::start();
    put(&hub, "order.paid", r#"{"schema": {"items": {"type": "string"}}}"#).expect(201);
    let mut data = vec![json!("x".repeat(100)); 1_000];
    publish(&hub, &json!(data)).expect(202);
    data[700] = json!(7);
    let answer = publish(&hub, &json!(data));
    error_in(&answer, 422, "schema_violation", "data");
    assert!(answer.text.contains("at /700: "), "{}", answer.text);
}

#[test]
fn an_event_that_was_taken_before_its_type_had_the_schema_is_still_a_duplicate() {
    let hub = Hub::start();
    let event = json!({"type": "order.paid", "data": {}, "id": "order-1"});
    hub.post("/v1/events", &event).expect(202);
    put(&hub, "order.paid", ORDER).expect(201);
    let again = hub.post("/v1/events", &event).expect(202).json();
    assert_eq!(again["duplicate"], true);
}

#[test]
fn a_test_without_data_sends_the_example_of_its_type() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    put(&hub, "order.paid", ORDER).expect(201);
    put(&hub, "order.sent", "{}").expect(201);
    let by_id = format!("/v1/webhooks/{webhook}/test");
    let example = r#""data":{"id": 1.50, "id2" : [true]}"#;
    // By the profile.
    let shipped = r#""data":{"object":{"id":"res_7","#;
    for (path, body, sent) in [
        (&*by_id, json!({"event_type": "order.paid"}), example),
        (&by_id, json!({"event_type": "order.paid", "data": null}), example),
        (&by_id, json!({"event_type": "order.paid", "data": 5}), r#""data":5"#),
        (&by_id, json!({"event_type": "order.sent"}), shipped),
        ("/v1/webhooks/test", json!({"webhook_id": webhook, "event_type": "order.paid"}), example),
        ("/v1/webhooks/test", json!({"event": "order.paid"}), example),
        ("/v1/webhooks/test", json!({"event": "order.paid", "a": 1}), r#""data":{"a":1}"#),
        ("/v1/webhooks/test", json!({"event": "order.sent"}), shipped),
    ] {
        hub.post(path, &body).expect(200);
        let request = receiver.last();
        let text = request.text();
        assert!(text.contains(sent), "{body}: {text}");
    }
}

#[test]
fn a_bad_event_type_is_refused_by_field_and_stores_nothing() {
    let hub = Hub::start();
    let long_schema = json!({"schema": {"description": "x".repeat(65_536)}}).to_string();
    let long_example = json!({"example": "x".repeat(65_536)}).to_string();
    let long_description = json!({"description": "x".repeat(4_097)}).to_string();
    for (body, code, field) in [
        (r#"{"schema": []}"#, "invalid_schema", "schema"),
        (r#"{"schema": {"type": "thing"}}"#, "invalid_schema", "schema"),
        (r#"{"schema": {"$ref": "https://example.com/order.json"}}"#, "invalid_schema", "schema"),
        (r#"{"schema": {"$ref": "file:///etc/passwd"}}"#, "invalid_schema", "schema"),
        (r#"{"schema": {"pattern": "(a*)*(?=b)"}}"#, "invalid_schema", "schema"),
        (&long_schema, "invalid_schema", "schema"),
        (&long_example, "invalid_example", "example"),
        (&long_description, "invalid_description", "description"),
        (r#"{"example": 5, "schema": {"type": "string"}}"#, "schema_violation", "example"),
        (r#"{"description": 5}"#, "invalid_type", "description"),
        (r#"{"title": "x"}"#, "unknown_field", "title"),
        (r#"{"name": "order.sent"}"#, "name_differs", "name"),
    ] {
        error_in(&put(&hub, "order.paid", body), 422, code, field);
    }
    error(&put(&hub, "a..b", "{}"), 422, "invalid_event_type");
    error(&put(&hub, "order.paid", "{"), 400, "malformed_json");
    assert_eq!(hub.get("/v1/event-types").json()["data"], json!([]));
}

#[test]
fn event_types_are_shared_by_all_tenants_and_changed_by_none_of_them() {
    let hub = Hub::start();
    put(&hub, "order.paid", ORDER).expect(201);
    let acme = hub.make_key(Scope::Admin, Some("acme"), None);
    let reader = hub.make_key(Scope::Read, None, None);
    let path = "/v1/event-types/order.paid";
    for key in [&acme, &reader] {
        for path in ["/v1/event-types", path] {
            hub.call_with(key, "GET", path, None).expect(200);
        }
        error(&hub.call_with(key, "PUT", path, Some("{}")), 403, "forbidden");
        error(&hub.call_with(key, "DELETE", path, None), 403, "forbidden");
    }
    let publisher = hub.make_key(Scope::Publish, Some("acme"), None);
    error(&hub.call_with(&publisher, "GET", path, None), 403, "forbidden");
    let event = r#"{"type": "order.paid", "data": {}}"#;
    let answer = hub.call_with(&publisher, "POST", "/v1/events", Some(event));
    error_in(&answer, 422, "schema_violation", "data");
    error(&hub.post(path, &json!({})), 405, "method_not_allowed");
}

#[test]
fn a_batch_is_held_to_the_schemas_of_its_types_and_names_the_event() {
    let hub = Hub::start();
    let schema = json!({"schema": {"type": "object", "required": ["id"]}});
    let put = hub.call_with(&hub.key, "PUT", "/v1/event-types/order.paid", Some(&schema.to_string()));
    assert!((200..300).contains(&put.status), "{}", put.text);
    let event = |data: Value| json!({"type": "order.paid", "data": data});
    let good = event(json!({"id": 1}));
    let refused = hub.post("/v1/events/batch", &json!([good, event(json!({}))]));
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert_eq!(refused.error_code(), "schema_violation");
    assert_eq!(refused.json()["error"]["field"], "[1].data");
    hub.post("/v1/events/batch", &json!([good, good])).expect(202);
}

#[test]
fn data_that_is_costly_to_check_is_refused_soon_and_holds_up_nobody() {
    let hub = Hub::start();
    // A tree, whose leaves are texts. The number of its violations doubles with each level.
    let tree = r##"{"schema": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#"}},
        {"type": "array", "maxItems": 100, "items": {"$ref": "#"}}]}}"##;
    put(&hub, "tree", tree).expect(201);
    let nested = |depth: usize| {
        let data = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"type": "tree", "data": {data}}}"#)
    };
    for depth in [2, 14, 15, 18, 20, 100] {
        let began = Instant::now();
        let refused = hub.post_text("/v1/events", &nested(depth));
        assert!(began.elapsed() < Duration::from_secs(3), "a depth of {depth} took {:?}", began.elapsed());
        error_in(&refused, 422, "schema_violation", "data");
    }
    let batch = format!("[{}]", vec![nested(20); 100].join(","));
    std::thread::scope(|scope| {
        let costly: Vec<_> = (0..8).map(|_| scope.spawn(|| hub.post_text("/v1/events/batch", &batch))).collect();
        for _ in 0..20 {
            let began = Instant::now();
            publish(&hub, &json!({})).expect(202);
            assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        }
        for refused in costly {
            assert_eq!(refused.join().unwrap().error_code(), "schema_violation");
        }
    });
}
