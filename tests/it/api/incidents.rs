//! `/v1/incidents`.

use hookpost::domain::time::{HOUR, MINUTE};
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::error;
use crate::support::Hub;
use crate::support::receiver::Receiver;

/// Opens an incident of a tenant's webhook by a dead letter. Returns the webhook.
fn fail(hub: &Hub, tenant: &str, receiver: &Receiver) -> String {
    let fields = json!({"tenant": tenant, "retry": {"delays_s": [], "exhausted": "dead_letter"}});
    let webhook = hub.add_webhook_with(receiver.url(), &fields);
    hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": tenant})).expect(202);
    hub.deliver_until_idle();
    webhook
}

fn ids(hub: &Hub, query: &str) -> Vec<String> {
    let list = hub.get(&format!("/v1/incidents{query}")).expect(200).json();
    let rows = list["data"].as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn incidents_are_listed_newest_first_by_status_webhook_tenant_and_time() {
    let hub = Hub::start();
    let receivers = [Receiver::answering(500), Receiver::answering(404), Receiver::answering(410)];
    let first = fail(&hub, "acme", &receivers[0]);
    hub.advance(HOUR);
    let second = fail(&hub, "globex", &receivers[1]);
    hub.advance(HOUR);
    fail(&hub, "acme", &receivers[2]);
    let all = ids(&hub, "");
    assert_eq!(all.len(), 3);
    hub.delete(&format!("/v1/webhooks/{first}")).expect(204);
    for (query, expected) in [
        ("?status=open", vec![0, 1]),
        ("?status=closed", vec![2]),
        ("?tenant=acme", vec![0, 2]),
        ("?tenant=acme&status=open", vec![0]),
        ("?tenant=nobody", vec![]),
        ("?since=2026-01-15T11:00:00Z", vec![0, 1]),
        ("?since=2026-01-15T11:00:00Z&until=2026-01-15T12:00:00Z", vec![1]),
        (&format!("?webhook_id={second}"), vec![1]),
        ("?webhook_id=wh_01KF0AVD80Q5RJBBPG8YQH7XWB", vec![]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(|index: usize| all[index].clone()).collect();
        assert_eq!(ids(&hub, query), expected, "{query}");
    }
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = hub.get(&format!("/v1/incidents?limit=1{cursor}")).expect(200).json();
        found.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, all);
    error(&hub.get("/v1/incidents?status=over"), 422, "invalid_value");
    error(&hub.get("/v1/incidents/inc_01KF0AVD80Q5RJBBPG8YQH7XWB"), 404, "not_found");
    error(&hub.get("/v1/incidents/nonsense"), 404, "not_found");
    let metrics = hub.get("/metrics").expect(200).text;
    assert!(metrics.contains("hookpost_incidents_open 2\n"), "{metrics}");
}

#[test]
fn a_note_has_1_to_2000_characters_and_an_incident_50_of_each_side() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    fail(&hub, "acme", &receiver);
    let path = format!("/v1/incidents/{}", ids(&hub, "")[0]);
    let notes = format!("{path}/notes");
    for text in ["", "   ", &"é".repeat(2_001), "a\0b"] {
        error(&hub.post(&notes, &json!({ "text": text })), 422, "invalid_note");
    }
    error(&hub.post(&notes, &json!({"text": "x", "by": "me"})), 422, "unknown_field");
    let written = hub.post(&notes, &json!({"text": "é".repeat(2_000)})).expect(201).json();
    let entry = written["timeline"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&entry["kind"], &entry["actor"]), (&json!("note"), &json!("API key test")));
    for _ in 1..50 {
        hub.post(&notes, &json!({"text": "again"})).expect(201);
    }
    error(&hub.post(&notes, &json!({"text": "again"})), 409, "note_limit");
    let acme = hub.make_key(Scope::Admin, Some("acme"), None);
    let own = hub.call_with(&acme, "POST", &notes, Some(r#"{"text": "ours"}"#)).expect(201).json();
    let texts: Vec<&Value> = own["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["kind"] == "note")
        .map(|e| &e["text"])
        .collect();
    assert_eq!(texts, [&json!("ours")], "the operator's notes are not the tenant's");
    let reader = hub.make_key(Scope::Read, None, None);
    error(&hub.call_with(&reader, "POST", &notes, Some(r#"{"text": "x"}"#)), 403, "forbidden");
    let other = hub.make_key(Scope::Admin, Some("globex"), None);
    error(&hub.call_with(&other, "POST", &notes, Some(r#"{"text": "x"}"#)), 404, "not_found");
}

#[test]
fn an_incident_is_muted_for_the_operator_or_for_a_tenant_and_once() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    fail(&hub, "acme", &receiver);
    let path = format!("/v1/incidents/{}", ids(&hub, "")[0]);
    let acme = hub.make_key(Scope::Admin, Some("acme"), None);
    for _ in 0..2 {
        let muted = hub.post(&format!("{path}/mute"), &json!({})).expect(200).json();
        assert_eq!(muted["muted"], true);
    }
    assert_eq!(hub.call_with(&acme, "GET", &path, None).json()["muted"], false);
    hub.call_with(&acme, "POST", &format!("{path}/mute"), None).expect(200);
    let unmuted = hub.post(&format!("{path}/unmute"), &json!({})).expect(200).json();
    assert_eq!(unmuted["muted"], false);
    assert_eq!(hub.call_with(&acme, "GET", &path, None).json()["muted"], true);
    let kinds: Vec<&str> =
        unmuted["timeline"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["first_failure", "opened", "muted", "muted", "unmuted"]);
    let audited: Vec<Value> = hub.get("/v1/audit?action=incident.muted").json()["data"].as_array().unwrap().clone();
    assert_eq!(audited.len(), 2, "muting twice is one change");
}

#[test]
fn closed_incidents_are_kept_as_long_as_dead_letters() {
    let hub = Hub::start();
    let receivers = [Receiver::answering(500), Receiver::answering(500)];
    let webhook = fail(&hub, "acme", &receivers[0]);
    hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
    hub.advance(MINUTE);
    fail(&hub, "acme", &receivers[1]);
    let prune = |days: i64| {
        hub.advance(days * 24 * HOUR);
        hub.prune_until_idle();
    };
    prune(89);
    assert_eq!(ids(&hub, "").len(), 2);
    prune(2);
    assert_eq!(ids(&hub, "?status=open").len(), 1, "an open one stays");
    assert_eq!(ids(&hub, "").len(), 1);
}
