//! Pausing, resuming, verifying, replaying and deleting a webhook, and its page.

use hookpost::domain::time::{HOUR, MINUTE};
use serde_json::json;

use super::{assert_has, assert_lacks};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

#[test]
fn a_webhook_is_paused_and_resumed_with_what_waited() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}");
    for (waiting, sent) in [("resume", 2), ("discard", 2)] {
        assert!(anna.page(&path).has_button("Pause"));
        let page = anna.submit_and_follow(&format!("{path}/pause"), &[]);
        assert_has(&page, "New events are queued until you resume.");
        assert_eq!(hub.state_of(&webhook), "paused");
        hub.publish("a.b", json!({}));
        hub.publish("a.b", json!({}));
        hub.deliver_until_idle();
        let page = anna.page(&format!("{path}/resume"));
        assert_has(&page, "2 deliveries are queued. What should happen to them?");
        let page = anna.submit_and_follow(&format!("{path}/resume"), &[("waiting", waiting)]);
        assert!(page.has_flash("Resumed."), "{page}");
        hub.deliver_until_idle();
        assert_eq!(hub.state_of(&webhook), "active");
        assert_eq!(receiver.hits(), sent, "{waiting}");
    }
    let page = anna.page(&path);
    assert!(page.statuses().contains(&"delivered") && page.statuses().contains(&"discarded"), "{page}");
}

#[test]
fn a_choice_that_there_is_not_is_refused_and_nothing_changes() {
    let hub = Hub::start();
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}/resume");
    anna.page(&path);
    let page = anna.submit(&path, &[("waiting", "keep")]).expect(422).page();
    assert_has(&page, "is not one of resume, discard");
    assert_eq!(hub.state_of(&webhook), "paused");
}

#[test]
fn a_disabled_webhook_says_why_since_when_and_what_to_do() {
    let hub = Hub::start();
    let receiver = Receiver::answering(410);
    let webhook = hub.add_webhook(receiver.url());
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    let page = hub.administrator().page(&format!("/webhooks/{webhook}"));
    assert_has(&page, "Disabled. The endpoint responded with 410 Gone");
    let since = page.get(".verdict");
    assert!(since.contains("Since ") && since.has("time[datetime=2026-01-15T10:00:00.000Z]"), "{page}");
    assert_has(&page, "send a test event");
    assert!(page.links_to(&format!("/webhooks/{webhook}/resume")));
    assert_has(&page, "410");
}

#[test]
fn verifying_shows_what_was_sent_and_what_came_back() {
    let hub = Hub::start();
    let receiver = Receiver::behaving(Behaviour::Answer(Reply::status(200).body("no echo here")));
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"profile": "influship"}));
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}");
    assert!(anna.page(&path).has_button("Verify now"));
    let page = anna.submit(&format!("{path}/verify"), &[]).expect(200).page();
    assert_has(&page, "The webhook stays unverified");
    assert_has(&page, "webhook.verify");
    assert_has(&page, "no echo here");
    // From another page, the result is shown there.
    let page = anna.submit_and_follow(&format!("{path}/verify"), &[("back", "/incidents")]);
    assert_eq!((page.heading().as_str(), page.all(".flash.error").len()), ("Incidents", 1), "{page}");
    receiver.behave(Behaviour::deciding(|request| Reply::status(200).body(request.body.clone())));
    let page = anna.submit_and_follow(&format!("{path}/verify"), &[]);
    assert_has(&page, "Verified. The webhook is active");
    assert_eq!(hub.state_of(&webhook), "active");
    let plain = hub.add_webhook(receiver.url());
    let refused = anna.submit(&format!("/webhooks/{plain}/verify"), &[]).expect(409);
    assert_has(&refused.page(), "has no challenge");
}

#[test]
fn a_new_webhook_that_does_not_answer_its_challenge_says_so_at_once() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let anna = hub.administrator();
    anna.page("/webhooks/new");
    let url = receiver.url();
    let fields = [("url", url.as_str()), ("event", "*"), ("profile", "influship")];
    let page = anna.submit_and_follow("/webhooks/new", &fields);
    assert_has(&page, "Not verified.");
    assert!(page.has_button("Verify now"));
    assert_eq!(hub.state_of(&page.webhook()), "unverified");
}

#[test]
fn a_replay_is_counted_before_it_is_made() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let anna = hub.administrator();
    hub.publish("order.paid", json!({}));
    hub.advance(HOUR);
    for event_type in ["order.paid", "order.sent", "content.new"] {
        hub.publish(event_type, json!({}));
    }
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 4);
    let path = format!("/webhooks/{webhook}/replay");
    let page = anna.page(&path);
    assert_eq!(page.field("since").as_deref(), Some("2026-01-14T11:00:00"));
    for (fields, count) in [
        (vec![("since", "2026-01-15T10:00")], "4 events"),
        (vec![("since", "2026-01-15T10:30:00")], "3 events"),
        (vec![("since", "2026-01-15T10:00"), ("until", "2026-01-15T10:30")], "1 event "),
        (vec![("since", "2026-01-15T10:00"), ("types", "order.*\nnone.such")], "3 events"),
    ] {
        let page = anna.submit(&path, &fields).expect(200).page();
        assert_has(&page, &format!("Replay {count}"));
    }
    assert_eq!(receiver.hits(), 4);
    for (fields, field, says) in [
        (vec![("since", "2026-01-15T10:00"), ("only_failed", "yes")], "", "No events match"),
        (vec![("since", "2026-01-15T12:00")], "", "No events match"),
        (vec![("since", "")], "since", ""),
        (vec![("since", "2026-01-15T10:00"), ("until", "2026-01-15T09:00")], "", "The end must be after the start"),
        (vec![("since", "2026-01-15T10:00"), ("types", "a*")], "types", ""),
    ] {
        let page = anna.submit(&path, &fields).expect(422).page();
        assert_has(&page, says);
        assert!(field.is_empty() || page.problem(field).is_some(), "{field} in {page}");
    }
    let fields = [("since", "2026-01-15T10:30"), ("types", "order.*"), ("confirmed", "yes")];
    let page = anna.submit_and_follow(&path, &fields);
    assert!(page.has_flash("Replaying 2 events"), "{page}");
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 6);
}

#[test]
fn a_webhook_is_deleted_by_typing_its_host() {
    let hub = Hub::start();
    let webhook = hub.add_webhook("http://localhost:9/in");
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}/delete");
    assert_has(&anna.page(&path), "Type localhost");
    for typed in ["", "other", "localhos"] {
        let page = anna.submit(&path, &[("typed", typed)]).expect(422).page();
        assert_has(&page, "Nothing was deleted");
    }
    hub.webhook(&webhook);
    let page = anna.submit_and_follow(&path, &[("typed", " LocalHost ")]);
    assert!(page.has_flash("http://localhost:9/in deleted"), "{page}");
    hub.get(&format!("/v1/webhooks/{webhook}")).expect(404);
    assert_eq!(anna.get(&format!("/webhooks/{webhook}")).status, 404);
}

#[test]
fn the_page_of_a_webhook_shows_its_deliveries_settings_and_metrics() {
    let hub = Hub::start();
    let receiver = Receiver::answering(503);
    let fields = json!({"headers": {"X-Token": "s3cret"}, "retry": {"delays_s": [60, 61200]}});
    let webhook = hub.add_webhook_with(receiver.url(), &fields);
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}");
    assert_has(&anna.page(&path), "No deliveries yet");
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let page = anna.page(&path);
    assert!(page.links_below(&format!("/deliveries/{delivery}")));
    assert!(page.statuses().contains(&"retrying"));
    assert!(page.links_below(&format!("/deliveries?webhook={webhook}")));
    let page = anna.page(&format!("{path}/settings"));
    assert_has(&page, "X-Token: ••••••");
    assert_lacks(&page, "s3cret");
    assert_has(&page, "3rd attempt");
    assert_has(&page, "tomorrow 03:01 UTC");
    let page = anna.page(&format!("{path}/metrics"));
    assert_has(&page, "No deliveries finished in the last 24 hours");
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    hub.advance(2 * MINUTE);
    hub.deliver_until_idle();
    let page = anna.page(&format!("{path}/metrics"));
    assert!(
        page.get(".chart svg[role=group]")
            .attribute("aria-label")
            .unwrap()
            .contains("Last 24 hours: 1 delivered, 0 failed")
    );
    assert_has(&page, "100 %");
    assert!(page.get("td[data-label=\"Success rate\"] [title]").attribute("title").unwrap().contains("1 ÷ 1"));
}
