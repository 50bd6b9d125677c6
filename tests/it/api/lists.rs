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
        for fine in ["", "?", "?limit=1", "?limit=250"] {
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

/// Follows a list to its end. Returns the ids.
fn whole(hub: &Hub, list: &str) -> Vec<String> {
    let (mut found, mut path) = (Vec::new(), list.to_owned());
    loop {
        let answer = hub.get(&path);
        found.extend(ids(&answer));
        match &answer.json()["next_cursor"] {
            Value::Null => return found,
            cursor => path = format!("{list}&cursor={}", cursor.as_str().unwrap()),
        }
    }
}

#[test]
fn lists_by_time_go_from_the_oldest_row_too() {
    let hub = Hub::start();
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    let deliveries: Vec<String> = (0..7).map(|n| hub.publish_one("a.b", json!(n))).collect();
    for delivery in &deliveries[..5] {
        hub.post(&format!("/v1/deliveries/{delivery}/discard"), &json!({})).expect(202);
    }
    for list in [
        "/v1/events?",
        "/v1/events?type=a.*&tenant=default",
        "/v1/events?since=2026-01-15T00:00:00Z",
        "/v1/deliveries?",
        &format!("/v1/deliveries?webhook_id={webhook}&status=discarded"),
        "/v1/deliveries?test=false&tenant=default",
    ] {
        for limit in [1, 2, 3, 50] {
            let down = whole(&hub, &format!("{list}&limit={limit}"));
            let mut up = whole(&hub, &format!("{list}&limit={limit}&order=asc"));
            assert!(up.len() >= 5);
            up.reverse();
            assert_eq!(up, down, "{list} by {limit}");
            assert_eq!(whole(&hub, &format!("{list}&limit={limit}&order=desc")), down);
        }
    }
    let times = |order: &str| {
        let rows = hub.get(&format!("/v1/audit?order={order}")).expect(200).json()["data"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| row["action"].as_str().unwrap().to_owned() + &row["detail"].to_string())
            .collect::<Vec<_>>()
    };
    let mut up = times("asc");
    assert!(up.len() > 5);
    up.reverse();
    assert_eq!(up, times("desc"));
}

#[test]
fn a_cursor_of_another_list_or_of_other_filters_is_refused() {
    let hub = Hub::start();
    for n in 0..3 {
        hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
        hub.publish("a.b", json!(n));
    }
    let cursor = |path: &str| {
        let answer = hub.get(path).expect(200).json();
        answer["next_cursor"].as_str().unwrap_or_else(|| panic!("{path}: {answer}")).to_owned()
    };
    let of_events = cursor("/v1/events?limit=1");
    for other in [
        "/v1/deliveries?",
        "/v1/webhooks?",
        "/v1/dead-letters?",
        "/v1/api-keys?",
        "/v1/audit?",
        "/v1/incidents?",
        "/v1/events?type=a.b&",
        "/v1/events?order=asc&",
        "/v1/events?tenant=default&",
        "/v1/search?q=order&",
    ] {
        let answer = hub.get(&format!("{other}cursor={of_events}"));
        error_in(&answer, 422, "invalid_cursor", "cursor");
        assert!(answer.text.contains("belongs to another list"), "{}", answer.text);
    }
    // Another size of the page, another order of the parameters, and the other path of the same list.
    hub.get(&format!("/v1/events?limit=2&cursor={of_events}")).expect(200);
    let filtered = cursor("/v1/events?type=a.b&tenant=default&limit=1");
    hub.get(&format!("/v1/events?tenant=default&cursor={filtered}&type=a.b")).expect(200);
    let of_webhooks = cursor("/v1/webhooks?limit=1");
    hub.get(&format!("/api/webhooks?cursor={of_webhooks}")).expect(200);
    // The cursors of a resource lead into the list that they name.
    let event = ids(&hub.get("/v1/events"))[0].clone();
    hub.get(&format!("/v1/events/{event}")).expect(200);
}
