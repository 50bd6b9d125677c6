//! Changes of several deliveries at once, and the page of dead letters.

use serde_json::json;

use hookpost::domain::time::{HOUR, MINUTE};

use super::deliveries::{World, location, once};
use crate::support::Hub;
use crate::support::receiver::Receiver;

#[test]
fn what_is_ticked_is_retried_and_the_filter_is_kept() {
    let world = World::new();
    let visitor = world.hub.administrator();
    let back = "/deliveries?status=failed";
    visitor.page(back);
    let fields = [("id", world.failed.as_str()), ("id", world.retrying.as_str()), ("back", back)];
    let answer = visitor.submit("/deliveries/retry", &fields).expect(303);
    assert_eq!(location(&answer), back);
    let page = visitor.page(back);
    assert!(page.has_flash("Queued for retry: 2 deliveries."), "{page}");
    assert!(!page.has_flash("Skipped") && !page.source().to_lowercase().contains("successful"));
    world.hub.deliver_until_idle();
    assert_eq!(world.hub.delivery(&world.failed)["attempt_count"], 2);
    assert_eq!(world.hub.delivery(&world.retrying)["attempt_count"], 2);
    let nothing = visitor.submit_and_follow("/deliveries/retry", &[("back", back)]);
    assert!(nothing.has_flash("Select at least one delivery."));
}

#[test]
fn ticked_deliveries_that_were_delivered_are_sent_again_after_a_confirmation_that_counts_them() {
    let world = World::new();
    let hub = &world.hub;
    let visitor = hub.administrator();
    let back = "/deliveries?type=a.*";
    visitor.page(back);
    let ids = [("id", world.failed.as_str()), ("id", world.delivered.as_str()), ("back", back)];
    let asked = visitor.submit("/deliveries/retry", &ids).expect(200).page();
    assert_eq!(asked.heading(), "Retry 2 deliveries?");
    assert!(asked.contains("1 of them was delivered before and will be sent again."), "{asked}");
    hub.deliver_until_idle();
    for id in [&world.failed, &world.delivered] {
        assert_eq!(hub.delivery(id)["attempt_count"], 1, "it asks first");
    }
    let fields = asked.form("/deliveries/retry").unwrap().fields();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = visitor.submit("/deliveries/retry", &fields).expect(303);
    assert_eq!(location(&answer), back);
    let page = visitor.follow(&answer).page();
    assert!(page.has_flash("Queued for retry: 2 deliveries.") && !page.has_flash("Skipped"), "{page}");
    hub.deliver_until_idle();
    for id in [&world.failed, &world.delivered] {
        assert_eq!(hub.delivery(id)["attempt_count"], 2);
    }
    let alone = visitor.submit("/deliveries/retry", &[("id", world.delivered.as_str())]).expect(200).page();
    assert_eq!(alone.heading(), "Retry 1 delivery?");
    assert!(alone.contains("It was delivered before and will be sent again."), "{alone}");
}

#[test]
fn ticked_deliveries_that_cannot_be_retried_are_counted_and_the_page_says_which_kinds_they_are() {
    let world = World::new();
    let hub = &world.hub;
    hub.post(&format!("/v1/deliveries/{}/discard", world.retrying), &json!({})).expect(202);
    let visitor = hub.administrator();
    visitor.page("/deliveries");
    let ids = [("id", world.failed.as_str()), ("id", world.retrying.as_str())];
    let page = visitor.submit_and_follow("/deliveries/retry", &ids);
    assert!(page.has_flash("Queued for retry: 1 delivery.") && page.has_flash("Skipped: 1 delivery."), "{page}");
    assert!(page.has_flash("discarded deliveries"), "{page}");
    let page = visitor.submit_and_follow("/deliveries/retry", &ids[1..]);
    assert!(page.flash_error().unwrap().starts_with("Nothing was queued. Skipped: 1 delivery."), "{page}");
}

#[test]
fn all_that_match_are_counted_first_and_then_retried() {
    let world = World::new();
    let hub = &world.hub;
    let visitor = hub.administrator();
    for _ in 0..4 {
        hub.publish("a.failed", json!({}));
    }
    hub.deliver_until_idle();
    let list = visitor.page("/deliveries?status=failed&type=a.failed");
    let page = visitor.page(list.link("Retry all matches").unwrap());
    assert!(page.contains("Retry 5 deliveries?"), "{page}");
    assert_eq!(page.fact("Status").as_deref(), Some("failed"));
    assert_eq!(page.fact("Event type").as_deref(), Some("a.failed"));
    // Opening the page changed nothing.
    assert_eq!(hub.delivery(&world.failed)["attempt_count"], 1);
    let back = "/deliveries?status=failed&type=a.failed";
    let fields = [("status", "failed"), ("type", "a.failed"), ("all", "yes"), ("back", back)];
    // Without a confirmation, the page asks again.
    let asked = visitor.submit("/deliveries/retry", &fields).expect(200);
    assert!(asked.page().contains("Retry 5 deliveries?"));
    let confirmed = [&fields[..], &[("confirmed", "yes")]].concat();
    let answer = visitor.submit("/deliveries/retry", &confirmed).expect(303);
    assert_eq!(location(&answer), back);
    assert!(visitor.page(back).has_flash("Queued for retry: 5 deliveries."));
    hub.deliver_until_idle();
    assert_eq!(hub.delivery(&world.failed)["attempt_count"], 2);
    assert_eq!(hub.delivery(&world.retrying)["attempt_count"], 1);
}

#[test]
fn a_discard_asks_first_and_meets_what_waits_alone() {
    let world = World::new();
    let visitor = world.hub.administrator();
    visitor.page("/deliveries");
    let ids = [("id", world.retrying.as_str()), ("id", world.failed.as_str())];
    let asked = visitor.submit("/deliveries/discard", &ids).expect(200);
    assert!(asked.page().contains("Discard 1 delivery?"), "{}", asked.text);
    assert_eq!(world.hub.status_of(&world.retrying), "retrying");
    let confirmed = [&ids[..], &[("confirmed", "yes")]].concat();
    let page = visitor.submit_and_follow("/deliveries/discard", &confirmed);
    assert!(page.has_flash("Discarded: 1 delivery."));
    assert_eq!(world.hub.status_of(&world.retrying), "discarded");
    assert_eq!(world.hub.status_of(&world.failed), "failed");
    let nothing = visitor.page("/deliveries/discard?status=failed");
    assert!(nothing.contains("Nothing to discard") && !nothing.has("button.danger"));
}

#[test]
fn bad_bulk_forms_are_refused() {
    let world = World::new();
    let visitor = world.hub.administrator();
    visitor.page("/deliveries");
    for fields in [
        vec![("id", "dlv_nonsense")],
        vec![("all", "yes"), ("status", "lost"), ("confirmed", "yes")],
        vec![("all", "yes"), ("test", "true"), ("confirmed", "yes")],
        vec![("id", world.failed.as_str()); 1_001],
    ] {
        visitor.submit("/deliveries/retry", &fields).expect(422);
    }
    assert_eq!(world.hub.status_of(&world.failed), "failed");
}

#[test]
fn dead_letters_are_counted_by_cause_and_age_and_each_number_leads_to_them() {
    let hub = Hub::start();
    let bad = Receiver::answering(503);
    let mut fields = once();
    fields["events"] = json!(["a.status"]);
    hub.add_webhook_with(bad.url(), &fields);
    fields["events"] = json!(["a.refused"]);
    hub.add_webhook_with(Receiver::refused_url(), &fields);
    hub.publish("a.status", json!({}));
    hub.deliver_until_idle();
    hub.advance(2 * HOUR);
    for _ in 0..2 {
        hub.publish("a.status", json!({}));
    }
    hub.publish("a.refused", json!({}));
    hub.deliver_until_idle();
    hub.advance(30 * MINUTE);
    let visitor = hub.administrator();
    let page = visitor.page("/failed");
    assert!(page.contains("503 Service Unavailable") && page.contains("Connect refused"));
    let counts = page.all(".matrix td a");
    assert!(counts.len() >= 8, "{page}");
    for count in counts {
        let address = count.attribute("href").unwrap();
        assert_eq!(visitor.page(address).rows().len().to_string(), count.text(), "{address}");
    }
    let all = visitor.page(page.link("Retry all").unwrap());
    assert!(all.contains("Retry 4 deliveries?"));
    assert_eq!(all.field("back").as_deref(), Some("/failed"));
}

#[test]
fn dead_letters_are_downloaded_as_the_api_exports_them() {
    let world = World::new();
    let visitor = world.hub.administrator();
    let file = visitor.get("/failed/export").expect(200);
    assert_eq!(file.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(file.text, world.hub.get("/v1/dead-letters/export").text);
    assert_eq!(file.text.lines().count(), 1);
    let none = visitor.get("/failed/export?type=a.other").expect(200);
    assert_eq!(none.text, "");
    visitor.get("/failed/export?code=many").expect(422);
    assert!(world.hub.visitor().get("/failed/export").status == 303);
}

#[test]
fn without_dead_letters_the_page_says_so() {
    let hub = Hub::start();
    let page = hub.administrator().page("/failed");
    assert!(page.contains("No dead letters") && !page.holds("Download"));
}
