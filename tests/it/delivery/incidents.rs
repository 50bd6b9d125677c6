//! Incidents: when they open, go on and close.

use std::time::Duration;

use hookpost::domain::time::{HOUR, MINUTE, Millis, SECOND};
use serde_json::{Value, json};

use super::{act, change, choosy, pass, pause, resume, retry};
use crate::support::Hub;
use crate::support::process::wait_until;
use crate::support::receiver::{Behaviour, Receiver, Reply};

/// Fields of a webhook that never disables itself, with this schedule.
fn patient(delays_s: &[u64]) -> Value {
    json!({"retry": {"delays_s": delays_s, "exhausted": "dead_letter"}})
}

fn incidents(hub: &Hub, query: &str) -> Vec<Value> {
    let list = hub.get(&format!("/v1/incidents?{query}")).expect(200).json();
    list["data"].as_array().unwrap().clone()
}

/// The only incident there is.
#[track_caller]
fn incident(hub: &Hub) -> Value {
    let all = incidents(hub, "");
    assert_eq!(all.len(), 1, "{all:#?}");
    hub.get(&format!("/v1/incidents/{}", all[0]["id"].as_str().unwrap())).expect(200).json()
}

fn kinds(incident: &Value) -> Vec<&str> {
    let timeline = incident["timeline"].as_array().unwrap();
    timeline.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

/// Lets time pass in which nothing is due, and waits until incidents have followed it.
#[track_caller]
fn settle(hub: &Hub, time: Millis) {
    pass(hub, time);
    hub.tend_until_idle();
}

fn health(hub: &Hub, webhook: &str) -> String {
    hub.webhook(webhook)["health"].as_str().unwrap().to_owned()
}

#[test]
fn the_first_exhausted_delivery_opens_an_incident_with_its_cause_and_its_last_success() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook_with(receiver.url(), &patient(&[60]));
    assert_eq!(health(&hub, &webhook), "unused");
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(health(&hub, &webhook), "healthy");
    receiver.behave(Behaviour::Answer(Reply::status(503)));
    pass(&hub, MINUTE);
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    let shown = hub.webhook(&webhook);
    assert_eq!(shown["health"], "failing");
    assert_eq!(shown["failing_since"], "2026-01-15T10:01:00.000Z");
    assert_eq!(shown["last_success_at"], "2026-01-15T10:00:00.000Z");
    assert_eq!(shown["incident"], json!(null));
    assert_eq!(incidents(&hub, ""), Vec::<Value>::new());
    pass(&hub, 2 * MINUTE);
    let incident = incident(&hub);
    assert_eq!(incident["status"], "open");
    assert_eq!(incident["reason"], "exhausted");
    assert_eq!(incident["since"], "2026-01-15T10:01:00.000Z");
    assert_eq!(incident["opened_at"], "2026-01-15T10:03:00.000Z");
    assert_eq!(incident["last_success_at"], "2026-01-15T10:00:00.000Z");
    assert_eq!(incident["cause"]["error_code"], "status");
    assert_eq!(incident["cause"]["code"], 503);
    assert!(incident["cause"]["message"].as_str().unwrap().contains("503 Service Unavailable"), "{incident}");
    assert_eq!((&incident["failed_attempts"], &incident["affected_deliveries"]), (&json!(2), &json!(1)));
    assert_eq!((&incident["dead_letters"], &incident["waiting_deliveries"]), (&json!(1), &json!(0)));
    assert_eq!(incident["webhooks"][0]["webhook_id"], webhook.as_str());
    assert_eq!(kinds(&incident), ["first_failure", "opened"]);
    let shown = hub.webhook(&webhook);
    assert_eq!(shown["incident"]["id"], incident["id"]);
    assert_eq!(shown["health"], "failing", "all its deliveries are dead letters");
}

#[test]
fn ten_failed_attempts_open_an_incident_once_they_took_a_minute() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &patient(&[40, 40, 7_200]));
    for _ in 0..9 {
        hub.publish("order.paid", json!({}));
    }
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 9);
    pass(&hub, 50 * SECOND);
    assert_eq!(receiver.hits(), 18);
    assert_eq!(incidents(&hub, ""), Vec::<Value>::new(), "18 failures in 50 seconds");
    pass(&hub, 50 * SECOND);
    let incident = incident(&hub);
    assert_eq!(incident["reason"], "many_failures");
    assert_eq!((&incident["failed_attempts"], &incident["affected_deliveries"]), (&json!(27), &json!(9)));
    assert_eq!((&incident["dead_letters"], &incident["waiting_deliveries"]), (&json!(0), &json!(9)));
}

#[test]
fn an_hour_of_nothing_but_failures_opens_an_incident_without_a_further_attempt() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &patient(&[60, 86_400]));
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    pass(&hub, 2 * MINUTE);
    assert_eq!(receiver.hits(), 2);
    settle(&hub, 58 * MINUTE - SECOND);
    assert_eq!(incidents(&hub, ""), Vec::<Value>::new(), "a second too early");
    settle(&hub, 11 * SECOND);
    let incident = incident(&hub);
    assert_eq!(receiver.hits(), 2);
    assert_eq!(incident["reason"], "hour_of_failures");
    assert_eq!(incident["since"], "2026-01-15T10:00:00.000Z");
    assert_eq!(incident["cause"]["code"], 500);
    assert_eq!(health(&hub, &webhook), "failing");
}

#[test]
fn a_streak_ends_when_nothing_is_queued_any_more() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &patient(&[60, 86_400]));
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    pass(&hub, 2 * MINUTE);
    assert_eq!(health(&hub, &webhook), "failing");
    act(&hub, &delivery, "discard").expect(202);
    assert_eq!(health(&hub, &webhook), "unused");
    settle(&hub, 2 * HOUR);
    assert_eq!(incidents(&hub, ""), Vec::<Value>::new());
}

#[test]
fn a_disabled_webhook_has_an_incident_that_tells_its_story_until_deliveries_get_through() {
    let hub = Hub::start();
    let receiver = Receiver::answering(410);
    let webhook = hub.add_webhook(receiver.url());
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    let opened = incident(&hub);
    assert_eq!(opened["reason"], "disabled");
    assert_eq!(kinds(&opened), ["first_failure", "opened", "disabled"]);
    assert_eq!(health(&hub, &webhook), "disabled");
    // A test fails, the endpoint is repaired, a test succeeds: a delivery is queued, which has to show it.
    hub.publish("order.paid", json!({}));
    hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).expect(200);
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).expect(200);
    settle(&hub, HOUR);
    assert_eq!(incident(&hub)["recovered_at"], json!(null));
    resume(&hub, &webhook);
    hub.deliver_until_idle();
    let recovered = incident(&hub);
    assert_eq!(
        kinds(&recovered)[3..],
        ["test_failed", "test_delivered", "resumed", "recovered"],
        "{:#}",
        recovered["timeline"]
    );
    assert_eq!(recovered["timeline"][5]["actor"], "API key test");
    assert_eq!(recovered["status"], "open");
    assert_eq!(recovered["recovered_at"], "2026-01-15T11:00:00.000Z");
    assert_eq!(health(&hub, &webhook), "healthy");
    settle(&hub, 10 * MINUTE - SECOND);
    assert_eq!(incident(&hub)["status"], "open", "a second too early");
    settle(&hub, 11 * SECOND);
    let closed = incident(&hub);
    assert_eq!(closed["status"], "closed");
    assert_eq!(closed["closed_at"], "2026-01-15T11:10:10.000Z");
    assert_eq!(hub.webhook(&webhook)["incident"], json!(null));
    assert_eq!(incidents(&hub, "status=open"), Vec::<Value>::new());
    assert_eq!(incidents(&hub, "status=closed").len(), 1);
}

#[test]
fn a_successful_test_ends_the_trouble_of_a_webhook_with_an_empty_queue() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &patient(&[]));
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(health(&hub, &webhook), "failing");
    receiver.behave(Behaviour::Answer(Reply::status(204)));
    hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).expect(200);
    assert_eq!(health(&hub, &webhook), "healthy");
    assert_eq!(kinds(&incident(&hub)), ["first_failure", "opened", "test_delivered", "recovered"]);
    settle(&hub, 11 * MINUTE);
    assert_eq!(incident(&hub)["status"], "closed");
}

#[test]
fn an_endpoint_that_flaps_has_one_incident() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook_with(receiver.url(), &patient(&[]));
    for _ in 0..20 {
        for (code, expected) in [(500, "failing"), (200, "healthy")] {
            receiver.behave(Behaviour::Answer(Reply::status(code)));
            hub.publish("order.paid", json!({}));
            hub.deliver_until_idle();
            assert_eq!(health(&hub, &webhook), expected);
            settle(&hub, 4 * MINUTE);
        }
    }
    let flapping = incident(&hub);
    assert_eq!(flapping["status"], "open");
    assert_eq!((&flapping["dead_letters"], &flapping["failed_attempts"]), (&json!(20), &json!(20)));
    assert_eq!(kinds(&flapping)[..5], ["first_failure", "opened", "recovered", "failing_again", "recovered"]);
    settle(&hub, 10 * MINUTE);
    assert_eq!(incident(&hub)["status"], "closed");
    // Half an hour later the same one opens again, and then takes an hour to close.
    let fail = || {
        receiver.behave(Behaviour::Answer(Reply::status(500)));
        hub.publish("order.paid", json!({}));
        hub.deliver_until_idle();
    };
    pass(&hub, 30 * MINUTE);
    fail();
    let reopened = incident(&hub);
    assert_eq!(
        (&reopened["status"], &reopened["closed_at"], &reopened["reopened"]),
        (&json!("open"), &json!(null), &json!(1))
    );
    assert_eq!(reopened["id"], flapping["id"]);
    assert_eq!(kinds(&reopened).last(), Some(&"reopened"));
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    settle(&hub, HOUR - SECOND);
    assert_eq!(incident(&hub)["status"], "open", "a second too early");
    settle(&hub, SECOND);
    assert_eq!(incident(&hub)["status"], "closed");
    // More than an hour later it is another one.
    pass(&hub, HOUR + SECOND);
    fail();
    assert_eq!(incidents(&hub, "").len(), 2);
}

#[test]
fn webhooks_of_one_host_share_an_incident_and_each_tenant_sees_its_own() {
    let hub = Hub::start();
    let (receiver, other) = (Receiver::answering(500), Receiver::answering(502));
    let mut webhooks = Vec::new();
    for (tenant, url) in
        [("acme", receiver.url()), ("acme", receiver.url()), ("globex", receiver.url()), ("acme", other.url())]
    {
        let mut fields = patient(&[]);
        fields["tenant"] = json!(tenant);
        webhooks.push(hub.add_webhook_with(url, &fields));
    }
    let publish = |tenant: &str| {
        let event = json!({"type": "order.paid", "data": {}, "tenant": tenant});
        hub.post("/v1/events", &event).expect(202);
        hub.deliver_until_idle();
    };
    publish("acme");
    pass(&hub, MINUTE);
    publish("globex");
    let all = incidents(&hub, "status=open");
    assert_eq!(all.len(), 2, "{all:#?}");
    let shared = all.iter().find(|incident| incident["webhook_count"] == 3).expect("one incident of the shared host");
    assert_eq!(shared["dead_letters"], 3);
    let path = format!("/v1/incidents/{}", shared["id"].as_str().unwrap());
    for (tenant, count, opened, kinds_seen) in [
        ("acme", 2, "2026-01-15T10:00:00.000Z", vec!["first_failure", "opened", "joined"]),
        ("globex", 1, "2026-01-15T10:01:00.000Z", vec!["first_failure", "opened"]),
    ] {
        let key = hub.make_key(hookpost::store::api_key::Scope::Admin, Some(tenant), None);
        let answer = hub.call_with(&key, "GET", &path, None).expect(200);
        let (other, seen) = (if tenant == "acme" { "globex" } else { "acme" }, answer.json());
        assert!(!answer.text.contains(other), "{}", answer.text);
        assert_eq!((&seen["webhook_count"], &seen["opened_at"]), (&json!(count), &json!(opened)));
        assert_eq!(seen["webhooks"].as_array().unwrap().len(), count);
        assert_eq!(kinds(&seen), kinds_seen);
    }
    let key = hub.make_key(hookpost::store::api_key::Scope::Admin, Some("globex"), None);
    let list = hub.call_with(&key, "GET", "/v1/incidents", None).expect(200).json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    let foreign = all.iter().find(|incident| incident["webhook_count"] == 1).unwrap()["id"].as_str().unwrap();
    hub.call_with(&key, "GET", &format!("/v1/incidents/{foreign}"), None).expect(404);
    // The part of acme ends when its webhooks are deleted; the incident goes on for globex.
    for webhook in &webhooks[..2] {
        hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
    }
    let acme = hub.make_key(hookpost::store::api_key::Scope::Read, Some("acme"), None);
    assert_eq!(hub.call_with(&acme, "GET", &path, None).expect(200).json()["status"], "closed");
    assert_eq!(hub.get(&path).expect(200).json()["status"], "open");
    // A webhook with another host leaves the incident, which closes with the last one.
    change(&hub, &webhooks[2], json!({"url": Receiver::start().url()}));
    let closed = hub.get(&path).expect(200).json();
    assert_eq!(closed["status"], "closed");
    assert_eq!(kinds(&closed).into_iter().filter(|kind| ["deleted", "moved"].contains(kind)).count(), 3);
}

#[test]
fn another_cause_is_recorded_once_and_not_with_every_attempt() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &patient(&[]));
    let fail = |code: u16, wait: Millis| {
        receiver.behave(Behaviour::Answer(Reply::status(code)));
        hub.publish("order.paid", json!({}));
        hub.deliver_until_idle();
        pass(&hub, wait);
    };
    fail(500, SECOND);
    // Another server error is the same cause; a refusal within the first minute is not recorded.
    fail(503, SECOND);
    fail(404, 2 * MINUTE);
    assert_eq!(kinds(&incident(&hub)), ["first_failure", "opened"]);
    fail(404, 2 * MINUTE);
    let shown = incident(&hub);
    assert_eq!(kinds(&shown), ["first_failure", "opened", "cause_changed"]);
    assert_eq!(shown["cause"]["code"], 404);
    fail(429, 2 * MINUTE);
    fail(429, 2 * MINUTE);
    assert_eq!(kinds(&incident(&hub)), ["first_failure", "opened", "cause_changed", "cause_changed"]);
}

#[test]
fn one_rejected_event_of_a_live_endpoint_does_not_make_it_failing_for_long() {
    let hub = Hub::start();
    let receiver = choosy();
    let webhook = hub.add_webhook_with(receiver.url(), &retry(&[60]));
    hub.publish("order.paid", json!({"fail": true}));
    hub.deliver_until_idle();
    hub.publish("order.paid", json!({}));
    pass(&hub, 2 * MINUTE);
    let opened = incident(&hub);
    assert_eq!((&opened["reason"], &opened["dead_letters"]), (&json!("exhausted"), &json!(1)));
    assert_eq!(health(&hub, &webhook), "failing", "its last attempt failed");
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(health(&hub, &webhook), "healthy");
    settle(&hub, 11 * MINUTE);
    assert_eq!(incident(&hub)["status"], "closed");
}

#[test]
fn a_paused_webhook_stays_in_its_incident() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &patient(&[]));
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    pause(&hub, &webhook);
    assert_eq!(health(&hub, &webhook), "paused");
    settle(&hub, HOUR);
    let shown = incident(&hub);
    assert_eq!(shown["status"], "open");
    assert_eq!(kinds(&shown), ["first_failure", "opened", "paused"]);
}

#[test]
fn an_unverified_webhook_opens_an_incident_when_events_have_waited_an_hour() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"profile": "influship"}));
    assert_eq!(health(&hub, &webhook), "unverified");
    settle(&hub, 2 * HOUR);
    assert_eq!(incidents(&hub, ""), Vec::<Value>::new(), "nothing waits for it");
    hub.publish("order.paid", json!({}));
    settle(&hub, MINUTE);
    assert_eq!(incident(&hub)["reason"], "unverified");
    assert_eq!(incident(&hub)["waiting_deliveries"], 1);
}

#[test]
fn incidents_are_the_same_after_a_crash() {
    let mut hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &patient(&[60, 60]));
    for _ in 0..3 {
        hub.publish("order.paid", json!({}));
    }
    hub.deliver_until_idle();
    pass(&hub, 2 * MINUTE);
    // Not open yet, so the streak alone has to survive.
    hub.abandon();
    hub.restart();
    assert_eq!(hub.webhook(&webhook)["failing_since"], "2026-01-15T10:00:00.000Z");
    pass(&hub, 2 * MINUTE);
    let before = incident(&hub);
    assert_eq!((&before["failed_attempts"], &before["dead_letters"]), (&json!(9), &json!(3)));
    hub.abandon();
    hub.restart();
    assert_eq!(incident(&hub), before);
    // Recounted from the log of attempts.
    let mut attempts = 0;
    for delivery in hub.get("/v1/deliveries").expect(200).json()["data"].as_array().unwrap() {
        attempts += delivery["attempt_count"].as_u64().unwrap();
    }
    assert_eq!(attempts, 9);
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    hub.abandon();
    hub.restart();
    assert_eq!(health(&hub, &webhook), "healthy");
    settle(&hub, 11 * MINUTE);
    assert_eq!(incident(&hub)["status"], "closed");
}

#[test]
fn a_webhook_disabled_before_there_were_incidents_gets_one_at_the_next_start() {
    let mut hub = Hub::start();
    let receiver = Receiver::answering(410);
    hub.add_webhook(receiver.url());
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    hub.stop();
    let connection = rusqlite::Connection::open(hub.database()).unwrap();
    connection
        .execute_batch(
            "DELETE FROM incident_entry; DELETE FROM incident_webhook; DELETE FROM incident; DELETE FROM streak",
        )
        .unwrap();
    drop(connection);
    hub.restart();
    assert!(wait_until(Duration::from_secs(20), || !incidents(&hub, "").is_empty()));
    let shown = incident(&hub);
    assert_eq!((&shown["reason"], &shown["since"]), (&json!("disabled"), &json!("2026-01-15T10:00:00.000Z")));
    assert!(shown["cause"]["message"].as_str().unwrap().contains("410 Gone"), "{shown}");
}

#[test]
fn a_time_line_keeps_its_newest_entries_and_says_how_many_are_left_out() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &patient(&[]));
    for _ in 0..90 {
        for code in [500, 200] {
            receiver.behave(Behaviour::Answer(Reply::status(code)));
            hub.publish("order.paid", json!({}));
            hub.deliver_until_idle();
        }
    }
    let shown = incident(&hub);
    let all = kinds(&shown);
    assert_eq!(all[..2], ["first_failure", "opened"]);
    assert_eq!(all.len(), 2 + 150 + 1, "{all:?}");
    let left_out = shown["timeline"].as_array().unwrap().iter().find(|entry| entry["kind"] == "left_out").unwrap();
    assert_eq!(left_out["count"], 90 + 89 - 150);
}
