//! Explanations of real deliveries.

use hookpost::actions::delivery::explain;
use hookpost::actions::{Caller, lookup};
use hookpost::domain::time::{HOUR, MINUTE};
use hookpost::domain::zone::Zone;
use hookpost::profile;
use hookpost::text::explanation::Explanation;
use serde_json::json;

use super::pass;
use crate::support::Hub;
use crate::support::receiver::Receiver;

/// Returns the headline and the next step of a delivery's explanation.
fn told(hub: &Hub, webhook: &str, delivery: &str) -> (String, String) {
    let actions = &hub.running.app.actions;
    let caller = Caller::default();
    let full = actions.store.read(|db| lookup::delivery_in_full(db, &caller, delivery)).unwrap();
    let webhook = actions.store.read(|connection| lookup::webhook(connection, &caller, webhook)).unwrap();
    let profile = profile::find(&webhook.profile).unwrap();
    let (last, now) = (full.attempts.last(), hub.clock.now_ms());
    let verdict = explain::explain(&full.delivery, last, &webhook, &profile, None, now, &Zone::UTC);
    let Explanation { headline, next, .. } = verdict;
    (headline, next.unwrap_or_default())
}

#[test]
fn a_failing_delivery_is_told_attempt_by_attempt_until_it_is_a_dead_letter_and_again() {
    let hub = Hub::start();
    let receiver = Receiver::answering(503);
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let (headline, next) = told(&hub, &webhook, &delivery);
    assert_eq!(headline, "127.0.0.1 answered 503 Service Unavailable.");
    assert!(next.starts_with("Attempt 1 of 5, next at "), "{next}");
    for wait in [2 * MINUTE, 6 * MINUTE, 40 * MINUTE] {
        pass(&hub, wait);
    }
    let (_, next) = told(&hub, &webhook, &delivery);
    assert!(next.starts_with("Attempt 4 of 5, next at "), "{next}");
    assert!(next.ends_with(", in 2 h.") || next.contains(", in 2 h "), "{next}");
    pass(&hub, 3 * HOUR);
    let (_, next) = told(&hub, &webhook, &delivery);
    assert_eq!(
        next,
        "All 5 attempts failed: the delivery is a dead letter, and the webhook is disabled. Fix the cause, resume the \
         webhook, then retry."
    );
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": true})).expect(200);
    hub.post(&format!("/v1/deliveries/{delivery}/retry"), &json!({})).expect(202);
    hub.deliver_until_idle();
    let (_, next) = told(&hub, &webhook, &delivery);
    let begins = "Attempt 1 of 5 (after 5 others before this series), next at ";
    assert!(next.starts_with(begins), "{next}");
}

#[test]
fn a_delivered_one_and_one_that_is_retried_by_hand_are_told_apart() {
    let hub = Hub::start();
    let receiver = Receiver::answering(202);
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let (headline, _) = told(&hub, &webhook, &delivery);
    assert!(headline.starts_with("Delivered on the first attempt: 202 in "), "{headline}");
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": false})).expect(200);
    hub.post(&format!("/v1/deliveries/{delivery}/retry"), &json!({})).expect(202);
    let waits =
        ("Queued: the webhook is paused.".to_owned(), "It will be sent when the webhook is resumed.".to_owned());
    assert_eq!(told(&hub, &webhook, &delivery), waits);
}
