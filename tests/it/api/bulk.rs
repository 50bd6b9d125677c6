//! `/v1/deliveries/retry` and `/v1/deliveries/discard`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hookpost::actions::delivery::bulk::{BulkAction, Selection};
use hookpost::actions::{ActionError, Caller};
use hookpost::store::StoreError;
use hookpost::store::api_key::Scope;
use hookpost::store::delivery::DeliveryFilter;
use serde_json::{Value, json};

use super::{error, error_in, ids};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

const RETRY: &str = "/v1/deliveries/retry";
const DISCARD: &str = "/v1/deliveries/discard";

fn count(hub: &Hub, path: &str, body: &Value) -> u64 {
    let mut dry = body.clone();
    dry["dry_run"] = json!(true);
    let would = hub.post(path, &dry).expect(200).json();
    let audit = hub.post(path, body).expect(202).json();
    assert_eq!(would, audit, "{body}");
    audit["count"].as_u64().unwrap()
}

fn with_status(hub: &Hub, status: &str) -> usize {
    ids(&hub.get(&format!("/v1/deliveries?status={status}&limit=250"))).len()
}

/// Six deliveries: failed, delivered, retrying, pending at a paused webhook, discarded, and a failed test.
struct World {
    hub: Hub,
    receiver: Receiver,
    _good: Receiver,
    failing: String,
}

impl World {
    fn new() -> World {
        let hub = Hub::start();
        let receiver = Receiver::answering(500);
        let good = Receiver::start();
        let once = json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}, "events": ["a.failed"]});
        let failing = hub.add_webhook_with(receiver.url(), &once);
        hub.add_webhook_with(receiver.url(), &json!({"events": ["a.retrying"]}));
        hub.add_webhook_with(good.url(), &json!({"events": ["a.delivered"]}));
        hub.add_webhook_with(good.url(), &json!({"events": ["a.pending", "a.discarded"], "active": false}));
        for event_type in ["a.failed", "a.retrying", "a.delivered", "a.pending"] {
            hub.publish_one(event_type, json!({}));
        }
        let discarded = hub.publish_one("a.discarded", json!({}));
        hub.post(&format!("/v1/deliveries/{discarded}/discard"), &json!({})).expect(202);
        hub.deliver_until_idle();
        let test = format!("/v1/webhooks/{failing}/test");
        hub.post(&test, &json!({})).expect(200);
        for (status, found) in [("failed", 2), ("retrying", 1), ("delivered", 1), ("pending", 1), ("discarded", 1)] {
            assert_eq!(with_status(&hub, status), found, "{status}");
        }
        World { hub, receiver, _good: good, failing }
    }
}

#[test]
fn a_retry_meets_what_failed_or_waits_and_nothing_else() {
    let world = World::new();
    let (hub, receiver) = (&world.hub, &world.receiver);
    let hits = receiver.hits();
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    assert_eq!(count(hub, RETRY, &json!({"all": true})), 3);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), hits + 2);
    assert_eq!(with_status(hub, "delivered"), 3);
    // The failed one is the test. The paused webhook's delivery is still pending, and the discarded one is final.
    assert_eq!(with_status(hub, "failed"), 1);
    assert_eq!(with_status(hub, "pending"), 1);
    assert_eq!(with_status(hub, "discarded"), 1);
    for (body, expected) in [
        (json!({"status": "discarded"}), 0),
        (json!({"status": "delivered", "event_type": "a.delivered"}), 1),
        (json!({"status": "delivered", "test": false}), 3),
    ] {
        assert_eq!(count(hub, RETRY, &body), expected, "{body}");
        hub.deliver_until_idle();
    }
    assert_eq!(with_status(hub, "delivered"), 3);
}

#[test]
fn a_discard_meets_what_waits_and_nothing_else() {
    let world = World::new();
    let hub = &world.hub;
    assert_eq!(count(hub, DISCARD, &json!({"status": "failed"})), 0);
    assert_eq!(count(hub, DISCARD, &json!({"event_type": "a.pending"})), 1);
    assert_eq!(count(hub, DISCARD, &json!({"all": true})), 1);
    assert_eq!(with_status(hub, "discarded"), 3);
    assert_eq!(with_status(hub, "failed"), 2);
    hub.advance(hookpost::domain::time::DAY);
    hub.deliver_until_idle();
    assert_eq!(with_status(hub, "discarded"), 3);
}

#[test]
fn every_filter_of_the_list_narrows_a_bulk_action() {
    let world = World::new();
    let (hub, failing) = (&world.hub, &world.failing);
    let event = hub.get("/v1/events?type=a.failed").json()["data"][0]["id"].clone();
    for (filter, expected) in [
        (json!({"webhook_id": failing}), 1),
        (json!({"webhook_id": "wh_01KF0000000000000000000000"}), 0),
        (json!({"event_id": event}), 1),
        (json!({"event_id": "nobody"}), 0),
        (json!({"status": "failed"}), 1),
        (json!({"status": "retrying"}), 1),
        (json!({"event_type": "a.pending"}), 1),
        (json!({"tenant": "default"}), 3),
        (json!({"tenant": "acme"}), 0),
        (json!({"response_code": 500}), 2),
        (json!({"error_code": "status"}), 2),
        (json!({"error_code": "timeout"}), 0),
        (json!({"test": false}), 3),
        (json!({"since": "2026-01-15T10:00:00Z"}), 3),
        (json!({"until": "2026-01-15T10:00:00Z"}), 0),
        (json!({"webhook_id": failing, "status": "retrying"}), 0),
    ] {
        let mut body = filter.clone();
        body["dry_run"] = json!(true);
        let answer = hub.post(RETRY, &body).expect(200).json();
        assert_eq!(answer, json!({"count": expected}), "{filter}");
    }
}

#[test]
fn deliveries_are_named_by_their_ids_too() {
    let world = World::new();
    let (hub, receiver) = (&world.hub, &world.receiver);
    let all = ids(&hub.get("/v1/deliveries"));
    let mut named = all.clone();
    named.extend(all);
    named.push("dlv_01KF0000000000000000000000".to_owned());
    let ours = hub.make_key(Scope::Admin, Some("ours"), None);
    let body = json!({"ids": named});
    let answer = hub.call_with(&ours, "POST", RETRY, Some(&body.to_string()));
    assert_eq!(answer.expect(202).json(), json!({"count": 0, "unknown": named}));
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    assert_eq!(count(hub, RETRY, &body), 4);
    hub.deliver_until_idle();
    let answer = hub.post(DISCARD, &body).expect(202).json();
    assert_eq!(answer, json!({"count": 1, "unknown": ["dlv_01KF0000000000000000000000"]}));
}

#[test]
fn a_delivered_one_named_by_its_id_is_sent_again_as_by_the_single_call() {
    let world = World::new();
    let hub = &world.hub;
    let delivered = ids(&hub.get("/v1/deliveries?status=delivered"));
    assert_eq!(hub.post(RETRY, &json!({"ids": delivered})).expect(202).json(), json!({"count": 1, "unknown": []}));
    hub.deliver_until_idle();
    assert_eq!(hub.delivery(&delivered[0])["attempt_count"], 2);
    // A filter that does not ask for that status leaves it alone.
    assert_eq!(hub.post(RETRY, &json!({"event_type": "a.delivered"})).expect(202).json(), json!({"count": 0}));
}

#[test]
fn what_belongs_to_a_deleted_webhook_is_not_retried() {
    let world = World::new();
    let (hub, failing) = (&world.hub, &world.failing);
    let dead = ids(&hub.get("/v1/dead-letters"));
    hub.delete(&format!("/v1/webhooks/{failing}")).expect(204);
    assert_eq!(count(hub, RETRY, &json!({"status": "failed"})), 0);
    assert_eq!(count(hub, RETRY, &json!({"ids": dead})), 0);
}

#[test]
fn a_tenants_key_meets_its_own_deliveries_only() {
    let world = World::new();
    let hub = &world.hub;
    let ours = hub.make_key(Scope::Admin, Some("ours"), None);
    for path in [RETRY, DISCARD] {
        let answer = hub.call_with(&ours, "POST", path, Some(r#"{"all": true}"#));
        assert_eq!(answer.expect(202).json(), json!({"count": 0}));
        let answer = hub.call_with(&ours, "POST", path, Some(r#"{"tenant": "default"}"#));
        error(&answer, 403, "forbidden");
    }
}

#[test]
fn a_bulk_action_without_a_filter_is_refused_unless_all_is_said() {
    let hub = Hub::start();
    let many = vec!["dlv_01KF0000000000000000000000"; 1_001];
    for path in [RETRY, DISCARD] {
        for body in [json!({}), json!({"all": false}), json!({"dry_run": true}), json!({"webhook_id": null})] {
            error(&hub.post(path, &body), 422, "missing_filter");
        }
        for (body, code, field) in [
            (json!({"ids": []}), "invalid_ids", "ids"),
            (json!({"ids": many}), "invalid_ids", "ids"),
            (json!({"ids": [many[0], "wh_1"]}), "invalid_ids", "ids[1]"),
            (json!({"ids": [many[0]], "all": true}), "ids_with_filter", "ids"),
            (json!({"ids": [many[0]], "status": "failed"}), "ids_with_filter", "ids"),
            (json!({"ids": "dlv_1"}), "invalid_type", "ids"),
            (json!({"webhook_id": "dlv_1"}), "invalid_parameter", "webhook_id"),
            (json!({"event_id": "a.b"}), "invalid_event_id", "event_id"),
            (json!({"status": "lost"}), "invalid_value", "status"),
            (json!({"event_type": "a..b"}), "invalid_event_pattern", "event_type"),
            (json!({"tenant": "a.b"}), "invalid_tenant", "tenant"),
            (json!({"response_code": "50x"}), "invalid_parameter", "response_code"),
            (json!({"error_code": "bad"}), "invalid_parameter", "error_code"),
            (json!({"test": true}), "invalid_parameter", "test"),
            (json!({"since": "now"}), "invalid_time", "since"),
            (json!({"until": "now"}), "invalid_time", "until"),
            (json!({"all": true, "limit": 5}), "unknown_field", "limit"),
            (json!({"all": "yes"}), "invalid_type", "all"),
        ] {
            error_in(&hub.post(path, &body), 422, code, field);
        }
    }
}

/// Creates thousands of pending deliveries at a paused webhook.
fn backlog(hub: &Hub, batches: usize) -> String {
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    let batch: Vec<Value> = (0..1_000).map(|n| json!({"type": "a.b", "data": n})).collect();
    for _ in 0..batches {
        hub.post("/v1/events/batch", &json!(batch)).expect(202);
    }
    webhook
}

#[test]
fn events_are_taken_in_between_the_steps_of_a_bulk_action() {
    let hub = Hub::start();
    let webhook = backlog(&hub, 4);
    let done = AtomicBool::new(false);
    let between = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let discarded = hub.post(DISCARD, &json!({"webhook_id": webhook})).expect(202).json();
            assert_eq!(discarded, json!({"count": 4_000}));
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            let event = json!({"type": "a.b", "data": 1, "tenant": "other"});
            hub.post("/v1/events", &event).expect(202);
            between.fetch_add(1, Ordering::SeqCst);
        }
    });
    assert!(between.load(Ordering::SeqCst) >= 2, "publishing waited for the whole");
    assert_eq!(count(&hub, DISCARD, &json!({"webhook_id": webhook})), 0);
}

#[test]
fn a_replay_of_thousands_is_done_in_steps_and_in_their_order() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    backlog(&hub, 2);
    let fields = json!({"ordered": true, "active": false});
    let webhook = hub.add_webhook_with(receiver.url(), &fields);
    let body = json!({"since": "2026-01-15T10:00:00Z"});
    let answer = hub.post(&format!("/v1/webhooks/{webhook}/replay"), &body);
    assert_eq!(answer.expect(202).json(), json!({"count": 2_000}));
    let page = hub.get(&format!("/v1/deliveries?webhook_id={webhook}&limit=250")).json();
    let newest = page["data"][0]["event_id"].as_str().unwrap();
    assert_eq!(hub.get(&format!("/v1/events/{newest}")).json()["data"], json!(999));
    assert_eq!(count(&hub, RETRY, &json!({"webhook_id": webhook})), 2_000);
}

#[test]
fn an_action_that_a_stop_cuts_short_says_how_far_it_came() {
    let hub = Hub::start();
    backlog(&hub, 2);
    let steps = AtomicUsize::new(0);
    let twice = || steps.fetch_add(1, Ordering::SeqCst) < 2;
    let actions = &hub.running.app.actions;
    let all = Selection::Matching(DeliveryFilter::default());
    let result = actions.bulk(&Caller::default(), BulkAction::Discard, &all, false, &twice);
    let Err(ActionError::Partly { done, cause }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(done, 200, "two steps");
    assert!(matches!(cause, StoreError::Stopping), "{cause}");
    let rest = json!({"all": true, "dry_run": true});
    assert_eq!(hub.post(DISCARD, &rest).json()["count"], 1_800);
    let result = actions.bulk(&Caller::default(), BulkAction::Discard, &all, false, &|| false);
    assert!(matches!(result, Err(ActionError::Store(StoreError::Stopping))), "{result:?}");
}
