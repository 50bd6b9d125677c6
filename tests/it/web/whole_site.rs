//! Rules for all pages. The pages are found by their links.

use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::crawl::{CrawledPage, crawl, kind};
use crate::support::receiver::{Receiver, Reply};

/// Markup, template braces, SQL, a right-to-left override and an emoji, for names, values and responses.
pub const NASTY: &str =
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}{% raw %}%00';--\u{202e}x\u{1f600}";

/// Starts a hub with data of every kind, and with malicious texts in it.
pub fn populated() -> Hub {
    let hub = Hub::start();
    let echo = Receiver::with(|_| {
        Reply::status(200).header("X-Odd", "<b>bold</b>").body(format!("<script>alert(3)</script>{NASTY}"))
    });
    let failing = Receiver::with(|_| Reply::status(500).body(NASTY.to_owned()));
    let gone = Receiver::answering(410);
    let auth =
        json!({"type": "basic", "username": NASTY.replace([':', '\n', '\r'], ""), "password": "hidden-password"});
    let description = json!({"description": NASTY, "headers": {"X-Api-Token": "hidden-header"}, "auth": auth});
    let types = hub.call_with(
        &hub.key,
        "PUT",
        "/v1/event-types/content.published",
        Some(&json!({"description": NASTY, "example": {"title": NASTY}}).to_string()),
    );
    assert!(types.status < 300, "{}", types.text);
    let profile = json!({"based_on": "generic", "title": NASTY});
    let profile = hub.call_with(&hub.key, "PUT", "/v1/profiles/own", Some(&profile.to_string()));
    assert!(profile.status < 300, "{}", profile.text);
    let key = json!({"name": NASTY, "scope": "read"});
    hub.post("/v1/api-keys", &key).expect(201);
    let echoing = hub.add_webhook_with(echo.url(), &description);
    hub.add_webhook_with(failing.url(), &description);
    hub.add_webhook_with(gone.url(), &json!({"profile": "standard", "events": ["content.*"]}));
    hub.add_webhook_with(echo.url(), &json!({"profile": "own", "active": false}));
    hub.add_webhook_with(echo.url(), &json!({"tenant": "other-tenant", "events": ["content.*"], "auth": auth}));
    let data = json!({"title": NASTY, "<b>": [1, 2.50, null]});
    hub.publish("content.published", data.clone());
    hub.publish("content.deleted", json!({"a": 1}));
    let other = json!({"type": "content.published", "data": data, "tenant": "other-tenant"});
    hub.post("/v1/events", &other).expect(202);
    hub.deliver_until_idle();
    for _ in 0..5 {
        hub.advance(3 * hookpost::domain::time::HOUR);
        hub.deliver_until_idle();
    }
    let test = format!("/v1/webhooks/{echoing}/test");
    hub.post(&test, &json!({})).expect(200);
    let rotate = format!("/v1/webhooks/{echoing}/secret/rotate");
    hub.post(&rotate, &json!({})).expect(200);
    hub
}

fn assert_whole(pages: &[CrawledPage]) {
    let mut wrong = Vec::new();
    for CrawledPage { path, page } in pages {
        for raw in ["<script>alert", "<img src=x", "<b>bold", "{{7*7}}<", "\"onerror=alert(2)>"] {
            if page.source().contains(raw) {
                wrong.push(format!("{path} holds {raw}"));
            }
        }
        for element in page.all("") {
            let inline = |name: &str| name == "style" || name.starts_with("on");
            let is_inline_script = element.tag() == "script" && !element.has_attribute("src");
            if is_inline_script || element.tag() == "style" || element.attributes().iter().any(|(name, _)| inline(name))
            {
                wrong.push(format!("{path} holds a style or script in {}", element.tag()));
            }
        }
        if page.holds("javascript:") {
            wrong.push(format!("{path} holds javascript:"));
        }
        for part in ["h1", "main", "html[lang=en]", "head title"] {
            if !page.has(part) {
                wrong.push(format!("{path} has no {part}"));
            }
        }
        if page.holds("hidden-header") || page.holds("hidden-password") {
            wrong.push(format!("{path} shows a masked header"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_page_shows_markup_as_text_and_runs_nothing() {
    let hub = populated();
    let pages = crawl(&hub.administrator(), "/");
    assert!(pages.len() > 30, "{}", pages.len());
    assert!(pages.iter().any(|found| found.page.contains(NASTY)));
    assert_whole(&pages);
}

#[test]
fn a_viewer_can_look_at_every_page_and_finds_no_secret_and_nothing_to_change() {
    let hub = populated();
    let secrets = secrets(&hub);
    let pages = crawl(&hub.viewer(), "/");
    assert_whole(&pages);
    for CrawledPage { path, page } in &pages {
        for secret in &secrets {
            assert!(!page.holds(secret.as_str()), "{path} shows a secret");
        }
        for form in page.forms() {
            assert!(form.action().starts_with("/account"), "{path} has a form to {}", form.action());
        }
    }
}

#[test]
fn no_page_shows_a_secret_that_nobody_asked_for() {
    let hub = populated();
    let secrets = secrets(&hub);
    for CrawledPage { path, page } in crawl(&hub.administrator(), "/") {
        for secret in &secrets {
            assert!(!page.holds(secret.as_str()), "{path} shows a secret");
        }
    }
}

#[test]
fn the_people_of_a_tenant_find_nothing_of_another_on_any_page() {
    let hub = populated();
    let webhooks = hub.get("/v1/webhooks?tenant=default").expect(200).json();
    let foreign: Vec<String> =
        webhooks["data"].as_array().unwrap().iter().map(|webhook| webhook["id"].as_str().unwrap().to_owned()).collect();
    let pages = crawl(&hub.portal("other-tenant"), "/");
    assert_whole(&pages);
    for CrawledPage { path, page } in &pages {
        for id in &foreign {
            assert!(!page.holds(id.as_str()), "{path} shows {id}");
        }
        assert!(!page.holds("content.deleted"), "{path} shows another tenant's event type");
        for word in ["/settings", "/profiles"] {
            assert!(!kind(path).starts_with(word), "{path} is for operators");
        }
    }
}

fn secrets(hub: &Hub) -> Vec<String> {
    let webhooks = hub.get("/v1/webhooks").expect(200).json();
    let ids = webhooks["data"].as_array().unwrap().iter();
    let secret = |id: &Value| {
        let path = format!("/v1/webhooks/{}/secret", id["id"].as_str().unwrap());
        hub.get(&path).expect(200).json()["secret"].as_str().unwrap().to_owned()
    };
    ids.map(secret).collect()
}
