//! SIGTERM and Ctrl-C.

use std::time::Duration;

use serde_json::json;

use crate::support::process::{PATIENCE, Site, wait_until};
use crate::support::receiver::Receiver;

#[test]
fn a_signal_lets_requests_in_flight_finish_and_keeps_the_rest() {
    for signal in ["TERM", "INT"] {
        let (site, key) = Site::with_key();
        let receiver = Receiver::start();
        receiver.hold();
        let process = site.serve();
        let client = process.client(&key);
        client.add_webhook(&receiver.url(), &json!({"max_in_flight": 1, "timeout_s": 30}));
        for id in ["first", "second", "third"] {
            client.publish(id).unwrap().expect(202);
        }
        receiver.wait_held(1);
        process.signal(signal);
        let refuses = wait_until(PATIENCE, || client.publish("late").unwrap().status == 503);
        assert!(refuses, "it still takes events after {signal}");
        assert_eq!(client.publish("late").unwrap().error_code(), "stopping");
        receiver.release();
        let (status, said) = process.ended(Duration::from_secs(10));
        assert_eq!(status.code(), Some(0), "{said}");
        assert_eq!(receiver.hits(), 1, "more was sent after {signal}");

        let process = site.serve();
        process.client(&key).wait_finished(PATIENCE);
        let mut ids: Vec<_> = receiver
            .requests()
            .iter()
            .map(|request| request.header("webhook-id").unwrap().to_owned())
            .filter(|id| id != "late")
            .collect();
        ids.sort();
        assert_eq!(ids, ["first", "second", "third"]);
    }
}

#[test]
fn a_signal_ends_an_idle_program_at_once() {
    for signal in ["TERM", "INT"] {
        let (site, key) = Site::with_key();
        let process = site.serve();
        // A client that keeps its connection open must not delay the end.
        let client = process.client(&key);
        client.publish("before").unwrap().expect(202);
        process.signal(signal);
        let (status, said) = process.ended(Duration::from_secs(1));
        assert_eq!(status.code(), Some(0), "{said}");
    }
}

#[test]
fn a_signal_just_after_the_first_line_ends_the_program_as_at_any_time() {
    for _ in 0..3 {
        let process = Site::new().serve();
        process.signal("TERM");
        assert_eq!(process.ended(PATIENCE).0.code(), Some(0));
    }
}
