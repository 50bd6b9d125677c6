//! Responses in the log of attempts.

use std::sync::atomic::{AtomicUsize, Ordering};

use hookpost::domain::time::SECOND;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::receiver::{Receiver, Reply};

#[test]
fn a_response_that_repeats_is_stored_once_and_shown_whole_everywhere() {
    let page = "a page of an error ".repeat(800);
    let other = "another page ".repeat(800);
    let responses = [(500, &page), (500, &page), (500, &page), (502, &page), (500, &other), (500, &other)]
        .map(|(code, body)| (code, body.clone()));
    let series = responses.clone();
    let asked = AtomicUsize::new(0);
    let receiver = Receiver::with(move |_| {
        let (code, body) = &series[asked.fetch_add(1, Ordering::SeqCst)];
        Reply::status(*code).body(body.clone())
    });
    let hub = Hub::start();
    let retry = json!({"delays_s": [1, 1, 1, 1, 1], "exhausted": "dead_letter"});
    hub.add_webhook_with(receiver.url(), &json!({"retry": retry}));
    let delivery = hub.publish_one("order.paid", json!({}));
    for _ in &responses {
        hub.deliver_until_idle();
        hub.advance(2 * SECOND);
    }

    let shown = hub.delivery(&delivery);
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), responses.len());
    let repeats = [Value::Null, json!(1), json!(1), Value::Null, Value::Null, json!(5)];
    for ((attempt, (code, body)), repeat) in attempts.iter().zip(&responses).zip(&repeats) {
        let response = &attempt["response"];
        assert_eq!(response["code"], *code);
        assert!(response["body"] == body.as_str(), "attempt {} has another body", attempt["number"]);
        assert_eq!(&response["same_as_attempt"], repeat, "attempt {}", attempt["number"]);
    }
    let connection = Connection::open(hub.database()).unwrap();
    let stored: usize =
        connection.query_row("SELECT sum(length(response_body)) FROM attempt", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, 2 * page.len() + other.len());

    let visitor = hub.administrator();
    let text = visitor.get(&format!("/deliveries/{delivery}")).text;
    assert!(text.contains("same response as attempt 5"), "{text}");
    let file = visitor.get(&format!("/deliveries/{delivery}/attempts/6/response"));
    assert!(file.text == other, "the file of a repeated response is not whole");
}

#[test]
fn a_response_cut_at_the_limit_is_not_that_of_a_shorter_one_with_the_same_beginning() {
    let kept = "x".repeat(16 << 10);
    let longer = format!("{kept}y");
    let bodies = [longer.clone(), kept, longer];
    let asked = AtomicUsize::new(0);
    let receiver =
        Receiver::with(move |_| Reply::status(500).body(bodies[asked.fetch_add(1, Ordering::SeqCst)].clone()));
    let hub = Hub::start();
    let retry = json!({"delays_s": [1, 1], "exhausted": "dead_letter"});
    hub.add_webhook_with(receiver.url(), &json!({"retry": retry}));
    let delivery = hub.publish_one("order.paid", json!({}));
    for _ in 0..3 {
        hub.deliver_until_idle();
        hub.advance(2 * SECOND);
    }
    let shown = hub.delivery(&delivery);
    for (attempt, truncated) in shown["attempts"].as_array().unwrap().iter().zip([true, false, true]) {
        assert_eq!(attempt["response"]["body_truncated"], truncated);
        assert_eq!(attempt["response"]["same_as_attempt"], Value::Null);
    }
}
