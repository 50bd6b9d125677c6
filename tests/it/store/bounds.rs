//! Work on many rows, in steps that leave the writer to others. A debug build checks in the writer itself that no job
//! changes more rows than it may.

use std::time::Duration;

use hookpost::domain::time::{DAY, MINUTE};
use hookpost::store::Connection;
use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::process::wait_until;
use crate::support::receiver::Receiver;

/// More than one job of the writer may change.
const MANY: i64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs SQL on the closed database.
fn rewrite(hub: &mut Hub, script: &str) {
    hub.stop();
    Connection::open(hub.database()).unwrap().execute_batch(script).unwrap();
    hub.restart();
}

fn number(hub: &Hub, query: &str) -> i64 {
    Connection::open(hub.database()).unwrap().query_row(query, [], |row| row.get(0)).unwrap()
}

/// A paused webhook with many queued deliveries of one event.
fn with_backlog(receiver: &Receiver) -> (Hub, String) {
    let mut hub = Hub::start();
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"active": false}));
    hub.publish_one("a.b", json!({}));
    rewrite(
        &mut hub,
        &format!(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
             INSERT INTO delivery (id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms, topic_seq)
             SELECT CAST(printf('%016d', i) AS BLOB), event_seq, webhook_seq, status, cause, due_ms, next_trigger,
                 created_ms, topic_seq FROM delivery, n WHERE delivery.seq = 1;
             UPDATE webhook SET pending_count = {MANY};"
        ),
    );
    (hub, webhook)
}

#[test]
fn a_discard_goes_on_in_steps_when_the_webhook_is_paused_and_resumed_meanwhile() {
    let receiver = Receiver::start();
    let (hub, webhook) = with_backlog(&receiver);
    let path = format!("/v1/webhooks/{webhook}");
    for change in [json!({"active": true, "waiting": "discard"}), json!({"active": false}), json!({"active": true})] {
        hub.patch(&path, &change).expect(200);
    }
    let newer = hub.publish_one("a.b", json!({}));
    assert!(wait_until(PATIENCE, || number(&hub, "SELECT count(*) FROM webhook WHERE sweep IS NOT NULL") == 0));
    assert!(wait_until(PATIENCE, || hub.status_of(&newer) == "delivered"));
    let discarded = number(&hub, "SELECT count(*) FROM delivery WHERE status = 'discarded'");
    assert_eq!(discarded, MANY, "all that were queued before, and only those");
    assert_eq!(receiver.requests().len(), 1);
    let counts = &hub.get("/v1/stats").expect(200).json();
    assert_eq!((&counts["pending"], &counts["retrying"]), (&json!(0), &json!(0)));
}

#[test]
fn a_bulk_discard_of_many_deliveries_runs_in_steps() {
    let receiver = Receiver::start();
    let (hub, webhook) = with_backlog(&receiver);
    let discarded = hub.post("/v1/deliveries/discard", &json!({"webhook_id": webhook})).expect(202).json();
    assert_eq!(discarded["count"], json!(MANY), "{discarded}");
}

#[test]
fn a_batch_for_many_webhooks_is_refused_whole_when_its_deliveries_would_be_too_many() {
    let hub = Hub::start();
    for _ in 0..11 {
        hub.add_webhook_with("https://example.com/", &json!({"active": false}));
    }
    let events = |count: usize| Value::from(vec![json!({"type": "a.b", "data": {}}); count]);
    let refused = hub.post("/v1/events/batch", &events(1_000)).expect(422);
    assert_eq!(refused.error_code(), "too_many_deliveries");
    assert_eq!(number(&hub, "SELECT count(*) FROM event"), 0);
    let stored = hub.post("/v1/events/batch", &events(900)).expect(202).json();
    assert_eq!(stored["data"].as_array().unwrap().len(), 900);
    assert_eq!(number(&hub, "SELECT count(*) FROM delivery"), 9_900);
}

#[test]
fn all_expired_idempotency_keys_are_deleted_within_a_minute() {
    let mut hub = Hub::start();
    rewrite(
        &mut hub,
        &format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
             INSERT INTO idempotency (tenant, key, fingerprint, event_seq, created_ms)
             SELECT 'acme', 'key' || i, zeroblob(32), 1, 0 FROM n;"
        ),
    );
    hub.advance(MINUTE);
    assert!(wait_until(PATIENCE, || number(&hub, "SELECT count(*) FROM idempotency") == 0));
}

#[test]
fn the_audit_log_inboxes_and_unused_topics_are_deleted_with_their_age() {
    let mut hub = Hub::start();
    hub.add_webhook("https://example.com/");
    hub.publish("a.old", json!({}));
    rewrite(
        &mut hub,
        &format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
             INSERT INTO audit (at_ms, actor, action, subject, detail)
             SELECT at_ms, actor, action, subject, detail FROM n, (SELECT * FROM audit LIMIT 1);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
             INSERT INTO topic (tenant, type) SELECT 'acme', 'unused.' || i FROM n;
             INSERT INTO inbox (tenant, token, created_ms) VALUES ('acme', 'token', 0);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
             INSERT INTO inbox_request
                 (inbox_seq, at_ms, method, query, headers, body, body_bytes, verified, signature_check, code)
             SELECT 1, 0, 'POST', '', '[]', x'', 0, 0, '', 200 FROM n;"
        ),
    );
    hub.advance(31 * DAY);
    hub.publish("a.new", json!({}));
    hub.prune_until_idle();
    assert_eq!(number(&hub, "SELECT count(*) FROM inbox_request"), 1, "the newest stays, for its number");
    hub.advance(360 * DAY);
    hub.prune_until_idle();
    assert!(number(&hub, "SELECT count(*) FROM audit") > MANY, "entries are kept for 400 days");
    hub.advance(10 * DAY);
    hub.prune_until_idle();
    assert_eq!(number(&hub, "SELECT count(*) FROM audit"), 1, "the newest stays");
    let types: i64 = number(&hub, "SELECT count(*) FROM topic WHERE type LIKE 'unused.%'");
    assert_eq!(types, 0);
    // A type whose topic was deleted can be published again.
    hub.publish("unused.1", json!({}));
    assert_eq!(hub.get("/v1/events?type=unused.1").expect(200).json()["data"].as_array().unwrap().len(), 1);
}
