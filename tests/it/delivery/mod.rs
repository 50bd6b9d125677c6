//! Deliveries of accepted events, one theme per file.

#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

mod all_paused;
mod bodies;
mod certificates;
mod client;
mod ed25519;
mod ending_certificates;
mod endpoint_auth;
mod fairness;
mod faults;
mod heartbeat;
mod incidents;
mod limits;
mod mail;
mod memory;
mod ordering;
mod panics;
mod responses;
mod restart;
mod retries;
mod series;
mod signatures;
mod telling;
mod telling_faults;
mod test_events;
mod token_endpoint;
mod verdicts;
mod waiting;

use hookpost::domain::time::{Millis, parse_rfc3339};
use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::{Receiver, Reply};

/// Fields of a webhook with this schedule, measured from the previous attempt.
fn retry(delays_s: &[u64]) -> Value {
    json!({"retry": {"delays_s": delays_s, "exhausted": "disable"}})
}

/// Advances the clock and waits until the engine is idle.
#[track_caller]
fn pass(hub: &Hub, time: Millis) {
    hub.advance(time);
    hub.deliver_until_idle();
}

/// Time of a delivery's next attempt.
#[track_caller]
fn next_attempt(hub: &Hub, delivery: &str) -> Millis {
    let shown = hub.delivery(delivery);
    let text = shown["next_attempt_at"].as_str();
    parse_rfc3339(text.unwrap_or_else(|| panic!("no attempt follows: {shown}"))).unwrap()
}

/// Latest attempt of a delivery.
#[track_caller]
fn last_attempt(hub: &Hub, delivery: &str) -> Value {
    let shown = hub.delivery(delivery);
    shown["attempts"].as_array().unwrap().first().unwrap_or_else(|| panic!("no attempt: {shown}")).clone()
}

/// Starts a receiver that responds with 500 to events with `"fail": true`, and with 200 to all others.
fn choosy() -> Receiver {
    Receiver::with(|request| {
        let fail = request.text().contains(r#""fail":true"#);
        Reply::status(if fail { 500 } else { 200 })
    })
}

/// Numbers of the received events, in order of arrival; see [`publish_number`].
fn numbers(receiver: &Receiver) -> Vec<u64> {
    let requests = receiver.requests();
    let number = |body: &str| -> u64 {
        let body: Value = serde_json::from_str(body).unwrap();
        body["data"]["number"].as_u64().unwrap()
    };
    requests.iter().map(|request| number(request.text())).collect()
}

/// Publishes an event with a number to one webhook. Returns the id of its delivery.
fn publish_number(hub: &Hub, number: u64) -> String {
    hub.publish_one("order.paid", json!({"number": number}))
}

fn act(hub: &Hub, delivery: &str, action: &str) -> Answer {
    hub.post(&format!("/v1/deliveries/{delivery}/{action}"), &json!({}))
}

fn pause(hub: &Hub, webhook: &str) {
    change(hub, webhook, json!({"active": false}));
}

fn resume(hub: &Hub, webhook: &str) {
    change(hub, webhook, json!({"active": true}));
}

fn change(hub: &Hub, webhook: &str, fields: Value) {
    hub.patch(&format!("/v1/webhooks/{webhook}"), &fields).expect(200);
}
