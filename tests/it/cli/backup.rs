//! `hookpost backup` and `hookpost check`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::process::{Site, hookpost, refused, run, stderr, stdout};

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
