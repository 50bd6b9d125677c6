//! Certificates of webhooks on the pages: the form, the facts, and the end that comes near.

use hookpost::domain::time::{DAY, Millis, parse_rfc3339};
use hookpost::store::user::Role;
use serde_json::{Value, json};

use super::{assert_has, assert_lacks};
use crate::support::Hub;
use crate::support::hub::NOON;
use crate::support::receiver::tls::{client_certificate, test_ca_pem};
use crate::support::receiver::{Receiver, TlsKind};
use crate::support::visitor::{PASSWORD, Visitor};

const FIELDS: [&str; 3] = ["tls_client_certificate", "tls_client_key", "tls_ca"];

/// A line of a key that no page may show.
fn line(key: &str) -> &str {
    key.lines().nth(1).unwrap()
}

fn edit(visitor: &Visitor<'_>, webhook: &str, url: &str, fields: &[(&str, &str)]) -> crate::support::hub::Answer {
    let path = format!("/webhooks/{webhook}/edit");
    visitor.page(&path);
    let usual = [("url", url), ("event", "*"), ("profile", "generic"), ("standard_headers", "yes")];
    visitor.submit(&path, &[&usual[..], fields].concat())
}

#[test]
fn the_form_takes_certificates_and_never_shows_the_key() {
    let hub = Hub::start();
    let receiver = Receiver::tls(TlsKind::Mutual);
    let visitor = hub.administrator();
    let page = visitor.page("/webhooks/new");
    assert!(FIELDS.iter().all(|field| page.has_field(field)));
    assert!(!page.has("#advanced[open]"));
    assert_lacks(&page, "Blank keeps");
    let (certificate, key) = client_certificate("anna", 2020, 2099);
    let url = receiver.url();
    let usual = [("url", url.as_str()), ("event", "*"), ("profile", "generic")];
    // As a browser sends lines.
    let lines = |text: &str| text.replace('\n', "\r\n");
    let (sent_certificate, sent_key, sent_ca) = (lines(&certificate), lines(&key), lines(test_ca_pem()));
    let certificates = [
        ("tls_client_certificate", sent_certificate.as_str()),
        ("tls_client_key", sent_key.as_str()),
        ("tls_ca", sent_ca.as_str()),
    ];
    let wrong = [&usual[..], &certificates[..], &[("timeout_s", "99")]].concat();
    let page = visitor.submit("/webhooks/new", &wrong).expect(422).page();
    assert_lacks(&page, line(&key));
    assert_eq!(page.field("tls_client_certificate").as_deref(), Some(certificate.trim()));
    let page = visitor.submit_and_follow("/webhooks/new", &[&usual[..], &certificates[..]].concat());
    let webhook = page.webhook();
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);

    let page = visitor.page(&format!("/webhooks/{webhook}/settings"));
    for text in ["Client certificate", "CN=anna", "CN=Test authority", "2099", "Additional CA certificate"] {
        assert_has(&page, text);
    }
    for tail in ["", "/settings", "/edit", "/secret"] {
        assert_lacks(&visitor.page(&format!("/webhooks/{webhook}{tail}")), line(&key));
    }
    let page = visitor.page(&format!("/webhooks/{webhook}/edit"));
    assert!(page.has("#advanced[open]"));
    assert_has(&page, "CN=anna");
    assert_has(&page, "It is never shown again. Blank keeps the stored one.");
    for field in FIELDS {
        assert_eq!(page.field(field).as_deref(), Some(""), "{field}");
    }
    let note = visitor.page(&format!("/webhooks/new?from={webhook}"));
    assert_has(&note, "except for the secret, its certificates.");
    // Blank keeps.
    let before = hub.webhook(&webhook)["tls"].clone();
    edit(&visitor, &webhook, &url, &[]).expect(303);
    assert_eq!(hub.webhook(&webhook)["tls"], before);
    edit(&visitor, &webhook, &url, &[("tls_remove_ca", "yes")]).expect(303);
    let tls = hub.webhook(&webhook)["tls"].clone();
    assert_eq!((&tls["ca"], &tls["client_certificate"]), (&json!([]), &before["client_certificate"]));
    edit(&visitor, &webhook, &url, &[("tls_remove_client", "yes")]).expect(303);
    assert_eq!(hub.webhook(&webhook)["tls"], Value::Null);
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_at_the_fields() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    let (certificate, key) = client_certificate("anna", 2020, 2099);
    let webhook = hub.add_webhook_with(
        "https://localhost:9/",
        &json!({"tls": {"client_certificate": certificate, "client_key": key}}),
    );
    let (_, other) = client_certificate("ben", 2020, 2099);
    for (url, fields, words) in [
        ("https://localhost:9/", vec![("tls_client_key", other.as_str())], "does not belong"),
        ("https://localhost:9/", vec![("tls_ca", "hello")], "The CA certificate is not PEM"),
        ("https://localhost:10/", vec![], "another origin"),
    ] {
        let page = edit(&visitor, &webhook, url, &fields).expect(422).page();
        let said = page.problem("tls").unwrap_or_else(|| panic!("nothing at the certificates in {page}"));
        assert!(said.contains(words), "{words:?} in {said:?}");
        assert!(page.has("#advanced[open]"));
        assert_lacks(&page, line(&other));
    }
}

#[test]
fn people_of_a_tenant_set_certificates_only_where_the_operator_allows_it() {
    let mut hub = Hub::start();
    let (certificate, key) = client_certificate("anna", 2020, 2099);
    let tls = json!({"tls": {"client_certificate": certificate, "client_key": key}, "tenant": "acme"});
    let url = "https://localhost:9/";
    let webhook = hub.add_webhook_with(url, &tls);
    let before = hub.webhook(&webhook)["tls"].clone();
    let typed = [("tls_client_certificate", certificate.as_str()), ("tls_client_key", key.as_str())];
    {
        let visitor = hub.portal("acme");
        for path in ["/webhooks/new".to_owned(), format!("/webhooks/{webhook}/edit")] {
            let page = visitor.page(&path);
            assert!(FIELDS.iter().all(|field| !page.has_field(field)));
            assert_lacks(&page, "tls_");
            assert_lacks(&page, "CN=anna");
        }
        let refused = edit(&visitor, &webhook, url, &typed).expect(422).page();
        assert_has(&refused, "Certificates of webhooks cannot be set here.");
        for forged in [("tls_remove_client", "yes"), ("tls_ca", test_ca_pem())] {
            edit(&visitor, &webhook, url, &[forged]).expect(422);
        }
        let new = [&[("url", url), ("event", "*"), ("profile", "generic")][..], &typed[..]].concat();
        visitor.submit("/webhooks/new", &new).expect(422);
        // They may change the rest, but not where the key is used.
        edit(&visitor, &webhook, "https://localhost:9/other", &[("description", "Ours")]).expect(303);
        let moved = edit(&visitor, &webhook, "https://localhost:10/", &[]).expect(422).page();
        assert!(moved.problem("tls").unwrap().contains("another origin"));
    }
    assert_eq!(hub.get("/v1/webhooks").json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(hub.webhook(&webhook)["tls"], before);
    hub.restart_with(|options| options.portal_certificates = true);
    let visitor = hub.portal("acme");
    let page = visitor.page(&format!("/webhooks/{webhook}/edit"));
    assert!(FIELDS.iter().all(|field| page.has_field(field)));
    let (certificate, key) = client_certificate("ben", 2020, 2099);
    let typed = [("tls_client_certificate", certificate.as_str()), ("tls_client_key", key.as_str())];
    edit(&visitor, &webhook, url, &typed).expect(303);
    assert_eq!(hub.webhook(&webhook)["tls"]["client_certificate"][0]["subject"], "CN=ben");
}

fn set_clock(hub: &Hub, at: Millis) {
    hub.clock.jump(at - hub.clock.now_ms());
}

#[test]
fn the_end_of_a_certificate_needs_attention_for_30_days_before() {
    let hub = Hub::start();
    let (certificate, key) = client_certificate("anna", 2020, 2027);
    let tls = json!({"client_certificate": certificate, "client_key": key});
    let webhook = hub.add_webhook_with("https://localhost:9/", &json!({"tls": tls, "tenant": "acme"}));
    hub.add_webhook_with("https://localhost:9/", &json!({"tls": {"ca": test_ca_pem()}}));
    let end = parse_rfc3339("2027-01-01T00:00:00Z").unwrap();
    let paths = ["/".to_owned(), format!("/webhooks/{webhook}")];
    hub.add_user("vera", Role::Viewer);
    // No session lasts as long as this test.
    let viewer = || {
        let visitor = hub.visitor();
        visitor.sign_in("vera", PASSWORD).expect(303);
        visitor
    };
    let pages = || {
        let visitors = [viewer(), hub.portal("acme")];
        visitors.iter().flat_map(|visitor| paths.iter().map(|path| visitor.page(path))).collect::<Vec<_>>()
    };
    set_clock(&hub, end - 30 * DAY - 1);
    for page in pages() {
        assert_lacks(&page, "expires in");
    }
    assert!(hub.portal("other").page("/").holds("No webhooks yet"));
    set_clock(&hub, end - 30 * DAY);
    for page in pages() {
        assert_has(&page, "The client certificate expires in 30 days (1 Jan 2027 00:00 UTC).");
    }
    let page = viewer().page("/");
    assert_eq!(page.all(".concerns li").len(), 1, "{page}");
    set_clock(&hub, end + 2 * DAY);
    for page in pages() {
        assert_has(&page, "The client certificate expired 2 days ago");
    }
    set_clock(&hub, NOON);
    let (certificate, key) = client_certificate("anna", 2020, 2099);
    let renewed = json!({"tls": {"client_certificate": certificate, "client_key": key}});
    hub.patch(&format!("/v1/webhooks/{webhook}"), &renewed).expect(200);
    set_clock(&hub, end + 2 * DAY);
    for page in pages() {
        assert_lacks(&page, "The client certificate");
    }
    set_clock(&hub, NOON);
    let gone = hub.add_webhook_with("https://localhost:9/", &json!({"tls": tls, "tenant": "acme"}));
    hub.delete(&format!("/v1/webhooks/{gone}")).expect(204);
    set_clock(&hub, end);
    assert!(viewer().page("/").contains("All webhooks are healthy"));
}
