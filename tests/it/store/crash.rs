//! Repeated kills (SIGKILL) while the server accepts and delivers events.
//!
//! A power cut is not shown here: the kernel keeps the writes of a killed process. See `power_cut`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hookpost::store::Connection;
use serde_json::json;

use crate::support::process::{Client, Process, Site, wait_until};
use crate::support::receiver::{Behaviour, Received, Receiver, Reply};

/// Publishing threads.
const PUBLISHERS: usize = 3;
/// Maximum number of events per thread and round.
const EVENTS: usize = 60;

/// A webhook of the test. Its deliveries claimed at a kill (attempted, but not yet recorded) are at most four times its
/// requests in flight, or one if it is ordered.
struct Target {
    path: &'static str,
    max_in_flight: usize,
    ordered: bool,
}

const TARGETS: [Target; 3] = [
    Target { path: "/wide", max_in_flight: 8, ordered: false },
    Target { path: "/narrow", max_in_flight: 1, ordered: false },
    Target { path: "/ordered", max_in_flight: 8, ordered: true },
];

impl Target {
    fn claimed_at_most(&self) -> usize {
        if self.ordered { 1 } else { 4 * self.max_in_flight }
    }
}

/// A request to which the receiver responded with 200.
struct Success {
    path: String,
    event: String,
    /// Number of the connection, which identifies the sending process.
    connection: usize,
}

/// SplitMix64: a seed always yields the same times.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.next() % (to - from + 1))
    }
}

#[test]
fn what_was_answered_202_survives_any_number_of_kills() {
    let rounds = number("HOOKPOST_CRASH_ROUNDS").unwrap_or(20);
    let seed = number("HOOKPOST_CRASH_SEED").unwrap_or_else(|| u64::from_le_bytes(hookpost::random::bytes()));
    println!("HOOKPOST_CRASH_SEED={seed} HOOKPOST_CRASH_ROUNDS={rounds}");
    let mut random = Random(seed);
    let successes = Arc::new(Mutex::new(Vec::new()));
    let receiver = receiver(random.next(), &successes);
    let (site, key) = Site::with_key();
    set_up(&site, &key, &receiver);

    let accepted = Arc::new(Mutex::new(BTreeSet::new()));
    // Number of connections at the end of each process.
    let mut ends = Vec::new();
    for round in 0..rounds {
        // One process in four is killed during its start, the others during their work.
        if random.next().is_multiple_of(4) {
            let starting = Process::spawn(site.serve_command());
            pass(random.millis(5, 500));
            starting.kill();
        } else {
            let process = site.serve();
            let publishers = publish(&process.client(&key), round, &accepted);
            pass(random.millis(5, 500));
            process.kill();
            publishers.into_iter().for_each(|it| it.join().unwrap());
        }
        ends.push(receiver.settle());
    }

    let process = site.serve();
    process.client(&key).wait_finished(Duration::from_secs(60 + rounds));
    process.signal("TERM");
    let (status, said) = process.ended(Duration::from_secs(10));
    assert!(status.success(), "{said}");

    let accepted = accepted.lock().unwrap();
    assert!(accepted.len() as u64 > rounds, "{} events", accepted.len());
    let found = look(&site);
    let successes = successes.lock().unwrap();
    check_nothing_is_lost(&accepted, &found, &successes);
    check_what_came_twice(&successes, &ends);
    check_statistics(&site);
}

/// Reads a number from the environment.
#[expect(clippy::disallowed_methods, reason = "how often is the caller's choice")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Waits until the time of the kill.
fn pass(moment: Duration) {
    wait_until(moment, || false);
}

/// Responds to one request in eight with 500, and to the others with 200, some of them late.
fn receiver(seed: u64, successes: &Arc<Mutex<Vec<Success>>>) -> Receiver {
    let random = Mutex::new(Random(seed));
    let successes = Arc::clone(successes);
    Receiver::behaving(Behaviour::deciding(move |request: &Received| {
        let draw = random.lock().unwrap().next();
        if draw.is_multiple_of(8) {
            return Reply::status(500);
        }
        successes.lock().unwrap().push(Success {
            path: request.path.clone(),
            event: request.header("webhook-id").unwrap().to_owned(),
            connection: request.connection,
        });
        match draw % 8 {
            1 => Reply::status(200).after(Duration::from_millis(20)),
            _ => Reply::status(200),
        }
    }))
}

fn set_up(site: &Site, key: &str, receiver: &Receiver) {
    let process = site.serve();
    let client = process.client(key);
    for target in TARGETS {
        client.add_webhook(
            &receiver.url_at(target.path),
            &json!({
                "max_in_flight": target.max_in_flight,
                "ordered": target.ordered,
                "retry": {
                    "delays_s": [0.05, 0.1, 0.2, 0.4],
                    "exhausted": "dead_letter",
                },
            }),
        );
    }
    process.signal("TERM");
    let (status, said) = process.ended(Duration::from_secs(10));
    assert!(status.success(), "{said}");
}

/// Publishes until the process is killed, and collects the ids of accepted events.
fn publish(client: &Client, round: u64, accepted: &Arc<Mutex<BTreeSet<String>>>) -> Vec<JoinHandle<()>> {
    static PUBLISHED: AtomicUsize = AtomicUsize::new(0);
    (0..PUBLISHERS)
        .map(|_| {
            let client = client.clone();
            let accepted = Arc::clone(accepted);
            thread::spawn(move || {
                for _ in 0..EVENTS {
                    let number = PUBLISHED.fetch_add(1, Ordering::Relaxed);
                    let id = format!("crash-{round}-{number}");
                    match client.publish(&id) {
                        Ok(answer) => {
                            answer.expect(202);
                            accepted.lock().unwrap().insert(id);
                        }
                        // The process was killed. This event may or may not be stored.
                        Err(_) => return,
                    }
                }
            })
        })
        .collect()
}

/// Returns the status of every delivery by path and event. Also checks the whole file.
fn look(site: &Site) -> BTreeMap<(String, String), String> {
    let connection = Connection::open(site.database()).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let strays: i64 =
        connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(strays, 0);
    let mut statement = connection
        .prepare(
            "SELECT w.url, e.id, d.status FROM delivery d
             JOIN event e ON e.seq = d.event_seq JOIN webhook w ON w.seq = d.webhook_seq",
        )
        .unwrap();
    let rows = statement.query_map([], |row| {
        let url: String = row.get(0)?;
        let (_, path) = url.rsplit_once('/').unwrap();
        Ok(((format!("/{path}"), row.get(1)?), row.get(2)?))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Checks that every accepted event arrived or is a dead letter, and that the recorded statuses match the receiver's.
fn check_nothing_is_lost(
    accepted: &BTreeSet<String>,
    found: &BTreeMap<(String, String), String>,
    successes: &[Success],
) {
    let arrived: BTreeSet<(&str, &str)> =
        successes.iter().map(|success| (success.path.as_str(), success.event.as_str())).collect();
    for (event, target) in accepted.iter().flat_map(|event| TARGETS.iter().map(move |target| (event, target))) {
        let status = found
            .get(&(target.path.to_owned(), event.clone()))
            .unwrap_or_else(|| panic!("{event} for {} is lost", target.path));
        assert!(status == "delivered" || status == "failed", "{event} for {} is {status}", target.path);
        assert!(
            arrived.contains(&(target.path, event)) || status == "failed",
            "{event} is said to be delivered to {}, which never got it",
            target.path
        );
    }
}

/// Checks that the counters match the rows.
fn check_statistics(site: &Site) {
    let connection = Connection::open(site.database()).unwrap();
    for (what, counted, found) in [
        (
            "what waits",
            "SELECT sum(pending_count + retrying_count) FROM webhook",
            "SELECT count(*) FROM delivery WHERE status IN ('pending', 'retrying')",
        ),
        (
            "successes",
            "SELECT sum(success_count) FROM webhook",
            "SELECT count(*) FROM delivery WHERE status = 'delivered'",
        ),
        (
            "delivered",
            "SELECT group_concat(n) FROM (SELECT sum(delivered) AS n FROM stats WHERE series > 0 GROUP BY series ORDER BY series)",
            "SELECT group_concat(n) FROM (SELECT count(*) AS n FROM delivery WHERE status = 'delivered' GROUP BY webhook_seq ORDER BY webhook_seq)",
        ),
        (
            "delivered to all",
            "SELECT sum(delivered) FROM stats WHERE series = 0",
            "SELECT count(*) FROM delivery WHERE status = 'delivered'",
        ),
        (
            "failed",
            "SELECT sum(failed) FROM stats WHERE series = 0",
            "SELECT count(*) FROM delivery WHERE status = 'failed'",
        ),
        (
            "retry attempts",
            "SELECT sum(retry_attempts) FROM stats WHERE series = 0",
            "SELECT count(*) FROM attempt WHERE number > 1",
        ),
        (
            "answers",
            "SELECT sum(answers) || ' in ' || sum(answer_ms) FROM stats WHERE series = 0",
            "SELECT count(*) || ' in ' || sum(duration_ms) FROM attempt WHERE code IS NOT NULL",
        ),
    ] {
        let value = |sql: &str| -> String {
            let sql = format!("SELECT CAST(({sql}) AS TEXT)");
            connection.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(value(counted), value(found), "{what}");
    }
}

/// Checks that an event arrived twice only if the process that had delivered it was killed, and that a process caused
/// no more of these than it could have claimed. `ends` are the numbers of connections at the end of each process.
fn check_what_came_twice(successes: &[Success], ends: &[usize]) {
    let process_of = |success: &Success| ends.partition_point(|end| *end < success.connection);
    let mut before: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut again: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    // Requests of a killed process may be read after the first requests of the next one.
    let mut in_order: Vec<&Success> = successes.iter().collect();
    in_order.sort_by_key(|success| success.connection);
    for success in in_order {
        let process = process_of(success);
        let key = (success.path.as_str(), success.event.as_str());
        if let Some(earlier) = before.insert(key, process) {
            assert_ne!(earlier, process, "{key:?} came twice without a kill");
            *again.entry((&success.path, earlier)).or_default() += 1;
        }
    }
    println!("came again, by webhook and kill: {again:?}");
    for ((path, kill), count) in again {
        let target = TARGETS.iter().find(|target| target.path == path).unwrap();
        assert!(count <= target.claimed_at_most(), "{count} deliveries to {path} came again after kill {kill}");
    }
}
