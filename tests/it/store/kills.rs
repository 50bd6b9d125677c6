//! The program is killed (SIGKILL) in the middle of rare work: a migration, a backup, a sweep, a checkpoint. A kill in a
//! prune is in `cli::prune`, kills while publishing and delivering are in `crash`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::large::{assert_sound, fill, named, number, of_first_schema, wait_for_copy};
use crate::support::process::{Client, PATIENCE, Process, Site, run, stderr, wait_until};
use crate::support::receiver::Receiver;

/// Publishes until the program is gone. Returns the ids that it accepted.
fn publish_until_gone(client: &Client, prefix: &str, pad: usize) -> BTreeSet<String> {
    let pad = "x".repeat(pad);
    let mut accepted = BTreeSet::new();
    for count in 0.. {
        let id = format!("{prefix}-{count}");
        let body = json!({"type": "order.paid", "id": id, "data": pad});
        match client.try_call("POST", "/v1/events", Some(&body)) {
            Ok(answer) => {
                answer.expect(202);
                accepted.insert(id);
            }
            Err(_) => break,
        }
    }
    accepted
}

#[track_caller]
fn assert_kept(site: &Site, accepted: &BTreeSet<String>) {
    let connection = rusqlite::Connection::open(site.database()).unwrap();
    let mut statement = connection.prepare("SELECT id FROM event").unwrap();
    let stored: BTreeSet<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let missing: Vec<_> = accepted.difference(&stored).collect();
    assert!(missing.is_empty(), "{} of {} are lost: {missing:?}", missing.len(), accepted.len());
    assert!(!accepted.is_empty());
}

#[test]
fn a_migration_that_is_killed_leaves_a_sound_file_and_the_next_start_finishes_it() {
    let old = of_first_schema(40);
    let rows = number(&old.database(), "SELECT count(*) FROM audit");
    for moment in ["in the copy", "after the copy", "5", "60"] {
        let site = Site::new();
        fs::copy(old.database(), site.database()).unwrap();
        let starting = Process::spawn(site.serve_command());
        match moment {
            "in the copy" => wait_for_copy(site.folder()),
            "after the copy" => assert!(wait_until(PATIENCE, || !named(site.folder(), ".before-").is_empty())),
            millis => drop(wait_until(Duration::from_millis(millis.parse().unwrap()), || false)),
        }
        starting.kill();
        assert_sound(&site.database());
        assert_eq!(number(&site.database(), "SELECT count(*) FROM audit"), rows, "killed {moment}");

        site.serve().kill();
        assert_sound(&site.database());
        assert!(number(&site.database(), "PRAGMA user_version") > 1, "killed {moment}");
        assert_eq!(number(&site.database(), "SELECT count(*) FROM audit"), rows, "killed {moment}");
        assert_eq!(named(site.folder(), ".part").len(), 0, "killed {moment}");
        let copies = named(site.folder(), ".before-");
        assert!(!copies.is_empty());
        for copy in copies {
            assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
            assert_sound(&copy);
            assert_eq!(number(&copy, "PRAGMA user_version"), 1);
            assert_eq!(number(&copy, "SELECT count(*) FROM audit"), rows);
        }
    }
}

#[test]
fn a_backup_that_is_killed_leaves_nothing_but_what_the_next_one_removes() {
    let (site, _) = Site::with_key();
    fill(&site.database(), 60);
    let copies = site.folder().join("copies");
    fs::create_dir(&copies).unwrap();
    let backup = |name: &str| {
        let mut command = site.command(&["backup"]);
        command.arg(copies.join(name)).stdout(Stdio::null());
        command
    };
    let mut child = backup("killed.db").spawn().unwrap();
    wait_for_copy(&copies);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(named(&copies, "").len(), 1, "the kill came too late to leave a part");
    assert!(!copies.join("killed.db").exists());
    // Another one's file, and one of the same ending.
    fs::write(copies.join("mine.part"), "mine").unwrap();

    let made = run(backup("whole.db"));
    assert!(made.status.success(), "{}", stderr(&made));
    assert_sound(&copies.join("whole.db"));
    let mut left: Vec<_> = named(&copies, "").into_iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    left.sort();
    assert_eq!(left, ["mine.part", "whole.db"]);
}

#[test]
fn a_server_that_is_killed_in_a_backup_keeps_what_it_accepted_and_the_next_one_removes_the_part() {
    let (site, key) = Site::with_key();
    fill(&site.database(), 60);
    let process = site.serve();
    let client = process.client(&key);
    let accepted = thread::scope(|scope| {
        let publisher = scope.spawn(|| publish_until_gone(&client, "backup", 2_000));
        scope.spawn(|| client.try_call("GET", "/v1/backup", None).map(drop));
        wait_for_copy(site.folder());
        process.kill();
        publisher.join().unwrap()
    });
    assert_eq!(named(site.folder(), ".part").len(), 1, "the kill came too late to leave a part");
    assert_sound(&site.database());
    assert_kept(&site, &accepted);
    let process = site.serve();
    assert_eq!(named(site.folder(), ".part").len(), 0);
    process.client(&key).publish("after").unwrap().expect(202);
}

fn publish_thousands(client: &Client, batches: i64) {
    for batch in 0..batches {
        let events: Vec<Value> =
            (0..1_000).map(|n| json!({"type": "a.b", "id": format!("{batch}-{n}"), "data": n})).collect();
        client.call("POST", "/v1/events/batch", Some(&Value::from(events))).expect(202);
    }
}

#[test]
fn a_deletion_of_a_tenant_that_is_killed_is_finished_by_the_next_start() {
    const WAITING: i64 = 6_000;
    let (site, key) = Site::with_key();
    let receiver = Receiver::start();
    let process = site.serve();
    let client = process.client(&key);
    client.add_webhook(&receiver.url(), &json!({"active": false}));
    publish_thousands(&client, WAITING / 1_000);
    let left = || number(&site.database(), "SELECT count(*) FROM delivery");
    client.call("DELETE", "/v1/tenants/default?confirm=default", None).expect(202);
    assert!(wait_until(PATIENCE, || left() < WAITING));
    process.kill();
    assert!(left() > 0, "the kill came too late to cut the deletion short");
    assert_sound(&site.database());

    let process = site.serve();
    let client = process.client(&key);
    let is_gone = || client.call("GET", "/v1/tenants/default", None).status == 404;
    assert!(wait_until(PATIENCE, is_gone), "{} of {WAITING} deliveries are left", left());
    assert_eq!(left() + number(&site.database(), "SELECT count(*) FROM event"), 0);
    assert_eq!(receiver.hits(), 0, "an attempt for a tenant that is being deleted");
    client.add_webhook(&receiver.url(), &json!({}));
    client.publish("after").unwrap().expect(202);
    client.wait_finished(PATIENCE);
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn a_sweep_that_is_killed_is_finished_by_the_next_start() {
    const WAITING: i64 = 6_000;
    let (site, key) = Site::with_key();
    let receiver = Receiver::start();
    let process = site.serve();
    let client = process.client(&key);
    let webhook = client.add_webhook(&receiver.url(), &json!({"active": false}));
    publish_thousands(&client, WAITING / 1_000);
    let discarded = || number(&site.database(), "SELECT count(*) FROM delivery WHERE status = 'discarded'");
    let change = json!({"active": true, "waiting": "discard"});
    client.call("PATCH", &format!("/v1/webhooks/{webhook}"), Some(&change)).expect(200);
    process.kill();
    let before = discarded();
    assert!(before < WAITING, "the kill came too late to cut the sweep short");
    assert_sound(&site.database());

    let process = site.serve();
    assert!(wait_until(PATIENCE, || discarded() == WAITING), "{} of {WAITING} are discarded", discarded());
    let client = process.client(&key);
    client.publish("after").unwrap().expect(202);
    client.wait_finished(PATIENCE);
    assert_eq!(receiver.hits(), 1, "nothing discarded was sent, and what came later was");
    let count = "SELECT sum(pending_count + retrying_count) FROM webhook";
    assert_eq!(number(&site.database(), count), 0);
}

#[test]
fn a_kill_in_a_checkpoint_loses_nothing() {
    let (site, key) = Site::with_key();
    let accepted = Mutex::new(BTreeSet::new());
    for round in 0..5 {
        let process = site.serve();
        let client = process.client(&key);
        thread::scope(|scope| {
            for thread in 0..2 {
                let (client, accepted) = (client.clone(), &accepted);
                scope.spawn(move || {
                    let of_thread = publish_until_gone(&client, &format!("{round}-{thread}"), 30_000);
                    accepted.lock().unwrap().extend(of_thread);
                });
            }
            // Only a checkpoint writes to the file itself.
            let state = || fs::metadata(site.database()).map(|found| (found.mtime(), found.mtime_nsec())).unwrap();
            let before = state();
            assert!(wait_until(PATIENCE, || state() != before), "no checkpoint came");
            process.kill();
        });
        assert_sound(&site.database());
        assert_kept(&site, &accepted.lock().unwrap());
    }
}

#[test]
fn a_kill_while_deliveries_fail_leaves_incidents_as_the_log_tells_them() {
    let (site, key) = Site::with_key();
    let receivers = [Receiver::answering(500), Receiver::answering(500)];
    for round in 0..4 {
        let process = site.serve();
        let client = process.client(&key);
        if round == 0 {
            client.add_webhook(&receivers[0].url(), &json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}}));
            client.add_webhook(&receivers[1].url(), &json!({"retry": {"delays_s": [86_400]}}));
        }
        thread::scope(|scope| {
            let publisher = scope.spawn(|| publish_until_gone(&client, &format!("{round}"), 10));
            let hits = receivers[0].hits();
            assert!(wait_until(PATIENCE, || receivers[0].hits() > hits + 20), "nothing is delivered");
            process.kill();
            publisher.join().unwrap()
        });
        let database = site.database();
        assert_sound(&database);
        for webhook in [1, 2] {
            let log = |condition: &str| {
                let query = format!(
                    "SELECT count(*) FROM attempt JOIN delivery ON seq = delivery_seq
                     WHERE webhook_seq = {webhook} AND error_code IS NOT NULL {condition}"
                );
                number(&database, &query)
            };
            let streak =
                |column: &str| number(&database, &format!("SELECT {column} FROM streak WHERE webhook_seq = {webhook}"));
            assert_eq!(streak("failures"), log(""), "round {round}, webhook {webhook}");
            assert_eq!(streak("deliveries"), log("AND number = 1"), "round {round}, webhook {webhook}");
        }
        let dead = number(&database, "SELECT count(*) FROM delivery WHERE status = 'failed'");
        assert_eq!(number(&database, "SELECT dead_letters FROM incident_webhook WHERE webhook_seq = 1"), dead);
        assert_eq!(
            number(&database, "SELECT count(*) FROM incident WHERE closed_ms IS NULL AND host LIKE '127.0.0.1:%'"),
            number(&database, "SELECT count(DISTINCT incident_seq) FROM incident_webhook")
        );
    }
}
