//! `/webhooks`: filters, empty states, and the health of each webhook.

use hookpost::domain::webhook::Webhook;
use hookpost::store::{StoreError, webhook};
use serde_json::json;

use super::assert_has;
use crate::support::receiver::Receiver;
use crate::support::{Hub, fixtures};

#[test]
fn without_a_webhook_the_list_names_the_first_step() {
    let hub = Hub::start();
    let page = hub.administrator().page("/webhooks");
    assert_has(&page, "No webhooks yet");
    assert!(page.links_to("/webhooks/new"));
}

#[test]
fn the_list_is_filtered_by_state_tenant_type_and_text() {
    let hub = Hub::start();
    let billing = json!({"description": "Billing of the shop", "tenant": "acme", "events": ["invoice.*"]});
    let billing = hub.add_webhook_with("http://127.0.0.1:9/billing", &billing);
    let other = hub.add_webhook_with("http://127.0.0.1:9/Other", &json!({"events": ["order.paid"]}));
    hub.patch(&format!("/v1/webhooks/{other}"), &json!({"active": false})).expect(200);
    let anna = hub.administrator();
    for (query, shows_billing, shows_other) in [
        ("", true, true),
        ("q=bILLing", true, false),
        ("q=/other", false, true),
        (&format!("q={billing}"), true, false),
        ("q=%25", false, false),
        ("q=%00", false, false),
        ("tenant=acme", true, false),
        ("state=paused", false, true),
        ("event=invoice.paid", true, false),
        ("state=paused&tenant=acme", false, false),
    ] {
        let page = anna.page(&format!("/webhooks?{query}"));
        assert_eq!(page.links_to(&format!("/webhooks/{billing}")), shows_billing, "{query}");
        assert_eq!(page.links_to(&format!("/webhooks/{other}")), shows_other, "{query}");
        assert_eq!(page.contains("No webhooks match"), !shows_billing && !shows_other, "{query}");
    }
    let page = anna.page("/webhooks?q=billing&state=active");
    assert_eq!(page.get("input#q").attribute("value"), Some("billing"));
    assert_eq!(page.field("state").as_deref(), Some("active"));
}

#[test]
fn a_filter_that_cannot_be_read_is_said_on_the_page() {
    let hub = Hub::start();
    hub.add_webhook("http://127.0.0.1:9/");
    let anna = hub.administrator();
    for query in ["state=broken", "tenant=a%20b", "cursor=%3F", "event=.."] {
        let page = anna.page(&format!("/webhooks?{query}"));
        assert_has(&page, "The list could not be loaded");
        assert!(page.has_button("Try again") && page.has_button("Clear filters"), "{page}");
    }
}

#[test]
fn the_next_page_keeps_the_filters() {
    let hub = Hub::start();
    for _ in 0..51 {
        hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "acme"}));
    }
    let anna = hub.administrator();
    let page = anna.page("/webhooks?tenant=acme&q=127");
    let next = page.next().unwrap();
    assert!(next.starts_with("/webhooks?q=127&tenant=acme&cursor="), "{next}");
    let next = anna.page(next);
    assert_eq!(next.rows().len(), 1);
    assert_eq!(next.next(), None);
    assert_eq!(next.previous(), Some("/webhooks?q=127&tenant=acme"));
}

#[test]
fn a_search_finds_the_oldest_of_10_000_webhooks() {
    let hub = Hub::start();
    let inserted = hub.running.app.actions.store.write(|tx| {
        for number in 0..10_000 {
            let url = if number == 0 { "https://needle.example/" } else { "https://hay.example/" };
            let webhook = Webhook { url: url.parse().unwrap(), ..fixtures::webhook(number, "default") };
            webhook::insert_row(tx.connection(), &webhook)?;
        }
        Ok::<_, StoreError>(())
    });
    inserted.wait().unwrap();
    let page = hub.administrator().page("/webhooks?q=NEEDLE");
    assert_eq!(page.rows().len(), 1, "{page}");
    assert!(page.contains("needle.example") && page.next().is_none(), "{page}");
}

#[test]
fn each_row_says_how_the_webhook_fares_and_how_that_is_counted() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let fields = json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}});
    hub.add_webhook_with(receiver.url(), &fields);
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    receiver.behave(crate::support::receiver::Behaviour::Answer(crate::support::receiver::Reply::status(200)));
    for _ in 0..2 {
        hub.publish("a.b", json!({}));
    }
    hub.deliver_until_idle();
    let page = hub.administrator().page("/webhooks");
    assert_eq!(page.column("Success rate"), ["66.6 %"]);
    assert!(page.get("[data-label=\"Success rate\"] [title]").attribute("title").unwrap().contains("2 ÷ 3"));
    assert_has(&page, "Last 24 hours: 2 delivered, 1 failed");
    assert!(page.has("time[datetime=2026-01-15T10:00:00.000Z]"));
}
