//! What must hold on every page, whoever adds one: the pages are found by their links.

use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::crawl::{Found, crawl, kind};
use crate::support::receiver::{Receiver, Reply};

/// Markup, braces of templates, SQL, a turn of the direction of writing, a picture: as a name, a value, an answer.
pub const NASTY: &str =
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}{% raw %}%00';--\u{202e}x\u{1f600}";

/// A hub with one of everything, its texts as nasty as they may be.
pub fn populated() -> Hub {
    let hub = Hub::start();
    let echo = Receiver::with(|_| {
        Reply::status(200).header("X-Odd", "<b>bold</b>").body(format!("<script>alert(3)</script>{NASTY}"))
    });
    let failing = Receiver::with(|_| Reply::status(500).body(NASTY.to_owned()));
    let gone = Receiver::answering(410);
    let description = json!({"description": NASTY, "headers": {"X-Api-Token": "hidden-header"}});
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
    hub.add_webhook_with(echo.url(), &json!({"tenant": "other-tenant", "events": ["content.*"]}));
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

fn assert_whole(pages: &[Found]) {
    let mut wrong = Vec::new();
    for Found { path, text } in pages {
        for raw in ["<script>alert", "<img src=x", "<b>bold", "{{7*7}}<", "onerror=alert(2)>"] {
            let is_raw = if raw.starts_with('<') { text.contains(raw) } else { text.contains(&format!("\"{raw}")) };
            if is_raw {
                wrong.push(format!("{path} holds {raw}"));
            }
        }
        for inline in ["<script>", "<style", " style=\"", " onclick=", "javascript:"] {
            if text.contains(inline) {
                wrong.push(format!("{path} holds {inline}"));
            }
        }
        for part in ["<h1", "<main", "lang=\"en\"", "<title>"] {
            if !text.contains(part) {
                wrong.push(format!("{path} has no {part}"));
            }
        }
        if text.contains("hidden-header") {
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
    assert!(
        pages
            .iter()
            .any(|page| page.text.contains("&lt;script&gt;alert(1)") || page.text.contains("&#60;script&#62;alert(1)"))
    );
    assert_whole(&pages);
}

#[test]
fn a_viewer_can_look_at_every_page_and_finds_no_secret_and_nothing_to_change() {
    let hub = populated();
    let secrets = secrets(&hub);
    let pages = crawl(&hub.viewer(), "/");
    assert_whole(&pages);
    for Found { path, text } in &pages {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{path} shows a secret");
        }
        for form in text.split("<form ").skip(1) {
            let tag = &form[..form.find('>').unwrap()];
            let may = ["/logout", "/account", "method=\"get\"", "method=\"dialog\""];
            assert!(may.iter().any(|part| tag.contains(part)), "{path} has a form: {tag}");
        }
    }
}

#[test]
fn no_page_shows_a_secret_that_nobody_asked_for() {
    let hub = populated();
    let secrets = secrets(&hub);
    for Found { path, text } in crawl(&hub.administrator(), "/") {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{path} shows a secret");
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
    for Found { path, text } in &pages {
        for id in &foreign {
            assert!(!text.contains(id.as_str()), "{path} shows {id}");
        }
        assert!(!text.contains("content.deleted"), "{path} shows another tenant's event type");
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
