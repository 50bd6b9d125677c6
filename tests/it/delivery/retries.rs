//! What follows a failed attempt.

use hookpost::domain::time::{HOUR, MINUTE};
use serde_json::json;

use crate::support::Hub;
use crate::support::receiver::Receiver;

#[test]
fn a_410_answer_disables_the_webhook_and_stops_retries() {
    let hub = Hub::start();
    let receiver = Receiver::answering(410);
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({"id": 1}));
    hub.deliver_until_idle();
    hub.advance(24 * HOUR);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
    assert_eq!(hub.state_of(&webhook), "disabled");
    assert_eq!(hub.status_of(&delivery), "failed");
}

#[test]
fn five_failed_attempts_on_the_generic_schedule_disable_the_webhook() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    for (hits, delay) in [
        (1, MINUTE),
        (2, 5 * MINUTE),
        (3, 30 * MINUTE),
        (4, 2 * HOUR),
    ] {
        assert_eq!(receiver.hits(), hits);
        assert_eq!(hub.status_of(&delivery), "retrying");
        hub.advance(delay - 1);
        hub.deliver_until_idle();
        assert_eq!(receiver.hits(), hits, "an attempt came early");
        // Jitter is up to a tenth of the wait.
        hub.advance(1 + delay / 10);
        hub.deliver_until_idle();
    }
    assert_eq!(receiver.hits(), 5);
    assert_eq!(hub.status_of(&delivery), "failed");
    assert_eq!(hub.state_of(&webhook), "disabled");
}
