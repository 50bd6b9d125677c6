//! Stored rows that cannot be read: one failed delivery each, and nothing else.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::Connection;
use serde_json::json;

use crate::support::Hub;
use crate::support::process::{PATIENCE, wait_until};
use crate::support::receiver::Receiver;

/// Damages of the first of three rows that SQLite itself does not notice.
const DAMAGES: [&str; 9] = [
    "UPDATE event SET data = CAST(x'7b226e223a22ff227d' AS TEXT) WHERE seq = 1",
    "UPDATE event SET previous_data = CAST(x'ff' AS TEXT) WHERE seq = 1",
    "UPDATE event SET type = CAST(x'ff' AS TEXT) WHERE seq = 1",
    "UPDATE event SET tenant = CAST(x'ff' AS TEXT) WHERE seq = 1",
    "UPDATE event SET id = CAST(x'ff' AS TEXT) WHERE seq = 1",
    "UPDATE event SET checksum = -1 WHERE seq = 1",
    "UPDATE delivery SET attempt_count = -1 WHERE seq = 1",
    "UPDATE delivery SET series_failures = -1, panics = -1 WHERE seq = 1",
    "UPDATE delivery SET id = x'00' WHERE seq = 1",
];

/// Statuses and errors in the order of the deliveries, from the table.
fn outcomes(database: &Path) -> Vec<(String, Option<String>)> {
    let connection = Connection::open(database).unwrap();
    let mut statement = connection.prepare("SELECT status, last_error FROM delivery ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn statuses(hub: &Hub) -> Vec<String> {
    outcomes(&hub.database()).into_iter().map(|(status, _)| status).collect()
}

/// A stopped server with three waiting deliveries of a paused webhook, whose first row is damaged. Returns the webhook.
fn damaged(hub: &mut Hub, receiver: &Receiver, ordered: bool, damage: &str) -> String {
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"ordered": ordered, "active": false}));
    for number in [1, 2, 3] {
        hub.publish_one("order.paid", json!({"number": number}));
    }
    hub.stop();
    let connection = Connection::open(hub.database()).unwrap();
    assert_eq!(connection.execute(damage, []).unwrap(), 1, "{damage}");
    drop(connection);
    hub.restart();
    webhook
}

fn resume(hub: &Hub, webhook: &str) {
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": true})).expect(200);
}

#[test]
fn a_row_that_cannot_be_read_is_one_failed_delivery_and_the_lane_goes_on() {
    for damage in DAMAGES {
        for ordered in [false, true] {
            let mut hub = Hub::start();
            let receiver = Receiver::start();
            let webhook = damaged(&mut hub, &receiver, ordered, damage);
            resume(&hub, &webhook);
            let ended = wait_until(PATIENCE, || statuses(&hub).iter().all(|status| status != "pending"));
            let outcomes = outcomes(&hub.database());
            assert!(ended, "{damage}: {outcomes:?}");
            if damage.contains("series_failures") {
                // Nothing that a first attempt needs.
                assert_eq!(receiver.hits(), 3, "{damage}: {outcomes:?}");
                continue;
            }
            assert_eq!(outcomes[0], ("failed".to_owned(), Some("event_damaged".to_owned())), "{damage}");
            assert_eq!(statuses(&hub)[1..], ["delivered", "delivered"], "{damage}");
            assert_eq!(receiver.hits(), 2, "{damage}");
            hub.deliver_until_idle();
        }
    }
}

#[test]
fn lists_and_pages_show_what_can_be_read() {
    for damage in DAMAGES {
        let mut hub = Hub::start();
        let receiver = Receiver::start();
        let webhook = damaged(&mut hub, &receiver, false, damage);
        let visitor = hub.administrator();
        let connection = Connection::open(hub.database()).unwrap();
        let id: Option<String> = connection.query_row("SELECT id FROM event WHERE seq = 1", [], |row| row.get(0)).ok();
        let delivery: Vec<u8> =
            connection.query_row("SELECT id FROM delivery WHERE seq = 1", [], |row| row.get(0)).unwrap();
        for _ in 0..2 {
            for list in ["events", "deliveries", "dead-letters"] {
                hub.get(&format!("/v1/{list}")).expect(200);
                let found = hub.get(&format!("/v1/{list}?q=number")).expect(200).json();
                assert!(list == "dead-letters" || found["data"].as_array().unwrap().len() >= 2, "{damage}: {found}");
            }
            assert!(hub.get("/v1/search?q=number").expect(200).json()["events"].as_array().unwrap().len() >= 2);
            hub.get("/v1/dead-letters/export").expect(200);
            hub.get(&format!("/v1/webhooks/{webhook}")).expect(200);
            let own = format!("/webhooks/{webhook}");
            for page in ["/", "/events", "/deliveries", "/failed", &own, "/search?q=number", "/deliveries?q=number"] {
                visitor.get(page).expect(200);
            }
            if let Some(id) = &id {
                let shown = hub.get(&format!("/v1/events/{id}")).expect(200).json();
                assert_eq!(shown["damaged"], damage.contains("event"), "{damage}: {shown}");
                visitor.get(&format!("/events/{id}")).expect(200);
            }
            if let Ok(bytes) = delivery.as_slice().try_into() {
                let id = hookpost::domain::id::DeliveryId::from_bytes(bytes);
                if !damage.contains("delivery") {
                    hub.get(&format!("/v1/deliveries/{id}")).expect(200);
                    visitor.get(&format!("/deliveries/{id}")).expect(200);
                }
            }
            resume(&hub, &webhook);
            assert!(wait_until(PATIENCE, || statuses(&hub).iter().all(|status| status != "pending")), "{damage}");
        }
    }
}

#[test]
fn bulk_actions_replays_sweeps_and_retention_skip_rows_that_cannot_be_read() {
    for damage in DAMAGES {
        let mut hub = Hub::start();
        let receiver = Receiver::start();
        let webhook = damaged(&mut hub, &receiver, false, damage);
        hub.post("/v1/deliveries/retry", &json!({"webhook_id": webhook})).expect(202);
        let span = json!({"since": "2026-01-15T00:00:00Z"});
        hub.post(&format!("/v1/webhooks/{webhook}/replay"), &span).expect(202);
        let discarded = hub.post("/v1/deliveries/discard", &json!({"webhook_id": webhook}));
        assert!(discarded.expect(202).json()["count"].as_u64().unwrap() >= 4, "{damage}");
        hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
        let swept = wait_until(PATIENCE, || !statuses(&hub).iter().any(|status| status == "pending"));
        assert!(swept, "{damage}: {:?}", outcomes(&hub.database()));
        hub.add_webhook(receiver.url());
        hub.advance(100 * hookpost::domain::time::DAY);
        hub.publish("order.paid", json!({}));
        hub.deliver_until_idle();
        hub.prune_until_idle();
        let left = statuses(&hub).len();
        assert!(left <= 2, "{damage}: {left} are left");
    }
}

/// Byte offset of the last page of this kind (first byte) that holds a text.
fn page_with(database: &Path, needle: &[u8], kind: u8) -> u64 {
    let bytes = std::fs::read(database).unwrap();
    let mut found = bytes
        .chunks(4096)
        .enumerate()
        .filter(|(_, page)| page[0] == kind && page.windows(needle.len()).any(|window| window == needle));
    let (number, _) = found.next_back().expect("the page is in the file");
    number as u64 * 4096
}

/// Overwrites bytes of the file as a failing disk does, and has every connection read its pages again.
fn overwrite(database: &Path, offset: u64, bytes: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).open(database).unwrap();
    file.write_all_at(bytes, offset).unwrap();
    // Closing it would drop the locks of SQLite in this process.
    std::mem::forget(file);
    Connection::open(database).unwrap().execute("UPDATE clock SET set_back_ms = set_back_ms", []).unwrap();
}

fn checkpoint(database: &Path) {
    let connection = Connection::open(database).unwrap();
    assert!(wait_until(PATIENCE, || {
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        busy == 0
    }));
}

#[test]
fn a_damaged_page_under_a_waiting_event_is_one_failed_delivery() {
    for ordered in [false, true] {
        let hub = Hub::start();
        let receiver = Receiver::start();
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"ordered": ordered, "active": false}));
        for number in 0..5 {
            let text = format!("marker-{number}-").repeat(1_500);
            hub.publish_one("order.paid", json!({"text": text}));
        }
        checkpoint(&hub.database());
        // Overflow pages begin with the number of the next one.
        let page = page_with(&hub.database(), b"marker-2-marker-2-", 0);
        overwrite(&hub.database(), page, &[0xff; 64]);
        resume(&hub, &webhook);
        assert!(wait_until(PATIENCE, || receiver.hits() == 4), "{:?}", outcomes(&hub.database()));
        let is_failed = || outcomes(&hub.database())[2] == ("failed".to_owned(), Some("event_damaged".to_owned()));
        assert!(wait_until(PATIENCE, is_failed), "{:?}", outcomes(&hub.database()));
        hub.get("/v1/events").expect(200);
        for (marker, count) in [("marker-1-", 1), ("MARKER-", 4)] {
            let found = hub.get(&format!("/v1/events?q={marker}")).expect(200).json();
            assert!(found["data"].as_array().unwrap().len() >= count, "{marker}");
        }
    }
}

#[test]
fn a_damaged_page_of_waiting_deliveries_stops_only_those() {
    for ordered in [false] {
        let hub = Hub::start();
        let receiver = Receiver::start();
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"ordered": ordered, "active": false}));
        let ids: Vec<String> =
            (0..200).map(|number| hub.publish_one("order.paid", json!({"number": number}))).collect();
        checkpoint(&hub.database());
        let id: hookpost::domain::id::DeliveryId = ids[100].parse().unwrap();
        // A leaf of the table, not of the index of ids.
        let page = page_with(&hub.database(), &id.to_bytes(), 0x0d);
        overwrite(&hub.database(), page, &[0xff; 128]);
        resume(&hub, &webhook);
        // A page holds fewer than 70 rows.
        assert!(wait_until(PATIENCE, || receiver.hits() >= 130), "{} of 200", receiver.hits());
        // Another webhook goes on, and this one too.
        let other = Receiver::start();
        hub.add_webhook_with(other.url(), &json!({"events": ["other.*"]}));
        hub.publish("other.thing", json!({}));
        other.wait_for(1);
        let before = receiver.hits();
        hub.publish("order.paid", json!({}));
        assert!(wait_until(PATIENCE, || receiver.hits() > before));
        for path in ["/v1/deliveries", "/v1/deliveries?status=pending", "/v1/events"] {
            hub.get(path).expect(200);
        }
        let found = hub.get("/v1/deliveries?q=%22number%22:199&limit=1").expect(200).json();
        assert_eq!(found["data"][0]["id"], ids[199]);
        let found = hub.get("/v1/deliveries?q=%22number%22:1%7D").expect(200).json();
        assert_eq!(found["data"][0]["id"], ids[1], "{found}");
    }
}
