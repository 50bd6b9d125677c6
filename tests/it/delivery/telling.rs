//! Telling contacts: how many messages an outage makes, and to whom.

use hookpost::domain::contact::{Channel, Contact, QuietHours, QuietHoursSpec, Scope, Status, Topic};
use hookpost::domain::event::Tenant;
use hookpost::domain::id::{ContactId, WebhookId};
use hookpost::domain::time::{DAY, HOUR, MINUTE, SECOND};
use hookpost::domain::webhook::Webhook;
use hookpost::store::contact;
use serde_json::{Value, json};
use strum::VariantArray as _;

use super::pass;
use crate::support::Hub;
use crate::support::hub::NOON;
use crate::support::receiver::tls::client_certificate;
use crate::support::receiver::{Behaviour, Receiver, Reply};
use crate::support::smtp::{MailServer, Takes};

/// Adds a contact with an e-mail address, which `set_up` may change.
pub(super) fn add_contact(hub: &Hub, address: &str, set_up: impl FnOnce(&mut Contact)) -> i64 {
    let now = hub.clock.now_ms();
    let mut contact = Contact {
        seq: 0,
        id: ContactId::generate(now, hookpost::random::bits()),
        tenant: None,
        name: "On call".to_owned(),
        channel: Channel::Email { address: address.parse().unwrap(), confirmed_ms: Some(now) },
        scope: Scope::default(),
        topics: Topic::defaults(None),
        quiet_hours: None,
        created_ms: now,
        updated_ms: now,
        status: Status::default(),
    };
    set_up(&mut contact);
    let stored = hub.running.app.actions.store.write(move |tx| contact::insert(tx, contact, None)).wait().unwrap();
    stored.seq
}

/// A server that sends e-mails, and its mail server.
pub(super) fn with_mail() -> (Hub, MailServer) {
    let server = MailServer::start();
    let options = server.options("", "?tls=none");
    (Hub::with(|hub| hub.mail = Some(options)), server)
}

/// Fields of a webhook whose deliveries are given up at once.
fn hasty() -> Value {
    json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}})
}

fn publish(hub: &Hub) {
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
}

/// Lets time pass in steps of half a minute, as the rounds of the server see it. Returns the number of messages made.
pub(super) fn tell_for(hub: &Hub, time: i64) -> usize {
    let mut made = 0;
    for _ in 0..time / (30 * SECOND) {
        pass(hub, 30 * SECOND);
        made += hub.tell();
    }
    made
}

#[test]
fn an_outage_of_fifty_webhooks_is_one_message_and_its_end_is_another() {
    let (hub, server) = with_mail();
    let (receivers, shared): (Vec<_>, _) =
        ((0..25).map(|_| Receiver::answering(503)).collect(), Receiver::answering(503));
    for receiver in &receivers {
        hub.add_webhook_with(receiver.url(), &hasty());
        hub.add_webhook_with(shared.url(), &hasty());
    }
    add_contact(&hub, "ops@example.org", |_| {});
    publish(&hub);
    assert_eq!(hub.tell(), 0, "they gather");
    assert_eq!(tell_for(&hub, 10 * MINUTE), 1);
    let opened = server.wait_for(1).remove(0);
    assert_eq!(opened.subject(), "26 endpoints are failing");
    assert_eq!(opened.text.matches("Cause: ").count(), 10, "{}", opened.text);
    assert!(opened.text.contains("And 16 more.") && opened.text.contains("answered 503"), "{}", opened.text);
    for receiver in receivers.iter().chain([&shared]) {
        receiver.behave(Behaviour::Answer(Reply::status(200)));
    }
    publish(&hub);
    assert_eq!(tell_for(&hub, HOUR), 1);
    let closed = server.wait_for(2).remove(1);
    assert_eq!(closed.subject(), "26 endpoints have recovered");
    assert_eq!(tell_for(&hub, HOUR), 0);
}

/// Counts the messages of six hours in which an endpoint fails for half of each period.
fn messages_of_flapping(period: i64) -> Vec<String> {
    let (hub, server) = with_mail();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &hasty());
    add_contact(&hub, "ops@example.org", |_| {});
    let mut made = 0;
    for _ in 0..6 * HOUR / period {
        for code in [500, 200] {
            receiver.behave(Behaviour::Answer(Reply::status(code)));
            publish(&hub);
            made += tell_for(&hub, period / 2);
        }
    }
    made += tell_for(&hub, 2 * HOUR);
    let mails = server.wait_for(made);
    mails.iter().map(|mail| mail.subject().rsplit_once(' ').map_or("", |_| mail.subject()).to_owned()).collect()
}

#[test]
fn six_hours_of_flapping_are_four_messages_at_most() {
    let verbs = |subjects: Vec<String>| -> Vec<String> {
        subjects.iter().map(|subject| subject.split_once(' ').unwrap().1.to_owned()).collect()
    };
    assert_eq!(verbs(messages_of_flapping(3 * MINUTE)), ["is failing", "has recovered"]);
    let slow = verbs(messages_of_flapping(25 * MINUTE));
    assert_eq!(slow, ["is failing", "has recovered", "is failing again", "has recovered"]);
}

#[test]
fn each_contact_is_told_of_its_own_webhooks_and_an_unconfirmed_address_nothing() {
    let (hub, server) = with_mail();
    let (one, other) = (Receiver::answering(500), Receiver::answering(500));
    for (tenant, receiver) in [("acme", &one), ("globex", &one), ("globex", &other)] {
        let mut fields = hasty();
        fields["tenant"] = json!(tenant);
        hub.add_webhook_with(receiver.url(), &fields);
    }
    let of = |tenant: &'static str| {
        move |contact: &mut Contact| {
            contact.tenant = Some(tenant.parse().unwrap());
            contact.scope.tenant = contact.tenant.clone();
            contact.topics = Topic::defaults(contact.tenant.as_ref());
        }
    };
    add_contact(&hub, "all@example.org", |_| {});
    add_contact(&hub, "acme@example.org", of("acme"));
    add_contact(&hub, "globex@example.org", of("globex"));
    add_contact(&hub, "initech@example.org", of("initech"));
    add_contact(&hub, "nobody@example.org", |contact| {
        contact.channel = Channel::Email { address: "nobody@example.org".parse().unwrap(), confirmed_ms: None };
    });
    for tenant in ["acme", "globex"] {
        hub.post("/v1/events", &json!({"type": "order.paid", "data": {}, "tenant": tenant})).expect(202);
    }
    hub.deliver_until_idle();
    assert_eq!(tell_for(&hub, 10 * MINUTE), 3);
    let mut mails = server.wait_for(3);
    mails.sort_by(|left, right| left.to.cmp(&right.to));
    let told: Vec<_> = mails.iter().map(|mail| (mail.to.as_str(), mail.text.matches("Cause: ").count())).collect();
    assert_eq!(told, [("acme@example.org", 1), ("all@example.org", 2), ("globex@example.org", 2)]);
    assert!(!mails[0].text.contains("globex") && mails[0].text.contains("1 webhook, 1 delivery affected"));
    assert!(mails[1].text.contains("2 webhooks"), "{}", mails[1].text);
}

#[test]
fn messages_wait_for_the_end_of_quiet_hours_and_are_one_then() {
    let (hub, server) = with_mail();
    let receivers = [Receiver::answering(500), Receiver::answering(500), Receiver::start()];
    for receiver in &receivers {
        hub.add_webhook_with(receiver.url(), &hasty());
    }
    add_contact(&hub, "ops@example.org", |contact| {
        let quiet = QuietHoursSpec { from: "09:00".into(), to: "12:00".into(), time_zone: "UTC".into() };
        contact.quiet_hours = Some(QuietHours::parse(&quiet).unwrap());
    });
    publish(&hub);
    receivers[2].behave(Behaviour::Answer(Reply::status(500)));
    pass(&hub, 30 * MINUTE);
    publish(&hub);
    receivers[0].behave(Behaviour::Answer(Reply::status(200)));
    publish(&hub);
    assert_eq!(tell_for(&hub, 89 * MINUTE), 0);
    assert_eq!(tell_for(&hub, 2 * MINUTE), 1);
    let mail = server.wait_for(1).remove(0);
    assert_eq!(mail.subject(), "2 endpoints are failing, 1 endpoint has recovered");
}

#[test]
fn a_muted_incident_is_told_no_more_and_an_open_one_daily() {
    let (hub, server) = with_mail();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &hasty());
    add_contact(&hub, "ops@example.org", |_| {});
    publish(&hub);
    assert_eq!(tell_for(&hub, MINUTE), 1);
    pass(&hub, DAY - 2 * MINUTE);
    assert_eq!(hub.tell(), 0);
    pass(&hub, 2 * MINUTE);
    assert_eq!(hub.tell(), 1);
    assert!(server.wait_for(2)[1].subject().ends_with("is still failing"));
    let id = hub.get("/v1/incidents").expect(200).json()["data"][0]["id"].as_str().unwrap().to_owned();
    hub.post(&format!("/v1/incidents/{id}/mute"), &json!({})).expect(200);
    pass(&hub, DAY);
    assert_eq!(hub.tell(), 0);
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    publish(&hub);
    assert_eq!(tell_for(&hub, 30 * MINUTE), 0);
}

#[test]
fn nothing_is_lost_by_a_restart_between_the_failure_the_message_and_the_mail() {
    let (mut hub, server) = with_mail();
    server.take(Takes::None(451));
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &hasty());
    add_contact(&hub, "ops@example.org", |_| {});
    publish(&hub);
    hub.abandon();
    hub.restart();
    pass(&hub, MINUTE);
    assert_eq!(hub.tell(), 1);
    server.wait_for_connections(1);
    hub.abandon();
    hub.restart();
    assert_eq!(tell_for(&hub, 10 * MINUTE), 0, "the message is stored");
    assert_eq!(server.mails().len(), 0);
    server.take(Takes::All);
    pass(&hub, HOUR);
    let mails = server.wait_for(1);
    assert!(mails[0].subject().ends_with("is failing"));
    hub.restart();
    assert_eq!(tell_for(&hub, 10 * MINUTE), 0);
    assert_eq!(server.mails().len(), 1);
}

#[test]
fn a_mail_server_that_fails_is_tried_again_and_the_contact_shows_it() {
    let (hub, server) = with_mail();
    server.take(Takes::None(550));
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &hasty());
    let contact_seq = add_contact(&hub, "ops@example.org", |_| {});
    let status = || hub.running.app.actions.store.read(|db| contact::by_seq(db, contact_seq)).unwrap().unwrap().status;
    publish(&hub);
    assert_eq!(tell_for(&hub, MINUTE), 1);
    let waits =
        |is_so: &dyn Fn() -> bool| crate::support::process::wait_until(crate::support::process::PATIENCE, is_so);
    assert!(waits(&|| status().error.is_some()));
    assert!(status().error.unwrap().contains("550"));
    assert!(!status().is_failing(hub.clock.now_ms()));
    pass(&hub, 6 * MINUTE);
    assert!(status().is_failing(hub.clock.now_ms()));
    server.take(Takes::All);
    pass(&hub, HOUR);
    server.wait_for(1);
    assert!(waits(&|| status().error.is_none()));
    assert_eq!(status().told_ms, Some(NOON + 67 * MINUTE));
}

#[test]
fn a_mail_server_that_hangs_delays_no_delivery() {
    let (hub, server) = with_mail();
    server.take(Takes::Silence);
    let (down, up) = (Receiver::answering(500), Receiver::start());
    hub.add_webhook_with(down.url(), &hasty());
    add_contact(&hub, "ops@example.org", |_| {});
    publish(&hub);
    assert_eq!(tell_for(&hub, MINUTE), 1);
    server.wait_for_connections(1);
    hub.add_webhook(up.url());
    for _ in 0..100 {
        hub.publish("order.paid", json!({}));
    }
    hub.deliver_until_idle();
    assert_eq!(up.hits(), 100);
}

/// Adds a contact of the operator with a webhook of a profile.
fn add_webhook_contact(hub: &Hub, url: &str, profile: &str) -> ContactId {
    let now = hub.clock.now_ms();
    let id = ContactId::generate(now, hookpost::random::bits());
    let mut webhook = Webhook::new(
        WebhookId::generate(now, hookpost::random::bits()),
        Tenant::hookpost(),
        url.parse().unwrap(),
        profile,
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().unwrap(),
        now,
    );
    webhook.events = vec!["hookpost.*".parse().unwrap()];
    let contact = Contact {
        seq: 0,
        id,
        tenant: None,
        name: profile.to_owned(),
        channel: Channel::Webhook { webhook_seq: 0 },
        scope: Scope::default(),
        topics: Topic::VARIANTS.iter().copied().collect(),
        quiet_hours: None,
        created_ms: now,
        updated_ms: now,
        status: Status::default(),
    };
    hub.running.app.actions.store.write(move |tx| contact::insert(tx, contact, Some(webhook))).wait().unwrap();
    id
}

#[test]
fn a_webhook_contact_gets_a_message_in_the_form_of_its_profile() {
    let hub = Hub::start();
    let down = Receiver::answering(500);
    hub.add_webhook_with(down.url(), &hasty());
    let profiles = ["slack", "discord", "teams", "telegram", "ntfy", "pagerduty", "standard"];
    let receivers = profiles.map(|profile| {
        let receiver = Receiver::start();
        let id = add_webhook_contact(&hub, &format!("{}?chat_id=1", receiver.url()), profile);
        (profile, receiver, id)
    });
    publish(&hub);
    assert_eq!(tell_for(&hub, MINUTE), profiles.len());
    let host = down.url().trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let link = |text: &str| text.contains(&hub.at("/incidents/inc_"));
    for (profile, receiver, id) in &receivers {
        let request = receiver.last();
        let text = request.text();
        let title = format!("{host} is failing");
        match *profile {
            "standard" => {
                let event: Value = serde_json::from_str(text).unwrap();
                assert_eq!(event["type"], "hookpost.incident.opened");
                let incident = &event["data"]["incidents"][0];
                assert_eq!((&incident["host"], &incident["change"]), (&json!(host), &json!("opened")));
                assert_eq!((&event["data"]["incident_count"], &incident["webhook_count"]), (&json!(1), &json!(1)));
                assert!(link(incident["url"].as_str().unwrap()));
            }
            "pagerduty" => {
                let alert: Value = serde_json::from_str(text).unwrap();
                assert_eq!(
                    (&alert["event_action"], &alert["payload"]["severity"]),
                    (&json!("trigger"), &json!("error"))
                );
                assert_eq!(alert["dedup_key"], format!("hookpost-{id}"));
                assert_eq!(alert["payload"]["summary"], title);
            }
            "ntfy" => {
                assert_eq!(request.header("title"), Some(title.as_str()));
                assert!(text.starts_with(&format!("{host} has been failing since")) && link(text), "{text}");
            }
            _ => {
                assert!(text.contains(&title) && text.contains("Cause: ") && link(text), "{profile}: {text}");
                assert!(!text.contains("incident_count") && !text.contains("hookpost.incident"), "{profile}: {text}");
                serde_json::from_str::<Value>(text).unwrap();
            }
        }
    }
    down.behave(Behaviour::Answer(Reply::status(200)));
    publish(&hub);
    assert_eq!(tell_for(&hub, 30 * MINUTE), profiles.len());
    let alert: Value = serde_json::from_str(receivers[5].1.last().text()).unwrap();
    assert_eq!(
        (&alert["event_action"], &alert["dedup_key"]),
        (&json!("resolve"), &json!(format!("hookpost-{}", receivers[5].2)))
    );
    assert_eq!(hub.get("/v1/incidents").expect(200).json()["data"].as_array().unwrap().len(), 1);
}

#[test]
fn a_contact_that_fails_has_no_incident_and_the_others_are_told_once() {
    let (hub, server) = with_mail();
    let dead = Receiver::answering(500);
    add_webhook_contact(&hub, &dead.url(), "standard");
    add_contact(&hub, "ops@example.org", |contact| contact.topics = [Topic::Opened].into());
    let down = Receiver::answering(500);
    hub.add_webhook_with(down.url(), &hasty());
    publish(&hub);
    assert_eq!(tell_for(&hub, MINUTE), 2);
    assert_eq!(tell_for(&hub, 30 * MINUTE), 1);
    let mail = server.wait_for(2).remove(1);
    assert_eq!(mail.subject(), "A contact does not receive its messages");
    assert!(mail.text.contains("standard: ") && mail.text.contains("/contacts"), "{}", mail.text);
    assert_eq!(tell_for(&hub, 2 * HOUR), 0);
    assert_eq!(hub.get("/v1/incidents").expect(200).json()["data"].as_array().unwrap().len(), 1);
}

#[test]
fn operational_events_are_published_for_the_webhooks_that_subscribe_to_them() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let subscribed = json!({"tenant": "hookpost", "events": ["hookpost.*"], "profile": "standard"});
    hub.add_webhook_with(receiver.url(), &subscribed);
    let down = Receiver::answering(410);
    let webhook = hub.add_webhook(down.url());
    publish(&hub);
    hub.deliver_until_idle();
    let types = || -> Vec<String> {
        let events =
            receiver.requests().into_iter().map(|request| serde_json::from_str::<Value>(request.text()).unwrap());
        let mut types: Vec<_> = events.map(|event| event["type"].as_str().unwrap().to_owned()).collect();
        types.sort();
        types
    };
    assert_eq!(types(), ["hookpost.incident.opened", "hookpost.webhook.disabled"]);
    let opened: Value = serde_json::from_str(receiver.requests()[0].text()).unwrap();
    assert_eq!(opened["data"]["webhook"]["id"], webhook.as_str());
    down.behave(Behaviour::Answer(Reply::status(200)));
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": true})).expect(200);
    publish(&hub);
    for _ in 0..2 {
        pass(&hub, 10 * MINUTE);
        hub.tend_until_idle();
        hub.deliver_until_idle();
    }
    assert_eq!(types(), ["hookpost.incident.closed", "hookpost.incident.opened", "hookpost.webhook.disabled"]);
}

#[test]
fn the_digest_counts_dead_letters_at_eight_and_is_left_out_without_any() {
    let (hub, server) = with_mail();
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &hasty());
    add_contact(&hub, "ops@example.org", |contact| contact.topics = [Topic::Digest].into());
    for _ in 0..3 {
        publish(&hub);
    }
    // From 10:00 to 7:59.
    pass(&hub, 21 * HOUR + 59 * MINUTE);
    assert_eq!(hub.tell(), 0);
    pass(&hub, 2 * MINUTE);
    assert_eq!(hub.tell(), 1);
    let mail = server.wait_for(1).remove(0);
    assert_eq!(mail.subject(), "3 dead letters since yesterday");
    assert!(mail.text.contains("(tenant default)") && mail.text.contains("/failed"), "{}", mail.text);
    pass(&hub, DAY);
    assert_eq!(hub.tell(), 0);
}

#[test]
fn the_clock_and_certificates_are_told_once() {
    let (hub, server) = with_mail();
    let (certificate, key) = client_certificate("Hookpost", 2025, 2027);
    let tls = json!({"tls": {"client_certificate": certificate, "client_key": key}});
    hub.add_webhook_with("https://localhost:9/", &tls);
    add_contact(&hub, "ops@example.org", |_| {});
    assert_eq!(hub.tell(), 0);
    hub.clock.jump(HOUR);
    assert_eq!(tell_for(&hub, 10 * MINUTE), 1);
    assert_eq!(server.wait_for(1)[0].subject(), "The server's clock may be wrong");
    hub.clock.jump(-HOUR);
    assert_eq!(tell_for(&hub, 10 * MINUTE), 1);
    assert_eq!(server.wait_for(2)[1].subject(), "The server's clock is right again");
    // The certificate ends with the year 2026.
    pass(&hub, 330 * DAY);
    assert_eq!(tell_for(&hub, 10 * MINUTE), 1);
    let mail = server.wait_for(3).remove(2);
    assert_eq!(mail.subject(), "A certificate for localhost:9 needs attention");
    assert!(mail.text.contains("The client certificate expires in"), "{}", mail.text);
    pass(&hub, 10 * DAY);
    assert_eq!(tell_for(&hub, 10 * MINUTE), 0);
    pass(&hub, 5 * DAY);
    assert_eq!(tell_for(&hub, 10 * MINUTE), 1, "seven days before");
}
