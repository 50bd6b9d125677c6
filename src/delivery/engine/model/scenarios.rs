//! Schedules that once went wrong, step by step.

use super::world::World;
use super::{Trace, script};
use crate::domain::time::{HOUR, SECOND};
use crate::domain::webhook::WebhookSettings;

fn settings() -> WebhookSettings {
    WebhookSettings {
        url: Some("https://93.184.216.1/".to_owned()),
        events: Some(vec!["*".to_owned()]),
        tenant: Some("a".to_owned()),
        ..WebhookSettings::default()
    }
}

#[test]
fn a_rate_limit_holds_back_no_longer_if_the_clock_is_set_back() {
    let mut world = World::new(0, Trace::default());
    script::create_with(&mut world, WebhookSettings { rate_limit_per_s: Some(Some(1)), ..settings() });
    script::publish_one(&mut world, "a");
    script::publish_one(&mut world, "a");
    while world.schedule() {}
    assert!(world.take());
    world.come_back(0);
    world.record(0);
    world.tell();
    assert!(!world.take(), "one a second");
    world.set_clock(-HOUR);
    world.advance(SECOND);
    while world.schedule() {}
    assert!(world.take(), "an hour later only");
    world.calm();
    world.check_all_ended();
    world.close();
}

#[test]
fn an_ordered_lane_goes_on_if_the_clock_is_set_back_during_a_request() {
    let mut world = World::new(0, Trace::default());
    script::create_with(&mut world, WebhookSettings { ordered: Some(true), ..settings() });
    let first = script::publish_one(&mut world, "a");
    while world.schedule() {}
    assert!(world.take());
    let second = script::publish_one(&mut world, "a");
    world.set_clock(-HOUR);
    // Due now, by the clock as it is, and the lane is read again while the first one is in flight.
    script::retry(&mut world, second);
    world.tell();
    while world.schedule() {}
    world.come_back(0);
    world.record(0);
    world.tell();
    while world.schedule() {}
    assert!(world.take(), "{second} waits although {first} is delivered");
    world.calm();
    world.check_all_ended();
    world.close();
}
