//! Behaviour shared by all lists: pages, limits, cursors.

use serde_json::{Value, json};

use super::{error_in, ids};
use crate::support::Hub;

const LISTS: [&str; 6] =
    ["/v1/events", "/v1/webhooks", "/api/webhooks", "/v1/deliveries", "/v1/dead-letters", "/v1/api-keys"];

#[test]
fn a_bad_limit_or_cursor_is_refused_by_name_in_every_list() {
    let hub = Hub::start();
    for list in LISTS {
        for limit in ["0", "251", "abc", "-1", "1.5", "", "99999999999999999999", "%00"] {
            let answer = hub.get(&format!("{list}?limit={limit}"));
            error_in(&answer, 422, "invalid_limit", "limit");
        }
        for cursor in ["", "abc", "AAAAAAAAAAA", "AAAAAAAAAAA%3D", "__________8", "%00", "%ff"] {
            let answer = hub.get(&format!("{list}?cursor={cursor}"));
            error_in(&answer, 422, "invalid_cursor", "cursor");
        }
        for fine in ["", "?", "?limit=1", "?limit=250", "?cursor=f_________8"] {
            hub.get(&format!("{list}{fine}")).expect(200);
        }
        let twice = hub.get(&format!("{list}?limit=1&limit=2"));
        error_in(&twice, 422, "unknown_parameter", "limit");
    }
}

#[test]
fn cursors_lead_through_every_list_newest_first_without_gap_or_repeat() {
    let hub = Hub::start();
    for _ in 0..5 {
        hub.add_webhook_with("http://127.0.0.1:9/", &json!({"events": ["a.b"], "active": false}));
    }
    hub.publish("a.b", json!({}));
    for n in 0..4 {
        hub.publish("a.c", json!(n));
    }
    for list in ["/v1/events", "/v1/webhooks", "/v1/deliveries"] {
        let whole = ids(&hub.get(list));
        assert_eq!(whole.len(), 5);
        for limit in 1..=6 {
            let mut found = Vec::new();
            let mut path = format!("{list}?limit={limit}");
            loop {
                let answer = hub.get(&path);
                let page = ids(&answer);
                assert!(page.len() <= limit, "{path}");
                found.extend(page);
                match &answer.json()["next_cursor"] {
                    Value::Null => break,
                    cursor => {
                        path = format!("{list}?limit={limit}&cursor={}", cursor.as_str().unwrap());
                    }
                }
            }
            assert_eq!(found, whole, "{list} by {limit}");
        }
    }
}

#[test]
fn a_row_that_came_meanwhile_does_not_disturb_the_next_page() {
    let hub = Hub::start();
    let event = |n: i32| hub.publish("a.b", json!(n))["id"].as_str().unwrap().to_owned();
    let (first, second) = (event(1), event(2));
    let answer = hub.get("/v1/events?limit=1");
    assert_eq!(ids(&answer), [second]);
    event(3);
    let cursor = answer.json()["next_cursor"].as_str().unwrap().to_owned();
    let next = hub.get(&format!("/v1/events?limit=1&cursor={cursor}"));
    assert_eq!(ids(&next), [first]);
    assert_eq!(next.json()["next_cursor"], Value::Null);
}
