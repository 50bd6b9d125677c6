//! Searches by text: `q` of the lists, and `/v1/search`.

use std::time::Duration;

use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error_in, ids};
use crate::support::Hub;
use crate::support::receiver::Receiver;

/// A hub with orders of two tenants: 1001 fails for `acme`.
fn orders() -> (Hub, Vec<Receiver>) {
    let hub = Hub::start();
    let receivers = vec![Receiver::answering(500), Receiver::start()];
    for (receiver, tenant) in receivers.iter().zip(["acme", "globex"]) {
        let retry = json!({"delays_s": [], "exhausted": "dead_letter"});
        hub.add_webhook_with(receiver.url(), &json!({"tenant": tenant, "retry": retry, "description": "Shop orders"}));
    }
    for order in 1_000..1_004 {
        for tenant in ["acme", "globex"] {
            let data = json!({"order": format!("ORD-{order}"), "note": "café / \"good\""});
            let event =
                json!({"type": "order.paid", "tenant": tenant, "data": data, "id": format!("{tenant}-{order}")});
            hub.post("/v1/events", &event).expect(202);
        }
    }
    hub.deliver_until_idle();
    (hub, receivers)
}

/// Reads a list to its end, and counts its pages.
fn all(hub: &Hub, key: &str, path: &str) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let answer = hub.call_with(key, "GET", &format!("{path}{cursor}"), None).expect(200);
        found.extend(ids(&answer));
        pages += 1;
        let page = answer.json();
        assert_eq!(page["next_cursor"].is_null(), page["searched_back_to"].is_null(), "{page}");
        match &page["next_cursor"] {
            Value::Null => return (found, pages),
            next => cursor = format!("&cursor={}", next.as_str().unwrap()),
        }
    }
}

#[test]
fn events_are_found_by_their_data_their_previous_data_and_their_id() {
    let (hub, _receivers) = orders();
    let data = json!({"type": "order.moved", "data": {}, "previous_data": {"order": "ord-1001"}, "tenant": "acme", "id": "moved"});
    hub.post("/v1/events", &data).expect(202);
    for (q, wanted) in [
        ("ord-1001", vec!["moved", "globex-1001", "acme-1001"]),
        ("ORD-1001&tenant=acme", vec!["moved", "acme-1001"]),
        ("ord-1001&type=order.paid", vec!["globex-1001", "acme-1001"]),
        ("acme-100", vec!["acme-1003", "acme-1002", "acme-1001", "acme-1000"]),
        ("CAF%C3%89+/&tenant=globex", vec!["globex-1003", "globex-1002", "globex-1001", "globex-1000"]),
        ("%22order%22:+%22ORD-1002%22", vec!["globex-1002", "acme-1002"]),
        ("ord-1009", vec![]),
    ] {
        assert_eq!(all(&hub, &hub.key, &format!("/v1/events?q={q}")).0, wanted, "{q}");
    }
    for bad in ["", "+", &"x".repeat(201)] {
        for list in ["events", "deliveries", "dead-letters", "search"] {
            error_in(&hub.get(&format!("/v1/{list}?q={bad}")), 422, "invalid_search", "q");
        }
    }
}

#[test]
fn deliveries_are_found_by_the_data_of_their_event_and_by_parts_of_ids() {
    let (hub, _receivers) = orders();
    let (found, _) = all(&hub, &hub.key, "/v1/deliveries?q=ord-1001");
    assert_eq!(found.len(), 2);
    let events: Vec<Value> = found.iter().map(|id| hub.delivery(id)["event_id"].clone()).collect();
    assert_eq!(events, ["globex-1001", "acme-1001"]);
    for query in ["deliveries?status=failed&q=ord-1001", "dead-letters?q=ord-1001", "deliveries?tenant=acme&q=ORD-1001"]
    {
        assert_eq!(all(&hub, &hub.key, &format!("/v1/{query}")).0, [found[1].clone()], "{query}");
    }
    let part = &found[1][18..];
    assert_eq!(all(&hub, &hub.key, &format!("/v1/deliveries?q={part}")).0, [found[1].clone()]);
    error_in(&hub.get("/v1/dead-letters/export?q=ord"), 422, "unknown_parameter", "q");
    for call in ["retry", "discard"] {
        let refused = hub.post(&format!("/v1/deliveries/{call}"), &json!({"q": "ord-1001"}));
        error_in(&refused, 422, "unknown_field", "q");
    }
}

#[test]
fn a_search_that_runs_out_of_time_says_how_far_it_came_and_goes_on() {
    let (mut hub, _receivers) = orders();
    for number in 0..700 {
        hub.publish("noise.made", json!({"number": number}));
    }
    hub.deliver_until_idle();
    let (whole, pages) = all(&hub, &hub.key, "/v1/events?q=ord-1001");
    assert_eq!((whole.len(), pages), (2, 1), "time does not pass on the clock of this server");
    // Each request ends after its first step.
    hub.restart_with(|options| options.search_time = Duration::ZERO);
    for list in ["events", "deliveries"] {
        let path = format!("/v1/{list}?q=ord-1001");
        let (found, pages) = all(&hub, &hub.key, &path);
        assert_eq!(found.len(), 2);
        if list == "events" {
            assert!(pages > 1, "{pages}");
            let first = hub.get(&path).json();
            assert_eq!(first["data"], json!([]));
            assert_eq!(first["searched_back_to"], "2026-01-15T10:00:00.000Z");
        }
    }
    let first = hub.get("/v1/search?q=ord-1001").expect(200).json();
    assert_eq!(first["events"], json!([]));
    let next = format!("/v1/search?q=ord-1001&cursor={}", first["next_cursor"].as_str().unwrap());
    let next = hub.get(&next).expect(200).json();
    assert_eq!(next["events"].as_array().unwrap().len(), 2, "{next}");
    assert!(next["next_cursor"].is_null() && next.get("searched_back_to").is_none());
}

#[test]
fn one_search_finds_things_of_every_kind() {
    let (hub, _receivers) = orders();
    let names = |found: &Value, kind: &str, field: &str| {
        let rows = found[kind].as_array().unwrap().iter();
        rows.map(|row| row[field].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let found = hub.get("/v1/search?q=ORD").expect(200).json();
    assert_eq!(found["event_types"], json!(["order.paid"]));
    assert_eq!(names(&found, "webhooks", "tenant"), ["globex", "acme"]);
    assert!(found["webhooks"][0].get("secret").is_none());
    assert_eq!(names(&found, "events", "id").len(), 8);
    assert!(names(&found, "events", "excerpt")[0].contains("ORD-1003"));
    let found = hub.get("/v1/search?q=acm").expect(200).json();
    assert_eq!(found["tenants"], json!(["acme"]));
    // Beginnings of ids.
    let delivery = ids(&hub.get("/v1/deliveries?event_id=acme-1002")).remove(0);
    let found = hub.get(&format!("/v1/search?q={}", &delivery[..25])).expect(200).json();
    assert!(names(&found, "deliveries", "id").contains(&delivery), "{found}");
    let webhook = ids(&hub.get("/v1/webhooks?tenant=acme")).remove(0);
    let found = hub.get(&format!("/v1/search?q={}", &webhook[18..])).expect(200).json();
    assert_eq!(names(&found, "webhooks", "id"), [webhook]);
    let few = hub.get("/v1/search?q=ord-&limit=3").expect(200).json();
    assert_eq!(names(&few, "events", "id").len(), 3);
    assert!(few["next_cursor"].is_string());
}

#[test]
fn an_old_event_is_found_by_the_beginning_of_its_id_at_once() {
    let (mut hub, _receivers) = orders();
    for number in 0..700 {
        hub.publish("noise.made", json!({"number": number}));
    }
    hub.deliver_until_idle();
    hub.restart_with(|options| options.search_time = Duration::ZERO);
    let found = hub.get("/v1/search?q=acme-1001").expect(200).json();
    assert_eq!(found["events"][0]["id"], "acme-1001");
    assert!(found["next_cursor"].is_string());
}

#[test]
fn the_key_of_a_tenant_finds_nothing_of_another() {
    let (hub, _receivers) = orders();
    let key = hub.make_key(Scope::Read, Some("acme"), None);
    for list in ["events", "deliveries"] {
        let (own, _) = all(&hub, &key, &format!("/v1/{list}?q=ord-1001"));
        assert_eq!(own.len(), 1, "{list}");
        assert_eq!(all(&hub, &key, &format!("/v1/{list}?q=globex")).0, [""; 0], "{list}");
    }
    let foreign = ids(&hub.get("/v1/deliveries?tenant=globex")).remove(0);
    let webhook = ids(&hub.get("/v1/webhooks?tenant=globex")).remove(0);
    for q in ["globex", "globex-1001", &foreign, &foreign[..20], &webhook, "order"] {
        let found = hub.call_with(&key, "GET", &format!("/v1/search?q={q}"), None).expect(200);
        assert!(!found.text.contains("globex"), "{q}: {}", found.text);
    }
}
