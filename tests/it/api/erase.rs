//! `DELETE /v1/events/{id}`: the data of an event goes, and the event stays.

use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, ids};
use crate::support::Hub;
use crate::support::receiver::{Receiver, Reply};

const SECRET: &str = "social-security-number-078-05-1120";

/// Publishes an event whose data has the secret many times. Returns its id and that of its delivery.
fn publish(hub: &Hub, event_type: &str) -> (String, String) {
    let receipt = hub.publish(event_type, json!({"who": SECRET.repeat(500)}));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&receipt["id"]), text(&receipt["deliveries"][0]["id"]))
}

fn erase(hub: &Hub, event: &str) {
    hub.delete(&format!("/v1/events/{event}")).expect(204);
}

#[test]
fn the_data_of_an_erased_event_is_nowhere_in_the_file_and_its_row_stays() {
    let mut hub = Hub::start();
    let receiver = Receiver::with(|_| Reply::status(500).body(SECRET.repeat(100)));
    hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [0, 0], "exhausted": "dead_letter"}}));
    let (event, delivery) = publish(&hub, "a.b");
    hub.deliver_until_idle();
    hub.advance(1);
    hub.deliver_until_idle();
    assert!(hub.get(&format!("/v1/deliveries/{delivery}")).text.contains(SECRET));
    assert_eq!(ids(&hub.get(&format!("/v1/events?q={SECRET}"))), std::slice::from_ref(&event));
    erase(&hub, &event);
    let shown = hub.get(&format!("/v1/events/{event}")).expect(200).json();
    assert_eq!(
        (&shown["data"], &shown["previous_data"], &shown["damaged"]),
        (&Value::Null, &Value::Null, &json!(false))
    );
    assert_eq!(shown["erased_at"], json!("2026-01-15T10:00:00.001Z"));
    assert_eq!(ids(&hub.get("/v1/events")), std::slice::from_ref(&event));
    assert!(ids(&hub.get(&format!("/v1/events?q={SECRET}"))).is_empty());
    let attempts = hub.delivery(&delivery)["attempts"].as_array().unwrap().clone();
    assert!(!attempts.is_empty());
    for attempt in attempts {
        assert_eq!(
            (&attempt["request"]["body"], &attempt["request"]["headers"]),
            (&Value::Null, &json!({})),
            "{attempt}"
        );
        assert_eq!(
            (&attempt["response"]["code"], &attempt["response"]["body"]),
            (&json!(500), &json!("")),
            "{attempt}"
        );
    }
    // Once more, and with the server's words in the audit log.
    erase(&hub, &event);
    let audit = hub.get("/v1/audit?action=event.erased").expect(200).json();
    assert_eq!(audit["data"].as_array().unwrap().len(), 1, "{audit}");
    hub.stop();
    let bytes = std::fs::read(hub.database()).unwrap();
    assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "the data is still in the file");
}

#[test]
fn deliveries_of_an_erased_event_are_discarded_and_nothing_sends_it_again() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let paused = hub.add_webhook_with(receiver.url(), &json!({"active": false, "events": ["a.*"]}));
    let (event, delivery) = publish(&hub, "a.b");
    let (other, _) = publish(&hub, "a.c");
    erase(&hub, &event);
    assert_eq!(hub.status_of(&delivery), "discarded");
    for path in [format!("/v1/deliveries/{delivery}/retry"), format!("/v1/events/{event}/replay")] {
        error(&hub.post(&path, &json!({})), 409, "event_erased");
    }
    error(&hub.post(&format!("/v1/events/{event}/replay"), &json!({"webhook_id": paused})), 409, "event_erased");
    let replay = json!({"since": "2026-01-01T00:00:00Z"});
    let replayed = hub.post(&format!("/v1/webhooks/{paused}/replay"), &replay).expect(202).json();
    assert_eq!(replayed["count"], 1, "only {other} has data");
    hub.patch(&format!("/v1/webhooks/{paused}"), &json!({"active": true, "waiting": "resume"})).expect(200);
    hub.deliver_until_idle();
    assert!(receiver.requests().iter().all(|request| request.header("webhook-id") != Some(&event)));
    let ids = json!({"ids": [delivery]});
    assert_eq!(hub.post("/v1/deliveries/retry", &ids).expect(202).json(), json!({"count": 0, "unknown": []}));
}

#[test]
fn a_discarded_delivery_says_whether_the_erasure_of_its_event_discarded_it() {
    let hub = Hub::start();
    let paused = json!({"active": false});
    let url = "http://127.0.0.1:9/";
    // More webhooks than one step discards deliveries.
    let webhooks: Vec<String> = (0..120).map(|_| hub.add_webhook_with(url, &paused)).collect();
    let receipt = hub.publish("a.b", json!({"who": SECRET}));
    let event = receipt["id"].as_str().unwrap();
    let deliveries: Vec<&str> =
        receipt["deliveries"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(deliveries.len(), 120);
    let reason = |id: &str| hub.delivery(id)["discard_reason"].clone();
    assert_eq!(reason(deliveries[0]), Value::Null);
    hub.post(&format!("/v1/deliveries/{}/discard", deliveries[0]), &json!({})).expect(202);
    hub.delete(&format!("/v1/webhooks/{}", webhooks[1])).expect(204);
    hub.deliver_until_idle();
    hub.advance(1);
    erase(&hub, event);
    assert_eq!(reason(deliveries[0]), "requested");
    assert_eq!(reason(deliveries[1]), "webhook_deleted");
    assert!(deliveries[2..].iter().all(|id| reason(id) == "event_erased"));
    let list = hub.get(&format!("/v1/deliveries?event_id={event}&limit=1")).expect(200).json();
    assert_eq!(list["data"][0]["discard_reason"], "event_erased");
    let visitor = hub.administrator();
    let shown = |id: &str| visitor.page(&format!("/deliveries/{id}"));
    assert!(shown(deliveries[2]).contains("because the data of its event was erased"));
    let by_person = shown(deliveries[0]);
    assert!(!by_person.contains("because") && by_person.contains("The data of its event was erased later."));
    assert!(!by_person.contains("Replay the event"));
}

#[test]
fn an_attempt_that_was_under_way_leaves_nothing_of_an_erased_event() {
    let hub = Hub::start();
    let receiver = Receiver::with(|_| Reply::status(200).body(SECRET));
    receiver.hold();
    hub.add_webhook(receiver.url());
    let (event, delivery) = publish(&hub, "a.b");
    receiver.wait_held(1);
    erase(&hub, &event);
    receiver.release();
    hub.deliver_until_idle();
    let delivery = hub.delivery(&delivery);
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);
    assert!(!delivery.to_string().contains(SECRET), "{delivery}");
}

#[test]
fn only_who_may_change_the_event_erases_it() {
    let hub = Hub::start();
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    let (event, _) = publish(&hub, "a.b");
    let path = format!("/v1/events/{event}");
    for (scope, tenant, status, code) in [
        (Scope::Read, None, 403, "forbidden"),
        (Scope::Publish, None, 403, "forbidden"),
        (Scope::Admin, Some("acme"), 404, "not_found"),
    ] {
        error(&hub.call_with(&hub.make_key(scope, tenant, None), "DELETE", &path, None), status, code);
    }
    error(&hub.delete("/v1/events/nothing"), 404, "not_found");
    let own = hub.make_key(Scope::Admin, Some("default"), None);
    hub.call_with(&own, "DELETE", &path, None).expect(204);
}

#[test]
fn the_page_of_an_event_erases_it_after_a_confirmation() {
    let hub = Hub::start();
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"active": false}));
    let (event, delivery) = publish(&hub, "a.b");
    let visitor = hub.administrator();
    let path = format!("/events/{event}?tenant=default");
    let erase = format!("/events/{event}/erase?tenant=default");
    assert!(visitor.get(&path).text.contains(SECRET));
    let asked = visitor.submit(&erase, &[]).expect(200);
    assert!(asked.text.contains("Erase the data of this event?"), "{}", asked.text);
    assert!(visitor.get(&path).text.contains(SECRET));
    visitor.submit(&erase, &[("confirmed", "yes")]).expect(303);
    let page = visitor.get(&path).expect(200);
    assert!(page.text.contains("Its data was erased") && !page.text.contains(SECRET), "{}", page.text);
    assert!(!page.text.contains("Erase data"));
    assert!(visitor.get("/events").text.contains("(erased)"));
    let page = visitor.get(&format!("/deliveries/{delivery}"));
    assert!(page.text.contains("because the data of its event was erased"), "{}", page.text);
}
