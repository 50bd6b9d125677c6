//! The power is cut while the program takes events: of each file, only what it held at its last fsync is left.
//!
//! A killed process does not show this, since the kernel keeps what it wrote. The library of `support::disk` copies each
//! file at each fsync, so the copies are what a disk without a cache has to keep.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use hookpost::store::{Connection, beside};
use serde_json::json;

use crate::support::disk::Disk;
use crate::support::process::{PATIENCE, Process, Site, wait_until};
use crate::support::receiver::Receiver;

/// Threads that publish, and the events of each.
const PUBLISHERS: usize = 3;

#[test]
fn a_power_cut_loses_nothing_that_was_answered_202() {
    for cut_after in [1, 7, 40] {
        let Some(cut) = Cut::after(cut_after, Path::new(env!("CARGO_BIN_EXE_hookpost"))) else { return };
        assert_eq!(cut.lost(), [""; 0], "lost of {}", cut.accepted.len());
        cut.check_delivered();
    }
}

/// The check above can fail: without an fsync at each commit, a power cut does lose events.
#[test]
fn a_power_cut_loses_events_under_synchronous_normal() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cut) = Cut::after(10, &with_synchronous_normal(folder.path())) else { return };
    assert!(!cut.lost().is_empty(), "all of {} are there", cut.accepted.len());
}

/// Writes a copy of the program that differs in one word: `PRAGMA synchronous = FULL` is `PRAGMA synchronous = 1`,
/// which is NORMAL.
fn with_synchronous_normal(folder: &Path) -> PathBuf {
    let (full, normal) = (b"PRAGMA synchronous = FULL;", b"PRAGMA synchronous = 1   ;");
    let mut program = fs::read(env!("CARGO_BIN_EXE_hookpost")).unwrap();
    let places: Vec<usize> =
        program.windows(full.len()).enumerate().filter(|(_, bytes)| bytes == full).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the statement is not in the program");
    for at in places {
        program[at..at + full.len()].copy_from_slice(normal);
    }
    let path = folder.join("hookpost-normal");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// A database after a power cut.
struct Cut {
    accepted: BTreeSet<String>,
    site: Site,
    receiver: Receiver,
}

impl Cut {
    /// Publishes with this program until about `count` events were accepted, and cuts the power. `None` if this machine
    /// cannot.
    fn after(count: usize, program: &Path) -> Option<Cut> {
        let disk = Disk::new()?;
        let (before, key) = Site::with_key();
        let receiver = Receiver::start();
        let process = before.serve();
        process.client(&key).add_webhook(&receiver.url(), &json!({}));
        process.signal("TERM");
        process.ended(PATIENCE);
        fs::copy(before.database(), disk.files().join("webhooks.db")).unwrap();

        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--allow-target", "127.0.0.1", "--db"]);
        command.arg(before.database()).env_clear().stdin(Stdio::null());
        disk.under(&mut command);
        let process = Process::start(command);
        let accepted = Arc::new(Mutex::new(BTreeSet::new()));
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let (client, accepted) = (process.client(&key), Arc::clone(&accepted));
                thread::spawn(move || {
                    for number in 0.. {
                        let id = format!("cut-{publisher}-{number}");
                        let Ok(answer) = client.publish(&id) else { return };
                        answer.expect(202);
                        accepted.lock().unwrap().insert(id);
                    }
                })
            })
            .collect();
        assert!(wait_until(PATIENCE, || accepted.lock().unwrap().len() >= count));
        process.kill();
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());

        let site = Site::new();
        // On the disk since the first start, which synced it before the first commit.
        fs::copy(beside(&before.database(), ".key"), beside(&site.database(), ".key")).unwrap();
        for entry in fs::read_dir(disk.files()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), site.folder().join(entry.file_name())).unwrap();
        }
        let accepted = accepted.lock().unwrap().clone();
        Some(Cut { accepted, site, receiver })
    }

    /// Accepted events that are not in the database.
    fn lost(&self) -> Vec<String> {
        let copy = tempfile::tempdir().unwrap();
        for name in ["webhooks.db", "webhooks.db-wal"] {
            // Without an fsync of the log there is none.
            let _ = fs::copy(self.site.folder().join(name), copy.path().join(name));
        }
        let connection = Connection::open(copy.path().join("webhooks.db")).unwrap();
        let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        let mut statement = connection.prepare("SELECT id FROM event").unwrap();
        let stored = statement.query_map([], |row| row.get(0)).unwrap();
        let stored: BTreeSet<String> = stored.map(Result::unwrap).collect();
        self.accepted.difference(&stored).cloned().collect()
    }

    /// Starts the program with what is left, and checks that every accepted event arrives.
    fn check_delivered(&self) {
        let key = self.site.make_key("admin");
        let process = self.site.serve();
        process.client(&key).wait_finished(PATIENCE);
        process.signal("TERM");
        process.ended(PATIENCE);
        let requests = self.receiver.requests();
        let arrived: BTreeSet<String> =
            requests.iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect();
        let missing: Vec<_> = self.accepted.difference(&arrived).collect();
        assert!(missing.is_empty(), "{missing:?} did not arrive");
    }
}
