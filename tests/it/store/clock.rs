//! A machine whose clock is set back.

use hookpost::domain::time::{DAY, HOUR, MINUTE};
use serde_json::json;

use crate::support::Hub;
use crate::support::receiver::Receiver;

#[test]
fn a_clock_set_back_loses_nothing_and_starts_no_storm() {
    for back in [HOUR, DAY, 3653 * DAY] {
        let mut hub = Hub::start();
        let receiver = Receiver::answering(500);
        hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [60, 60]}}));
        let delivery = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        hub.advance(-back);
        hub.deliver_until_idle();
        assert_eq!(receiver.hits(), 1, "a retry came early");
        // New events are sent at once.
        let later = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        assert_eq!(receiver.hits(), 2);
        hub.restart();
        hub.deliver_until_idle();
        assert_eq!(receiver.hits(), 2, "a restart sent it again");
        // With the correct time, retries continue.
        hub.advance(back + 2 * MINUTE);
        hub.deliver_until_idle();
        assert_eq!(receiver.hits(), 4);
        for delivery in [&delivery, &later] {
            assert_eq!(hub.status_of(delivery), "retrying");
        }
    }
}
