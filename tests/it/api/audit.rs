//! `/v1/audit`: the audit log as a list and as NDJSON.

use std::net::IpAddr;

use hookpost::auth::users;
use hookpost::domain::retention::Retention;
use hookpost::domain::time::{DAY, HOUR, MINUTE, SECOND};
use hookpost::store::StoreError;
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, error_in, names};
use crate::support::Hub;

const AUDIT: &str = "/v1/audit";

#[track_caller]
fn entries(hub: &Hub, query: &str) -> Vec<Value> {
    let list = hub.get(&format!("{AUDIT}{query}")).expect(200).json();
    list["data"].as_array().unwrap().clone()
}

/// Actions of the entries that match a query, newest first.
#[track_caller]
fn actions(hub: &Hub, query: &str) -> Vec<String> {
    entries(hub, query).iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_log_is_a_list_with_the_address_of_each_change() {
    let hub = Hub::with(|options| options.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    let bearer = format!("Bearer {}", hub.key);
    let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", "6.6.6.6, 192.0.2.7")];
    let body = br#"{"name": "shop", "scope": "publish", "tenant": "acme"}"#;
    let key = hub.send("POST", "/v1/api-keys", &headers, body).expect(201).json();
    let newest = entries(&hub, "").remove(0);
    assert_eq!(
        names(&newest),
        ["id", "at", "actor", "address", "action", "subject", "tenant", "detail", "count"],
        "{newest}"
    );
    let expected = json!({"id": newest["id"], "at": "2026-01-15T10:00:00.000Z", "actor": "API key test",
        "address": "192.0.2.7", "action": "api_key.created", "subject": key["id"], "tenant": "acme",
        "detail": "shop, publish", "count": 1});
    assert_eq!(newest, expected);
    hub.administrator();
    let signed_in = entries(&hub, "?action=user.signed_in").remove(0);
    assert_eq!((&signed_in["actor"], &signed_in["address"]), (&json!("anna"), &json!("127.0.0.1")));
    let added = entries(&hub, "?action=user.added").remove(0);
    assert_eq!((&added["actor"], &added["address"]), (&json!("command line"), &Value::Null));
}

#[test]
fn the_log_is_filtered_by_action_actor_tenant_and_time_and_read_by_pages() {
    let hub = Hub::start();
    let create = |tenant: &str| {
        hub.post("/v1/api-keys", &json!({"name": "a", "scope": "read", "tenant": tenant})).expect(201).json()
    };
    create("acme");
    hub.advance(HOUR);
    let second = create("globex");
    hub.delete(&format!("/v1/api-keys/{}", second["id"].as_str().unwrap())).expect(204);
    hub.administrator();
    assert_eq!(actions(&hub, "?action=api_key.created").len(), 2);
    assert_eq!(actions(&hub, "?tenant=acme"), ["api_key.created"]);
    assert_eq!(actions(&hub, "?actor=anna"), ["user.signed_in"]);
    assert_eq!(
        actions(&hub, "?actor=API%20key%20test&since=2026-01-15T11:00:00Z"),
        ["api_key.revoked", "api_key.created"]
    );
    assert_eq!(actions(&hub, "?until=2026-01-15T11:00:00Z"), ["api_key.created"]);
    let all = actions(&hub, "");
    let first = hub.get(&format!("{AUDIT}?limit=2")).json();
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(actions(&hub, &format!("?limit=250&cursor={cursor}")), all[2..]);
    error_in(&hub.get(&format!("{AUDIT}?action=root")), 422, "invalid_value", "action");
    error_in(&hub.get(&format!("{AUDIT}?since=soon")), 422, "invalid_time", "since");
    error_in(&hub.get(&format!("{AUDIT}?name=x")), 422, "unknown_parameter", "name");
}

#[test]
fn the_log_is_downloaded_as_lines() {
    let hub = Hub::start();
    for number in 0..300 {
        let body = json!({"name": format!("key {number}"), "scope": "read"});
        hub.post("/v1/api-keys", &body).expect(201);
    }
    let answer = hub.get(&format!("{AUDIT}/export?action=api_key.created")).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"audit.ndjson\""));
    let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 300);
    assert_eq!(lines[..250], entries(&hub, "?limit=250"));
    assert_eq!(lines[299]["detail"], "key 0, read");
    error_in(&hub.get(&format!("{AUDIT}/export?limit=5")), 422, "unknown_parameter", "limit");
}

#[test]
fn the_log_is_for_administrators_of_all_tenants() {
    let hub = Hub::start();
    let tenant = hub.make_key(Scope::Admin, Some("acme"), None);
    for path in [AUDIT.to_owned(), format!("{AUDIT}/export")] {
        error(&hub.call_with(&tenant, "GET", &path, None), 403, "forbidden");
        for scope in [Scope::Read, Scope::Publish] {
            error(&hub.call_with(&hub.make_key(scope, None, None), "GET", &path, None), 403, "forbidden");
        }
    }
}

#[test]
fn failed_sign_ins_of_an_address_are_one_entry_a_minute() {
    let hub = Hub::with(|options| options.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    hub.administrator();
    let visitor = hub.visitor();
    visitor.get("/login");
    let fail = |name: &str, address: &str| {
        let token = visitor.form_token();
        let fields = [("form_token", token.as_str()), ("name", name), ("password", "a wrong one")];
        visitor.submit_as_given("/login", &fields, &[("x-forwarded-for", address)]).expect(422);
        // The writer commits in order.
        hub.publish("a.b", json!({}));
    };
    let failed = || {
        let found = entries(&hub, "?action=user.sign_in_failed");
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
        let short = |entry| (text(entry, "address"), text(entry, "subject"), entry["count"].as_u64().unwrap());
        found.iter().map(short).collect::<Vec<_>>()
    };
    let entry = |address: &str, subject: &str, count| (address.to_owned(), subject.to_owned(), count);
    fail("Anna", "192.0.2.1");
    fail("anna", "192.0.2.1");
    assert_eq!(failed(), [entry("192.0.2.1", "anna", 2)]);
    fail("my password", "192.0.2.2");
    assert_eq!(failed(), [entry("192.0.2.2", "unknown", 1), entry("192.0.2.1", "anna", 2)]);
    fail("my password", "192.0.2.1");
    assert_eq!(failed()[1], entry("192.0.2.1", "several", 3));
    hub.advance(MINUTE);
    fail("anna", "192.0.2.1");
    assert_eq!(failed()[0], entry("192.0.2.1", "anna", 1));
    assert_eq!(failed().len(), 3);
    assert!(!hub.get(AUDIT).text.contains("my password") && !hub.get(AUDIT).text.contains("a wrong one"));
    let page = hub.viewer().page("/settings/audit?action=user.sign_in_failed");
    assert!(page.contains("failed to sign in as the user anna") && page.contains("3 times within a minute"), "{page}");
    assert!(page.contains("192.0.2.2"));
}

#[test]
fn failed_sign_ins_from_any_number_of_addresses_do_not_fill_the_log() {
    let hub = Hub::start();
    let store = &hub.running.app.actions.store;
    for number in 0..500_u32 {
        let address: IpAddr = std::net::Ipv4Addr::from_bits(number).into();
        let job = store.write(move |tx| -> Result<(), StoreError> {
            users::sign_in_failed(tx.connection(), "anna", Some(address), tx.now_ms())
        });
        job.wait().unwrap();
        if number == 250 {
            hub.advance(30 * SECOND);
        }
    }
    let found = entries(&hub, "?action=user.sign_in_failed&limit=250");
    assert_eq!(found.len(), 61);
    assert_eq!(found[0]["address"], Value::Null);
    let count: u64 = found.iter().map(|entry| entry["count"].as_u64().unwrap()).sum();
    assert_eq!(count, 500);
}

#[test]
fn entries_are_kept_for_their_own_number_of_days() {
    let mut hub = Hub::with(|options| options.retention = Retention::new(30, 90));
    hub.post("/v1/api-keys", &json!({"name": "a", "scope": "read"})).expect(201);
    hub.advance(100 * DAY);
    hub.post("/v1/api-keys", &json!({"name": "b", "scope": "read"})).expect(201);
    hub.prune_until_idle();
    assert_eq!(actions(&hub, "").len(), 2, "longer than dead letters");
    hub.restart_with(|options| options.retention = Retention::new(0, 0).with_audit_days(99));
    hub.advance(HOUR);
    hub.prune_until_idle();
    let left = entries(&hub, "");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["detail"], "b, read");
}

#[test]
fn the_page_has_the_filters_of_the_list() {
    let hub = Hub::start();
    let body = json!({"name": "a", "scope": "read", "tenant": "acme"});
    hub.post("/v1/api-keys", &body).expect(201);
    let visitor = hub.administrator();
    let event = json!({"type": "a.b", "data": {}, "tenant": "acme", "id": "mine"});
    hub.post("/v1/events", &event).expect(202);
    hub.post("/v1/events/mine/replay", &json!({})).expect(202);
    let page = visitor.page("/settings/audit?action=api_key.created&tenant=acme");
    assert!(page.contains("created the API key") && !page.contains("signed in as the user"), "{page}");
    assert!(page.contains("127.0.0.1"), "{page}");
    assert!(page.contains("/v1/audit/export?action=api_key.created&tenant=acme"), "{page}");
    assert!(visitor.page("/settings/audit?actor=nobody").contains("No matching entries"));
    assert!(visitor.page("/settings/audit?since=soon").has(".problem-state"));
    assert!(visitor.page("/settings/audit").links_to("/events/mine?tenant=acme"));
}
