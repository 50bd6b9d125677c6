//! Requests while all database connections of pages and lists are in use.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use hookpost::store::StoreError;
use serde_json::json;

use crate::support::Hub;
use crate::support::process::{PATIENCE, wait_until};

/// All connections of the pool.
const READS: usize = 4;
/// More requests than the server has threads for blocking work.
const MANY: usize = 40;

/// Runs `work` while all connections are in use.
fn without_connections(hub: &Hub, work: impl FnOnce()) {
    let store = &hub.running.app.actions.store;
    thread::scope(|scope| {
        let (begun, begins) = channel();
        let ends: Vec<_> = (0..READS)
            .map(|_| {
                let ((end, wait), begun) = (channel::<()>(), begun.clone());
                scope.spawn(move || {
                    let hold = |wait: &Receiver<()>| {
                        begun.send(()).unwrap();
                        let _ = wait.recv();
                        Ok::<_, StoreError>(())
                    };
                    store.read(|_| hold(&wait)).unwrap();
                });
                end
            })
            .collect();
        (0..READS).for_each(|_| begins.recv().unwrap());
        work();
        drop(ends);
    });
}

#[track_caller]
fn publish_at_once(hub: &Hub) {
    let began = Instant::now();
    hub.publish("order.paid", json!({}));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn authentication_waits_for_no_other_read() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    let name = visitor.session_cookie();
    let cookie = format!("{name}={}", visitor.cookie(&name).unwrap());
    thread::scope(|scope| {
        let mut page = None;
        without_connections(&hub, || {
            let page = page.insert(scope.spawn(|| hub.send("GET", "/webhooks", &[("cookie", &cookie)], b"")));
            publish_at_once(&hub);
            assert!(!page.is_finished(), "the page found a connection");
        });
        page.unwrap().join().unwrap().expect(200);
    });
}

#[test]
fn reads_that_wait_leave_threads_to_the_check_of_an_event() {
    let hub = Hub::start();
    let schema = json!({"schema": {"type": "object"}}).to_string();
    hub.call_with(&hub.key, "PUT", "/v1/event-types/order.paid", Some(&schema)).expect(201);
    thread::scope(|scope| {
        let mut lists = Vec::new();
        without_connections(&hub, || {
            lists.extend((0..MANY).map(|_| scope.spawn(|| hub.get("/v1/events"))));
            assert!(wait_until(PATIENCE, || hub.running.app.requests() >= MANY));
            publish_at_once(&hub);
        });
        lists.into_iter().for_each(|list| drop(list.join().unwrap().expect(200)));
    });
}
