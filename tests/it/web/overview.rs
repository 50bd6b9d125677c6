//! The overview: problems, and the last 24 hours.

use hookpost::domain::time::{HOUR, MINUTE};
use serde_json::json;

use crate::support::Hub;
use crate::support::receiver::Receiver;

#[test]
fn an_empty_server_shows_the_first_step_and_itself() {
    let hub = Hub::start();
    let page = hub.administrator().page("/");
    for text in ["No webhooks yet", "Free disk", "Write-ahead log", env!("CARGO_PKG_VERSION")] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(page.links_to("/webhooks/new"));
    let page = hub.viewer().page("/");
    assert!(page.contains("An administrator can create one") && !page.holds("/webhooks/new"));
}

#[test]
fn the_last_day_is_told_in_numbers_bars_and_words() {
    let hub = Hub::start();
    let good = Receiver::answering(200);
    let bad = Receiver::answering(500);
    hub.add_webhook_with(good.url(), &json!({"description": "Good one"}));
    let retry = json!({"delays_s": [60], "exhausted": "dead_letter"});
    let failing = hub.add_webhook_with(bad.url(), &json!({"description": "<b>Bad</b> one", "retry": retry}));
    let visitor = hub.administrator();
    let page = visitor.page("/");
    assert!(page.contains("All webhooks are healthy"), "{page}");
    assert!(page.contains("No deliveries finished in the last 24 hours"));

    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    let page = visitor.page("/");
    assert!(page.contains("1 delivery is failing and being retried"), "{page}");
    assert!(page.links_below(&format!("/webhooks/{failing}")));
    assert!(page.contains("100 %"), "{page}");
    assert!(page.contains("Oldest: "), "{page}");

    hub.advance(2 * MINUTE);
    hub.deliver_until_idle();
    let page = visitor.page("/");
    for text in [
        "1 dead letter",
        "50 %",
        "delivered ÷ (delivered + failed)",
        "10:00 UTC: 1 delivered, 1 failed",
        "order.paid",
        "500",
        "<b>Bad</b> one",
        "None queued",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.source().contains("<b>Bad"));
    let chart = page.get(".chart svg[role=group]").attribute("aria-label");
    assert!(chart.unwrap().contains("Last 24 hours: 1 delivered, 1 failed"), "{chart:?}");
    hub.advance(26 * HOUR);
    let page = hub.viewer().page("/");
    assert!(page.contains("No deliveries finished in the last 24 hours"));
    assert!(page.contains("1 dead letter"));
}

#[test]
fn webhooks_that_are_disabled_or_unverified_are_named_with_the_reason() {
    let hub = Hub::start();
    let gone = Receiver::answering(410);
    let disabled = hub.add_webhook_with(gone.url(), &json!({"description": "Gone"}));
    let silent = Receiver::answering(200);
    let unverified = hub.add_webhook_with(silent.url(), &json!({"profile": "influship"}));
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    let page = hub.administrator().page("/");
    assert!(page.contains("Needs attention"), "{page}");
    for text in ["Disabled", "Unverified", "410"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    for id in [disabled, unverified] {
        assert!(page.links_below(&format!("/webhooks/{id}")), "{id} in {page}");
    }
}

#[test]
fn the_people_of_a_tenant_see_their_own_and_nothing_of_the_machine() {
    let hub = Hub::start();
    let bad = Receiver::answering(500);
    hub.add_webhook_with(bad.url(), &json!({"tenant": "globex", "description": "Secret of globex"}));
    let event = json!({"type": "globex.only", "data": {}, "tenant": "globex"});
    hub.post("/v1/events", &event).expect(202);
    hub.deliver_until_idle();
    let theirs = hub.portal("acme").page("/");
    assert!(theirs.contains("No webhooks yet"));
    hub.add_webhook_with(bad.url(), &json!({"tenant": "acme", "description": "Own one"}));
    let theirs = hub.portal("acme").page("/");
    assert!(theirs.contains("All webhooks are healthy"), "{theirs}");
    for text in ["globex", "Free disk", "Write-ahead", "Authorization", "/settings"] {
        assert!(!theirs.holds(text), "{text} in {theirs}");
    }
    let globex = hub.portal("globex").page("/");
    assert!(globex.contains("Secret of globex") && globex.contains("globex.only"));
}
