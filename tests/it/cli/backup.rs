//! `hookpost backup` and `hookpost check`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use hookpost::store::beside;

use crate::api::backup::copied_beside_events;
use crate::store::large::{fill, named, number};
use crate::support::process::{PATIENCE, Site, hookpost, refused, run, stderr, stdout, wait_until};

#[test]
fn a_backup_is_made_while_the_server_runs_and_can_be_served() {
    let (site, key) = Site::with_key();
    let process = site.serve();
    process.client(&key).publish("before").unwrap().expect(202);
    let copy = site.folder().join("copy.db");
    let name = copy.to_str().unwrap();
    let made = site.run(&["backup", name]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    process.client(&key).publish("after").unwrap().expect(202);

    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let checked = run(hookpost(&["check", "--db", name]));
    assert_eq!(stdout(&checked), format!("{name} is sound\n"), "{}", stderr(&checked));
    process.kill();
    fs::rename(&copy, site.database()).unwrap();
    for log in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{log}", site.database().display()));
    }
    let process = site.serve();
    let events = process.client(&key).get("/v1/events");
    let events = events["data"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["id"], "before");
}

#[test]
fn a_backup_beside_a_server_ends_while_events_come_in_and_keeps_its_log_short() {
    copied_beside_events(120, |site, _, file| {
        let made = site.run(&["backup", file.to_str().unwrap()]);
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    });
}

#[test]
fn a_server_is_asked_for_a_backup_by_those_alone_who_can_read_its_database() {
    let (site, key) = Site::with_key();
    let socket = beside(&site.database(), ".sock");
    let process = site.serve();
    process.client(&key).publish("kept").unwrap().expect(202);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // A killed server leaves its socket behind, which hinders neither a backup nor the next start.
    process.kill();
    assert!(socket.exists());
    let copy = site.folder().join("copy.db");
    let made = site.run(&["backup", copy.to_str().unwrap()]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    assert_eq!(number(&copy, "SELECT count(*) FROM event WHERE id = 'kept'"), 1);
    let process = site.serve();
    process.client(&key).publish("served").unwrap().expect(202);
    process.signal("TERM");
    process.ended(PATIENCE);
    assert!(!socket.exists());
}

#[test]
fn a_server_that_makes_no_backup_says_why() {
    let (site, key) = Site::with_key();
    fill(&site.database(), 60);
    let process = site.serve();
    let client = process.client(&key);
    let copy = site.folder().join("second.db");
    thread::scope(|scope| {
        let first = scope.spawn(|| client.download("/v1/backup"));
        let begun = || !named(site.folder(), ".part").is_empty();
        assert!(wait_until(PATIENCE, begun), "the first one did not begin");
        let said = refused(site.command(&["backup", copy.to_str().unwrap()]));
        assert!(said.contains("Another backup is being made"), "{said}");
        first.join().unwrap();
    });
    assert!(!copy.exists());
}

#[test]
fn a_backup_never_writes_over_a_file() {
    let (site, _) = Site::with_key();
    let there = site.folder().join("there.db");
    fs::write(&there, "mine").unwrap();
    let said = refused(site.command(&["backup", there.to_str().unwrap()]));
    assert!(said.contains("there.db"), "{said}");
    assert_eq!(fs::read(&there).unwrap(), b"mine");
}

#[test]
fn a_check_names_an_event_that_is_not_what_was_stored() {
    let (site, key) = Site::with_key();
    let process = site.serve();
    process.client(&key).publish("flipped").unwrap().expect(202);
    process.kill();
    let connection = rusqlite::Connection::open(site.database()).unwrap();
    let changed = connection.execute("UPDATE event SET data = '{\"other\":1}'", []);
    assert_eq!(changed.unwrap(), 1);
    drop(connection);
    let said = refused(site.command(&["check"]));
    assert!(said.contains("flipped") && said.contains("checksum"), "{said}");
}
