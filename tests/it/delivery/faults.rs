//! Faulty receivers: each fault has a code and a message, ends in time, and does not affect other receivers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::retry;
use crate::support::Hub;
use crate::support::receiver::tls::test_ca_pem;
use crate::support::receiver::{Behaviour, Pace, Receiver, TlsKind};

/// Time limit of the whole: one second per attempt (all run at once), and half a second for its end.
const LIMIT: Duration = Duration::from_millis(1500);

fn trusting_hub() -> Hub {
    Hub::with(|options| options.extra_certificates = vec![test_ca_pem().as_bytes().to_vec()])
}

/// Delivers one event to every receiver at once, and to a healthy one. Returns the deliveries in order, as the API
/// shows them.
fn deliver_to_all(hub: &Hub, urls: &[String], data: &Value) -> Vec<Value> {
    let good = Receiver::start();
    hub.add_webhook_with(good.url(), &json!({"events": ["order.paid"]}));
    let webhooks: Vec<String> = urls
        .iter()
        .map(|url| hub.add_webhook_with(url, &json!({"timeout_s": 1, "retry": {"delays_s": [60]}})))
        .collect();
    let receipt = hub.publish("order.paid", data.clone());
    good.wait_for(1);
    let began = Instant::now();
    hub.deliver_until_idle();
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    let deliveries = receipt["deliveries"].as_array().unwrap();
    webhooks
        .iter()
        .map(|webhook| {
            let found = deliveries.iter().find(|one| one["webhook_id"] == webhook.as_str());
            hub.delivery(found.unwrap()["id"].as_str().unwrap())
        })
        .collect()
}

#[track_caller]
fn assert_failed(name: &str, delivery: &Value, code: &str) {
    assert_eq!(delivery["status"], "retrying", "{name}: {delivery}");
    assert_eq!(delivery["last_attempt"]["error_code"], code, "{name}: {delivery}");
    let attempt = &delivery["attempts"][0];
    assert_eq!(attempt["error"]["code"], code, "{name}");
    let sentence = attempt["error"]["message"].as_str().unwrap();
    assert!(sentence.ends_with('.') && sentence.contains(' '), "{name}: {sentence}");
    let duration = attempt["duration_ms"].as_u64().unwrap();
    assert!(u128::from(duration) < LIMIT.as_millis(), "{name}: {duration} ms");
}

#[test]
fn every_fault_of_a_receiver_has_its_code_and_ends_in_time() {
    let hub = Hub::start();
    let drip =
        Pace::every(Duration::from_millis(20)).slowing_after(Duration::from_millis(900), Duration::from_millis(800));
    let raw = |text: &str| Behaviour::Raw(text.as_bytes().to_vec());
    let two_lengths = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\nhello";
    let cases = [
        ("closes without a word", "connection_reset", Behaviour::CloseWithoutWord),
        ("resets before the head", "connection_reset", Behaviour::ResetBeforeHead),
        ("resets in the head", "connection_reset", Behaviour::ResetInHead),
        ("resets in the body", "connection_reset", Behaviour::ResetInBody),
        ("is silent", "timeout", Behaviour::Silence),
        ("drips a head", "timeout", Behaviour::DripHead(drip)),
        ("drips a body", "timeout", Behaviour::DripBody(drip)),
        ("sends an endless header", "protocol_error", Behaviour::EndlessHeader),
        ("floods with interim answers", "protocol_error", Behaviour::Flood1xx),
        ("is an SSH server", "protocol_error", raw("SSH-2.0-OpenSSH_9.6\r\n")),
        ("speaks HTTP/0.9", "protocol_error", raw("<html>hello</html>")),
        ("gives two lengths", "protocol_error", raw(two_lengths)),
        (
            "switches protocols",
            "protocol_error",
            raw("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        ),
        ("answers 999", "status", raw("HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n")),
        ("answers early and refuses", "status", Behaviour::EarlyAnswer(413)),
    ];
    let receivers: Vec<Receiver> =
        cases.iter().map(|(_, _, behaviour)| Receiver::behaving(behaviour.clone())).collect();
    let mut urls: Vec<String> = receivers.iter().map(Receiver::url).collect();
    urls.push(Receiver::refused_url());
    let deliveries = deliver_to_all(&hub, &urls, &json!({"a": 1}));
    for ((name, code, _), delivery) in cases.iter().zip(&deliveries) {
        assert_failed(name, delivery, code);
    }
    assert_failed("refuses", deliveries.last().unwrap(), "connect_refused");
}

#[test]
fn endless_answers_of_200_are_deliveries() {
    let hub = Hub::start();
    let receivers = [Behaviour::EndlessBody, Behaviour::EndlessChunks].map(Receiver::behaving);
    let old = "HTTP/1.0 200 OK\r\n\r\nhello";
    let old = Receiver::behaving(Behaviour::Raw(old.as_bytes().to_vec()));
    let urls = [receivers[0].url(), receivers[1].url(), old.url()];
    let deliveries = deliver_to_all(&hub, &urls, &json!({}));
    for delivery in &deliveries {
        assert_eq!(delivery["status"], "delivered", "{delivery}");
    }
    for delivery in &deliveries[..2] {
        let response = &delivery["attempts"][0]["response"];
        assert_eq!(response["body"].as_str().unwrap().len(), 16 * 1024);
        assert_eq!(response["body_truncated"], true);
    }
}

#[test]
fn a_receiver_that_never_reads_a_large_event_ends_in_time() {
    let hub = Hub::with(|options| options.max_body = 8 << 20);
    let receiver = Receiver::behaving(Behaviour::NeverReads);
    // More than the socket buffers of both sides.
    let data = json!({"text": "a".repeat(7 << 20)});
    let deliveries = deliver_to_all(&hub, &[receiver.url()], &data);
    assert_failed("never reads", &deliveries[0], "timeout");
    let small = deliver_to_all(&hub, &[receiver.url()], &json!({"text": "a".repeat(1 << 20)}));
    assert_failed("never reads", &small[0], "timeout");
}

#[test]
fn every_fault_of_tls_has_its_code_and_ends_in_time() {
    let hub = trusting_hub();
    let drip =
        Pace::every(Duration::from_millis(20)).slowing_after(Duration::from_millis(900), Duration::from_millis(800));
    let cases = [
        ("expired", "tls_expired", TlsKind::Expired),
        ("not yet valid", "tls_expired", TlsKind::NotYetValid),
        ("self-signed", "tls_untrusted", TlsKind::SelfSigned),
        ("another host's", "tls_wrong_host", TlsKind::WrongHost),
        ("plain HTTP", "tls_failed", TlsKind::PlainHttp),
        ("a handshake that drips", "timeout", TlsKind::HandshakeDrip(drip)),
    ];
    let receivers: Vec<Receiver> = cases.iter().map(|(_, _, kind)| Receiver::tls(*kind)).collect();
    let urls: Vec<String> = receivers.iter().map(Receiver::url).collect();
    let deliveries = deliver_to_all(&hub, &urls, &json!({}));
    for (((name, code, _), delivery), receiver) in cases.iter().zip(&deliveries).zip(&receivers) {
        assert_failed(name, delivery, code);
        assert_eq!(receiver.hits(), 0, "{name}: nothing is sent");
    }
}

#[test]
fn a_good_certificate_is_accepted_and_a_private_authority_is_not_unless_trusted() {
    let receiver = Receiver::tls(TlsKind::Good);
    let hub = trusting_hub();
    let deliveries = deliver_to_all(&hub, &[receiver.url()], &json!({}));
    assert_eq!(deliveries[0]["status"], "delivered", "{}", deliveries[0]);
    assert!(deliveries[0]["attempts"][0]["timings"]["tls_ms"].is_number());
    let hub = Hub::start();
    let deliveries = deliver_to_all(&hub, &[receiver.url()], &json!({}));
    assert_failed("private authority", &deliveries[0], "tls_untrusted");
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn a_kept_connection_that_breaks_is_tried_once_more_within_the_same_attempt() {
    let hub = Hub::start();
    let receiver = Receiver::behaving(Behaviour::CloseOnReuse);
    hub.add_webhook_with(receiver.url(), &retry(&[]));
    let first = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let second = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    for (delivery, connections) in [(first, 1), (second, 2)] {
        let shown = hub.delivery(&delivery);
        assert_eq!(shown["status"], "delivered");
        assert_eq!(shown["attempt_count"], 1);
        assert_eq!(shown["attempts"][0]["connections"], connections);
    }
    assert_eq!(receiver.connections(), 2);
}

#[test]
fn a_target_that_is_no_longer_allowed_is_blocked_at_the_connection() {
    let mut hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    super::pause(&hub, &webhook);
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.restart_with(|options| options.allow_targets.clear());
    super::resume(&hub, &webhook);
    hub.deliver_until_idle();
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["status"], "retrying");
    assert_eq!(shown["last_attempt"]["error_code"], "target_blocked");
    let sentence = shown["attempts"][0]["error"]["message"].as_str().unwrap();
    assert!(sentence.contains("--allow-target"), "{sentence}");
    assert_eq!(receiver.connections(), 0);
}
