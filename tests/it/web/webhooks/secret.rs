//! `/webhooks/{id}/secret`: on no page unless revealed; rotation; verification code.

use hookpost::domain::time::{DAY, HOUR};
use serde_json::json;

use super::{assert_has, assert_lacks};
use crate::support::visitor::Visitor;
use crate::support::{Hub, Page};

fn setup(hub: &Hub) -> (String, String, String) {
    let made = hub.create("http://127.0.0.1:9/", &json!({}));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    (id.to_owned(), secret.to_owned(), format!("/webhooks/{id}/secret"))
}

fn secret_now(hub: &Hub, webhook: &str) -> String {
    let answer = hub.get(&format!("/v1/webhooks/{webhook}/secret")).expect(200).json();
    answer["secret"].as_str().unwrap().to_owned()
}

fn rotate(anna: &Visitor<'_>, path: &str, overlap: &str) -> Page {
    let fields = [("overlap_s", overlap), ("confirmed", "yes")];
    anna.submit_and_follow(&format!("{path}/rotate"), &fields)
}

#[test]
fn the_secret_is_in_no_page_until_it_is_asked_for() {
    let hub = Hub::start();
    let (webhook, secret, path) = setup(&hub);
    let anna = hub.administrator();
    for tail in ["", "/settings", "/secret", "/metrics", "/edit", "/test", "/replay", "/delete"] {
        assert_lacks(&anna.page(&format!("/webhooks/{webhook}{tail}")), &secret);
    }
    assert_lacks(&anna.page(&format!("{path}?reveal=yes")), &secret);
    let page = anna.submit(&path, &[]).expect(200).page();
    assert_has(&page, &secret);
    assert_has(&page, "use the same text");
}

#[test]
fn another_spelling_for_libraries_stands_beside_the_secret() {
    let hub = Hub::start();
    let made = hub.create("http://127.0.0.1:9/", &json!({"secret": "a&<b>\"'"}));
    let anna = hub.administrator();
    let path = format!("/webhooks/{}/secret", made["id"].as_str().unwrap());
    anna.page(&path);
    let page = anna.submit(&path, &[]).expect(200).page();
    assert_eq!(page.get("#secret").text(), "a&<b>\"'");
    assert_has(&page, made["standard_secret"].as_str().unwrap());
}

#[test]
fn a_rotation_is_watched_until_its_overlap_ends() {
    let hub = Hub::start();
    let (webhook, secret, path) = setup(&hub);
    let anna = hub.administrator();
    anna.page(&path);
    for (overlap, lasts, ends) in [
        ("3600", HOUR, "2026-01-15T11:00:00.000Z"),
        ("86400", DAY, "2026-01-16T11:00:00.000Z"),
        ("604800", 7 * DAY, "2026-01-23T11:00:00.000Z"),
    ] {
        let page = rotate(&anna, &path, overlap);
        assert!(page.has_flash("Rotated."), "{page}");
        assert!(page.has(&format!("time[datetime={ends}][data-countdown]")), "{page}");
        let signs: Vec<String> = page
            .all("#rotation tr")
            .iter()
            .map(|row| row.parts("th").concat() + ": " + &row.parts("td").concat())
            .collect();
        assert!(signs.iter().any(|row| row.starts_with("X-Webhook-Signature: the old secret")), "{signs:?}");
        assert!(signs.iter().any(|row| row.starts_with("webhook-signature: both secrets")), "{signs:?}");
        let again = anna.submit(&format!("{path}/rotate"), &[("overlap_s", "3600")]);
        assert_has(&again.expect(422).page(), "A rotation is under way");
        hub.advance(lasts);
        // The session may have expired.
        anna.get("/login");
        anna.sign_in("anna", crate::support::visitor::PASSWORD);
        assert_has(&anna.page(&path), "No rotation in progress");
    }
    assert_ne!(secret_now(&hub, &webhook), secret);
}

#[test]
fn what_takes_the_old_secret_away_at_once_is_asked_for_twice() {
    let hub = Hub::start();
    let (webhook, secret, path) = setup(&hub);
    let anna = hub.administrator();
    anna.page(&path);
    let own = [("overlap_s", "0"), ("own", "our own <secret>")];
    let page = anna.submit(&format!("{path}/rotate"), &own).expect(200).page();
    assert_has(&page, "Rotate the secret without an overlap?");
    assert_eq!(page.field("own").as_deref(), Some("our own <secret>"));
    assert_eq!(secret_now(&hub, &webhook), secret);
    let confirmed = [&own[..], &[("confirmed", "yes")]].concat();
    anna.submit_and_follow(&format!("{path}/rotate"), &confirmed);
    assert_eq!(secret_now(&hub, &webhook), "our own <secret>");

    rotate(&anna, &path, "86400");
    let new = secret_now(&hub, &webhook);
    let page = anna.submit(&format!("{path}/rotate"), &[("overlap_s", "0")]).expect(200).page();
    assert_has(&page, "End the overlap now?");
    let page = rotate(&anna, &path, "0");
    assert_has(&page, "No rotation in progress");
    assert_eq!(secret_now(&hub, &webhook), new);
}

#[test]
fn a_secret_or_an_overlap_that_may_not_be_is_refused() {
    let hub = Hub::start();
    let (webhook, secret, path) = setup(&hub);
    let anna = hub.administrator();
    anna.page(&path);
    for fields in [
        [("overlap_s", "3600"), ("own", "ä")],
        [("overlap_s", "604801"), ("own", "")],
        [("overlap_s", "soon"), ("own", "")],
    ] {
        anna.submit(&format!("{path}/rotate"), &fields).expect(422);
    }
    assert_eq!(secret_now(&hub, &webhook), secret);
}

#[test]
fn the_code_is_for_the_profile_and_the_language_of_the_link() {
    let hub = Hub::start();
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"profile": "github"}));
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}/secret");
    for (language, mark) in [
        ("", "require("),
        ("?lang=node", "require("),
        ("?lang=python", "import hashlib, hmac"),
        ("?lang=go", "package main"),
        ("?lang=php", "hash_hmac"),
        ("?lang=ruby", "OpenSSL"),
        ("?lang=rust", "fn "),
        ("?lang=cobol", "require("),
    ] {
        let page = anna.page(&format!("{path}{language}"));
        assert_has(&page, mark);
        assert_has(&page, "X-Hub-Signature-256");
        assert!(page.links_to(&format!("{path}?lang=rust#code")));
    }
}

#[test]
fn ending_an_overlap_twice_makes_no_new_secret() {
    let hub = Hub::start();
    let (webhook, _, path) = setup(&hub);
    let anna = hub.administrator();
    anna.page(&path);
    rotate(&anna, &path, "86400");
    let rotated = secret_now(&hub, &webhook);
    let path = format!("{path}/rotate");
    let fields = [("overlap_s", "0"), ("ends", "yes"), ("confirmed", "yes")];
    anna.submit(&path, &fields).expect(303);
    anna.submit(&path, &fields).expect(422);
    assert_eq!(secret_now(&hub, &webhook), rotated);
}
