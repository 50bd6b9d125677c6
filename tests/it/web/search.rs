//! `/search`, searches in the lists, and what rows show of an event.

use std::time::Duration;

use serde_json::json;

use super::whole_site::NASTY;
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

/// A failed delivery of order 1001 of `acme`, beside a delivered one of `globex`.
fn order_1001() -> (Hub, Receiver, Receiver) {
    let hub = Hub::start();
    let (failing, fine) = (Receiver::answering(500), Receiver::start());
    let retry = json!({"delays_s": [], "exhausted": "dead_letter"});
    hub.add_webhook_with(failing.url(), &json!({"tenant": "acme", "retry": retry, "description": "Shop of acme"}));
    hub.add_webhook_with(fine.url(), &json!({"tenant": "globex", "description": "Shop of globex"}));
    for tenant in ["acme", "globex"] {
        let data = json!({"customer": "x".repeat(300), "order_number": "ORD-1001", "of": tenant});
        hub.post("/v1/events", &json!({"type": "order.paid", "tenant": tenant, "data": data})).expect(202);
    }
    hub.deliver_until_idle();
    (hub, failing, fine)
}

#[test]
fn the_webhook_for_order_1001_is_found_and_sent_again_with_two_clicks() {
    let (hub, failing, _fine) = order_1001();
    let anna = hub.administrator();
    let start = anna.page("/");
    let field = start.get("form.find input[type=search]");
    assert_eq!((field.attribute("name"), field.attribute("value")), (Some("q"), Some("")));
    let page = anna.page("/search?q=ord-1001");
    assert_eq!(page.get("form.find input").attribute("value"), Some("ord-1001"));
    assert_eq!(page.heading(), "Results for “ ord-1001 ”");
    assert_eq!(page.column("Tenant"), ["globex", "acme"]);
    let marked: Vec<String> = page.all("mark").into_iter().map(|mark| mark.text()).collect();
    assert_eq!(marked, ["ORD-1001", "ORD-1001"], "the excerpt is around the text");
    let delivery = page.link("Failed Shop of acme").unwrap().to_owned();
    failing.behave(Behaviour::Answer(Reply::status(200)));
    assert!(anna.page(&delivery).has_button("Retry"));
    let page = anna.submit_and_follow(&format!("{delivery}/retry"), &[]);
    assert!(page.has_flash("Queued for retry now. A new series of attempts starts."));
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(delivery.rsplit('/').next().unwrap()), "delivered");
}

#[test]
fn a_search_shows_results_by_kind_and_says_when_there_are_none() {
    let (hub, _failing, _fine) = order_1001();
    let anna = hub.administrator();
    let page = anna.page("/search?q=acme");
    let kinds: Vec<String> = page.all("main h2").into_iter().map(|heading| heading.text()).collect();
    assert_eq!(kinds, ["Webhooks", "Tenants", "Events"]);
    assert!(page.links_to("/webhooks?tenant=acme") && page.links_to("/deliveries?q=acme"));
    assert_eq!(anna.page("/search?q=order").all("main h2").len(), 2, "event types and events");
    let page = anna.page("/search?q=ord-1009");
    assert!(page.contains("Nothing found") && page.next().is_none(), "{page}");
    assert!(anna.page("/search").contains("an order number"));
    let long = anna.page(&format!("/search?q={}", "x".repeat(201)));
    assert!(long.contains("Search for a text of 1 to 200 characters."));
    let delivery = hub.get("/v1/deliveries").json()["data"][0]["id"].as_str().unwrap().to_owned();
    let page = anna.page(&format!("/search?q={}", &delivery[..24]));
    assert!(page.links_to(&format!("/deliveries/{delivery}")), "{page}");
}

#[test]
fn a_whole_id_leads_to_what_has_it() {
    let (hub, _failing, _fine) = order_1001();
    let anna = hub.administrator();
    let delivery = hub.get("/v1/deliveries?tenant=acme").json()["data"][0].clone();
    let text = |field: &str| delivery[field].as_str().unwrap().to_owned();
    for (id, path) in [
        (text("id"), format!("/deliveries/{}", text("id"))),
        (text("webhook_id"), format!("/webhooks/{}", text("webhook_id"))),
        (text("event_id"), format!("/events/{}?tenant=acme", text("event_id"))),
    ] {
        let answer = anna.get(&format!("/search?q=+{id}+")).expect(303);
        assert_eq!(answer.header("location"), Some(path.as_str()));
        let page = hub.portal("globex").page(&format!("/search?q={id}"));
        assert!(page.contains("Nothing found"), "{page}");
    }
    let answer = hub.portal("acme").get(&format!("/search?q={}", text("event_id"))).expect(303);
    assert_eq!(answer.header("location"), Some(format!("/portal/events/{}", text("event_id")).as_str()));
}

#[test]
fn people_of_a_tenant_find_their_own_things_only() {
    let (hub, _failing, _fine) = order_1001();
    let acme = hub.portal("acme");
    let page = acme.page("/search?q=ord-1001");
    assert_eq!(page.get("form.find").attribute("action"), Some("/portal/search"));
    assert_eq!(page.rows().len(), 1, "{page}");
    assert!(page.link("Failed Shop of acme").unwrap().starts_with("/portal/deliveries/dlv_"));
    assert!(!page.holds("globex"), "{page}");
    for path in
        ["/search?q=shop", "/search?q=order", "/events?q=ord-1001", "/deliveries?q=ord-1001", "/webhooks?q=shop"]
    {
        let page = acme.page(path);
        assert!(page.holds("order.paid") || page.holds("Shop of acme"), "{path}");
        assert!(!page.holds("globex"), "{path}");
    }
    assert!(acme.page("/search?q=globex").contains("Nothing found"));
}

#[test]
fn lists_search_in_the_data_and_say_how_far_they_came() {
    let (mut hub, _failing, _fine) = order_1001();
    for number in 0..1_100 {
        hub.publish("noise.made", json!({"number": number}));
    }
    hub.deliver_until_idle();
    hub.restart_with(|options| options.search_time = Duration::ZERO);
    let anna = hub.administrator();
    for path in ["/search?q=ord-1001", "/events?q=ord-1001"] {
        let mut page = anna.page(path);
        let mut steps = 0;
        while page.rows().is_empty() {
            steps += 1;
            assert!(page.contains("Searched back to 2026-01-15 10:00:00 UTC."), "{page}");
            assert!(page.contains("No event found so far."), "{page}");
            let next = page.link("Search older ones").unwrap().to_owned();
            assert_eq!(Some(next.as_str()), page.next());
            page = anna.page(&next);
        }
        assert_eq!((page.rows().len(), steps), (2, 2), "{page}");
        assert!(!page.contains("Searched back to"));
    }
}

#[test]
fn a_search_of_deliveries_offers_what_fits_its_matches() {
    let (hub, _failing, _fine) = order_1001();
    let anna = hub.administrator();
    let page = anna.page("/deliveries?q=ORD-1001&status=failed");
    assert_eq!(page.rows().len(), 1, "{page}");
    assert_eq!(page.get("input#q").attribute("value"), Some("ORD-1001"));
    assert!(page.get("tbody mark").text() == "ORD-1001" && !page.has("#deliveries[data-live]"));
    assert!(page.has_button("Retry selected") && !page.holds("Retry all matches"));
    let back = anna.page(page.get("[data-row]").attribute("href").unwrap());
    assert!(back.links_to("/deliveries?q=ORD-1001&status=failed"), "{back}");
    for action in ["retry", "discard"] {
        let path = format!("/deliveries/{action}");
        let refused = anna.get(&format!("{path}?q=ORD-1001")).expect(422);
        assert!(refused.text.contains("All matches of a text cannot be changed at once."));
        anna.submit(&path, &[("q", "x"), ("all", "yes"), ("confirmed", "yes")]).expect(422);
    }
    anna.get("/failed/export?q=ORD-1001").expect(422);
}

#[test]
fn rows_show_the_id_of_the_event_and_the_beginning_of_its_data() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let receipt = hub.publish("order.paid", json!({"order": 1001, "text": "é".repeat(500)}));
    hub.deliver_until_idle();
    let anna = hub.administrator();
    let id = receipt["id"].as_str().unwrap();
    for path in ["/events".to_owned(), "/deliveries".to_owned(), format!("/webhooks/{webhook}")] {
        let page = anna.page(&path);
        assert!(page.contains(id), "{path}: {page}");
        assert!(page.contains("{\"order\":1001,\"text\":\"éé") && page.contains("é…"), "{path}: {page}");
    }
    // Its own page shows it once.
    assert!(!anna.page(&format!("/events/{id}")).has(".preview"));
}

#[test]
fn results_show_markup_as_text() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"description": NASTY}));
    hub.publish("odd.type", json!({"text": NASTY}));
    hub.deliver_until_idle();
    let anna = hub.administrator();
    for q in ["%3Cscript%3E", "onerror", "alert(1)", "%7B%7B7*7%7D%7D", "%00", "%E2%80%AE"] {
        for path in ["/search", "/events", "/deliveries", "/webhooks"] {
            let page = anna.page(&format!("{path}?q={q}"));
            assert!(!page.source().contains("<script>alert") && !page.source().contains("<img src=x"), "{path} {q}");
            assert!(path == "/webhooks" || q == "%00" || page.has("mark"), "{path} {q}: {page}");
        }
    }
}
