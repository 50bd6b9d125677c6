//! `Idempotency-Key` of calls other than publishing: the answer is kept and repeated.

use std::io::Write as _;
use std::net::TcpStream;

use hookpost::domain::time::DAY;
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, error_in, ids};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::process::{PATIENCE, wait_until};
use crate::support::receiver::Receiver;

/// Sends a text with an `Idempotency-Key`.
fn post_as(hub: &Hub, api_key: &str, key: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {api_key}");
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", key), ("content-type", "application/json")];
    hub.send("POST", path, &headers, body.as_bytes())
}

fn post(hub: &Hub, key: &str, path: &str, body: &Value) -> Answer {
    post_as(hub, &hub.key, key, path, &body.to_string())
}

/// Checks that a second answer is the first one again.
#[track_caller]
fn same(first: &Answer, second: &Answer) {
    assert_eq!((second.status, &second.text), (first.status, &first.text));
    for name in ["content-type", "location", "etag"] {
        assert_eq!(second.header(name), first.header(name));
    }
    let marks = [first, second].map(|answer| answer.header("idempotency-replayed"));
    assert_eq!(marks, [None, Some("true")]);
    assert_ne!(second.header("x-request-id"), first.header("x-request-id"));
}

#[test]
fn a_call_that_is_repeated_gets_the_same_answer_and_does_nothing_again() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}}));
    let event = hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    let delivery = event["deliveries"][0]["id"].as_str().unwrap();
    let event = event["id"].as_str().unwrap();
    for (path, body) in [
        ("/v1/webhooks".to_owned(), json!({"url": receiver.url(), "events": ["c.d"], "tenant": "acme"})),
        ("/v1/api-keys".to_owned(), json!({"name": "made", "scope": "read"})),
        ("/v1/portal-links".to_owned(), json!({"tenant": "acme"})),
        (format!("/v1/webhooks/{webhook}/secret/rotate"), json!({})),
        (format!("/v1/webhooks/{webhook}/test"), json!({"data": {"n": 1}})),
        (format!("/v1/deliveries/{delivery}/retry"), json!({})),
        (format!("/v1/events/{event}/replay"), json!({})),
        ("/v1/deliveries/discard".to_owned(), json!({"all": true})),
    ] {
        let first = post(&hub, &path, &path, &body);
        assert!((200..300).contains(&first.status), "{path}: {}", first.text);
        hub.deliver_until_idle();
        let hits = receiver.hits();
        same(&first, &post(&hub, &path, &path, &body));
        hub.deliver_until_idle();
        assert_eq!(receiver.hits(), hits, "{path}");
    }
    assert_eq!(ids(&hub.get("/v1/webhooks?tenant=acme")).len(), 1);
    assert_eq!(ids(&hub.get("/v1/portal-links")).len(), 1);
}

#[test]
fn the_same_call_is_the_same_json_in_any_spelling_at_the_same_path() {
    let hub = Hub::start();
    let path = "/v1/webhooks";
    let first = post_as(&hub, &hub.key, "k", path, r#"{"url":"http://127.0.0.1:9/","events":["a.b"],"timeout_s":5}"#);
    let spelled = "{ \"timeout_s\": 5,\n \"events\": [\"a\\u002eb\"], \"url\": \"http:\\/\\/127.0.0.1:9/\" }";
    same(&first.expect(201), &post_as(&hub, &hub.key, "k", path, spelled));
    for (path, body) in [
        (path, r#"{"url":"http://127.0.0.1:9/","events":["a.b"],"timeout_s":5.0}"#),
        (path, r#"{"url":"http://127.0.0.1:9/","events":["a.c"],"timeout_s":5}"#),
        ("/v1/webhooks?a=b", spelled),
        ("/v1/webhooks/settings", spelled),
        ("/v1/api-keys", spelled),
    ] {
        error(&post_as(&hub, &hub.key, "k", path, body), 409, "idempotency_key_reused");
    }
    assert_eq!(ids(&hub.get("/v1/webhooks")).len(), 1);
}

#[test]
fn an_error_is_not_kept_so_a_corrected_call_takes_the_same_key() {
    let hub = Hub::start();
    error(&post(&hub, "k", "/v1/api-keys", &json!({"name": "made"})), 422, "missing_field");
    error(&post_as(&hub, &hub.key, "k", "/v1/api-keys", "{not json"), 400, "malformed_json");
    post(&hub, "k", "/v1/api-keys", &json!({"name": "made", "scope": "read"})).expect(201);
    let bad = post(&hub, &"k".repeat(256), "/v1/api-keys", &json!({"name": "made", "scope": "read"}));
    error_in(&bad, 422, "invalid_idempotency_key", "Idempotency-Key");
    error(&post_as(&hub, "hp_wrong", "k", "/v1/api-keys", "{}"), 401, "unauthorized");
}

#[test]
fn a_key_is_that_of_one_api_key_for_24_hours() {
    let hub = Hub::start();
    let body = json!({"name": "made", "scope": "read"});
    let first = post(&hub, "k", "/v1/api-keys", &body).expect(201);
    let others = hub.make_key(Scope::Admin, None, None);
    let other = post_as(&hub, &others, "k", "/v1/api-keys", &body.to_string()).expect(201);
    assert_ne!(other.json()["key"], first.json()["key"]);
    hub.advance(DAY - 1);
    same(&first, &post(&hub, "k", "/v1/api-keys", &body));
    hub.advance(1);
    let later = post(&hub, "k", "/v1/api-keys", &body).expect(201);
    assert_ne!(later.json()["key"], first.json()["key"]);
}

#[test]
fn answers_outlive_a_restart_and_their_secrets_are_encrypted() {
    let mut hub = Hub::start();
    let body = json!({"name": "made", "scope": "read"});
    let first = post(&hub, "k", "/v1/api-keys", &body).expect(201);
    let secret = first.json()["key"].as_str().unwrap().to_owned();
    hub.stop();
    let bytes = std::fs::read(hub.database()).unwrap();
    assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "the key is readable in the file");
    hub.restart();
    same(&first, &post(&hub, "k", "/v1/api-keys", &body));
}

#[test]
fn a_call_goes_on_if_its_client_leaves_and_is_answered_when_it_is_repeated() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    receiver.hold();
    let webhook = hub.add_webhook(receiver.url());
    let path = format!("/v1/webhooks/{webhook}/test");
    let mut client = TcpStream::connect(hub.running.address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\nIdempotency-Key: k\r\nContent-Length: 2\r\n\r\n{{}}",
        hub.key
    );
    client.write_all(head.as_bytes()).unwrap();
    receiver.wait_held(1);
    drop(client);
    let refused = post(&hub, "k", &path, &json!({}));
    error(&refused, 409, "idempotency_key_in_use");
    assert_eq!(refused.header("retry-after"), Some("1"));
    receiver.release();
    let mut answer = None;
    assert!(wait_until(PATIENCE, || {
        let again = post(&hub, "k", &path, &json!({}));
        let is_done = again.status == 200;
        answer = Some(again);
        is_done
    }));
    let answer = answer.unwrap();
    assert_eq!(
        (answer.json()["status"].as_str(), answer.header("idempotency-replayed")),
        (Some("delivered"), Some("true"))
    );
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn an_answer_too_long_to_keep_is_told_and_nothing_is_done_again() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let path = format!("/v1/webhooks/{}/test", hub.add_webhook(receiver.url()));
    let body = json!({"data": "x".repeat(70_000)});
    post(&hub, "k", &path, &body).expect(200);
    error(&post(&hub, "k", &path, &body), 409, "answer_not_kept");
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn an_event_published_again_is_compared_as_json() {
    let hub = Hub::start();
    let publish = |body: &str| hub.post_text("/v1/events", body);
    publish(r#"{"id":"e","type":"a.b","data":{"a":1,"b":"é"},"previous_data":[1]}"#).expect(202);
    let again = publish(r#"{"type":"a.b", "previous_data": [ 1 ], "data":{ "b": "\u00e9", "a": 1 }, "id":"e"}"#);
    assert_eq!(again.expect(202).json()["duplicate"], true);
    error(&publish(r#"{"id":"e","type":"a.b","data":{"a":1.0,"b":"é"},"previous_data":[1]}"#), 409, "event_id_reused");
    error(&publish(r#"{"id":"e","type":"a.b","data":{"a":1,"b":"é"}}"#), 409, "event_id_reused");
    // By Idempotency-Key, singly and in a batch.
    let key = |path: &str, body: &str| post_as(&hub, &hub.key, path, path, body);
    key("/v1/events", r#"{"type":"a.b","data":{"a":1,"b":2}}"#).expect(202);
    let again = key("/v1/events", r#"{"data":{"b":2, "a":1}, "type":"a.b"}"#).expect(202);
    assert_eq!(again.json()["duplicate"], true);
    key("/v1/events/batch", r#"[{"type":"a.b","data":{"a":1,"b":2}}]"#).expect(202);
    let again = key("/v1/events/batch", r#"[{"data":{"b":2, "a":1}, "type":"a.b"} ]"#).expect(202);
    assert_eq!(again.json()["data"][0]["duplicate"], true);
    error(&key("/v1/events/batch", r#"[{"type":"a.b","data":{"a":2,"b":1}}]"#), 409, "idempotency_key_reused");
}
