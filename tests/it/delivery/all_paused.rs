//! The pause of all deliveries.

use hookpost::domain::time::{DAY, HOUR, MINUTE};
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{act, pass};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::{Behaviour, Receiver, Reply};

fn pause(hub: &Hub, reason: &str) -> Value {
    let body = json!({"reason": reason}).to_string();
    hub.call_with(&hub.key, "PUT", "/v1/pause", Some(&body)).expect(200).json()
}

fn resume(hub: &Hub) -> Answer {
    hub.delete("/v1/pause").expect(204)
}

#[test]
fn during_a_pause_events_are_accepted_and_nothing_is_sent_until_it_ends() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    assert_eq!(hub.get("/v1/pause").json(), json!({"paused": false, "since": null, "actor": null, "reason": null}));
    let begun = pause(&hub, "Moving.");
    assert_eq!((&begun["paused"], &begun["reason"]), (&json!(true), &json!("Moving.")));
    let delivery = hub.publish_one("order.paid", json!({}));
    pass(&hub, DAY);
    assert_eq!(receiver.connections(), 0);
    assert_eq!(hub.status_of(&delivery), "pending");
    let again = pause(&hub, "Still moving.");
    assert_eq!((&again["since"], &again["reason"]), (&begun["since"], &json!("Still moving.")));
    hub.get("/readyz").expect(200);
    resume(&hub);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
    assert_eq!(hub.status_of(&delivery), "delivered");
    assert_eq!(hub.get("/v1/pause").json()["paused"], false);
    resume(&hub);
}

#[test]
fn a_pause_holds_retries_and_what_a_person_retries_and_opens_no_incident() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook(receiver.url());
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
    pause(&hub, "Moving.");
    pass(&hub, HOUR);
    act(&hub, &delivery, "retry").expect(202);
    for _ in 0..20 {
        hub.publish_one("order.paid", json!({}));
        pass(&hub, HOUR);
        hub.tend_until_idle();
    }
    assert_eq!(receiver.hits(), 1);
    assert_eq!(hub.get("/v1/incidents").json()["data"], json!([]));
    // A test shows whether the endpoint works, and was asked for.
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).expect(200);
    assert_eq!(receiver.hits(), 2);
    resume(&hub);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 2 + 21);
    assert_eq!(hub.status_of(&delivery), "delivered");
}

#[test]
fn a_queued_delivery_names_the_pause_and_a_state_of_its_webhook_first() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme"}));
    let publish = || {
        let event = json!({"type": "order.paid", "data": {}, "tenant": "acme"});
        let receipt = hub.post("/v1/events", &event).expect(202).json();
        receipt["deliveries"][0]["id"].as_str().unwrap().to_owned()
    };
    let retrying = publish();
    hub.deliver_until_idle();
    let test = hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).expect(200).json();
    let version = || hub.get(&format!("/v1/deliveries/{retrying}")).header("etag").unwrap().to_owned();
    let before = version();
    pause(&hub, "Moving.");
    let pending = publish();
    let facts = |id: &str| {
        let shown = hub.delivery(id);
        (shown["status"].clone(), shown["waiting_for"].clone(), shown["next_attempt_at"].clone())
    };
    assert_eq!(facts(&pending), (json!("pending"), json!("deliveries_paused"), json!(null)));
    assert_eq!(facts(&retrying), (json!("retrying"), json!("deliveries_paused"), json!(null)));
    assert_eq!(facts(test["id"].as_str().unwrap()).1, json!(null));
    assert_ne!(version(), before, "a client with a copy learns of the pause");
    assert_eq!(act(&hub, &retrying, "retry").expect(202).json()["waiting_for"], "deliveries_paused");
    let list = hub.get("/v1/deliveries?status=pending,retrying").expect(200).json();
    let rows = list["data"].as_array().unwrap();
    assert!(rows.len() == 2 && rows.iter().all(|row| row["waiting_for"] == "deliveries_paused"), "{list}");

    let (administrator, portal) = (hub.administrator(), hub.portal("acme"));
    for (visitor, base) in [(&administrator, ""), (&portal, "/portal")] {
        let page = visitor.page(&format!("{base}/deliveries/{pending}"));
        assert!(page.contains("Queued: all deliveries are paused."), "{}", page.text());
        assert!(page.contains("It will be sent when deliveries are resumed.") && !page.contains("Due now"));
        assert_eq!(page.fact("Next attempt"), None);
        let list = visitor.page(&format!("{base}/deliveries?status=pending,retrying"));
        assert_eq!(list.column("Status"), ["PendingDeliveries paused", "RetryingDeliveries paused"]);
    }
    let retried = administrator.submit_and_follow(&format!("/deliveries/{pending}/retry"), &[]);
    assert!(retried.has_flash("Queued until deliveries are resumed."), "{}", retried.text());

    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": false})).expect(200);
    assert_eq!(facts(&pending).1, json!("webhook_paused"), "it outlasts the pause");
    resume(&hub);
    assert_eq!(facts(&pending).1, json!("webhook_paused"));
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": true, "waiting": "resume"})).expect(200);
    assert_eq!(facts(&pending).1, json!(null));
}

#[test]
fn a_pause_outlasts_a_restart() {
    let mut hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    pause(&hub, "Moving.");
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.restart();
    pass(&hub, HOUR);
    assert_eq!(hub.get("/v1/pause").json()["reason"], "Moving.");
    assert_eq!(receiver.connections(), 0);
    resume(&hub);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
    hub.restart_with(|options| options.paused = true);
    assert_eq!(hub.get("/v1/pause").json()["reason"], "The server was started with --paused.");
    hub.restart_with(|options| options.paused = false);
    assert_eq!(hub.get("/v1/pause").json()["paused"], true);
}

#[test]
fn messages_to_contacts_are_sent_during_a_pause() {
    let hub = Hub::start();
    let (receiver, contact) = (Receiver::start(), Receiver::start());
    hub.add_webhook(receiver.url());
    let fields = json!({"name": "On call", "webhook": {"url": contact.url()}});
    let id = hub.post("/v1/contacts", &fields).expect(201).json()["id"].as_str().unwrap().to_owned();
    hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    pause(&hub, "Moving.");
    hub.publish_one("order.paid", json!({}));
    hub.post(&format!("/v1/contacts/{id}/test"), &json!({})).expect(200);
    hub.deliver_until_idle();
    assert_eq!((receiver.hits(), contact.hits()), (1, 1));
}

#[test]
fn the_pause_is_of_those_who_administer_all_tenants() {
    let hub = Hub::start();
    let body = json!({"reason": "Mine."}).to_string();
    let of_tenant = hub.make_key(Scope::Admin, Some("acme"), None);
    let reader = hub.make_key(Scope::Read, None, None);
    for (method, key) in [("GET", &of_tenant), ("PUT", &of_tenant), ("DELETE", &of_tenant), ("PUT", &reader)] {
        let body = (method == "PUT").then_some(body.as_str());
        assert_eq!(hub.call_with(key, method, "/v1/pause", body).status, 403, "{method}");
    }
    hub.call_with(&reader, "GET", "/v1/pause", None).expect(200);
    for reason in [String::new(), " ".to_owned(), "x".repeat(201), "two\nlines".to_owned()] {
        let body = json!({"reason": reason}).to_string();
        let refused = hub.call_with(&hub.key, "PUT", "/v1/pause", Some(&body)).expect(422);
        assert_eq!(refused.error_code(), "invalid_reason", "{reason:?}");
    }
    assert_eq!(hub.get("/v1/pause").json()["paused"], false);
}

#[test]
fn every_page_says_why_deliveries_are_paused_and_administrators_resume_them_there() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme"}));
    pause(&hub, "Moving to another <machine>.");
    hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": "acme"})).expect(202);
    let banner = |text: &str| text.contains("All deliveries have been paused since");
    let administrator = hub.administrator();
    for path in ["/", "/webhooks", "/deliveries", "/settings/data", "/account"] {
        let shown = administrator.get(path).expect(200).text;
        assert!(banner(&shown) && shown.contains("Moving to another &#60;machine&#62;."), "{path}");
        assert!(shown.contains("/settings/data/resume"), "{path}");
    }
    let viewer = hub.viewer().get("/").expect(200).text;
    assert!(banner(&viewer) && !viewer.contains("/settings/data/resume"));
    let portal = hub.portal("acme").get("/portal/webhooks").expect(200).text;
    assert!(portal.contains("Deliveries are paused by the operator") && !portal.contains("Moving to another"));
    administrator.submit_and_follow("/settings/data/resume", &[]);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
    assert!(!banner(&administrator.get("/").text));
    let audit = hub.get("/v1/audit").json();
    let actions: Vec<_> = audit["data"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    let of_pause: Vec<_> =
        actions.iter().filter(|action| action.as_str().unwrap().starts_with("deliveries.")).collect();
    assert_eq!(of_pause, ["deliveries.resumed", "deliveries.paused"]);
}

#[test]
fn an_administrator_pauses_all_deliveries_on_a_page_after_a_confirmation() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let administrator = hub.administrator();
    let page = administrator.page("/settings/data");
    assert!(page.contains("Deliveries are being sent.") && page.form("/settings/data/pause").is_some(), "{page}");
    for reason in ["", " ", "two\nlines", &"x".repeat(201)] {
        let refused = administrator.submit("/settings/data/pause", &[("reason", reason)]).expect(422).page();
        assert!(refused.problem("reason").unwrap().starts_with("Enter a reason"), "{refused}");
        assert_eq!(refused.field("reason").as_deref().map(str::trim), Some(reason.trim()), "what was typed stays");
    }
    let typed = ("reason", "The database <of the shop> moves.");
    let asked = administrator.submit("/settings/data/pause", &[typed]).expect(200).page();
    assert_eq!(asked.heading(), "Pause all deliveries?");
    assert_eq!(asked.fact("Reason").as_deref(), Some(typed.1));
    for text in ["Events are accepted and stored.", "Nothing is sent", "retries wait", "/v1/pause"] {
        assert!(asked.contains(text), "{text}: {asked}");
    }
    assert_eq!(hub.get("/v1/pause").json()["paused"], false, "it asks first");
    let fields = asked.form("/settings/data/pause").unwrap().fields();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let paused = administrator.submit_and_follow("/settings/data/pause", &fields);
    assert!(paused.has_flash("All deliveries are paused."), "{paused}");
    assert!(paused.contains("All deliveries have been paused since") && paused.form("/settings/data/pause").is_none());
    assert_eq!(paused.fact("Reason").as_deref(), Some(typed.1));
    let now = hub.get("/v1/pause").json();
    assert_eq!((&now["paused"], &now["actor"], &now["reason"]), (&json!(true), &json!("anna"), &json!(typed.1)));
    hub.publish_one("order.paid", json!({}));
    pass(&hub, 5 * MINUTE);
    assert_eq!(receiver.connections(), 0);
    let entry = &hub.get("/v1/audit").json()["data"][0];
    assert_eq!((&entry["action"], &entry["detail"]), (&json!("deliveries.paused"), &json!(typed.1)), "{entry}");

    for visitor in [hub.viewer(), hub.operator()] {
        let page = visitor.page("/settings/data");
        assert!(page.contains("Administrators can pause and resume all deliveries."), "{page}");
        assert_eq!(page.fact("By").as_deref(), Some("anna"));
        assert!(page.form("/settings/data/resume").is_none());
    }
    administrator.submit_and_follow("/settings/data/resume", &[]);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
}
