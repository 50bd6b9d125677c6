//! Manual retries: which of them start a new series of attempts.

use hookpost::domain::time::{HOUR, MINUTE};
use serde_json::json;

use super::{act, next_attempt, pass, pause, resume, retry};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

#[test]
fn a_manual_retry_of_a_failed_delivery_starts_a_fresh_series() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let schedule = json!({"retry": {"delays_s": [60, 600], "exhausted": "dead_letter"}});
    hub.add_webhook_with(receiver.url(), &schedule);
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    pass(&hub, 2 * MINUTE);
    pass(&hub, 11 * MINUTE);
    assert_eq!(hub.status_of(&delivery), "failed");

    let answer = act(&hub, &delivery, "retry").expect(202).json();
    assert_eq!(answer["status"], "pending");
    assert_eq!(answer["finished_at"], json!(null));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 4, "due at once");
    assert_eq!(hub.status_of(&delivery), "retrying");
    let wait = next_attempt(&hub, &delivery) - hub.clock.now_ms();
    assert!((MINUTE..=MINUTE + MINUTE / 10).contains(&wait), "the schedule begins anew: {wait}");
    pass(&hub, 2 * MINUTE);
    pass(&hub, 11 * MINUTE);
    assert_eq!(hub.status_of(&delivery), "failed");
    assert_eq!(receiver.hits(), 6);

    let shown = hub.delivery(&delivery);
    assert_eq!(shown["attempt_count"], 6, "the old attempts stay");
    let attempts = shown["attempts"].as_array().unwrap();
    let all: Vec<(u64, &str)> = attempts
        .iter()
        .map(|attempt| {
            let number = attempt["number"].as_u64().unwrap();
            (number, attempt["trigger"].as_str().unwrap())
        })
        .collect();
    let expected =
        [(1, "initial"), (2, "automatic"), (3, "automatic"), (4, "manual"), (5, "automatic"), (6, "automatic")];
    assert_eq!(all, expected);
}

#[test]
fn a_manual_retry_of_a_delivered_delivery_sends_it_again() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    receiver.behave(Behaviour::Answer(Reply::status(500)));
    act(&hub, &delivery, "retry").expect(202);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 2);
    assert_eq!(hub.status_of(&delivery), "retrying");
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    pass(&hub, 2 * MINUTE);
    assert_eq!(hub.status_of(&delivery), "delivered");
    let requests = receiver.requests();
    assert_eq!(requests[0].body, requests[2].body);
    assert_eq!(requests[0].header("webhook-id"), requests[2].header("webhook-id"));
}

#[test]
fn a_manual_retry_of_a_retrying_delivery_makes_it_due_now_and_goes_on_with_its_schedule() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &retry(&[3600, 7200]));
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    act(&hub, &delivery, "retry").expect(202);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 2);
    let wait = next_attempt(&hub, &delivery) - hub.clock.now_ms();
    assert!((2 * HOUR..=2 * HOUR + 12 * MINUTE).contains(&wait), "{wait}");
    assert_eq!(hub.delivery(&delivery)["attempts"][1]["trigger"], "manual");
}

#[test]
fn a_manual_retry_of_a_discarded_delivery_is_a_conflict() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    act(&hub, &delivery, "discard").expect(202);
    let refused = act(&hub, &delivery, "retry").expect(409);
    assert_eq!(refused.error_code(), "delivery_discarded");
    pass(&hub, 24 * HOUR);
    assert_eq!(receiver.hits(), 1);
    assert_eq!(hub.status_of(&delivery), "discarded");
}

#[test]
fn a_manual_retry_of_an_inactive_webhooks_delivery_waits() {
    let hub = Hub::start();
    let receiver = Receiver::answering(410);
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(hub.state_of(&webhook), "disabled");
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    let answer = act(&hub, &delivery, "retry").expect(202).json();
    assert_eq!(answer["status"], "pending");
    assert_eq!(answer["waiting_for"], "webhook_disabled");
    assert_eq!(answer["next_attempt_at"], json!(null));
    pass(&hub, HOUR);
    assert_eq!(receiver.hits(), 1);
    resume(&hub, &webhook);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
}

#[test]
fn a_discarded_delivery_is_never_sent() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    pause(&hub, &webhook);
    let delivery = hub.publish_one("order.paid", json!({}));
    let kept = hub.publish_one("order.paid", json!({}));
    let answer = act(&hub, &delivery, "discard").expect(202).json();
    assert_eq!(answer["status"], "discarded");
    let refused = act(&hub, &delivery, "discard").expect(409);
    assert_eq!(refused.error_code(), "delivery_finished");
    resume(&hub, &webhook);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&kept), "delivered");
    assert_eq!(hub.status_of(&delivery), "discarded");
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn a_delivery_discarded_in_flight_stays_so_when_its_attempt_fails() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook(receiver.url());
    receiver.hold();
    let delivery = hub.publish_one("order.paid", json!({}));
    receiver.wait_held(1);
    act(&hub, &delivery, "discard").expect(202);
    receiver.release();
    hub.deliver_until_idle();
    pass(&hub, 24 * HOUR);
    assert_eq!(hub.status_of(&delivery), "discarded");
    assert_eq!(receiver.hits(), 1);
    let attempts = hub.delivery(&delivery);
    assert_eq!(attempts["attempts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_manual_retry_after_the_webhook_was_deleted_is_a_conflict() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
    let refused = act(&hub, &delivery, "retry").expect(409);
    assert_eq!(refused.error_code(), "webhook_deleted");
}
