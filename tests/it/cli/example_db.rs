//! `webhooks.db.example`, the database shipped with the source.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookpost::delivery::Transport;
use hookpost::delivery::http::client::{ClientResult, Outgoing};
use hookpost::domain::retention::Retention;
use hookpost::domain::time::DAY;
use hookpost::store::{Store, backup};

use crate::support::Hub;
use crate::support::process::{Site, hookpost, refused, run, stderr};

const EXAMPLE: &str = "webhooks.db.example";
const MAKE_IT_AGAIN: &str = "Make it again after a migration: rm webhooks.db.example && cargo run -- example-db webhooks.db.example && chmod 644 webhooks.db.example";

/// Counts requests instead of sending them.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Transport for Counting {
    fn post(&self, _: &Outgoing<'_>, _: Duration) -> ClientResult {
        self.0.fetch_add(1, Ordering::SeqCst);
        ClientResult::default()
    }
}

#[test]
fn the_file_is_one_small_sound_file_of_the_current_schema() {
    let bytes = fs::read(EXAMPLE).unwrap_or_else(|error| panic!("{EXAMPLE}: {error}. {MAKE_IT_AGAIN}"));
    // Each of some 130 tables and indexes has a page of 4 KiB.
    assert!(bytes.len() <= 600_000, "{} bytes", bytes.len());
    // No write-ahead log: the file is complete.
    assert_eq!(bytes[18..20], [1, 1], "{MAKE_IT_AGAIN}");
    let site = Site::new();
    fs::write(site.database(), bytes).unwrap();
    if let Err(error) = Store::open_for_command(&site.database()) {
        panic!("{error}. {MAKE_IT_AGAIN}");
    }
    let faults = backup::check(&site.database(), &|_, _| {}).unwrap();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn serving_a_copy_shows_a_full_house_and_sends_nothing() {
    let sent = Arc::new(Counting::default());
    let hub = Hub::with(|options| {
        fs::copy(EXAMPLE, &options.database).unwrap();
        options.transport = Some(sent.clone());
        options.retention = Retention::new(0, 0);
        // Two years after the last event, with retention off as in README.md.
        options.clock.advance(700 * DAY);
    });
    hub.deliver_until_idle();
    assert_eq!(sent.0.load(Ordering::SeqCst), 0, "{MAKE_IT_AGAIN}");
    // There are no users, so the first run prints a setup link.
    assert!(hub.running.setup_link().unwrap().is_some());
    let count = |path: &str| {
        let list = hub.get(path).expect(200).json();
        list["data"].as_array().unwrap().len()
    };
    assert_eq!(count("/v1/webhooks?limit=250"), 13);
    assert_eq!(count("/v1/event-types?limit=250"), 7);
    for state in ["active", "paused", "disabled", "unverified"] {
        assert!(count(&format!("/v1/webhooks?state={state}")) > 0, "{state}");
    }
    for status in ["pending", "retrying", "delivered", "failed"] {
        assert!(count(&format!("/v1/deliveries?status={status}")) > 0, "{status}");
    }
    for tenant in ["acme", "globex", "default"] {
        assert!(count(&format!("/v1/events?tenant={tenant}")) > 0, "{tenant}");
    }
    let visitor = hub.administrator();
    assert!(visitor.page("/webhooks").contains("Order fulfilment"));
    assert!(visitor.page("/inbox").statuses().contains(&"verified"));
}

#[test]
fn it_is_made_by_a_command_and_never_over_a_file() {
    let site = Site::new();
    let file = site.folder().join("example");
    let path = file.to_str().unwrap();
    let mut command = hookpost(&["example-db", path]);
    command.env("TMPDIR", site.folder());
    let output = run(command);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(backup::check(&file, &|_, _| {}).unwrap().is_empty());
    let mut again = hookpost(&["example-db", path]);
    again.env("TMPDIR", site.folder());
    assert!(refused(again).contains("already exists"));
    assert_eq!(fs::read_dir(site.folder()).unwrap().count(), 1);
}
