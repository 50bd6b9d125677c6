//! A worker that panics. This is a fault of the server, so neither the delivery nor the webhook is charged with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookpost::delivery::Transport;
use hookpost::delivery::http::client::{ClientResult, Outgoing};
use hookpost::domain::attempt::{FailureCause, ReceiverResponse};
use hookpost::domain::time::{HOUR, MINUTE, SECOND};
use hookpost::text::failure::describe;
use serde_json::json;

use super::{next_attempt, pass, retry};
use crate::support::Hub;
use crate::support::hub::NOON;
use crate::support::receiver::Receiver;

/// Panics this many times, then responds with a status.
struct Panicking {
    left: AtomicUsize,
    status: u16,
}

impl Transport for Panicking {
    fn post(&self, _: &Outgoing<'_>, _: Duration) -> ClientResult {
        let before = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(before.is_err(), "this panic belongs to the test");
        let failed = || describe(FailureCause::Status { code: self.status }, "");
        ClientResult {
            answer: Some(ReceiverResponse {
                code: self.status,
                headers: Vec::new(),
                body: Vec::new(),
                body_truncated: false,
            }),
            failure: (self.status != 200).then(failed),
            ..ClientResult::default()
        }
    }
}

fn panicking(times: usize, status: u16) -> Hub {
    Hub::with(|options| {
        options.transport = Some(Arc::new(Panicking { left: AtomicUsize::new(times), status }));
    })
}

#[test]
fn a_delivery_whose_worker_panicked_is_tried_again_and_others_go_on() {
    let hub = panicking(1, 200);
    hub.add_webhook_with(Receiver::refused_url(), &retry(&[]));
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["status"], "retrying", "nothing of the schedule is used up");
    assert_eq!(shown["last_attempt"]["error_code"], "worker_panic");
    let other = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&other), "delivered");
    pass(&hub, 2 * SECOND);
    assert_eq!(hub.status_of(&delivery), "delivered");
}

#[test]
fn ten_panics_end_a_delivery_with_that_reason_and_leave_the_webhook_active() {
    let hub = panicking(usize::MAX, 200);
    let webhook = hub.add_webhook_with(Receiver::refused_url(), &retry(&[]));
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    for attempts in 1..10 {
        let shown = hub.delivery(&delivery);
        assert_eq!(shown["status"], "retrying");
        assert_eq!(shown["attempt_count"], attempts);
        pass(&hub, MINUTE);
    }
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["status"], "failed");
    assert_eq!(shown["attempt_count"], 10);
    assert_eq!(shown["last_attempt"]["error_code"], "worker_panic");
    let reason = shown["attempts"][9]["error"]["message"].as_str().unwrap();
    assert!(reason.contains("Hookpost"), "{reason}");
    pass(&hub, HOUR);
    assert_eq!(hub.delivery(&delivery)["attempt_count"], 10);
    assert_eq!(hub.state_of(&webhook), "active");
}

#[test]
fn a_panic_moves_no_delay_earlier_under_first_failure() {
    let hub = panicking(9, 500);
    let schedule = json!({"retry": {"delays_s": [300], "measured_from": "first_failure"}});
    hub.add_webhook_with(Receiver::refused_url(), &schedule);
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    for _ in 0..9 {
        pass(&hub, next_attempt(&hub, &delivery) - hub.clock.now_ms());
    }
    assert_eq!(hub.delivery(&delivery)["last_attempt"]["code"], 500);
    assert!(hub.clock.now_ms() > NOON, "the panics took their time");
    let wait = next_attempt(&hub, &delivery) - hub.clock.now_ms();
    assert!(wait >= 300 * SECOND, "{wait}");
}
