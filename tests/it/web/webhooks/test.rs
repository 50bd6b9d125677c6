//! `/webhooks/{id}/test`: the request and its response. A failure is never shown as a success.

use serde_json::json;

use super::assert_has;
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

#[test]
fn a_test_is_sent_and_its_request_and_answer_are_shown() {
    let hub = Hub::start();
    let reply = Reply::status(200).header("X-Served-By", "edge-3").body("<script>alert(1)</script>");
    let receiver = Receiver::behaving(Behaviour::Answer(reply));
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"active": false}));
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}/test");
    anna.page(&path);
    let data = "{\"b\":1, \"a\":\"</textarea><script>\"}";
    let fields = [("event_type", "order.paid"), ("data", data)];
    let answer = anna.submit(&path, &fields).expect(303);
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(receiver.hits(), 1);
    assert!(receiver.last().text().contains(data));
    for _ in 0..2 {
        let page = anna.page(location.split('#').next().unwrap());
        assert_has(&page, "Test delivered: 200 in");
        assert!(page.has(".verdict[data-status=delivered]"), "{page}");
        assert_has(&page, "X-Webhook-Signature");
        assert_has(&page, receiver.last().header("x-webhook-signature").unwrap());
        assert_has(&page, "edge-3");
        assert_has(&page, "<script>alert(1)</script>");
        assert_has(&page, "Total time");
        assert_eq!(page.field("event_type").as_deref(), Some("order.paid"));
        assert_eq!(page.field("data").as_deref(), Some(data));
    }
    assert_eq!(receiver.hits(), 1);
    assert_eq!(hub.state_of(&webhook), "paused");
}

#[test]
fn what_failed_is_never_shown_as_good() {
    let hub = Hub::start();
    let anna = hub.administrator();
    for (status, words) in [(202, "Test delivered: 202"), (302, "302"), (404, "404"), (410, "410"), (503, "503")] {
        let receiver = Receiver::answering(status);
        let webhook = hub.add_webhook(receiver.url());
        let path = format!("/webhooks/{webhook}/test");
        anna.page(&path);
        let page = anna.submit_and_follow(&path, &[("event_type", "a.b"), ("data", "{}")]);
        assert_has(&page, words);
        assert_eq!(page.has(".verdict[data-status=delivered]"), status == 202, "{status}");
        assert_eq!(page.has(".verdict[data-status=failed]"), status != 202, "{status}");
        assert_eq!(hub.state_of(&webhook), "active");
    }
    let webhook = hub.add_webhook(Receiver::refused_url());
    let path = format!("/webhooks/{webhook}/test");
    anna.page(&path);
    let page = anna.submit_and_follow(&path, &[("event_type", "a.b"), ("data", "")]);
    assert!(page.has(".verdict[data-status=failed]"), "{page}");
    assert_has(&page, "No response.");
}

#[test]
fn the_payload_begins_with_the_example_of_the_type() {
    let hub = Hub::start();
    for (name, example) in [("order.paid", "<b>1</b>"), ("order.sent", "2")] {
        let body = json!({"example": {"text": example}}).to_string();
        let path = format!("/v1/event-types/{name}");
        hub.call_with(&hub.key, "PUT", &path, Some(&body));
    }
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"events": ["order.paid", "order.*"]}));
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}/test");
    let page = anna.page(&path);
    assert_eq!(page.field("event_type").as_deref(), Some("order.paid"));
    assert_eq!(page.field("data").as_deref(), Some("{\"text\":\"<b>1</b>\"}"));
    assert!(page.has("datalist option[value=order.sent]"));
    let fields = [("event_type", "order.sent"), ("data", "{}"), ("example", "yes")];
    let page = anna.submit(&path, &fields).expect(200).page();
    assert_eq!(page.field("data").as_deref(), Some("{\"text\":\"2\"}"));
    assert_eq!(hub.get("/v1/deliveries").json()["data"], json!([]));
}

#[test]
fn what_is_no_json_or_no_type_is_said_at_its_field_and_kept() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}/test");
    let deep = "[".repeat(200);
    for (event_type, data, problem) in [
        ("a.b", "{\"a\": }", "data"),
        ("a.b", "{\"a\": \"\\ud800\"}", "data"),
        ("a.b", &deep, "data"),
        ("a b", "{}", "event_type"),
        ("", "{}", "event_type"),
    ] {
        anna.page(&path);
        let page = anna.submit(&path, &[("event_type", event_type), ("data", data)]).expect(422).page();
        assert!(page.problem(problem).is_some(), "{page}");
        assert_eq!(page.field("event_type").as_deref(), Some(event_type));
    }
    assert_eq!(receiver.hits(), 0);
}

#[test]
fn a_long_payload_is_sent_whole_and_shown_in_part() {
    let hub = Hub::start();
    let receiver = Receiver::behaving(Behaviour::Answer(Reply::status(200).body("é".repeat(1 << 20))));
    let webhook = hub.add_webhook(receiver.url());
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}/test");
    anna.page(&path);
    let data = format!("{{\"text\":\"{}\"}}", "😀".repeat(200_000));
    let page = anna.submit_and_follow(&path, &[("event_type", "a.b"), ("data", &data)]);
    assert!(receiver.last().text().contains(&data));
    assert_has(&page, "the first 64 KiB are shown");
    assert_has(&page, "the first 16.4 kB");
}

#[test]
fn only_tests_of_the_webhook_are_shown() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("a.b", json!({}));
    let anna = hub.administrator();
    for id in [delivery.as_str(), "dlv_none", "%00"] {
        assert_eq!(anna.get(&format!("/webhooks/{webhook}/test?delivery={id}")).status, 404);
    }
}
