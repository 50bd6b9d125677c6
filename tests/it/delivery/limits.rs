//! Limits of a webhook, which do not affect other webhooks.

use hookpost::domain::time::{HOUR, SECOND};
use serde_json::json;

use super::{pass, publish_number, retry};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

#[test]
fn no_more_requests_than_max_in_flight_are_out_at_a_time() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"max_in_flight": 3}));
    // A lane starts with few requests in flight and grows with each success.
    for number in 0..8 {
        publish_number(&hub, number);
    }
    hub.deliver_until_idle();
    receiver.hold();
    for number in 8..24 {
        publish_number(&hub, number);
    }
    receiver.wait_held(3);
    assert_elsewhere_goes_on(&hub);
    assert_eq!(receiver.hits(), 8 + 3);
    receiver.release();
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 24);
}

#[test]
fn a_rate_limit_spaces_requests_evenly() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"rate_limit_per_s": 4}));
    for number in 0..6 {
        publish_number(&hub, number);
    }
    hub.deliver_until_idle();
    for hits in 1..6 {
        assert_eq!(receiver.hits(), hits);
        pass(&hub, 249);
        assert_eq!(receiver.hits(), hits, "too early");
        pass(&hub, 1);
    }
    assert_eq!(receiver.hits(), 6);
    // Unused requests do not accumulate.
    pass(&hub, HOUR);
    publish_number(&hub, 6);
    publish_number(&hub, 7);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 7);
    pass(&hub, SECOND);
    assert_eq!(receiver.hits(), 8);
}

#[test]
fn a_rate_limit_goes_on_when_the_clock_is_set_back() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"rate_limit_per_s": 1}));
    publish_number(&hub, 0);
    hub.deliver_until_idle();
    hub.advance(-HOUR);
    publish_number(&hub, 1);
    pass(&hub, SECOND);
    assert_eq!(receiver.hits(), 2);
}

#[test]
fn a_webhook_that_times_out_gets_one_request_at_a_time() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let fields = json!({"timeout_s": 1, "retry": {"delays_s": [600]}});
    hub.add_webhook_with(receiver.url(), &fields);
    for number in 0..8 {
        publish_number(&hub, number);
    }
    hub.deliver_until_idle();
    receiver.behave(Behaviour::Silence);
    publish_number(&hub, 8);
    hub.deliver_until_idle();
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    receiver.hold();
    for number in 9..13 {
        publish_number(&hub, number);
    }
    receiver.wait_held(1);
    assert_elsewhere_goes_on(&hub);
    assert_eq!(receiver.hits(), 10);
    receiver.release();
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 13);
}

#[test]
fn a_steadily_failing_webhook_gets_one_request_at_a_time_and_no_further_wait() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &retry(&[600, 6000]));
    for number in 0..6 {
        publish_number(&hub, number);
    }
    hub.deliver_until_idle();
    receiver.hold();
    for number in 6..12 {
        publish_number(&hub, number);
    }
    receiver.wait_held(1);
    assert_elsewhere_goes_on(&hub);
    assert_eq!(receiver.hits(), 7);
    receiver.release();
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 12, "all at the same standstill of the clock");
    pass(&hub, 660 * SECOND);
    assert_eq!(receiver.hits(), 24, "retries come when the schedule says");
}

#[test]
fn a_silent_receiver_with_a_backlog_does_not_hold_up_another_webhook() {
    let hub = Hub::with(|options| options.workers = 4);
    let silent = Receiver::start();
    silent.hold();
    let fields = json!({"events": ["slow.*"], "max_in_flight": 64, "timeout_s": 30});
    hub.add_webhook_with(silent.url(), &fields);
    for _ in 0..100 {
        hub.publish_one("slow.thing", json!({}));
    }
    silent.wait_held(1);
    let quick = Receiver::start();
    hub.add_webhook_with(quick.url(), &json!({"events": ["quick.*"]}));
    for _ in 0..100 {
        hub.publish_one("quick.thing", json!({}));
    }
    quick.wait_for(100);
    assert_eq!(silent.hits(), 1, "one request at a time until one has succeeded");
}

/// Publishes to another webhook and waits. The engine has then had its turn, and has sent everything it may send.
fn assert_elsewhere_goes_on(hub: &Hub) {
    let other = Receiver::start();
    let tenant = format!("elsewhere-{}", other.port());
    hub.add_webhook_with(other.url(), &json!({"tenant": tenant}));
    for _ in 0..3 {
        let event = json!({"type": "order.paid", "data": {}, "tenant": tenant});
        hub.post("/v1/events", &event).expect(202);
    }
    other.wait_for(3);
}

#[test]
fn one_host_gets_half_of_the_workers_at_most() {
    let hub = Hub::with(|options| options.workers = 4);
    let crowded = Receiver::start();
    let elsewhere = Receiver::start();
    for tenant in ["a", "b", "c"] {
        let path = format!("/{tenant}");
        hub.add_webhook_with(crowded.url_at(&path), &json!({"events": ["crowded"], "tenant": tenant}));
    }
    hub.add_webhook_with(elsewhere.url(), &json!({"events": ["elsewhere"]}));
    let publish_to_all = || {
        for tenant in ["a", "b", "c"] {
            hub.post("/v1/events", &json!({"type": "crowded", "tenant": tenant, "data": {}})).expect(202);
        }
    };
    publish_to_all();
    hub.deliver_until_idle();
    crowded.hold();
    publish_to_all();
    crowded.wait_held(2);
    hub.publish("elsewhere", json!({}));
    elsewhere.wait_for(1);
    assert_eq!(crowded.hits(), 5);
    crowded.release();
    hub.deliver_until_idle();
    assert_eq!(crowded.hits(), 6);
}
