//! The files on disk are complete: a copy of the database and its log contains every event with a 202.
//!
//! This shows that the commit is written to the files before the 202, and that the log recovers. It does not show that
//! the commit was fsynced: a copy reads the kernel's cache, which a power cut would lose. See `power_cut`.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;

use hookpost::store::{Connection, StoreError, beside};

use crate::support::Hub;
use crate::support::process::Site;

/// Number of copies.
const COPIES: usize = 25;

#[test]
fn a_copy_of_the_files_holds_everything_that_was_answered_before_it() {
    let (site, key) = Site::with_key();
    let process = site.serve();
    let client = process.client(&key);
    let accepted = Arc::new(Mutex::new(BTreeSet::new()));
    let publish = |thread: usize| {
        let (client, accepted) = (client.clone(), Arc::clone(&accepted));
        move || {
            for number in 0..40 {
                let id = format!("copy-{thread}-{number}");
                client.publish(&id).unwrap().expect(202);
                accepted.lock().unwrap().insert(id);
            }
        }
    };
    let publishers: Vec<_> = (0..3).map(|n| thread::spawn(publish(n))).collect();
    let copies = tempfile::tempdir().unwrap();
    for number in 0..COPIES {
        let before = accepted.lock().unwrap().clone();
        let copy = copies.path().join(format!("{number}.db"));
        // The database is copied before the log: in the reverse order, pages moved by a checkpoint would be missing.
        // This test has no checkpoint, because it writes fewer than a thousand pages.
        fs::copy(site.database(), &copy).unwrap();
        fs::copy(beside(&site.database(), "-wal"), beside(&copy, "-wal")).unwrap();
        let missing: Vec<_> = before.difference(&events(&copy)).cloned().collect();
        assert!(missing.is_empty(), "copy {number} lacks {missing:?}");
    }
    publishers.into_iter().for_each(|it| it.join().unwrap());
    process.kill();
}

fn events(database: &std::path::Path) -> BTreeSet<String> {
    let connection = Connection::open(database).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let mut statement = connection.prepare("SELECT id FROM event").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn every_commit_is_ordered_to_the_disk() {
    let hub = Hub::start();
    let settings = hub.running.app.actions.store.write(|tx| -> Result<_, StoreError> {
        let ask = |pragma: &str| -> Result<String, StoreError> {
            let sql = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
            Ok(tx.connection().query_row(&sql, [], |row| row.get(0))?)
        };
        Ok((ask("synchronous")?, ask("journal_mode")?, ask("foreign_keys")?))
    });
    let full = "2".to_owned();
    assert_eq!(settings.wait().unwrap(), (full, "wal".to_owned(), "1".to_owned()));
}
