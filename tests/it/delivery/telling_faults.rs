//! Messages and heartbeats while something is wrong with the machine or the program.

use std::fs::OpenOptions;
use std::sync::mpsc::channel;
use std::time::Duration;

use hookpost::domain::time::MINUTE;
use hookpost::store::StoreError;
use serde_json::json;

use super::heartbeat::monitored;
use super::telling::{add_contact, tell_for, with_mail};
use crate::support::process::{PATIENCE, Process, Site, wait_until};
use crate::support::receiver::Receiver;
use crate::support::smtp::{MailServer, Takes};

#[test]
fn a_disk_that_is_nearly_full_is_told_once_and_once_more_when_there_is_space_again() {
    let (hub, server) = with_mail();
    add_contact(&hub, "ops@example.org", |_| {});
    assert_eq!(tell_for(&hub, 2 * MINUTE), 0);
    let file = OpenOptions::new().write(true).open(hub.database()).unwrap();
    let bytes = file.metadata().unwrap().len();
    // A hole takes no space, but counts as the size of the database: as much again should be free.
    file.set_len(12 << 40).unwrap();
    assert_eq!(tell_for(&hub, 10 * MINUTE), 1);
    let mail = server.wait_for(1).remove(0);
    assert_eq!(mail.subject(), "Low disk space");
    assert!(mail.text.contains("Free some space"), "{}", mail.text);
    file.set_len(bytes).unwrap();
    assert_eq!(tell_for(&hub, 10 * MINUTE), 1);
    assert_eq!(server.wait_for(2)[1].subject(), "Enough disk space again");
}

#[test]
fn a_writer_that_hangs_ends_the_heartbeats_and_readyz_says_that_nothing_is_delivered() {
    let (hub, monitor) = monitored();
    assert!(wait_until(PATIENCE, || monitor.hits() > 2));
    let (release, held) = channel::<()>();
    let hanging = hub.running.app.actions.store.write(move |_| {
        // Ends when the test does, at the latest.
        let _ = held.recv();
        Ok::<_, StoreError>(())
    });
    let stopped = wait_until(PATIENCE, || {
        let before = monitor.hits();
        !wait_until(Duration::from_millis(300), || monitor.hits() > before)
    });
    assert!(stopped, "heartbeats go on");
    hub.get("/readyz").expect(200);
    assert!(wait_until(PATIENCE, || hub.get("/readyz").status == 503));
    assert_eq!(hub.get("/readyz").error_code(), "not_delivering");
    assert!(hub.get("/metrics").expect(200).text.contains("hookpost_delivering 0\n"));
    let stopped = monitor.hits();
    drop(release);
    hanging.wait().unwrap();
    assert!(wait_until(PATIENCE, || monitor.hits() > stopped));
    hub.get("/readyz").expect(200);
}

#[test]
fn a_kill_before_the_message_and_one_before_its_mail_lose_nothing_and_tell_nothing_twice() {
    let (site, key) = Site::with_key();
    let mail = MailServer::start();
    let receiver = Receiver::answering(503);
    let serve = || {
        let mut command = site.serve_command();
        command.args(["--smtp-url", &mail.url(), "--smtp-from", "alerts@example.com"]);
        Process::start(command)
    };
    let number = |query: &str| -> i64 {
        let connection = hookpost::store::Connection::open(site.database()).unwrap();
        connection.query_row(query, [], |row| row.get(0)).unwrap()
    };

    // The incident is open, and its edge has to wait for others.
    let process = serve();
    let client = process.client(&key);
    client.call("POST", "/v1/contacts", Some(&json!({"name": "On call", "email": "ops@example.com"}))).expect(201);
    client.add_webhook(&receiver.url(), &json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}}));
    client.publish("first").unwrap().expect(202);
    assert!(wait_until(PATIENCE, || client.get("/v1/incidents")["data"][0]["status"] == "open"));
    process.kill();
    assert_eq!((number("SELECT count(*) FROM edge"), number("SELECT count(*) FROM message")), (1, 0));
    // Time passes while nothing runs.
    let connection = hookpost::store::Connection::open(site.database()).unwrap();
    connection
        .execute_batch("UPDATE edge SET at_ms = at_ms - 60000; UPDATE contact SET created_ms = created_ms - 120000;")
        .unwrap();
    drop(connection);

    // The message is stored, and its mail is on its way.
    mail.take(Takes::Silence);
    let process = serve();
    mail.wait_for_connections(1);
    process.kill();
    assert_eq!((number("SELECT count(*) FROM message"), mail.mails().len()), (1, 0));

    mail.take(Takes::All);
    let process = serve();
    assert!(mail.wait_for(1)[0].subject().ends_with("is failing"));
    assert!(wait_until(PATIENCE, || number("SELECT count(*) FROM message WHERE sent_ms IS NOT NULL") == 1));
    assert!(wait_until(PATIENCE, || number("SELECT count(*) FROM edge") == 0));
    process.kill();
    assert_eq!((number("SELECT count(*) FROM message"), mail.mails().len()), (1, 1));
}
