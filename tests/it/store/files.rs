//! Database files found at the start, and files that change while the server runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use hookpost::store::{Connection, beside};

use serde_json::json;

use super::large::{assert_sound, fill, named, number, of_first_schema};
use crate::support::process::{PATIENCE, Process, Site, as_nobody, refused};
use crate::support::receiver::Receiver;

/// A database written by a server that has stopped.
fn served() -> Site {
    let (site, key) = Site::with_key();
    let process = site.serve();
    for number in 0..50 {
        let id = format!("kept-{number}");
        process.client(&key).publish(&id).unwrap().expect(202);
    }
    process.signal("TERM");
    let (status, said) = process.ended(Duration::from_secs(10));
    assert!(status.success(), "{said}");
    site
}

/// Checks that the server refuses the database with the reason `why`, and changes neither the file nor its log.
#[track_caller]
fn is_refused(site: &Site, why: &str) {
    let before = site.bytes();
    // An empty log may be created.
    let log = || fs::read(beside(&site.database(), "-wal")).unwrap_or_default();
    let log_before = log();
    for _ in 0..2 {
        let said = site.serve_refused();
        assert!(said.contains(why), "{said}");
        assert!(said.contains("webhooks.db"), "{said}");
        assert!(site.bytes() == before, "the file was changed");
        assert!(log() == log_before, "the log was changed");
    }
}

#[test]
fn a_second_process_exits_at_once_and_names_the_first() {
    let (site, key) = Site::with_key();
    let first = site.serve();
    let said = site.serve_refused();
    assert!(said.contains(&format!("process {}", first.id())), "{said}");
    first.client(&key).publish("still-here").unwrap().expect(202);
    first.kill();
    // The lock of a killed process is released.
    site.serve();
}

#[test]
fn a_new_database_is_for_its_owner_alone_and_has_the_schema_and_the_settings_it_needs() {
    let (site, _) = Site::with_key();
    let mode = fs::metadata(site.database()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let connection = Connection::open(site.database()).unwrap();
    let number = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(number("PRAGMA auto_vacuum"), 2);
    assert_eq!(number("PRAGMA application_id"), 0x486f_6f6b);
    assert!(number("PRAGMA user_version") >= 1);
    let journal: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(journal, "wal");
    let own = "FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'";
    assert!(number(&format!("SELECT count(*) {own}")) >= 7);
    assert_eq!(number(&format!("SELECT count(*) {own} AND NOT strict")), 0);
}

#[test]
fn an_empty_file_is_a_new_database() {
    let site = Site::new();
    fs::write(site.database(), b"").unwrap();
    site.serve();
}

#[test]
fn a_database_whose_first_start_was_cut_short_is_a_new_one() {
    let site = Site::new();
    // The journal mode is on disk, but the first migration is not.
    let connection = Connection::open(site.database()).unwrap();
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;").unwrap();
    drop(connection);
    assert!(!site.bytes().is_empty());
    site.serve();
}

#[test]
fn a_newer_schema_is_refused() {
    let site = served();
    let connection = Connection::open(site.database()).unwrap();
    connection.execute_batch("PRAGMA user_version = 999").unwrap();
    drop(connection);
    is_refused(&site, "newer Hookpost (schema 999");
    let listed = site.run(&["keys", "list"]);
    assert_eq!(listed.status.code(), Some(1));
}

#[test]
fn the_log_of_a_refused_database_is_left_as_it_is() {
    let (site, key) = Site::with_key();
    let process = site.serve();
    process.client(&key).publish("in-the-log").unwrap().expect(202);
    process.kill();
    let wal = beside(&site.database(), "-wal");
    assert!(fs::metadata(&wal).unwrap().len() > 0);
    // Saved together with the log, because a connection of the test would empty it.
    let (database, log) = (site.bytes(), fs::read(&wal).unwrap());
    let connection = Connection::open(site.database()).unwrap();
    connection.execute_batch("PRAGMA user_version = 999").unwrap();
    let (newer, newer_log) = (site.bytes(), fs::read(&wal).unwrap());
    drop(connection);
    assert!(newer == database && newer_log != log);
    fs::write(site.database(), newer).unwrap();
    fs::write(&wal, newer_log).unwrap();
    is_refused(&site, "newer Hookpost (schema 999");
}

#[test]
fn a_file_of_another_program_is_refused() {
    let site = Site::new();
    let connection = Connection::open(site.database()).unwrap();
    connection.execute_batch("CREATE TABLE bookmark (url TEXT); INSERT INTO bookmark VALUES ('x');").unwrap();
    drop(connection);
    is_refused(&site, "is not a Hookpost database");
}

#[test]
fn a_damaged_file_is_refused_and_never_replaced_by_an_empty_one() {
    let whole = served().bytes();
    let zeroed_header = [vec![0; 100], whole[100..].to_vec()].concat();
    let zeroed_page = [whole[..4096].to_vec(), vec![0; 4096 * 8], whole[4096 * 9..].to_vec()].concat();
    for (damage, bytes) in [
        ("a zeroed header", zeroed_header),
        ("zeroed pages", zeroed_page),
        ("half of it gone", whole[..whole.len() / 2].to_vec()),
        ("cut within a page", whole[..5000].to_vec()),
        ("cut within the header", whole[..50].to_vec()),
        ("garbage", b"no database at all\n".repeat(1000)),
    ] {
        println!("{damage}");
        let site = Site::new();
        fs::write(site.database(), bytes).unwrap();
        is_refused(&site, "is damaged");
        // A command for one row reads the header only, not every page.
        if damage != "zeroed pages" {
            let made = site.run(&["keys", "create", "--name", "n", "--scope", "read"]);
            assert_eq!(made.status.code(), Some(1), "{damage}");
        }
    }
}

#[test]
fn an_emptied_file_beside_its_log_is_refused() {
    let (site, key) = Site::with_key();
    let process = site.serve();
    process.client(&key).publish("in-the-log").unwrap().expect(202);
    process.kill();
    fs::write(site.database(), b"").unwrap();
    is_refused(&site, "is damaged");
}

#[test]
fn a_file_or_a_folder_that_cannot_be_written_is_refused() {
    for what in ["file", "folder"] {
        let site = served();
        let set = |mode: u32, folder_mode: u32| {
            fs::set_permissions(site.database(), fs::Permissions::from_mode(mode)).unwrap();
            fs::set_permissions(site.folder(), fs::Permissions::from_mode(folder_mode)).unwrap();
        };
        let lock = beside(&site.database(), ".lock");
        fs::set_permissions(&lock, fs::Permissions::from_mode(0o666)).unwrap();
        match what {
            "file" => set(0o444, 0o777),
            _ => set(0o666, 0o555),
        }
        let said = refused(as_nobody(site.serve_command()));
        assert!(said.contains("webhooks.db cannot be written"), "{what}: {said}");
        set(0o600, 0o700);
        site.serve();
    }
}

#[test]
fn a_folder_that_does_not_exist_is_named() {
    let site = Site::new();
    let mut command = crate::support::process::hookpost(&["serve", "--listen", "127.0.0.1:0"]);
    command.arg("--db").arg(site.folder().join("none/webhooks.db"));
    let said = refused(command);
    assert!(said.contains("none/webhooks.db"), "{said}");
}

#[test]
fn a_file_that_is_removed_or_replaced_ends_the_program() {
    let gone: Vec<_> = ["removed", "replaced"]
        .map(|how| {
            let site = served();
            let process = site.serve();
            fs::remove_file(site.database()).unwrap();
            if how == "replaced" {
                fs::write(site.database(), b"").unwrap();
            }
            (how, site, process)
        })
        .into();
    for (how, _site, process) in gone {
        let (status, said) = process.ended(Duration::from_secs(7));
        assert_eq!(status.code(), Some(1), "{said}");
        let last = said.lines().last().unwrap();
        assert!(last.contains(&format!("was {how}")), "{said}");
    }
}

/// A server with a request that the receiver holds for longer than the test.
fn with_a_request_in_flight() -> (Site, Receiver, Process) {
    let (site, key) = Site::with_key();
    let receiver = Receiver::start();
    receiver.hold();
    let process = site.serve();
    let client = process.client(&key);
    client.add_webhook(&receiver.url(), &json!({"timeout_s": 30}));
    client.publish("in-flight").unwrap().expect(202);
    receiver.wait_held(1);
    (site, receiver, process)
}

#[test]
fn a_lost_database_ends_the_program_in_seconds_though_requests_are_in_flight() {
    let (site, _receiver, process) = with_a_request_in_flight();
    fs::remove_file(site.database()).unwrap();
    let (status, said) = process.ended(Duration::from_secs(6));
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.lines().last().unwrap().contains("was removed"), "{said}");
}

#[test]
fn damage_that_is_found_while_serving_ends_the_program_in_seconds() {
    let (site, _receiver, process) = with_a_request_in_flight();
    process.signal("KILL");
    process.ended(PATIENCE);
    // Large enough to be checked after the start.
    fill(&site.database(), 40);
    let mut bytes = site.bytes();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0);
    fs::write(site.database(), bytes).unwrap();
    let process = site.serve();
    let (status, said) = process.ended(Duration::from_secs(10));
    assert_eq!(status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.contains("is damaged") && last.contains("Restore a backup"), "{said}");
}

#[test]
fn a_file_is_copied_for_its_owner_alone_before_it_is_migrated() {
    let site = of_first_schema(1);
    site.serve().kill();
    let copies = named(site.folder(), ".before-");
    assert_eq!(copies.len(), 1, "{copies:?}");
    let mode = fs::metadata(&copies[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_sound(&copies[0]);
    assert_eq!(number(&copies[0], "PRAGMA user_version"), 1);
    assert!(number(&site.database(), "PRAGMA user_version") > 1);
    // A file of its own, which needs no log beside it.
    let journal = Connection::open(&copies[0]).unwrap().query_row("PRAGMA journal_mode", [], |row| row.get(0));
    assert_eq!(journal, Ok("delete".to_owned()));
}

#[test]
fn what_is_due_is_found_by_an_index_and_never_sorted() {
    let (site, _) = Site::with_key();
    let connection = Connection::open(site.database()).unwrap();
    // The statements of `store::delivery::due`.
    for (index, rest) in [
        ("delivery_due", "d.due_ms IS NOT NULL ORDER BY d.due_ms, d.seq"),
        ("delivery_webhook", "d.seq >= 5 AND d.due_ms IS NOT NULL ORDER BY d.seq"),
    ] {
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT d.seq FROM delivery d INDEXED BY {index} WHERE d.webhook_seq = 1 AND {rest}"
        );
        let mut statement = connection.prepare(&sql).unwrap();
        let plan: Vec<String> = statement.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        assert_eq!(plan.len(), 1, "one step, and no sort: {plan:?}");
        assert!(plan[0].contains(index), "{plan:?}");
    }
}
