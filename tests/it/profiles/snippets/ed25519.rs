//! The code that verifies Ed25519 signatures.

use std::process::{Command, Stdio};

use hookpost::clock::Clock;
use hookpost::domain::id::{DeliveryId, WebhookId};
use hookpost::domain::signing::{KeyPair, Signing};
use hookpost::domain::time::{HOUR, MINUTE};
use hookpost::domain::webhook::{OldSecret, Webhook};
use hookpost::profile::ed25519::key_pair;
use hookpost::profile::sign::Signed;
use hookpost::profile::snippet::{Language, Snippet, ed25519_snippet, snippet};
use hookpost::profile::{self, Profile, Signer};

use super::{BODY, OLD, Pasted, SECRET, answers_the_challenge_with, secret};
use crate::profiles::{REQUIRE_PACKAGES, skipped};

/// Headers of a delivery signed `age` milliseconds ago.
fn signed(
    profile: &Profile,
    signing: Signing,
    pair: &KeyPair,
    old: Option<&KeyPair>,
    age: i64,
    body: &[u8],
) -> Vec<(String, String)> {
    let at_ms = Clock::machine().now_ms() - age;
    let (id, url) = (WebhookId::generate(at_ms, 1), "https://receiver.example/".parse().unwrap());
    let mut webhook = Webhook::new(id, "default".parse().unwrap(), url, profile.name(), secret(SECRET), at_ms);
    webhook.signing = signing;
    webhook.key_pair = Some(pair.clone());
    webhook.old_secret =
        old.map(|old| OldSecret { secret: secret(OLD), key_pair: Some(old.clone()), overlap_ends_ms: at_ms + HOUR });
    Signer::of(&webhook, profile).headers(&Signed {
        event_id: &"evt_1".parse().unwrap(),
        event_type: &"order.paid".parse().unwrap(),
        delivery_id: DeliveryId::generate(at_ms, 1),
        at_ms,
        body,
    })
}

/// Tests the code for the public key, and that the code for the secret accepts deliveries with both kinds.
pub fn judge_all(language: Language, command: &impl Fn(&str, &Snippet) -> Option<Vec<String>>) -> Option<()> {
    let standard = profile::standard();
    let hmac = snippet(&standard, true, language).unwrap();
    let (pair, old) = (key_pair([1; 32]), key_pair([2; 32]));
    let [receiver] = Pasted::start_each(&command("both", &hmac)?, [[SECRET, ""]], &format!("both {language}"))?;
    for previous in [None, Some(&old)] {
        let headers = signed(&standard, Signing::Both, &pair, previous, 0, BODY.as_bytes());
        assert!(receiver.accepts(&headers, BODY.as_bytes()), "{language}: {headers:?}");
    }
    drop(receiver);
    if language == Language::Python && !has_cryptography() {
        skipped(REQUIRE_PACKAGES, "no package cryptography to verify Ed25519 signatures with in Python");
        return Some(());
    }
    for name in ["standard", "influship"] {
        let profile = profile::find(name).unwrap();
        let snippet = ed25519_snippet(&profile, language);
        judge(&profile, language, &command(&format!("{name}-key"), &snippet)?)?;
    }
    Some(())
}

fn has_cryptography() -> bool {
    let check = Command::new("python3").args(["-c", "import cryptography"]).stderr(Stdio::null()).status();
    check.is_ok_and(|status| status.success())
}

fn judge(profile: &Profile, language: Language, command: &[String]) -> Option<()> {
    let name = format!("{} {language}", profile.name());
    let (new, old) = (key_pair([1; 32]), key_pair([2; 32]));
    let [new_key, old_key] = [&new, &old].map(|pair| pair.public_key().to_string());
    let [now, before] = Pasted::start_each(command, [[new_key.as_str(), ""], [&old_key, ""]], &name)?;
    let body = BODY.as_bytes();
    for signing in [Signing::Ed25519, Signing::Both] {
        let plain = signed(profile, signing, &new, None, 0, body);
        assert!(now.accepts(&plain, body), "{name} refuses the right one");
        assert!(!before.accepts(&plain, body), "{name}: a wrong key");
        let rotating = signed(profile, signing, &new, Some(&old), 0, body);
        assert!(now.accepts(&rotating, body) && before.accepts(&rotating, body), "{name} while rotating");
        assert!(!now.accepts(&plain, BODY.replace("paid", "Paid").as_bytes()), "{name}: changed");
        assert!(!now.accepts(&plain, b""), "{name}: no body");
        for age in [6 * MINUTE, -6 * MINUTE] {
            assert!(!now.accepts(&signed(profile, signing, &new, None, age, body), body), "{name}: {age} ms old");
        }
        for odd in ["", "v1a,", "v1a,AAAA", "v1a,????", "v1a", "v1a,é v1,=", "v1,AAAA"] {
            let mut headers = plain.clone();
            for (header, value) in &mut headers {
                if header == "webhook-signature" {
                    odd.clone_into(value);
                }
            }
            assert!(!now.accepts(&headers, body), "{name}: {odd}");
        }
    }
    assert!(!now.accepts(&signed(profile, Signing::Hmac, &new, None, 0, body), body), "{name}: HMAC only");
    assert!(!now.accepts(&[], body), "{name}: no headers");
    if language != Language::Rust {
        answers_the_challenge_with(profile, &now, |body| signed(profile, Signing::Ed25519, &new, None, 0, body));
    }
    Some(())
}
