//! Retention: old data is deleted automatically, but pending deliveries are kept.

use hookpost::domain::retention::Retention;
use hookpost::domain::time::DAY;
use rusqlite::Connection;
use serde_json::json;

use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

fn count(hub: &Hub, what: &str) -> i64 {
    let connection = Connection::open(hub.database()).unwrap();
    let row = connection.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0));
    row.unwrap()
}

/// Creates three webhooks with a delivery each: one succeeds, one fails at once, one is paused.
fn mixed(retention: Retention) -> (Hub, [Receiver; 2]) {
    let hub = Hub::with(|options| options.retention = retention);
    let receivers = [Receiver::start(), Receiver::answering(500)];
    let retry = json!({"delays_s": [], "exhausted": "dead_letter"});
    for (url, event_type, active) in [
        (receivers[0].url(), "a.delivered", true),
        (receivers[1].url(), "a.failed", true),
        (receivers[0].url(), "a.pending", false),
    ] {
        let fields = json!({"events": [event_type], "retry": retry, "active": active});
        hub.add_webhook_with(url, &fields);
        hub.publish_one(event_type, json!({}));
    }
    hub.publish("a.nobody", json!({}));
    hub.deliver_until_idle();
    (hub, receivers)
}

/// Lets days pass and publishes an event, because the newest event is never deleted.
fn days_later(hub: &Hub, days: i64) {
    hub.advance(days * DAY);
    hub.publish("a.delivered", json!({}));
    hub.deliver_until_idle();
    hub.prune_until_idle();
}

fn types(hub: &Hub, list: &str, field: &str) -> Vec<String> {
    let rows = hub.get(list).expect(200).json();
    let rows = rows["data"].as_array().unwrap();
    rows.iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_ended_goes_after_its_days_with_its_event_and_attempts_and_what_waits_stays() {
    let (hub, _receivers) = mixed(Retention::new(30, 90));
    days_later(&hub, 29);
    assert_eq!(types(&hub, "/v1/events", "type").len(), 5);
    days_later(&hub, 2);
    let left = ["a.delivered", "a.delivered", "a.pending", "a.failed"];
    assert_eq!(types(&hub, "/v1/deliveries", "event_type"), left);
    assert_eq!(types(&hub, "/v1/events", "type"), left);
    assert_eq!(count(&hub, "attempt"), 3);
    days_later(&hub, 60);
    let left = ["a.delivered", "a.pending"];
    assert_eq!(types(&hub, "/v1/deliveries", "event_type"), left);
    assert_eq!(types(&hub, "/v1/events", "type"), left);
    assert_eq!(count(&hub, "attempt"), 1);
    assert_eq!(count(&hub, "pragma_foreign_key_check"), 0);
}

#[test]
fn nothing_goes_where_everything_is_kept() {
    for (retention, failed) in [(Retention::new(0, 0), 1), (Retention::new(0, 1), 1)] {
        let (hub, _receivers) = mixed(retention);
        days_later(&hub, 10_000);
        assert_eq!(types(&hub, "/v1/events", "type").len(), 5);
        let dead = types(&hub, "/v1/dead-letters", "id");
        assert_eq!(dead.len(), failed);
    }
}

#[test]
fn a_dead_letter_that_was_replayed_goes_with_what_became_of_it() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let retry = json!({"delays_s": [], "exhausted": "dead_letter"});
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"retry": retry}));
    let event = hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    let path = format!("/v1/events/{}/replay", event["id"].as_str().unwrap());
    hub.post(&path, &json!({})).expect(202);
    hub.deliver_until_idle();
    days_later(&hub, 31);
    assert_eq!(types(&hub, "/v1/deliveries", "id").len(), 1);
    let replay = json!({"since": "2026-01-01T00:00:00Z", "only_failed": true, "dry_run": true});
    let answer = hub.post(&format!("/v1/webhooks/{webhook}/replay"), &replay);
    assert_eq!(answer.expect(200).json()["count"], 0);
}

#[test]
fn a_deleted_webhook_goes_once_nothing_of_it_is_left() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let gone = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("a.b", json!({}));
    hub.deliver_until_idle();
    hub.add_webhook(receiver.url());
    let connection = Connection::open(hub.database()).unwrap();
    // Of both webhooks, as if their certificates had ended.
    let notices = ["certificate_notice", "endpoint_certificate_notice"];
    for notice in notices {
        connection.execute_batch(&format!("INSERT INTO {notice} SELECT seq, 0, 7 FROM webhook")).unwrap();
    }
    hub.delete(&format!("/v1/webhooks/{gone}")).expect(204);
    days_later(&hub, 29);
    assert_eq!(hub.delivery(&delivery)["webhook_id"], gone);
    assert_eq!(count(&hub, "webhook"), 2);
    days_later(&hub, 2);
    hub.get(&format!("/v1/deliveries/{delivery}")).expect(404);
    assert_eq!(count(&hub, "webhook"), 1);
    for notice in notices {
        assert_eq!(count(&hub, notice), 1, "{notice}");
    }
}

#[test]
fn an_ordered_webhook_goes_on_after_everything_before_it_went() {
    let mut hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"ordered": true}));
    for n in 0..3 {
        hub.publish("a.b", json!(n));
    }
    hub.deliver_until_idle();
    hub.advance(100 * DAY);
    hub.prune_until_idle();
    assert_eq!(count(&hub, "delivery"), 1, "the newest stays");
    hub.publish("a.b", json!(3));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 4);
    hub.restart();
    hub.publish("a.b", json!(4));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 5);
}
