//! Custom headers with sensitive names: masked wherever they are shown, delivered unchanged.

use hookpost::domain::header::MASK;
use hookpost::store::api_key::Scope;
use hookpost::store::user::Role;
use serde_json::{Value, json};

use super::error_in;
use crate::support::Hub;
use crate::support::receiver::{Receiver, Reply};
use crate::support::visitor::PASSWORD;

/// Names that contain `auth`, `token`, `key`, `secret` or `cookie`, each with its own value.
const SENSITIVE: [(&str, &str); 6] = [
    ("Authorization", "Bearer one"),
    ("X-API-Key", "value two"),
    ("x-token", "value three"),
    ("Cookie", "value=four"),
    ("My-Secret", "value five"),
    ("X-AUTHOR", "value six"),
];

fn headers() -> Value {
    let mut headers: Value = SENSITIVE.iter().map(|(n, v)| (*n, json!(v))).collect();
    headers["X-Team"] = json!("orders");
    headers
}

fn assert_masked(text: &str) {
    for (_, value) in SENSITIVE {
        assert!(!text.contains(value), "{value} shows in {text}");
    }
    assert!(text.contains(MASK), "{text}");
    assert!(text.contains("orders"), "{text}");
}

#[test]
fn sensitive_headers_are_masked_in_every_answer_and_sent_in_full() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let made = hub.create(receiver.url(), &json!({"headers": headers()}));
    assert_masked(&made.to_string());
    let id = made["id"].as_str().unwrap();
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    for (name, value) in SENSITIVE {
        assert_eq!(receiver.last().header(name), Some(value));
    }
    for path in [format!("/v1/webhooks/{id}"), "/v1/webhooks".to_owned(), format!("/v1/deliveries/{delivery}")] {
        assert_masked(&hub.get(&path).expect(200).text);
    }
    assert_masked(&hub.post(&format!("/v1/webhooks/{id}/test"), &json!({})).text);
}

#[test]
fn writing_back_what_was_read_changes_no_header() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let id = hub.add_webhook_with(receiver.url(), &json!({"headers": headers()}));
    let read = hub.webhook(&id)["headers"].clone();
    let path = format!("/v1/webhooks/{id}");
    let answer = hub.patch(&path, &json!({"headers": read})).expect(200);
    assert_masked(&answer.text);
    hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    for (name, value) in SENSITIVE {
        assert_eq!(receiver.last().header(name), Some(value));
    }
    // Removed headers are no longer sent.
    hub.patch(&path, &json!({"headers": {"Authorization": MASK, "X-Token": null}})).expect(200);
    hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(receiver.last().header("authorization"), Some("Bearer one"));
    assert_eq!(receiver.last().header("x-token"), None);
}

#[test]
fn a_mask_that_stands_for_nothing_is_refused() {
    let hub = Hub::start();
    let body = json!({"url": "http://127.0.0.1:9/", "events": ["*"], "headers": {"X-Token": MASK}});
    let answer = hub.post("/v1/webhooks", &body);
    error_in(&answer, 422, "invalid_header", "headers.X-Token");
    let id = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"headers": {"X-Key": "a"}}));
    let change = json!({"headers": {"X-Key": MASK, "X-Token": MASK}});
    let answer = hub.patch(&format!("/v1/webhooks/{id}"), &change);
    error_in(&answer, 422, "invalid_header", "headers.X-Token");
}

#[test]
fn a_secret_value_is_not_sent_to_another_origin_unless_it_is_given_again() {
    let hub = Hub::start();
    let [receiver, other] = [Receiver::start(), Receiver::start()];
    let given = json!({"X-Token": "value three", "X-Team": "orders"});
    let id = hub.add_webhook_with(receiver.url(), &json!({"headers": given}));
    let path = format!("/v1/webhooks/{id}");
    let masked = hub.webhook(&id)["headers"].clone();
    for change in [
        json!({"url": other.url()}),
        json!({"url": other.url(), "headers": masked}),
        json!({"url": receiver.url().replace("127.0.0.1", "localhost")}),
    ] {
        let refused = hub.patch(&path, &change);
        error_in(&refused, 422, "invalid_header", "headers.X-Token");
        assert_eq!(hub.webhook(&id)["url"], receiver.url());
    }
    // Another path of the same origin is the same receiver.
    hub.patch(&path, &json!({"url": receiver.url_at("/other"), "headers": masked})).expect(200);
    hub.patch(&path, &json!({"url": receiver.url()})).expect(200);
    hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(receiver.last().header("x-token"), Some("value three"));
    // With a value, or without the header, the webhook moves.
    hub.patch(&path, &json!({"url": other.url(), "headers": given})).expect(200);
    hub.patch(&path, &json!({"url": receiver.url(), "headers": {"X-Token": null}})).expect(200);
    hub.patch(&path, &json!({"url": other.url()})).expect(200);
}

/// Values of the signature headers that a receiver got.
fn signatures(receiver: &Receiver) -> Vec<String> {
    let names = ["x-webhook-signature", "webhook-signature", "x-shop-mac"];
    let last = receiver.last();
    let found: Vec<String> = names.iter().filter_map(|name| last.header(name).map(str::to_owned)).collect();
    assert!(found.len() >= 2, "{found:?}");
    found
}

#[test]
fn signatures_and_fingerprints_are_for_those_who_may_see_the_secret() {
    let hub = Hub::start();
    let failing = Receiver::answering(500);
    let profile = json!({"based_on": "generic", "signatures": [{"header": "X-Shop-Mac", "content": "{body}",
        "encoding": "hex", "template": "{signature}", "key": "secret"}]});
    let put = hub.call_with(&hub.key, "PUT", "/v1/profiles/shop", Some(&profile.to_string()));
    assert!(put.status < 300, "{}", put.text);
    let retry = json!({"delays_s": [], "exhausted": "dead_letter"});
    for profile in ["generic", "shop"] {
        let fields = json!({"tenant": "acme", "secret": "hunter2", "retry": retry, "profile": profile});
        let webhook = hub.add_webhook_with(failing.url(), &fields);
        hub.post("/v1/events", &json!({"type": "a.b", "tenant": "acme", "data": {}})).expect(202);
        hub.deliver_until_idle();
        let signatures = signatures(&failing);
        let deliveries = hub.get("/v1/deliveries?limit=1").expect(200).json();
        let delivery = deliveries["data"][0]["id"].as_str().unwrap().to_owned();
        let paths = [format!("/v1/deliveries/{delivery}"), "/v1/dead-letters/export".to_owned()];
        let shows = |text: &str| signatures.iter().filter(|signature| text.contains(signature.as_str())).count();
        for tenant in [None, Some("acme")] {
            let [reader, admin] = [Scope::Read, Scope::Admin].map(|scope| hub.make_key(scope, tenant, None));
            for path in &paths {
                let masked = hub.call_with(&reader, "GET", path, None).expect(200).text;
                assert_eq!(shows(&masked), 0, "{path}: {masked}");
                assert!(masked.contains(MASK) && masked.contains("webhook-timestamp"), "{masked}");
                let full = hub.call_with(&admin, "GET", path, None).expect(200).text;
                assert_eq!(shows(&full), signatures.len(), "{path}: {full}");
            }
        }
        let page = format!("/deliveries/{delivery}");
        let secret = format!("/webhooks/{webhook}/secret");
        hub.post(&format!("/v1/webhooks/{webhook}/secret/rotate"), &json!({})).expect(200);
        // The first 16 digits of SHA-256("hunter2").
        let fingerprint = "f52fbd32b2b3b86f";
        if profile == "generic" {
            hub.add_user("anna", Role::Administrator);
            hub.add_user("vera", Role::Viewer);
        }
        let viewer = hub.visitor();
        viewer.sign_in("vera", PASSWORD).expect(303);
        assert_eq!(shows(viewer.page(&page).source()), 0);
        // The command has a placeholder.
        assert!(viewer.page(&page).contains("<webhook-signature>"));
        assert!(!viewer.page(&secret).holds(fingerprint) && !viewer.page(&secret).contains("Fingerprint"));
        let administrator = hub.visitor();
        administrator.sign_in("anna", PASSWORD).expect(303);
        for visitor in [administrator, hub.portal("acme")] {
            assert!(shows(visitor.page(&page).source()) >= signatures.len());
            assert!(visitor.page(&secret).contains(fingerprint));
        }
        hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
    }
}

#[test]
fn viewers_of_an_inbox_see_no_signature() {
    let hub = Hub::start();
    let administrator = hub.administrator();
    administrator.get("/inbox");
    let page = administrator.submit_and_follow("/inbox", &[("tenant", "acme")]);
    assert!(page.has("main"));
    let inbox = hub.get("/v1/inbox?tenant=acme").expect(200).json();
    let url = inbox["url"].as_str().unwrap().to_owned();
    hub.add_webhook_with(&url, &json!({"tenant": "acme"}));
    hub.post("/v1/events", &json!({"type": "a.b", "tenant": "acme", "data": {}})).expect(202);
    hub.deliver_until_idle();
    let shown = administrator.page("/inbox/1");
    assert!(shown.contains("v1,"), "the Standard Webhooks signature");
    let viewed = hub.viewer().page("/inbox/1");
    assert!(!viewed.contains("v1,") && viewed.contains(MASK), "{}", viewed.text());
}

#[test]
fn the_audit_list_has_urls_up_to_the_host() {
    let hub = Hub::start();
    let receiver = Receiver::with(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        Reply::status(200).body(json!({"challenge": body["challenge"]}).to_string())
    });
    let url = receiver.url_at("/services/T000/B000/path-secret?token=query-secret");
    let webhook = hub.add_webhook_with(&url, &json!({"profile": "influship"}));
    hub.post(&format!("/v1/webhooks/{webhook}/verify"), &json!({})).expect(200);
    hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
    let page = hub.administrator().page("/settings/audit");
    for verb in ["created the webhook", "verified the webhook", "deleted the webhook"] {
        assert!(page.contains(verb), "{}", page.text());
    }
    assert!(page.contains(&format!("http://127.0.0.1:{}/…", receiver.port())), "{}", page.text());
    assert!(!page.holds("path-secret") && !page.holds("query-secret"));
}
