//! Limits of the machine: few file descriptors, many webhooks.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use super::large::number;
use crate::support::process::{Client, PATIENCE, Process, Site, refused, wait_until};
use crate::support::receiver::{Receiver, Reply};

/// Command with a limit of open files.
fn with_open_files(command: &Command, limit: u32) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]);
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited
}

/// Starts a server with a limit of open files, and delivers one event to a receiver. Each delivery takes a connection of
/// its own, and none has a second attempt.
fn delivering_with_open_files(limit: u32) -> (Site, Process, Client, Receiver) {
    let (site, key) = Site::with_key();
    let receiver = Receiver::with(|_| Reply::status(200).header("Connection", "close"));
    let process = Process::start(with_open_files(&site.serve_command(), limit));
    let client = process.client(&key);
    client.add_webhook(&receiver.url(), &json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}}));
    client.publish("before").unwrap().expect(202);
    assert_eq!(receiver.wait_for(1).len(), 1);
    (site, process, client, receiver)
}

/// Number of open file descriptors of a process.
fn open_files(process: &Process) -> usize {
    fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count()
}

#[test]
fn without_file_descriptors_nothing_accepted_is_lost_and_the_server_recovers() {
    let (site, process, client, _receiver) = delivering_with_open_files(44);

    // More clients than there are descriptors.
    let crowd: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(&process.address).unwrap()).collect();
    let open = || open_files(&process);
    assert!(wait_until(PATIENCE, || open() >= 42), "{} are open", open());
    let mut accepted = 1;
    // Over a connection that is open already.
    for number in 0..20 {
        let answer = client.publish(&format!("crowded-{number}")).unwrap();
        assert!([202, 503].contains(&answer.status), "{}: {}", answer.status, answer.text);
        accepted += usize::from(answer.status == 202);
    }
    drop(crowd);

    assert!(wait_until(PATIENCE, || open() < 40), "{} are open", open());
    for number in 0..20 {
        client.publish(&format!("after-{number}")).unwrap().expect(202);
    }
    client.wait_finished(PATIENCE);
    let delivered = number(&site.database(), "SELECT count(*) FROM delivery WHERE status = 'delivered'");
    assert_eq!(delivered as usize, accepted + 20);
    process.kill();
}

#[test]
fn idle_clients_leave_file_descriptors_for_deliveries() {
    let (site, process, client, _receiver) = delivering_with_open_files(128);
    let open = || open_files(&process);
    let before = open();
    let _crowd: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(&process.address).unwrap()).collect();
    assert!(wait_until(PATIENCE, || open() >= before + 40), "{} are open, {before} before", open());
    for number in 0..20 {
        client.publish(&format!("crowded-{number}")).unwrap().expect(202);
    }
    client.wait_finished(PATIENCE);
    let delivered = number(&site.database(), "SELECT count(*) FROM delivery WHERE status = 'delivered'");
    assert_eq!(delivered, 21);
    process.kill();
}

#[test]
fn no_more_requests_are_in_flight_than_there_are_workers() {
    for (workers, at_once) in [("1", 1), ("4", 2), ("1024", 8)] {
        let (site, key) = Site::with_key();
        let mut command = site.serve_command();
        command.args(["--workers", workers]);
        let process = Process::start(command);
        let client = process.client(&key);
        let receivers: Vec<Receiver> = (0..8).map(|_| Receiver::start()).collect();
        for receiver in &receivers {
            client.add_webhook(&receiver.url(), &json!({"max_in_flight": 1}));
        }
        // An endpoint that has answered once may use more of the workers.
        client.publish("first").unwrap().expect(202);
        client.wait_finished(PATIENCE);
        receivers.iter().for_each(Receiver::hold);
        client.publish("second").unwrap().expect(202);
        let arrived = || receivers.iter().filter(|receiver| receiver.hits() == 2).count();
        assert!(wait_until(PATIENCE, || arrived() >= at_once), "{workers} workers: {} at once", arrived());
        // One tenant gets half of the workers, at least one.
        let metrics = client.call("GET", "/metrics", None).expect(200).text;
        let busy = metrics.lines().find_map(|line| line.strip_prefix("hookpost_workers_busy ")).unwrap();
        assert_eq!(busy.parse::<f64>().unwrap(), at_once as f64, "{workers} workers");
        receivers.iter().for_each(Receiver::release);
        client.wait_finished(PATIENCE);
        assert_eq!(arrived(), 8, "{workers} workers");
        process.kill();
    }
    let site = Site::new();
    let mut command = site.serve_command();
    command.args(["--workers", "1025"]);
    assert!(refused(command).contains("1025"));
}

#[test]
fn a_server_with_100_000_webhooks_is_ready_in_seconds_and_answers() {
    const WEBHOOKS: i64 = 100_000;
    let (site, key) = Site::with_key();
    let process = site.serve();
    let receiver = Receiver::start();
    process.client(&key).add_webhook(&receiver.url(), &json!({"events": ["a.*"]}));
    process.kill();
    let connection = Connection::open(site.database()).unwrap();
    let columns: Vec<String> = {
        let mut names = connection.prepare("SELECT name FROM pragma_table_info('webhook')").unwrap();
        names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let values: Vec<&str> = columns
        .iter()
        .map(|name| match name.as_str() {
            "seq" => "n.i",
            "id" => "CAST(printf('%016d', n.i) AS BLOB)",
            "tenant" => "'tenant-' || (n.i % 1000)",
            // As from before encryption, which the next start makes up for.
            "secret" => "'secret-' || n.i",
            "headers" => "'[]'",
            name => name,
        })
        .collect();
    let copies = format!(
        "BEGIN; WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {WEBHOOKS})
         INSERT INTO webhook ({}) SELECT {} FROM n, webhook w WHERE w.seq = 1;
         DELETE FROM master_key; COMMIT;",
        columns.join(", "),
        values.join(", "),
    );
    connection.execute_batch(&copies).unwrap();
    drop(connection);
    assert_eq!(number(&site.database(), "SELECT count(*) FROM webhook"), WEBHOOKS);

    site.run(&["prune", "--older-than", "3000d", "--dry-run"]);
    assert_eq!(number(&site.database(), "SELECT is_clean FROM master_key"), 1);
    let begin = Instant::now();
    // A second in a release build.
    let process = Process::spawn(site.serve_command()).listening_within(Duration::from_secs(60));
    let took = begin.elapsed();
    let resident = resident_mib(process.id());
    println!("ready after {took:?} with {resident} MiB");
    // Some 4 KiB a webhook.
    assert!(resident < 500, "{resident} MiB");
    let client = process.client(&key);
    for path in ["/v1/webhooks?limit=100", "/v1/deliveries", "/v1/stats", "/readyz"] {
        let begin = Instant::now();
        client.call("GET", path, None).expect(200);
        assert!(begin.elapsed() < Duration::from_secs(2), "{path} took {:?}", begin.elapsed());
    }
    let body = json!({"type": "a.b", "tenant": "tenant-7", "data": {}});
    let receipt = client.call("POST", "/v1/events", Some(&body)).expect(202).json();
    assert_eq!(receipt["deliveries"].as_array().map(Vec::len), Some(100), "{receipt}");
    assert_eq!(receiver.wait_for(100).len(), 100);
}

/// Memory of a process.
fn resident_mib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}
