//! `ordered`: one delivery at a time, in event order.

use hookpost::domain::time::{HOUR, MINUTE};
use serde_json::{Value, json};

use super::{act, numbers, pass, pause, publish_number, resume};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

fn ordered(delays_s: &[u64]) -> Value {
    json!({"ordered": true, "retry": {"delays_s": delays_s, "exhausted": "dead_letter"}})
}

#[test]
fn ordered_deliveries_go_one_at_a_time_in_event_order() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &ordered(&[60]));
    receiver.hold();
    // More than a lane's limit in memory.
    for number in 0..100 {
        publish_number(&hub, number);
    }
    receiver.wait_held(1);
    assert_eq!(receiver.hits(), 1);
    receiver.release();
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_failing_head_holds_the_rest_until_it_is_delivered() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &ordered(&[60, 600]));
    let deliveries: Vec<_> = (0..3).map(|number| publish_number(&hub, number)).collect();
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), [0]);
    pass(&hub, 2 * MINUTE);
    assert_eq!(numbers(&receiver), [0, 0]);
    assert_eq!(hub.status_of(&deliveries[1]), "pending");
    publish_number(&hub, 3);
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), [0, 0], "what comes later waits as well");
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    pass(&hub, 11 * MINUTE);
    assert_eq!(numbers(&receiver), [0, 0, 0, 1, 2, 3]);
}

#[test]
fn a_failing_head_holds_the_rest_until_it_is_a_dead_letter() {
    let hub = Hub::start();
    let receiver = Receiver::with(|request| {
        let first = request.text().contains(r#""number":0"#);
        Reply::status(if first { 500 } else { 200 })
    });
    hub.add_webhook_with(receiver.url(), &ordered(&[60]));
    let head = publish_number(&hub, 0);
    publish_number(&hub, 1);
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), [0]);
    pass(&hub, 2 * MINUTE);
    assert_eq!(hub.status_of(&head), "failed");
    assert_eq!(numbers(&receiver), [0, 0, 1]);
}

#[test]
fn a_discarded_head_lets_the_rest_go() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &ordered(&[3600]));
    let head = publish_number(&hub, 0);
    publish_number(&hub, 1);
    publish_number(&hub, 2);
    hub.deliver_until_idle();
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    act(&hub, &head, "discard").expect(202);
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), [0, 1, 2]);
}

#[test]
fn a_head_discarded_in_flight_lets_the_rest_go_once_it_is_back() {
    let hub = Hub::start();
    let receiver = Receiver::behaving(Behaviour::Script(vec![Reply::status(500), Reply::status(200)]));
    hub.add_webhook_with(receiver.url(), &ordered(&[3600]));
    receiver.hold();
    let head = publish_number(&hub, 0);
    publish_number(&hub, 1);
    receiver.wait_held(1);
    act(&hub, &head, "discard").expect(202);
    receiver.release();
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), [0, 1]);
    assert_eq!(hub.status_of(&head), "discarded");
}

#[test]
fn a_manual_retry_of_the_head_goes_now_and_keeps_the_order() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &ordered(&[3600, 3600]));
    let head = publish_number(&hub, 0);
    let second = publish_number(&hub, 1);
    hub.deliver_until_idle();
    // A retry behind the head has no effect.
    act(&hub, &second, "retry").expect(202);
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), [0]);
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    act(&hub, &head, "retry").expect(202);
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), [0, 0, 1]);
}

#[test]
fn a_manual_retry_of_an_earlier_delivery_goes_before_a_head_that_waits() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &ordered(&[3600]));
    let first = publish_number(&hub, 0);
    hub.deliver_until_idle();
    receiver.behave(Behaviour::Answer(Reply::status(500)));
    publish_number(&hub, 1);
    hub.deliver_until_idle();
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    act(&hub, &first, "retry").expect(202);
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), [0, 1, 0]);
    pass(&hub, 2 * HOUR);
    assert_eq!(numbers(&receiver), [0, 1, 0, 1]);
}

#[test]
fn a_manual_retry_of_an_earlier_delivery_is_not_held_by_a_head_that_fails_meanwhile() {
    let hub = Hub::start();
    let receiver =
        Receiver::behaving(Behaviour::Script(vec![Reply::status(200), Reply::status(500), Reply::status(200)]));
    hub.add_webhook_with(receiver.url(), &ordered(&[3600]));
    let first = publish_number(&hub, 0);
    hub.deliver_until_idle();
    receiver.hold();
    publish_number(&hub, 1);
    receiver.wait_held(1);
    act(&hub, &first, "retry").expect(202);
    receiver.release();
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), [0, 1, 0]);
    pass(&hub, 2 * HOUR);
    assert_eq!(numbers(&receiver), [0, 1, 0, 1]);
}

#[test]
fn the_order_holds_across_a_restart() {
    let mut hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &ordered(&[3600]));
    for number in 0..3 {
        publish_number(&hub, number);
    }
    hub.deliver_until_idle();
    hub.restart();
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), [0], "the head still holds the rest");
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    pass(&hub, 2 * HOUR);
    assert_eq!(numbers(&receiver), [0, 0, 1, 2]);
}

#[test]
fn the_order_holds_over_a_pause() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &ordered(&[3600]));
    publish_number(&hub, 0);
    hub.deliver_until_idle();
    pause(&hub, &webhook);
    publish_number(&hub, 1);
    publish_number(&hub, 2);
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    resume(&hub, &webhook);
    hub.deliver_until_idle();
    assert_eq!(numbers(&receiver), [0, 0, 1, 2]);
}
