//! Incidents for certificates that are about to end: those of endpoints, and webhooks' own.

use hookpost::clock::Clock;
use hookpost::domain::time::{DAY, HOUR, MINUTE, Millis, parse_rfc3339};
use serde_json::{Value, json};

use super::pass;
use super::telling::{add_contact, tell_for};
use crate::support::Hub;
use crate::support::receiver::tls::{client_certificate, test_ca_pem};
use crate::support::receiver::{Behaviour, Receiver, Reply, TlsKind};
use crate::support::smtp::MailServer;

/// Year at whose beginning the certificate of the receiver ends. It must be valid by the clock of the machine.
const END: i32 = 2090;
const DAYS_30: &str = "2089-12-02T00:00:00Z";
const DAYS_7: &str = "2089-12-25T00:00:00Z";

fn time(text: &str) -> Millis {
    parse_rfc3339(text).unwrap()
}

/// A server that sends e-mails, with its clock in the November before the end.
fn november() -> (Hub, MailServer) {
    let server = MailServer::start();
    let options = server.options("", "?tls=none");
    let hub = Hub::with(|hub| {
        hub.mail = Some(options);
        hub.clock = Clock::manual(time("2089-11-15T10:00:00Z"));
    });
    add_contact(&hub, "ops@example.org", |_| {});
    (hub, server)
}

fn pass_to(hub: &Hub, text: &str) {
    pass(hub, time(text) - hub.clock.now_ms());
    hub.tend_until_idle();
}

fn trusting() -> Value {
    json!({"tls": {"ca": test_ca_pem()}, "retry": {"delays_s": [], "exhausted": "dead_letter"}})
}

/// Publishes an event, which is delivered on a new connection, without an earlier session.
fn publish(hub: &Hub, receiver: &Receiver) {
    receiver.disconnect(TlsKind::Until(END));
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    hub.tend_until_idle();
}

fn incidents(hub: &Hub) -> Vec<Value> {
    hub.get("/v1/incidents").expect(200).json()["data"].as_array().unwrap().clone()
}

#[track_caller]
fn incident(hub: &Hub) -> Value {
    let all = incidents(hub);
    assert_eq!(all.len(), 1, "{all:#?}");
    hub.get(&format!("/v1/incidents/{}", all[0]["id"].as_str().unwrap())).expect(200).json()
}

fn kinds(incident: &Value) -> Vec<&str> {
    let timeline = incident["timeline"].as_array().unwrap();
    timeline.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

#[test]
fn a_certificate_of_an_endpoint_that_ends_in_a_week_is_one_incident_of_its_webhooks_until_it_is_renewed() {
    let (mut hub, server) = november();
    let receiver = Receiver::tls(TlsKind::Until(END));
    let webhooks: Vec<String> = (0..3).map(|_| hub.add_webhook_with(receiver.url(), &trusting())).collect();
    publish(&hub, &receiver);
    pass_to(&hub, DAYS_30);
    publish(&hub, &receiver);
    pass_to(&hub, "2089-12-24T23:59:59Z");
    assert_eq!((incidents(&hub).len(), tell_for(&hub, 0)), (0, 0), "programs renew certificates 30 days before");
    // No request shows the certificate again: it is the one of the last connection.
    pass_to(&hub, DAYS_7);
    let opened = incident(&hub);
    assert_eq!((opened["status"].as_str(), opened["reason"].as_str()), (Some("open"), Some("certificate_ending")));
    assert_eq!((&opened["webhook_count"], &opened["failed_attempts"]), (&json!(3), &json!(0)));
    let cause = opened["cause"]["message"].as_str().unwrap();
    let expected = format!("The certificate of localhost:{} expires on 1 Jan 2090 00:00 UTC.", receiver.port());
    assert!(cause.starts_with(&expected), "{cause}");
    assert_eq!(kinds(&opened), ["opened", "certificate_ending"]);
    for webhook in &webhooks {
        let shown = hub.webhook(webhook);
        assert_eq!((&shown["health"], &shown["incident"]["id"]), (&json!("healthy"), &opened["id"]), "{shown}");
    }
    assert_eq!(tell_for(&hub, 20 * MINUTE), 1, "one message, although certificates have a topic of their own");
    let mail = server.wait_for(1).remove(0);
    assert_eq!(mail.subject(), format!("A certificate for localhost:{} expires soon", receiver.port()));
    assert!(mail.text.contains("1 Jan 2090") && mail.text.contains("renew the certificate"), "{}", mail.text);
    hub.restart();
    publish(&hub, &receiver);
    pass(&hub, DAY);
    assert_eq!(tell_for(&hub, 10 * MINUTE), 1, "reminded");
    assert!(server.wait_for(2)[1].subject().ends_with("expires soon"));
    receiver.disconnect(TlsKind::Until(END + 5));
    let tested = hub.post(&format!("/v1/webhooks/{}/test", webhooks[1]), &json!({})).expect(200).json();
    assert_eq!(tested["status"], "delivered", "{tested}");
    hub.tend_until_idle();
    let renewed = incident(&hub);
    assert_eq!((renewed["status"].as_str(), &renewed["failing_webhook_count"]), (Some("open"), &json!(0)));
    assert_eq!(kinds(&renewed)[2..], ["test_delivered", "certificate_renewed"]);
    assert_eq!(tell_for(&hub, 20 * MINUTE), 1);
    let subject = server.wait_for(3)[2].subject().to_owned();
    assert_eq!(subject, format!("The certificate for localhost:{} no longer expires soon", receiver.port()));
    assert_eq!(incident(&hub)["status"], "closed");
    pass_to(&hub, "2090-02-01T00:00:00Z");
    assert_eq!((incidents(&hub).len(), tell_for(&hub, 10 * MINUTE)), (1, 0));
}

#[test]
fn an_endpoint_that_begins_to_fail_while_its_certificate_ends_is_told_even_if_the_incident_was_muted() {
    let (hub, server) = november();
    let receiver = Receiver::tls(TlsKind::Until(END));
    let webhook = hub.add_webhook_with(receiver.url(), &trusting());
    hub.add_webhook_with(receiver.url(), &json!({"tls": {"ca": test_ca_pem()}, "events": ["other.*"]}));
    pass_to(&hub, DAYS_7);
    publish(&hub, &receiver);
    let id = incident(&hub)["id"].as_str().unwrap().to_owned();
    assert_eq!(tell_for(&hub, 10 * MINUTE), 1);
    hub.post(&format!("/v1/incidents/{id}/mute"), &json!({})).expect(200);
    receiver.behave(Behaviour::Answer(Reply::status(503)));
    publish(&hub, &receiver);
    let shown = incident(&hub);
    assert_eq!((&shown["id"], &shown["muted"], &shown["failed_attempts"]), (&json!(id), &json!(false), &json!(1)));
    assert!(shown["cause"]["message"].as_str().unwrap().contains("503"), "{shown}");
    assert_eq!(hub.webhook(&webhook)["health"], "failing");
    assert_eq!(tell_for(&hub, 10 * MINUTE), 1);
    let mail = server.wait_for(2).remove(1);
    assert_eq!(mail.subject(), format!("localhost:{} is failing", receiver.port()));
    // Deliveries succeed again, and the certificate still ends soon.
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    publish(&hub, &receiver);
    assert_eq!(hub.webhook(&webhook)["health"], "healthy");
    tell_for(&hub, 20 * MINUTE);
    let shown = incident(&hub);
    assert_eq!((&shown["id"], &shown["status"]), (&json!(id), &json!("open")));
    assert!(shown["cause"]["message"].as_str().unwrap().contains("expires on"), "{shown}");
    // Nothing was sent until the certificate had ended, so nothing is known of it.
    pass_to(&hub, "2090-01-02T00:00:00Z");
    pass(&hub, HOUR + MINUTE);
    hub.tend_until_idle();
    assert_eq!(incident(&hub)["status"], "closed");
}

#[test]
fn a_webhooks_own_certificate_is_an_incident_until_it_is_replaced_and_a_paused_webhook_has_none() {
    let (hub, server) = november();
    let (certificate, key) = client_certificate("Hookpost", 2025, END);
    let tls = json!({"tls": {"client_certificate": certificate, "client_key": key}});
    let webhook = hub.add_webhook_with("https://localhost:9/", &tls);
    let paused = hub.add_webhook_with("https://localhost:8/", &tls);
    hub.patch(&format!("/v1/webhooks/{paused}"), &json!({"active": false})).expect(200);
    pass_to(&hub, DAYS_30);
    assert_eq!(tell_for(&hub, 2 * MINUTE), 1, "the certificates are told of");
    assert_eq!(server.wait_for(1)[0].subject(), "Certificates for 2 endpoints need attention");
    pass_to(&hub, DAYS_7);
    let shown = incident(&hub);
    assert_eq!((&shown["host"], &shown["reason"]), (&json!("localhost:9"), &json!("certificate_ending")));
    let cause = shown["cause"]["message"].as_str().unwrap();
    assert!(
        cause.starts_with("A certificate in the webhook's settings for localhost:9 expires on 1 Jan 2090"),
        "{cause}"
    );
    assert_eq!(hub.webhook(&webhook)["health"], "unused");
    let (certificate, key) = client_certificate("Hookpost", 2025, END + 5);
    let renewed = json!({"tls": {"client_certificate": certificate, "client_key": key}});
    hub.patch(&format!("/v1/webhooks/{webhook}"), &renewed).expect(200);
    hub.tend_until_idle();
    pass(&hub, 10 * MINUTE);
    hub.tend_until_idle();
    assert_eq!(incident(&hub)["status"], "closed");
}
