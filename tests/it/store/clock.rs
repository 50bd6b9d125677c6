//! A machine whose clock is set back.

use hookpost::domain::retention::Retention;
use hookpost::domain::time::{DAY, HOUR, MINUTE};
use rusqlite::Connection;
use serde_json::json;

use crate::support::Hub;
use crate::support::process::{PATIENCE, wait_until};
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

/// A correction of the clock, and what happens to the server meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Correction {
    Running,
    Restart,
    Resume,
}

#[test]
fn what_was_stored_while_the_clock_was_ahead_is_sent_once_it_is_right() {
    use Correction::{Restart, Resume, Running};
    for ahead in [2 * DAY, 3653 * DAY] {
        for ordered in [false, true] {
            for correction in [Running, Restart, Resume] {
                let mut hub = Hub::start();
                let receiver = Receiver::start();
                let fields = json!({"ordered": ordered, "active": correction != Resume});
                let webhook = hub.add_webhook_with(receiver.url(), &fields);
                // The first is in flight when the clock is corrected, so that none is attempted before.
                receiver.hold();
                hub.clock.jump(ahead);
                for _ in 0..3 {
                    hub.publish_one("order.paid", json!({}));
                }
                match correction {
                    Running => hub.clock.jump(-ahead),
                    Restart => {
                        receiver.wait_held(1);
                        hub.abandon();
                        hub.clock.jump(-ahead);
                        hub.restart();
                    }
                    Resume => {
                        hub.clock.jump(-ahead);
                        hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": true})).expect(200);
                    }
                }
                hub.publish_one("order.paid", json!({}));
                receiver.release();
                hub.advance(0);
                let is_sent = || {
                    let list = hub.get("/v1/deliveries?status=delivered").expect(200).json();
                    list["data"].as_array().unwrap().len() == 4
                };
                assert!(wait_until(PATIENCE, is_sent), "{} days ahead, ordered {ordered}, {correction:?}", ahead / DAY);
            }
        }
    }
}

#[test]
fn a_retry_waits_as_long_as_its_schedule_says_when_the_clock_was_ahead_at_the_attempt() {
    for ahead in [2 * DAY, 3653 * DAY] {
        for restarts in [false, true] {
            let mut hub = Hub::start();
            let receiver = Receiver::answering(500);
            hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [600, 600]}}));
            hub.clock.jump(ahead);
            let delivery = hub.publish_one("order.paid", json!({}));
            hub.deliver_until_idle();
            assert_eq!(receiver.hits(), 1);
            if restarts {
                hub.stop();
            }
            hub.clock.jump(-ahead);
            if restarts {
                hub.restart();
            }
            hub.advance(0);
            let due = || hub.delivery(&delivery)["next_attempt_at"].as_str().unwrap().to_owned();
            assert!(wait_until(PATIENCE, || due().starts_with("2026-01-15T10:1")), "{}", due());
            hub.advance(5 * MINUTE);
            hub.deliver_until_idle();
            assert_eq!(receiver.hits(), 1, "a retry came early");
            hub.advance(10 * MINUTE);
            hub.deliver_until_idle();
            assert_eq!(receiver.hits(), 2);
        }
    }
}

fn events(hub: &Hub) -> usize {
    hub.get("/v1/events").expect(200).json()["data"].as_array().unwrap().len()
}

#[test]
fn a_clock_that_jumps_ahead_deletes_nothing_that_was_just_delivered() {
    for restarts in [false, true] {
        let mut hub = Hub::with(|options| options.retention = Retention::new(30, 90));
        let receiver = Receiver::start();
        hub.add_webhook(receiver.url());
        for _ in 0..2 {
            hub.publish_one("order.paid", json!({}));
        }
        hub.deliver_until_idle();
        if restarts {
            hub.stop();
        }
        hub.clock.jump(365 * DAY);
        if restarts {
            hub.restart();
        }
        let later = |days: i64, left: usize| {
            hub.advance(days * DAY + HOUR);
            hub.publish_one("order.paid", json!({}));
            hub.deliver_until_idle();
            hub.prune_until_idle();
            assert_eq!(events(&hub), left, "restarts: {restarts}");
        };
        later(0, 3);
        later(28, 4);
        // A retention after the jump everything is as the clock says.
        later(2, 2);
        later(40, 1);
    }
}

#[test]
fn a_set_back_is_forgotten_once_the_rows_from_before_are_deleted() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let set_back = || -> i64 {
        let connection = Connection::open(hub.database()).unwrap();
        connection.query_row("SELECT set_back_ms FROM clock", [], |row| row.get(0)).unwrap()
    };
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    for back in [DAY, HOUR] {
        hub.clock.jump(-back);
        hub.publish("a.b", json!({}));
        hub.deliver_until_idle();
        assert_eq!(set_back(), if back == DAY { DAY } else { DAY + HOUR });
    }
    hub.advance(20 * DAY);
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    hub.prune_until_idle();
    assert_eq!(set_back(), DAY + HOUR, "rows from before the last set-back are left");
    hub.advance(20 * DAY);
    hub.prune_until_idle();
    assert_eq!(set_back(), 0);
    // The next one is noted again.
    hub.clock.jump(-MINUTE);
    hub.publish("a.b", json!({}));
    assert!(set_back() > 0);
}

#[test]
fn a_clock_that_jumps_ahead_deletes_no_idempotency_key_before_its_day() {
    let hub = Hub::start();
    let execute = |sql: &str| Connection::open(hub.database()).unwrap().execute(sql, []).unwrap();
    let count = |key: &str| -> i64 {
        let connection = Connection::open(hub.database()).unwrap();
        let query = "SELECT count(*) FROM idempotency WHERE key = ?1";
        connection.query_row(query, [key], |row| row.get(0)).unwrap()
    };
    let headers = [("x-api-key", hub.key.as_str()), ("content-type", "application/json"), ("idempotency-key", "new")];
    hub.send("POST", "/v1/events", &headers, br#"{"type": "a.b", "data": 1}"#).expect(202);
    execute("INSERT INTO idempotency SELECT tenant, 'old', fingerprint, event_seq, 0, batch FROM idempotency");
    hub.clock.jump(2 * DAY);
    hub.advance(2 * MINUTE);
    assert!(wait_until(PATIENCE, || count("old") == 0), "keys were cleaned");
    assert_eq!(count("new"), 1);
    hub.advance(DAY);
    assert!(wait_until(PATIENCE, || count("new") == 0));
}
