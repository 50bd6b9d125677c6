//! Webhooks that are not active: their queued deliveries, on pausing, resuming and deleting.

use hookpost::actions::publish::NewEvent;
use hookpost::domain::time::{DAY, HOUR, MINUTE};
use serde_json::json;

use super::{act, change, next_attempt, pass, pause, publish_number, resume, retry};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

/// More than two batches of a sweep.
const MANY: usize = 1_100;

#[test]
fn events_of_a_paused_webhook_become_deliveries_and_wait() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    pause(&hub, &webhook);
    assert_eq!(hub.state_of(&webhook), "paused");
    let delivery = hub.publish_one("order.paid", json!({}));
    pass(&hub, DAY);
    assert_eq!(receiver.connections(), 0);
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["waiting_for"], "webhook_paused");
    assert_eq!(shown["next_attempt_at"], json!(null));
    resume(&hub, &webhook);
    hub.deliver_until_idle();
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["status"], "delivered");
    assert_eq!(shown["waiting_for"], json!(null));
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn events_of_a_disabled_webhook_become_deliveries_and_wait() {
    let hub = Hub::start();
    let receiver = Receiver::answering(410);
    let webhook = hub.add_webhook(receiver.url());
    hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let delivery = hub.publish_one("order.paid", json!({}));
    pass(&hub, DAY);
    assert_eq!(receiver.hits(), 1);
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["waiting_for"], "webhook_disabled");
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    resume(&hub, &webhook);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
    let shown = hub.webhook(&webhook);
    assert_eq!(shown["state"], "active");
    assert_eq!(shown["disabled_at"], json!(null));
    assert_eq!(shown["disabled_reason"], json!(null));
}

#[test]
fn what_waited_starts_a_fresh_series_so_old_failures_do_not_disable_again() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &retry(&[60, 600]));
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    pass(&hub, 2 * MINUTE);
    assert_eq!(receiver.hits(), 2, "one more failure would disable it");
    pause(&hub, &webhook);
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["status"], "retrying");
    assert_eq!(shown["waiting_for"], "webhook_paused");
    pass(&hub, DAY);
    assert_eq!(receiver.hits(), 2);

    resume(&hub, &webhook);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 3, "due at once");
    assert_eq!(hub.state_of(&webhook), "active");
    assert_eq!(hub.status_of(&delivery), "retrying");
    let wait = next_attempt(&hub, &delivery) - hub.clock.now_ms();
    assert!((MINUTE..=MINUTE + MINUTE / 10).contains(&wait), "{wait}");
    pass(&hub, 2 * MINUTE);
    pass(&hub, 11 * MINUTE);
    assert_eq!(receiver.hits(), 5);
    assert_eq!(hub.state_of(&webhook), "disabled");
}

#[test]
fn discard_discards_only_what_was_created_before() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    pause(&hub, &webhook);
    let before: Vec<String> = (0..5).map(|number| publish_number(&hub, number)).collect();
    change(&hub, &webhook, json!({"active": true, "waiting": "discard"}));
    let after = publish_number(&hub, 5);
    hub.deliver_until_idle();
    for delivery in &before {
        let shown = hub.delivery(delivery);
        assert_eq!(shown["status"], "discarded");
        assert_eq!(shown["waiting_for"], json!(null));
        assert!(shown["finished_at"].is_string());
    }
    assert_eq!(hub.status_of(&after), "delivered");
    assert_eq!(super::numbers(&receiver), [5]);
}

#[test]
fn discard_leaves_what_is_finished_as_it_is() {
    let hub = Hub::start();
    let receiver = super::choosy();
    let webhook = hub.add_webhook_with(receiver.url(), &retry(&[]));
    let delivered = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let failed = hub.publish_one("order.paid", json!({"fail": true}));
    hub.deliver_until_idle();
    assert_eq!(hub.state_of(&webhook), "disabled");
    change(&hub, &webhook, json!({"active": true, "waiting": "discard"}));
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivered), "delivered");
    assert_eq!(hub.status_of(&failed), "failed");
}

#[test]
fn a_pause_stops_retries_and_lets_what_is_in_flight_finish() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    receiver.hold();
    let first = publish_number(&hub, 1);
    receiver.wait_held(1);
    pause(&hub, &webhook);
    let second = publish_number(&hub, 2);
    receiver.release();
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&first), "delivered");
    assert_eq!(hub.status_of(&second), "pending");
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn more_than_one_step_of_retrying_deliveries_resumes_in_fresh_series() {
    let mut hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &retry(&[3600, 7200]));
    publish_many(&hub, MANY);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), MANY);
    pause(&hub, &webhook);
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    resume(&hub, &webhook);
    // The restart continues the sweep wherever it stopped.
    hub.restart();
    receiver.wait_for(2 * MANY);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 2 * MANY, "each once");
    assert_eq!(count(&hub, &webhook, "delivered"), MANY);
    let next = publish_number(&hub, 1);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&next), "delivered");
}

#[test]
fn more_than_one_step_of_waiting_deliveries_is_discarded_also_across_a_restart() {
    let mut hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    pause(&hub, &webhook);
    publish_many(&hub, MANY);
    change(&hub, &webhook, json!({"active": true, "waiting": "discard"}));
    hub.restart();
    let after = publish_number(&hub, 1);
    receiver.wait_for(1);
    hub.deliver_until_idle();
    assert_eq!(count(&hub, &webhook, "discarded"), MANY);
    assert_eq!(hub.status_of(&after), "delivered");
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn a_discard_that_is_not_done_yet_is_not_undone_by_a_pause_and_a_resume() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    pause(&hub, &webhook);
    publish_many(&hub, MANY);
    change(&hub, &webhook, json!({"active": true, "waiting": "discard"}));
    pause(&hub, &webhook);
    resume(&hub, &webhook);
    let after = publish_number(&hub, 1);
    receiver.wait_for(1);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&after), "delivered");
    assert_eq!(receiver.hits(), 1);
    assert_eq!(count(&hub, &webhook, "discarded"), MANY);
}

#[test]
fn deleting_a_webhook_discards_what_waits_and_keeps_the_log() {
    let hub = Hub::start();
    let receiver = super::choosy();
    let webhook = hub.add_webhook(receiver.url());
    let delivered = hub.publish_one("order.paid", json!({}));
    let retrying = hub.publish_one("order.paid", json!({"fail": true}));
    hub.deliver_until_idle();
    pause(&hub, &webhook);
    let waiting = hub.publish_one("order.paid", json!({}));
    hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
    pass(&hub, HOUR);
    assert_eq!(hub.status_of(&delivered), "delivered");
    for delivery in [&retrying, &waiting] {
        assert_eq!(hub.status_of(delivery), "discarded");
    }
    let attempts = hub.delivery(&retrying);
    assert_eq!(attempts["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(receiver.hits(), 2);
    let receipt = hub.publish("order.paid", json!({}));
    assert_eq!(receipt["deliveries"], json!([]));
    hub.get(&format!("/v1/webhooks/{webhook}")).expect(404);
    assert_eq!(act(&hub, &waiting, "retry").status, 409);
}

/// Publishes without waiting for each event, which needs few commits.
fn publish_many(hub: &Hub, count: usize) {
    let actions = &hub.running.app.actions;
    let pending: Vec<_> = (0..count)
        .map(|number| {
            actions.publish(NewEvent {
                event_type: "order.paid".parse().unwrap(),
                tenant: "default".parse().unwrap(),
                id: None,
                created_ms: None,
                data: format!(r#"{{"number":{number}}}"#).into(),
                previous_data: None,
                idempotency: None,
                resent_from_seq: None,
            })
        })
        .collect();
    for receipt in pending {
        receipt.wait().unwrap();
    }
}

/// Number of a webhook's deliveries with this status.
fn count(hub: &Hub, webhook: &str, status: &str) -> usize {
    let mut found = 0;
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/deliveries?webhook_id={webhook}&status={status}&limit=250{cursor}");
        let page = hub.get(&path).expect(200).json();
        found += page["data"].as_array().unwrap().len();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}
