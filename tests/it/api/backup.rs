//! `GET /v1/backup`.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use hookpost::store::api_key::Scope;
use hookpost::store::{StoreError, beside};
use serde_json::json;

use super::error;
use crate::store::large::{fill, number};
use crate::support::Hub;
use crate::support::process::{Client, PATIENCE, Site, wait_until};

#[test]
fn a_backup_comes_whole_and_leaves_nothing_behind() {
    let hub = Hub::start();
    for number in 0..200 {
        hub.publish("order.paid", json!({"number": number, "pad": "x".repeat(2_000)}));
    }
    let (status, bytes) = hub.download("/v1/backup");
    assert_eq!(status, 200);
    assert!(bytes.len() > 400_000, "{}", bytes.len());
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    fs::write(&copy, bytes).unwrap();
    assert_eq!(hookpost::store::backup::check(&copy, &|_, _| {}).unwrap(), Vec::<String>::new());
    let connection = rusqlite::Connection::open(&copy).unwrap();
    let events = connection.query_row("SELECT count(*) FROM event", [], |row| row.get(0));
    assert_eq!(events, Ok(200));
    let beside = fs::read_dir(hub.database().parent().unwrap()).unwrap();
    let left = beside.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("part")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn one_backup_is_made_at_a_time() {
    let hub = Hub::start();
    let store = hub.running.app.actions.store.clone();
    // The writer is busy, so the first backup waits for its first step.
    let (go, wait) = channel::<()>();
    let (begun, begins) = channel();
    let busy = store.write(move |_| -> Result<(), StoreError> {
        begun.send(()).unwrap();
        let _ = wait.recv();
        Ok(())
    });
    begins.recv().unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| hub.download("/v1/backup").0);
        let folder = hub.database().parent().unwrap().to_owned();
        let parts =
            || fs::read_dir(&folder).unwrap().any(|entry| entry.unwrap().path().extension() == Some("part".as_ref()));
        assert!(wait_until(PATIENCE, parts), "the first one did not begin");
        error(&hub.get("/v1/backup"), 409, "backup_running");
        go.send(()).unwrap();
        assert_eq!(first.join().unwrap(), 200);
    });
    busy.wait().unwrap();
    assert_eq!(hub.download("/v1/backup").0, 200);
}

#[test]
fn a_backup_ends_while_events_come_in_and_holds_what_was_accepted_before() {
    copied_beside_events(40, |_, client, file| fs::write(file, client.download("/v1/backup")).unwrap());
}

/// Asserts that a copy, made while events come in, is sound and keeps the server's log short.
pub fn copied_beside_events(mebibytes: u32, copy: impl FnOnce(&Site, &Client, &Path)) {
    let (site, key) = Site::with_key();
    fill(&site.database(), mebibytes);
    let process = site.serve();
    let client = process.client(&key);
    client.publish("before").unwrap().expect(202);
    let file = site.folder().join("copy.db");
    let is_over = AtomicBool::new(false);
    let published = thread::scope(|scope| {
        let publishers: Vec<_> = (0..2)
            .map(|thread| {
                let (client, is_over) = (client.clone(), &is_over);
                scope.spawn(move || {
                    let ids = (0..).take_while(|_| !is_over.load(Ordering::SeqCst));
                    ids.map(|n| client.publish(&format!("{thread}-{n}")).unwrap().expect(202)).count()
                })
            })
            .collect();
        copy(&site, &client, &file);
        is_over.store(true, Ordering::SeqCst);
        publishers.into_iter().map(|it| it.join().unwrap()).sum::<usize>()
    });
    assert!(published > 10, "{published} events during the backup");
    let log = fs::metadata(beside(&site.database(), "-wal")).unwrap().len();
    assert!(log < 8 << 20, "the log grew to {log} bytes");
    assert_eq!(hookpost::store::backup::check(&file, &|_, _| {}).unwrap(), Vec::<String>::new());
    let stored = number(&file, "SELECT count(*) FROM event") as usize;
    assert!((1..=published + 1).contains(&stored), "{stored} of {published}");
    assert_eq!(number(&file, "SELECT count(*) FROM event WHERE id = 'before'"), 1);
    assert_eq!(number(&file, "SELECT count(*) FROM audit WHERE subject = 'filling'"), i64::from(mebibytes) * 500);
}

#[test]
fn a_backup_needs_an_admin_of_all_tenants() {
    let hub = Hub::start();
    for (scope, tenant) in [(Scope::Read, None), (Scope::Publish, None), (Scope::Admin, Some("acme"))] {
        let key = hub.make_key(scope, tenant, None);
        error(&hub.call_with(&key, "GET", "/v1/backup", None), 403, "forbidden");
    }
}
