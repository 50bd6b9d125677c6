//! The program is killed at a given moment: in a commit, before and after its fsync, at a connection, when a request has
//! arrived. What was answered 202 is delivered all the same, twice at most if it was in flight.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use hookpost::store::Connection;
use serde_json::json;

use crate::support::disk::Disk;
use crate::support::process::{Client, PATIENCE, Process, Site, wait_until};
use crate::support::receiver::{Receiver, Reply};

/// Calls of each point at which the program is killed: publishing and outcomes take turns, so they hit both.
const NUMBERS: [u32; 5] = [1, 2, 3, 5, 8];
const MAX_IN_FLIGHT: usize = 2;
/// Deliveries of a webhook whose outcome may not be on the disk yet.
const CLAIMED: usize = 4 * MAX_IN_FLIGHT;

#[test]
fn a_kill_within_a_commit_loses_nothing() {
    at_each_call("write-before");
}

#[test]
fn a_kill_before_the_fsync_of_a_commit_loses_nothing() {
    at_each_call("sync-before");
}

#[test]
fn a_kill_between_the_fsync_of_a_commit_and_its_answer_loses_nothing() {
    at_each_call("sync-after");
}

#[test]
fn a_kill_before_a_connection_loses_nothing() {
    at_each_call("connect-before");
}

#[test]
fn a_kill_between_a_connection_and_its_request_loses_nothing() {
    at_each_call("connect-after");
}

#[test]
fn a_kill_between_a_request_and_the_record_of_its_outcome_loses_nothing() {
    for number in NUMBERS {
        Round::new().kill_at_request(number as usize);
    }
}

fn at_each_call(point: &str) {
    for number in NUMBERS {
        let Some(disk) = Disk::new() else { return };
        let round = Round::new();
        let mut command = round.site.serve_command();
        disk.kill_at(&mut command, point, number);
        let process = Process::start(command);
        disk.arm();
        let accepted = publish(&process.client(&round.key));
        let (status, said) = process.ended(PATIENCE);
        assert_eq!(status.code(), None, "killed at {point} {number}: {said}");
        round.check(&accepted);
    }
}

/// A database with one webhook, and its receiver.
struct Round {
    site: Site,
    key: String,
    receiver: Receiver,
    /// Process to kill, and the number of the request at which.
    kill: Arc<Mutex<Option<(u32, usize)>>>,
}

impl Round {
    fn new() -> Round {
        let kill = Arc::new(Mutex::new(None::<(u32, usize)>));
        let (pending, arrived) = (Arc::clone(&kill), Mutex::new(0));
        let receiver = Receiver::with(move |_| {
            let mut arrived = arrived.lock().unwrap();
            *arrived += 1;
            let due = pending.lock().unwrap().take_if(|(_, number)| *number == *arrived);
            if let Some((process, _)) = due {
                let kill = format!("kill -KILL {process}");
                assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
            }
            // So that each request has a connection of its own.
            Reply::status(200).header("connection", "close")
        });
        let (site, key) = Site::with_key();
        let process = site.serve();
        process.client(&key).add_webhook(&receiver.url(), &json!({"max_in_flight": MAX_IN_FLIGHT}));
        process.signal("TERM");
        process.ended(PATIENCE);
        Round { site, key, receiver, kill }
    }

    fn kill_at_request(self, number: usize) {
        let process = self.site.serve();
        *self.kill.lock().unwrap() = Some((process.id(), number));
        let accepted = publish(&process.client(&self.key));
        let (status, said) = process.ended(PATIENCE);
        assert_eq!(status.code(), None, "killed at request {number}: {said}");
        self.check(&accepted);
    }

    /// Starts the program again, and checks that each accepted event arrives and the file is intact.
    fn check(&self, accepted: &BTreeSet<String>) {
        let process = self.site.serve();
        process.client(&self.key).wait_finished(PATIENCE);
        process.signal("TERM");
        let (status, said) = process.ended(PATIENCE);
        assert!(status.success(), "{said}");
        let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
        for request in self.receiver.requests() {
            *arrived.entry(request.header("webhook-id").unwrap().to_owned()).or_default() += 1;
        }
        let missing: Vec<_> = accepted.iter().filter(|event| !arrived.contains_key(*event)).collect();
        assert!(missing.is_empty(), "{missing:?} did not arrive");
        assert!(arrived.values().all(|count| *count <= 2), "one kill, but: {arrived:?}");
        let twice = arrived.values().filter(|count| **count == 2).count();
        assert!(twice <= CLAIMED, "{twice} arrived twice");
        let connection = Connection::open(self.site.database()).unwrap();
        let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        let not_delivered = "SELECT count(*) FROM delivery WHERE status <> 'delivered' OR attempt_count <> 1";
        let not_delivered: i64 = connection.query_row(not_delivered, [], |row| row.get(0)).unwrap();
        assert_eq!(not_delivered, 0, "the interrupted attempt is not counted");
    }
}

/// Publishes from two threads until the program is gone. Returns what it accepted.
fn publish(client: &Client) -> BTreeSet<String> {
    let accepted = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for thread in 0..2 {
            let accepted = &accepted;
            scope.spawn(move || {
                let is_gone = wait_until(PATIENCE, || {
                    let id = format!("kill-{thread}-{}", accepted.lock().unwrap().len());
                    match client.publish(&id) {
                        Ok(answer) => {
                            answer.expect(202);
                            accepted.lock().unwrap().insert(id);
                            false
                        }
                        Err(_) => true,
                    }
                });
                assert!(is_gone, "the program was not killed");
            });
        }
    });
    accepted.into_inner().unwrap()
}
