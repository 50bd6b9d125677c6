//! Access to webhooks: viewers read, a tenant's users manage their own, and everyone else is refused.

use serde_json::json;

use super::assert_lacks;
use crate::support::Hub;
use crate::support::receiver::Receiver;

/// Actions that change a webhook or reveal its secret, each with a valid form.
const CHANGES: [(&str, &[(&str, &str)]); 9] = [
    ("/edit", &[("url", "http://127.0.0.1:9/"), ("event", "*"), ("profile", "generic")]),
    ("/pause", &[]),
    ("/resume", &[("waiting", "resume")]),
    ("/verify", &[]),
    ("/test", &[("event_type", "a.b"), ("data", "{}")]),
    ("/secret", &[]),
    ("/secret/rotate", &[("overlap_s", "3600")]),
    ("/replay", &[("since", "2026-01-15T00:00"), ("confirmed", "yes")]),
    ("/delete", &[("typed", "127.0.0.1")]),
];

#[test]
fn viewers_see_no_secret_and_no_button_and_are_refused() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let made = hub.create(receiver.url(), &json!({}));
    let webhook = made["id"].as_str().unwrap();
    let before = hub.webhook(webhook);
    let vera = hub.viewer();
    for tail in ["", "/settings", "/secret", "/metrics"] {
        let page = vera.page(&format!("/webhooks/{webhook}{tail}"));
        assert_lacks(&page, made["secret"].as_str().unwrap());
        assert!(page.forms().is_empty(), "{page}");
        assert_lacks(&page, "Create webhook");
    }
    for tail in ["/edit", "/test", "/replay", "/delete", "/resume"] {
        assert_eq!(vera.get(&format!("/webhooks/{webhook}{tail}")).status, 403, "{tail}");
    }
    assert_eq!(vera.get("/webhooks/new").status, 403);
    for (tail, fields) in CHANGES {
        assert_eq!(vera.submit(&format!("/webhooks/{webhook}{tail}"), fields).status, 403, "{tail}");
    }
    let new = [("url", "http://127.0.0.1:9/"), ("event", "*")];
    assert_eq!(vera.submit("/webhooks/new", &new).status, 403);
    assert_eq!(hub.webhook(webhook), before);
    assert_eq!(receiver.hits(), 0);
}

#[test]
fn the_people_of_a_tenant_have_its_webhooks_and_no_other() {
    let hub = Hub::start();
    let own = hub.add_webhook_with("http://127.0.0.1:9/own", &json!({"tenant": "acme"}));
    let other = hub.add_webhook_with("http://127.0.0.1:9/foreign", &json!({"tenant": "rival"}));
    let body = json!({"type": "rival.only", "data": {}, "tenant": "rival"});
    hub.post("/v1/events", &body).expect(202);
    hub.deliver_until_idle();
    let before = hub.webhook(&other);
    let visitor = hub.portal("acme");
    let page = visitor.page("/webhooks?tenant=rival");
    assert_eq!(page.row_ids(), [own.as_str()]);
    assert_lacks(&page, "foreign");
    assert!(!page.has_field("tenant"));
    for tail in ["", "/settings", "/secret", "/metrics", "/edit", "/test", "/replay", "/delete", "/resume"] {
        let page = visitor.page(&format!("/webhooks/{own}{tail}"));
        assert_lacks(&page, "rival");
        assert!(!page.links_below("/profiles"), "{page}");
        let path = format!("/webhooks/{other}{tail}");
        assert_eq!(visitor.get(&path).status, 404, "{path}");
    }
    assert_eq!(visitor.get(&format!("/webhooks/new?from={other}")).status, 404);
    for (tail, fields) in CHANGES {
        let path = format!("/webhooks/{other}{tail}");
        assert_eq!(visitor.submit(&path, fields).status, 404, "{path}");
    }
    assert_eq!(hub.webhook(&other), before);
}

#[test]
fn the_people_of_a_tenant_create_in_it_whatever_the_form_says() {
    let hub = Hub::start();
    let visitor = hub.portal("acme");
    assert!(!visitor.page("/webhooks/new").has_field("tenant"));
    let fields = [("url", "http://127.0.0.1:9/"), ("event", "*"), ("profile", "standard"), ("tenant", "rival")];
    let page = visitor.submit_and_follow("/webhooks/new", &fields);
    assert_eq!(hub.webhook(&page.webhook())["tenant"], "acme");
}

#[test]
fn a_form_of_another_session_changes_nothing() {
    let hub = Hub::start();
    let webhook = hub.add_webhook("http://127.0.0.1:9/");
    let anna = hub.administrator();
    for (tail, fields) in CHANGES {
        let path = format!("/webhooks/{webhook}{tail}");
        let forged = [&[("form_token", "guess")], fields].concat();
        assert_eq!(anna.submit_as_given(&path, &forged, &[]).status, 403, "{path}");
    }
    assert_eq!(hub.state_of(&webhook), "active");
}

#[test]
fn where_there_is_no_webhook_there_is_no_page() {
    let hub = Hub::start();
    let anna = hub.administrator();
    for id in ["wh_none", "wh_01M7YFEQZGG48S3095EE4A7CR7", "%00", "..%2f..", "%E2%80%AE"] {
        for tail in ["", "/settings", "/secret", "/metrics", "/edit", "/test", "/replay", "/delete", "/resume"] {
            assert_eq!(anna.get(&format!("/webhooks/{id}{tail}")).status, 404, "{id}{tail}");
        }
        for (tail, fields) in CHANGES {
            anna.get("/webhooks");
            assert_eq!(anna.submit(&format!("/webhooks/{id}{tail}"), fields).status, 404, "{id}{tail}");
        }
    }
}
