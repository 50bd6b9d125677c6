//! `GET /v1/events?after=…&wait_s=…`: events in the order in which they were stored.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, error_in, ids};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::process::{PATIENCE, wait_until};

/// Place after the events of an answer.
fn next(answer: &Answer) -> String {
    answer.json()["next_cursor"].as_str().unwrap_or_else(|| panic!("no cursor: {}", answer.text)).to_owned()
}

/// Publishes an event. Returns its id.
fn publish(hub: &Hub, data: Value) -> String {
    hub.publish("a.b", data)["id"].as_str().unwrap().to_owned()
}

/// Waits until so many requests wait for events.
fn waiting(hub: &Hub, count: usize) {
    let waits = &hub.running.app.waits;
    assert!(wait_until(PATIENCE, || waits.used() == count), "{} wait", waits.used());
}

#[test]
fn a_feed_goes_on_after_an_event_or_a_cursor_oldest_first() {
    let hub = Hub::start();
    let stored: Vec<String> = (0..5).map(|n| publish(&hub, json!(n))).collect();
    let first = hub.get(&format!("/v1/events?after={}&limit=2", stored[0]));
    assert_eq!(ids(&first), stored[1..3]);
    let second = hub.get(&format!("/v1/events?after={}&limit=2", next(&first)));
    assert_eq!(ids(&second), stored[3..]);
    let end = hub.get(&format!("/v1/events?after={}", next(&second)));
    assert!(ids(&end).is_empty());
    let later = publish(&hub, json!(5));
    assert_eq!(ids(&hub.get(&format!("/v1/events?after={}", next(&end)))), std::slice::from_ref(&later));
    // Without a place it begins with what comes from now on.
    let from_now = hub.get("/v1/events?wait_s=0");
    assert!(ids(&from_now).is_empty());
    hub.publish("a.b", json!(6));
    assert_eq!(ids(&hub.get(&format!("/v1/events?after={}", next(&from_now)))).len(), 1);
    assert_eq!(ids(&hub.get(&format!("/v1/events?after={later}&wait_s=60"))).len(), 1);
}

#[test]
fn a_feed_with_filters_goes_on_past_what_it_leaves_out() {
    let hub = Hub::start();
    let key = hub.make_key(Scope::Read, Some("acme"), None);
    let publish = |tenant: &str, event_type: &str| {
        hub.post("/v1/events", &json!({"type": event_type, "data": {}, "tenant": tenant})).expect(202);
    };
    let get = |query: &str| hub.call_with(&key, "GET", &format!("/v1/events?{query}"), None);
    let begin = get("type=a.*&wait_s=0");
    for _ in 0..3 {
        publish("acme", "b.c");
        publish("globex", "a.b");
    }
    let none = get(&format!("type=a.*&after={}", next(&begin)));
    assert!(ids(&none).is_empty());
    assert_ne!(next(&none), next(&begin), "the place moves past events that do not match");
    publish("acme", "a.b");
    assert_eq!(ids(&get(&format!("type=a.*&after={}", next(&none)))).len(), 1);
    // A place of other filters, and an event of another tenant.
    error_in(&get(&format!("type=b.*&after={}", next(&none))), 422, "unknown_event", "after");
    let foreign = hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "id": "theirs", "tenant": "globex"}));
    foreign.expect(202);
    error_in(&get("after=theirs"), 422, "unknown_event", "after");
}

#[test]
fn a_waiting_request_is_answered_when_an_event_comes_and_not_before() {
    let hub = Hub::start();
    std::thread::scope(|threads| {
        let waiting_request = threads.spawn(|| hub.get("/v1/events?wait_s=60"));
        waiting(&hub, 1);
        let id = publish(&hub, json!({}));
        assert_eq!(ids(&waiting_request.join().unwrap()), [id]);
    });
    waiting(&hub, 0);
    let began = Instant::now();
    assert!(ids(&hub.get("/v1/events?wait_s=1")).is_empty());
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
fn requests_that_wait_hold_no_thread_and_no_connection_of_the_database() {
    let hub = Hub::start();
    std::thread::scope(|threads| {
        // More than there are threads for blocking work and connections together.
        for tenant in 0..4 {
            let key = hub.make_key(Scope::Read, Some(&format!("t{tenant}")), None);
            for _ in 0..16 {
                let (hub, key) = (&hub, key.clone());
                threads.spawn(move || hub.call_with(&key, "GET", "/v1/events?wait_s=60", None).expect(200));
            }
        }
        waiting(&hub, 64);
        hub.get("/v1/events").expect(200);
        hub.get("/v1/webhooks").expect(200);
        // One more of a tenant is refused, and another tenant's is not.
        let key = hub.make_key(Scope::Read, Some("t0"), None);
        let refused = hub.call_with(&key, "GET", "/v1/events?wait_s=1", None);
        error(&refused, 429, "too_many_waiting");
        assert_eq!(refused.header("retry-after"), Some("5"));
        hub.call_with(&key, "GET", "/v1/events?wait_s=0", None).expect(200);
        hub.get("/v1/events?wait_s=1").expect(200);
        for tenant in 0..4 {
            hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": format!("t{tenant}")})).expect(202);
        }
    });
    waiting(&hub, 0);
}

#[test]
fn a_server_that_stops_answers_those_who_wait() {
    let mut hub = Hub::start();
    let mut request = TcpStream::connect(hub.running.address).unwrap();
    let head = format!("GET /v1/events?wait_s=60 HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\n\r\n", hub.key);
    request.write_all(head.as_bytes()).unwrap();
    waiting(&hub, 1);
    let began = Instant::now();
    hub.stop();
    let mut response = String::new();
    request.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200 ") && response.contains("next_cursor"), "{response}");
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn a_feed_misses_no_event_and_repeats_none_while_many_publish() {
    let hub = Hub::start();
    let begin = next(&hub.get("/v1/events?wait_s=0"));
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|threads| {
        let follower = threads.spawn(|| {
            let (mut seen, mut place) = (Vec::new(), begin.clone());
            loop {
                let was_done = done.load(Ordering::SeqCst);
                let answer = hub.get(&format!("/v1/events?after={place}&limit=7"));
                let found = ids(&answer);
                place = next(&answer);
                if found.is_empty() && was_done {
                    return seen;
                }
                seen.extend(found);
            }
        });
        let publishers: Vec<_> = (0..6)
            .map(|publisher| {
                let hub = &hub;
                threads.spawn(move || {
                    for n in 0..40 {
                        // Ids whose order is not that of the commits, singly and in batches.
                        let event = |part: u32| {
                            json!({"id": format!("{}-{publisher}-{part}", 9_999 - n), "type": "a.b", "data": n})
                        };
                        match n % 4 {
                            0 => hub.post("/v1/events/batch", &json!([event(0), event(1), event(2)])).expect(202),
                            _ => hub.post("/v1/events", &event(0)).expect(202),
                        };
                    }
                })
            })
            .collect();
        for publisher in publishers {
            publisher.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        follower.join().unwrap()
    });
    assert_eq!(seen.len(), 6 * (30 + 10 * 3));
    let mut path = "/v1/events?order=asc&limit=250".to_owned();
    let mut stored = Vec::new();
    loop {
        let answer = hub.get(&path);
        stored.extend(ids(&answer));
        match &answer.json()["next_cursor"] {
            Value::Null => break,
            cursor => path = format!("/v1/events?order=asc&limit=250&cursor={}", cursor.as_str().unwrap()),
        }
    }
    assert_eq!(seen, stored);
}

#[test]
fn what_makes_no_sense_beside_a_feed_is_refused_by_name() {
    let hub = Hub::start();
    for (query, code, field) in [
        ("wait_s=61", "invalid_wait", "wait_s"),
        ("wait_s=-1", "invalid_wait", "wait_s"),
        ("wait_s=1.5", "invalid_wait", "wait_s"),
        ("wait_s=", "invalid_wait", "wait_s"),
        ("after=nothing", "unknown_event", "after"),
        ("after=", "unknown_event", "after"),
        ("wait_s=1&q=a", "unknown_parameter", "q"),
        ("wait_s=1&order=asc", "unknown_parameter", "order"),
        ("after=nothing&limit=0", "invalid_limit", "limit"),
        ("order=up", "invalid_value", "order"),
        ("order=asc&q=a", "unknown_parameter", "order"),
    ] {
        error_in(&hub.get(&format!("/v1/events?{query}")), 422, code, field);
    }
}
