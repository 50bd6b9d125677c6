//! Signatures, verified as by a receiver.

use hmac::{Hmac, KeyInit, Mac};
use hookpost::clock::Clock;
use hookpost::domain::time::{DAY, HOUR};
use serde_json::{Value, json};
use sha2::Sha256;
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use crate::support::Hub;
use crate::support::receiver::{Received, Receiver};

fn hex_of_body(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn generic_verifies(secret: &str, request: &Received) -> bool {
    request.header("X-Webhook-Signature") == Some(hex_of_body(secret, &request.body).as_str())
}

/// Verifies with the published library. It rejects old timestamps, so tests with a manual clock sign the content again
/// instead.
fn library_verifies(standard_secret: &str, request: &Received) -> bool {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
    let webhook = standardwebhooks::Webhook::new(standard_secret).unwrap();
    webhook.verify(&request.body, &headers).is_ok()
}

/// Number of signatures in `webhook-signature` made with this secret.
fn standard_signatures(standard_secret: &str, request: &Received) -> usize {
    let webhook = standardwebhooks::Webhook::new(standard_secret).unwrap();
    let id = request.header("webhook-id").unwrap();
    let timestamp = request.header("webhook-timestamp").unwrap();
    let signature = webhook.sign(id, timestamp.parse().unwrap(), &request.body).unwrap();
    let header = request.header("webhook-signature").unwrap();
    header.split(' ').filter(|one| *one == signature).count()
}

fn deliver_one(hub: &Hub, receiver: &Receiver) -> Received {
    hub.publish("order.paid", json!({"amount": 1.5, "name": "Zoë"}));
    hub.deliver_until_idle();
    receiver.last()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

#[test]
fn the_generic_signature_is_the_hex_hmac_of_the_body_under_the_whole_secret() {
    let hub = Hub::start();
    for fields in [json!({}), json!({"secret": "my own secret"})] {
        let receiver = Receiver::start();
        let webhook = hub.create(receiver.url(), &fields);
        let request = deliver_one(&hub, &receiver);
        assert!(generic_verifies(text(&webhook, "secret"), &request));
        assert!(!generic_verifies("another", &request));
    }
}

#[test]
fn the_published_library_verifies_every_delivery() {
    let hub = Hub::with(|options| options.clock = Clock::machine());
    let odd_tail = "whsec_no padded base64";
    for fields in
        [json!({}), json!({"secret": "my own secret"}), json!({"secret": odd_tail}), json!({"profile": "standard"})]
    {
        let receiver = Receiver::start();
        let webhook = hub.create(receiver.url(), &fields);
        let request = deliver_one(&hub, &receiver);
        let secret = text(&webhook, "standard_secret");
        assert!(library_verifies(secret, &request), "{fields}");
        let mut tampered = request;
        tampered.body[0] = b'[';
        assert!(!library_verifies(secret, &tampered), "{fields}");
    }
}

#[test]
fn during_an_overlap_both_secrets_sign_where_a_header_carries_two_and_the_old_one_elsewhere() {
    let mut hub = Hub::start();
    let receiver = Receiver::start();
    let before = hub.create(receiver.url(), &json!({}));
    let path = format!("/v1/webhooks/{}/secret", text(&before, "id"));
    let after = hub.post(&format!("{path}/rotate"), &json!({})).expect(200);
    let after = after.json();
    assert_eq!(after["overlap_ends_at"], "2026-01-16T10:00:00.000Z");
    let mut says: Vec<(&str, &str)> = after["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|header| (text(header, "name"), text(header, "signs")))
        .collect();
    says.sort_unstable();
    assert_eq!(says, [("X-Webhook-Signature", "old"), ("webhook-signature", "both")]);
    let overlapping = |request: &Received| {
        assert!(generic_verifies(text(&before, "secret"), request));
        for side in [&before, &after] {
            let secret = text(side, "standard_secret");
            assert_eq!(standard_signatures(secret, request), 1);
        }
    };
    overlapping(&deliver_one(&hub, &receiver));
    hub.restart();
    hub.advance(DAY - 1);
    overlapping(&deliver_one(&hub, &receiver));

    hub.advance(1);
    let request = deliver_one(&hub, &receiver);
    assert!(generic_verifies(text(&after, "secret"), &request));
    let count = |side: &Value| standard_signatures(text(side, "standard_secret"), &request);
    assert_eq!((count(&before), count(&after)), (0, 1));
    let shown = hub.get(&path).expect(200).json();
    assert_eq!(shown["rotation"], json!(null));
}

#[test]
fn an_overlap_of_zero_switches_at_once_and_ends_a_running_one() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let first = hub.create(receiver.url(), &json!({}));
    let path = format!("/v1/webhooks/{}/secret/rotate", text(&first, "id"));
    let second = hub.post(&path, &json!({"overlap_s": 0})).expect(200).json();
    assert_eq!(second["overlap_ends_at"], json!(null));
    let request = deliver_one(&hub, &receiver);
    assert!(generic_verifies(text(&second, "secret"), &request));
    assert_eq!(standard_signatures(text(&first, "standard_secret"), &request), 0);

    let third = hub.post(&path, &json!({"overlap_s": 3600})).expect(200);
    let third = third.json();
    let refused = hub.post(&path, &json!({})).expect(409);
    assert_eq!(refused.error_code(), "rotation_running");
    let ended = hub.post(&path, &json!({"overlap_s": 0})).expect(200).json();
    assert_eq!(ended["secret"], third["secret"]);
    let request = deliver_one(&hub, &receiver);
    assert!(generic_verifies(text(&third, "secret"), &request));
    assert_eq!(standard_signatures(text(&second, "standard_secret"), &request), 0);
}

#[test]
fn a_retry_after_a_rotation_is_signed_with_what_holds_then() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.create(receiver.url(), &super::retry(&[3600]));
    let first = deliver_one(&hub, &receiver);
    let path = format!("/v1/webhooks/{}/secret/rotate", text(&webhook, "id"));
    let rotated = hub.post(&path, &json!({"overlap_s": 0})).expect(200).json();
    super::pass(&hub, 2 * HOUR);
    let second = receiver.last();
    assert_eq!(first.body, second.body);
    assert!(generic_verifies(text(&rotated, "secret"), &second));
}
