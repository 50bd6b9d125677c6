//! Limits of each tenant on the pages.

use hookpost::store::user::Role;
use serde_json::json;

use crate::support::Hub;

#[test]
fn the_portal_shows_the_use_of_each_limit_and_the_settings_show_the_names() {
    let hub = Hub::with(|options| options.tenant_limits.webhooks = 1_234);
    for _ in 0..2 {
        hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "acme", "active": false}));
    }
    hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": "acme"})).expect(202);
    let page = hub.portal("acme").page("/");
    let limits = page.get("#limits");
    let rows = limits.parts("tbody tr");
    assert_eq!(rows.len(), 6, "{rows:?}");
    for text in
        ["Webhooks 2 1,234", "Queued deliveries 2 1,000,000", "Tests at a time 0 4", "Requests kept in the inbox 0 200"]
    {
        assert!(rows.iter().any(|row| row == text), "{text} in {rows:?}");
    }
    assert!(!limits.contains("--tenant"), "settings are for operators");
    let anna = hub.administrator();
    assert!(!anna.page("/").has("#limits"));
    let rows = anna.page("/settings/data").get("main").parts("tbody tr");
    for text in ["Webhooks 2 1,234 --tenant-webhooks", "Queued deliveries 2 1,000,000 --tenant-queued"] {
        assert!(rows.iter().any(|row| row == text), "{text} in {rows:?}");
    }
}

#[test]
fn a_page_beyond_a_limit_says_so_and_when_to_retry() {
    let hub = Hub::with(|options| {
        options.tenant_limits.webhooks = 1;
        options.tenant_limits.queued = 1;
    });
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    let anna = hub.administrator();
    anna.page("/webhooks/new");
    for (path, fields) in [
        ("/webhooks/new", &[("url", "http://127.0.0.1:9/"), ("event", "*"), ("profile", "generic")][..]),
        (
            "/setup/webhook",
            &[("target", "own"), ("url", "http://127.0.0.1:9/"), ("events", "*"), ("profile", "generic")],
        ),
    ] {
        let page = anna.submit(path, fields).expect(422).page();
        assert!(page.contains("as many as the setting --tenant-webhooks allows"), "{path}: {page}");
    }
    let event = [("type", "a.b"), ("data", "{}")];
    anna.submit("/events/new", &event).expect(303);
    let refused = anna.submit("/events/new", &event).expect(429);
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert!(refused.page().contains("--tenant-queued"), "{}", refused.text);
    assert!(refused.page().has("nav"), "within the frame");
}

mod browser {
    use super::*;
    use crate::support::browser::Browser;

    #[test]
    fn the_limits_fit_a_narrow_window_in_the_portal_and_in_the_settings() {
        let hub = Hub::start();
        hub.add_user("anna", Role::Administrator);
        hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "acme", "active": false}));
        let Some(browser) = Browser::open(&hub) else {
            return;
        };
        let fits = |path: &str| {
            browser.go(path);
            for width in [320, 1280] {
                browser.resize(width, 900);
                let wide = browser.script("return document.documentElement.scrollWidth > window.innerWidth");
                assert_eq!(wide, false, "{path} at {width} px");
            }
            assert_eq!(browser.complaints(), [""; 0]);
        };
        browser.sign_in("anna");
        fits("/settings/data");
        browser.go(&hub.portal_path("acme"));
        browser.click("main form button");
        browser.wait_for("header.top a[href='/portal/webhooks'][aria-current=page]");
        fits("/portal/");
        assert!(browser.text("#limits").contains("Queued deliveries"));
    }
}
