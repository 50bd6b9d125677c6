//! Decisions after a failed attempt.

use hookpost::domain::time::{DAY, HOUR, MINUTE, Millis, SECOND};
use serde_json::json;

use super::{choosy, next_attempt, pass, retry};
use crate::support::Hub;
use crate::support::hub::NOON;
use crate::support::receiver::{Behaviour, Receiver, Reply};

#[test]
fn a_410_answer_disables_the_webhook_and_stops_retries() {
    let hub = Hub::start();
    let receiver = Receiver::answering(410);
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({"id": 1}));
    hub.deliver_until_idle();
    pass(&hub, 24 * HOUR);
    assert_eq!(receiver.hits(), 1);
    assert_eq!(hub.status_of(&delivery), "failed");
    let webhook = hub.webhook(&webhook);
    assert_eq!(webhook["state"], "disabled");
    assert_eq!(webhook["active"], false);
    assert_eq!(webhook["disabled_at"], "2026-01-15T10:00:00.000Z");
    let reason = webhook["disabled_reason"].as_str().unwrap();
    assert!(reason.contains("410 Gone"), "{reason}");
}

#[test]
fn five_failed_attempts_on_the_generic_schedule_disable_the_webhook() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    for (hits, delay) in [(1, MINUTE), (2, 5 * MINUTE), (3, 30 * MINUTE), (4, 2 * HOUR)] {
        assert_eq!(receiver.hits(), hits);
        assert_eq!(hub.status_of(&delivery), "retrying");
        pass(&hub, delay - 1);
        assert_eq!(receiver.hits(), hits, "an attempt came early");
        // Jitter is up to a tenth of the delay.
        pass(&hub, 1 + delay / 10);
    }
    assert_eq!(receiver.hits(), 5);
    assert_eq!(hub.status_of(&delivery), "failed");
    let webhook = hub.webhook(&webhook);
    assert_eq!(webhook["state"], "disabled");
    let reason = webhook["disabled_reason"].as_str().unwrap();
    assert!(reason.starts_with("5 failed attempts"), "{reason}");
    let shown = hub.delivery(&delivery);
    let triggers: Vec<_> = shown["attempts"].as_array().unwrap().iter().collect();
    assert_eq!(triggers.len(), 5);
    for (index, attempt) in triggers.into_iter().enumerate() {
        assert_eq!(attempt["number"], index + 1);
        let trigger = if index == 0 { "initial" } else { "automatic" };
        assert_eq!(attempt["trigger"], trigger);
    }
}

#[test]
fn the_first_2xx_answer_ends_the_retries() {
    let hub = Hub::start();
    let receiver = Receiver::behaving(Behaviour::Script(vec![Reply::status(500), Reply::status(202)]));
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    pass(&hub, 2 * MINUTE);
    assert_eq!(hub.status_of(&delivery), "delivered");
    pass(&hub, 30 * DAY);
    assert_eq!(receiver.hits(), 2);
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["attempt_count"], 2);
    assert_eq!(shown["next_attempt_at"], json!(null));
    assert_eq!(shown["finished_at"], "2026-01-15T10:02:00.000Z");
    assert_eq!(hub.state_of(&webhook), "active");
}

#[test]
fn only_a_2xx_answer_is_a_delivery() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &retry(&[600]));
    for code in [200, 201, 202, 204, 226, 299] {
        receiver.behave(Behaviour::Answer(Reply::status(code)));
        let delivery = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        let shown = hub.delivery(&delivery);
        assert_eq!(shown["status"], "delivered", "{code}");
        assert_eq!(shown["last_attempt"]["code"], code);
        assert_eq!(shown["last_attempt"]["error_code"], json!(null), "{code}");
    }
    for code in [300, 301, 302, 304, 307, 308, 400, 401, 404, 413, 429, 499, 500, 503, 599, 600, 999] {
        receiver.behave(Behaviour::Answer(Reply::status(code)));
        let delivery = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        let shown = hub.delivery(&delivery);
        assert_eq!(shown["status"], "retrying", "{code}");
        assert_eq!(shown["last_attempt"]["code"], code);
        assert_eq!(shown["last_attempt"]["error_code"], "status", "{code}");
        let message = shown["attempts"][0]["error"]["message"].as_str().unwrap();
        assert!(message.contains(&code.to_string()), "{message}");
    }
}

#[test]
fn a_redirect_is_never_followed() {
    let hub = Hub::start();
    let target = Receiver::start();
    let location = target.url();
    for code in [301, 302, 303, 307, 308] {
        let reply = Reply::status(code).header("Location", &location);
        let receiver = Receiver::behaving(Behaviour::Answer(reply));
        let webhook = hub.add_webhook(receiver.url());
        let delivery = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        assert_eq!(hub.status_of(&delivery), "retrying", "{code}");
        assert_eq!(receiver.hits(), 1, "{code}");
        hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
    }
    assert_eq!(target.connections(), 0);
}

#[test]
fn a_webhooks_own_schedule_takes_the_place_of_its_profiles() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let schedule = json!({"retry": {"delays_s": [0.5, 2], "exhausted": "dead_letter"}});
    let webhook = hub.add_webhook_with(receiver.url(), &schedule);
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    pass(&hub, 499);
    assert_eq!(receiver.hits(), 1);
    pass(&hub, 51);
    assert_eq!(receiver.hits(), 2);
    pass(&hub, 2200);
    assert_eq!(receiver.hits(), 3);
    assert_eq!(hub.status_of(&delivery), "failed");
    assert_eq!(hub.state_of(&webhook), "active", "only a dead letter");
    // Without its own schedule, the webhook uses the profile's again.
    super::change(&hub, &webhook, json!({"retry": null}));
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let wait = next_attempt(&hub, &delivery) - hub.clock.now_ms();
    assert!(wait >= MINUTE, "{wait}");
}

#[test]
fn a_schedule_without_delays_is_a_single_attempt() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &retry(&[]));
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "failed");
    assert_eq!(hub.state_of(&webhook), "disabled");
}

#[test]
fn a_delay_counts_from_the_end_of_the_failed_attempt() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &retry(&[60, 60]));
    receiver.hold();
    let delivery = hub.publish_one("order.paid", json!({}));
    receiver.wait_held(1);
    hub.advance(20 * SECOND);
    receiver.release();
    hub.deliver_until_idle();
    let due = next_attempt(&hub, &delivery);
    assert!(due >= NOON + 80 * SECOND, "{due}");
    assert!(due <= NOON + 86 * SECOND, "{due}");
}

#[test]
fn jitter_only_delays_and_by_a_tenth_of_the_wait_at_most() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &retry(&[1000]));
    let waits: Vec<Millis> = (0..30)
        .map(|_| {
            let delivery = hub.publish_one("order.paid", json!({}));
            hub.deliver_until_idle();
            next_attempt(&hub, &delivery) - NOON
        })
        .collect();
    for wait in &waits {
        assert!((1000 * SECOND..=1100 * SECOND).contains(wait), "{wait} in {waits:?}");
    }
    assert!(waits.iter().any(|wait| *wait != waits[0]), "no jitter");
}

#[test]
fn under_first_failure_each_delay_counts_from_the_end_of_the_first_attempt() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let schedule = json!({"retry": {"delays_s": [300, 1800, 7200], "measured_from": "first_failure"}});
    hub.add_webhook_with(receiver.url(), &schedule);
    receiver.hold();
    let delivery = hub.publish_one("order.paid", json!({}));
    receiver.wait_held(1);
    hub.advance(10 * SECOND);
    receiver.release();
    hub.deliver_until_idle();
    let origin = NOON + 10 * SECOND;
    for delay in [300 * SECOND, 1800 * SECOND, 7200 * SECOND] {
        let now = hub.clock.now_ms();
        let due = next_attempt(&hub, &delivery);
        let latest = origin + delay + (origin + delay - now) / 10;
        assert!(due >= origin + delay, "{due} is early for {delay}");
        assert!(due <= latest, "{due} is late for {delay}");
        pass(&hub, due - now);
    }
    assert_eq!(receiver.hits(), 4);
    assert_eq!(hub.status_of(&delivery), "failed");
}

#[test]
fn overdue_retries_do_not_burst_after_a_downtime() {
    let mut hub = Hub::start();
    let receiver = Receiver::answering(500);
    let schedule = json!({"retry": {
        "delays_s": [300, 1800, 7200, 18000, 36000], "measured_from": "first_failure"}});
    hub.add_webhook_with(receiver.url(), &schedule);
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    hub.stop();
    hub.clock.advance(20 * HOUR);
    hub.restart();
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 2, "one attempt is overdue, not all");
    // The remaining delays are unchanged: 1,800 s minus the 300 s (and jitter) already passed.
    let wait = next_attempt(&hub, &delivery) - hub.clock.now_ms();
    assert!(wait >= 1470 * SECOND, "{wait}");
    assert!(wait <= 1650 * SECOND, "{wait}");
}

#[test]
fn retry_after_moves_the_next_attempt_later_and_never_earlier() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &retry(&[60]));
    let schedule = MINUTE..=MINUTE + 6 * SECOND;
    let exactly = |wait: Millis| wait..=wait;
    for (code, values, expected) in [
        (429, vec!["600"], exactly(10 * MINUTE)),
        (503, vec!["600"], exactly(10 * MINUTE)),
        (503, vec!["0"], schedule.clone()),
        (429, vec!["5"], schedule.clone()),
        // A date one hour ahead, and a past one.
        (503, vec!["Thu, 15 Jan 2026 11:00:00 GMT"], exactly(HOUR)),
        (503, vec!["Wed, 14 Jan 2026 11:00:00 GMT"], schedule.clone()),
        // Limited to 24 hours.
        (429, vec!["86400"], exactly(DAY)),
        (429, vec!["86401"], exactly(DAY)),
        (429, vec!["1000000000"], exactly(DAY)),
        (429, vec!["99999999999999999999999"], exactly(DAY)),
        (503, vec!["Fri, 15 Jan 2027 10:00:00 GMT"], exactly(DAY)),
        // Invalid values, and two contradictory ones.
        (429, vec!["-1"], schedule.clone()),
        (429, vec!["1e9"], schedule.clone()),
        (429, vec!["600.5"], schedule.clone()),
        (429, vec!["soon"], schedule.clone()),
        (429, vec![""], schedule.clone()),
        (429, vec!["600, 600"], schedule.clone()),
        (429, vec!["600", "600"], schedule.clone()),
        // Only 429 and 503 may set Retry-After.
        (500, vec!["600"], schedule.clone()),
        (302, vec!["600"], schedule.clone()),
    ] {
        let reply = values.iter().fold(Reply::status(code), |reply, value| reply.header("Retry-After", value));
        receiver.behave(Behaviour::Answer(reply));
        let delivery = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        let wait = next_attempt(&hub, &delivery) - NOON;
        assert!(expected.contains(&wait), "{code} {values:?}: {wait}");
    }
}

#[test]
fn exhaustion_only_dead_letters_the_delivery_when_another_got_through_meanwhile() {
    let hub = Hub::start();
    let receiver = choosy();
    let webhook = hub.add_webhook_with(receiver.url(), &retry(&[60]));
    let bad = hub.publish_one("order.paid", json!({"fail": true}));
    hub.deliver_until_idle();
    let good = hub.publish_one("order.paid", json!({"fail": false}));
    hub.deliver_until_idle();
    pass(&hub, 2 * MINUTE);
    assert_eq!(hub.status_of(&good), "delivered");
    assert_eq!(hub.status_of(&bad), "failed");
    assert_eq!(hub.state_of(&webhook), "active");
    let dead = hub.get("/v1/dead-letters").expect(200).json();
    assert_eq!(dead["data"].as_array().unwrap().len(), 1);
    assert_eq!(dead["data"][0]["id"], bad.as_str());
}

#[test]
fn a_success_before_the_first_failure_does_not_save_the_webhook() {
    let mut hub = Hub::start();
    let receiver = choosy();
    let webhook = hub.add_webhook_with(receiver.url(), &retry(&[60]));
    hub.publish_one("order.paid", json!({"fail": false}));
    hub.deliver_until_idle();
    let bad = hub.publish_one("order.paid", json!({"fail": true}));
    hub.deliver_until_idle();
    // A restart does not reset it either: successes are counted on from the table.
    hub.restart();
    pass(&hub, 2 * MINUTE);
    assert_eq!(hub.status_of(&bad), "failed");
    assert_eq!(hub.state_of(&webhook), "disabled");
}

#[test]
fn another_webhooks_success_does_not_save_the_webhook() {
    let hub = Hub::start();
    let bad = Receiver::answering(500);
    let good = Receiver::start();
    let failing = hub.add_webhook_with(bad.url(), &retry(&[60]));
    hub.add_webhook(good.url());
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    pass(&hub, 2 * MINUTE);
    assert_eq!(good.hits(), 2);
    assert_eq!(hub.state_of(&failing), "disabled");
}

#[test]
fn what_still_retries_when_its_webhook_is_disabled_waits_for_it() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &retry(&[60, 600]));
    let second = {
        hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        pass(&hub, 2 * MINUTE);
        let second = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        second
    };
    receiver.behave(Behaviour::Answer(Reply::status(410)));
    pass(&hub, 70 * SECOND);
    assert_eq!(hub.state_of(&webhook), "disabled");
    let third = hub.publish_one("order.paid", json!({}));
    pass(&hub, DAY);
    assert_eq!(hub.status_of(&second), "failed", "the one that met the 410");
    assert_eq!(hub.delivery(&third)["waiting_for"], "webhook_disabled");
    assert_eq!(receiver.hits(), 4);
}
