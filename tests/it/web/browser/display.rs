//! The theme, JSON, paper, and very long names.

use hookpost::store::user::Role;
use serde_json::json;

use crate::support::Hub;
use crate::support::browser::{Browser, Scheme};
use crate::support::receiver::{Receiver, Reply};

#[test]
fn the_script_changes_the_theme_in_place_and_the_choice_stays() {
    let hub = Hub::start();
    hub.add_user("anna", Role::Administrator);
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    browser.prefer(Scheme::Light);
    browser.sign_in("anna");
    browser.go("/webhooks/new");
    browser.fill("[name=description]", "half typed");
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let light = browser.script(ground);
    browser.click_text("Dark");
    browser.wait_for("html[data-theme=dark]");
    let dark = browser.script(ground);
    assert_ne!(light, dark);
    assert_eq!(browser.script("return document.querySelector('[name=description]').value"), "half typed");
    browser.wait_for_cookie("theme", "dark");
    browser.go("/deliveries");
    assert_eq!(browser.script(ground), dark);
    browser.script("document.querySelector('[name=theme][value=\"\"]').click()");
    browser.wait_for("html:not([data-theme])");
    assert_eq!(browser.script(ground), light);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn json_has_colours_and_folds_and_long_json_is_only_indented() {
    let hub = Hub::start();
    hub.add_user("anna", Role::Administrator);
    let receiver = Receiver::with(|_| Reply::status(200).body(r#"{"big": 12345678901234567890, "list": [1, [], {}]}"#));
    hub.add_webhook(receiver.url());
    let data =
        json!({"order": {"id": 1001, "items": [{"sku": "A"}, {"sku": "B"}], "paid": true}, "note": "</script><b>"});
    let delivery = hub.publish_one("order.paid", data);
    let many: Vec<u32> = (0..9_000).collect();
    let long = hub.publish_one("order.long", json!({"many": many}));
    let huge = hub.publish_one("order.huge", json!({"text": "x".repeat(900_000)}));
    hub.deliver_until_idle();
    // Without a script: plain text, as it was sent, and 64 KiB of it at most.
    let visitor = hub.operator();
    assert!(visitor.page(&format!("/deliveries/{delivery}")).contains(r#""items":[{"sku":"A"},{"sku":"B"}]"#));
    let source = visitor.get(&format!("/deliveries/{huge}")).text;
    assert!(source.len() < 200_000, "{} bytes", source.len());
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    browser.sign_in("anna");
    browser.go(&format!("/deliveries/{delivery}"));
    browser.wait_for("#request-1 .json-key");
    let count =
        |css: &str| browser.script(&format!("return document.querySelectorAll('{css}').length")).as_u64().unwrap();
    assert_eq!((count("#request-1 .json-number"), count("#request-1 .json-word")), (1, 2), "1001; true and null");
    assert_eq!(count("#response-1 details"), 2, "empty ones do not fold");
    let shown = browser.text("#request-1");
    assert!(shown.contains("\"sku\": \"A\"\n") && shown.contains("</script><b>"), "{shown}");
    assert!(browser.text("#response-1").contains("12345678901234567890"), "as it was sent");
    let folded =
        "const fold = [...document.querySelectorAll('#request-1 summary')].find(e => e.textContent.includes('items'));
                  fold.click(); return getComputedStyle(fold, '::after').content";
    assert_eq!(browser.script(folded), r#"" … ],""#);
    assert!(!browser.text("#request-1").contains("\"sku\": \"A\""), "{}", browser.text("#request-1"));
    // The raw text comes back as it was.
    browser.script("document.querySelector('[data-pretty=\"#request-1\"]').click()");
    assert!(browser.text("#request-1").contains(r#""items":[{"sku":"A"},{"sku":"B"}]"#));
    browser.go(&format!("/deliveries/{long}"));
    browser.wait_for("[data-pretty='#request-1'][aria-pressed=true]");
    assert_eq!((count("#request-1 span"), count("#request-1 details")), (0, 0));
    assert!(browser.text("#request-1").contains("\n      8999\n"), "indented");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_printed_page_has_its_content_whole_and_nothing_to_press() {
    let hub = Hub::start();
    hub.add_user("anna", Role::Administrator);
    let receiver = Receiver::start();
    let path = "a-long-path/".repeat(20);
    let webhook = hub.add_webhook_with(format!("{}/{path}", receiver.url()), &json!({"description": "Shop"}));
    let many: Vec<u32> = (0..400).collect();
    let delivery = hub.publish_one("order.paid", json!({"many": many}));
    hub.deliver_until_idle();
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    browser.sign_in("anna");
    browser.script("document.querySelector('[name=theme][value=dark]').click()");
    // A sheet of A4 between usual margins.
    browser.resize(718, 1000);
    for path in [
        "/".to_owned(),
        "/webhooks".to_owned(),
        "/deliveries".to_owned(),
        format!("/deliveries/{delivery}"),
        format!("/webhooks/{webhook}/settings"),
    ] {
        browser.go(&path);
        browser.print_view(true);
        let wrong = browser.script(NOT_ON_PAPER);
        assert_eq!(wrong, json!([]), "{path}");
        browser.print_view(false);
    }
}

/// Elements of a printed page that a reader cannot press, read or reach.
const NOT_ON_PAPER: &str = "
    const wrong = [];
    const seen = (element) => element.getClientRects().length > 0 && getComputedStyle(element).visibility !== 'hidden';
    for (const element of document.querySelectorAll('nav[aria-label=Main], .top, .bulk, .filters, main button, .foot button'))
        if (seen(element)) wrong.push('shown: ' + element.outerHTML.slice(0, 100));
    for (const element of document.querySelectorAll('main *')) {
        const clips = getComputedStyle(element).overflow !== 'visible' && !element.matches('.sr, .sr *, svg, svg *, figure');
        if (seen(element) && clips && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1))
            wrong.push('clipped: ' + element.outerHTML.slice(0, 100));
    }
    if (document.documentElement.scrollWidth > innerWidth) wrong.push('wider than the paper');
    if (getComputedStyle(document.documentElement).colorScheme !== 'light') wrong.push('dark');
    return wrong;";

#[test]
fn very_long_names_fit_a_phone_and_can_be_read_whole() {
    let hub = Hub::start();
    hub.add_user("anna", Role::Administrator);
    let receiver = Receiver::answering(500);
    let (name, tenant, kind) = ("N".repeat(256), "t".repeat(64), format!("{}.{}", "e".repeat(63), "f".repeat(60)));
    let host = format!("{}.{}.{}.example", "h".repeat(63), "i".repeat(63), "j".repeat(60));
    let once = json!({"delays_s": [], "exhausted": "dead_letter"});
    let url = format!("{}/{}", receiver.url(), "p".repeat(1_900));
    let webhook = hub.add_webhook_with(&url, &json!({"description": name, "tenant": tenant, "retry": once}));
    let nameless = hub
        .add_webhook_with(format!("https://{host}/{}", "q".repeat(900)), &json!({"tenant": tenant, "active": false}));
    let id = "i".repeat(128);
    let event = json!({"id": id, "type": kind, "tenant": tenant, "data": {"k".repeat(300): "v".repeat(300)}});
    let receipt = hub.post("/v1/events", &event).expect(202).json();
    hub.deliver_until_idle();
    let delivery =
        receipt["deliveries"].as_array().unwrap().iter().find(|one| one["webhook_id"] == webhook.as_str()).unwrap();
    let incidents = hub.get("/v1/incidents").expect(200).json();
    let mut pages = vec![
        "/".to_owned(),
        "/webhooks".to_owned(),
        "/deliveries".to_owned(),
        "/events".to_owned(),
        "/failed".to_owned(),
        "/incidents".to_owned(),
        "/event-types".to_owned(),
        "/inbox".to_owned(),
        "/search?q=order".to_owned(),
        format!("/search?q={}", &name[..100]),
        format!("/event-types/{kind}"),
        format!("/events/{id}?tenant={tenant}"),
        format!("/deliveries/{}", delivery["id"].as_str().unwrap()),
        format!("/incidents/{}", incidents["data"][0]["id"].as_str().unwrap()),
    ];
    for webhook in [&webhook, &nameless] {
        for tail in ["", "/settings", "/secret", "/metrics", "/edit", "/test", "/replay", "/delete"] {
            pages.push(format!("/webhooks/{webhook}{tail}"));
        }
    }
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    browser.sign_in("anna");
    browser.go("/inbox");
    browser.click("main form[method=post] button");
    browser.wait_for("#inbox-url");
    let mut wrong = Vec::new();
    for width in [320, 1280] {
        browser.resize(width, 900);
        for path in &pages {
            browser.go(path);
            let found = browser.script(CUT_OR_WIDE);
            wrong.extend(
                found.as_array().unwrap().iter().map(|one| format!("{} ({width}): {one}", &path[..path.len().min(60)])),
            );
        }
    }
    assert!(wrong.is_empty(), "{} faults: {wrong:#?}", wrong.len());
}

/// Elements that make the page scroll sideways, and texts that are cut where nothing holds the whole.
const CUT_OR_WIDE: &str = "
    const wrong = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth)
        for (const e of [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > root.clientWidth + 1).slice(0, 3))
            wrong.push('wide: ' + e.outerHTML.slice(0, 120));
    for (const e of document.querySelectorAll('body *')) {
        const style = getComputedStyle(e);
        const isCut = e.clientWidth > 2 && e.scrollWidth > e.clientWidth + 1 && ['hidden', 'clip'].includes(style.overflowX);
        if (!isCut || e.matches('.sr, .sr *, .skip, svg, svg *, option, select')) continue;
        const whole = e.title || e.closest('[title]')?.title || e.querySelector('[title]')?.title || '';
        const linked = e.closest('tr, li')?.querySelector('a[href]');
        if (!whole.includes(e.textContent.trim()) && !linked) wrong.push('cut: ' + e.outerHTML.slice(0, 120));
    }
    // A URL of 2,000 characters does not push the rest of the page away.
    const words = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
        const place = words.currentNode.parentElement;
        const isWall = /\\S{600}/.test(words.currentNode.data) && place.getClientRects().length > 0 && !place.matches('textarea, option');
        if (isWall && !place.closest('pre, details:not([open]), .truncate')) wrong.push('wall: ' + place.outerHTML.slice(0, 120));
    }
    return wrong;";
