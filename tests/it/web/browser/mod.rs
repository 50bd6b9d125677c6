//! Pages in a real browser: behaviour that needs one. Every test of the program that opens a browser has
//! `browser` among its modules, by which the gate runs them apart.

mod display;
mod live;
mod portal_contacts;
mod stories;
mod tenants;

use std::collections::BTreeSet;

use serde_json::Value;

use super::whole_site::populated;
use crate::support::browser::{Browser, Scheme};
use crate::support::crawl::{crawl, kind};
use crate::support::receiver::Receiver;
use crate::support::visitor::PASSWORD;
use crate::support::{Hub, skipped};

/// Path of axe-core, a JavaScript file.
const AXE: &str = "HOOKPOST_TEST_AXE";
/// If set, a missing axe-core is a failure.
const REQUIRE_AXE: &str = "HOOKPOST_TEST_REQUIRE_AXE";

/// Views of a page: the narrowest window that WCAG requires, and a screen, each in light and dark.
const WAYS: [(Scheme, u32); 4] =
    [(Scheme::Light, 320), (Scheme::Light, 1280), (Scheme::Dark, 1280), (Scheme::Dark, 320)];

/// Opens a page in every view, and returns its faults.
pub fn inspect(browser: &Browser, path: &str, axe: Option<&str>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (scheme, width) in WAYS {
        browser.prefer(scheme);
        browser.resize(width, 900);
        browser.go(path);
        let place = format!("{path} ({scheme:?}, {width} px)");
        let wide = browser.script(WIDER_THAN_THE_WINDOW);
        let wide = wide.as_array().unwrap();
        wrong.extend(wide.iter().map(|element| format!("{place}: too wide: {element}")));
        if let Some(axe) = axe {
            let found = violations(browser, axe);
            wrong.extend(found.iter().map(|violation| format!("{place}: {violation}")));
        }
        let complaints = browser.complaints();
        wrong.extend(complaints.iter().map(|text| format!("{place}: {text}")));
    }
    wrong
}

/// Elements that make a page scroll horizontally.
const WIDER_THAN_THE_WINDOW: &str = "
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    return [...document.querySelectorAll('body *')]
        .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1)
        .slice(0, 3).map(e => e.outerHTML.slice(0, 120));";

fn violations(browser: &Browser, axe: &str) -> Vec<String> {
    browser.script(axe);
    let found = browser.script_async(
        "const done = arguments[arguments.length - 1];
         axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
            .then(r => done(r.violations.map(v => v.id + ': ' + v.help + ' at ' + v.nodes.map(n => n.html.slice(0, 120)).slice(0, 3).join(' | '))))
            .catch(e => done(['axe: ' + e]));",
    );
    let found: Vec<Value> = found.as_array().unwrap().clone();
    found.iter().map(ToString::to_string).collect()
}

/// Source of axe-core, if available.
pub fn axe() -> Option<String> {
    let Some(path) = std::env::var_os(AXE) else {
        skipped(REQUIRE_AXE, "no axe-core named by HOOKPOST_TEST_AXE");
        return None;
    };
    Some(std::fs::read_to_string(path).unwrap())
}

/// One page of each kind that an administrator can open.
fn a_page_of_each_kind(hub: &Hub) -> Vec<String> {
    let mut kinds = BTreeSet::new();
    let pages = crawl(&hub.administrator(), "/").into_iter();
    pages
        .filter(|page| kinds.insert(kind(&page.path)) && !page.path.starts_with("/docs"))
        .map(|page| page.path)
        .collect()
}

#[test]
fn every_page_is_whole_in_light_and_dark_narrow_and_wide() {
    let hub = populated();
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    let axe = axe();
    let setup = hub.running.setup_link().unwrap().unwrap();
    let setup = setup.strip_prefix(&hub.at("")).unwrap();
    let mut wrong = inspect(&browser, "/login", axe.as_deref());
    wrong.extend(inspect(&browser, setup, axe.as_deref()));
    let pages = a_page_of_each_kind(&hub);
    wrong.extend(inspect(&browser, "/login", axe.as_deref()));
    browser.sign_in("anna");
    for path in &pages {
        wrong.extend(inspect(&browser, path, axe.as_deref()));
    }
    for path in ["/docs", "/docs?q=retry", "/docs/receiving", "/docs/errors", "/docs/api"] {
        wrong.extend(inspect(&browser, path, axe.as_deref()));
    }
    assert!(wrong.is_empty(), "{} faults: {wrong:#?}", wrong.len());
}

#[test]
fn every_page_is_whole_without_a_script_too() {
    let hub = populated();
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    let pages = a_page_of_each_kind(&hub);
    browser.sign_in("anna");
    browser.allow_script(false);
    let mut wrong = Vec::new();
    for path in &pages {
        for width in [320, 1280] {
            browser.resize(width, 900);
            browser.go(path);
            let wide = browser.script(WIDER_THAN_THE_WINDOW);
            let wide = wide.as_array().unwrap();
            wrong.extend(wide.iter().map(|element| format!("{path} ({width} px): {element}")));
            wrong.extend(browser.complaints());
        }
    }
    assert!(wrong.is_empty(), "{} faults: {wrong:#?}", wrong.len());
}

#[test]
fn from_the_printed_link_to_a_verified_delivery() {
    let hub = Hub::with(|options| options.allow_targets.clear());
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    browser.go_to(&hub.running.setup_link().unwrap().unwrap());
    browser.fill("#name", "anna");
    browser.fill("#password", PASSWORD);
    browser.click_text("Create account");
    browser.wait_for("[name=target]");
    assert_eq!(browser.path(), "/setup/webhook");
    // The built-in inbox is preselected.
    browser.click("main form button.primary");
    browser.wait_for_text("Delivered. The signature is valid.");
    assert!(browser.path().starts_with("/setup/done"), "{}", browser.path());
    browser.click_text("Create API key");
    browser.wait_for_text("Waiting for your first event");
    hub.publish("content.published", serde_json::json!({}));
    browser.wait_for_text("Your event arrived");
    assert!(!browser.text("#key").is_empty(), "the key stays on the page");
    browser.go("/inbox");
    browser.wait_for("[data-status=verified]");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_page_shows_what_changed_without_being_loaded_again() {
    let hub = Hub::start();
    hub.add_user("anna", hookpost::store::user::Role::Administrator);
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    browser.sign_in("anna");
    browser.go("/webhooks");
    browser.script("window.sameDocument = true");
    hub.add_webhook_with("http://127.0.0.1:9/", &serde_json::json!({"description": "Just made"}));
    browser.wait_for_text("Just made");
    assert_eq!(browser.script("return window.sameDocument"), true);
}

#[test]
fn the_overview_shows_what_changed_too() {
    let hub = Hub::start();
    hub.add_user("anna", hookpost::store::user::Role::Administrator);
    hub.add_webhook("http://127.0.0.1:9/");
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    browser.sign_in("anna");
    browser.go("/");
    browser.script("window.sameDocument = true");
    let gone = Receiver::answering(410);
    hub.add_webhook_with(gone.url(), &serde_json::json!({"description": "Just disabled"}));
    hub.publish("a.b", serde_json::json!({}));
    hub.deliver_until_idle();
    browser.wait_for_text("Just disabled");
    assert_eq!(browser.script("return window.sameDocument"), true);
}

#[test]
fn keys_lead_from_page_to_page() {
    let hub = Hub::start();
    hub.add_user("anna", hookpost::store::user::Role::Administrator);
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    browser.sign_in("anna");
    browser.press("gd");
    browser.wait_for("a[href='/deliveries'][aria-current=page]");
    browser.press("/");
    assert_eq!(browser.script("return document.activeElement.id"), "find");
    let control_k = "document.activeElement.blur();
                     document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'k', ctrlKey: true, bubbles: true}));
                     return document.activeElement.id;";
    assert_eq!(browser.script(control_k), "find");
    browser.script("document.activeElement.blur()");
    browser.press("?");
    browser.wait_for("dialog#keys[open]");
}

#[test]
fn ticks_are_counted_in_a_bar_that_stays_in_sight() {
    let hub = populated();
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    hub.administrator();
    browser.sign_in("anna");
    browser.resize(1280, 600);
    browser.go("/deliveries");
    let bar = "const bar = document.querySelector('.bulk').getBoundingClientRect();
               return bar.top > 0 && bar.bottom <= innerHeight && document.documentElement.scrollHeight > 1.5 * innerHeight;";
    assert_eq!(browser.script(bar), Value::Bool(true), "the bar is below the window, or the list is too short to tell");
    assert_eq!(browser.text(".bulk [data-count]"), "0");
    browser.script("document.querySelectorAll('tbody .tick input:enabled')[0].click();");
    browser.script("document.querySelectorAll('tbody .tick input:enabled')[1].click();");
    assert_eq!(browser.text(".bulk [data-count]"), "2");
    browser.script("document.querySelector('[data-tick-all]').click();");
    let rows = browser.script("return String(document.querySelectorAll('tbody .tick input:enabled').length);");
    assert_eq!(Value::from(browser.text(".bulk [data-count]")), rows);
}
