//! Memory of the lanes: bounded over all of them, whatever waits.

use std::sync::Arc;
use std::sync::mpsc::{Receiver as Held, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hookpost::delivery::Transport;
use hookpost::delivery::http::client::{ClientResult, Outgoing};
use hookpost::store::{StoreError, webhook};
use rusqlite::Connection;
use serde_json::json;

use crate::support::Hub;
use crate::support::fixtures;
use crate::support::process::wait_until;

const WEBHOOKS: u32 = 1_000;
const EVENTS: usize = 70;
const EVENT_BYTES: usize = 15 << 10;

/// Sends nothing until the test ends.
struct Silent(Mutex<Held<()>>);

impl Transport for Silent {
    fn post(&self, _: &Outgoing<'_>, _: Duration) -> ClientResult {
        // An error: the test has ended.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).recv();
        ClientResult::default()
    }
}

fn silent() -> (Arc<Silent>, Sender<()>) {
    let (end, held) = channel();
    (Arc::new(Silent(Mutex::new(held))), end)
}

#[test]
fn a_thousand_webhooks_with_a_backlog_hold_a_few_mebibytes_together() {
    let mut hub = Hub::start();
    for _ in 0..EVENTS {
        hub.publish("order.paid", json!({"text": "x".repeat(EVENT_BYTES)}));
    }
    let inserted = hub.running.app.actions.store.write(|tx| {
        for number in 1..=WEBHOOKS {
            webhook::insert_row(tx.connection(), &fixtures::webhook(number, "default"))?;
        }
        Ok::<_, StoreError>(())
    });
    inserted.wait().unwrap();
    hub.stop();
    let connection = Connection::open(hub.database()).unwrap();
    connection
        .execute_batch(
            "BEGIN;
             INSERT INTO delivery (id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms, topic_seq)
             SELECT randomblob(16), e.seq, w.seq, 'pending', 'event', 0, 'initial', 0, e.topic_seq
             FROM webhook w CROSS JOIN event e;
             UPDATE webhook SET pending_count = (SELECT count(*) FROM event);
             COMMIT;",
        )
        .unwrap();
    let (transport, end) = silent();
    hub.restart_with(|options| options.transport = Some(transport));
    let engine = &hub.running.app.actions.engine;
    let mut most = 0;
    let mut steady = 0;
    // Full, and no more added: the lanes have read what they may.
    let is_full = wait_until(Duration::from_secs(60), || {
        let now = engine.queued_bytes();
        steady = if now == most && now > 0 { steady + 1 } else { 0 };
        most = most.max(now);
        steady >= 40
    });
    assert!(is_full, "{most} bytes, and more every moment");
    assert!((4 << 20..=9 << 20).contains(&most), "{most} bytes in the queues of the lanes");
    drop(end);
}
