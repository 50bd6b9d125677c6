//! Pages about long events and deliveries with many attempts: their links, and the memory that they take.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use hookpost::auth::session::{self, NewOwner};
use hookpost::auth::users;
use hookpost::clock::Clock;
use hookpost::domain::time::DAY;
use hookpost::store::session::Client;
use hookpost::store::user::Role;
use hookpost::store::{Connection, Store};
use serde_json::json;

use crate::support::Hub;
use crate::support::process::{PATIENCE, Process, Site};
use crate::support::receiver::Receiver;

/// Repeats the first attempt of each delivery.
fn repeat_attempts(database: &std::path::Path, count: u32) {
    let connection = Connection::open(database).unwrap();
    let columns = "id, trigger, started_ms, duration_ms, resolve_us, connect_us, tls_us, first_byte_us, remote_address,
        connections, url, body_format_seq, request_headers, code, response_headers, response_body, body_truncated,
        error_code, error_message, error_cause";
    connection
        .execute_batch(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO attempt (delivery_seq, number, {columns}) SELECT delivery_seq, i, {columns} FROM attempt, n;
             UPDATE delivery SET attempt_count = {count};"
        ))
        .unwrap();
}

#[test]
fn a_long_log_is_paged_and_every_attempt_can_be_opened() {
    let mut hub = Hub::start();
    let receiver = Receiver::answering(503);
    hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("a.b", json!({"id": 1}));
    hub.deliver_until_idle();
    hub.stop();
    repeat_attempts(&hub.database(), 120);
    hub.restart();
    let visitor = hub.administrator();
    let path = format!("/deliveries/{delivery}");
    let numbers = |page: &crate::support::page::Page| {
        let headings = page.all(".timeline h3").into_iter().map(|heading| heading.text());
        let number = |text: String| text.strip_prefix("Attempt ")?.split(':').next()?.parse::<u32>().ok();
        headings.filter_map(number).collect::<Vec<_>>()
    };
    let newest = visitor.page(&format!("{path}?status=retrying"));
    assert_eq!(numbers(&newest), (71..=120).rev().collect::<Vec<_>>());
    assert!(newest.has("#attempt-120[open]") && !newest.has("#attempt-71") && !newest.contains("Newest attempts"));
    let older = visitor.page(newest.link("Older attempts").unwrap());
    assert_eq!(numbers(&older), (21..=70).rev().collect::<Vec<_>>());
    // The verdict is that of the last attempt on each page, and the filter stays.
    let headline = |page: &crate::support::page::Page| page.get(".verdict h2").text();
    assert_eq!(headline(&older), headline(&newest));
    let opened = older.links().into_iter().find(|link| link.ends_with("#attempt-25")).unwrap();
    assert!(opened.contains("status=retrying"), "{opened}");
    let opened = visitor.page(opened.split('#').next().unwrap());
    assert!(opened.has("#attempt-25[open]") && numbers(&opened) == numbers(&older));
    let oldest = visitor.page(older.link("Older attempts").unwrap());
    assert_eq!(numbers(&oldest), (1..=20).rev().collect::<Vec<_>>());
    assert!(oldest.link("Older attempts").is_none());
    let back = visitor.page(oldest.link("Newer attempts").unwrap());
    assert_eq!(numbers(&back), numbers(&older));
    assert_eq!(visitor.get(&format!("{path}/attempts/1/request")).expect(200).text, receiver.last().text());
}

const EVENTS: u32 = 50;
const LONG: usize = 1_000_000;
/// Mebibytes that one response may add to the memory of the server.
const MOST_MIB: u64 = 32;

/// Mebibytes of a process's memory in use, by the name of a field in `/proc`.
fn memory(process: &Process, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_matches([':', ' ', '\t']).split(' ').next().unwrap().trim().parse::<u64>().unwrap() >> 10
}

/// Sends a GET request and reads its response without keeping it. Returns the number of bytes.
fn fetch(process: &Process, path: &str, header: &str) -> u64 {
    let mut socket = TcpStream::connect(&process.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\nConnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    let mut status = [0; 12];
    socket.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200", "{path}");
    std::io::copy(&mut socket, &mut std::io::sink()).unwrap()
}

#[test]
fn no_answer_holds_more_than_a_few_mebibytes_of_a_long_log() {
    let (site, key) = Site::with_key();
    let receiver = Receiver::answering(500);
    let process = site.serve();
    let client = process.client(&key);
    client.add_webhook(&receiver.url(), &json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}}));
    let body = json!({"type": "a.b", "data": "x".repeat(LONG)});
    let mut event = json!({});
    for _ in 0..EVENTS {
        event = client.call("POST", "/v1/events", Some(&body)).expect(202).json();
    }
    client.wait_finished(PATIENCE);
    process.signal("TERM");
    assert!(process.ended(PATIENCE).0.success());
    repeat_attempts(&site.database(), EVENTS);
    let connection = Store::open_for_command(&site.database()).unwrap();
    let now = Clock::machine().now_ms();
    let anna =
        users::add(&connection, &hookpost::actions::Actor::Command, "anna", Role::Administrator, "", now).unwrap();
    let cookie = session::begin(&connection, &NewOwner::User(anna, Client::default()), now, DAY).unwrap();
    drop(connection);

    let process = site.serve();
    let port = process.address.rsplit(':').next().unwrap();
    let bearer = format!("Authorization: Bearer {key}");
    let cookie = format!("Cookie: hookpost_{port}={cookie}");
    let (event, delivery) = (event["id"].as_str().unwrap(), event["deliveries"][0]["id"].as_str().unwrap());
    for (path, header) in [
        ("/healthz".to_owned(), &bearer),
        ("/v1/events?limit=250".to_owned(), &bearer),
        (format!("/v1/events/{event}"), &bearer),
        (format!("/v1/deliveries/{delivery}"), &bearer),
        (format!("/v1/deliveries/{delivery}/attempts?limit=250"), &bearer),
        ("/v1/dead-letters/export".to_owned(), &bearer),
        ("/v1/events?limit=250&q=xxx".to_owned(), &bearer),
        ("/v1/search?limit=250&q=xxx".to_owned(), &bearer),
        ("/search?q=nowhere".to_owned(), &cookie),
        ("/deliveries?q=xxx".to_owned(), &cookie),
        ("/events".to_owned(), &cookie),
        (format!("/events/{event}"), &cookie),
        (format!("/deliveries/{delivery}"), &cookie),
        (format!("/deliveries/{delivery}/attempts/1/request"), &cookie),
    ] {
        // Sets the peak back to what is in use now (proc(5)).
        fs::write(format!("/proc/{}/clear_refs", process.id()), "5").unwrap();
        let before = memory(&process, "VmRSS");
        let bytes = fetch(&process, &path, header);
        let more = memory(&process, "VmHWM").saturating_sub(before);
        assert!(more <= MOST_MIB, "{path}: {more} MiB for a response of {bytes} bytes");
    }
}
