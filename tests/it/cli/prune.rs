//! `hookpost prune`.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use hookpost::clock::Clock;
use hookpost::domain::webhook::{Webhook, WebhookState};
use hookpost::metrics::Metrics;
use hookpost::store::{KeySource, Store, webhook};
use rusqlite::Connection;

use crate::support::fixtures;
use crate::support::process::{Site, refused, stderr, stdout, wait_until};

/// Deliveries that ended in 1970, each with its event and a large attempt, and a pending one of the same age.
const OLD: &str = "
    INSERT INTO topic VALUES (1, 'default', 'a.b');
    CREATE TEMP TABLE n (i INTEGER PRIMARY KEY);
    WITH RECURSIVE m(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM m WHERE i < 4001) INSERT INTO n SELECT i FROM m;
    INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data, topic_seq)
    SELECT i, 'e' || i, 'default', 'a.b', i, i, 0, 0, '{}', 1 FROM n;
    INSERT INTO delivery (seq, id, event_seq, webhook_seq, status, cause, next_trigger, attempt_count, created_ms,
        finished_ms, topic_seq)
    SELECT i, CAST(printf('%016d', i) AS BLOB), i, 1, iif(i = 17, 'pending', 'delivered'), 'event', 'initial', 1, i,
        iif(i = 17, NULL, i), 1 FROM n;
    INSERT INTO attempt (delivery_seq, number, id, trigger, started_ms, duration_ms, connections, url,
        request_headers, response_body)
    SELECT i, 1, zeroblob(16), 'initial', i, 1, 1, 'https://example.com/', '', randomblob(2000) FROM n;";

fn old() -> Site {
    let (site, _) = Site::with_key();
    let paused = Webhook { state: WebhookState::Paused, ..fixtures::webhook(1, "default") };
    let (clock, metrics) = (Clock::machine(), Metrics::new());
    let (store, lock) = Store::open(&site.database(), &KeySource::Beside, &clock, &metrics).unwrap();
    store.write(move |tx| webhook::insert_row(tx.connection(), &paused)).wait().unwrap();
    store.close();
    drop((store, lock));
    let connection = Connection::open(site.database()).unwrap();
    connection.execute_batch(&format!("BEGIN; {OLD} COMMIT;")).unwrap();
    site
}

fn count(site: &Site, table: &str) -> i64 {
    let connection = Connection::open(site.database()).unwrap();
    let row = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
    row.unwrap()
}

/// Checks the pages, the foreign keys, and that every delivery has its event and its attempt.
#[track_caller]
fn assert_sound(site: &Site) {
    let connection = Connection::open(site.database()).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    assert_eq!(count(site, "pragma_foreign_key_check"), 0);
    assert_eq!(count(site, "attempt"), count(site, "delivery"));
    assert_eq!(count(site, "delivery WHERE status = 'pending'"), 1);
}

#[test]
fn a_prune_counts_first_and_then_deletes_and_makes_the_file_smaller() {
    let site = old();
    let dry = site.run(&["prune", "--older-than", "30d", "--dry-run"]);
    assert_eq!(stdout(&dry), "3999 deliveries and 3999 events would be deleted\n");
    assert_eq!(count(&site, "delivery"), 4001);
    let before = fs::metadata(site.database()).unwrap().len();
    let pruned = site.run(&["prune", "--older-than", "30d"]);
    assert_eq!(stdout(&pruned), "3999 deliveries and 3999 events deleted\n", "{}", stderr(&pruned));
    assert_sound(&site);
    assert_eq!(count(&site, "event"), 2, "of what waits, and the newest");
    let after = fs::metadata(site.database()).unwrap().len();
    assert!(after < before / 10, "{before} to {after} bytes");
    let again = site.run(&["prune"]);
    assert_eq!(stdout(&again), "0 deliveries and 0 events deleted\n");
}

#[test]
fn a_prune_is_refused_while_a_server_runs_and_where_it_would_mean_nothing() {
    let (site, _) = Site::with_key();
    let process = site.serve();
    let said = refused(site.command(&["prune", "--older-than", "30d"]));
    assert!(said.contains("webhooks.db"), "{said}");
    process.kill();
    let mut kept = site.command(&["prune"]);
    kept.env("HOOKPOST_RETENTION_DAYS", "0");
    assert!(refused(kept).contains("--older-than"));
    for bad in ["30", "0d", "-1d", "month"] {
        let said = refused(site.command(&["prune", &format!("--older-than={bad}")]));
        assert!(said.contains("--older-than"), "{said}");
    }
    let nowhere = Site::new();
    assert!(refused(nowhere.command(&["prune"])).contains("does not exist"));
    assert_eq!(fs::read_dir(nowhere.folder()).unwrap().count(), 0);
}

#[test]
fn a_prune_that_is_killed_leaves_a_sound_file_and_goes_on_where_it_was() {
    let site = old();
    let mut was_cut_short = false;
    for millis in 1.. {
        let mut command = site.command(&["prune", "--older-than", "30d"]);
        let mut child: Child = command.stdout(Stdio::null()).spawn().unwrap();
        let left = count(&site, "delivery");
        // Kills the process during its work, a little later in each round.
        wait_until(Duration::from_secs(20), || child.try_wait().unwrap().is_some() || count(&site, "delivery") < left);
        let has_ended = wait_until(Duration::from_millis(millis), || child.try_wait().unwrap().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_sound(&site);
        let left = count(&site, "delivery");
        was_cut_short |= (3..4001).contains(&left);
        if has_ended {
            assert_eq!(left, 2);
            break;
        }
    }
    assert!(was_cut_short);
    site.serve().kill();
}
