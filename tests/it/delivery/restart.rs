//! Stopping and restarting: nothing is lost, and a stop waits for attempts in flight.

use hookpost::domain::time::{HOUR, MINUTE};
use serde_json::json;

use super::{pass, publish_number, retry};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

#[test]
fn what_was_queued_is_sent_after_a_restart() {
    let mut hub = Hub::start();
    let receiver = Receiver::start();
    receiver.hold();
    hub.add_webhook_with(receiver.url(), &json!({"max_in_flight": 1}));
    let deliveries: Vec<_> = (0..5).map(|number| publish_number(&hub, number)).collect();
    receiver.wait_held(1);
    hub.stop_while(|| receiver.release());
    assert_eq!(receiver.hits(), 1, "a stop begins nothing new");
    hub.restart();
    hub.deliver_until_idle();
    for delivery in &deliveries {
        assert_eq!(hub.status_of(delivery), "delivered");
    }
    assert_eq!(super::numbers(&receiver), [0, 1, 2, 3, 4], "each once");
}

#[test]
fn a_stop_waits_for_what_is_in_flight_and_records_it() {
    let mut hub = Hub::start();
    let receiver = Receiver::start();
    receiver.hold();
    hub.add_webhook(receiver.url());
    let delivery = publish_number(&hub, 0);
    receiver.wait_held(1);
    hub.stop_while(|| receiver.release());
    hub.restart();
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["status"], "delivered");
    assert_eq!(shown["attempt_count"], 1);
}

#[test]
fn retries_go_on_as_scheduled_after_a_restart() {
    let mut hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &retry(&[3600]));
    let delivery = publish_number(&hub, 0);
    hub.deliver_until_idle();
    hub.restart();
    pass(&hub, HOUR - 1);
    assert_eq!(receiver.hits(), 1);
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    pass(&hub, 1 + 6 * MINUTE);
    assert_eq!(hub.status_of(&delivery), "delivered");
}

#[test]
fn an_attempt_that_was_cut_off_uses_up_nothing_and_is_made_again() {
    let mut hub = Hub::start();
    let receiver = Receiver::start();
    receiver.hold();
    let webhook = hub.add_webhook_with(receiver.url(), &retry(&[]));
    let delivery = publish_number(&hub, 0);
    receiver.wait_held(1);
    hub.abandon();
    hub.restart();
    receiver.wait_held(2);
    receiver.release();
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
    assert_eq!(hub.state_of(&webhook), "active");
    assert_eq!(receiver.hits(), 2);
}
