//! Telling contacts: how many messages an outage makes, and to whom.

use hookpost::domain::contact::{Channel, Contact, QuietHours, QuietHoursSpec, Scope, Status, Topic};
use hookpost::domain::id::ContactId;
use hookpost::domain::time::{DAY, HOUR, MINUTE, SECOND};
use hookpost::store::contact;
use serde_json::{Value, json};

use super::pass;
use crate::support::Hub;
use crate::support::hub::NOON;
use crate::support::receiver::{Behaviour, Receiver, Reply};
use crate::support::smtp::{MailServer, Takes};

/// Adds a contact with an e-mail address, which `set_up` may change.
fn add_contact(hub: &Hub, address: &str, set_up: impl FnOnce(&mut Contact)) -> i64 {
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
fn with_mail() -> (Hub, MailServer) {
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
fn tell_for(hub: &Hub, time: i64) -> usize {
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
