//! Profiles compared with `tests/vectors`, which an independent implementation generated.

use std::collections::BTreeMap;

use hookpost::actions::profiles::preview;
use hookpost::domain::event::{Event, Tenant};
use hookpost::domain::id::WebhookId;
use hookpost::domain::secret::Secret;
use hookpost::domain::signing::Signing;
use hookpost::domain::time::{SECOND, parse_rfc3339};
use hookpost::domain::webhook::{OldSecret, Webhook};
use hookpost::profile::ed25519::key_pair;
use hookpost::profile::sign::Signed;
use hookpost::profile::{self, Signer};
use serde_json::Value;

type Headers = BTreeMap<String, String>;

fn cases(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let file =
        std::fs::read(&path).unwrap_or_else(|error| panic!("every built-in profile has its vectors: {path}: {error}"));
    serde_json::from_slice(&file).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn event(case: &Value) -> Event {
    let event = &case["event"];
    let created_ms = parse_rfc3339(text(&event["created_at"])).unwrap();
    Event {
        id: text(&event["id"]).parse().unwrap(),
        tenant: Tenant::default_tenant(),
        event_type: text(&event["type"]).parse().unwrap(),
        created_ms,
        received_ms: created_ms,
        data: text(&event["data"]).into(),
        previous_data: event["previous_data"].as_str().map(Into::into),
        test: event["test"] == true,
    }
}

#[test]
fn every_profile_composes_and_signs_exactly_what_its_vectors_say() {
    let standard = profile::standard();
    for (name, profile) in profile::builtin() {
        for case in cases(name) {
            let what = format!("{name}: {}", case["title"]);
            let event = event(&case);
            let body = profile.form().compose(&event).unwrap();
            assert_eq!(String::from_utf8_lossy(&body), text(&case["expected"]["body"]), "{what}");
            let secret: Secret = text(&case["secret"]).parse().unwrap();
            // The last millisecond of the signed second, and the last of the overlap.
            let at_ms = case["at"].as_i64().unwrap() * SECOND + 999;
            let old = case["old_secret"].as_str().map(|old| OldSecret {
                secret: old.parse().unwrap(),
                key_pair: None,
                overlap_ends_ms: at_ms + 1,
            });
            let signer = Signer::new(profile, Some(&standard), &secret, old.as_ref());
            let headers = signer.headers(&Signed {
                event_id: &event.id,
                event_type: &event.event_type,
                delivery_id: text(&case["delivery_id"]).parse().unwrap(),
                at_ms,
                body: &body,
            });
            let count = headers.len();
            let headers: Headers = headers.into_iter().collect();
            assert_eq!(count, headers.len(), "{what}: a header came twice");
            let expected: Headers = serde_json::from_value(case["expected"]["headers"].clone()).unwrap();
            assert_eq!(headers, expected, "{what}");
        }
    }
}

#[test]
fn ed25519_signatures_are_what_their_vectors_say_alone_and_beside_hmac() {
    let profile = profile::standard();
    for case in cases("signing/ed25519") {
        let (event, at_ms) = (event(&case), case["at"].as_i64().unwrap() * SECOND + 999);
        let pair = |field: &str| key_pair(hex::decode(text(&case[field])).unwrap().try_into().unwrap());
        let body = profile.form().compose(&event).unwrap();
        for signing in [Signing::Ed25519, Signing::Both] {
            let (id, url) = (WebhookId::generate(0, 1), "https://receiver.example/".parse().unwrap());
            let secret = text(&case["secret"]).parse().unwrap();
            let mut webhook = Webhook::new(id, Tenant::default_tenant(), url, profile.name(), secret, 0);
            webhook.signing = signing;
            webhook.key_pair = Some(pair("seed"));
            webhook.old_secret = case["old_secret"].as_str().map(|old| OldSecret {
                secret: old.parse().unwrap(),
                key_pair: Some(pair("old_seed")),
                overlap_ends_ms: at_ms + 1,
            });
            let headers = Signer::of(&webhook, &profile).headers(&Signed {
                event_id: &event.id,
                event_type: &event.event_type,
                delivery_id: text(&case["delivery_id"]).parse().unwrap(),
                at_ms,
                body: &body,
            });
            let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["webhook-id", "webhook-timestamp", "webhook-signature"]);
            assert_eq!(headers[2].1, text(&case["expected"][signing.into_str()]), "{}", case["title"]);
        }
        assert_eq!(pair("seed").public_key().to_string(), text(&case["expected"]["public_key"]));
    }
}

#[test]
fn a_preview_is_what_the_vectors_say() {
    for (name, profile) in profile::builtin() {
        for case in cases(name) {
            if case["old_secret"].is_string() {
                continue;
            }
            let at_ms = case["at"].as_i64().unwrap() * SECOND;
            let secret = text(&case["secret"]).parse().unwrap();
            let preview = preview(profile, &event(&case), &secret, at_ms).unwrap();
            assert_eq!(String::from_utf8_lossy(&preview.body), text(&case["expected"]["body"]));
            let expected = case["expected"]["headers"].as_object().unwrap();
            assert_eq!(preview.headers.len(), expected.len(), "{name}");
            for (header, value) in preview.headers {
                // Its value is a new delivery id.
                if header != "X-GitHub-Delivery" {
                    assert_eq!(Some(value.as_str()), expected[&header].as_str(), "{name}");
                }
            }
        }
    }
}
