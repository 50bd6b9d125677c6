//! Client certificates and private authorities of webhooks: the API, and the deliveries.

use hookpost::domain::header::MASK;
use hookpost::domain::time::DAY;
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::tls::{client_certificate, test_ca_pem};
use crate::support::receiver::{Behaviour, Receiver, Reply, TlsKind};

/// Settings with a client certificate and the authority of the receivers.
fn mutual((certificate, key): &(String, String)) -> Value {
    json!({"client_certificate": certificate, "client_key": key, "ca": test_ca_pem()})
}

fn anna() -> (String, String) {
    client_certificate("anna", 2020, 2099)
}

fn last_error(hub: &Hub, delivery: &str) -> (Value, String) {
    let shown = hub.delivery(delivery);
    let attempts = shown["attempts"].as_array().unwrap();
    let message = attempts.last().unwrap()["error"]["message"].as_str().unwrap_or_default().to_owned();
    (shown["last_attempt"]["error_code"].clone(), message)
}

/// Publishes an event and sends it to the only webhook. Returns the status of its delivery.
fn deliver(hub: &Hub) -> (String, String) {
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    (hub.status_of(&delivery), delivery)
}

#[track_caller]
fn assert_refused(answer: &Answer, field: &str, words: &str) {
    assert_eq!((answer.status, answer.error_code().as_str()), (422, "invalid_tls"), "{}", answer.text);
    let error = &answer.json()["error"];
    assert_eq!(error["field"], field);
    assert!(error["message"].as_str().unwrap().contains(words), "{words:?} is not in {error}");
}

#[test]
fn a_webhook_presents_its_certificate_and_another_of_the_same_url_does_not() {
    let hub = Hub::start();
    let receiver = Receiver::tls(TlsKind::Mutual);
    let with = hub.add_webhook_with(receiver.url(), &json!({"tls": mutual(&anna())}));
    let trusting = hub.add_webhook_with(receiver.url(), &json!({"tls": {"ca": test_ca_pem()}}));
    let without = hub.add_webhook(receiver.url());
    let receipt = hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    let of = |webhook: &str| {
        let deliveries = receipt["deliveries"].as_array().unwrap();
        let found = deliveries.iter().find(|delivery| delivery["webhook_id"] == webhook);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(hub.status_of(&of(&with)), "delivered");
    let (code, message) = last_error(&hub, &of(&trusting));
    assert_eq!(code, "tls_client_certificate");
    assert!(message.contains("requires a client certificate, and the webhook has none"), "{message}");
    let (code, message) = last_error(&hub, &of(&without));
    assert_eq!(code, "tls_untrusted", "{message}");
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn a_changed_certificate_serves_the_next_request_and_survives_a_restart() {
    let mut hub = Hub::start();
    let receiver = Receiver::tls(TlsKind::Mutual);
    let id = hub.add_webhook_with(receiver.url(), &json!({"tls": mutual(&anna()), "retry": {"delays_s": []}}));
    let path = format!("/v1/webhooks/{id}");
    assert_eq!(deliver(&hub).0, "delivered");
    // Expired in the eyes of the receiver, whose clock is the machine's.
    let (certificate, key) = client_certificate("late", 2025, 2026);
    let expired = json!({"tls": {"client_certificate": certificate, "client_key": key}});
    assert_refused(&hub.patch(&path, &expired), "tls.client_certificate", "CN=late expired at 2026-01-01");
    hub.clock.jump(-30 * DAY);
    hub.patch(&path, &expired).expect(200);
    let (status, delivery) = deliver(&hub);
    assert_eq!(status, "failed");
    let (code, message) = last_error(&hub, &delivery);
    assert_eq!(code, "tls_client_certificate", "{message}");
    assert!(message.contains("(valid until 2026-01-01T00:00:00Z): it has expired"), "{message}");
    hub.clock.jump(30 * DAY);
    let (certificate, key) = client_certificate("ben", 2020, 2099);
    let renewed = json!({"tls": {"client_certificate": certificate, "client_key": key}, "active": true});
    let shown = hub.patch(&path, &renewed).expect(200).json();
    assert_eq!(shown["tls"]["client_certificate"][0]["subject"], "CN=ben");
    assert_eq!(shown["tls"]["ca"].as_array().unwrap().len(), 1, "what is not named stays");
    hub.deliver_until_idle();
    assert_eq!(deliver(&hub).0, "delivered");
    hub.restart();
    assert_eq!(hub.webhook(&id)["tls"], shown["tls"]);
    assert_eq!(deliver(&hub).0, "delivered");
    hub.patch(&path, &json!({"tls": null})).expect(200);
    let (_, delivery) = deliver(&hub);
    assert_eq!(last_error(&hub, &delivery).0, "tls_untrusted");
}

#[test]
fn a_test_event_and_a_challenge_use_the_certificate_too() {
    let hub = Hub::start();
    let receiver = Receiver::tls(TlsKind::Mutual);
    let id = hub.add_webhook_with(receiver.url(), &json!({"tls": mutual(&anna()), "profile": "influship"}));
    // The receiver got the challenge, and does not answer it.
    assert_eq!((hub.state_of(&id).as_str(), receiver.hits()), ("unverified", 1));
    let tested = hub.post(&format!("/v1/webhooks/{id}/test"), &json!({})).expect(200).json();
    assert_eq!((tested["status"].as_str(), receiver.hits()), (Some("delivered"), 2), "{tested}");
}

#[test]
fn a_token_request_presents_the_certificate_of_the_webhook() {
    let hub = Hub::start();
    let [tokens, receiver] = [Receiver::tls(TlsKind::Mutual), Receiver::tls(TlsKind::Mutual)];
    let token = json!({"access_token": "a-token", "token_type": "Bearer", "expires_in": 60}).to_string();
    tokens.behave(Behaviour::Answer(Reply::status(200).body(token)));
    let auth = json!({"type": "oauth2", "token_url": tokens.url(), "client_id": "a", "client_secret": "b"});
    hub.add_webhook_with(receiver.url(), &json!({"tls": mutual(&anna()), "auth": auth}));
    assert_eq!(deliver(&hub).0, "delivered");
    assert_eq!((tokens.hits(), receiver.last().header("authorization")), (1, Some("Bearer a-token")));
}

#[test]
fn responses_describe_certificates_and_mask_the_key() {
    let hub = Hub::start();
    let anna = anna();
    let made = hub.create("https://localhost:9/", &json!({"tls": mutual(&anna)}));
    let id = made["id"].as_str().unwrap();
    let tls = &made["tls"];
    let client = &tls["client_certificate"][0];
    assert_eq!((&client["subject"], &client["issuer"]), (&json!("CN=anna"), &json!("CN=Test authority")));
    assert_eq!(client["not_after"], "2099-01-01T00:00:00.000Z");
    assert_eq!(client["fingerprint_sha256"].as_str().unwrap().len(), 95);
    assert_eq!(tls["client_key"], MASK);
    assert_eq!(tls["ca"][0]["subject"], "CN=Test authority");
    assert_eq!(tls["not_after"], client["not_after"]);
    let reader = hub.make_key(Scope::Read, None, None);
    for text in [
        made.to_string(),
        hub.call_with(&reader, "GET", &format!("/v1/webhooks/{id}"), None).text,
        hub.get("/v1/webhooks").text,
    ] {
        for line in anna.1.lines().filter(|line| !line.starts_with('-')) {
            assert!(!text.contains(line), "{text}");
        }
    }
    assert_eq!(hub.webhook(&hub.add_webhook("https://localhost:9/"))["tls"], Value::Null);
    let audit = hub.get("/v1/audit").text;
    hub.patch(&format!("/v1/webhooks/{id}"), &json!({"tls": {"ca": null}})).expect(200);
    let after = hub.get("/v1/audit").json();
    assert_eq!(after["data"][0]["detail"], "tls", "{after}");
    assert!(!audit.contains("PRIVATE"), "{audit}");
}

#[test]
fn what_cannot_work_is_refused_at_creation_and_change() {
    let hub = Hub::start();
    let (anna, ben) = (anna(), client_certificate("ben", 2020, 2099));
    let id = hub.add_webhook_with("https://localhost:9/", &json!({"tls": mutual(&anna)}));
    for (tls, field, words) in [
        (json!({"client_certificate": anna.0, "client_key": ben.1}), "tls.client_key", "does not belong"),
        (json!({"client_certificate": anna.1, "client_key": anna.1}), "tls.client_certificate", "private key"),
        (json!({"client_certificate": "x", "client_key": "x"}), "tls.client_certificate", "is not PEM"),
        (json!({"client_certificate": anna.0, "client_key": "x"}), "tls.client_key", "is not PEM"),
        (json!({"ca": anna.0}), "tls.ca", "of its issuer, CN=Test authority"),
        (json!({"ca": "x".repeat(65_537)}), "tls.ca", "64 KiB"),
    ] {
        let body = json!({"url": "https://localhost:9/", "events": ["*"], "tls": tls});
        assert_refused(&hub.post("/v1/webhooks", &body), field, words);
        assert_refused(&hub.patch(&format!("/v1/webhooks/{id}"), &json!({"tls": tls})), field, words);
    }
    let (certificate, key) = client_certificate("early", 2027, 2099);
    let body = json!({"tls": {"client_certificate": certificate, "client_key": key}});
    let answer = hub.patch(&format!("/v1/webhooks/{id}"), &body);
    assert_refused(&answer, "tls.client_certificate", "not valid before 2027-01-01");
    for (tls, field) in [
        (json!({"certificate": anna.0}), "certificate"),
        (json!([]), "tls"),
        (json!({"ca": 5}), "tls.ca"),
        (json!({"ca": [test_ca_pem()]}), "tls.ca"),
    ] {
        let answer = hub.patch(&format!("/v1/webhooks/{id}"), &json!({"tls": tls})).expect(422);
        assert!(answer.text.contains(field), "{}", answer.text);
    }
    assert_eq!(hub.get("/v1/webhooks").json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(hub.webhook(&id)["tls"]["client_certificate"][0]["subject"], "CN=anna");
}

#[test]
fn a_key_is_not_used_for_another_origin_unless_it_is_given_again() {
    let hub = Hub::start();
    let anna = anna();
    let id = hub.add_webhook_with("https://localhost:9/a", &json!({"tls": mutual(&anna)}));
    let path = format!("/v1/webhooks/{id}");
    hub.patch(&path, &json!({"url": "https://localhost:9/b"})).expect(200);
    let moved = |tls: Value| json!({"url": "https://localhost:10/", "tls": tls});
    for body in [
        json!({"url": "https://localhost:10/"}),
        json!({"url": "http://localhost:9/b"}),
        moved(json!({})),
        moved(json!({"client_key": MASK})),
        moved(json!({"client_certificate": anna.0})),
    ] {
        assert_refused(&hub.patch(&path, &body), "tls.client_key", "another origin");
    }
    hub.patch(&path, &moved(json!({"client_key": anna.1}))).expect(200);
    let body = json!({"url": "https://localhost:11/", "tls": {"client_certificate": null}});
    let shown = hub.patch(&path, &body).expect(200).json();
    assert_eq!((&shown["tls"]["client_key"], shown["tls"]["ca"].as_array().unwrap().len()), (&Value::Null, 1));
    hub.patch(&path, &json!({"url": "https://localhost:12/"})).expect(200);
}
