//! Ed25519 signatures of deliveries: beside HMAC, in its place, in a rotation.

use hookpost::clock::Clock;
use hookpost::domain::signing::PublicKey;
use hookpost::domain::time::DAY;
use hookpost::profile::ed25519::verify;
use hookpost::store::Connection;
use serde_json::{Value, json};
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use crate::support::Hub;
use crate::support::receiver::{Received, Receiver};

fn deliver_one(hub: &Hub, receiver: &Receiver) -> Received {
    hub.publish("order.paid", json!({"amount": 1.5, "name": "Zoë"}));
    hub.deliver_until_idle();
    receiver.last()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}"))
}

fn key(value: &Value) -> PublicKey {
    text(value, "public_key").parse().unwrap()
}

fn verifies(key: &PublicKey, request: &Received) -> bool {
    verify(&[*key], &request.headers, &request.body).is_ok()
}

/// Numbers of `v1` and `v1a` signatures.
fn signatures(request: &Received) -> (usize, usize) {
    let value = request.header("webhook-signature").unwrap_or_default();
    let count = |version: &str| value.split(' ').filter(|one| one.starts_with(version)).count();
    (count("v1,"), count("v1a,"))
}

#[test]
fn without_hmac_no_header_is_signed_with_the_secret() {
    let hub = Hub::start();
    for profile in ["generic", "standard", "stripe", "github"] {
        let receiver = Receiver::start();
        let webhook = hub.create(receiver.url(), &json!({"profile": profile, "signing": "ed25519"}));
        assert_eq!(text(&webhook, "signing"), "ed25519");
        let request = deliver_one(&hub, &receiver);
        assert_eq!(signatures(&request), (0, 1), "{profile}");
        assert!(verifies(&key(&webhook), &request), "{profile}");
        let signed: Vec<_> =
            request.headers.iter().filter(|(name, _)| name.to_lowercase().contains("signature")).collect();
        assert_eq!(signed.len(), 1, "{signed:?}");
        let mut changed = request;
        changed.body[0] = b'[';
        assert!(!verifies(&key(&webhook), &changed), "{profile}");
    }
}

#[test]
fn beside_hmac_the_published_library_verifies_as_before() {
    let hub = Hub::with(|options| options.clock = Clock::machine());
    for profile in ["generic", "standard"] {
        let receiver = Receiver::start();
        let webhook = hub.create(receiver.url(), &json!({"profile": profile, "signing": "both"}));
        let rotate = format!("/v1/webhooks/{}/secret/rotate", text(&webhook, "id"));
        for is_rotating in [false, true] {
            if is_rotating {
                hub.post(&rotate, &json!({})).expect(200);
            }
            let request = deliver_one(&hub, &receiver);
            let count = 1 + usize::from(is_rotating);
            assert_eq!(signatures(&request), (count, count), "{profile}");
            assert_eq!(request.header("x-webhook-signature").is_some(), profile == "generic");
            assert!(verifies(&key(&webhook), &request), "{profile}");
            let mut headers = HeaderMap::new();
            for (name, value) in &request.headers {
                let name: HeaderName = name.parse().unwrap();
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
            let library = standardwebhooks::Webhook::new(text(&webhook, "standard_secret")).unwrap();
            assert!(library.verify(&request.body, &headers).is_ok(), "{profile} {headers:?}");
        }
    }
}

#[test]
fn a_rotation_replaces_the_key_pair_and_both_sign_until_the_overlap_ends() {
    let mut hub = Hub::start();
    let receiver = Receiver::start();
    let before = hub.create(receiver.url(), &json!({"signing": "ed25519"}));
    let path = format!("/v1/webhooks/{}/secret", text(&before, "id"));
    let after = hub.post(&format!("{path}/rotate"), &json!({})).expect(200).json();
    assert_eq!(after["headers"], json!([{"name": "webhook-signature", "signs": "both"}]));
    assert_ne!(key(&before), key(&after));
    assert_eq!(hub.get(&path).expect(200).json()["public_key"], after["public_key"]);
    assert_eq!(hub.webhook(text(&before, "id"))["public_key"], after["public_key"]);
    hub.restart();
    hub.advance(DAY - 1);
    let request = deliver_one(&hub, &receiver);
    assert_eq!(signatures(&request), (0, 2));
    assert!(verifies(&key(&before), &request) && verifies(&key(&after), &request));
    hub.advance(1);
    let request = deliver_one(&hub, &receiver);
    assert!(!verifies(&key(&before), &request) && verifies(&key(&after), &request));
    assert_eq!(signatures(&request), (0, 1));
    let last = hub.post(&format!("{path}/rotate"), &json!({"overlap_s": 0})).expect(200).json();
    let request = deliver_one(&hub, &receiver);
    assert!(!verifies(&key(&after), &request) && verifies(&key(&last), &request));
}

#[test]
fn ending_an_overlap_keeps_the_new_key_pair() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let before = hub.create(receiver.url(), &json!({"signing": "both"}));
    let path = format!("/v1/webhooks/{}/secret/rotate", text(&before, "id"));
    let after = hub.post(&path, &json!({})).expect(200).json();
    let ended = hub.post(&path, &json!({"overlap_s": 0})).expect(200).json();
    assert_eq!(ended["public_key"], after["public_key"]);
    let request = deliver_one(&hub, &receiver);
    assert_eq!(signatures(&request), (1, 1));
    assert!(verifies(&key(&after), &request) && !verifies(&key(&before), &request));
}

#[test]
fn a_key_pair_is_made_when_it_is_first_needed_and_kept_while_it_is_not() {
    let mut hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.create(receiver.url(), &json!({}));
    assert_eq!((text(&webhook, "signing"), &webhook["public_key"]), ("hmac", &json!(null)));
    assert_eq!(signatures(&deliver_one(&hub, &receiver)), (1, 0));
    let path = format!("/v1/webhooks/{}", text(&webhook, "id"));
    let both = hub.patch(&path, &json!({"signing": "both"})).expect(200).json();
    assert_eq!(signatures(&deliver_one(&hub, &receiver)), (1, 1));
    let hmac = hub.patch(&path, &json!({"signing": "hmac"})).expect(200).json();
    assert_eq!(hmac["public_key"], both["public_key"]);
    assert_eq!(signatures(&deliver_one(&hub, &receiver)), (1, 0));
    hub.restart();
    let again = hub.patch(&path, &json!({"signing": "ed25519"})).expect(200).json();
    assert_eq!(again["public_key"], both["public_key"]);
    assert!(verifies(&key(&both), &deliver_one(&hub, &receiver)));
}

#[test]
fn ed25519_needs_the_standard_webhooks_headers() {
    let hub = Hub::start();
    let refuses = |answer: crate::support::hub::Answer| {
        let answer = answer.expect(422);
        assert_eq!(answer.error_code(), "signing_without_standard_headers");
        assert_eq!(answer.json()["error"]["field"], "signing");
    };
    for signing in ["ed25519", "both"] {
        let fields = json!({"url": "https://receiver.example/", "events": ["*"], "signing": signing});
        let mut without = fields.clone();
        without["standard_headers"] = json!(false);
        refuses(hub.post("/v1/webhooks", &without));
        let made = hub.post("/v1/webhooks", &fields).expect(201).json();
        let path = format!("/v1/webhooks/{}", text(&made, "id"));
        refuses(hub.patch(&path, &json!({"standard_headers": false})));
        hub.patch(&path, &json!({"standard_headers": false, "signing": "hmac"})).expect(200);
        refuses(hub.patch(&path, &json!({"signing": signing})));
    }
    let unknown = json!({"url": "https://receiver.example/", "events": ["*"], "signing": "rsa"});
    hub.post("/v1/webhooks", &unknown).expect(422);
}

#[test]
fn a_deleted_webhook_has_no_key_and_a_stored_one_is_encrypted() {
    let hub = Hub::start();
    let made = hub.create("http://127.0.0.1:9/", &json!({"signing": "ed25519"}));
    let path = format!("/v1/webhooks/{}", text(&made, "id"));
    hub.post(&format!("{path}/secret/rotate"), &json!({})).expect(200);
    let stored = || -> Vec<Option<String>> {
        let connection = Connection::open(hub.database()).unwrap();
        let sql = "SELECT ed25519_key, old_ed25519_key FROM webhook";
        connection.query_row(sql, [], |row| Ok(vec![row.get(0)?, row.get(1)?])).unwrap()
    };
    for key in stored() {
        assert!(key.is_some_and(|key| key.starts_with('§') && !key.contains("whsk")));
    }
    hub.delete(&path).expect(204);
    assert_eq!(stored(), [None, None]);
}

#[test]
fn no_answer_page_or_log_has_the_private_key() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let made = hub.create(receiver.url(), &json!({"signing": "both"}));
    let id = text(&made, "id");
    deliver_one(&hub, &receiver);
    let rotated = hub.post(&format!("/v1/webhooks/{id}/secret/rotate"), &json!({})).expect(200).json();
    let anna = hub.administrator();
    let mut texts = vec![made.to_string(), rotated.to_string()];
    for path in ["/v1/webhooks", "/v1/audit", &format!("/v1/webhooks/{id}"), &format!("/v1/webhooks/{id}/secret")] {
        texts.push(hub.get(path).expect(200).json().to_string());
    }
    for tail in ["", "/settings", "/secret", "/edit"] {
        texts.push(anna.page(&format!("/webhooks/{id}{tail}")).to_string());
    }
    for text in texts {
        assert!(!text.contains("whsk_"), "{text}");
    }
}
