//! A second machine by Litestream, the real program: `HOOKPOST_TEST_LITESTREAM` names it.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::large::{assert_sound, number};
use crate::support::process::{Client, PATIENCE, Process, Site, hookpost, run, stderr, wait_until};
use crate::support::receiver::Receiver;
use crate::support::skipped;

const LITESTREAM: &str = "HOOKPOST_TEST_LITESTREAM";
/// If set, a missing Litestream is a failure.
const REQUIRE_LITESTREAM: &str = "HOOKPOST_TEST_REQUIRE_LITESTREAM";

const ROUNDS: usize = 10;
/// Events per call, calls per second of each publisher, and publishers: 500 events per second.
const BATCH: usize = 10;
const CALL_INTERVAL: Duration = Duration::from_millis(40);
const PUBLISHERS: usize = 2;
const PUBLISHING: Duration = Duration::from_secs(2);
/// What a busy machine adds to the interval of Litestream.
const SLACK: Duration = Duration::from_secs(1);
/// The log holds 10,000 pages at most, what comes in before Litestream looks, and the safety margin of a slow machine.
const MOST_LOG_BYTES: u64 = 64 << 20;

/// Litestream, killed on drop.
struct Replicator(Child);

impl Replicator {
    fn start(program: &Path, config: &Path) -> Replicator {
        let mut command = Command::new(program);
        command.arg("replicate").arg("-config").arg(config);
        Replicator(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Replicator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the program, or prints why the test is skipped.
fn litestream() -> Option<PathBuf> {
    let found = std::env::var_os(LITESTREAM).map(PathBuf::from);
    if found.is_none() {
        skipped(
            REQUIRE_LITESTREAM,
            "no Litestream named by HOOKPOST_TEST_LITESTREAM (npm: @flydotio/litestream-linux-x64)",
        );
    }
    found
}

/// Writes the configuration of docs/failover.md, with a folder in place of the bucket.
fn configure(site: &Site, replica: &Path) -> PathBuf {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/failover.md")).unwrap();
    let (_, rest) = document.split_once("```yaml\n").unwrap();
    let (config, _) = rest.split_once("```").unwrap();
    let config = config
        .replace("/var/lib/hookpost/webhooks.db", site.database().to_str().unwrap())
        .replace("url: s3://example-bucket/hookpost", &format!("type: file\n        path: {}", replica.display()));
    assert!(config.contains("type: file") && config.contains(site.database().to_str().unwrap()), "{config}");
    let file = site.folder().join("litestream.yml");
    fs::write(&file, config).unwrap();
    file
}

/// Returns when the newest segment of the log was written to a replica.
fn newest_segment(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let newest = |entry: fs::DirEntry| match entry.file_type().ok()?.is_dir() {
        true => newest_segment(&entry.path()),
        false if entry.path().to_str()?.ends_with(".wal.lz4") => entry.metadata().ok()?.modified().ok(),
        false => None,
    };
    entries.filter_map(newest).max()
}

/// Publishes until the time is over or the server is gone. Returns each acknowledged event with the time of its answer.
fn publish(client: &Client, prefix: &str, is_over: &AtomicBool) -> Vec<(String, SystemTime)> {
    let mut acknowledged = Vec::new();
    let begin = Instant::now();
    for call in 0_u32.. {
        // A pace, not a wait for something: 500 events per second in all.
        wait_until((CALL_INTERVAL * call).saturating_sub(begin.elapsed()), || is_over.load(Ordering::SeqCst));
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let ids: Vec<String> = (0..BATCH).map(|number| format!("{prefix}-{call}-{number}")).collect();
        let event = |(number, id): (usize, &String)| {
            let event_type = if number % 5 == 0 { "order.sent" } else { "order.stored" };
            json!({"type": event_type, "id": id, "data": {"pad": "x".repeat(200)}})
        };
        let body = json!({"events": ids.iter().enumerate().map(event).collect::<Vec<_>>()});
        match client.try_call("POST", "/v1/events/batch", Some(&body)) {
            Ok(answer) if answer.status == 202 => {
                let now = SystemTime::now();
                acknowledged.extend(ids.into_iter().map(|id| (id, now)));
            }
            Ok(answer) => panic!("{} {}", answer.status, answer.text),
            Err(_) => break,
        }
    }
    acknowledged
}

/// Numbers of one round.
struct Round {
    /// Age of the newest acknowledged event that is lost, at the kill.
    recovery_point: Duration,
    /// Time from the kill until the second machine is ready.
    recovery_time: Duration,
    log_bytes: u64,
    lost: usize,
    events: usize,
}

fn round(program: &Path, number_of_round: usize) -> Round {
    let receiver = Receiver::start();
    let (first, key) = Site::with_key();
    let replica = first.folder().join("replica");
    let config = configure(&first, &replica);
    let setup = first.serve();
    setup.client(&key).add_webhook(&receiver.url(), &json!({"events": ["order.sent"]}));
    // From its first start beside Litestream's folder on, the server leaves the log to it.
    let mut litestream = Replicator::start(program, &config);
    assert!(wait_until(PATIENCE, || newest_segment(&replica).is_some()), "Litestream does not replicate");
    setup.signal("TERM");
    setup.ended(PATIENCE);
    let server = first.serve();
    let client = server.client(&key);

    let (is_over, log_bytes) = (AtomicBool::new(false), AtomicU64::new(0));
    let log = format!("{}-wal", first.database().display());
    let (acknowledged, killed_at) = thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let (client, is_over) = (client.clone(), &is_over);
                scope.spawn(move || publish(&client, &format!("r{number_of_round}-p{publisher}"), is_over))
            })
            .collect();
        wait_until(PUBLISHING, || {
            log_bytes.fetch_max(fs::metadata(&log).map_or(0, |found| found.len()), Ordering::SeqCst);
            false
        });
        let killed_at = SystemTime::now();
        let _ = litestream.0.kill();
        server.kill();
        is_over.store(true, Ordering::SeqCst);
        let acknowledged: Vec<_> = publishers.into_iter().flat_map(|publisher| publisher.join().unwrap()).collect();
        (acknowledged, killed_at)
    });
    drop(litestream);
    let synced_at = newest_segment(&replica).unwrap().min(killed_at) - SLACK;

    let second = Site::new();
    let restored = second.folder().join("restored.db");
    let mut command = Command::new(program);
    command.args(["restore", "-config"]).arg(&config).arg("-o").arg(&restored).arg(first.database());
    let output = run(command);
    assert!(output.status.success(), "{}", stderr(&output));
    let key_of = |site: &Site| format!("{}.key", site.database().display());
    fs::copy(key_of(&first), key_of(&second)).unwrap();
    let output = second.run(&["restore", restored.to_str().unwrap(), "--paused"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_sound(&second.database());
    let mut command = second.serve_command();
    command.arg("--replicated=false");
    let server = Process::start(command);
    let recovery_time = killed_at.elapsed().unwrap();
    let client = server.client(&key);

    // Nothing older than the last completed sync is lost.
    let sql = "SELECT count(*) FROM event";
    let stored = stored_ids(&second.database());
    assert_eq!(number(&second.database(), sql) as usize, stored.len());
    let lost: Vec<_> = acknowledged.iter().filter(|(id, _)| !stored.contains(id.as_str())).collect();
    let first_lost = lost.iter().map(|(_, at)| *at).min();
    if let Some(at) = first_lost {
        assert!(
            at >= synced_at,
            "an event acknowledged {:?} before the last sync is lost",
            synced_at.duration_since(at)
        );
    }
    // Nothing is sent before somebody says so, and nothing twice that was recorded before the last sync.
    let sent_by_first: HashMap<String, SystemTime> = acknowledged.iter().cloned().collect();
    let before = receiver.settle();
    client.call("DELETE", "/v1/pause", None).expect(204);
    assert!(wait_until(PATIENCE, || client.get("/v1/stats")["pending"].as_u64().unwrap_or(1) == 0 || is_idle(&client)));
    client.wait_finished(PATIENCE);
    let mut received: HashMap<String, usize> = HashMap::new();
    for (index, request) in receiver.requests().iter().enumerate() {
        let id = request.header("webhook-id").unwrap().to_owned();
        let times = received.entry(id.clone()).or_default();
        *times += 1;
        if index >= before && *times > 1 {
            let acknowledged_at = sent_by_first.get(&id).copied();
            assert!(
                acknowledged_at.is_none_or(|at| at >= synced_at - SLACK),
                "{id} was acknowledged {:?} before the last sync, and is sent again",
                acknowledged_at.and_then(|at| synced_at.duration_since(at).ok())
            );
        }
    }
    for id in stored.iter().filter(|id| id.ends_with("-0") || id.ends_with("-5")) {
        assert!(received.contains_key(id), "{id} was never sent");
    }
    Round {
        recovery_point: first_lost.map_or(Duration::ZERO, |at| killed_at.duration_since(at).unwrap_or_default()),
        recovery_time,
        log_bytes: log_bytes.load(Ordering::SeqCst),
        lost: lost.len(),
        events: acknowledged.len(),
    }
}

fn is_idle(client: &Client) -> bool {
    client.count("pending") == 0 && client.count("retrying") == 0
}

fn stored_ids(database: &Path) -> std::collections::HashSet<String> {
    let connection = rusqlite::Connection::open(database).unwrap();
    let mut statement = connection.prepare("SELECT id FROM event").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_second_machine_goes_on_from_the_last_sync_of_the_first_ten_times() {
    let Some(program) = litestream() else { return };
    let rounds: Vec<Round> = (0..ROUNDS).map(|number| round(&program, number)).collect();
    let longest = |of: fn(&Round) -> Duration| rounds.iter().map(of).max().unwrap();
    let log_bytes = rounds.iter().map(|round| round.log_bytes).max().unwrap();
    let (lost, events): (usize, usize) =
        rounds.iter().fold((0, 0), |(lost, events), round| (lost + round.lost, events + round.events));
    let _ = writeln!(
        std::io::stderr(),
        "Litestream, {ROUNDS} rounds: recovery point {:?}, recovery time {:?}, {lost} of {events} events lost, log {} KiB at most",
        longest(|round| round.recovery_point),
        longest(|round| round.recovery_time),
        log_bytes >> 10,
    );
    assert!(events > ROUNDS * 300, "{events} events are too few for 500 per second");
    assert!(log_bytes < MOST_LOG_BYTES, "{log_bytes}");
}

#[test]
fn a_server_beside_a_replicator_leaves_it_the_log_also_at_the_end() {
    let (site, key) = Site::with_key();
    let log = PathBuf::from(format!("{}-wal", site.database().display()));
    let stop = |process: Process| {
        process.client(&key).publish("kept").unwrap();
        process.signal("TERM");
        process.ended(PATIENCE).1
    };
    stop(site.serve());
    assert!(!log.exists());
    fs::create_dir(site.folder().join(".webhooks.db-litestream")).unwrap();
    let said = stop(site.serve());
    assert!(said.contains("left to a replicator"), "{said}");
    assert!(log.metadata().unwrap().len() > 0);
    // The setting says so in place of the folder.
    let mut command = site.serve_command();
    command.arg("--replicated=false");
    stop(Process::start(command));
    assert!(!log.exists());
    let copy = site.folder().join("copy.db");
    let made = run({
        let mut command = hookpost(&["backup", copy.to_str().unwrap()]);
        command.arg("--db").arg(site.database());
        command
    });
    assert!(made.status.success(), "{}", stderr(&made));
}
