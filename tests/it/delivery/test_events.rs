//! Test events: a real request, one attempt, no effect on the webhook.

use hookpost::domain::time::DAY;
use serde_json::{Value, json};

use super::{act, pass, pause, publish_number, retry};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

fn send_test(hub: &Hub, webhook: &str, fields: Value) -> Value {
    let path = format!("/v1/webhooks/{webhook}/test");
    hub.post(&path, &fields).expect(200).json()
}

#[test]
fn a_test_event_is_marked_and_its_answer_shown_at_once() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let fields = json!({"event_type": "order.paid", "data": {"a": 1}});
    let delivery = send_test(&hub, &webhook, fields);
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["test"], true);
    assert_eq!(delivery["attempts"][0]["trigger"], "test");
    assert_eq!(delivery["attempts"][0]["response"]["code"], 200);
    let event_id = delivery["event_id"].as_str().unwrap();
    let event = hub.get(&format!("/v1/events/{event_id}")).expect(200);
    assert_eq!(event.json()["test"], true);
    let request = receiver.last();
    let expected = format!(
        r#"{{"id":"{event_id}","type":"order.paid","created_at":"2026-01-15T10:00:00Z","data":{{"a":1}},"previous_data":null}}"#
    );
    assert_eq!(request.text(), expected);
    assert_eq!(request.header("webhook-id"), Some(event_id));
    assert!(request.header("X-Webhook-Signature").is_some());
    let log = delivery["attempts"][0]["request"]["body"].as_str();
    assert_eq!(log, Some(request.text()));
}

#[test]
fn a_test_event_skips_the_subscription() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"events": ["user.*"]}));
    let delivery = send_test(&hub, &webhook, json!({"event_type": "order.paid"}));
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["event_type"], "order.paid");
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn a_test_event_goes_to_paused_and_disabled_webhooks_and_leaves_them_so() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    pause(&hub, &webhook);
    assert_eq!(send_test(&hub, &webhook, json!({}))["status"], "delivered");
    assert_eq!(hub.state_of(&webhook), "paused");

    super::resume(&hub, &webhook);
    receiver.behave(Behaviour::Answer(Reply::status(410)));
    publish_number(&hub, 0);
    hub.deliver_until_idle();
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    let delivery = send_test(&hub, &webhook, json!({}));
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["waiting_for"], json!(null));
    assert_eq!(hub.state_of(&webhook), "disabled");
}

#[test]
fn a_test_event_is_attempted_once_and_disables_nothing() {
    let hub = Hub::start();
    for code in [410, 500] {
        let receiver = Receiver::answering(code);
        let webhook = hub.add_webhook_with(receiver.url(), &retry(&[]));
        let delivery = send_test(&hub, &webhook, json!({}));
        assert_eq!(delivery["status"], "failed", "{code}");
        assert_eq!(delivery["last_attempt"]["code"], code);
        pass(&hub, DAY);
        assert_eq!(receiver.hits(), 1, "{code}");
        assert_eq!(hub.state_of(&webhook), "active", "{code}");
        let id = delivery["id"].as_str().unwrap();
        assert_eq!(act(&hub, id, "retry").status, 409);
    }
    let dead = hub.get("/v1/dead-letters").expect(200).json();
    assert_eq!(dead["data"], json!([]));
}

#[test]
fn a_tests_success_does_not_keep_a_failing_webhook_alive() {
    let hub = Hub::start();
    let receiver =
        Receiver::behaving(Behaviour::Script(vec![Reply::status(500), Reply::status(200), Reply::status(500)]));
    let webhook = hub.add_webhook_with(receiver.url(), &retry(&[60]));
    publish_number(&hub, 0);
    hub.deliver_until_idle();
    assert_eq!(send_test(&hub, &webhook, json!({}))["status"], "delivered");
    pass(&hub, 120_000);
    assert_eq!(receiver.hits(), 3);
    assert_eq!(hub.state_of(&webhook), "disabled");
}

#[test]
fn a_test_event_skips_lanes_rate_limits_and_breaker() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let fields = json!({"ordered": true, "rate_limit_per_s": 1, "max_in_flight": 1,
        "retry": {"delays_s": [600]}});
    let webhook = hub.add_webhook_with(receiver.url(), &fields);
    receiver.behave(Behaviour::Answer(Reply::status(500)));
    publish_number(&hub, 0);
    publish_number(&hub, 1);
    hub.deliver_until_idle();
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    // The head is waiting to be retried, and the rate limit of this second is used up.
    for hits in 2..5 {
        assert_eq!(send_test(&hub, &webhook, json!({}))["status"], "delivered");
        assert_eq!(receiver.hits(), hits);
    }
}
