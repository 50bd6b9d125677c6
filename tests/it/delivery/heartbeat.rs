//! Heartbeats to a monitor.

use std::time::Duration;

use crate::support::Hub;
use crate::support::process::{PATIENCE, wait_until};
use crate::support::receiver::Receiver;

/// Starts a server that sends heartbeats to a monitor in quick succession.
pub(super) fn monitored() -> (Hub, Receiver) {
    let monitor = Receiver::start();
    let hub = Hub::with(|hub| {
        hub.heartbeat_url = Some(format!("{}push?token=1", monitor.url()));
        hub.heartbeat_interval = Duration::from_millis(20);
        hub.allow_targets.clear();
    });
    (hub, monitor)
}

#[test]
fn heartbeats_are_sent_while_deliveries_are() {
    let (mut hub, monitor) = monitored();
    let beats = |least: usize| wait_until(PATIENCE, || monitor.hits() >= least);
    assert!(beats(3));
    let request = monitor.last();
    assert_eq!((request.method.as_str(), request.text()), ("GET", ""));
    hub.get("/readyz").expect(200);
    assert!(hub.get("/metrics").expect(200).text.contains("hookpost_delivering 1\n"));
    hub.stop();
    let stopped = monitor.hits();
    // One may have been on its way.
    assert!(!wait_until(Duration::from_millis(300), || monitor.hits() > stopped + 1));
}

#[test]
fn a_pause_of_all_deliveries_ends_the_heartbeats_until_the_resumption() {
    let (hub, monitor) = monitored();
    let beats = |more: usize, patience: Duration| {
        let before = monitor.hits();
        wait_until(patience, || monitor.hits() >= before + more)
    };
    assert!(beats(2, PATIENCE));
    hub.call_with(&hub.key, "PUT", "/v1/pause", Some(r#"{"reason": "A standby."}"#)).expect(200);
    // One may have been on its way.
    assert!(!beats(2, Duration::from_millis(300)));
    hub.delete("/v1/pause").expect(204);
    assert!(beats(2, PATIENCE));
}
