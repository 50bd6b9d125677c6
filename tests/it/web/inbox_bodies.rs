//! The memory that bodies sent to inboxes take.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hookpost::store::Connection;
use serde_json::json;

use super::inbox::{path_of, strict, url_on};
use crate::support::Hub;
use crate::support::process::{PATIENCE, Site, wait_until};
use crate::support::visitor::Visitor;

#[test]
fn large_bodies_of_many_values_take_no_more_memory_than_their_bytes() {
    let (site, _) = Site::with_key();
    // As from before encryption, which the start makes up for.
    let token = "DELETE FROM master_key; INSERT INTO inbox (tenant, token, created_ms) VALUES ('default', 'abc', 0)";
    Connection::open(site.database()).unwrap().execute_batch(token).unwrap();
    let process = site.serve();
    let url = format!("http://{}/in/abc", process.address);
    let body = format!("[{}[]]", "[],".repeat((1 << 20) / 3 - 2));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let status = agent.post(&url).send(&body).unwrap().status().as_u16();
                assert!([200, 429, 503].contains(&status), "{status}");
            });
        }
    });
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak = peak.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10;
    assert!(peak < 200, "{peak} MiB");
}

/// Bodies of nearly a mebibyte that one inbox takes at a time.
const SHARE: usize = 4;

/// Sends a body of a mebibyte without its last byte.
fn send_slowly(hub: &Hub, path: &str) -> TcpStream {
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1 << 20);
    let mut sender = TcpStream::connect(hub.running.address).unwrap();
    sender.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    sender.set_read_timeout(Some(PATIENCE)).unwrap();
    // A refused sender may be cut off.
    let _ = sender.write_all(&[head.as_bytes(), &vec![b'x'; (1 << 20) - 1]].concat());
    sender
}

/// Fills the share of an inbox with slow bodies.
fn fill(hub: &Hub, path: &str, inbox: i64) -> Vec<TcpStream> {
    let senders = (0..SHARE).map(|_| send_slowly(hub, path)).collect();
    let arrived = || hub.running.app.inbox_bodies.used_by(&inbox) == SHARE * ((1 << 20) - 1);
    assert!(wait_until(PATIENCE, arrived));
    senders
}

/// Response to a sender, as text.
fn answer_to(mut sender: TcpStream) -> String {
    let mut answer = [0; 2_000];
    let length = sender.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// Opens the inbox of a tenant. Returns its path and its number.
fn open_of(hub: &Hub, visitor: &Visitor<'_>, tenant: &str) -> (String, i64) {
    let page = visitor.submit_and_follow("/inbox", &[("tenant", tenant)]);
    let path = path_of(hub, &url_on(&page)).to_owned();
    let connection = Connection::open(hub.database()).unwrap();
    let seq = connection.query_row("SELECT seq FROM inbox WHERE tenant = ?1", [tenant], |row| row.get(0));
    (path, seq.unwrap())
}

#[test]
fn one_inbox_takes_a_share_of_the_memory_for_bodies_and_leaves_the_rest_to_others() {
    let hub = strict();
    let visitor = hub.administrator();
    visitor.page("/inbox");
    let (path, seq) = open_of(&hub, &visitor, "acme");
    let (other, _) = open_of(&hub, &visitor, "globex");
    let senders = fill(&hub, &path, seq);
    let refused = answer_to(send_slowly(&hub, &path));
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(refused.to_lowercase().contains("retry-after") && refused.contains("too_fast"), "{refused}");
    hub.send("POST", &other, &[], &vec![b'x'; 1 << 20]).expect(200);
    drop(senders);
    let body = vec![b'x'; 1 << 20];
    assert!(wait_until(PATIENCE, || hub.send("POST", &path, &[], &body).status == 200));
}

#[test]
fn bodies_that_arrive_slowly_are_bounded_together_and_hold_up_nobody_afterwards() {
    let hub = strict();
    let visitor = hub.administrator();
    visitor.page("/inbox");
    let mut senders = Vec::new();
    for number in 0..8 {
        let (path, seq) = open_of(&hub, &visitor, &format!("tenant-{number}"));
        senders.extend(fill(&hub, &path, seq));
    }
    let (path, _) = open_of(&hub, &visitor, "another");
    let refused = answer_to(send_slowly(&hub, &path));
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.to_lowercase().contains("retry-after") && refused.contains("overloaded"), "{refused}");
    // Everything else goes on.
    hub.publish("a.b", json!({}));
    drop(senders);
    let body = vec![b'x'; 100_000];
    assert!(wait_until(PATIENCE, || hub.send("POST", &path, &[], &body).status == 200));
}
