//! Faults inside a job of the writer.

use std::sync::mpsc::channel;

use hookpost::actions::ActionError;
use hookpost::actions::publish::NewEvent;
use hookpost::http::error::ApiError;
use hookpost::store::{Store, StoreError};
use serde_json::json;

use crate::support::Hub;
use crate::support::receiver::Receiver;

const INSERT: &str = "INSERT INTO topic (tenant, type) VALUES (?1, 'a.b')";

fn topics(store: &Store) -> Vec<String> {
    let read = |connection: &hookpost::store::Connection| -> Result<Vec<String>, StoreError> {
        let mut statement = connection.prepare("SELECT tenant FROM topic ORDER BY tenant")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    store.read(read).unwrap()
}

#[test]
fn a_panic_in_a_job_of_the_writer_is_an_error_for_its_caller_alone() {
    let hub = Hub::start();
    let store = &hub.running.app.actions.store;
    // Holds the writer until all jobs are queued, so that they are one group.
    let (release, held) = channel::<()>();
    let first = store.write(move |_| -> Result<(), StoreError> {
        let _ = held.recv();
        Ok(())
    });
    let insert = |tenant: &'static str, panics: bool| {
        store.write(move |tx| -> Result<(), StoreError> {
            tx.connection().execute(INSERT, [tenant])?;
            assert!(!panics, "this panic belongs to the test");
            Ok(())
        })
    };
    let before = insert("before", false);
    let panicked = insert("panicked", true);
    let after = insert("after", false);
    release.send(()).unwrap();
    assert!(first.wait().is_ok() && before.wait().is_ok() && after.wait().is_ok());
    let error = panicked.wait().unwrap_err();
    assert_eq!(error, StoreError::Panicked);
    assert_eq!(ApiError::from(error).status().as_u16(), 500);
    assert_eq!(topics(store), ["after", "before"]);
    assert_eq!(store.broken(), None);
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
    let shown = hub.get("/v1/stats").expect(200).json();
    assert_eq!(shown["pending"], 0, "{shown}");
}

#[test]
fn the_queue_of_the_writer_is_bounded_by_bytes_too() {
    let hub = Hub::start();
    let actions = &hub.running.app.actions;
    let (release, held) = channel::<()>();
    let first = actions.store.write(move |_| -> Result<(), StoreError> {
        let _ = held.recv();
        Ok(())
    });
    let event = || NewEvent {
        event_type: "order.paid".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        id: None,
        created_ms: None,
        data: format!("\"{}\"", "x".repeat(1 << 20)).into(),
        previous_data: None,
        idempotency: None,
        resent_from_seq: None,
    };
    let published: Vec<_> = (0..100).map(|_| actions.publish(event())).collect();
    // A job of few bytes still has room.
    let small = actions.store.write(|_| -> Result<(), StoreError> { Ok(()) });
    release.send(()).unwrap();
    assert!(first.wait().is_ok() && small.wait().is_ok());
    let mut stored = 0;
    for pending in published {
        match pending.wait() {
            Ok(_) => stored += 1,
            Err(error) => assert!(matches!(error, ActionError::Store(StoreError::Overloaded)), "{error}"),
        }
    }
    assert_eq!(stored, 63, "64 MiB together");
    assert!(actions.publish(event()).wait().is_ok(), "there is room again");
}
