//! Secrets: given, generated, and rotated.

use std::collections::BTreeMap;

use hookpost::domain::time::{DAY, HOUR};
use hookpost::profile::{self, verify::verify};
use serde_json::{Value, json};

use super::{ALL, answering, deliveries};
use crate::support::Hub;
use crate::support::receiver::Received;

const OLD: &str = "your_webhook_secret";

fn verifies(profile: &str, secret: &str, request: &Received) -> bool {
    let profile = profile::find(profile).unwrap();
    verify(&profile, &secret.parse().unwrap(), &request.headers, &request.body).is_ok()
}

fn rotate(hub: &Hub, webhook: &str, body: &Value) -> Value {
    hub.post(&format!("/v1/webhooks/{webhook}/secret/rotate"), body).expect(200).json()
}

/// Publishes an event, delivers it, and returns the last request.
fn deliver(hub: &Hub, receiver: &crate::support::receiver::Receiver) -> Received {
    hub.publish("order.paid", json!({"id": 1}));
    hub.deliver_until_idle();
    deliveries(receiver).pop().unwrap()
}

#[test]
fn secrets_of_every_printable_shape_are_taken_and_shown_beside_their_standard_form() {
    let hub = Hub::start();
    let long = "x".repeat(256);
    let printable: String = (' '..='~').collect();
    for (secret, standard) in [
        // The part after the prefix of a standard secret is the key.
        ("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", None),
        ("your_webhook_secret", Some("whsec_eW91cl93ZWJob29rX3NlY3JldA==")),
        ("whsec_xxxxxxxxxxxxx", Some("whsec_d2hzZWNfeHh4eHh4eHh4eHh4eA==")),
        ("whsec_", Some("whsec_d2hzZWNf")),
        ("x", Some("whsec_eA==")),
        (&long, Some("")),
        (&printable, Some("")),
    ] {
        let webhook = hub.create("http://127.0.0.1:9/x", &json!({"secret": secret}));
        assert_eq!(webhook["secret"], secret);
        let shown = webhook["standard_secret"].as_str().unwrap();
        match standard {
            None => assert_eq!(shown, secret),
            Some("") => assert!(shown.starts_with("whsec_")),
            Some(standard) => assert_eq!(shown, standard),
        }
        let path = format!("/v1/webhooks/{}/secret", webhook["id"].as_str().unwrap());
        let revealed = hub.get(&path).expect(200).json();
        assert_eq!(revealed, json!({"secret": secret, "standard_secret": shown, "public_key": null, "rotation": null}));
    }
    let too_long = "x".repeat(257);
    for secret in ["", "a\nb", "é", "a\u{7f}", &too_long] {
        let body = json!({"url": "http://127.0.0.1:9/x", "events": ["*"], "secret": secret});
        let refused = hub.post("/v1/webhooks", &body).expect(422);
        assert_eq!(refused.error_code(), "invalid_secret", "{secret:?}");
        assert_eq!(refused.json()["error"]["field"], "secret");
    }
}

#[test]
fn during_a_rotation_no_receiver_misses_a_delivery_whichever_secret_it_has() {
    for profile in ALL {
        let hub = Hub::start();
        let receiver = answering(200);
        let fields = json!({"profile": profile, "secret": OLD});
        let webhook = hub.add_webhook_with(receiver.url(), &fields);
        let rotated = rotate(&hub, &webhook, &json!({}));
        let new = rotated["secret"].as_str().unwrap().to_owned();
        assert!(new.starts_with("whsec_"));
        assert_eq!(rotated["standard_secret"], rotated["secret"]);
        assert_eq!(rotated["overlap_ends_at"], "2026-01-16T10:00:00.000Z");

        // The response lists which secret signs which header.
        let signs: BTreeMap<String, String> = rotated["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|header| {
                let text = |name: &str| header[name].as_str().unwrap().to_owned();
                (text("name"), text("signs"))
            })
            .collect();
        let own: &[(&str, &str)] = match profile {
            "generic" => &[("X-Webhook-Signature", "old")],
            "irisync" => &[("X-IriSync-Signature", "old")],
            "iverton" => &[("X-Iverton-Signature", "old")],
            "socialsyncer" => &[("X-SocialSyncerAPI-Signature", "old"), ("X-SocialAPI-Signature", "old")],
            "influship" => &[("X-Influship-Signature", "old")],
            "github" => &[("X-Hub-Signature-256", "old")],
            "stripe" => &[("Stripe-Signature", "both")],
            _ => &[],
        };
        let expected: BTreeMap<String, String> = own
            .iter()
            .chain(&[("webhook-signature", "both")])
            .map(|(name, signs)| ((*name).to_owned(), (*signs).to_owned()))
            .collect();
        assert_eq!(signs, expected, "{profile}");

        let revealed = hub.get(&format!("/v1/webhooks/{webhook}/secret"));
        let revealed = revealed.expect(200).json();
        assert_eq!(revealed["secret"], rotated["secret"]);
        let fingerprint = revealed["rotation"]["old_fingerprint"].as_str().unwrap();
        assert!(!fingerprint.is_empty() && !OLD.contains(fingerprint));

        let carries_two = matches!(profile, "standard" | "stripe");
        for (hours, old_fits, new_fits) in
            [(0, true, carries_two), (23, true, carries_two), (1, false, true), (100, false, true)]
        {
            hub.advance(hours * HOUR);
            let request = deliver(&hub, &receiver);
            assert_eq!(verifies(profile, OLD, &request), old_fits, "{profile}");
            assert_eq!(verifies(profile, &new, &request), new_fits, "{profile}");
            // The headers of Standard Webhooks carry both signatures with every profile.
            let both = old_fits;
            assert_eq!(verifies("standard", OLD, &request), both, "{profile}");
            assert!(verifies("standard", &new, &request), "{profile}");
            let signature = request.header("webhook-signature").unwrap();
            let count = signature.split(' ').count();
            assert_eq!(count, if both { 2 } else { 1 }, "{signature}");
        }
        let revealed = hub.get(&format!("/v1/webhooks/{webhook}/secret"));
        assert_eq!(revealed.expect(200).json()["rotation"], Value::Null);
    }
}

#[test]
fn an_overlap_of_nothing_switches_at_once_and_ends_a_running_one() {
    let hub = Hub::start();
    let receiver = answering(200);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"secret": OLD}));

    let rotated = rotate(&hub, &webhook, &json!({"overlap_s": 0, "secret": "second"}));
    assert_eq!(rotated["secret"], "second");
    assert_eq!(rotated["overlap_ends_at"], Value::Null);
    assert_eq!(
        rotated["headers"],
        json!([{"name": "X-Webhook-Signature", "signs": "new"}, {"name": "webhook-signature", "signs": "new"}])
    );
    let request = deliver(&hub, &receiver);
    assert!(verifies("generic", "second", &request));
    assert!(!verifies("standard", OLD, &request));

    // The maximum is 7 days.
    rotate(&hub, &webhook, &json!({"overlap_s": 604_800, "secret": "third"}));
    hub.advance(7 * DAY - 1);
    assert!(verifies("generic", "second", &deliver(&hub, &receiver)));

    // A second rotation is rejected, unless it switches at once.
    let path = format!("/v1/webhooks/{webhook}/secret/rotate");
    for body in [json!({}), json!({"overlap_s": 1}), json!({"secret": "fourth"})] {
        let refused = hub.post(&path, &body).expect(409);
        assert_eq!(refused.error_code(), "rotation_running");
    }
    // Ending the overlap keeps the new secret.
    let ended = rotate(&hub, &webhook, &json!({"overlap_s": 0}));
    assert_eq!(ended["secret"], "third");
    let request = deliver(&hub, &receiver);
    assert!(verifies("generic", "third", &request));
    assert!(!verifies("standard", "second", &request));

    // Ending it with another secret switches to that secret.
    rotate(&hub, &webhook, &json!({"secret": "fourth"}));
    let ended = rotate(&hub, &webhook, &json!({"overlap_s": 0, "secret": "fifth"}));
    assert_eq!(ended["secret"], "fifth");
    assert!(verifies("generic", "fifth", &deliver(&hub, &receiver)));

    for overlap in [-1, 604_801, i64::MAX] {
        let refused = hub.post(&path, &json!({"overlap_s": overlap})).expect(422);
        assert_eq!(refused.json()["error"]["field"], "overlap_s", "{overlap}");
    }
    let refused = hub.post(&path, &json!({"secret": ""})).expect(422);
    assert_eq!(refused.json()["error"]["field"], "secret");
    hub.post("/v1/webhooks/wh_01KF0AMQ00000000000000000G/secret/rotate", &json!({})).expect(404);
}

#[test]
fn a_retry_after_the_overlap_is_signed_with_the_new_secret_over_the_same_body() {
    let hub = Hub::start();
    let receiver = answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"secret": OLD}));
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    rotate(&hub, &webhook, &json!({"secret": "new", "overlap_s": 30}));
    hub.advance(HOUR);
    hub.deliver_until_idle();
    let all = deliveries(&receiver);
    assert_eq!(all.len(), 2);
    assert!(verifies("generic", OLD, &all[0]));
    assert!(verifies("generic", "new", &all[1]));
    assert_eq!(all[0].body, all[1].body);
}
