//! The built-in inbox: received requests, their verification, and access to them.

use std::time::Instant;

use hookpost::domain::time::{DAY, HOUR, MINUTE, SECOND};
use hookpost::store::api_key::Scope;
use serde_json::json;

use crate::support::receiver::Canary;
use crate::support::visitor::{PASSWORD, Visitor};
use crate::support::{Hub, Page};

/// Starts a server whose webhooks may target the public internet only.
pub(super) fn strict() -> Hub {
    Hub::with(|options| options.allow_targets = Vec::new())
}

/// Opens the inbox of the tenant `default`. Returns its URL.
fn open(visitor: &Visitor<'_>) -> String {
    visitor.page("/inbox");
    let page = visitor.submit_and_follow("/inbox", &[]);
    url_on(&page)
}

pub(super) fn url_on(page: &Page) -> String {
    page.get("#inbox-url").text()
}

/// Path of an inbox's URL.
pub(super) fn path_of<'a>(hub: &Hub, url: &'a str) -> &'a str {
    url.strip_prefix(&hub.at("")).unwrap()
}

#[test]
fn a_webhook_to_the_inbox_works_where_nothing_else_is_allowed() {
    let hub = strict();
    let visitor = hub.administrator();
    assert!(visitor.page("/inbox").contains("not open yet"));
    let url = open(&visitor);
    assert!(url.starts_with(&hub.at("/in/")), "{url}");
    assert!(visitor.page("/inbox").contains("No requests yet"));
    hub.add_webhook(&url);
    let delivery = hub.publish_one("content.published", json!({"id": 7}));
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
    let page = visitor.page("/inbox");
    assert_eq!(page.statuses(), ["verified"], "{page}");
    assert!(page.contains("content.published"));
    let detail = visitor.page("/inbox/1");
    for part in [
        "X-Webhook-Signature and webhook-signature match the webhook's secret.",
        "user-agent",
        "content.published",
        "Verified.",
    ] {
        assert!(detail.contains(part), "{part} in {detail}");
    }
    // Opening it again returns the same inbox.
    assert_eq!(open(&visitor), url);
}

#[test]
fn nothing_else_of_the_server_and_of_the_machine_becomes_reachable() {
    let hub = strict();
    let canary = Canary::start();
    let url = open(&hub.administrator());
    let webhook = hub.add_webhook(&url);
    hub.publish_one("a.b", json!({}));
    hub.deliver_until_idle();
    let elsewhere = [
        hub.at("/v1/events"),
        hub.at("/in/"),
        hub.at("/in/../v1/events"),
        hub.at("/in/%2e%2e/v1/events"),
        hub.at("/in/..%2fv1%2fevents"),
        format!("{url}/more"),
        url.replace("127.0.0.1", "localhost"),
        url.replace("http:", "https:"),
        format!("http://127.0.0.1:{}/in/abc", canary.port()),
        url.replace("127.0.0.1", "127.0.0.2"),
    ];
    for target in &elsewhere {
        let refused = hub.post("/v1/webhooks", &json!({"url": target, "events": ["*"]}));
        assert_eq!(refused.status, 422, "{target}");
        assert_eq!(refused.error_code(), "target_blocked", "{target}");
        let path = format!("/v1/webhooks/{webhook}");
        hub.patch(&path, &json!({"url": target})).expect(422);
    }
    assert_eq!(canary.connections(), 0);
}

#[test]
fn a_server_below_a_path_has_its_inbox_below_it_too() {
    let hub = Hub::with(|options| {
        options.allow_targets = Vec::new();
        options.base_url = Some("http://10.9.8.7:81/hookpost".parse().unwrap());
    });
    let visitor = hub.administrator();
    visitor.page("/inbox");
    let page = visitor.submit_and_follow("/inbox", &[]);
    let url = url_on(&page);
    assert!(url.starts_with("http://10.9.8.7:81/hookpost/in/"), "{url}");
    hub.add_webhook_with(&url, &json!({"active": false}));
    let outside = url.replace("/hookpost", "");
    let refused = hub.post("/v1/webhooks", &json!({"url": outside, "events": ["*"]}));
    refused.expect(422);
    let path = url.strip_prefix("http://10.9.8.7:81").unwrap();
    hub.send("POST", path, &[], b"{}").expect(200);
}

#[test]
fn every_profile_verifies_in_the_inbox_and_a_challenge_is_answered() {
    let hub = strict();
    let visitor = hub.administrator();
    let url = open(&visitor);
    let profiles = hookpost::profile::builtin();
    for name in profiles.keys() {
        // As the endpoints of vendors need.
        let fields = json!({"profile": name, "headers": {"X-Routing-Key": "R0"}});
        let webhook = hub.add_webhook_with(format!("{url}?chat_id=1"), &fields);
        assert_eq!(hub.state_of(&webhook), "active", "{name}");
    }
    hub.publish("content.published", json!({"text": "é\u{1f600}", "n": 1.0}));
    hub.deliver_until_idle();
    let page = visitor.page("/inbox");
    // The challenge is signed too.
    assert_eq!(page.statuses(), vec!["verified"; profiles.len() + 1], "{page}");
}

#[test]
fn during_a_rotation_the_old_secret_verifies_and_not_after_it() {
    let hub = strict();
    let visitor = hub.administrator();
    let url = open(&visitor);
    let created = hub.create(&url, &json!({"secret": "old"}));
    let id = created["id"].as_str().unwrap();
    let rotate = format!("/v1/webhooks/{id}/secret/rotate");
    hub.post(&rotate, &json!({"secret": "new"})).expect(200);
    for (wait, part) in [
        (0, "match the webhook's previous secret"),
        (DAY - 1, "match the webhook's previous secret"),
        (1, "match the webhook's secret."),
    ] {
        hub.advance(wait);
        if visitor.get("/inbox").status != 200 {
            visitor.sign_in("anna", PASSWORD).expect(303);
        }
        hub.publish("a.b", json!({}));
        hub.deliver_until_idle();
        let page = visitor.page(&newest(&visitor));
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[test]
fn ed25519_signatures_are_verified_beside_hmac_and_alone_in_a_rotation_too() {
    let hub = strict();
    let visitor = hub.administrator();
    let url = open(&visitor);
    let id = hub.add_webhook_with(&url, &json!({"signing": "both"}));
    let arrives = |parts: &[&str]| {
        hub.publish("a.b", json!({}));
        hub.deliver_until_idle();
        let page = visitor.page(&newest(&visitor));
        assert_eq!(visitor.page("/inbox").statuses()[0], "verified", "{page}");
        for part in parts {
            assert!(page.contains(part), "{part} in {page}");
        }
    };
    let ed25519 = "The Ed25519 signature matches the webhook's public key.";
    arrives(&["X-Webhook-Signature and webhook-signature match the webhook's secret.", ed25519]);
    hub.patch(&format!("/v1/webhooks/{id}"), &json!({"signing": "ed25519"})).expect(200);
    arrives(&[ed25519]);
    hub.post(&format!("/v1/webhooks/{id}/secret/rotate"), &json!({})).expect(200);
    arrives(&[ed25519]);

    let path = path_of(&hub, &url);
    let at = (hookpost::domain::time::parse_rfc3339("2026-01-15T10:00:00Z").unwrap() / 1_000).to_string();
    for (headers, part) in [
        (vec![], "The header webhook-signature is missing."),
        (vec![("webhook-signature", "v1a,AAAA")], "The header webhook-id is missing."),
        (
            vec![("webhook-signature", "v1,AAAA v1a,AAAA"), ("webhook-id", "evt_1"), ("webhook-timestamp", &at)],
            "no Ed25519 signature of this key",
        ),
    ] {
        hub.send("POST", path, &headers, b"{}").expect(200);
        let page = visitor.page(&newest(&visitor));
        assert!(page.contains("Not verified.") && page.contains(part), "{part} in {page}");
    }
}

/// Path of the latest request's page.
fn newest(visitor: &Visitor<'_>) -> String {
    visitor.page("/inbox").rows()[0].to_owned()
}

#[test]
fn what_is_not_verified_says_why() {
    let hub = strict();
    let visitor = hub.administrator();
    let url = open(&visitor);
    let path = path_of(&hub, &url);
    let says = |headers: &[(&str, &str)], body: &[u8], part: &str| {
        hub.send("POST", path, headers, body).expect(200);
        let page = visitor.page(&newest(&visitor));
        assert!(page.contains("Not verified."), "{page}");
        assert!(page.contains(part), "{part} in {page}");
    };
    says(&[], b"{}", "No webhook points at this inbox");
    let created = hub.create(&url, &json!({"secret": "s"}));
    says(&[], b"{}", "The header X-Webhook-Signature is missing.");
    let wrong = [("x-webhook-signature", "00")];
    says(&wrong, b"{}", "X-Webhook-Signature does not match");
    // A replayed old request.
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    let request = visitor.page(&newest(&visitor));
    assert!(request.contains("Verified."));
    let delivery = hub.get("/v1/deliveries").json()["data"][0]["id"].clone();
    let attempts = hub.delivery(delivery.as_str().unwrap());
    let attempt = &attempts["attempts"][0]["request"];
    let headers: Vec<(String, String)> = attempt["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
        .collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = attempt["body"].as_str().unwrap().as_bytes();
    hub.advance(6 * MINUTE);
    says(&headers, body, "more than five minutes off");
    hub.create(&url, &json!({"secret": "t"}));
    says(&wrong, b"{}", "none of the 2 webhooks that point here");
    drop(created);
}

#[test]
fn it_fails_on_purpose_as_its_address_says() {
    let hub = strict();
    let visitor = hub.administrator();
    let url = open(&visitor);
    hub.add_webhook(format!("{url}?status=503"));
    let delivery = hub.publish_one("a.b", json!({}));
    hub.deliver_until_idle();
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["status"], "retrying");
    assert_eq!(shown["last_attempt"]["code"], 503);
    // The request was received and verified nevertheless.
    assert!(visitor.page(&newest(&visitor)).contains("Verified."));
    let path = path_of(&hub, &url);
    for (query, status) in [
        ("?status=204", 204),
        ("?status=302", 302),
        ("?status=599", 599),
        ("?status=199", 422),
        ("?status=600", 422),
        ("?status=%3Cscript%3E", 422),
        ("?delay_s=31", 422),
        ("?delay_s=-1", 422),
        ("?other=1&status=418", 418),
    ] {
        let answer = hub.send("POST", &format!("{path}{query}"), &[], b"{}");
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(answer.header("location"), None);
    }
}

#[test]
fn requests_that_wait_hold_no_thread() {
    let hub = strict();
    let url = open(&hub.administrator());
    let path = format!("{}?delay_s=1", path_of(&hub, &url));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..30 {
            scope.spawn(|| hub.send("POST", &path, &[], b"{}").expect(200));
        }
    });
    let took = begun.elapsed().as_secs_f64();
    assert!((1.0..10.0).contains(&took), "{took} s");
}

#[test]
fn any_method_is_taken_at_a_token_that_exists_and_none_elsewhere() {
    let hub = strict();
    let url = open(&hub.administrator());
    let path = path_of(&hub, &url);
    for method in ["POST", "PUT", "PATCH", "DELETE", "GET"] {
        let answer = hub.send(method, path, &[], b"").expect(200);
        assert_eq!(answer.json(), json!({"ok": true}));
        hub.send(method, "/in/guess", &[], b"").expect(404);
    }
    hub.send("POST", "/in/guess", &[], b"").expect(404);
    let whole = vec![b'x'; 1 << 20];
    hub.send("POST", path, &[], &whole).expect(200);
    hub.send("POST", path, &[], &[&whole[..], b"y"].concat()).expect(413);
    let challenge = json!({"event": "webhook.verify", "challenge": "abc"}).to_string();
    let answer = hub.send("POST", path, &[], challenge.as_bytes()).expect(200);
    assert_eq!(answer.json(), json!({"ok": true, "challenge": "abc"}));
}

#[test]
fn an_inbox_keeps_the_newest_and_takes_so_many_a_second() {
    let hub = strict();
    let visitor = hub.administrator();
    let url = open(&visitor);
    let path = path_of(&hub, &url);
    let body = vec![b'x'; 20_000];
    for _ in 0..200 {
        hub.send("POST", path, &[], &body).expect(200);
    }
    let refused = hub.send("POST", path, &[], b"").expect(429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    hub.advance(SECOND);
    hub.send("POST", path, &[], b"").expect(200);
    assert_eq!(visitor.get("/inbox/1").status, 404);
    let page = visitor.page("/inbox/2");
    assert!(page.contains("20000 bytes, of which the first 16384 are kept"));
    let mut seen = 0;
    let mut next = Some("/inbox".to_owned());
    while let Some(path) = next {
        let page = visitor.page(&path);
        seen += page.rows().len();
        next = page.next().map(str::to_owned);
    }
    assert_eq!(seen, 200);
}

#[test]
fn strange_requests_are_shown_as_text_and_the_pages_cookies_not_at_all() {
    let hub = strict();
    let visitor = hub.administrator();
    let url = open(&visitor);
    let path = path_of(&hub, &url);
    let markup = "<script>alert(1)</script>{{7*7}}\u{202e}😀%00";
    let headers = [("x-markup", "<script>alert(1)</script>"), ("webhook-id", "\"><script>alert(1)</script>")];
    let strange = format!("{path}?q=<script>alert(1)</script>");
    let strange = strange.replace('<', "%3C").replace('>', "%3E");
    hub.send("POST", &strange, &headers, markup.as_bytes()).expect(200);
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000).collect();
    hub.send("POST", path, &[], &bytes).expect(200);
    let session = visitor.cookie(&visitor.session_cookie()).unwrap();
    // A browser with a session.
    visitor.get(path).expect(200);
    for path in ["/inbox", "/inbox/1", "/inbox/2", "/inbox/3"] {
        let page = visitor.page(path);
        assert!(!page.source().contains("<script>alert"), "{path}");
        assert!(!page.holds(&session), "{path}");
    }
    let page = visitor.page("/inbox/1");
    assert!(page.contains("{{7*7}}") && page.contains("<script>"), "{page}");
    assert!(visitor.page("/inbox/3").contains("(left out)"));
    for path in ["/inbox/0", "/inbox/x", "/inbox/99999999999999999999", "/inbox?cursor=x", "/inbox?tenant=a%20b"] {
        let status = visitor.get(path).status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
}

#[test]
fn emptying_asks_first_and_a_viewer_changes_nothing() {
    let hub = strict();
    let visitor = hub.administrator();
    let url = open(&visitor);
    let path = path_of(&hub, &url);
    hub.send("POST", path, &[], b"{}").expect(200);
    let viewer = hub.viewer();
    let page = viewer.page("/inbox");
    assert!(!page.rows().is_empty() && !page.holds("Empty the inbox"));
    viewer.submit("/inbox/empty", &[("confirmed", "yes")]).expect(403);
    viewer.submit("/inbox", &[]).expect(403);
    assert_eq!(viewer.get("/inbox/empty").status, 403);
    visitor.page("/inbox");
    let asked = visitor.submit("/inbox/empty", &[]).expect(200).page();
    assert!(asked.contains("Empty the inbox?"));
    assert_eq!(visitor.page("/inbox").rows().len(), 1);
    let page = visitor.submit_and_follow("/inbox/empty", &[("confirmed", "yes")]);
    assert!(page.has_flash("1 request was deleted."));
    assert!(page.contains("No requests yet"));
    hub.advance(HOUR);
}

#[test]
fn each_tenant_has_an_inbox_of_its_own() {
    let hub = strict();
    let visitor = hub.administrator();
    let url = open(&visitor);
    visitor.page("/inbox?tenant=acme");
    let page = visitor.submit_and_follow("/inbox", &[("tenant", "acme")]);
    let acme = url_on(&page);
    assert_ne!(acme, url);
    assert!(page.field("tenant").as_deref() == Some("acme") && page.has("option[value=default]"));
    hub.send("POST", path_of(&hub, &acme), &[], b"to acme").expect(200);
    assert!(!visitor.page("/inbox").holds("to acme"));
    assert!(visitor.page("/inbox?tenant=acme").contains("to acme"));
    // A secret of another tenant does not verify here.
    hub.add_webhook_with(&acme, &json!({"tenant": "other"}));
    let body = json!({"type": "a.b", "data": {}, "tenant": "other"});
    hub.post("/v1/events", &body).expect(202);
    hub.deliver_until_idle();
    let page = visitor.page("/inbox?tenant=acme");
    assert!(page.contains("No webhook points at this inbox"));
}

#[test]
fn an_inbox_keeps_as_many_requests_as_set() {
    let mut hub = strict();
    let url = open(&hub.administrator());
    let path = path_of(&hub, &url).to_owned();
    for (kept, rows) in [(5, 5), (3, 3), (4, 4)] {
        hub.restart_with(|options| options.tenant_limits.inbox_requests = kept);
        for _ in 0..6 {
            hub.send("POST", &path, &[], b"{}").expect(200);
        }
        let visitor = hub.visitor();
        visitor.sign_in("anna", PASSWORD).expect(303);
        let page = visitor.page("/inbox");
        assert_eq!(page.rows().len(), rows);
        assert!(page.contains(&format!("The newest {kept} requests are kept (--tenant-inbox-requests)")), "{page}");
    }
}

#[test]
fn an_inbox_is_opened_gets_another_url_and_is_closed_over_the_api() {
    let hub = strict();
    hub.get("/v1/inbox").expect(404);
    let opened = hub.call_with(&hub.key, "POST", "/v1/inbox", None).expect(200).json();
    assert_eq!(hub.call_with(&hub.key, "POST", "/v1/inbox", None).expect(200).json(), opened, "opened once");
    let url = open(&hub.administrator());
    assert_eq!(opened["url"], url);
    assert_eq!(hub.get("/v1/inbox").expect(200).json(), json!({"tenant": "default", "url": url}));
    let other = hub.call_with(&hub.key, "POST", "/v1/inbox/rotate", None).expect(200).json();
    let other = other["url"].as_str().unwrap();
    assert_ne!(other, url);
    hub.send("POST", path_of(&hub, &url), &[], b"{}").expect(404);
    hub.send("POST", path_of(&hub, other), &[], b"{}").expect(200);
    assert_eq!(hub.get("/v1/inbox?tenant=default").json()["url"], other);

    let acme = hub.make_key(Scope::Admin, Some("acme"), None);
    let reader = hub.make_key(Scope::Read, None, None);
    for (key, method, path, status) in [
        (&acme, "GET", "/v1/inbox", 404),
        (&acme, "POST", "/v1/inbox/rotate", 404),
        (&acme, "DELETE", "/v1/inbox", 404),
        (&acme, "DELETE", "/v1/inbox?tenant=default", 403),
        (&acme, "POST", "/v1/inbox/rotate?tenant=default", 403),
        (&reader, "DELETE", "/v1/inbox", 403),
        (&reader, "POST", "/v1/inbox/rotate", 403),
        (&reader, "POST", "/v1/inbox", 403),
        (&acme, "POST", "/v1/inbox?tenant=default", 403),
        (&hub.key, "DELETE", "/v1/inbox?tenant=a%20b", 422),
        (&reader, "GET", "/v1/inbox", 200),
    ] {
        hub.call_with(key, method, path, None).expect(status);
    }
    hub.delete("/v1/inbox").expect(204);
    hub.send("POST", path_of(&hub, other), &[], b"{}").expect(404);
    hub.get("/v1/inbox").expect(404);
    hub.delete("/v1/inbox").expect(404);
}

#[test]
fn an_inbox_gets_another_url_and_is_closed_on_its_page_after_a_question() {
    let hub = strict();
    let visitor = hub.administrator();
    let url = open(&visitor);
    hub.send("POST", path_of(&hub, &url), &[], b"{}").expect(200);
    let viewer = hub.viewer();
    viewer.page("/inbox");
    for path in ["/inbox/url", "/inbox/close"] {
        viewer.submit(path, &[("confirmed", "yes")]).expect(403);
        visitor.page("/inbox");
        assert!(visitor.submit(path, &[]).expect(200).page().contains("Webhooks that point at it fail"));
        assert!(visitor.page(path).has("button"));
    }
    assert_eq!(url_on(&visitor.page("/inbox")), url);
    let page = visitor.submit_and_follow("/inbox/url", &[("confirmed", "yes")]);
    assert!(page.has_flash("The inbox has a new URL. The old one is refused."), "{page}");
    let other = url_on(&page);
    assert_ne!(other, url);
    assert_eq!(page.rows().len(), 1, "the requests stay");
    hub.send("POST", path_of(&hub, &url), &[], b"{}").expect(404);
    let page = visitor.submit_and_follow("/inbox/close", &[("confirmed", "yes")]);
    assert!(page.contains("not open yet"), "{page}");
    hub.send("POST", path_of(&hub, &other), &[], b"{}").expect(404);
    assert_eq!(visitor.get("/inbox/1").status, 404);
    let reopened = open(&visitor);
    assert!(reopened != url && reopened != other);
    let audit = visitor.page("/settings/audit");
    for words in ["changed the URL of the inbox of the tenant", "closed the inbox of the tenant"] {
        assert!(audit.contains(words), "{audit}");
    }
    // Neither is a secret of the past ones in it.
    assert!(!audit.holds(path_of(&hub, &other)));
}
