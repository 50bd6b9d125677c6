//! `/v1/contacts`, and the names that are Hookpost's own.

use hookpost::domain::time::{HOUR, MINUTE};
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, error_in, ids};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::{Behaviour, Receiver, Reply};
use crate::support::smtp::{MailServer, Takes};

fn create(hub: &Hub, key: &str, body: &Value) -> Answer {
    hub.call_with(key, "POST", "/v1/contacts", Some(&body.to_string()))
}

fn webhook_contact(hub: &Hub, url: &str) -> Value {
    create(hub, &hub.key, &json!({"name": "On call", "webhook": {"url": url}})).expect(201).json()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Sends a test to a contact. Returns its result.
fn test(hub: &Hub, key: &str, contact: &Value) -> Answer {
    hub.call_with(key, "POST", &format!("/v1/contacts/{}/test", text(&contact["id"])), None)
}

#[test]
fn a_contact_is_created_changed_and_deleted_and_shows_its_secret_once() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let body = json!({
        "name": " On call ", "webhook": {"url": receiver.url(), "headers": {"X-Routing-Key": "r0"}},
        "scope": {"tenant": "acme", "webhooks": ["*.Example.com"]}, "topics": ["closed", "opened", "closed"],
        "quiet_hours": {"from": "22:00", "to": "07:00", "time_zone": "Europe/Berlin"},
    });
    let made = create(&hub, &hub.key, &body).expect(201).json();
    let path = format!("/v1/contacts/{}", text(&made["id"]));
    assert!(text(&made["webhook"]["secret"]).starts_with("whsec_"));
    let shown = hub.get(&path).expect(200).json();
    let mut expected = made.clone();
    expected["webhook"].as_object_mut().unwrap().retain(|name, _| !name.ends_with("secret"));
    assert_eq!(shown, expected);
    assert_eq!(shown["name"], "On call");
    assert_eq!(shown["tenant"], Value::Null);
    assert_eq!(shown["scope"], json!({"tenant": "acme", "webhooks": ["*.example.com"]}));
    assert_eq!(shown["topics"], json!(["opened", "closed"]));
    assert_eq!(shown["quiet_hours"], body["quiet_hours"]);
    assert_eq!(shown["webhook"]["headers"], json!({"X-Routing-Key": "••••••"}));
    assert_eq!(shown["status"], "ok");
    assert_eq!(ids(&hub.get("/v1/contacts")), [text(&made["id"])]);

    let changed = hub.patch(&path, &json!({"name": "Ops", "quiet_hours": null, "webhook": {"profile": "slack"}}));
    let changed = changed.expect(200).json();
    assert_eq!((&changed["name"], &changed["webhook"]["profile"]), (&json!("Ops"), &json!("slack")));
    assert_eq!(changed["quiet_hours"], Value::Null);
    assert_eq!(changed["webhook"]["headers"], shown["webhook"]["headers"]);
    assert_eq!(changed["scope"], shown["scope"]);
    let audit = hub.get("/v1/audit").expect(200).json();
    let actions: Vec<&str> = audit["data"].as_array().unwrap().iter().map(|row| text(&row["action"])).collect();
    assert_eq!(actions[..2], ["contact.changed", "contact.created"]);

    hub.delete(&path).expect(204);
    hub.get(&path).expect(404);
    hub.get(&format!("/v1/webhooks/{}", text(&made["webhook"]["webhook_id"]))).expect(404);
}

#[test]
fn wrong_settings_name_their_field() {
    let hub = Hub::start();
    let url = "https://1.1.1.1/x";
    let base = json!({"name": "a", "webhook": {"url": url}});
    let with = |name: &str, value: Value| {
        let mut body = base.clone();
        body[name] = value;
        body
    };
    for (body, code, field) in [
        (json!({"webhook": {"url": url}}), "missing_field", "name"),
        (with("name", json!("a\nb")), "invalid_name", "name"),
        (json!({"name": "a"}), "invalid_channel", "email"),
        (with("email", json!("ops@example.com")), "invalid_channel", "email"),
        (json!({"name": "a", "email": "ops@example.com"}), "email_not_configured", "email"),
        (with("webhook", json!({})), "missing_field", "webhook.url"),
        (with("webhook", json!({"url": "https://10.0.0.1/"})), "target_blocked", "webhook.url"),
        (with("webhook", json!({"url": url, "profile": "nope"})), "unknown_profile", "webhook.profile"),
        (with("webhook", json!({"url": url, "profile": "pagerduty"})), "incomplete_endpoint", "webhook.headers"),
        (with("webhook", json!({"url": url, "events": ["*"]})), "unknown_field", "webhook.events"),
        (with("webhook", json!([url])), "invalid_type", "webhook"),
        (with("topics", json!([])), "invalid_topics", "topics"),
        (with("topics", json!(["often"])), "invalid_type", "topics[0]"),
        (with("scope", json!({"webhooks": [""]})), "invalid_pattern", "scope.webhooks[0]"),
        (with("scope", json!({"tenant": "a b"})), "invalid_tenant", "scope.tenant"),
        (with("quiet_hours", json!({"from": "7", "to": "8:00"})), "invalid_quiet_hours", "quiet_hours.from"),
        (
            with("quiet_hours", json!({"from": "07:00", "to": "08:00", "time_zone": "Mars"})),
            "unknown_time_zone",
            "quiet_hours.time_zone",
        ),
        (with("tenant", json!("hookpost")), "reserved_tenant", "tenant"),
    ] {
        let answer = create(&hub, &hub.key, &body).expect(422);
        let found = &answer.json()["error"];
        assert_eq!((&found["code"], &found["field"]), (&json!(code), &json!(field)), "{body}: {found}");
    }
    assert_eq!(ids(&hub.get("/v1/contacts")), [""; 0]);
    let contact = webhook_contact(&hub, url);
    let path = format!("/v1/contacts/{}", text(&contact["id"]));
    error_in(&hub.patch(&path, &json!({"tenant": "acme"})), 422, "read_only", "tenant");
    error_in(&hub.patch(&path, &json!({"email": "ops@example.com"})), 422, "email_not_configured", "email");
}

#[test]
fn the_webhook_of_a_contact_is_in_no_list_and_changes_with_its_contact_only() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let contact = webhook_contact(&hub, &receiver.url());
    let webhook = text(&contact["webhook"]["webhook_id"]).to_owned();
    let path = format!("/v1/webhooks/{webhook}");
    assert_eq!(ids(&hub.get("/v1/webhooks")), [""; 0]);
    assert_eq!(ids(&hub.get("/v1/webhooks?tenant=hookpost")), [""; 0]);
    assert_eq!(hub.get(&path).expect(200).json()["tenant"], "hookpost");
    for answer in [
        hub.patch(&path, &json!({"events": ["*"]})),
        hub.delete(&path),
        hub.post(&format!("{path}/test"), &json!({})),
        hub.post(&format!("{path}/secret/rotate"), &json!({})),
        hub.post(&format!("{path}/replay"), &json!({"since": "2026-01-15T10:00:00Z"})),
    ] {
        error(&answer, 409, "contact_webhook");
    }
    // It counts towards no limit, and nobody's events reach it.
    let own = hub.add_webhook_with(receiver.url(), &json!({"tenant": "hookpost", "events": ["*"]}));
    assert_eq!(ids(&hub.get("/v1/webhooks?tenant=hookpost")), [own]);
    assert_eq!(test(&hub, &hub.key, &contact).expect(200).json()["delivered"], true);
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn a_test_message_tells_whether_it_arrived_and_a_failed_one_marks_the_contact() {
    let hub = Hub::start();
    let receiver = Receiver::answering(410);
    let contact = webhook_contact(&hub, &receiver.url());
    let path = format!("/v1/contacts/{}", text(&contact["id"]));
    let failed = test(&hub, &hub.key, &contact).expect(200).json();
    assert_eq!(failed["delivered"], false);
    assert!(text(&failed["error"]).contains("410"), "{failed}");
    assert_eq!(failed["delivery"]["event_type"], "hookpost.contact.test");
    let shown = hub.get(&path).expect(200).json();
    assert_eq!((&shown["status"], &shown["last_error"]), (&json!("failing"), &failed["error"]));
    assert_eq!(shown["failing_since"], "2026-01-15T10:00:00.000Z");
    // Not disabled, and no incident.
    assert_eq!(hub.state_of(text(&contact["webhook"]["webhook_id"])), "active");
    assert_eq!(ids(&hub.get("/v1/incidents")), [""; 0]);

    receiver.behave(Behaviour::Answer(Reply::status(200)));
    let delivered = test(&hub, &hub.key, &contact).expect(200).json();
    assert_eq!((&delivered["delivered"], &delivered["error"]), (&json!(true), &Value::Null));
    let body: Value = serde_json::from_slice(&receiver.last().body).unwrap();
    assert_eq!(body["type"], "hookpost.contact.test");
    assert!(text(&body["data"]["text"]).contains("On call"), "{body}");
    assert_eq!(body["data"]["url"], hub.at(""));
    let shown = hub.get(&path).expect(200).json();
    assert_eq!((&shown["status"], &shown["last_error"]), (&json!("ok"), &Value::Null));
}

#[test]
fn a_tenant_has_contacts_of_its_own_for_its_own_webhooks() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let [acme, globex] = ["acme", "globex"].map(|tenant| hub.make_key(Scope::Admin, Some(tenant), None));
    let body = json!({"name": "Acme's", "webhook": {"url": receiver.url()}});
    let contact = create(&hub, &acme, &body).expect(201).json();
    assert_eq!(contact["tenant"], "acme");
    assert_eq!(contact["scope"], json!({"tenant": "acme", "webhooks": []}));
    assert_eq!(contact["topics"], json!(["opened", "reminder", "closed", "certificate"]));
    let path = format!("/v1/contacts/{}", text(&contact["id"]));
    for (change, code, field) in [
        (json!({"topics": ["disk"]}), "invalid_topics", "topics"),
        (json!({"scope": {"tenant": "globex"}}), "invalid_scope", "scope.tenant"),
    ] {
        let answer = hub.call_with(&acme, "PATCH", &path, Some(&change.to_string()));
        error_in(&answer, 422, code, field);
    }
    let narrow = json!({"scope": {"webhooks": ["orders*"]}}).to_string();
    let narrowed = hub.call_with(&acme, "PATCH", &path, Some(&narrow)).expect(200).json();
    assert_eq!(narrowed["scope"], json!({"tenant": "acme", "webhooks": ["orders*"]}));
    let tested = test(&hub, &acme, &contact).expect(200).json();
    assert_eq!((&tested["delivered"], &tested["delivery"]["status"]), (&json!(true), &json!("delivered")));

    let of_operator = webhook_contact(&hub, &receiver.url());
    assert_eq!(ids(&hub.call_with(&acme, "GET", "/v1/contacts", None)), [text(&contact["id"])]);
    assert_eq!(ids(&hub.get("/v1/contacts")), [text(&of_operator["id"]), text(&contact["id"])]);
    assert_eq!(ids(&hub.get("/v1/contacts?tenant=acme")), [text(&contact["id"])]);
    for (key, contact) in [(&globex, &contact), (&acme, &of_operator)] {
        let path = format!("/v1/contacts/{}", text(&contact["id"]));
        for (method, path) in [("GET", path.clone()), ("PATCH", path.clone()), ("DELETE", path.clone())] {
            hub.call_with(key, method, &path, Some("{}")).expect(404);
        }
        for action in ["test", "confirmation"] {
            hub.call_with(key, "POST", &format!("{path}/{action}"), None).expect(404);
        }
    }
    // Its webhook is the operator's to see.
    let webhook = format!("/v1/webhooks/{}", text(&contact["webhook"]["webhook_id"]));
    hub.call_with(&acme, "GET", &webhook, None).expect(404);
    create(&hub, &acme, &json!({"name": "b", "tenant": "globex", "webhook": {"url": receiver.url()}})).expect(403);
    for _ in 1..20 {
        create(&hub, &acme, &body).expect(201);
    }
    error(&create(&hub, &acme, &body), 409, "contact_limit");
    create(&hub, &globex, &body).expect(201);
}

#[test]
fn the_operators_address_needs_no_confirmation_and_a_refusal_is_said() {
    let mail = MailServer::start();
    let hub = Hub::with(|options| options.mail = Some(mail.options("", "?tls=none")));
    let contact = create(&hub, &hub.key, &json!({"name": "Ops", "email": "ops@example.com"})).expect(201).json();
    assert_eq!((&contact["status"], &contact["webhook"]), (&json!("ok"), &Value::Null));
    assert_eq!(
        test(&hub, &hub.key, &contact).expect(200).json(),
        json!({"delivered": true, "error": null, "delivery": null})
    );
    let mails = mail.wait_for(1);
    assert_eq!(mails[0].to, "ops@example.com");
    assert!(mails[0].text.contains("Ops") && mails[0].text.contains(&hub.at("")), "{}", mails[0].text);
    mail.take(Takes::None(550));
    let refused = test(&hub, &hub.key, &contact).expect(200).json();
    assert_eq!(refused["error"], "The mail server refused the message: 550 5.1.1 no such mailbox.");
    let path = format!("/v1/contacts/{}", text(&contact["id"]));
    assert_eq!(hub.get(&path).expect(200).json()["status"], "failing");
    let changed = hub.patch(&path, &json!({"email": "oncall@example.com"})).expect(200).json();
    assert_eq!((&changed["status"], &changed["email"]), (&json!("ok"), &json!("oncall@example.com")));
}

#[test]
fn a_tenants_address_is_confirmed_first_and_mails_at_will_are_bounded() {
    let mail = MailServer::start();
    let hub = Hub::with(|options| options.mail = Some(mail.options("", "?tls=none")));
    let [acme, globex] = ["acme", "globex"].map(|tenant| hub.make_key(Scope::Admin, Some(tenant), None));
    let body = json!({"name": "WIN https://spam.example", "email": "stranger@example.com"});
    let contact = create(&hub, &acme, &body).expect(201).json();
    assert_eq!(contact["status"], "unconfirmed");
    let sent = mail.wait_for(1);
    assert!(sent[0].text.contains("/confirm-contact?token=") && !sent[0].text.contains("spam"), "{}", sent[0].text);
    error(&test(&hub, &acme, &contact), 409, "address_unconfirmed");
    let confirmation = format!("/v1/contacts/{}/confirmation", text(&contact["id"]));
    let again = |key: &str| hub.call_with(key, "POST", &confirmation, None);
    again(&acme).expect(204);
    // Another tenant's mails to the address count too, and so do other spellings of it.
    let other = json!({"name": "a", "email": "Stranger@example.com"});
    create(&hub, &globex, &other).expect(201);
    assert_eq!(mail.mails().len(), 3);
    error(&again(&acme), 409, "mail_limit");
    create(&hub, &globex, &other).expect(201);
    assert_eq!(mail.mails().len(), 3);
    for n in 0..8 {
        create(&hub, &acme, &json!({"name": "a", "email": format!("s{n}@example.com")})).expect(201);
    }
    // Ten for one tenant: two to the stranger and eight to others.
    create(&hub, &acme, &json!({"name": "a", "email": "more@example.com"})).expect(201);
    assert_eq!(mail.mails().len(), 11);
    hub.advance(HOUR + MINUTE);
    again(&acme).expect(204);
    assert_eq!(mail.mails().len(), 12);
    // A key of the operator that acts for a tenant has no more rights over strangers.
    let made = create(&hub, &hub.key, &json!({"name": "a", "tenant": "initech", "email": "b@example.com"}));
    assert_eq!(made.expect(201).json()["status"], "unconfirmed");
}

#[test]
fn names_of_hookpost_itself_are_refused() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let event = |body: Value| hub.post("/v1/events", &body);
    error_in(&event(json!({"type": "a.b", "data": {}, "tenant": "hookpost"})), 422, "reserved_tenant", "tenant");
    for name in ["hookpost", "hookpost.incident.opened"] {
        error_in(&event(json!({"type": name, "data": {}})), 422, "reserved_event_type", "type");
    }
    event(json!({"type": "hookposts.a", "data": {}})).expect(202);
    let batch = json!([{"type": "a.b", "data": {}}, {"type": "hookpost.a", "data": {}}]);
    error(&hub.post("/v1/events/batch", &batch), 422, "reserved_event_type");
    let key = json!({"name": "a", "scope": "admin", "tenant": "hookpost"});
    error_in(&hub.post("/v1/api-keys", &key), 422, "reserved_tenant", "tenant");
    error_in(&hub.post("/v1/portal-links", &json!({"tenant": "hookpost"})), 422, "reserved_tenant", "tenant");
    let webhook = hub.add_webhook(receiver.url());
    let test = json!({"event_type": "hookpost.incident.opened"});
    error_in(&hub.post(&format!("/v1/webhooks/{webhook}/test"), &test), 422, "reserved_event_type", "event_type");
    error_in(&hub.post("/v1/webhooks/test", &json!({"event": "hookpost.a"})), 422, "reserved_event_type", "event");
    // The operator's own webhook for the raw events is an ordinary one.
    let own = hub.add_webhook_with(receiver.url(), &json!({"tenant": "hookpost", "events": ["hookpost.*"]}));
    hub.post(&format!("/v1/webhooks/{own}/test"), &test).expect(200);
    assert_eq!(receiver.hits(), 1);
}
