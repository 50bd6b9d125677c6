//! The pages in a real browser: what only one can tell.

use serde_json::Value;

use crate::support::browser::{Browser, Scheme};
use crate::support::{Hub, skipped};

/// Where axe-core stands, a file of JavaScript.
const AXE: &str = "HOOKPOST_TEST_AXE";
/// Set where axe-core has to be there.
const REQUIRE_AXE: &str = "HOOKPOST_TEST_REQUIRE_AXE";

/// Widths of a window: the narrowest that the guidelines ask for, a tablet, a screen.
const WIDTHS: [u32; 3] = [320, 768, 1280];

/// Looks at a page in every way, and collects what is wrong with it.
fn inspect(browser: &Browser, path: &str, axe: Option<&str>) -> Vec<String> {
    let mut wrong = Vec::new();
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.prefer(scheme);
        for width in WIDTHS {
            browser.resize(width, 900);
            browser.go(path);
            let place = format!("{path} ({scheme:?}, {width} px)");
            let wide = browser.script(WIDER_THAN_THE_WINDOW);
            let wide = wide.as_array().unwrap();
            wrong.extend(
                wide.iter()
                    .map(|element| format!("{place}: too wide: {element}")),
            );
            if let Some(axe) = axe.filter(|_| width != 768) {
                let found = violations(browser, axe);
                wrong.extend(
                    found
                        .iter()
                        .map(|violation| format!("{place}: {violation}")),
                );
            }
            let complaints = browser.complaints();
            wrong.extend(complaints.iter().map(|text| format!("{place}: {text}")));
        }
    }
    wrong
}

/// What makes a page scroll sideways.
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

/// The text of axe-core, where it is at hand.
fn axe() -> Option<String> {
    let Some(path) = std::env::var_os(AXE) else {
        skipped(REQUIRE_AXE, "no axe-core named by HOOKPOST_TEST_AXE");
        return None;
    };
    Some(std::fs::read_to_string(path).unwrap())
}

#[test]
fn every_page_is_whole_in_light_and_dark_narrow_and_wide() {
    let hub = Hub::start();
    let Some(browser) = Browser::open(&hub) else {
        return;
    };
    let axe = axe();
    let setup = hub.running.setup_link().unwrap().unwrap();
    let setup = setup.strip_prefix(&hub.at("")).unwrap();
    let mut wrong = inspect(&browser, "/login", axe.as_deref());
    wrong.extend(inspect(&browser, setup, axe.as_deref()));
    hub.add_user("anna", hookpost::store::user::Role::Administrator);
    wrong.extend(inspect(&browser, "/login", axe.as_deref()));
    browser.sign_in("anna");
    for path in ["/webhooks", "/webhooks?state=paused"] {
        wrong.extend(inspect(&browser, path, axe.as_deref()));
    }
    let fields = serde_json::json!({"active": false, "description": "Shop", "retry": {"delays_s": [60, 61200]}});
    let webhook = hub.add_webhook_with(
        "http://127.0.0.1:9/a-long-path/that-goes-on/and-on",
        &fields,
    );
    hub.publish("order.paid", serde_json::json!({}));
    for tail in [
        "",
        "/settings",
        "/secret",
        "/metrics",
        "/edit",
        "/test",
        "/replay",
        "/delete",
        "/resume",
    ] {
        wrong.extend(inspect(
            &browser,
            &format!("/webhooks/{webhook}{tail}"),
            axe.as_deref(),
        ));
    }
    wrong.extend(inspect(&browser, "/webhooks/new", axe.as_deref()));
    assert!(wrong.is_empty(), "{wrong:#?}");
}
