//! `/v1/webhooks/{id}/secret`, rotation, and responses that must not contain secrets.

use hookpost::domain::time::{DAY, HOUR};
use serde_json::{Value, json};

use super::{error, error_in};
use crate::support::Hub;
use crate::support::receiver::Receiver;

#[test]
fn a_secret_given_at_creation_is_kept_and_shown_in_both_forms() {
    let hub = Hub::start();
    let made = hub.create("http://127.0.0.1:9/", &json!({"secret": "our own secret"}));
    assert_eq!(made["secret"], "our own secret");
    assert_eq!(made["standard_secret"], "whsec_b3VyIG93biBzZWNyZXQ=");
    let path = format!("/v1/webhooks/{}/secret", made["id"].as_str().unwrap());
    assert_eq!(
        hub.get(&path).expect(200).json(),
        json!({
            "secret": "our own secret",
            "standard_secret": "whsec_b3VyIG93biBzZWNyZXQ=",
            "rotation": null,
            "public_key": null,
        })
    );
}

#[test]
fn a_rotation_says_which_header_signs_with_what_until_when() {
    let hub = Hub::start();
    let made = hub.create("http://127.0.0.1:9/", &json!({}));
    let path = format!("/v1/webhooks/{}/secret", made["id"].as_str().unwrap());
    let rotated = hub.post(&format!("{path}/rotate"), &json!({})).expect(200).json();
    assert_ne!(rotated["secret"], made["secret"]);
    assert_eq!(rotated["overlap_ends_at"], "2026-01-16T10:00:00.000Z");
    assert_eq!(
        rotated["headers"],
        json!([
            {"name": "X-Webhook-Signature", "signs": "old"},
            {"name": "webhook-signature", "signs": "both"},
        ])
    );
    let shown = hub.get(&path).expect(200).json();
    assert_eq!(shown["secret"], rotated["secret"]);
    assert_eq!(shown["standard_secret"], rotated["standard_secret"]);
    assert_eq!(shown["rotation"]["overlap_ends_at"], "2026-01-16T10:00:00.000Z");
    let fingerprint = shown["rotation"]["old_fingerprint"].as_str().unwrap();
    assert!(!made["secret"].as_str().unwrap().contains(fingerprint));
    hub.advance(DAY);
    assert_eq!(hub.get(&path).json()["rotation"], Value::Null);
}

#[test]
fn rotating_during_an_overlap_is_a_conflict_unless_it_ends_it() {
    let hub = Hub::start();
    let id = hub.add_webhook("http://127.0.0.1:9/");
    let path = format!("/v1/webhooks/{id}/secret/rotate");
    let first = hub.post(&path, &json!({"overlap_s": 3600})).expect(200).json();
    let answer = hub.post(&path, &json!({}));
    error(&answer, 409, "rotation_running");
    let ended = hub.post(&path, &json!({"overlap_s": 0})).expect(200).json();
    assert_eq!(ended["secret"], first["secret"]);
    assert_eq!(ended["overlap_ends_at"], Value::Null);
    hub.post(&path, &json!({"overlap_s": 3600})).expect(200);
    hub.advance(HOUR);
    hub.post(&path, &json!({"overlap_s": 604_800})).expect(200);
}

#[test]
fn an_overlap_of_nothing_switches_at_once_to_a_given_secret() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let id = hub.add_webhook_with(receiver.url(), &json!({"secret": "old"}));
    let rotation = json!({"secret": "new", "overlap_s": 0});
    let path = format!("/v1/webhooks/{id}/secret/rotate");
    let rotated = hub.post(&path, &rotation).expect(200).json();
    assert_eq!(rotated["secret"], "new");
    for header in rotated["headers"].as_array().unwrap() {
        assert_eq!(header["signs"], "new");
    }
}

#[test]
fn a_bad_rotation_changes_nothing() {
    let hub = Hub::start();
    let made = hub.create("http://127.0.0.1:9/", &json!({}));
    let path = format!("/v1/webhooks/{}/secret", made["id"].as_str().unwrap());
    for (body, code, field) in [
        (json!({"overlap_s": -1}), "out_of_range", "overlap_s"),
        (json!({"overlap_s": 604_801}), "out_of_range", "overlap_s"),
        (json!({"overlap_s": i64::MAX}), "out_of_range", "overlap_s"),
        (json!({"overlap_s": i64::MIN}), "out_of_range", "overlap_s"),
        (json!({"overlap_s": 1.5}), "invalid_type", "overlap_s"),
        (json!({"secret": ""}), "invalid_secret", "secret"),
        (json!({"secret": "a\nb"}), "invalid_secret", "secret"),
        (json!({"overlap": 5}), "unknown_field", "overlap"),
    ] {
        error_in(&hub.post(&format!("{path}/rotate"), &body), 422, code, field);
    }
    assert_eq!(hub.get(&path).json()["secret"], made["secret"]);
}

#[test]
fn a_secret_shows_in_no_answer_that_did_not_ask_for_it() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let secret = "s3cr3t-of-ours";
    let made = hub.create(receiver.url(), &json!({"secret": secret}));
    let standard = made["standard_secret"].as_str().unwrap();
    let id = made["id"].as_str().unwrap();
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let mut answers = vec![
        hub.patch(&format!("/v1/webhooks/{id}"), &json!({"description": "a"})),
        hub.patch(&format!("/v1/webhooks/{id}"), &json!({"secret": secret})),
        hub.post(&format!("/v1/webhooks/{id}/test"), &json!({})),
    ];
    for path in [
        format!("/v1/webhooks/{id}"),
        "/v1/webhooks".to_owned(),
        "/api/webhooks".to_owned(),
        format!("/v1/deliveries/{delivery}"),
        "/v1/deliveries".to_owned(),
        "/v1/events".to_owned(),
    ] {
        answers.push(hub.get(&path));
    }
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(!answer.text.contains(secret), "{}", answer.text);
        assert!(!answer.text.contains(standard), "{}", answer.text);
    }
}
