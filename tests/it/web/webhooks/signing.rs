//! Ed25519 signatures on the pages: the form, the public key, verification code.

use serde_json::json;

use super::{assert_has, assert_lacks};
use crate::support::Hub;

#[test]
fn the_form_turns_ed25519_on_and_the_next_page_has_the_public_key() {
    let hub = Hub::start();
    let anna = hub.administrator();
    for (signing, has_secret) in [("ed25519", false), ("both", true)] {
        anna.page("/webhooks/new");
        let fields = [
            ("url", "http://127.0.0.1:9/"),
            ("event", "*"),
            ("profile", "generic"),
            ("standard_headers", "yes"),
            ("signing", signing),
        ];
        let page = anna.submit_and_follow("/webhooks/new", &fields);
        let made = hub.webhook(&page.webhook());
        assert_eq!(made["signing"], signing);
        assert_eq!(page.get("#public-key").text(), made["public_key"].as_str().unwrap());
        assert_eq!(page.has("#secret"), has_secret, "{page}");
        let edit = format!("/webhooks/{}/edit", page.webhook());
        let page = anna.page(&edit);
        assert_eq!(page.field("signing").as_deref(), Some(signing));
        assert!(page.has("#advanced[open]"));
        let page = anna
            .submit(&edit, &fields.map(|(name, value)| (if name == "standard_headers" { "x" } else { name }, value)));
        let said = page.expect(422).page();
        assert!(said.problem("signing").is_some_and(|said| said.contains("standard_headers")), "{said}");
    }
}

#[test]
fn the_secret_page_shows_the_public_key_and_code_for_what_signs() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let made = hub.create("http://127.0.0.1:9/", &json!({}));
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    let secret = format!("{path}/secret");
    assert!(!anna.page(&secret).has("#public-key"));
    for (signing, query, variable) in [
        ("both", "?lang=python", "WEBHOOK_SECRET_OLD"),
        ("both", "?lang=python&with=public_key", "WEBHOOK_PUBLIC_KEY"),
        ("ed25519", "?lang=go", "WEBHOOK_PUBLIC_KEY"),
        ("hmac", "?with=public_key", "WEBHOOK_SECRET_OLD"),
    ] {
        let now = hub.patch(&format!("/v1{path}"), &json!({"signing": signing})).expect(200).json();
        let page = anna.page(&format!("{secret}{query}"));
        assert_eq!(page.get("#public-key").text(), now["public_key"].as_str().unwrap());
        assert_has(&page, variable);
        let other = if variable == "WEBHOOK_PUBLIC_KEY" { "WEBHOOK_SECRET_OLD" } else { "WEBHOOK_PUBLIC_KEY" };
        assert_lacks(&page, other);
        assert_eq!(page.contains("Not in use"), signing == "hmac");
        assert_eq!(page.contains("public key instead") || page.contains("the secret instead"), signing == "both");
    }
    let page = anna.page(&format!("{path}/settings"));
    assert_has(&page, "HMAC with the secret");
}

#[test]
fn a_rotation_names_both_key_pairs() {
    let hub = Hub::start();
    let anna = hub.administrator();
    for (signing, part) in [("ed25519", "both key pairs"), ("both", "both secrets and both key pairs")] {
        let made = hub.create("http://127.0.0.1:9/", &json!({"signing": signing}));
        let path = format!("/webhooks/{}/secret", made["id"].as_str().unwrap());
        anna.page(&path);
        let page = anna.submit_and_follow(&format!("{path}/rotate"), &[("overlap_s", "3600")]);
        let signs: Vec<String> = page
            .all("#rotation tr")
            .iter()
            .map(|row| row.parts("th").concat() + ": " + &row.parts("td").concat())
            .collect();
        assert!(signs.contains(&format!("webhook-signature: {part}")), "{signs:?}");
        assert_eq!(signs.len(), if signing == "both" { 2 } else { 1 });
        assert_ne!(page.get("#public-key").text(), made["public_key"].as_str().unwrap());
    }
}
