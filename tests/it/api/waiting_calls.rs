//! Calls that wait for a receiver while their client waits: challenges, look-ups and tests.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hookpost::store::api_key::Scope;
use serde_json::json;

use super::error;
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver};

/// Calls of one tenant that may wait for receivers at a time.
const AT_ONCE: usize = 4;

#[test]
fn calls_that_wait_for_a_silent_receiver_hold_up_neither_the_server_nor_another_tenant() {
    let hub = Hub::start();
    let silent = Receiver::behaving(Behaviour::Silence);
    let [acme, globex] = ["acme", "globex"].map(|tenant| hub.make_key(Scope::Admin, Some(tenant), None));
    let create = json!({"url": silent.url(), "events": ["*"], "profile": "influship", "timeout_s": 30}).to_string();
    std::thread::scope(|scope| {
        let (hub, acme, create) = (&hub, &acme, &create);
        let calls: Vec<_> =
            (0..70).map(|_| scope.spawn(|| hub.call_with(acme, "POST", "/v1/webhooks", Some(create)))).collect();
        silent.wait_for(AT_ONCE);
        for path in ["/v1/webhooks", "/v1/deliveries", "/metrics"] {
            let began = Instant::now();
            hub.get(path).expect(200);
            assert!(began.elapsed() < Duration::from_secs(3), "{path} took {:?}", began.elapsed());
        }
        let began = Instant::now();
        hub.post("/v1/events/batch", &json!([{"type": "a.b", "data": {}}])).expect(202);
        let receiver = Receiver::start();
        let other = json!({"url": receiver.url(), "events": ["*"]}).to_string();
        let webhook = hub.call_with(&globex, "POST", "/v1/webhooks", Some(&other)).expect(201).json();
        let test = format!("/v1/webhooks/{}/test", webhook["id"].as_str().unwrap());
        hub.call_with(&globex, "POST", &test, None).expect(200);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        // Changes that need no receiver need no permit either.
        let own = hub.call_with(acme, "GET", "/v1/webhooks", None).json()["data"][0]["id"].clone();
        let path = format!("/v1/webhooks/{}", own.as_str().unwrap());
        hub.call_with(acme, "PATCH", &path, Some(r#"{"description": "mine"}"#)).expect(200);

        let (refused, waited): (Vec<_>, Vec<_>) = {
            let mut answers = Vec::new();
            // The refused ones end first; the others wait for the receiver, which is closed after them.
            let mut calls = calls;
            while answers.len() < 70 - AT_ONCE {
                let ended = calls.iter().position(|call| call.is_finished());
                match ended {
                    Some(ended) => answers.push(calls.swap_remove(ended).join().unwrap()),
                    None => std::thread::yield_now(),
                }
            }
            drop(silent);
            answers.extend(calls.into_iter().map(|call| call.join().unwrap()));
            answers.into_iter().partition(|answer| answer.status == 429)
        };
        assert_eq!((refused.len(), waited.len()), (70 - AT_ONCE, AT_ONCE));
        for answer in refused {
            error(&answer, 429, "too_many_calls");
            assert!(answer.header("retry-after").is_some());
        }
        for answer in waited {
            assert_eq!(answer.expect(201).json()["state"], "unverified");
        }
    });
}

#[test]
fn a_client_that_goes_away_frees_no_place_before_the_receiver_has_answered() {
    let hub = Hub::start();
    let silent = Receiver::behaving(Behaviour::Silence);
    let webhook = hub.add_webhook_with(silent.url(), &json!({"timeout_s": 30}));
    let path = format!("/v1/webhooks/{webhook}/test");
    let request =
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\n\r\n", hub.key);
    for n in 1..=AT_ONCE {
        let mut client = TcpStream::connect(hub.running.address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        silent.wait_for(n);
    }
    // All of these clients are gone.
    error(&hub.post(&path, &json!({})), 429, "too_many_calls");
    assert_eq!(silent.hits(), AT_ONCE);
}

#[test]
fn every_call_that_waits_for_a_receiver_takes_a_place_in_the_api_and_on_the_pages() {
    let hub = Hub::start();
    let silent = Receiver::behaving(Behaviour::Silence);
    let webhook = hub.add_webhook_with(silent.url(), &json!({"timeout_s": 30, "active": false}));
    let at = |end: &str| format!("/v1/webhooks/{webhook}{end}");
    let anna = hub.administrator();
    anna.page("/webhooks");
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let path = at("/test");
            scope.spawn(|| hub.post(&{ path }, &json!({})));
        }
        silent.wait_for(AT_ONCE);
        for (method, path, body) in [
            ("POST", "/v1/webhooks".to_owned(), json!({"url": silent.url(), "events": ["*"]})),
            ("PATCH", at(""), json!({"url": silent.url()})),
            ("PATCH", at(""), json!({"active": true})),
            ("PATCH", at(""), json!({"profile": "influship"})),
            ("POST", at("/verify"), json!({})),
            ("POST", "/v1/webhooks/test".to_owned(), json!({"webhook_id": webhook})),
            ("POST", "/v1/webhooks/test".to_owned(), json!({"event": "a.b"})),
        ] {
            error(&hub.call_with(&hub.key, method, &path, Some(&body.to_string())), 429, "too_many_calls");
        }
        for path in [format!("/webhooks/{webhook}/test"), format!("/webhooks/{webhook}/resume")] {
            let page = anna.submit(&path, &[("event_type", "a.b")]).expect(429);
            assert!(page.page().contains("Too many calls"), "{}", page.text);
        }
        drop(silent);
    });
}
