//! The challenge of `influship`: its request, its verification, and deliveries in the meantime.

use std::thread;
use std::time::Duration;

use hookpost::profile::{self, verify::verify};
use serde_json::{Value, json};

use super::{answering, deliveries, echo, is_challenge};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::{Behaviour, Receiver, Reply};

const SECRET: &str = "your_webhook_secret";

fn create(hub: &Hub, url: impl AsRef<str>) -> Value {
    let fields = json!({"profile": "influship", "secret": SECRET, "timeout_s": 1});
    hub.create(url, &fields)
}

fn id(webhook: &Value) -> String {
    webhook["id"].as_str().unwrap().to_owned()
}

fn echoing() -> Behaviour {
    Behaviour::deciding(|request| if is_challenge(request) { echo(request) } else { Reply::status(200) })
}

fn saying(body: &str) -> Behaviour {
    Behaviour::Answer(Reply::status(200).body(body))
}

#[test]
fn the_right_echo_makes_a_new_webhook_active() {
    let hub = Hub::start();
    let receiver = answering(200);
    let webhook = create(&hub, receiver.url());
    assert_eq!(webhook["state"], "active");
    assert_eq!(webhook["active"], true);
    assert_eq!(webhook["disabled_reason"], Value::Null);

    let request = receiver.last();
    assert_eq!(request.method, "POST");
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"X-Influship-Event"), "{names:?}");
    assert!(names.contains(&"X-Influship-Signature"), "{names:?}");
    assert_eq!(request.header("x-influship-event"), Some("webhook.verify"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    for profile in ["influship", "standard"] {
        let profile = profile::find(profile).unwrap();
        verify(&profile, &SECRET.parse().unwrap(), &request.headers, &request.body).unwrap();
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let challenge = body["challenge"].as_str().unwrap();
    assert!(challenge.len() >= 22, "{challenge}");
    assert_eq!(
        request.text(),
        format!(r#"{{"event":"webhook.verify","timestamp":"2026-01-15T10:00:00Z","challenge":"{challenge}"}}"#)
    );

    // Each challenge is different.
    create(&hub, receiver.url());
    let other: Value = serde_json::from_slice(&receiver.last().body).unwrap();
    assert_ne!(other["challenge"], body["challenge"]);

    hub.publish("creator.updated", json!({}));
    hub.deliver_until_idle();
    assert_eq!(deliveries(&receiver).len(), 2);
}

#[test]
fn anything_else_leaves_it_unverified_with_the_reason_and_its_events_wait() {
    let slow = Reply::status(200).after(Duration::from_secs(60));
    for (behaviour, reason) in [
        (saying(r#"{"challenge":"guessed"}"#), "is not the text of the challenge"),
        (saying(r#"{"challenge":null}"#), "is not the text of the challenge"),
        (saying(r#"{"other":1}"#), "has no field"),
        (saying(r#"["challenge"]"#), "has no field"),
        (saying("OK"), "not JSON"),
        (saying(""), "not JSON"),
        (
            Behaviour::deciding(|request| {
                Reply::status(200).body(format!("{} ", String::from_utf8_lossy(&request.body)).repeat(2))
            }),
            "not JSON",
        ),
        (Behaviour::Answer(Reply::status(500)), "500"),
        (Behaviour::deciding(|_| Reply::status(302).header("Location", "/elsewhere")), "302"),
        (Behaviour::Answer(slow), "The challenge failed"),
        (Behaviour::CloseWithoutWord, "The challenge failed"),
    ] {
        let hub = Hub::start();
        let receiver = Receiver::behaving(behaviour);
        let webhook = create(&hub, receiver.url());
        assert_eq!(webhook["state"], "unverified", "{reason}");
        assert_eq!(webhook["active"], false);
        let given = webhook["disabled_reason"].as_str().unwrap();
        assert!(given.contains(reason), "{given:?} says nothing of {reason:?}");
        assert_eq!(webhook["disabled_at"], Value::Null);
        let challenges = receiver.hits();

        let delivery = hub.publish_one("creator.updated", json!({"id": 1}));
        hub.deliver_until_idle();
        assert_eq!(receiver.hits(), challenges, "nothing is sent: {reason}");
        let waiting = hub.delivery(&delivery);
        assert_eq!(waiting["status"], "pending");
        assert_eq!(waiting["waiting_for"], "webhook_unverified");

        receiver.behave(echoing());
        let verified = hub.post(&format!("/v1/webhooks/{}/verify", id(&webhook)), &json!({})).expect(200).json();
        assert_eq!(verified["verified"], true, "{verified}");
        hub.deliver_until_idle();
        assert_eq!(hub.status_of(&delivery), "delivered");
        assert_eq!(hub.webhook(&id(&webhook))["disabled_reason"], Value::Null);
    }
}

#[test]
fn an_endpoint_that_refuses_connections_is_unverified() {
    let hub = Hub::start();
    let webhook = create(&hub, Receiver::refused_url());
    assert_eq!(webhook["state"], "unverified");
    assert!(webhook["disabled_reason"].is_string());
}

#[test]
fn verifying_answers_the_attempt_and_what_came_of_it() {
    let hub = Hub::start();
    let receiver = Receiver::behaving(saying("no"));
    let webhook = create(&hub, receiver.url());
    let path = format!("/v1/webhooks/{}/verify", id(&webhook));

    let failed = hub.post_text(&path, "").expect(200).json();
    assert_eq!(failed["trigger"], "challenge");
    assert_eq!(failed["verified"], false);
    assert!(failed["reason"].as_str().unwrap().contains("not JSON"));
    assert_eq!(failed["state"], "unverified");
    assert_eq!(failed["response"]["code"], 200);
    assert_eq!(failed["response"]["body"], "no");
    assert_eq!(failed["request"]["body"].as_str().unwrap(), receiver.last().text());
    assert_eq!(failed["request"]["headers"]["X-Influship-Event"], "webhook.verify");

    receiver.behave(echoing());
    let verified = hub.post(&path, &json!({})).expect(200).json();
    assert_eq!(verified["verified"], true);
    assert_eq!(verified["reason"], Value::Null);
    assert_eq!(verified["state"], "active");

    // A verified webhook stays active even if a later challenge fails.
    receiver.behave(saying("no"));
    let failed = hub.post(&path, &json!({})).expect(200).json();
    assert_eq!(failed["verified"], false);
    assert_eq!(failed["state"], "active");
    assert_eq!(hub.state_of(&id(&webhook)), "active");
}

#[test]
fn active_true_runs_the_challenge_first() {
    let hub = Hub::start();
    let receiver = Receiver::behaving(saying("no"));
    let webhook = id(&create(&hub, receiver.url()));
    let path = format!("/v1/webhooks/{webhook}");
    let delivery = hub.publish_one("creator.updated", json!({}));

    let refused = hub.patch(&path, &json!({"active": true})).expect(409);
    assert_eq!(refused.error_code(), "challenge_failed");
    assert_eq!(hub.state_of(&webhook), "unverified");
    assert_eq!(receiver.hits(), 2);

    receiver.behave(echoing());
    let shown = hub.patch(&path, &json!({"active": true})).expect(200).json();
    assert_eq!(shown["state"], "active");
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");

    // The URL is verified already, so pausing and resuming sends no challenge.
    let hits = receiver.hits();
    hub.patch(&path, &json!({"active": false})).expect(200);
    hub.patch(&path, &json!({"active": true})).expect(200);
    assert_eq!(receiver.hits(), hits);
}

#[test]
fn what_waited_is_discarded_where_the_caller_says_so() {
    let hub = Hub::start();
    let receiver = Receiver::behaving(saying("no"));
    let webhook = id(&create(&hub, receiver.url()));
    let delivery = hub.publish_one("creator.updated", json!({}));
    receiver.behave(echoing());
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": true, "waiting": "discard"})).expect(200);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "discarded");
}

#[test]
fn a_changed_url_has_to_answer_before_it_gets_anything() {
    let hub = Hub::start();
    let (before, after) = (answering(200), Receiver::behaving(saying("no")));
    let webhook = id(&create(&hub, before.url()));
    let path = format!("/v1/webhooks/{webhook}");

    let refused = hub.patch(&path, &json!({"url": after.url()})).expect(409);
    assert_eq!(refused.error_code(), "challenge_failed");
    let shown = hub.webhook(&webhook);
    assert_eq!((&shown["url"], &shown["state"]), (&json!(before.url()), &json!("active")));
    hub.publish("creator.updated", json!({}));
    hub.deliver_until_idle();
    assert_eq!(deliveries(&before).len(), 1);
    assert_eq!(deliveries(&after).len(), 0);

    after.behave(echoing());
    hub.patch(&path, &json!({"url": after.url()})).expect(200);
    hub.publish("creator.updated", json!({}));
    hub.deliver_until_idle();
    assert_eq!(deliveries(&before).len(), 1);
    assert_eq!(deliveries(&after).len(), 1);

    // Other changes send no challenge.
    let hits = after.hits();
    hub.patch(&path, &json!({"description": "x", "url": after.url()})).expect(200);
    assert_eq!(after.hits(), hits);
}

#[test]
fn an_unverified_webhook_with_a_changed_url_that_answers_becomes_active() {
    let hub = Hub::start();
    let webhook = id(&create(&hub, Receiver::refused_url()));
    let delivery = hub.publish_one("creator.updated", json!({}));
    let receiver = answering(200);
    let path = format!("/v1/webhooks/{webhook}");
    let shown = hub.patch(&path, &json!({"url": receiver.url()})).expect(200);
    assert_eq!(shown.json()["state"], "active");
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
}

#[test]
fn a_webhook_that_changes_to_the_profile_is_asked_too() {
    let hub = Hub::start();
    let receiver = Receiver::behaving(saying("no"));
    let webhook = hub.add_webhook(receiver.url());
    let path = format!("/v1/webhooks/{webhook}");
    let change = json!({"profile": "influship"});
    let refused = hub.patch(&path, &change).expect(409);
    assert_eq!(refused.error_code(), "challenge_failed");
    assert_eq!(hub.webhook(&webhook)["profile"], "generic");
    receiver.behave(echoing());
    let shown = hub.patch(&path, &change).expect(200).json();
    assert_eq!((&shown["profile"], &shown["state"]), (&json!("influship"), &json!("active")));
}

#[test]
fn other_profiles_have_nothing_to_verify() {
    let hub = Hub::start();
    for profile in super::ALL.into_iter().filter(|name| *name != "influship") {
        let receiver = Receiver::start();
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"profile": profile}));
        let refused = hub.post(&format!("/v1/webhooks/{webhook}/verify"), &json!({}));
        assert_eq!(refused.expect(409).error_code(), "no_challenge", "{profile}");
        assert_eq!(receiver.hits(), 0);
    }
    hub.post("/v1/webhooks/wh_01KF0AMQ00000000000000000G/verify", &json!({})).expect(404);
}

#[test]
fn a_webhook_made_paused_is_asked_only_when_it_is_resumed() {
    let hub = Hub::start();
    let receiver = answering(200);
    let fields = json!({"profile": "influship", "active": false});
    let webhook = hub.add_webhook_with(receiver.url(), &fields);
    assert_eq!(hub.state_of(&webhook), "paused");
    assert_eq!(receiver.hits(), 0);
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": true})).expect(200);
    assert_eq!(receiver.hits(), 1);
    assert_eq!(hub.state_of(&webhook), "active");
}

#[test]
fn an_unverified_webhook_stays_so_over_a_restart_and_gets_tests_all_the_same() {
    let mut hub = Hub::start();
    let receiver = Receiver::behaving(saying("no"));
    let webhook = create(&hub, receiver.url());
    let delivery = hub.publish_one("creator.updated", json!({}));
    hub.restart();
    assert_eq!(hub.webhook(&id(&webhook))["disabled_reason"], webhook["disabled_reason"]);
    let path = format!("/v1/webhooks/{}", id(&webhook));
    let test = hub.post(&format!("{path}/test"), &json!({})).expect(200);
    assert_eq!(test.json()["status"], "delivered");
    assert_eq!(hub.state_of(&id(&webhook)), "unverified");
    receiver.behave(echoing());
    hub.post(&format!("{path}/verify"), &json!({})).expect(200);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
}

/// Runs `call` while the receiver holds its challenge, `meanwhile` during it, and returns the response to `call`.
fn during_challenge(
    hub: &Hub,
    receiver: &Receiver,
    call: impl FnOnce(&Hub) -> Answer + Send,
    meanwhile: impl FnOnce(&Hub),
) -> Answer {
    receiver.hold();
    thread::scope(|scope| {
        let caller = scope.spawn(|| call(hub));
        receiver.wait_held(1);
        meanwhile(hub);
        receiver.release();
        caller.join().unwrap()
    })
}

#[test]
fn a_challenge_passed_for_one_url_activates_no_other() {
    let hub = Hub::start();
    let (asked, other) = (answering(200), Receiver::start());
    let fields = json!({"profile": "influship", "active": false});
    let path = format!("/v1/webhooks/{}", hub.add_webhook_with(asked.url(), &fields));
    let change_url = |hub: &Hub| drop(hub.patch(&path, &json!({"url": other.url()})).expect(200));
    let resume = |hub: &Hub| hub.patch(&path, &json!({"active": true}));
    let refused = during_challenge(&hub, &asked, resume, change_url).expect(409);
    assert_eq!(refused.error_code(), "webhook_changed");
    let shown = hub.get(&path).expect(200).json();
    assert_eq!((&shown["url"], &shown["state"]), (&json!(other.url()), &json!("paused")));
    hub.publish("creator.updated", json!({}));
    hub.deliver_until_idle();
    assert_eq!(other.hits(), 0, "it never passed a challenge");
}

#[test]
fn a_webhook_whose_profile_changes_during_its_challenge_is_not_verified_by_it() {
    let hub = Hub::start();
    let asked = answering(200);
    let webhook = hub.add_webhook_with(asked.url(), &json!({"profile": "influship", "active": false}));
    let path = format!("/v1/webhooks/{webhook}");
    let change = |hub: &Hub| drop(hub.patch(&path, &json!({"profile": "generic"})).expect(200));
    let verify = |hub: &Hub| hub.post(&format!("{path}/verify"), &json!({}));
    assert_eq!(during_challenge(&hub, &asked, verify, change).expect(409).error_code(), "webhook_changed");
}

#[test]
fn a_webhook_that_is_changed_during_the_challenge_of_its_creation_is_created_all_the_same() {
    let hub = Hub::start();
    let (asked, other) = (answering(200), answering(200));
    let create = |hub: &Hub| {
        let body = json!({"url": asked.url(), "events": ["*"], "profile": "influship"});
        hub.post("/v1/webhooks", &body)
    };
    let change = |hub: &Hub| {
        let listed = hub.get("/v1/webhooks").expect(200).json();
        let path = format!("/v1/webhooks/{}", id(&listed["data"][0]));
        drop(hub.patch(&path, &json!({"url": other.url()})).expect(200));
    };
    let created = during_challenge(&hub, &asked, create, change).expect(201).json();
    assert_eq!(created["url"], json!(other.url()));
    assert_eq!(created["state"], "active", "the other URL passed its own challenge");
}
