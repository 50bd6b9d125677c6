//! Requests while all database connections of pages and lists are in use.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use hookpost::store::StoreError;
use serde_json::json;

use crate::support::Hub;

/// All connections of the pool.
const READS: usize = 4;

#[test]
fn authentication_waits_for_no_other_read() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    let name = visitor.session_cookie();
    let cookie = format!("{name}={}", visitor.cookie(&name).unwrap());
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
        let page = scope.spawn(|| hub.send("GET", "/webhooks", &[("cookie", &cookie)], b""));
        let began = Instant::now();
        hub.publish("order.paid", json!({}));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(!page.is_finished(), "the page found a connection");
        drop(ends);
        page.join().unwrap().expect(200);
    });
}
